/** Can the registered addresses mean what they are meant to mean? Pure. */

import { compareText } from '../discovery/untrusted-text.ts'
import { type AddressKind, addressKind } from './address-kind.ts'
import { type Facts, type InstanceFacts, placeKey, type ServiceFacts } from './facts.ts'
import { type Finding, type FoundInstance, foundInstance, shareOf, shownName } from './finding.ts'
import { isOwnList, wordsOf } from './source-words.ts'

/** What is wrong with the addresses of one service's instances. */
export function addressFindings(facts: Facts, service: ServiceFacts): readonly Finding[] {
  return [...sharedAddresses(facts, service), ...misleading(facts, service), ...badRegistrations(facts, service)]
}

/** The virtual-IP mistake, one finding a place. */
function sharedAddresses(facts: Facts, service: ServiceFacts): readonly Finding[] {
  const places = new Map<string, InstanceFacts[]>()
  for (const instance of service.instances) {
    if (instance.address === null || instance.port === null) continue
    places.set(instance.place, [...(places.get(instance.place) ?? []), instance])
  }
  return [...places]
    .filter(([, sharers]) => sharers.length > 1)
    .sort(([a], [b]) => compareText(a, b))
    .map(([place, sharers]) => {
      const isOneId = new Set(sharers.map(({ id }) => id)).size === 1
      return {
        kind: 'shared-address',
        severity: 'error',
        service: shownName(service.name),
        instances: inOrder(sharers.map((each) => foundInstance(each))),
        where: `${shownName(service.name)}, ${place}`,
        what: isOneId
          ? `one instance is registered ${sharers.length} times at the same address and port`
          : `${sharers.length} instances have the same address and port`,
        why: 'they are one place to send a request, so they count as one endpoint with one share. If it is a virtual address, what is behind it is balanced by somebody else, and one of them that fails hides behind the others',
        cure: isOneId ? wordsOf(facts).twiceCure : wordsOf(facts).sharedCure,
      }
    })
}

interface Suspicion {
  readonly kind: 'loopback-address' | 'link-local-address' | 'no-place-address' | 'docker-address'
  readonly severity: Finding['severity']
  readonly what: string
  readonly why: string
  /** Absent: the address must be another one, and the source says how. */
  readonly cure?: string
  /** What is said before that. */
  readonly trialCure?: string
}

function misleading(facts: Facts, service: ServiceFacts): readonly Finding[] {
  const groups = new Map<Suspicion, FoundInstance[]>()
  for (const instance of service.instances) {
    const suspicion = suspicionOf(facts, instance)
    if (suspicion !== null) groups.set(suspicion, [...(groups.get(suspicion) ?? []), foundInstance(instance)])
  }
  return [...groups].map(([{ kind, severity, what, why, cure, trialCure }, instances]) => ({
    kind,
    severity,
    service: shownName(service.name),
    instances: inOrder(instances),
    where: shownName(service.name),
    what: `${shareOf(instances.length, service.instances.length)} ${instances.length === 1 ? 'has' : 'have'} ${what}`,
    why,
    cure: cure ?? `${trialCure ?? ''}${wordsOf(facts).addressCure}`,
  }))
}

function suspicionOf(facts: Facts, instance: InstanceFacts): Suspicion | null {
  const kind: AddressKind = addressKind(instance.address ?? instance.stated)
  const isListed = isOwnList(facts)
  // Not known to be elsewhere: an agent on this machine that may not be asked for its node.
  const isHere = facts.agentIsHere && (facts.ownNode === null || facts.ownNode === instance.node)
  switch (kind) {
    case 'ordinary':
      return null
    case 'loopback':
      // Who writes a list for a proxy means its own machine.
      if (isListed) return null
      return isHere ? loopbackHere : loopbackElsewhere
    case 'link-local':
      return linkLocal
    case 'any':
    case 'multicast':
      return noPlace
    case 'docker-ingress':
      // Many a network uses the same range, and then it works.
      return isUnreached(facts, instance) ? dockerIngress : null
    case 'docker-bridge':
      return (isHere || isListed) && !isUnreached(facts, instance) ? null : dockerBridge
    default:
      return kind satisfies never
  }
}

function isUnreached({ probes }: Facts, instance: InstanceFacts): boolean {
  const probe = probes.get(placeKey(instance))
  return probe !== undefined && probe.kind !== 'connected'
}

const loopbackHere: Suspicion = {
  kind: 'loopback-address',
  severity: 'warning',
  what: 'a loopback address, which works only from its own machine',
  why: 'from here it may work; a proxy on any other machine would connect to itself instead',
  trialCure: 'fine for a trial on one machine; else ',
}
const loopbackElsewhere: Suspicion = {
  kind: 'loopback-address',
  severity: 'error',
  what: 'a loopback address, and not on this machine',
  why: 'a proxy here connects to itself instead: to nothing, or to whatever listens on that port here',
}
const linkLocal: Suspicion = {
  kind: 'link-local-address',
  severity: 'warning',
  what: 'a link-local address',
  why: 'it works only on the same network segment, an IPv6 one only with the name of an interface; elsewhere it may be somebody else',
}
const noPlace: Suspicion = {
  kind: 'no-place-address',
  severity: 'error',
  what: 'an address that names no single place (0.0.0.0, ::, multicast or broadcast)',
  why: 'nothing can be connected to there, so it gets no requests or fails them; it is what a program listens on, not where it is',
}
const dockerIngress: Suspicion = {
  kind: 'docker-address',
  severity: 'warning',
  what: 'an address in 10.0.0.0/24 that cannot be reached from here',
  why: "this may be Docker swarm's ingress network, by default in that range, which exists only between swarm nodes: containers register it when they take their first interface for their address",
  cure: 'register the address of the host and the published port, or of an overlay network that the proxy is attached to as well',
}
const dockerBridge: Suspicion = {
  kind: 'docker-address',
  severity: 'warning',
  what: 'an address in 172.17.0.0/16',
  why: "this may be Docker's default bridge, which every machine has for itself: from another machine it leads to nothing, or to another container",
  cure: 'register the address of the host and the published port',
}

const registrations = [
  'malformed-entry',
  'malformed-check',
  'no-address',
  'bad-address',
  'bad-port',
  'bad-weight',
] as const

function badRegistrations(facts: Facts, service: ServiceFacts): readonly Finding[] {
  const strange = service.oddities.filter(({ kind }) => registrations.some((each) => each === kind))
  const instances = strange.flatMap(({ subject, text }) => {
    const found = service.instances.find(({ id }) => id === subject)
    // Told already, and better, as an address that names no place.
    if (found !== undefined && text.endsWith('is not an address') && addressKind(found.stated) !== 'ordinary') return []
    return [found === undefined ? { id: subject, node: '', place: '', note: text } : foundInstance(found, text)]
  })
  if (instances.length === 0) return []
  return [
    {
      kind: 'bad-registration',
      severity: 'warning',
      service: shownName(service.name),
      instances: inOrder(instances),
      where: shownName(service.name),
      what: `${shareOf(instances.length, Math.max(instances.length, service.instances.length))} ${instances.length === 1 ? 'is' : 'are'} registered with something that cannot be used`,
      why: `without a usable address and port an instance gets no requests; a weight that is none is replaced${facts.source === 'consul' ? ', a check that cannot be read counts as critical' : ''}`,
      cure: wordsOf(facts).mendCure,
    },
  ]
}

function inOrder(instances: readonly FoundInstance[]): readonly FoundInstance[] {
  return [...instances].sort((a, b) => compareText(a.id, b.id) || compareText(a.node, b.node))
}
