/** A request to Consul failed: in which words, with which cure, and how soon may it be tried again? Pure. */

import { type Failure, isTlsCode, SHORT_OF_FILES } from '../failure.ts'
import { printable } from '../untrusted-text.ts'

/** What went wrong, as the one that made the request saw it. */
export type Mishap =
  | { readonly kind: 'status'; readonly status: number; readonly body: string }
  | { readonly kind: 'network'; readonly code: string; readonly message: string }
  | { readonly kind: 'deadline'; readonly afterMs: number }
  | { readonly kind: 'not-json'; readonly contentType: string; readonly body: string }
  | { readonly kind: 'shape'; readonly message: string }

const MAX_EXCERPT = 120
const CHECK_ADDRESS = 'check discovery.consul.address (CONSUL_HTTP_ADDR): does a Consul agent answer there?'

/**
 * @param where the address of the agent as it may be shown: without credentials
 */
export function failureOf(mishap: Mishap, where: string): Failure {
  switch (mishap.kind) {
    case 'status':
      return statusFailure(mishap.status, mishap.body)
    case 'network':
      return networkFailure(mishap.code, mishap.message, where)
    case 'deadline':
      return {
        speed: 'away',
        message: `no answer within ${Math.round(mishap.afterMs / 1000)} s`,
        cure: `is the Consul agent at ${where} overloaded, or does something between drop idle connections?`,
      }
    case 'not-json':
      return {
        speed: 'wrong',
        message: `the answer (${printable(mishap.contentType, 60) || 'no content type'}) is not JSON: ${excerpt(mishap.body)}`,
        cure: CHECK_ADDRESS,
      }
    case 'shape':
      return { speed: 'wrong', message: printable(mishap.message, MAX_EXCERPT), cure: CHECK_ADDRESS }
    default:
      return mishap satisfies never
  }
}

function statusFailure(status: number, body: string): Failure {
  const message = `Consul answered ${status}: ${excerpt(body)}`
  const wrong = (cure: string): Failure => ({ speed: 'wrong', message, cure })
  if (status === 401 || status === 403) {
    return wrong(
      'check discovery.consul.token (CONSUL_HTTP_TOKEN): its policy must allow service:read and node:read on what is routed',
    )
  }
  if (status === 429) {
    const cure = "raise the agent's limits (limits.http_max_conns_per_client, request_limits), or route fewer services"
    return { speed: 'busy', message, cure }
  }
  if (status >= 500) {
    const cure = /no (known consul servers|cluster leader|path to datacenter)/i.test(body)
      ? 'Consul has no leader, or does not know the datacenter (discovery.consul.datacenter); it is asked again'
      : "see the Consul agent's log; it is asked again"
    return { speed: 'away', message, cure }
  }
  if (status >= 300 && status < 400) return wrong(`redirects are not followed: ${CHECK_ADDRESS}`)
  return wrong(`check discovery.consul.datacenter and namespace, and ${CHECK_ADDRESS}`)
}

function networkFailure(code: string, detail: string, where: string): Failure {
  const message = printable(detail, 200)
  const away = (cure: string): Failure => ({ speed: 'away', message, cure })
  if (isTlsCode(code)) {
    return {
      ...away(
        'check the scheme of discovery.consul.address, and its CA and certificate (CONSUL_CACERT, CONSUL_CLIENT_CERT)',
      ),
      speed: 'wrong',
    }
  }
  switch (code) {
    case 'ECONNREFUSED':
      return away(`start a Consul agent at ${where}, or set discovery.consul.address (CONSUL_HTTP_ADDR)`)
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return away(`the host name in ${where} cannot be resolved: ${CHECK_ADDRESS}`)
    case 'ECONNRESET':
    case 'EPIPE':
      return away(
        `the agent at ${where} closed the connection: was it restarted, or do several programs here share its limit of connections (200 a client address)? A lower discovery.consul.maxWatches leaves more of them to others`,
      )
    case 'EMFILE':
    case 'EADDRNOTAVAIL':
      return away(SHORT_OF_FILES)
    default:
      return away(CHECK_ADDRESS)
  }
}

function excerpt(body: string): string {
  // No more of it is looked at than may be shown.
  const words = printable(
    body
      .slice(0, 4 * MAX_EXCERPT)
      .trim()
      .replace(/\s+/g, ' '),
    MAX_EXCERPT,
  )
  return words === '' ? '(empty)' : words
}
