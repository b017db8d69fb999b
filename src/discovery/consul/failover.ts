/**
 * Which datacenter serves a service? The first one has it as long as it has an endpoint of it in rotation; then the
 * datacenters that the service's list names, in that order. Pure.
 *
 * Endpoints that are not used because an earlier datacenter is preferred are listed as absent with that reason, so that
 * whoever judges a change knows that their leaving is meant, and an operator sees what is held in reserve.
 */

import type { AbsentInstance, Catalog, CatalogService } from '../../balancer/endpoint.ts'
import { escapeGlob, matchesAny } from '../glob.ts'
import type { NameRules } from '../names.ts'
import { compareText } from '../untrusted-text.ts'

/** Service → datacenters to ask, best first, while the first one has no endpoint of it. */
export type FailoverOrder = ReadonlyMap<string, readonly string[]>

/** The last catalog of each datacenter that has given one. */
export type StandbyCatalogs = ReadonlyMap<string, Catalog>

/** What one datacenter says of the service. `datacenter` null: the first one. */
interface Place {
  readonly datacenter: string | null
  readonly service: CatalogService
}

/**
 * The catalog to route by: the primary's, but for the services of `order`. One that any of its datacenters lists is in it,
 * if without endpoints, for its name is known. Services are ordered by name if the primary's are.
 */
export function mergeFailover(primary: Catalog, standbys: StandbyCatalogs, order: FailoverOrder): Catalog {
  const services = new Map(primary.services)
  let foreign = false
  for (const [name, datacenters] of order) {
    const places = placesOf(name, primary, standbys, datacenters)
    if (places.every(({ datacenter }) => datacenter === null)) continue
    foreign ||= !services.has(name)
    services.set(name, mergePlaces(places))
  }
  if (!foreign) return { services }
  return { services: new Map([...services].sort(([a], [b]) => compareText(a, b))) }
}

/**
 * The datacenters on which the endpoints of `name` depend besides the first one: those up to the one that serves it now,
 * or all when none does.
 */
export function reachedDatacenters(
  name: string,
  primary: Catalog,
  standbys: StandbyCatalogs,
  order: FailoverOrder,
): readonly string[] {
  const datacenters = order.get(name) ?? []
  const has = (catalog: Catalog | undefined) => (catalog?.services.get(name)?.endpoints.length ?? 0) > 0
  if (has(primary)) return []
  const serving = datacenters.findIndex((datacenter) => has(standbys.get(datacenter)))
  return serving < 0 ? datacenters : datacenters.slice(0, serving + 1)
}

/** What the sources of the standbys are made of. */
export interface FailoverPlan {
  readonly order: FailoverOrder
  /** Datacenter → the names to follow there, as `include` globs that match these names only. */
  readonly include: ReadonlyMap<string, readonly string[]>
}

/**
 * @param wanted service → its failover list as it was configured; empty lists mean nothing
 * @param rules what is routed at all: a service that is left out there has no standby either
 * @param home the datacenter that is asked first, which is nobody's standby; null: the agent's own, whichever that is
 */
export function planFailover(wanted: FailoverOrder, rules: NameRules, home: string | null): FailoverPlan {
  const order = new Map<string, readonly string[]>()
  const include = new Map<string, string[]>()
  for (const [name, list] of wanted) {
    if (!matchesAny(rules.include, name) || matchesAny(rules.exclude, name)) continue
    const datacenters = [...new Set(list)].filter((datacenter) => datacenter !== home)
    if (datacenters.length === 0) continue
    order.set(name, datacenters)
    for (const datacenter of datacenters) {
      include.set(datacenter, [...(include.get(datacenter) ?? []), escapeGlob(name)])
    }
  }
  return { order, include }
}

function placesOf(
  name: string,
  primary: Catalog,
  standbys: StandbyCatalogs,
  datacenters: readonly string[],
): readonly Place[] {
  const of = (datacenter: string | null, catalog: Catalog | undefined): Place[] => {
    const service = catalog?.services.get(name)
    return service === undefined ? [] : [{ datacenter, service }]
  }
  return [...of(null, primary), ...[...new Set(datacenters)].flatMap((each) => of(each, standbys.get(each)))]
}

function mergePlaces(places: readonly Place[]): CatalogService {
  const found = places.findIndex(({ service }) => service.endpoints.length > 0)
  const serving = found < 0 ? places.length : found
  const endpoints = places[serving]?.service.endpoints ?? []
  // Two datacenters may number their machines alike: what is in rotation does not stand by.
  const inRotation = new Set(endpoints.map(({ id }) => id))
  const absent = places.flatMap(({ datacenter, service }, at): readonly AbsentInstance[] => {
    if (at <= serving) return service.absent.map((absentee) => located(absentee, datacenter))
    const reason = `stands by in datacenter ${JSON.stringify(datacenter)}`
    return service.endpoints
      .filter(({ id }) => !inRotation.has(id))
      .map(({ id, instance }) => ({ instance, address: id, reason }))
  })
  return { endpoints, absent }
}

function located(absentee: AbsentInstance, datacenter: string | null): AbsentInstance {
  if (datacenter === null) return absentee
  const { unread: _, ...own } = absentee
  // Only the first datacenter's silence leaves a service as it was.
  return { ...own, reason: `in datacenter ${JSON.stringify(datacenter)}: ${absentee.reason}` }
}
