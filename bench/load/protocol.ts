/** What is the load generator asked to do, and what does it tell? */

export interface LoadJob {
  /**
   * `closed`: each connection sends its next request when it has its answer: the highest rate there is. `paced`: requests
   * start on time, whatever became of those before. `bulk`: as `closed`, for bodies too large to be kept.
   */
  readonly kind: 'closed' | 'paced' | 'bulk'
  /** `http://host:port` */
  readonly origin: string
  /** Taken in turn; `closed`: each connection takes turns among a share of its own. */
  readonly paths: readonly string[]
  readonly connections: number
  /** Requests in all; at least as many as connections. */
  readonly amount: number
  /** Requests per second; `paced` only. */
  readonly rate: number
}

export interface LoadResult {
  /** Answered with 200, and whole. */
  readonly completed: number
  /** What else happened, and how often: a status, or the text of an error. */
  readonly failures: Readonly<Record<string, number>>
  /** From the first request to the last answer. */
  readonly seconds: number
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number }
  /** `bulk` only; else 0. */
  readonly bodyBytes: number
  /** By how much the latest request started behind its time; `paced` only. */
  readonly latestStartMs: number | null
}
