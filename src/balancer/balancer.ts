/**
 * Which endpoint serves this request?
 *
 * The facade of the core, and the one place that holds a mutable reference: the current routing table. A catalog comes
 * in, picks go out, and each pick carries its own `report`; nothing else flows back.
 */

import type { Catalog, EndpointId } from './endpoint.ts'
import type { Picked, PoolContext } from './pool.ts'
import { emptyTable, isKnown, type RoutingTable, reconcile, type TableChange } from './table.ts'
import type { ServiceView, TableView } from './view.ts'

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
}

/**
 * @param context `now` is a clock in milliseconds that never goes back; `outlier` is asked at each report, so that
 * changed options hold at once; `observer` may throw.
 */
export function createBalancer(context: PoolContext): Balancer {
  let table: RoutingTable = emptyTable

  function viewService(name: string): ServiceView | null {
    const pool = table.pools.get(name)
    if (pool !== undefined) return { name, inCatalog: true, absent: pool.absent, ...pool.view() }
    if (!isKnown(table, name, context.now())) return null
    return { name, inCatalog: false, endpoints: [], absent: [], pickSpread: 0 }
  }

  return {
    update: (catalog) => {
      const { table: next, change } = reconcile(table, catalog, context)
      table = next
      return change
    },
    pick: (service, avoid = null) => {
      const picked = table.pools.get(service)?.pick(avoid)
      if (picked) return picked
      if (!isKnown(table, service, context.now())) return { kind: 'unknown-service' }
      return { kind: 'no-endpoints', retryAfterMs: null }
    },
    knows: (service) => isKnown(table, service, context.now()),
    viewService,
    view: () => ({
      services: [...table.pools.keys(), ...table.departed.keys()]
        .sort()
        .map(viewService)
        .filter((service) => service !== null),
    }),
  }
}
