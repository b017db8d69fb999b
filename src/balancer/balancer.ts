/**
 * Which endpoint serves this request?
 *
 * The facade of the core, and the one place that holds a mutable reference: the current routing table. A catalog comes
 * in, picks go out, and each pick carries its own `report`; nothing else flows back.
 */

import { Drains } from './drains.ts'
import type { Catalog, EndpointId } from './endpoint.ts'
import { tell } from './observer.ts'
import type { BalancerContext, Picked, Pool, PoolContext } from './pool.ts'
import { emptyTable, isKnown, type RoutingTable, reconcile, type ServiceChange, type TableChange } from './table.ts'
import { Vacancies } from './vacancies.ts'
import type { ServiceView, Standing, TableView, Vitals } from './view.ts'

export type { Picked } from './pool.ts'
export type { ServiceChange, TableChange } from './table.ts'
export type { PickRole } from './verdict.ts'
export type { Standing } from './view.ts'

export type Pick =
  | Picked
  | { readonly kind: 'unknown-service' }
  /** Known, but nobody may serve it. `retryAfterMs`: when that may have changed; null when nobody can tell. */
  | {
      readonly kind: 'no-endpoints'
      readonly retryAfterMs: number | null
      /** Who there is, none of whom may be picked; null when the service has left the catalog. */
      readonly standing: Standing | null
    }

/** What came of a person's word on an endpoint. `too-many`: so many are drained that no more can be. */
export type HandResult = 'done' | 'unchanged' | 'unknown-service' | 'unknown-endpoint' | 'too-many'

/** What a person may say of an endpoint of the catalog. `by`: who, for other people to read; printable. */
export interface Hands {
  /**
   * No request goes to it until it is undrained; what is in flight finishes. It outlives changes of the catalog. Also of
   * an instance that the catalog keeps out of rotation: it will not come back by itself.
   */
  drain(service: string, endpoint: EndpointId, by: string): HandResult
  /** Back in its turn, with a clean record, unless it is ejected. Also of one that the catalog does not list now. */
  undrain(service: string, endpoint: EndpointId, by: string): HandResult
  /** As if a rule had tripped: for a while, and back through a probe. No cap applies. `unchanged`: it is out already. */
  eject(service: string, endpoint: EndpointId, by: string): HandResult
  /** Ends its ejection now, with a clean record. */
  restore(service: string, endpoint: EndpointId): HandResult
}

export interface Balancer extends Hands {
  /** Takes a complete catalog; the answer says what is different now. */
  update(catalog: Catalog): TableChange
  /**
   * Whose turn it is to serve a request for this service.
   * @param avoid endpoints that this request has tried already
   */
  pick(service: string, avoid?: ReadonlySet<EndpointId> | null): Pick
  /** True when the catalog has this service, or had it within the last ten minutes. */
  knows(service: string): boolean
  /** The whole table as plain data. */
  view(): TableView
  /** One service of it; null when it is not known. */
  viewService(service: string): ServiceView | null
  /** What requests have shown of one endpoint; null when it is not in the catalog. Cheap. */
  vitals(service: string, endpoint: EndpointId): Vitals | null
  /** Picks of each service since it joined. */
  traffic(): ReadonlyMap<string, number>
}

/**
 * @param context `now` is a clock in milliseconds that never goes back; `outlier` is asked at each report, and
 * `balancing` whenever weights are made, so that changed options hold at once; `observer` may throw.
 */
export function createBalancer(surroundings: BalancerContext): Balancer {
  const drains = new Drains()
  const context: PoolContext = { ...surroundings, drainOf: (service, endpoint) => drains.of(service, endpoint) }
  let table: RoutingTable = emptyTable
  const vacancies = new Vacancies()

  function noteVacancies(before: RoutingTable, services: readonly ServiceChange[]): void {
    const now = context.now()
    for (const { name, left } of services) {
      if (!isKnown(before, name, now)) vacancies.forget(name)
      const isVacant = (table.pools.get(name)?.service.endpoints.length ?? 0) === 0
      if (!isVacant) vacancies.ended(name, now)
      else if (left.length > 0) vacancies.began(name, now)
    }
    vacancies.prune((name) => isKnown(table, name, now))
  }

  function viewService(name: string): ServiceView | null {
    const pool = table.pools.get(name)
    const now = context.now()
    const drainedAway = [...drains.all(name)]
      .filter(([endpoint]) => pool?.has(endpoint) !== true)
      .map(([endpoint, { by, atMs }]) => ({ endpoint, by, agoMs: now - atMs }))
    if (pool !== undefined) return { name, inCatalog: true, drainedAway, ...pool.view() }
    // What a person drained is shown for as long as it holds.
    if (!isKnown(table, name, now) && drainedAway.length === 0) return null
    const panic = { picks: 0, agoMs: null }
    return { name, inCatalog: false, endpoints: [], absent: [], drainedAway, pickSpread: 0, panic }
  }

  /** Says something of an endpoint that is in the table. */
  function ofEndpoint(service: string, endpoint: EndpointId, say: (pool: Pool) => HandResult): HandResult {
    const pool = table.pools.get(service)
    return pool?.has(endpoint) === true ? say(pool) : unknown(service)
  }

  function unknown(service: string): HandResult {
    return isKnown(table, service, context.now()) ? 'unknown-endpoint' : 'unknown-service'
  }

  return {
    update: (catalog) => {
      const { table: next, change } = reconcile(table, catalog, context)
      const before = table
      table = next
      if (change.kind === 'changed') noteVacancies(before, change.services)
      return change
    },
    pick: (service, avoid = null) => {
      const pool = table.pools.get(service)
      const picked = pool?.pick(avoid)
      if (picked) return picked
      const now = context.now()
      if (!isKnown(table, service, now)) return { kind: 'unknown-service' }
      const retryAfterMs = vacancies.retryAfterMs(service, now)
      return { kind: 'no-endpoints', retryAfterMs, standing: pool?.standing ?? null }
    },
    knows: (service) => isKnown(table, service, context.now()),
    viewService,
    vitals: (service, endpoint) => table.pools.get(service)?.vitals(endpoint) ?? null,
    traffic: () => new Map([...table.pools].map(([name, { picks }]) => [name, picks])),
    view: () => ({
      services: [...new Set([...table.pools.keys(), ...table.departed.keys(), ...drains.services()])]
        .sort()
        .map(viewService)
        .filter((service) => service !== null),
    }),
    drain: (service, endpoint, by) => {
      if (drains.of(service, endpoint) !== null) return 'unchanged'
      const pool = table.pools.get(service)
      if (pool?.lists(endpoint) !== true) return unknown(service)
      const drain = { by, atMs: context.now() }
      if (!drains.add(service, endpoint, drain)) return 'too-many'
      pool.drain(endpoint, drain)
      tell(() => context.observer.onDrained(service, endpoint, by))
      return 'done'
    },
    undrain: (service, endpoint, by) => {
      if (!drains.remove(service, endpoint)) {
        return table.pools.get(service)?.lists(endpoint) === true ? 'unchanged' : unknown(service)
      }
      table.pools.get(service)?.drain(endpoint, null)
      tell(() => context.observer.onUndrained(service, endpoint, by))
      return 'done'
    },
    eject: (service, endpoint, by) =>
      ofEndpoint(service, endpoint, (pool) => (pool.eject(endpoint, by) ? 'done' : 'unchanged')),
    restore: (service, endpoint) =>
      ofEndpoint(service, endpoint, (pool) => (pool.restore(endpoint) ? 'done' : 'unchanged')),
  }
}
