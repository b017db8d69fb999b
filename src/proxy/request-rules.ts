/**
 * Is this request head one that may be forwarded at all? Pure; the same rules for every engine.
 * What an HTTP parser lets through and a later one could read differently is refused here (RFC 9112 §3.2, §6.1, §11).
 */

import type { ExchangeRequest, LimitOptions } from './exchange.ts'
import { role, rolesOf, trimBlanks } from './field-names.ts'

export interface Violation {
  readonly status: 400 | 405 | 413 | 414 | 431
  readonly detail: string
}

/** `host` or `host:port`, RFC 9110 §7.2: no userinfo, no path, no list. */
const hostValue = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._~!$&'()*+;=%-]*)(?::\d{0,5})?$/i
const lengthValue = /^\d{1,15}$/
const slash = 0x2f
const ofInterest = role.host | role.contentLength | role.transferEncoding

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
  const judged: Judged = { hosts: 0, host: '', lengths: 0, length: '', codings: 0, coding: '' }
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    const value = rawHeaders[index + 1] as string
    bytes += name.length + value.length + 4
    const roles = rolesOf(name)
    if ((roles & ofInterest) !== 0) take(judged, roles, value)
  }
  if (bytes > limits.headerBytes) {
    return { status: 431, detail: `The header fields are longer than ${limits.headerBytes} bytes.` }
  }
  if (request.method === 'CONNECT')
    return { status: 405, detail: 'This is a reverse proxy: it opens no CONNECT tunnel.' }
  return framingViolation(request, judged) ?? hostViolation(request, judged) ?? bodyViolation(judged, limits)
}

/** What the rules look at: how often a field comes, and its first value. */
interface Judged {
  hosts: number
  host: string
  lengths: number
  length: string
  codings: number
  coding: string
}

function take(judged: Judged, roles: number, value: string): void {
  if ((roles & role.host) !== 0) {
    if (judged.hosts++ === 0) judged.host = value
  } else if ((roles & role.contentLength) !== 0) {
    if (judged.lengths++ === 0) judged.length = value
  } else if (judged.codings++ === 0) judged.coding = value
}

function framingViolation(request: ExchangeRequest, { lengths, length, codings, coding }: Judged): Violation | null {
  if (codings > 0) {
    if (request.httpVersion === '1.0') return bad('Transfer-Encoding has no meaning in HTTP/1.0.')
    if (lengths > 0) return bad('Content-Length and Transfer-Encoding exclude each other.')
    if (codings > 1 || (coding !== 'chunked' && trimBlanks(coding).toLowerCase() !== 'chunked')) {
      return bad('The only transfer coding understood is a single "chunked".')
    }
  }
  if (lengths > 1) return bad('There is more than one Content-Length.')
  if (lengths === 1 && !lengthValue.test(length)) return bad('Content-Length is not a number.')
  if (request.upgrade !== null && request.hasBody) return bad('A request to switch protocols cannot have a body.')
  return null
}

function hostViolation({ httpVersion, target }: ExchangeRequest, { hosts, host }: Judged): Violation | null {
  if (hosts > 1) return bad('There is more than one Host.')
  if (hosts === 0) return httpVersion === '1.1' ? bad('Host is missing.') : null
  if (!hostValue.test(host)) return bad('Host is not a host with an optional port.')
  if (target.charCodeAt(0) === slash) return null
  const authority = /^https?:\/\/([^/?]*)/i.exec(target)?.[1]
  if (authority === '') return bad('The request target has no authority.')
  if (authority !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
    return bad('Host and the authority of the request target contradict each other.')
  }
  return null
}

function bodyViolation({ lengths, length }: Judged, { bodyBytes }: LimitOptions): Violation | null {
  if (bodyBytes === null || lengths === 0 || Number(length) <= bodyBytes) return null
  return { status: 413, detail: `The body is longer than ${bodyBytes} bytes.` }
}

function bad(detail: string): Violation {
  return { status: 400, detail }
}
