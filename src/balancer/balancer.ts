/**
 * Which endpoint serves this request?
 *
 * The facade of the core, and the one place that holds a mutable reference: the current routing table. A catalog comes
 * in, picks go out, and each pick carries its own `report`; nothing else flows back.
 */

import type { Catalog, EndpointId } from './endpoint.ts'
import type { Picked, PoolContext } from './pool.ts'
import { emptyTable, isKnown, type RoutingTable, reconcile, type ServiceChange, type TableChange } from './table.ts'
import { Vacancies } from './vacancies.ts'
import type { ServiceView, TableView, Vitals } from './view.ts'

export type { Picked } from './pool.ts'
export type { ServiceChange, TableChange } from './table.ts'

export type Pick =
  | Picked
  | { readonly kind: 'unknown-service' }
  /** Known, but nobody may serve it. `retryAfterMs`: when that may have changed; null when nobody can tell. */
  | { readonly kind: 'no-endpoints'; readonly retryAfterMs: number | null }

export interface Balancer {
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
export function createBalancer(context: PoolContext): Balancer {
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
    if (pool !== undefined) return { name, inCatalog: true, absent: pool.absent, ...pool.view() }
    if (!isKnown(table, name, context.now())) return null
    return { name, inCatalog: false, endpoints: [], absent: [], pickSpread: 0 }
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
      const picked = table.pools.get(service)?.pick(avoid)
      if (picked) return picked
      const now = context.now()
      if (!isKnown(table, service, now)) return { kind: 'unknown-service' }
      return { kind: 'no-endpoints', retryAfterMs: vacancies.retryAfterMs(service, now) }
    },
    knows: (service) => isKnown(table, service, context.now()),
    viewService,
    vitals: (service, endpoint) => table.pools.get(service)?.vitals(endpoint) ?? null,
    traffic: () => new Map([...table.pools].map(([name, { picks }]) => [name, picks])),
    view: () => ({
      services: [...table.pools.keys(), ...table.departed.keys()]
        .sort()
        .map(viewService)
        .filter((service) => service !== null),
    }),
  }
}
