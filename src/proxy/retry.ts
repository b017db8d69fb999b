/** May this request be tried elsewhere? Pure, but for the count of retries under way. */

import type { Outcome } from '../balancer/outcome.ts'
import type { RetryReason } from './observer.ts'

export interface RetryOptions {
  /**
   * Extra attempts after the first, each on another endpoint; 0: none. An endpoint that has just joined or left and
   * cannot be connected to uses none of them up: whatever stands here, the request goes to the next one.
   */
  readonly attempts: number
  /**
   * Share (0–1) of the requests in flight, or of the latest ones, that may be retries; always at least 3 at once.
   * Failed connects do not count.
   */
  readonly budget: number
  /** Response statuses that are tried elsewhere, idempotent bodyless requests only. */
  readonly statuses: readonly number[]
}

/** RFC 9110 §9.2.2: sending such a request twice has the effect of sending it once. */
const idempotentMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** True when the request may be sent again although an endpoint may have had it: idempotent, and no body to replay. */
export function isReplayable(method: string, hasBody: boolean): boolean {
  return !hasBody && idempotentMethods.has(method)
}

/**
 * Why another endpoint may be tried after this outcome; null when none may.
 * A failed connect sent nothing, so any method goes elsewhere. Else the request must be replayable, and the client
 * must not have seen a byte of an answer. A request that timed out is not sent again: its time is spent.
 */
export function retryReason(outcome: Outcome, replayable: boolean): RetryReason | null {
  switch (outcome.kind) {
    case 'connect-failed':
      return 'connect-failed'
    case 'timed-out':
      return outcome.phase === 'connect' ? 'connect-failed' : null
    case 'broke-off':
      return replayable && !outcome.afterHeaders ? 'broke-off' : null
    case 'responded':
      return outcome.relayed ? null : 'status'
    case 'bad-response':
    case 'client-left':
    case 'bad-request':
      return null
    default:
      return outcome satisfies never
  }
}

/** Retries must not turn a failing service's load into more load: the smallest number that is always allowed at once. */
const alwaysAllowed = 3
/** Of how many of the latest requests a share may be tried again in one burst; more, when more are in flight. */
const burstOver = 500

/**
 * One service's requests in flight, how many of them are retries now, and how many retries there were of late.
 *
 * An endpoint that dies breaks off all that it had in flight at once: of three endpoints a third, far more than the
 * share that may be retried in the long run. Such a burst is allowed, and paid back by the requests that follow: each
 * one pays its share of a retry. A service that goes on failing gets no more than the share.
 */
export class RetryBudget {
  #inFlight = 0
  #retrying = 0
  /** Retries that the requests since have not paid back. */
  #owed = 0

  /** Nothing is in flight. */
  get idle(): boolean {
    return this.#inFlight === 0
  }

  /** @param share see `RetryOptions.budget` */
  enter(share: number): void {
    this.#inFlight++
    this.#owed = Math.max(0, this.#owed - share)
  }

  leave(isRetry: boolean): void {
    this.#inFlight--
    if (isRetry) this.#retrying--
    // With nothing in flight nothing can be overloaded: there is nothing to remember either.
    if (this.#inFlight === 0) this.#owed = 0
  }

  /** Takes a place for a request that becomes a retry; false when there is none. */
  take(share: number): boolean {
    // Five times those in flight: at the default share of a fifth, each of them may be tried again once.
    const burst = Math.floor(Math.max(burstOver, 5 * this.#inFlight) * share)
    const isFew = this.#retrying < Math.max(alwaysAllowed, Math.floor(this.#inFlight * share))
    if (!isFew && this.#owed + 1 > burst) return false
    this.#owed = Math.min(burst, this.#owed + 1)
    this.#retrying++
    return true
  }
}
