/**
 * How long is `1m30s`? Consul is written in Go, and its HTTP API takes every duration as Go's `time.ParseDuration`
 * reads it: a sign, then one or more decimal numbers with a unit each.
 */

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

const wholeText = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/
const onePart = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g

/** Milliseconds (fractions kept, may be negative), or null for what Go would refuse. A bare `0` needs no unit. */
export function parseGoDuration(text: string): number | null {
  if (/^[+-]?0$/.test(text)) return 0
  if (text.length > 64 || !wholeText.test(text)) return null
  let totalMs = 0
  for (const [, amount = '', unit = ''] of text.matchAll(onePart)) totalMs += Number(amount) * (unitMs[unit] ?? 0)
  return text.startsWith('-') ? -totalMs : totalMs
}
