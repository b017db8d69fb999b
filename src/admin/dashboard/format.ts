/** How are numbers and times written so that they are read at a glance? Pure. */

/** Requests a second: `0`, `0.3`, `42`, `1.2k`. */
export function rateText(rate: number): string {
  if (rate === 0) return '0'
  if (rate < 0.1) return '<0.1'
  if (rate < 9.95) return rate.toFixed(1)
  if (rate < 1_000) return rate.toFixed(0)
  return rate < 9_950 ? `${(rate / 1_000).toFixed(1)}k` : `${(rate / 1_000).toFixed(0)}k`
}

/** A share of 0–1 in percent; a small one is never called none. */
export function shareText(share: number | null): string {
  if (share === null) return '–'
  if (share === 0) return '0 %'
  const percent = share * 100
  if (percent < 0.1) return '<0.1 %'
  return `${percent < 9.95 ? percent.toFixed(1) : percent.toFixed(0)} %`
}

/** A duration that was measured: `0.4 ms`, `12 ms`, `1.3 s`. */
export function latencyText(ms: number | null): string {
  if (ms === null) return '–'
  if (ms < 9.95) return `${ms.toFixed(1)} ms`
  if (ms < 999.5) return `${ms.toFixed(0)} ms`
  return `${(ms / 1_000).toFixed(ms < 9_950 ? 1 : 0)} s`
}

/** How long ago, or for how long: the greatest unit only. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 100) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 100) return `${minutes} min`
  const hours = Math.round(minutes / 60)
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`
}

/** `14:03:22`, of the clock on the wall where the page is. */
export function clockText(atMs: number): string {
  const date = new Date(atMs)
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':')
}

export const sparkWidth = 118
export const sparkHeight = 28

/**
 * The path of an area from the base line up, in a box of `sparkWidth` by `sparkHeight`, whose right end is now.
 * @param most the value that reaches the top, above 0
 * @param isClosed false: only the line on top of it
 */
export function sparkPath(values: readonly number[], most: number, isClosed: boolean): string {
  const step = sparkWidth / Math.max(1, values.length - 1)
  // A line must not be cut in half at the bottom; an area of nothing must not be seen.
  const base = isClosed ? sparkHeight : sparkHeight - 1
  const height = (value: number): string => (base - (value / most) * (sparkHeight - 3)).toFixed(1)
  const points = values.map((value, at) => `${(at * step).toFixed(1)} ${height(value)}`)
  const line = `M${points.join('L')}`
  return isClosed ? `${line}L${sparkWidth} ${sparkHeight}L0 ${sparkHeight}Z` : line
}
