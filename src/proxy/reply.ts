/**
 * What does a client get when the proxy answers itself? The one place where a failed pick or a failed attempt becomes
 * a status, a problem document (RFC 9457) and a Proxy-Status (RFC 9209).
 */

import type { EndpointId } from '../balancer/endpoint.ts'
import { isLocalError, type Outcome } from '../balancer/outcome.ts'
import type { Reply } from './exchange.ts'

/** Everything that makes the proxy answer by itself. */
export type Situation =
  /** `OPTIONS *` asks what the proxy itself can do, RFC 9110 §9.3.7. */
  | { readonly kind: 'options' }
  /** `close`: what follows on the connection cannot be trusted. */
  | { readonly kind: 'refused'; readonly status: number; readonly detail: string; readonly close: boolean }
  | { readonly kind: 'unknown-service'; readonly service: string }
  | { readonly kind: 'no-endpoints'; readonly service: string; readonly retryAfterMs: number | null }
  | {
      readonly kind: 'failed'
      readonly service: string
      readonly endpoint: EndpointId
      readonly attempts: number
      readonly outcome: Outcome
    }

type Failure = Exclude<Situation, { kind: 'options' }>

/** When nobody can tell how long a service will be without endpoints. */
const defaultRetryAfterMs = 5_000

const allowedMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  404: 'Unknown Service',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  431: 'Request Header Fields Too Large',
  500: 'Internal Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
}

/** A status and everything that explains it, before it is written down. */
interface Verdict {
  readonly status: number
  readonly detail: string
  /** Error type of RFC 9209 §2.3. */
  readonly error: string
  readonly nextHop?: EndpointId
  readonly service?: string
  readonly retryAfterMs?: number
}

/**
 * The proxy's own answer to a situation.
 * @param requestId returned to the client; empty when the request was never understood
 */
export function replyTo(situation: Situation, requestId: string): Reply {
  if (situation.kind === 'options') {
    return { status: 204, headers: ['Allow', allowedMethods, 'X-Request-Id', requestId], body: '', close: false }
  }
  const verdict = verdictOn(situation)
  const body = JSON.stringify({
    type: 'about:blank',
    title: titles[verdict.status] ?? 'Error',
    status: verdict.status,
    detail: verdict.detail,
    ...(verdict.service === undefined ? {} : { service: verdict.service }),
    ...(requestId === '' ? {} : { requestId }),
  })
  const headers = [
    'Content-Type',
    'application/problem+json',
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Cache-Control',
    'no-store',
    'Proxy-Status',
    proxyStatus(verdict),
  ]
  if (requestId !== '') headers.push('X-Request-Id', requestId)
  if (verdict.retryAfterMs !== undefined) {
    headers.push('Retry-After', String(Math.max(1, Math.ceil(verdict.retryAfterMs / 1000))))
  }
  if (verdict.status === 405) headers.push('Allow', allowedMethods)
  return { status: verdict.status, headers, body, close: mustClose(situation) }
}

/** True when what follows on the client's connection cannot be trusted. */
function mustClose(situation: Failure): boolean {
  if (situation.kind === 'refused') return situation.close
  // The rest of such a body is malformed, too large or not coming: none of it is a next request.
  return situation.kind === 'failed' && situation.outcome.kind === 'bad-request'
}

function verdictOn(situation: Failure): Verdict {
  switch (situation.kind) {
    case 'refused':
      return {
        status: situation.status,
        detail: situation.detail,
        error: situation.status === 503 ? 'connection_limit_reached' : 'http_request_error',
        ...(situation.status === 503 ? { retryAfterMs: 1_000 } : {}),
      }
    case 'unknown-service':
      return {
        status: 404,
        detail: `The catalog has no service of this name.`,
        error: 'destination_not_found',
        service: situation.service,
      }
    case 'no-endpoints':
      return {
        status: 503,
        detail: `The service is known, and no endpoint of it is in rotation.`,
        error: 'destination_unavailable',
        service: situation.service,
        retryAfterMs: situation.retryAfterMs ?? defaultRetryAfterMs,
      }
    case 'failed': {
      const tries = situation.attempts === 1 ? '' : ` It was the last of ${situation.attempts} attempts.`
      const verdict = verdictOnOutcome(situation.outcome, situation.endpoint)
      return { ...verdict, detail: verdict.detail + tries, service: situation.service, nextHop: situation.endpoint }
    }
    default:
      return situation satisfies never
  }
}

function verdictOnOutcome(outcome: Outcome, endpoint: EndpointId): Verdict {
  switch (outcome.kind) {
    case 'connect-failed':
      if (isLocalError(outcome.code)) {
        return {
          status: 503,
          detail: `The proxy itself could not open a connection (${outcome.code}).`,
          error: 'proxy_internal_error',
          retryAfterMs: 1_000,
        }
      }
      return {
        status: 502,
        detail: `No connection to ${endpoint} (${outcome.code}).`,
        error: connectErrors[outcome.code] ?? 'destination_unavailable',
      }
    case 'timed-out':
      return {
        status: 504,
        detail: `${endpoint} ${stalls[outcome.phase]}.`,
        error: outcome.phase === 'connect' ? 'connection_timeout' : 'http_response_timeout',
      }
    case 'broke-off':
      return {
        status: 502,
        detail: `${endpoint} broke the connection before it answered (${outcome.code}).`,
        error: 'connection_terminated',
      }
    case 'bad-response':
      return {
        status: 502,
        detail: `${endpoint} answered with something that is not valid HTTP (${outcome.detail}).`,
        error: 'http_protocol_error',
      }
    case 'bad-request':
      return { status: outcome.status, detail: outcome.detail, error: 'http_request_error' }
    case 'responded':
    case 'client-left':
      // Nobody is left to answer, or all has been answered: a reply to these is a bug of the caller.
      return { status: 500, detail: 'The proxy lost track of this request.', error: 'proxy_internal_error' }
    default:
      return outcome satisfies never
  }
}

const stalls = {
  connect: 'did not accept a connection in time',
  response: 'did not answer in time',
  idle: 'stopped taking the request in mid-body',
} as const

const connectErrors: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection_refused',
  ECONNRESET: 'connection_terminated',
  EHOSTUNREACH: 'destination_ip_unroutable',
  ENETUNREACH: 'destination_ip_unroutable',
  ENOTFOUND: 'dns_error',
  EAI_AGAIN: 'dns_timeout',
  ETIMEDOUT: 'connection_timeout',
}

/** RFC 9209: a structured-field item; strings are ASCII with quotes and backslashes escaped (RFC 8941 §3.3.3). */
function proxyStatus(verdict: Verdict): string {
  const nextHop = verdict.nextHop === undefined ? '' : `; next-hop=${quoted(verdict.nextHop)}`
  return `evenkeel; error=${verdict.error}${nextHop}; details=${quoted(verdict.detail)}`
}

function quoted(text: string): string {
  return `"${text.replace(/[^ -~]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
