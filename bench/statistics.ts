/** How are many measurements said in few numbers? Pure. */

export interface Range {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** Null for no values at all. */
export function rangeOf(values: readonly number[]): Range | null {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const high = sorted[Math.floor(middle)]
  const low = sorted[Math.ceil(middle) - 1]
  const min = sorted[0]
  const max = sorted.at(-1)
  if (high === undefined || low === undefined || min === undefined || max === undefined) return null
  return { median: (low + high) / 2, min, max }
}

/**
 * The nearest-rank percentile: a value that was really measured.
 * @param sorted ascending; not empty
 * @param share 0–1
 */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  const rank = Math.max(1, Math.ceil(share * sorted.length))
  const value = sorted[rank - 1]
  if (value === undefined) throw new RangeError(`no percentile ${share} of ${sorted.length} values`)
  return value
}

/** How far apart are the most and the least used instance, in requests? */
export function spreadOf(counts: readonly number[]): number {
  return counts.length === 0 ? 0 : Math.max(...counts) - Math.min(...counts)
}

/**
 * Each round's figure over the baseline's figure of the same round, so that a machine that slows down between two
 * rounds slows both.
 */
export function ratiosByRound(
  figures: ReadonlyMap<number, number>,
  baseline: ReadonlyMap<number, number>,
): readonly number[] {
  const ratios: number[] = []
  for (const [round, figure] of figures) {
    const base = baseline.get(round)
    if (base !== undefined && base > 0) ratios.push(figure / base)
  }
  return ratios
}

/** The nearest multiple of `step` at or above `atLeast`. */
export function roundedUp(atLeast: number, step: number): number {
  return Math.max(step, Math.ceil(atLeast / step) * step)
}
