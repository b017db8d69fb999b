/** What is wrong in a Eureka registry that connecting does not show? Pure. */

import type { EurekaFacts, Facts, ServiceFacts } from './facts.ts'
import { count, type Finding, type FoundInstance, foundInstance, seconds, shareOf, shownName } from './finding.ts'

export function eurekaFindings(facts: Facts, eureka: EurekaFacts): readonly Finding[] {
  const { services, only } = facts
  const isAsked = (app: string) => only === null || app.toLowerCase() === only
  return [
    ...overdueFindings(facts, eureka, isAsked),
    ...services.flatMap(secureFindings),
    ...(eureka.name === 'vip' ? unnamedFindings(facts, eureka) : aliasFindings(facts, eureka)),
  ]
}

/** Self-preservation keeps them; so does a server whose evictions are turned off. */
function overdueFindings(
  { from }: Facts,
  { registered }: EurekaFacts,
  isAsked: (app: string) => boolean,
): readonly Finding[] {
  const overdue = (registered?.overdue ?? []).filter(({ app }) => isAsked(app))
  if (overdue.length === 0) return []
  return [
    {
      kind: 'missed-beats',
      severity: 'warning',
      service: null,
      instances: overdue.map(({ app, id, silentMs }) => named(app, id, `no beat for ${seconds(silentMs)}`)),
      where: from,
      what: `${count(overdue.length, 'instance')} ${overdue.length === 1 ? 'is' : 'are'} UP and ${overdue.length === 1 ? 'has' : 'have'} sent no beat for far longer than the lease lasts`,
      why: 'the server evicts nobody: it is in self-preservation, as when many beats fail at once, or its evictions are turned off. What it calls UP may be long dead',
      cure: 'did they die, or can they not reach the server? Its own page (the root of its URL) says whether it preserves itself; eureka.server.enable-self-preservation: false suits a small fleet, in which a few instances are a large share',
    },
  ]
}

function secureFindings({ name, instances }: ServiceFacts): readonly Finding[] {
  const secure = instances.filter(({ reason }) => reason === 'only its secure port is enabled')
  if (secure.length === 0) return []
  return [
    {
      kind: 'secure-port-only',
      severity: 'warning',
      service: shownName(name),
      instances: secure.map((each) => foundInstance(each)),
      where: shownName(name),
      what: `of ${shareOf(secure.length, instances.length)} only the secure port is enabled`,
      why: 'it gets no requests: the proxy speaks plain HTTP to endpoints',
      cure: 'enable the plain port (eureka.instance.non-secure-port-enabled); where plain HTTP is spoken at the secure port all the same, set discovery.eureka.securePort: true',
    },
  ]
}

/** By vipAddress an instance without one has no name. */
function unnamedFindings({ from, only }: Facts, { registered }: EurekaFacts): readonly Finding[] {
  const unnamed = registered?.unnamed ?? []
  if (unnamed.length === 0 || only !== null) return []
  return [
    {
      kind: 'no-vip',
      severity: 'warning',
      service: null,
      instances: unnamed.map(({ app, id }) => named(app, id, null)),
      where: from,
      what: `${count(unnamed.length, 'instance')} ${unnamed.length === 1 ? 'has' : 'have'} no vipAddress, which names a service here`,
      why: 'discovery.eureka.name is vip: an instance without one belongs to no service and gets no requests',
      cure: 'set eureka.instance.virtual-host-name where it registers, or discovery.eureka.name: app',
    },
  ]
}

/** By application: whoever asks for it as Eureka's own clients do, by vipAddress, asks for another name. */
function aliasFindings({ services, from }: Facts, { registered }: EurekaFacts): readonly Finding[] {
  return (registered?.aliases ?? []).flatMap(({ app, vips }): Finding[] => {
    const service = services.find(({ name }) => name === app)
    if (service === undefined) return []
    const names = vips.map((vip) => JSON.stringify(vip)).join(', ')
    return [
      {
        kind: 'other-vip',
        severity: 'warning',
        service: shownName(app),
        instances: [],
        where: `${shownName(app)}, ${from}`,
        what: `clients of Eureka know it by another name, its vipAddress ${names}`,
        why: 'here it is named by its application: who comes from Zuul or Ribbon and asks by the vipAddress gets 404',
        cure: `ask for /${shownName(app)}/, or set discovery.eureka.name: vip, which names all services so`,
      },
    ]
  })
}

function named(app: string, id: string, note: string | null): FoundInstance {
  return { id: `${app}/${id}`, node: '', place: '', note }
}
