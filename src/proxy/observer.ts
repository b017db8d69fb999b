/** What the request path tells whoever watches it. Implementations may throw: no request fails of it. */

import type { PickRole, Standing } from '../balancer/balancer.ts'
import type { EndpointId } from '../balancer/endpoint.ts'
import type { Outcome, OutcomeKind } from '../balancer/outcome.ts'

export type RetryReason = 'connect-failed' | 'broke-off' | 'status'

/** How a whole request ended: as its last attempt did, or without one. `answered`: it asked the proxy itself. */
export type RequestOutcome = OutcomeKind | 'answered' | 'refused' | 'unknown-service' | 'no-endpoints'

/** One attempt of a request. Durations in milliseconds. */
export interface Try {
  readonly endpoint: EndpointId
  readonly role: PickRole
  /** Who could have been picked when this endpoint was. */
  readonly standing: Standing
  /** Since the request's head was read. */
  readonly startMs: number
  readonly durationMs: number
  /** From the start of the attempt; null when it did not get so far. */
  readonly connectMs: number | null
  readonly firstByteMs: number | null
  readonly outcome: Outcome
  /** Why another endpoint was tried after it; null when none was. */
  readonly retried: RetryReason | null
}

/** One finished request, as the access log and the metrics see it. */
export interface RequestRecord {
  readonly requestId: string
  readonly method: string
  /** The request target without its query; what the client sent, so never trusted. */
  readonly path: string
  /** The query with its question mark, or empty. */
  readonly query: string
  /** Null unless the catalog knows the service. */
  readonly service: string | null
  /** The endpoint of the last attempt. */
  readonly endpoint: EndpointId | null
  /** As the client saw it; 499 when the client left first. */
  readonly status: number
  readonly outcome: RequestOutcome
  readonly attempts: number
  readonly tries: readonly Try[]
  /** Of a request that found no endpoint: who there was. */
  readonly standing: Standing | null
  /** Why it was refused, in words of our own with nothing of the request's; absent: it was not. */
  readonly refusal?: string | undefined
  /** Of its `traceparent`; null when it has none. Its own text, not a part of the head's. */
  readonly traceId: string | null
  /** That trace is to be recorded, by its flags; false without one. */
  readonly traceSampled: boolean
  readonly durationMs: number
  readonly connectMs: number | null
  readonly firstByteMs: number | null
  readonly bytesIn: number
  readonly bytesOut: number
  readonly clientIp: string
  readonly protocol: string
}

export interface ProxyObserver {
  /** Called once the service is known to the catalog; `onRequestEnd` with the same service follows. */
  onRequestStart(service: string): void
  onAttempt(service: string, endpoint: EndpointId, outcome: OutcomeKind): void
  onRetry(service: string, reason: RetryReason): void
  /**
   * No connection to this endpoint for a lack of the proxy's own machine, in addition to `onAttempt`.
   * @param code one for which `isLocalError` holds
   */
  onLocalError(code: string, endpoint: EndpointId): void
  onRequestEnd(record: RequestRecord): void
}

/** An observer that throws must not fail the request that it watches. */
export function tell(event: () => void): void {
  try {
    event()
  } catch {
    // What an observer does with its own failure is its affair.
  }
}
