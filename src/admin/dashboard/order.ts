/** Which services are shown, and in which order? Pure. */

import { type Level, levels } from './levels.ts'
import type { Row } from './messages.ts'

export type SortKey = 'state' | 'name' | 'rate' | 'errors' | 'p50' | 'p99' | 'flight'

export interface Sort {
  readonly key: SortKey
  /** The other way round than what is natural for the key: worst, first or greatest on top. */
  readonly isReversed: boolean
}

export interface Ranked {
  readonly row: Row
  readonly level: Level
}

const values: Readonly<Record<Exclude<SortKey, 'name'>, (each: Ranked) => number>> = {
  state: ({ level }) => -levels.indexOf(level),
  rate: ({ row }) => row.rate,
  errors: ({ row }) => row.errorShare ?? -1,
  p50: ({ row }) => row.p50Ms ?? -1,
  p99: ({ row }) => row.p99Ms ?? -1,
  flight: ({ row }) => row.inFlight,
}

/** The names of those that match, in order; what is equal otherwise goes by name. */
export function ordered(all: Iterable<Ranked>, filter: string, { key, isReversed }: Sort): string[] {
  const words = filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
  const matching = [...all].filter((each) => words.every((word) => matches(each, word)))
  const sign = isReversed ? -1 : 1
  const byName = (a: Ranked, b: Ranked): number => (a.row.name < b.row.name ? -1 : a.row.name > b.row.name ? 1 : 0)
  const compare =
    key === 'name'
      ? (a: Ranked, b: Ranked) => sign * byName(a, b)
      : (a: Ranked, b: Ranked) => sign * (values[key](b) - values[key](a)) || byName(a, b)
  return matching.sort(compare).map(({ row }) => row.name)
}

/** A word of the filter is a part of a name, or the whole of a state. */
function matches({ row, level }: Ranked, word: string): boolean {
  return row.name.toLowerCase().includes(word) || level === word
}
