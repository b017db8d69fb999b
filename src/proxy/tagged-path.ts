/**
 * Which route has a request target, and what is left of it for the endpoint? Pure.
 *
 * fabio compares the decoded path. So do we, but what is forwarded is what the client wrote, and behind the route's own
 * path it is judged as every target is (request-path.ts): a request that leaves its route with `..` is refused.
 */

import { role, rolesOf } from './field-names.ts'
import { faultIn, isAllowedTarget, isPlainTarget, originFormOf, type Route } from './request-path.ts'
import type { RouteTable, TagRoute, Way } from './route-table.ts'

/** @returns null when no route has it: it may name a service, or be no target at all */
export function taggedRouteOf(target: string, rawHeaders: readonly string[], table: RouteTable): Route | null {
  const plain = isPlainTarget(target)
  if (!plain && !isAllowedTarget(target)) return null
  const origin = originFormOf(target)
  if (origin === null) return null
  const queryStart = origin.indexOf('?')
  const pathEnd = queryStart < 0 ? origin.length : queryStart
  const path = plain ? origin : decoded(origin.slice(0, Math.min(pathEnd, mostOfInterest)))
  const route = table.find(table.hasHosts ? hostOf(rawHeaders) : '', path)
  if (route === null) return null

  const fault = plain ? null : firstFault(route, origin, path, pathEnd)
  if (fault !== null) return { kind: 'invalid', detail: fault }
  const { name: service, wayOf } = route
  const [way] = route.ways
  if (way === undefined) return null
  const first = { kind: 'route', service, ...along(way, origin, path) } as const
  if (wayOf === null) return first
  return { ...first, along: (endpoint) => along(wayOf.get(endpoint) ?? way, origin, path) }
}

function along(
  { strip, prepend }: Way,
  origin: string,
  path: string,
): { readonly target: string; readonly prefix: string } {
  const cut = strip !== '' && path.startsWith(strip) ? lengthAsSent(origin, strip.length) : 0
  const rest = origin.slice(cut)
  const target = rest.charCodeAt(0) === slash ? rest : `/${rest}`
  return { target: prepend + target, prefix: origin.slice(0, cut) }
}

const slash = 0x2f

/**
 * A route may end in the middle of a segment. That segment is the route's all the same: behind `/foo`, `/foobar/..` leaves it.
 * A strip may be longer than the route's path, and what is behind it is a path of its own: that is judged, too.
 */
function firstFault(route: TagRoute, origin: string, path: string, pathEnd: number): string | null {
  const restBehind = (length: number) => origin.slice(lengthAsSent(origin, length), pathEnd)
  const segmentEnd = route.path.endsWith('/') ? route.path.length - 1 : route.path.length
  const own = faultIn(restBehind(segmentEnd), true)
  if (own !== null) return own
  const strips = new Set(route.ways.map(({ strip }) => strip))
  for (const strip of strips) {
    // Where nothing is cut off it has been judged already.
    const fault = strip !== '' && path.startsWith(strip) ? faultIn(restBehind(strip.length)) : null
    if (fault !== null) return fault
  }
  return null
}

/** No claim has a path of more than 255 characters, each of which may be sent as three. */
const mostOfInterest = 3 * 255

const escaped = /%([0-9a-f]{2})/gi

/** One character for each byte: claims are ASCII. */
function decoded(path: string): string {
  return path.includes('%') ? path.replace(escaped, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))) : path
}

/** How many characters of `origin` are the first `length` of its decoded path, none of which is a percent sign. */
function lengthAsSent(origin: string, length: number): number {
  let at = 0
  for (let count = 0; count < length; count++) at += origin[at] === '%' ? 3 : 1
  return at
}

/** '' when there is none. */
function hostOf(rawHeaders: readonly string[]): string {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if ((rolesOf(rawHeaders[index] as string) & role.host) !== 0) return rawHeaders[index + 1] as string
  }
  return ''
}
