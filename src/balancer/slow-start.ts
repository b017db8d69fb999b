/** How much of its share does a new endpoint get? */

export interface BalancingOptions {
  /** A joiner's share grows to the full one over so many milliseconds; null: it has its full share at once. */
  readonly slowStartMs: number | null
}
