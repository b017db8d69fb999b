/** Facts of a fleet that nothing is wrong with, to be spoilt in one place. */

import type { Facts, InstanceFacts, Probe, ServiceFacts } from '../../src/doctor/facts.ts'
import { placeKey } from '../../src/doctor/facts.ts'

export const connected: Probe = { kind: 'connected', http: null }

export function instance(id: string, more: Partial<InstanceFacts> = {}): InstanceFacts {
  const address = '192.0.2.1'
  const port = 8000 + Number(/\d+$/.exec(id)?.[0] ?? 0)
  const known = { node: 'n2', stated: address, standing: 'routed', reason: null, checks: 1 } as const
  return { id, address, port, place: `${address}:${port}`, connectTimeoutMs: 2000, ...known, ...more }
}

/** At this address, whatever port it has. */
export function at(address: string, id: string, more: Partial<InstanceFacts> = {}): InstanceFacts {
  const { port } = { ...instance(id), ...more }
  const host = address.includes(':') ? `[${address}]` : address
  return instance(id, { address, stated: address, place: `${host}:${port}`, ...more })
}

export function service(
  name: string,
  instances: readonly InstanceFacts[],
  more: Partial<ServiceFacts> = {},
): ServiceFacts {
  return { name, isExcluded: false, instances, untagged: null, oddities: [], standbys: [], ...more }
}

/** Everything connects, unless `probes` says something else of an instance's id. */
export function facts(
  services: readonly ServiceFacts[],
  { probes = {}, ...more }: Partial<Omit<Facts, 'probes'>> & { readonly probes?: Readonly<Record<string, Probe>> } = {},
): Facts {
  const all = services.flatMap(({ instances }) => instances)
  return {
    from: 'http://192.0.2.9:8500',
    source: 'consul',
    registry: { kind: 'none' },
    strays: [],
    warnings: [],
    others: null,
    basePath: '',
    only: null,
    listed: services.length,
    excluded: 0,
    services,
    unread: [],
    answers: [{ query: '/v1/catalog/services', index: '7', knowsLeader: true, lastContactMs: 0, clockAheadMs: 0 }],
    ownNode: null,
    agentIsHere: false,
    churn: { watchedMs: 3000, checks: [] },
    ...more,
    probes: new Map(all.map((each) => [placeKey(each), probes[each.id] ?? connected])),
  }
}

export const well = facts([
  service('account', [instance('a1'), instance('a2'), instance('a3')]),
  service('quotes', [instance('q4')]),
])
