/**
 * Which headers pass, which stay, and which does the proxy add? Pure; raw headers in, raw headers out.
 * RFC 9110 §7.6 (intermediaries), §7.6.1 (Connection), §7.6.3 (Via).
 */

import type { ExchangeRequest, RawHeaders } from './exchange.ts'
import { role, rolesOf, trimBlanks } from './field-names.ts'
import { ownText } from './own-text.ts'

/** The first value of a header; null when it is absent. `name` in lower case. */
export function headerValue(headers: RawHeaders, name: string): string | null {
  for (let index = 0; index < headers.length; index += 2) {
    if (isNamed(headers[index] as string, name)) return headers[index + 1] as string
  }
  return null
}

/** Every value of a header, in order. `name` in lower case. */
export function headerValues(headers: RawHeaders, name: string): string[] {
  const values: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    if (isNamed(headers[index] as string, name)) values.push(headers[index + 1] as string)
  }
  return values
}

/** The same but for the case of `key`. Most names differ at once: nothing is lower-cased until the ends agree. */
export function isNamed(key: string, name: string): boolean {
  const last = name.length - 1
  if (key.length !== last + 1) return false
  if (((key.charCodeAt(0) ^ name.charCodeAt(0)) & ~caseBit) !== 0) return false
  if (((key.charCodeAt(last) ^ name.charCodeAt(last)) & ~caseBit) !== 0) return false
  return key === name || key.toLowerCase() === name
}

const caseBit = 0x20

/**
 * The headers that pass to the next hop: all but hop-by-hop ones, those that `Connection` names, and those with a role
 * in `drop`. Order, case and duplicates stay as they are.
 * @param drop roles of field-names.ts, or-ed
 */
export function endToEnd(headers: RawHeaders, drop: number): string[] {
  const stays = drop | role.hopByHop
  const passing: string[] = []
  let named: Set<string> | null = null
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] as string
    const roles = rolesOf(name)
    if ((roles & stays) === 0) passing.push(name, headers[index + 1] as string)
    else if ((roles & role.connection) !== 0) named = withNamed(headers[index + 1] as string, named)
  }
  return named === null ? passing : without(passing, named)
}

/** Adds what one `Connection` names, in lower case. */
function withNamed(value: string, known: Set<string> | null): Set<string> | null {
  if (value === 'keep-alive' || value === 'close' || value === 'Upgrade') return known
  let named = known
  for (const part of value.split(',')) {
    const name = trimBlanks(part).toLowerCase()
    if (name === '' || name === 'close' || name === 'keep-alive' || name === 'upgrade') continue
    if ((rolesOf(name) & role.neverStripped) !== 0) continue
    named ??= new Set()
    named.add(name)
  }
  return named
}

function without(headers: RawHeaders, names: ReadonlySet<string>): string[] {
  const rest: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] as string
    if (!names.has(name.toLowerCase())) rest.push(name, headers[index + 1] as string)
  }
  return rest
}

/** The trailer fields that pass to the next hop. */
export function trailersOf(trailers: RawHeaders): string[] {
  return endToEnd(trailers, role.neverTrailer)
}

/** The first trailer field that must not be one, in its own spelling; null when there is none. */
export function forbiddenTrailer(trailers: RawHeaders): string | null {
  for (let index = 0; index < trailers.length; index += 2) {
    const name = trailers[index] as string
    if ((rolesOf(name) & role.neverTrailer) !== 0) return name
  }
  return null
}

/** Who sent this request, once trusted proxies in front are looked through. */
export interface Origin {
  readonly clientIp: string
  readonly trusted: boolean
}

/**
 * The nearest address that is not a trusted proxy: the peer, or behind trusted ones the right-most untrusted entry of
 * `X-Forwarded-For`.
 */
export function originOf(request: ExchangeRequest, isTrusted: (address: string) => boolean): Origin {
  const { clientAddress, rawHeaders } = request
  if (!isTrusted(clientAddress)) return { clientIp: clientAddress, trusted: false }
  let clientIp = clientAddress
  for (let index = rawHeaders.length - 2; index >= 0; index -= 2) {
    if ((rolesOf(rawHeaders[index] as string) & role.forwardedFor) === 0) continue
    const list = rawHeaders[index + 1] as string
    for (let end = list.length; end >= 0; ) {
      const comma = end === 0 ? -1 : list.lastIndexOf(',', end - 1)
      const address = trimBlanks(list.slice(comma + 1, end))
      if (!addressLike.test(address)) return { clientIp, trusted: true }
      clientIp = address
      if (!isTrusted(address)) return { clientIp, trusted: true }
      end = comma
    }
  }
  return { clientIp, trusted: true }
}

const addressLike = /^[0-9a-f.:]{3,45}$/i

/**
 * The headers of the request to the endpoint, but for those of the connection and of framing.
 * @param prefix what was cut off the path; empty when nothing was
 * @param traceparent made here, in place of what the client said of a trace; null: what it said passes
 */
export function requestHeaders(
  request: ExchangeRequest,
  origin: Origin,
  requestId: string,
  prefix: string,
  traceparent: string | null,
): string[] {
  const { rawHeaders } = request
  const replaced = traceparent === null ? 0 : role.trace
  const headers = endToEnd(rawHeaders, replaced | (origin.trusted ? role.droppedFromTrusted : role.droppedFromAnyone))
  const way = origin.trusted ? wayBehind(request, prefix) : wayHere(request, prefix)
  // Added behind the others: no `Connection` takes away what the proxy says itself.
  headers.push('X-Forwarded-For', way.addresses, 'X-Forwarded-Proto', way.proto)
  if (way.host !== null) headers.push('X-Forwarded-Host', way.host)
  headers.push('X-Forwarded-Port', way.port)
  if (way.prefix !== '') headers.push('X-Forwarded-Prefix', way.prefix)
  if (traceparent !== null) headers.push('traceparent', traceparent)
  headers.push('X-Request-Id', requestId, 'Via', request.httpVersion === '1.1' ? viaOfNew : viaOfOld)
  return headers
}

/** How a request came, as its endpoint is told. */
interface Way {
  readonly addresses: string
  readonly proto: string
  readonly host: string | null
  readonly port: string
  readonly prefix: string
}

/** What the proxy knows itself. */
function wayHere({ rawHeaders, clientAddress, secure, localPort }: ExchangeRequest, prefix: string): Way {
  return {
    addresses: clientAddress,
    proto: secure ? 'https' : 'http',
    host: headerValue(rawHeaders, 'host'),
    port: String(localPort),
    prefix,
  }
}

/** What a trusted proxy says of the way to it, and the proxy's own knowledge where it says nothing. */
function wayBehind(request: ExchangeRequest, prefix: string): Way {
  const { rawHeaders } = request
  const here = wayHere(request, prefix)
  return {
    addresses: [...headerValues(rawHeaders, 'x-forwarded-for'), here.addresses].join(', '),
    proto: headerValue(rawHeaders, 'x-forwarded-proto') ?? here.proto,
    host: headerValue(rawHeaders, 'x-forwarded-host') ?? here.host,
    port: headerValue(rawHeaders, 'x-forwarded-port') ?? here.port,
    prefix: (headerValue(rawHeaders, 'x-forwarded-prefix') ?? '') + prefix,
  }
}

const viaOfNew = '1.1 evenkeel'
const viaOfOld = '1.0 evenkeel'

/** The headers of the endpoint's response as the client gets them, but for those of the connection and of framing. */
export function responseHeaders(fromEndpoint: RawHeaders, requestId: string): string[] {
  const headers = endToEnd(fromEndpoint, role.droppedFromResponse)
  headers.push('X-Request-Id', requestId, 'Via', viaOfNew)
  return headers
}

/** The client's request id when it is sane: 1 to 128 visible ASCII characters; else null. A text of its own: it is kept. */
export function saneRequestId(headers: RawHeaders): string | null {
  const id = headerValue(headers, 'x-request-id')
  return id === null || id === '' || id.length > 128 || invisible.test(id) ? null : ownText(id)
}

const invisible = /[^!-~]/
