/**
 * How much of its share does a new endpoint get?
 *
 * A joiner's weight grows in sixteen equal steps, each at the middle of what a straight line from nothing to the full
 * weight covers in it: 1/32, 3/32 … 31/32. So over each step, and over all of them, it has what the line would give it.
 * While somebody warms up all weights are counted in 32nds, so that the rotation stays exact in whole numbers.
 * docs/decisions/019-slow-start.md has the reasoning.
 */

export interface BalancingOptions {
  /** A joiner's share grows to the full one over so many milliseconds; null: it has its full share at once. */
  readonly slowStartMs: number | null
}

/** What of an endpoint decides its weight in the rotation. */
export interface Warming {
  /** Its full weight. */
  readonly weight: number
  /** Since when it warms up (clock, ms); null: it has its full share. */
  readonly sinceMs: number | null
}

const steps = 16
const full = 2 * steps

/** Share (0–1) of its full weight that an endpoint has now; 1 once it is warm. */
export function warmth(sinceMs: number | null, nowMs: number, slowStartMs: number | null): number {
  return sinceMs === null ? 1 : partsOf(nowMs - sinceMs, slowStartMs) / full
}

/**
 * Weights for the rotation, and when (clock, ms) the next of them grows; Infinity when everybody is warm, and the
 * weights are the plain ones then.
 */
export function warmedWeights(
  members: readonly Warming[],
  nowMs: number,
  slowStartMs: number | null,
): { readonly weights: readonly number[]; readonly nextStepMs: number } {
  let nextStepMs = Number.POSITIVE_INFINITY
  const parts = members.map(({ sinceMs }) => {
    const own = sinceMs === null ? full : partsOf(nowMs - sinceMs, slowStartMs)
    if (sinceMs !== null && slowStartMs !== null && own < full) {
      nextStepMs = Math.min(nextStepMs, sinceMs + (((own + 1) / 2) * slowStartMs) / steps)
    }
    return own
  })
  const isWarm = nextStepMs === Number.POSITIVE_INFINITY
  return { nextStepMs, weights: members.map(({ weight }, index) => weight * (isWarm ? 1 : (parts[index] as number))) }
}

/** 32nds of the full weight at this age. */
function partsOf(ageMs: number, slowStartMs: number | null): number {
  if (slowStartMs === null || ageMs >= slowStartMs) return full
  return 2 * Math.min(steps - 1, Math.floor((ageMs * steps) / slowStartMs)) + 1
}
