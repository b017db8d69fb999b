/**
 * Which routes are claimed by tags right now, and what have requests on them shown? A route is a service of its own to the
 * balancer; this file knows which service's instances are behind it, so that what is asked about those counts it in.
 */

import type { Balancer, HandResult, Hands } from '../balancer/balancer.ts'
import type { Catalog, EndpointId } from '../balancer/endpoint.ts'
import type { Vitals } from '../balancer/view.ts'
import { withRoutes } from './route-catalog.ts'
import { type RouteTable, routeTable } from './route-table.ts'

export interface TagRoutesDeps {
  /** Asked at each step, so that a re-read config holds at once. */
  readonly isOn: () => boolean
  readonly balancer: Pick<Balancer, 'vitals' | 'traffic' | keyof Hands>
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
  /** As the balancer's; what is said of an endpoint of a service is said of it on the routes that it serves by then, too. */
  readonly hands: Hands
}

export function createTagRoutes(deps: TagRoutesDeps): TagRoutes {
  const { balancer } = deps
  let given: Catalog = { services: new Map() }
  let table: RouteTable | null = null
  let owners: ReadonlyMap<string, string> = new Map()
  let leftOut = 0

  /** The names of the routes that an endpoint of a service serves. */
  function routesOf(service: string, endpoint: EndpointId): readonly string[] {
    const { endpoints = [], absent = [] } = given.services.get(service) ?? {}
    // A person may drain one that is out of rotation.
    const found = endpoints.find(({ id }) => id === endpoint) ?? absent.find(({ address }) => address === endpoint)
    return (found?.claims ?? []).map(({ host, path }) => host + path)
  }

  /** The answer is about the service: on a route it may have been said before. */
  function onAll(service: string, endpoint: EndpointId, say: (name: string) => HandResult): HandResult {
    const result = say(service)
    if (table !== null) for (const route of routesOf(service, endpoint)) say(route)
    return result
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
      const own = balancer.vitals(service, endpoint)
      if (table === null || own === null) return own
      return routesOf(service, endpoint)
        .map((route) => balancer.vitals(route, endpoint))
        .reduce<Vitals>((all, each) => (each === null ? all : both(all, each)), own)
    },
    traffic() {
      const picks = balancer.traffic()
      if (table === null) return picks
      const all = new Map(picks)
      for (const [name, { endpoints }] of given.services) {
        const routes = new Set(endpoints.flatMap(({ claims = [] }) => claims.map(({ host, path }) => host + path)))
        for (const route of routes) all.set(name, (all.get(name) ?? 0) + (picks.get(route) ?? 0))
      }
      return all
    },
    hands: {
      drain: (service, endpoint, by) => onAll(service, endpoint, (name) => balancer.drain(name, endpoint, by)),
      undrain: (service, endpoint, by) => onAll(service, endpoint, (name) => balancer.undrain(name, endpoint, by)),
      eject: (service, endpoint, by) => onAll(service, endpoint, (name) => balancer.eject(name, endpoint, by)),
      restore: (service, endpoint) => onAll(service, endpoint, (name) => balancer.restore(name, endpoint)),
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
