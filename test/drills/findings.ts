/** What did a drill find? Measured figures, and the promises it saw broken. Timing is a figure, never a promise. */

import { hrtime } from 'node:process'

export interface Findings {
  /** What the drill measured, in the order in which it is to be read. */
  readonly figures: Readonly<Record<string, number | string>>
  /** Each promise that was not kept, with what was seen instead; empty: all is well. */
  readonly broken: readonly string[]
}

export interface FindingsCollector {
  /** Numbers are rounded to a tenth. */
  figure(name: string, value: number | string): void
  /** @param seen what is told when the promise is not kept */
  promise(what: string, kept: boolean, seen?: unknown): void
  done(): Findings
}

/** Collects as a drill goes along. */
export function collectFindings(): FindingsCollector {
  const figures: Record<string, number | string> = {}
  const broken: string[] = []
  return {
    figure: (name, value) => {
      figures[name] = typeof value === 'number' ? Math.round(value * 10) / 10 : value
    },
    promise: (what, kept, seen) => {
      if (!kept) broken.push(seen === undefined ? what : `${what}; seen: ${told(seen)}`)
    },
    done: () => ({ figures, broken }),
  }
}

function told(seen: unknown): string {
  const text = typeof seen === 'string' ? seen : JSON.stringify(seen)
  return text.length <= 600 ? text : `${text.slice(0, 600)}…`
}

/** Milliseconds of the machine's monotonic clock, which all of its processes share. */
export function clockMs(): number {
  return Number(hrtime.bigint()) / 1e6
}

/** @param share 0–1; of no values at all: NaN */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

/** How often each value occurs, as `value:count value:count`. */
export function tally(values: Iterable<string>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

export function tallyText(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([value, count]) => `${value}:${count}`)
    .join(' ')
}

/** Largest count minus smallest, over names that must all occur. */
export function spread(counts: ReadonlyMap<string, number>, names: readonly string[]): number {
  const each = names.map((name) => counts.get(name) ?? 0)
  return Math.max(...each) - Math.min(...each)
}
