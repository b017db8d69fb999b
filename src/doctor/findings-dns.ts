/** What is wrong with names in DNS, and with who answers for them? Pure. */

import type { DnsFacts, Facts } from './facts.ts'
import { count, type Finding, shownName } from './finding.ts'

type Name = DnsFacts['names'][number]

export function dnsFindings(facts: Facts, dns: DnsFacts): readonly Finding[] {
  const findings = dns.names.flatMap((name) => [...absence(facts, name), ...difference(name), ...shortLife(name)])
  return [...failingResolvers(facts, dns), ...findings]
}

function failingResolvers({ from, unread }: Facts, { failing, names }: DnsFacts): readonly Finding[] {
  // Then nothing was read, and the services say so.
  const isAll = names.length > 0 && unread.length === names.length
  return failing.map(({ resolver, failed, asked, failure }) => ({
    kind: 'resolver-failing',
    severity: isAll ? 'error' : 'warning',
    service: null,
    instances: [],
    where: from,
    what: `the resolver ${resolver} failed ${failed} of ${count(asked, 'time')}: ${failure.message}`,
    why: isAll
      ? 'no name can be asked for: a proxy keeps what it last knew, and one that starts has nothing'
      : 'another one answers instead; each question that comes to this one first waits for it in vain',
    cure: failure.cure,
  }))
}

function absence({ others }: Facts, name: Name): readonly Finding[] {
  if (name.answering.length > 0 || name.absent.length + name.empty.length === 0) return []
  const says = name.absent.length > 0 ? 'does not exist' : 'has no such record'
  const standIn = others?.routed.get(name.service) ?? null
  return [
    {
      kind: 'no-such-name',
      severity: standIn === null ? 'error' : 'warning',
      service: shownName(name.service),
      instances: [],
      where: `${shownName(name.service)}, ${name.question}`,
      what: `the name ${says}: ${[...name.absent, ...name.empty].join(', ')} ${name.absent.length + name.empty.length === 1 ? 'says' : 'say'} so`,
      why:
        standIn === null
          ? 'that is an answer, and it empties the service: every request for it is answered 503'
          : `its requests go to the endpoints that ${standIn} has; here it is nothing any more`,
      cure:
        name.absent.length > 0
          ? 'is the name in discovery.dns.services written in full, as it stands in its zone? No search domain is added; and are these the resolvers that know the zone (discovery.dns.resolvers)?'
          : 'the name is there with records of another kind: srv, a and aaaa in discovery.dns.services ask for one kind each',
    },
  ]
}

function difference(name: Name): readonly Finding[] {
  const others = [...name.absent, ...name.empty]
  if (name.answering.length === 0 || others.length === 0) return []
  return [
    {
      kind: 'resolvers-differ',
      severity: 'error',
      service: shownName(name.service),
      instances: [],
      where: `${shownName(name.service)}, ${name.question}`,
      what: `${name.answering.join(', ')} ${name.answering.length === 1 ? 'knows' : 'know'} the name, ${others.join(', ')} ${others.length === 1 ? 'does' : 'do'} not`,
      why: 'whichever is asked is believed: when the first one fails, and another is asked instead, the service is emptied',
      cure: 'name only resolvers that know the same zones in discovery.dns.resolvers; is one of them public, or not yet told of the zone?',
    },
  ]
}

function shortLife(name: Name): readonly Finding[] {
  if (name.ttlMs !== 0) return []
  return [
    {
      kind: 'short-ttl',
      severity: 'warning',
      service: shownName(name.service),
      instances: [],
      where: `${shownName(name.service)}, ${name.question}`,
      what: 'its answer holds for no time at all: its time to live is 0',
      why: 'no resolver keeps it, so each question goes all the way; the proxy asks again every discovery.dns.minInterval',
      cure: 'give the record a time to live of a few seconds (Consul: dns_config.service_ttl and node_ttl; dnsmasq: local-ttl); or leave it so, where the resolver is close and a change must be seen soon',
    },
  ]
}
