/** Everything that decides how the requests of one service are treated. */

import type { RetryOptions } from './retry.ts'

export interface UpstreamOptions {
  /** False: one upstream connection a request. True: idle connections are reused, per endpoint. */
  readonly keepAlive: boolean
  /**
   * Who closes a connection that is not kept: `fin` leaves it to the endpoint, which keeps the TIME_WAIT; with `rst` the
   * proxy resets it once its exchange is complete, and nobody keeps one.
   */
  readonly close: 'fin' | 'rst'
  readonly connectTimeoutMs: number
  /** From the last byte of the request to the head of the response. */
  readonly responseTimeoutMs: number
  /** Between two pieces of a body, either way. */
  readonly idleTimeoutMs: number
}

export interface ServicePolicy {
  readonly upstream: UpstreamOptions
  readonly retry: RetryOptions
  /** True: `/service/path` reaches the endpoint as `/path`. */
  readonly stripPrefix: boolean
}
