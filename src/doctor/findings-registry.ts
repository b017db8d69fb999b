/** What is wrong in a registry beside what its catalog shows? Pure. Consul's own is told by findings-source.ts and -checks.ts. */

import type { Oddity } from '../discovery/oddity.ts'
import { printable } from '../discovery/untrusted-text.ts'
import type { EntryFacts, Facts, ServiceFacts } from './facts.ts'
import { count, type Finding, foundInstance, shareOf, shownName } from './finding.ts'
import { dnsFindings } from './findings-dns.ts'
import { eurekaFindings } from './findings-eureka.ts'
import { wordsOf } from './source-words.ts'

/** Of the registry as a whole, and of its services. */
export function registryFindings(facts: Facts): readonly Finding[] {
  return [...warnings(facts), ...strayFindings(facts), ...ofKind(facts)]
}

function ofKind(facts: Facts): readonly Finding[] {
  const { registry } = facts
  switch (registry.kind) {
    case 'none':
      return []
    case 'eureka':
      return eurekaFindings(facts, registry)
    case 'entries':
      return permanentFindings(facts, registry)
    case 'swarm':
      return facts.services.flatMap((service) => networkFindings(service, registry.network))
    case 'dns':
      return dnsFindings(facts, registry)
    case 'file':
      return fileFindings(facts, registry.problems)
    default:
      return registry satisfies never
  }
}

function warnings({ from, warnings: told, unread }: Facts): readonly Finding[] {
  // What it says after a failure is about the failure.
  if (told.length === 0 || unread.length > 0) return []
  return [
    {
      kind: 'source-warning',
      severity: 'warning',
      service: null,
      instances: [],
      details: told,
      where: from,
      what: `the source warns of ${count(told.length, 'thing')} while it is read`,
      why: 'the proxy reads it in the same way, and meets the same',
      cure: 'each says what it is about',
    },
  ]
}

function strayFindings(facts: Facts): readonly Finding[] {
  const names = facts.strays.filter(({ kind }) => kind === 'bad-name')
  const entries = facts.strays.filter(({ kind }) => kind !== 'bad-name')
  const lines = (oddities: readonly Oddity[]) =>
    oddities.map(({ subject, text }) => (subject === '' || text.includes(subject) ? text : `${subject}: ${text}`))
  const found = { service: null, instances: [], where: facts.from }
  const findings: Finding[] = []
  if (names.length > 0) {
    findings.push({
      ...found,
      kind: 'bad-name',
      severity: 'error',
      details: lines(names),
      what: `${count(names.length, 'service')} cannot be routed to, for the name cannot be a segment of a path`,
      why: 'no request can name it: a slash, a backslash, a control character, ".", ".." and a name that is too long mean something else, or nothing, in a path',
      cure: 'register it under another name: letters, digits and hyphens work everywhere, in DNS too',
    })
  }
  if (entries.length > 0) {
    findings.push({
      ...found,
      kind: 'bad-entries',
      severity: 'warning',
      details: lines(entries),
      what: `${count(entries.length, 'entry').replace(/ys$/, 'ies')} in it ${entries.length === 1 ? 'is' : 'are'} no instance of a service`,
      why: 'it is passed over: whatever it was meant to be gets no requests',
      cure: wordsOf(facts).mendCure,
    })
  }
  return findings
}

/** One for each service that is looked at. */
function permanentFindings({ source, services }: Facts, { permanent }: EntryFacts): readonly Finding[] {
  const [entry, lifeline] = source === 'zookeeper' ? ['node', 'session'] : ['key', 'lease']
  const ids = new Set(permanent.map(({ service, id }) => JSON.stringify([service, id])))
  return services.flatMap(({ name, instances }): Finding[] => {
    const kept = instances.filter(({ id }) => ids.has(JSON.stringify([name, id])))
    if (kept.length === 0) return []
    return [
      {
        kind: 'permanent-entry',
        severity: 'warning',
        service: shownName(name),
        instances: kept.map((each) => foundInstance(each)),
        where: shownName(name),
        what: `${shareOf(kept.length, instances.length)} ${kept.length === 1 ? 'hangs' : 'hang'} on no ${lifeline}: the ${entry} stays when the instance dies`,
        why: 'a dead instance stays in rotation until somebody deletes it: only failing requests show it, again at each probe',
        cure:
          source === 'zookeeper'
            ? 'register with an ephemeral node (Curator does by default; evenkeel run --to zookeeper does it for programs that cannot)'
            : 'put the key with a lease that the instance renews while it lives (etcdctl put --lease; evenkeel run --to etcd does it for programs that cannot)',
      },
    ]
  })
}

/** Told by the source's own words, which name the networks that there are. */
function networkFindings({ name, instances }: ServiceFacts, network: string | null): readonly Finding[] {
  const away = instances.filter(({ reason, standing }) => standing === 'out' && /\bnetworks?\b/.test(reason ?? ''))
  if (away.length === 0) return []
  return [
    {
      kind: 'no-network',
      severity: 'warning',
      service: shownName(name),
      instances: away.map((each) => foundInstance(each, each.reason)),
      where: shownName(name),
      what:
        network === null
          ? `${shareOf(away.length, instances.length)} ${away.length === 1 ? 'is' : 'are'} on several networks or on none that leads there, and the config names none`
          : `${shareOf(away.length, instances.length)} ${away.length === 1 ? 'is' : 'are'} not on the network ${JSON.stringify(shownName(network))}`,
      why: "it gets no requests: a task's address on another network, its virtual IP and the ingress network do not lead to it from the proxy",
      cure: 'name the overlay network that both the service and the proxy are members of as discovery.swarm.network, or add the service to it (docker service update --network-add)',
    },
  ]
}

function fileFindings(
  { from }: Facts,
  problems: readonly { readonly place: string; readonly message: string }[],
): readonly Finding[] {
  if (problems.length === 0) return []
  return [
    {
      kind: 'bad-file',
      severity: 'error',
      service: null,
      instances: [],
      details: problems.map(({ place, message }) => printable([place, message].filter(Boolean).join(': '), 400)),
      where: from,
      what: `the file cannot be used: ${count(problems.length, 'problem')}`,
      why: 'one wrong entry makes all of it wrong: a proxy that runs keeps the last good one, and one that starts has nothing',
      cure: 'mend each of them; the file counts again as soon as it is right',
    },
  ]
}
