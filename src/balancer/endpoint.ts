/**
 * What do we route to, and what is a catalog?
 *
 * An endpoint's identity is its `address:port`. Two catalog instances that name the same address and port are one
 * place to send a request, so they are one endpoint (docs/decisions/001-endpoint-identity.md).
 */

/** `address:port`, IPv6 in brackets: `10.0.0.5:8080`, `[fd00::5]:8080`. Unique within a service. */
export type EndpointId = string

/** One place that can serve requests of one service. */
export interface Endpoint {
  readonly id: EndpointId
  /** The catalog's own id of the instance, for people to recognise it. Never trusted, never an identity. */
  readonly instance: string
  /** An IP address or a host name; IPv6 without brackets. */
  readonly address: string
  /** 1–65535 */
  readonly port: number
  /** Share of traffic relative to its siblings: an integer, 1–65535. */
  readonly weight: number
  /** The catalog leaves it out, which is not believed yet: it stays, and a failed connect to it surprises nobody. */
  readonly doubted?: true
  /** The sources of the catalog that name it, in their order. */
  readonly sources?: readonly string[]
  /** The requests that its tags ask for; absent: none. */
  readonly claims?: readonly RouteClaim[]
}

/** Requests that an instance asks for by host and path, beside those for its service (docs/decisions/036-fabio-tags.md). */
export interface RouteClaim {
  /** Lower case, with its port unless that is 80; `*` in front stands for whatever comes before; '' is any host. */
  readonly host: string
  /** What the path starts with. */
  readonly path: string
  /** Cut off the front of the path where it stands there; '': nothing. */
  readonly strip: string
  /** Then put in front of it; '': nothing. */
  readonly prepend: string
  /** Its part of these requests, above 0; null: an equal part of what others leave. */
  readonly share: number | null
  /** It asks for something that cannot be done, in words for an operator: it gets none. null: nothing is wrong. */
  readonly refused: string | null
}

/** An instance that the catalog knows but that gets no traffic, and why, in words for an operator. */
export interface AbsentInstance {
  readonly instance: string
  /** `address:port` as far as it is known. */
  readonly address: string
  /** One short clause, e.g. `check "http" is critical` or `in maintenance mode`. */
  readonly reason: string
  /** Nothing is said against the instance itself: the agent of its node is not heard of, and that is all. */
  readonly agentLost?: true
  /** No instance, but the word that there has been no answer about this service yet. */
  readonly unread?: true
  /** The sources of the catalog that say so, in their order. */
  readonly sources?: readonly string[]
  /** As of an endpoint: others do not get these requests because this one cannot. */
  readonly claims?: readonly RouteClaim[]
}

/** All that discovery says of one service. */
export interface CatalogService {
  /** In rotation; ordered by `compareEndpoints`, no id twice. */
  readonly endpoints: readonly Endpoint[]
  /** Known, but out of rotation. */
  readonly absent: readonly AbsentInstance[]
}

/** One complete, immutable answer of discovery: every service there is, by name. */
export interface Catalog {
  readonly services: ReadonlyMap<string, CatalogService>
}

/** The id of an address and a port (1–65535). */
export function endpointId(address: string, port: number): EndpointId {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** A fixed total order of endpoints, so that equal catalogs are equal lists: by id, in code units. */
export function compareEndpoints(a: Endpoint, b: Endpoint): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return (
    a.id === b.id &&
    a.weight === b.weight &&
    a.instance === b.instance &&
    a.doubted === b.doubted &&
    sameSources(a.sources, b.sources) &&
    sameClaims(a.claims, b.claims)
  )
}

function sameClaims(a: readonly RouteClaim[] = [], b: readonly RouteClaim[] = []): boolean {
  return sameList(
    a,
    b,
    (x, y) =>
      x.host === y.host &&
      x.path === y.path &&
      x.strip === y.strip &&
      x.prepend === y.prepend &&
      x.share === y.share &&
      x.refused === y.refused,
  )
}

/** Equal in content, whatever the object identity: the test for "nothing changed". */
export function sameService(a: CatalogService, b: CatalogService): boolean {
  if (a === b) return true
  return (
    sameList(a.endpoints, b.endpoints, sameEndpoint) &&
    sameList(
      a.absent,
      b.absent,
      (x, y) =>
        x.instance === y.instance &&
        x.address === y.address &&
        x.reason === y.reason &&
        x.agentLost === y.agentLost &&
        x.unread === y.unread &&
        sameSources(x.sources, y.sources) &&
        sameClaims(x.claims, y.claims),
    )
  )
}

/** Equal in content: the same services with the same endpoints and absentees. */
export function sameCatalog(a: Catalog, b: Catalog): boolean {
  if (a === b) return true
  if (a.services.size !== b.services.size) return false
  for (const [name, service] of a.services) {
    const other = b.services.get(name)
    if (other === undefined || !sameService(service, other)) return false
  }
  return true
}

function sameSources(a: readonly string[] = [], b: readonly string[] = []): boolean {
  return a.length === b.length && a.every((source, index) => source === b[index])
}

function sameList<T>(a: readonly T[], b: readonly T[], same: (x: T, y: T) => boolean): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  return a.every((item, index) => same(item, b[index] as T))
}
