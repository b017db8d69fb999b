/**
 * Which service does a request target name, and what path is left for the endpoint?
 *
 * The target is judged as it came, before any routing: what could be read in two ways is refused, and what is
 * forwarded is never decoded, so that nothing is decoded twice. RFC 9112 §3.2, RFC 3986 §3.3 and §5.2.4.
 */

export type Route =
  | {
      readonly kind: 'route'
      readonly service: string
      /** Origin-form target for the endpoint, query included: starts with a slash. */
      readonly target: string
      /** What was cut off in front of it, as the client wrote it; empty when nothing was. */
      readonly prefix: string
      /** What both of them are for an endpoint that wants them otherwise. Absent: there is none. */
      readonly along?: (endpoint: string) => { readonly target: string; readonly prefix: string }
    }
  | { readonly kind: 'invalid'; readonly detail: string }

/**
 * All that anything can be wrong with. Most targets have none of it, and this one look says so: a regular expression
 * reads a string in less time than a loop over its characters.
 */
const worthALook = /[^!-"$&-[\]-~]|\.\./

/** Visible ASCII without `#`: a fragment never belongs in a request target, and anything else must be encoded. */
const allowedTarget = /^[!-"$-~]+$/
const absoluteForm = /^https?:\/\/[^/?]*/i

/** True for a target with nothing in it that could be read in two ways. */
export function isPlainTarget(target: string): boolean {
  return !worthALook.test(target)
}

/** True for a target of characters that may stand in one. */
export function isAllowedTarget(target: string): boolean {
  return allowedTarget.test(target)
}

/**
 * @param target the request target as sent: origin-form or absolute-form
 * @param basePath empty, or a path that starts with a slash and does not end with one
 * @param stripsPrefix whether endpoints of a service see the path without base path and service name
 */
export function routeOf(target: string, basePath: string, stripsPrefix: (service: string) => boolean): Route {
  const plain = isPlainTarget(target)
  if (!plain && !isAllowedTarget(target)) {
    return invalid('The request target has a character that must be percent-encoded, or a fragment.')
  }
  const origin = originFormOf(target)
  if (origin === null) return invalid('The request target is neither a path nor an http URL.')

  const queryStart = origin.indexOf('?')
  const pathEnd = queryStart < 0 ? origin.length : queryStart
  const serviceStart = basePath.length + 1
  if (!origin.startsWith(basePath) || origin.charCodeAt(basePath.length) !== slash) {
    return invalid(`The path must be ${basePath}/<service>/<path>.`)
  }
  const nextSlash = origin.indexOf('/', serviceStart)
  const serviceEnd = nextSlash < 0 || nextSlash > pathEnd ? pathEnd : nextSlash
  const service = serviceNamed(origin.slice(serviceStart, serviceEnd), plain)
  if (service === null) return invalid(`The path must be ${basePath}/<service>/<path>, and it names no service.`)

  const fault = plain ? null : faultIn(origin.slice(serviceEnd, pathEnd))
  if (fault !== null) return invalid(fault)
  if (!stripsPrefix(service)) return { kind: 'route', service, target: origin, prefix: '' }
  const rest = origin.slice(serviceEnd)
  const hasPath = serviceEnd < pathEnd
  return { kind: 'route', service, target: hasPath ? rest : `/${rest}`, prefix: origin.slice(0, serviceEnd) }
}

const slash = 0x2f

function invalid(detail: string): Route {
  return { kind: 'invalid', detail }
}

/** The target without scheme and authority: it starts with a slash. null: it is neither a path nor an http URL. */
export function originFormOf(target: string): string | null {
  if (target.charCodeAt(0) === slash) return target
  const authority = absoluteForm.exec(target)
  if (authority === null) return null
  const rest = target.slice(authority[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** The decoded name, or null when the segment is not one: a name with a slash or a dot-segment routes nowhere. */
function serviceNamed(segment: string, plain: boolean): string | null {
  if (plain) return segment === '' || segment === '.' ? null : segment
  if (!segment.includes('%')) return isName(segment) ? segment : null
  try {
    const decoded = decodeURIComponent(segment)
    return isName(decoded) ? decoded : null
  } catch {
    return null
  }
}

function isName(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return name !== '' && name !== '.' && name !== '..' && !/[/\\\u0000-\u001f\u007f]/.test(name)
}

/**
 * What is wrong with the path behind the service name, or behind a route's own path; null when nothing is.
 * @param isWithin true: `rest` starts in the middle of a segment, or at its end, and what belongs to that is no step
 */
export function faultIn(rest: string, isWithin = false): string | null {
  if (rest.includes('\\')) return 'The path has a backslash, which some servers take for a slash: encode it as %5C.'
  if (rest.includes('%')) {
    if (/%(?![0-9a-f]{2})/i.test(rest)) return 'The path has a percent sign that two hexadecimal digits do not follow.'
    if (/%(?:[01][0-9a-f]|7f)/i.test(rest)) return 'The path has an encoded control character.'
    if (overlong.test(rest)) return 'The path has a character in overlong encoding.'
  }
  // Servers disagree whether %2F and %5C separate segments, so the path must stay inside under every reading.
  if (!/(?:\.|%2e){2}/i.test(rest)) return null
  const dotsDecoded = rest.replace(/%2e/gi, '.')
  const readings = /%2f|%5c/i.test(dotsDecoded) ? separators : separators.slice(0, 1)
  return readings.some((separator) => climbsOut(dotsDecoded.split(separator).slice(isWithin ? 1 : 0)))
    ? 'The path leaves its service with "..".'
    : null
}

/** UTF-8 that spells a character with more bytes than it needs (RFC 3629 §3): to a lax decoder, a dot or a slash. */
const overlong = /%(?:c[01]|e0%[89]|f0%8)/i
const mayBeDots = /^\.{0,2}(?:;|%3b)/i
const separators: readonly RegExp[] = [/\//, /\/|%2f/i, /\/|%5c/i, /\/|%2f|%5c/i]

/**
 * True when `..` segments go above the start. Empty and `.` segments add no depth: some servers drop them. Nor do path
 * parameters: to some servers `..;x` is `..`.
 */
function climbsOut(segments: readonly string[]): boolean {
  let depth = 0
  for (const segment of segments) {
    // Most are of letters, and nothing that is cut off makes dots of those: 8 KB of `a/../` shall not cost a millisecond.
    const name = mayBeDots.test(segment) ? segment.replace(/(?:;|%3b).*$/i, '') : segment
    if (name === '..') depth--
    else if (name !== '' && name !== '.') depth++
    if (depth < 0) return true
  }
  return false
}
