/** How are durations, sizes and shares written for people, and what numbers are they inside? */

const msPer = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const
const bytesPer = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const

const durationPattern = /^(\d{1,15})(ms|s|m|h)$/
const sizePattern = /^(\d{1,15})(B|KiB|MiB|GiB)$/
const sharePattern = /^(\d{1,3}(?:\.\d{1,6})?)%$/

/** Milliseconds of `250ms`, `2s`, `5m`, `1h`; null when the text is not a duration. */
export function parseDuration(text: string): number | null {
  const match = durationPattern.exec(text)
  return match === null ? null : Number(match[1]) * msPer[match[2] as keyof typeof msPer]
}

/** A duration of whole milliseconds (≥ 0) in the largest unit that loses nothing: `5m`, `65s`, `1500ms`. */
export function formatDuration(ms: number): string {
  return ms === 0 ? '0s' : inLargestUnit(ms, msPer)
}

/** Bytes of `512B`, `16KiB`, `1MiB`, `1GiB`; null when the text is not a size. */
export function parseSize(text: string): number | null {
  const match = sizePattern.exec(text)
  return match === null ? null : Number(match[1]) * bytesPer[match[2] as keyof typeof bytesPer]
}

/** A size of whole bytes (≥ 0) in the largest unit that loses nothing: `16KiB`, `1000B`. */
export function formatSize(bytes: number): string {
  return bytes === 0 ? '0B' : inLargestUnit(bytes, bytesPer)
}

/** The share 0–1 of `0%`–`100%`, decimals allowed (`0.5%`); null when the text is no such share. */
export function parseShare(text: string): number | null {
  const match = sharePattern.exec(text)
  if (match === null) return null
  const share = Number(match[1]) / 100
  return share <= 1 ? share : null
}

/** A share 0–1 as a percentage: `50%`, `0.5%`. */
export function formatShare(share: number): string {
  // 0.07 × 100 is 7.000000000000001: what is shown is what was written.
  return `${Number((share * 100).toPrecision(12))}%`
}

function inLargestUnit(amount: number, units: Readonly<Record<string, number>>): string {
  const fitting = Object.entries(units).filter(([, size]) => amount % size === 0)
  const [unit, size] = fitting.at(-1) ?? ['', 1]
  return `${amount / size}${unit}`
}
