/**
 * Which headers pass, which stay, and which does the proxy add? Pure; raw headers in, raw headers out.
 * RFC 9110 §7.6 (intermediaries), §7.6.1 (Connection), §7.6.3 (Via).
 */

import type { ExchangeRequest, RawHeaders } from './exchange.ts'

/** Fields of one connection, RFC 9110 §7.6.1, and the credentials of a proxy hop. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/** What a `Connection` header may not take away: without them the message would mean something else. */
const neverStripped: ReadonlySet<string> = new Set(['host', 'content-length', 'content-type'])

/** What the proxy says itself; a client's own are believed only from a trusted proxy. */
const forwardingFields: ReadonlySet<string> = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-real-ip',
])

/**
 * What means something only at the head of a message, RFC 9110 §6.5.1: a recipient that merges trailers into the
 * headers would take a sender's word for framing, routing, credentials or the way here.
 */
const neverTrailers: ReadonlySet<string> = new Set([
  ...hopByHop,
  ...forwardingFields,
  'authorization',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'host',
  'max-forwards',
  'pragma',
  'range',
  'set-cookie',
  'trailer',
  'via',
  'www-authenticate',
  'x-request-id',
])

/** The first value of a header; null when it is absent. `name` in lower case. */
export function headerValue(headers: RawHeaders, name: string): string | null {
  for (let index = 0; index < headers.length; index += 2) {
    const key = headers[index] as string
    if (key.length === name.length && key.toLowerCase() === name) return headers[index + 1] as string
  }
  return null
}

/** Every value of a header, in order. `name` in lower case. */
export function headerValues(headers: RawHeaders, name: string): string[] {
  const values: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const key = headers[index] as string
    if (key.length === name.length && key.toLowerCase() === name) values.push(headers[index + 1] as string)
  }
  return values
}

/**
 * The headers that pass to the next hop: all but hop-by-hop ones, those that `Connection` names, and those in `drop`.
 * Order, case and duplicates stay as they are.
 * @param drop names in lower case
 */
export function endToEnd(headers: RawHeaders, drop: ReadonlySet<string>): string[] {
  const named = namedByConnection(headers)
  const passing: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] as string
    const key = name.toLowerCase()
    if (named?.has(key)) continue
    // To a CGI-like endpoint `X_Forwarded_For` and `X-Forwarded-For` are one variable: a client must not fill it.
    const plain = key.includes('_') ? key.replaceAll('_', '-') : key
    if (hopByHop.has(plain) || drop.has(plain)) continue
    passing.push(name, headers[index + 1] as string)
  }
  return passing
}

/** The trailer fields that pass to the next hop. */
export function trailersOf(trailers: RawHeaders): string[] {
  return endToEnd(trailers, neverTrailers)
}

function namedByConnection(headers: RawHeaders): ReadonlySet<string> | null {
  let named: Set<string> | null = null
  for (const value of headerValues(headers, 'connection')) {
    if (value === 'keep-alive' || value === 'close') continue
    for (const part of value.split(',')) {
      const name = part.trim().toLowerCase()
      if (name === '' || name === 'close' || name === 'keep-alive' || name === 'upgrade') continue
      if (neverStripped.has(name)) continue
      named ??= new Set()
      named.add(name)
    }
  }
  return named
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
  if (!isTrusted(request.clientAddress)) return { clientIp: request.clientAddress, trusted: false }
  const chain = headerValues(request.rawHeaders, 'x-forwarded-for').join(',').split(',')
  let clientIp = request.clientAddress
  for (let index = chain.length - 1; index >= 0; index--) {
    const address = (chain[index] as string).trim()
    if (!/^[0-9a-f.:]{3,45}$/i.test(address)) break
    clientIp = address
    if (!isTrusted(address)) break
  }
  return { clientIp, trusted: true }
}

/**
 * The headers of the request to the endpoint, but for those of the connection and of framing.
 * @param prefix what was cut off the path; empty when nothing was
 */
export function requestHeaders(request: ExchangeRequest, origin: Origin, requestId: string, prefix: string): string[] {
  const { rawHeaders } = request
  const headers = endToEnd(rawHeaders, origin.trusted ? droppedFromTrusted : droppedFromAnyone)
  const forwardedFor = origin.trusted ? headerValues(rawHeaders, 'x-forwarded-for') : []
  forwardedFor.push(request.clientAddress)
  const believed = (name: string): string | null => (origin.trusted ? headerValue(rawHeaders, name) : null)
  const host = headerValue(rawHeaders, 'host')

  headers.push('X-Forwarded-For', forwardedFor.join(', '))
  headers.push('X-Forwarded-Proto', believed('x-forwarded-proto') ?? (request.secure ? 'https' : 'http'))
  const forwardedHost = believed('x-forwarded-host') ?? host
  if (forwardedHost !== null) headers.push('X-Forwarded-Host', forwardedHost)
  headers.push('X-Forwarded-Port', believed('x-forwarded-port') ?? String(request.localPort))
  const forwardedPrefix = (believed('x-forwarded-prefix') ?? '') + prefix
  if (forwardedPrefix !== '') headers.push('X-Forwarded-Prefix', forwardedPrefix)
  headers.push('X-Request-Id', requestId)
  headers.push('Via', `${request.httpVersion} evenkeel`)
  return headers
}

const droppedFromTrusted: ReadonlySet<string> = new Set([
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-request-id',
  'expect',
])
const droppedFromAnyone: ReadonlySet<string> = new Set([...forwardingFields, 'x-request-id', 'expect'])

/** The headers of the endpoint's response as the client gets them, but for those of the connection and of framing. */
export function responseHeaders(fromEndpoint: RawHeaders, requestId: string): string[] {
  const headers = endToEnd(fromEndpoint, droppedFromResponse)
  headers.push('X-Request-Id', requestId, 'Via', '1.1 evenkeel')
  return headers
}

const droppedFromResponse: ReadonlySet<string> = new Set(['x-request-id'])

/** The client's request id when it is sane: 1 to 128 visible ASCII characters; else null. */
export function saneRequestId(headers: RawHeaders): string | null {
  const id = headerValue(headers, 'x-request-id')
  return id !== null && /^[!-~]{1,128}$/.test(id) ? id : null
}
