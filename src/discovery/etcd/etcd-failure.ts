/** Something asked of etcd failed: in which words, with which cure, and how soon may it be tried again? Pure. */

import type { Mishap } from '../consul/consul-failure.ts'
import { type Failure, isTlsCode, SHORT_OF_FILES } from '../failure.ts'
import { printable } from '../untrusted-text.ts'
import { decodeRefusal } from './etcd-messages.ts'

/** What went wrong, as the one that asked saw it. */
export type EtcdMishap =
  | Mishap
  /** The server has ended the watch, and says why. */
  | { readonly kind: 'canceled'; readonly reason: string }
  /** The answer of the watch ended as if all had been said. */
  | { readonly kind: 'ended' }
  /** There was a change that the watch does not tell. */
  | { readonly kind: 'silent'; readonly afterMs: number }
  /** Another cluster answers than the one that was read, or one that knows less. */
  | { readonly kind: 'another' }
  | { readonly kind: 'full'; readonly most: number }

const MAX_EXCERPT = 120
const CHECK_ENDPOINTS = 'check discovery.etcd.endpoints: does etcd 3.4 or newer answer there, with its JSON gateway?'

/** @param where the endpoint as it may be shown: without credentials */
export function etcdFailure(mishap: EtcdMishap, where: string): Failure {
  switch (mishap.kind) {
    case 'status':
      return statusFailure(mishap.status, decodeRefusal(mishap.body) || mishap.body, where)
    case 'canceled':
      return canceledFailure(mishap.reason, where)
    case 'network':
      return networkFailure(mishap.code, mishap.message, where)
    case 'deadline':
      return {
        speed: 'away',
        message: `no answer of ${where} within ${Math.round(mishap.afterMs / 1000)} s`,
        cure: 'is this etcd member overloaded, or does something on the way to it drop connections?',
      }
    case 'ended':
      return {
        speed: 'away',
        message: `${where} ended the watch`,
        cure: 'was this etcd member restarted, or does something on the way to it bound how long an answer may take?',
      }
    case 'silent':
      return {
        speed: 'away',
        message: `the watch of ${where} had not told a change ${Math.round(mishap.afterMs / 1000)} s after it`,
        cure: 'does something on the way to this etcd member drop idle connections, or hold answers back?',
      }
    case 'another':
      return {
        speed: 'away',
        message: `${where} answers for another cluster than before, or knows less than before`,
        cure: 'was etcd restored, or set up anew? All of it is read again',
      }
    case 'not-json':
      return {
        speed: 'wrong',
        message: `the answer of ${where} (${printable(mishap.contentType, 60) || 'no content type'}) is not JSON: ${excerpt(mishap.body)}`,
        cure: CHECK_ENDPOINTS,
      }
    case 'shape':
      return {
        speed: 'wrong',
        message: `${where}: ${printable(mishap.message, MAX_EXCERPT)}`,
        cure: CHECK_ENDPOINTS,
      }
    case 'full':
      return {
        speed: 'wrong',
        message: `there are more than ${mishap.most} keys below the prefix, or very long ones`,
        cure: 'check discovery.etcd.prefix: nothing but instances is to be below it',
      }
    default:
      return mishap satisfies never
  }
}

/** Is it that the token is not valid any more, or that one is wanted now? Then a new one is worth a try. */
export function wantsNewToken(mishap: EtcdMishap): boolean {
  if (mishap.kind === 'canceled') return TOKEN_REFUSED.test(mishap.reason)
  return mishap.kind === 'status' && (mishap.status === 401 || TOKEN_REFUSED.test(decodeRefusal(mishap.body)))
}

/** Is it that the server does without users? Then no token is needed. */
export function isAuthOff(mishap: EtcdMishap): boolean {
  return mishap.kind === 'status' && /authentication is not enabled/.test(decodeRefusal(mishap.body))
}

/** Is it that the revision asked for is not kept any more? */
export function isCompacted(mishap: EtcdMishap): boolean {
  return mishap.kind === 'status' && /has been compacted/.test(decodeRefusal(mishap.body))
}

// The words of etcd's api/v3rpc/rpctypes/error.go; several of them share a status with other refusals.
const TOKEN_REFUSED = /invalid auth token|revision of auth store is old|user name is empty/
const WRONG_PASSWORD = /invalid user ID or password/
const NO_PERMISSION = /permission denied|PermissionDenied/

function statusFailure(status: number, words: string, where: string): Failure {
  const message = `${where} answered ${status}: ${excerpt(words)}`
  const cure = cureOfAccess(words)
  if (cure !== null) return { speed: 'wrong', message, cure }
  if (status === 401 || status === 403) {
    return { speed: 'wrong', message, cure: 'check discovery.etcd.user and password' }
  }
  if (status === 429 || /too many requests/.test(words)) {
    return { speed: 'busy', message, cure: 'this etcd member is overloaded; it is asked again' }
  }
  if (status >= 500) {
    const cure = /no leader|request timed out|leader changed|unhealthy/.test(words)
      ? 'etcd has no leader, or this member does not reach it: do most of its members run?'
      : "see this etcd member's log; it is asked again"
    return { speed: 'away', message, cure }
  }
  return { speed: 'wrong', message, cure: CHECK_ENDPOINTS }
}

function canceledFailure(reason: string, where: string): Failure {
  const message = `${where} ended the watch: ${excerpt(reason)}`
  const cure = cureOfAccess(reason)
  if (cure !== null) return { speed: 'wrong', message, cure }
  return { speed: 'away', message, cure: "see this etcd member's log; all is read again" }
}

function cureOfAccess(words: string): string | null {
  if (/user name is empty/.test(words)) return 'etcd wants to know who asks: set discovery.etcd.user and password'
  if (WRONG_PASSWORD.test(words)) return 'check discovery.etcd.user and password'
  if (TOKEN_REFUSED.test(words)) return "is the clock right, and is etcd's auth-token-ttl longer than a few seconds?"
  if (NO_PERMISSION.test(words)) return 'a role of discovery.etcd.user must allow reading all keys below the prefix'
  return null
}

function networkFailure(code: string, detail: string, where: string): Failure {
  const message = `${where}: ${printable(detail, 200)}`
  const away = (cure: string): Failure => ({ speed: 'away', message, cure })
  if (isTlsCode(code)) {
    const cure = 'check the scheme of discovery.etcd.endpoints, and discovery.etcd.tls: its CA and certificate'
    return { speed: 'wrong', message, cure }
  }
  switch (code) {
    case 'ECONNREFUSED':
      return away(`start etcd at ${where}, or set discovery.etcd.endpoints`)
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return away(`the host name in ${where} cannot be resolved: ${CHECK_ENDPOINTS}`)
    case 'ECONNRESET':
    case 'EPIPE':
      return away(`${where} closed the connection: was this etcd member restarted, or does it want TLS?`)
    case 'EMFILE':
    case 'EADDRNOTAVAIL':
      return away(SHORT_OF_FILES)
    default:
      return away(CHECK_ENDPOINTS)
  }
}

function excerpt(words: string): string {
  return printable(words.trim(), MAX_EXCERPT) || '(empty)'
}
