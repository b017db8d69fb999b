/** May this request be tried elsewhere? (skeleton: types first) */

export interface RetryOptions {
  /** Extra attempts after the first, each on another endpoint; 0: never. */
  readonly attempts: number
  /** Share (0–1) of the requests in flight that may be retries; always at least 3. Failed connects do not count. */
  readonly budget: number
  /** Response statuses that are tried elsewhere, idempotent bodyless requests only. */
  readonly statuses: readonly number[]
}
