/**
 * Who serves each route that instances claim? Pure: a catalog goes in, and comes out with a service for each route beside
 * those that it has.
 *
 * A route's endpoints are exactly the instances that claim it, of whichever services. An instance that claims it and is out
 * of rotation, or asks for what cannot be done, is among its absentees: then its requests are answered 503, and do not
 * reach whoever claims a shorter path.
 */

import type { AbsentInstance, Catalog, CatalogService, Endpoint, EndpointId, RouteClaim } from '../balancer/endpoint.ts'
import { compareEndpoints } from '../balancer/endpoint.ts'
import type { TagRoute, Way } from './route-table.ts'

/** So many routes there may be, whatever the catalog says. */
export const MAX_ROUTES = 10_000
const maxWeight = 65_535
/** Of one route: a request that could be read in two ways is judged for each. During a deployment there are two. */
const maxWays = 16
/** Shares are told apart to this part of the whole, as by fabio. */
const shareUnits = 10_000

export interface RoutedCatalog {
  readonly catalog: Catalog
  readonly routes: readonly TagRoute[]
  /** Of a route all of whose instances are of one service, that service: its settings hold for the route. */
  readonly owners: ReadonlyMap<string, string>
  /** Which routes there are no more places for. */
  readonly leftOut: number
}

interface Claimed {
  readonly endpoint: Endpoint
  readonly share: number | null
  readonly way: Way
}

/** A route while it is put together. */
interface Draft {
  readonly host: string
  readonly path: string
  readonly services: Set<string>
  readonly claimed: Map<EndpointId, Claimed>
  readonly absent: AbsentInstance[]
  /** Each once. */
  readonly ways: Way[]
}

/** @param catalog of services whose names have no slash */
export function withRoutes(catalog: Catalog): RoutedCatalog {
  const { drafts, leftOut } = draftsOf(catalog)
  if (drafts.size === 0) return { catalog, routes: [], owners: new Map(), leftOut }
  const services = new Map(catalog.services)
  const owners = new Map<string, string>()
  const routes: TagRoute[] = []
  for (const [name, draft] of [...drafts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    services.set(name, serviceOf(draft))
    const [owner, ...others] = draft.services
    if (owner !== undefined && others.length === 0) owners.set(name, owner)
    routes.push(routeOf(name, draft))
  }
  return { catalog: { services }, routes, owners, leftOut }
}

function draftsOf(catalog: Catalog): { readonly drafts: ReadonlyMap<string, Draft>; readonly leftOut: number } {
  const drafts = new Map<string, Draft>()
  const leftOut = new Set<string>()
  const draftFor = (service: string, { host, path }: RouteClaim): Draft | null => {
    const name = host + path
    let draft = drafts.get(name)
    if (draft === undefined) {
      if (drafts.size === MAX_ROUTES) {
        if (leftOut.size < MAX_ROUTES) leftOut.add(name)
        return null
      }
      draft = { host, path, services: new Set(), claimed: new Map(), absent: [], ways: [] }
      drafts.set(name, draft)
    }
    draft.services.add(service)
    return draft
  }
  for (const [service, { endpoints, absent }] of catalog.services) {
    for (const endpoint of endpoints) {
      for (const claim of endpoint.claims ?? []) {
        const draft = draftFor(service, claim)
        if (draft !== null) addClaim(draft, endpoint, claim)
      }
    }
    for (const { claims = [], unread: _, ...rest } of absent) {
      for (const claim of claims) draftFor(service, claim)?.absent.push(rest)
    }
  }
  return { drafts, leftOut: leftOut.size }
}

function addClaim(draft: Draft, endpoint: Endpoint, { strip, prepend, share, refused }: RouteClaim): void {
  const { claimed, absent, ways } = draft
  if (refused !== null) return void absent.push(absentee(endpoint, refused))
  if (claimed.has(endpoint.id)) return
  let way = ways.find((each) => each.strip === strip && each.prepend === prepend)
  if (way === undefined && ways.length === maxWays) {
    return void absent.push(absentee(endpoint, `its tag has other options than those of ${maxWays} others`))
  }
  if (way === undefined) {
    way = { strip, prepend }
    ways.push(way)
  }
  claimed.set(endpoint.id, { endpoint, share, way })
}

function absentee({ id, instance }: Endpoint, reason: string): AbsentInstance {
  return { instance, address: id, reason }
}

function serviceOf({ claimed, absent }: Draft): CatalogService {
  const list = [...claimed.values()]
  const weights = weightsOf(list.map(({ share }) => share))
  const endpoints: Endpoint[] = []
  const others = absent.filter(({ address }) => !claimed.has(address))
  for (const [at, { endpoint }] of list.entries()) {
    const { claims: _, ...place } = endpoint
    const weight = weights === null ? place.weight : (weights[at] ?? 0)
    if (weight > 0) endpoints.push({ ...place, weight })
    else others.push(absentee(endpoint, 'the weight= of the others leaves it nothing'))
  }
  return { endpoints: endpoints.sort(compareEndpoints), absent: others }
}

/**
 * fabio's rule (route/route.go, weighTargets): fixed shares are kept unless they are more than the whole, or the whole of
 * the targets; the others have equal parts of what is left.
 * @returns whole numbers, 0 for who gets nothing; null when nobody has a fixed share
 */
export function weightsOf(shares: readonly (number | null)[]): readonly number[] | null {
  const fixed = shares.filter((share) => share !== null)
  if (fixed.length === 0) return null
  const sum = fixed.reduce((total, share) => total + share, 0)
  const isScaled = sum > 1 || fixed.length === shares.length
  // What 0.9 and 0.1 leave is not quite nothing.
  const left = sum > 1 - 1e-9 ? 0 : (1 - sum) / Math.max(1, shares.length - fixed.length)
  const units = shares.map((share) => unitsOf(share === null ? left : isScaled ? share / sum : share))
  const divisor = units.reduce(greatestCommonDivisor, 0)
  return units.map((each) => Math.min(maxWeight, each / divisor))
}

function unitsOf(share: number): number {
  return share === 0 ? 0 : Math.max(1, Math.round(share * shareUnits))
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

function routeOf(name: string, { host, path, claimed, ways }: Draft): TagRoute {
  if (ways.length <= 1) return { name, host, path, ways: ways.length === 0 ? [asItIs] : ways, wayOf: null }
  return { name, host, path, ways, wayOf: new Map([...claimed].map(([id, { way }]) => [id, way])) }
}

const asItIs: Way = { strip: '', prepend: '' }
