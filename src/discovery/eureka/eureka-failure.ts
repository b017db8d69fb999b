/** A request to Eureka failed: in which words, with which cure, and how soon may it be tried again? Pure. */

import { type Failure, isTlsCode, SHORT_OF_FILES } from '../failure.ts'
import { printable } from '../untrusted-text.ts'

/** What went wrong, as the one that made the request saw it. */
export type EurekaMishap =
  | { readonly kind: 'status'; readonly status: number; readonly body: string }
  | { readonly kind: 'network'; readonly code: string; readonly message: string }
  | { readonly kind: 'deadline'; readonly afterMs: number }
  | { readonly kind: 'foreign'; readonly contentType: string; readonly body: string }
  | { readonly kind: 'shape'; readonly message: string }

const MAX_EXCERPT = 120
const CHECK_URLS = 'check discovery.eureka.urls: each is a server with its path, such as http://host:8761/eureka'

/**
 * @param where the server's URL as it may be shown: without credentials
 */
export function eurekaFailure(mishap: EurekaMishap, where: string): Failure {
  switch (mishap.kind) {
    case 'status':
      return statusFailure(mishap.status, mishap.body)
    case 'network':
      return networkFailure(mishap.code, printable(mishap.message, 200), where)
    case 'deadline':
      return {
        speed: 'away',
        message: `no answer within ${Math.round(mishap.afterMs / 1000)} s`,
        cure: `is the Eureka server at ${where} overloaded, or does something between drop connections?`,
      }
    case 'foreign': {
      const type = printable(mishap.contentType, 60) || 'no content type'
      const message = `the answer (${type}) is neither JSON nor XML of Eureka: ${excerpt(mishap.body)}`
      return { speed: 'wrong', message, cure: CHECK_URLS }
    }
    case 'shape':
      return { speed: 'wrong', message: printable(mishap.message, MAX_EXCERPT), cure: CHECK_URLS }
    default:
      return mishap satisfies never
  }
}

function statusFailure(status: number, body: string): Failure {
  const message = `Eureka answered ${status}: ${excerpt(body)}`
  if (status === 401) {
    return { speed: 'wrong', message, cure: 'check discovery.eureka.user and discovery.eureka.password' }
  }
  if (status === 403) {
    const cure =
      'the server does not hand its registry out yet (it waits for its peers when it starts), or not to this user: it is asked again'
    return { speed: 'away', message, cure }
  }
  if (status === 404) {
    return { speed: 'wrong', message, cure: `Spring Cloud serves /eureka, Netflix's war /eureka/v2: ${CHECK_URLS}` }
  }
  if (status === 429) {
    const cure =
      "raise the server's rate limit (eureka.server.rate-limiter-*), or ask less often (discovery.eureka.interval)"
    return { speed: 'busy', message, cure }
  }
  if (status >= 500) return { speed: 'away', message, cure: "see the Eureka server's log; it is asked again" }
  if (status >= 300 && status < 400) {
    return { speed: 'wrong', message, cure: `redirects are not followed: ${CHECK_URLS}` }
  }
  return { speed: 'wrong', message, cure: CHECK_URLS }
}

function networkFailure(code: string, message: string, where: string): Failure {
  if (isTlsCode(code)) {
    const cure = 'check the scheme of discovery.eureka.urls, and the CA and certificate of discovery.eureka.tls'
    return { speed: 'wrong', message, cure }
  }
  const away = (cure: string): Failure => ({ speed: 'away', message, cure })
  switch (code) {
    case 'ECONNREFUSED':
      return away(`start a Eureka server at ${where}, or set discovery.eureka.urls`)
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return away(`the host name in ${where} cannot be resolved: ${CHECK_URLS}`)
    case 'ECONNRESET':
    case 'EPIPE':
      return away(`the Eureka server at ${where} closed the connection: was it restarted?`)
    case 'EMFILE':
    case 'EADDRNOTAVAIL':
      return away(SHORT_OF_FILES)
    default:
      return away(CHECK_URLS)
  }
}

function excerpt(body: string): string {
  const words = printable(body.trim(), MAX_EXCERPT)
  return words === '' ? '(empty)' : words
}
