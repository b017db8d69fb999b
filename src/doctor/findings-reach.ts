/** What did connecting and asking show, and does it agree with what the catalog says? Pure. */

import { isLocalError } from '../balancer/outcome.ts'
import { type Facts, type InstanceFacts, type Probe, placeKey, type ServiceFacts } from './facts.ts'
import { count, type Finding, type FindingKind, foundInstance, seconds, shareOf, shownName } from './finding.ts'
import { wordsOf } from './source-words.ts'

type Failed = Exclude<Probe, { kind: 'connected' }>
type Tried = { readonly instance: InstanceFacts; readonly probe: Probe }

/** What is wrong with the way to the instances of one service, and with their answers. */
export function reachFindings(facts: Facts, service: ServiceFacts): readonly Finding[] {
  const tried = service.instances.flatMap((instance) => {
    const probe = facts.probes.get(placeKey(instance))
    return probe === undefined ? [] : [{ instance, probe }]
  })
  const routed = tried.filter(({ instance }) => instance.standing === 'routed')
  const critical = tried.filter(({ instance }) => instance.standing === 'critical')
  return [
    ...unreached(facts, service, routed, true),
    ...unreached(facts, service, critical, false),
    ...answersThoughCritical(facts, service, critical),
    ...httpFindings(service, routed),
  ]
}

/** One for this machine: what it lacks says nothing of any instance. */
export function localFindings(facts: Facts): readonly Finding[] {
  const codes = [...facts.probes.values()].flatMap((probe) =>
    probe.kind === 'failed' && isLocalError(probe.code) ? [probe.code] : [],
  )
  if (codes.length === 0) return []
  const names = [...new Set(codes)].sort().join(', ')
  return [
    {
      kind: 'local-limit',
      severity: 'error',
      service: null,
      instances: [],
      where: 'this machine',
      what: `${count(codes.length, 'connection')} could not be opened from here: ${names}`,
      why: 'nothing is known of these instances; a proxy on this machine would answer 503 for the same reason',
      cure: 'free or raise what is lacking (file descriptors: ulimit -n; ports: net.ipv4.ip_local_port_range), then ask again',
    },
  ]
}

/** The ways in which a connect fails, those with the same cure together. */
const ways = {
  refused: ['refuses connections', 'refuse connections'],
  'timed-out': ['does not accept a connection', 'do not accept a connection'],
  unroutable: ['cannot be routed to from here', 'cannot be routed to from here'],
  unresolved: ['has a name that does not resolve here', 'have names that do not resolve here'],
  reset: ['resets connections', 'reset connections'],
  unreachable: ['cannot be connected to', 'cannot be connected to'],
} as const satisfies Partial<Record<FindingKind, readonly [one: string, several: string]>>
type Way = keyof typeof ways

const cures: Readonly<Record<Way, string>> = {
  refused:
    'nothing listens there, or a firewall rejects: compare the registered address and port with what the instance listens on (ss -ltn there; a published or virtual port is not the instance), then mend or deregister it',
  'timed-out':
    'a firewall drops, the address belongs to nobody, or the instance accepts nothing any more: try it from its own machine; if it answers there, look at what is between',
  unroutable:
    'this machine has no way to that network: register an address that is reachable from here, or add the route',
  unresolved:
    'register an IP address, or make the name known to the resolver of this machine (getent hosts NAME shows what it says)',
  reset:
    'something between accepts and hangs up, or the instance is at its limit: look at its log, and at what is between',
  unreachable:
    'the code says what this machine met: a local firewall rule (EPERM, EACCES), or an address that it cannot use',
}

function wayOf(probe: Failed): Way {
  if (probe.kind === 'timed-out') return 'timed-out'
  switch (probe.code) {
    case 'ECONNREFUSED':
      return 'refused'
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EHOSTDOWN':
    case 'ENETDOWN':
      return 'unroutable'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'ENODATA':
      return 'unresolved'
    case 'ECONNRESET':
      return 'reset'
    default:
      return 'unreachable'
  }
}

function unreached(
  facts: Facts,
  service: ServiceFacts,
  tried: readonly Tried[],
  isRouted: boolean,
): readonly Finding[] {
  const words = wordsOf(facts)
  const groups = new Map<Way, { readonly instance: InstanceFacts; readonly probe: Failed }[]>()
  for (const { instance, probe } of tried) {
    if (probe.kind === 'connected' || (probe.kind === 'failed' && isLocalError(probe.code))) continue
    const way = wayOf(probe)
    groups.set(way, [...(groups.get(way) ?? []), { instance, probe }])
  }
  const failed = [...groups.values()].flat().length
  const isAll = isRouted && failed === routedOf(service).length
  return [...groups].map(([way, group]) => {
    const [one, several] = ways[way]
    const who = shareOf(group.length, service.instances.length)
    return {
      kind: way,
      severity: isRouted ? 'error' : 'warning',
      service: shownName(service.name),
      instances: group.map(({ instance, probe }) => foundInstance(instance, noteOf(probe))),
      where: shownName(service.name),
      what: `${who} ${group.length === 1 ? one : several}: ${isRouted ? words.routed : words.ill}`,
      why: isRouted
        ? whyRouted(way, isAll && facts.others?.routed.has(service.name) !== true)
        : `it gets no requests, as long as ${words.judge} says so: whatever it was there for is missing`,
      cure: isRouted ? `${cureOf(way, facts)}${words.reachCure}` : words.goneCure,
    }
  })
}

function cureOf(way: Way, { registry }: Facts): string {
  const isHostName = way === 'unresolved' && registry.kind === 'eureka' && registry.address === 'host-name'
  return isHostName
    ? 'discovery.eureka.address: ip takes what each instance says its ipAddr is; or make the name known to the resolver of this machine (getent hosts NAME shows what it says), or register with eureka.instance.prefer-ip-address'
    : cures[way]
}

function whyRouted(way: Way, isAll: boolean): string {
  const status = way === 'timed-out' ? 'a 504, after upstream.connectTimeout' : 'a 502'
  if (isAll)
    return `no instance in rotation can be reached from here: a proxy on this machine answers every request with ${status}`
  const slow = way === 'timed-out' ? ', and waits upstream.connectTimeout for each' : ''
  return `a proxy on this machine tries it in turn until it is ejected, and again at each probe${slow}; what cannot be tried elsewhere is answered with ${status}`
}

function noteOf(probe: Failed): string {
  return probe.kind === 'failed' ? probe.code : `nothing in ${seconds(probe.afterMs)}`
}

function answersThoughCritical(facts: Facts, service: ServiceFacts, critical: readonly Tried[]): readonly Finding[] {
  // Where another one is registered as well, nobody knows which of the two it is that answers.
  const taken = new Set(routedOf(service).map(({ place }) => place))
  const open = critical.filter(
    ({ probe, instance }) => probe.kind === 'connected' && isWell(probe) && !taken.has(instance.place),
  )
  if (open.length === 0) return []
  return [
    {
      kind: 'answers-though-critical',
      severity: 'warning',
      service: shownName(service.name),
      instances: open.map(({ instance }) => foundInstance(instance, instance.reason)),
      where: shownName(service.name),
      what: `${shareOf(open.length, service.instances.length)} ${open.length === 1 ? 'takes' : 'take'} connections, while ${wordsOf(facts).calledIll}`,
      why: `it gets no requests: the others carry its share. Either ${wordsOf(facts).judge} is wrong, or it sees what a connect does not`,
      cure: wordsOf(facts).illCure,
    },
  ]
}

/** Where it was asked, it answered; else it is enough that it takes connections. */
function isWell({ http }: Extract<Probe, { kind: 'connected' }>): boolean {
  return http === null || (http.kind === 'status' && http.status < 500)
}

function httpFindings(service: ServiceFacts, routed: readonly Tried[]): readonly Finding[] {
  const groups = new Map<'http-5xx' | 'no-http' | 'http-silent', { instance: InstanceFacts; note: string }[]>()
  const put = (kind: 'http-5xx' | 'no-http' | 'http-silent', instance: InstanceFacts, note: string) =>
    groups.set(kind, [...(groups.get(kind) ?? []), { instance, note }])
  for (const { instance, probe } of routed) {
    if (probe.kind !== 'connected' || probe.http === null) continue
    const { http } = probe
    switch (http.kind) {
      case 'status':
        if (http.status >= 500) put('http-5xx', instance, `status ${http.status}`)
        break
      case 'no-http':
        put('no-http', instance, http.detail)
        break
      case 'broke-off':
        put('no-http', instance, `closed without an answer, ${http.code}`)
        break
      case 'silent':
        put('http-silent', instance, `nothing in ${seconds(http.afterMs)}`)
        break
      default:
        http satisfies never
    }
  }
  return [...groups].map(([kind, group]) => ({
    kind,
    severity: kind === 'http-silent' ? 'warning' : 'error',
    service: shownName(service.name),
    instances: group.map(({ instance, note }) => foundInstance(instance, note)),
    where: shownName(service.name),
    what: `${shareOf(group.length, service.instances.length)} ${httpWords[kind].what[group.length === 1 ? 0 : 1]}`,
    why: httpWords[kind].why,
    cure: httpWords[kind].cure,
  }))
}

const httpWords = {
  'http-5xx': {
    what: ['answers the GET with 5xx', 'answer the GET with 5xx'],
    why: 'such answers count as faults (outlier.faultStatuses): five in a row eject it, and until then clients get them',
    cure: "see the instance's log; if that path is not meant to work, name one that is with --http-path",
  },
  'no-http': {
    what: ['takes the connection and speaks no HTTP', 'take the connection and speak no HTTP'],
    why: 'the proxy speaks plain HTTP/1.1 to endpoints: each request there is a 502, and five in a row eject it',
    cure: 'is that port another protocol, TLS, or a relay with nothing behind it? Register the port that speaks HTTP',
  },
  'http-silent': {
    what: ['takes the connection and does not answer the GET', 'take the connection and do not answer the GET'],
    why: 'a request there waits up to upstream.responseTimeout and is then answered 504',
    cure: 'is it overloaded, or is that path slow? Name a quick one with --http-path',
  },
} as const satisfies Partial<Record<FindingKind, unknown>>

function routedOf({ instances }: ServiceFacts): readonly InstanceFacts[] {
  return instances.filter(({ standing }) => standing === 'routed')
}
