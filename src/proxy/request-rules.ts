/**
 * Is this request head one that may be forwarded at all? Pure; the same rules for every engine.
 * What an HTTP parser lets through and a later one could read differently is refused here (RFC 9112 §3.2, §6.1, §11).
 */

import type { ExchangeRequest, LimitOptions } from './exchange.ts'
import { headerValues } from './headers.ts'

export interface Violation {
  readonly status: 400 | 405 | 413 | 414 | 431
  readonly detail: string
}

/** `host` or `host:port`, RFC 9110 §7.2: no userinfo, no path, no list. */
const hostValue = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._~!$&'()*+;=%-]*)(?::\d{0,5})?$/i

/** The first rule that the head breaks; null when it breaks none. */
export function violationOf(request: ExchangeRequest, limits: LimitOptions): Violation | null {
  const { rawHeaders, target } = request
  if (target.length > limits.targetBytes) {
    return { status: 414, detail: `The request target is longer than ${limits.targetBytes} bytes.` }
  }
  if (rawHeaders.length / 2 > limits.headerCount) {
    return { status: 431, detail: `The request has more than ${limits.headerCount} header fields.` }
  }
  let bytes = 0
  for (const text of rawHeaders) bytes += text.length + 2
  if (bytes > limits.headerBytes) {
    return { status: 431, detail: `The header fields are longer than ${limits.headerBytes} bytes.` }
  }
  if (request.method === 'CONNECT')
    return { status: 405, detail: 'This is a reverse proxy: it opens no CONNECT tunnel.' }
  return framingViolation(request) ?? hostViolation(request) ?? bodyViolation(request, limits)
}

function framingViolation(request: ExchangeRequest): Violation | null {
  const codings = headerValues(request.rawHeaders, 'transfer-encoding')
  const lengths = headerValues(request.rawHeaders, 'content-length')
  if (codings.length > 0) {
    if (request.httpVersion === '1.0') return bad('Transfer-Encoding has no meaning in HTTP/1.0.')
    if (lengths.length > 0) return bad('Content-Length and Transfer-Encoding exclude each other.')
    if (codings.length > 1 || (codings[0] as string).trim().toLowerCase() !== 'chunked') {
      return bad('The only transfer coding understood is a single "chunked".')
    }
  }
  if (lengths.length > 1) return bad('There is more than one Content-Length.')
  if (lengths.length === 1 && !/^\d{1,15}$/.test(lengths[0] as string)) return bad('Content-Length is not a number.')
  if (request.upgrade !== null && request.hasBody) return bad('A request to switch protocols cannot have a body.')
  return null
}

function hostViolation(request: ExchangeRequest): Violation | null {
  const hosts = headerValues(request.rawHeaders, 'host')
  if (hosts.length > 1) return bad('There is more than one Host.')
  const host = hosts[0]
  if (host === undefined) return request.httpVersion === '1.1' ? bad('Host is missing.') : null
  if (!hostValue.test(host)) return bad('Host is not a host with an optional port.')
  const authority = /^https?:\/\/([^/?]*)/i.exec(request.target)?.[1]
  if (authority !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
    return bad('Host and the authority of the request target contradict each other.')
  }
  return null
}

function bodyViolation(request: ExchangeRequest, limits: LimitOptions): Violation | null {
  if (limits.bodyBytes === null) return null
  const length = headerValues(request.rawHeaders, 'content-length')[0]
  if (length === undefined || Number(length) <= limits.bodyBytes) return null
  return { status: 413, detail: `The body is longer than ${limits.bodyBytes} bytes.` }
}

function bad(detail: string): Violation {
  return { status: 400, detail }
}
