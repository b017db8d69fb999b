/** Which services are there? One immutable table, replaced whenever the catalog changes. */

import { type Catalog, type CatalogService, type Endpoint, sameService } from './endpoint.ts'
import { Pool, type PoolContext } from './pool.ts'

export interface RoutingTable {
  readonly pools: ReadonlyMap<string, Pool>
  /** Services that left the catalog, and until when (clock, ms) they are still known. */
  readonly departed: ReadonlyMap<string, number>
}

/** What became of one service. */
export interface ServiceChange {
  readonly name: string
  readonly kind: 'added' | 'removed' | 'changed'
  readonly joined: readonly Endpoint[]
  readonly left: readonly Endpoint[]
  readonly reweighted: readonly Endpoint[]
}

export type TableChange =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'changed'; readonly services: readonly ServiceChange[] }

export const emptyTable: RoutingTable = { pools: new Map(), departed: new Map() }

/** A service that left is answered 503 for this long, and 404 after. */
export const rememberDepartedMs = 10 * 60_000
/** Names that come and go must not fill the memory. */
const maxDeparted = 10_000

/**
 * The table for a new catalog. An equal catalog gives the same table; services and endpoints that stay keep their
 * pool, health, place and what they have in flight, whatever else changed.
 */
export function reconcile(
  previous: RoutingTable,
  catalog: Catalog,
  context: PoolContext,
): { readonly table: RoutingTable; readonly change: TableChange } {
  const changes: ServiceChange[] = []
  // Most changes are within a service: then the list, of thousands perhaps, is not made anew.
  const pools = hasSameNames(previous, catalog) ? null : new Map<string, Pool>()
  // What is in the first catalog of all has not joined: it was there before we were.
  const joinedMs = previous === emptyTable ? Number.NEGATIVE_INFINITY : context.now()
  for (const [name, service] of catalog.services) {
    const pool = previous.pools.get(name)
    if (pool === undefined) {
      pools?.set(name, new Pool(name, service, context, joinedMs))
      changes.push({ name, kind: 'added', joined: service.endpoints, left: [], reweighted: [] })
      continue
    }
    pools?.set(name, pool)
    if (sameService(pool.service, service)) continue
    changes.push({ name, kind: 'changed', ...difference(pool.service, service) })
    pool.update(service)
  }
  for (const [name, pool] of previous.pools) {
    if (pools === null || pools.has(name)) continue
    changes.push({ name, kind: 'removed', joined: [], left: pool.service.endpoints, reweighted: [] })
    pool.update({ endpoints: [], absent: [] })
  }
  if (changes.length === 0) return { table: previous, change: { kind: 'unchanged' } }
  return {
    table: { pools: pools ?? previous.pools, departed: departedAfter(previous, changes, context.now()) },
    change: { kind: 'changed', services: changes },
  }
}

function hasSameNames({ pools }: RoutingTable, { services }: Catalog): boolean {
  if (pools.size !== services.size) return false
  for (const name of services.keys()) if (!pools.has(name)) return false
  return true
}

/** True when the service is in the catalog, or left it so recently that it counts as known. */
export function isKnown(table: RoutingTable, service: string, nowMs: number): boolean {
  return table.pools.has(service) || (table.departed.get(service) ?? 0) > nowMs
}

function difference(before: CatalogService, after: CatalogService) {
  const former = new Map(before.endpoints.map((endpoint) => [endpoint.id, endpoint]))
  const present = new Set(after.endpoints.map((endpoint) => endpoint.id))
  return {
    joined: after.endpoints.filter((endpoint) => !former.has(endpoint.id)),
    left: before.endpoints.filter((endpoint) => !present.has(endpoint.id)),
    reweighted: after.endpoints.filter((endpoint) => {
      const old = former.get(endpoint.id)
      return old !== undefined && old.weight !== endpoint.weight
    }),
  }
}

function departedAfter(
  previous: RoutingTable,
  changes: readonly ServiceChange[],
  nowMs: number,
): ReadonlyMap<string, number> {
  const departed = new Map([...previous.departed].filter(([, untilMs]) => untilMs > nowMs))
  for (const change of changes) {
    departed.delete(change.name)
    if (change.kind === 'removed') departed.set(change.name, nowMs + rememberDepartedMs)
  }
  for (const name of departed.keys()) {
    if (departed.size <= maxDeparted) break
    departed.delete(name)
  }
  return departed
}
