/**
 * Which requests does an instance ask for with tags in fabio's way? Pure: tags in, claims out.
 *
 *     urlprefix-[host]/path [option …]
 *
 * The syntax is that of fabio's registry/consul/routecmd.go. What cannot be done as fabio does it is never done otherwise:
 * a tag whose option is not understood still claims its place, so that those requests are answered 503 and do not reach
 * whoever claims a shorter path. Whoever may register a service chooses the tags: their number and length are bounded.
 */

import type { RouteClaim } from '../balancer/endpoint.ts'
import { type Oddity, oddity } from './oddity.ts'
import { compareText, printable } from './untrusted-text.ts'

const PREFIX = 'urlprefix-'
/** Of one instance. */
export const MAX_CLAIMS = 64
/** A tag with its options. */
const MAX_TAG_LENGTH = 1024
/** Host and path: they name the route everywhere. */
const MAX_PLACE_LENGTH = 255
const MAX_SHOWN = 128
const MAX_SHARE = 1_000_000

/** Hears of a tag, and in one clause what is wrong with it. */
export type TellTag = (tag: string, words: string) => void

/**
 * The claims of an instance's tags, ordered by host and path, each place once. Never throws.
 * @param tags as a catalog has them: anything
 */
export function claimsOf(tags: unknown, tell: TellTag): readonly RouteClaim[] {
  const claims = new Map<string, RouteClaim>()
  for (const each of Array.isArray(tags) ? tags : []) {
    if (typeof each !== 'string' || !each.trimStart().startsWith(PREFIX)) continue
    const tag = each.trim()
    if (tag.length > MAX_TAG_LENGTH) {
      tell(tag, `it is longer than ${MAX_TAG_LENGTH} characters`)
      continue
    }
    const claim = claimOf(tag, tell)
    if (claim === null) continue
    if (claims.size === MAX_CLAIMS && !claims.has(placeOf(claim))) {
      tell(tag, `its instance has more than ${MAX_CLAIMS} such tags`)
      break
    }
    addClaim(claims, claim)
  }
  return inOrder(claims)
}

/** The claims of two instances at one address and port: they are one endpoint. */
export function bothClaims(a: readonly RouteClaim[], b: readonly RouteClaim[]): readonly RouteClaim[] {
  const claims = new Map<string, RouteClaim>()
  for (const claim of [...a, ...b]) if (claims.size < MAX_CLAIMS || claims.has(placeOf(claim))) addClaim(claims, claim)
  return inOrder(claims)
}

/**
 * As a part of an endpoint or absentee: its claims, if it has any.
 * @param instance printable
 * @param oddities gets what is wrong with its tags: by tag, so that many instances with the same one are one oddity
 */
export function readClaims(
  tags: unknown,
  instance: string,
  oddities: Oddity[],
): { readonly claims?: readonly RouteClaim[] } {
  const claims = claimsOf(tags, (tag, words) => {
    const shown = JSON.stringify(printable(tag, MAX_SHOWN))
    oddities.push(oddity('bad-route-tag', tag, `${words} (the tag ${shown} of "${instance}")`))
  })
  return claims.length === 0 ? {} : { claims }
}

/** What `claimsOf` made, back from a file; null: it could not have made this. */
export function claimsFrom(value: unknown): readonly RouteClaim[] | null {
  if (!Array.isArray(value) || value.length > MAX_CLAIMS || !value.every(isClaim)) return null
  return value.map(({ host, path, strip, prepend, share, refused }) => ({ host, path, strip, prepend, share, refused }))
}

function isClaim(value: unknown): value is RouteClaim {
  if (typeof value !== 'object' || value === null) return false
  const { host, path, strip, prepend, share, refused } = value as Readonly<Record<string, unknown>>
  return (
    typeof host === 'string' &&
    faultOfPlace(host, path) === null &&
    isPart(strip) &&
    isPart(prepend) &&
    (share === null || (typeof share === 'number' && share > 0 && share <= MAX_SHARE)) &&
    (refused === null || (typeof refused === 'string' && printable(refused, 2 * MAX_SHOWN) === refused))
  )
}

/** '' or what may be cut off a path, or put in front of it. */
function isPart(part: unknown): part is string {
  return part === '' || (typeof part === 'string' && part.length <= MAX_PLACE_LENGTH && faultOfPath(part) === null)
}

function faultOfPlace(host: string, path: unknown): string | null {
  if (typeof path !== 'string') return 'there is no path'
  if (host.length + path.length > MAX_PLACE_LENGTH) {
    return `host and path are longer than ${MAX_PLACE_LENGTH} characters`
  }
  return faultOfHost(host) ?? faultOfPath(path)
}

function addClaim(claims: Map<string, RouteClaim>, claim: RouteClaim): void {
  const place = placeOf(claim)
  const known = claims.get(place)
  // Which of them fabio would take depends on how they sort as text.
  const refused = known === undefined || saysTheSame(known, claim) ? claim.refused : 'two of its tags differ about it'
  claims.set(place, { ...claim, refused: known?.refused ?? refused })
}

function saysTheSame(a: RouteClaim, b: RouteClaim): boolean {
  return a.strip === b.strip && a.prepend === b.prepend && a.share === b.share && a.refused === b.refused
}

function placeOf({ host, path }: RouteClaim): string {
  return host + path
}

function inOrder(claims: ReadonlyMap<string, RouteClaim>): readonly RouteClaim[] {
  return [...claims].sort(([a], [b]) => compareText(a, b)).map(([, claim]) => claim)
}

/** null: it claims no place that a request could have. */
function claimOf(tag: string, tell: TellTag): RouteClaim | null {
  const text = tag.slice(PREFIX.length).trimStart()
  const end = text.indexOf(' ')
  const place = end < 0 ? text : text.slice(0, end)
  const options = end < 0 ? [] : text.slice(end).split(/\s+/).filter(Boolean)
  const slash = place.indexOf('/')
  if (slash < 0) {
    const isPort = place.startsWith(':') || options.some((option) => option.startsWith('proto=tcp'))
    tell(
      tag,
      isPort ? 'only HTTP is forwarded, and no TCP port' : 'a path must follow the host: write a slash at least',
    )
    return null
  }
  const host = place.slice(0, slash).toLowerCase().replace(/:80$/, '')
  const path = place.slice(slash)
  const fault = faultOfPlace(host, path)
  if (fault !== null) {
    tell(tag, fault)
    return null
  }
  return withOptions({ host, path, strip: '', prepend: '', share: null, refused: null }, options, tag, tell)
}

function withOptions(claim: RouteClaim, options: readonly string[], tag: string, tell: TellTag): RouteClaim {
  let { strip, prepend, share } = claim
  let refused: string | null = null
  for (const option of options) {
    const equals = option.indexOf('=')
    const name = equals < 0 ? option : option.slice(0, equals)
    const value = option.slice(name.length + 1)
    const isPath = isPart(value)
    if (name === 'strip' && isPath) strip = value
    else if (name === 'prepend' && isPath) prepend = value
    else if (name === 'weight' && /^-?(?:\d+\.?\d*|\.\d+)$/.test(value)) share = shareOf(value)
    else if (name === 'register') tell(tag, 'register= adds no service: see `register` in the config of this proxy')
    else if (option !== 'proto=http') refused ??= printable(option, MAX_SHOWN)
  }
  if (refused === null) return { ...claim, strip, prepend, share }
  tell(tag, `${refused} is not understood: requests for it are answered 503`)
  return { ...claim, refused: `its tag asks for ${refused}, which is not understood` }
}

/** null: none of its own. Shares above the whole are scaled down, so that no number need be greater than these. */
function shareOf(value: string): number | null {
  return Number(value) > 0 ? Math.min(MAX_SHARE, Number(value)) : null
}

/** What a pattern of hosts is that can be matched as fabio does; of globs, only a star in front of a whole name. */
function faultOfHost(host: string): string | null {
  if (/^(?:\*|(?:\*\.)?[a-z0-9_-][a-z0-9._-]*(?::\d{1,5})?)?$/.test(host)) return null
  return host.includes('$') ? 'variables are not understood' : 'its host is no name, and no `*.` in front of one'
}

function faultOfPath(path: string): string | null {
  if (!/^\/[!-~]*$/.test(path)) return 'a path starts with a slash and is of visible ASCII characters'
  if (/[*$]/.test(path)) return 'globs and variables in a path are not understood: requests are matched by prefix'
  // fabio compares with the decoded path, which no request can make contain these in another meaning.
  if (/[%?#\\]/.test(path)) return 'a path has no %, ?, # or backslash'
  const hasDots = path.split('/').some((segment) => /^\.{1,2}(?:;|$)/.test(segment))
  return hasDots ? 'a path has no segment of dots' : null
}
