/** Is the table as good as its source, and if not, since when? Pure, with the clock given. */

import type { SourceError } from './source.ts'

export type FreshnessState = 'starting' | 'fresh' | 'stale'

/** The same failure of the same request is told again only after this long. */
const repeatAfterMs = 60_000
const maxRemembered = 1_000

export interface Freshness {
  /**
   * The table comes from a snapshot that was confirmed `ageMs` (0 or more) before now: it is stale, and as old as that,
   * until the source confirms one. Ignored once it has.
   */
  restored(ageMs: number): void
  /**
   * The source agreed or gave a new catalog, all of it `agoMs` ago at most (0 or more; default 0). `recovered`: the table
   * was stale until now.
   */
  confirmed(agoMs?: number): 'recovered' | 'still'
  /** The source failed. True when that is news. */
  failed(error: SourceError): boolean
  /** `ageMs`: since the last confirmation; null before the first. */
  readiness(): { readonly state: FreshnessState; readonly ageMs: number | null }
}

/** @param now milliseconds that never go back */
export function createFreshness(now: () => number): Freshness {
  const told = new Map<string, number>()
  let confirmedAtMs: number | null = null
  let failing = false
  return {
    restored: (ageMs) => {
      if (confirmedAtMs !== null) return
      failing = true
      confirmedAtMs = now() - Math.max(0, ageMs)
    },
    confirmed: (agoMs = 0) => {
      const recovered = failing && confirmedAtMs !== null
      failing = false
      confirmedAtMs = now() - agoMs
      return recovered ? 'recovered' : 'still'
    },
    failed: ({ where, message }) => {
      failing = true
      const key = `${where} ${message}`
      if (now() - (told.get(key) ?? Number.NEGATIVE_INFINITY) < repeatAfterMs) return false
      if (told.size >= maxRemembered) told.clear()
      told.set(key, now())
      return true
    },
    readiness: () => {
      if (confirmedAtMs === null) return { state: 'starting', ageMs: null }
      return { state: failing ? 'stale' : 'fresh', ageMs: now() - confirmedAtMs }
    },
  }
}
