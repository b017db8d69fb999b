/**
 * Which routes are claimed by tags right now, and what have requests on them shown? A route is a service of its own to the
 * balancer; this file knows which service's instances are behind it, so that what is asked about those counts it in.
 */

import type { Catalog, EndpointId } from '../balancer/endpoint.ts'
import type { Vitals } from '../balancer/view.ts'
import { withRoutes } from './route-catalog.ts'
import { type RouteTable, routeTable } from './route-table.ts'

export interface TagRoutesDeps {
  /** Asked at each step, so that a re-read config holds at once. */
  readonly isOn: () => boolean
  readonly vitals: (service: string, endpoint: EndpointId) => Vitals | null
  readonly traffic: () => ReadonlyMap<string, number>
  /** There are more routes than there are places for, and so many are left out. Told when that number changes. */
  readonly onLeftOut: (routes: number) => void
}

export interface TagRoutes {
  /** This is the catalog from now on: the answer is what the balancer is to route by. */
  take(catalog: Catalog): Catalog
  /** null: no request has to be looked up. */
  table(): RouteTable | null
  /** The service whose settings hold for a name: it is the name itself for all but routes of a single service. */
  settingsOf(name: string): string
  /** As the balancer's, with what an endpoint of a service has shown on its routes. */
  vitals(service: string, endpoint: EndpointId): Vitals | null
  /** As the balancer's, with the requests on a route counted for the services behind it. */
  traffic(): ReadonlyMap<string, number>
}

export function createTagRoutes(deps: TagRoutesDeps): TagRoutes {
  let given: Catalog = { services: new Map() }
  let table: RouteTable | null = null
  let owners: ReadonlyMap<string, string> = new Map()
  let leftOut = 0

  /** The names of the routes that an endpoint of a service serves. */
  function routesOf(service: string, endpoint: EndpointId): readonly string[] {
    const claims = given.services.get(service)?.endpoints.find(({ id }) => id === endpoint)?.claims ?? []
    return claims.map(({ host, path }) => host + path)
  }

  return {
    take(catalog) {
      given = catalog
      if (!deps.isOn()) {
        table = null
        owners = new Map()
        return catalog
      }
      const routed = withRoutes(catalog)
      table = routed.routes.length === 0 ? null : routeTable(routed.routes)
      owners = routed.owners
      if (routed.leftOut !== leftOut) deps.onLeftOut(routed.leftOut)
      leftOut = routed.leftOut
      return routed.catalog
    },
    table: () => (table !== null && deps.isOn() ? table : null),
    settingsOf: (name) => (owners.size === 0 ? name : (owners.get(name) ?? name)),
    vitals(service, endpoint) {
      const own = deps.vitals(service, endpoint)
      if (table === null || own === null) return own
      return routesOf(service, endpoint)
        .map((route) => deps.vitals(route, endpoint))
        .reduce<Vitals>((all, each) => (each === null ? all : both(all, each)), own)
    },
    traffic() {
      const picks = deps.traffic()
      if (table === null) return picks
      const all = new Map(picks)
      for (const [name, { endpoints }] of given.services) {
        const routes = new Set(endpoints.flatMap(({ claims = [] }) => claims.map(({ host, path }) => host + path)))
        for (const route of routes) all.set(name, (all.get(name) ?? 0) + (picks.get(route) ?? 0))
      }
      return all
    },
  }
}

/** Trouble on one route is trouble of the endpoint. */
function both(a: Vitals, b: Vitals): Vitals {
  return {
    goodAnswers: a.goodAnswers + b.goodAnswers,
    faultsInRow: Math.max(a.faultsInRow, b.faultsInRow),
    state: a.state === 'healthy' ? b.state : a.state,
  }
}
