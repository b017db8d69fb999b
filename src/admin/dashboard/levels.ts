/** How is a service, in one word, and which one does a person look at first? Pure. */

import type { Block, Row } from './messages.ts'

/** Worst first. */
export const levels = ['down', 'failing', 'sick', 'held', 'reduced', 'gone', 'ok'] as const
export type Level = (typeof levels)[number]

/** From this share of 5xx on, a service is failing. */
const failingShare = 0.05

export interface Verdict {
  readonly level: Level
  /** A few words; empty: there is nothing to say. */
  readonly reason: string
}

const blockWords: Readonly<Record<Block, string>> = {
  h: 'healthy',
  f: 'failing, still in',
  u: 'held',
  e: 'ejected',
  p: 'probing',
  d: 'drained',
  a: 'kept out by the catalog',
}

/** What a block of the health strip stands for. */
export function blockWord(block: Block): string {
  return blockWords[block]
}

/** Every block of a service, in words, for those who do not see them. */
export function blocksInWords({ counts }: Row): string {
  const words = (Object.keys(blockWords) as Block[]).flatMap((block) => {
    const count = counts[block] ?? 0
    return count === 0 ? [] : [`${count} ${blockWords[block]}`]
  })
  return words.length === 0 ? 'no endpoints' : words.join(', ')
}

/** How many endpoints get requests, and how many instances are known in all. */
export function inRotation({ counts }: Row): { readonly serving: number; readonly all: number } {
  const { h = 0, f = 0, u = 0, e = 0, p = 0, d = 0, a = 0 } = counts
  return { serving: h + f + u, all: h + f + u + e + p + d + a }
}

export function verdictOf(row: Row): Verdict {
  const { h = 0, f = 0, u = 0, e = 0, p = 0, d = 0, a = 0 } = row.counts
  const out = [
    of(e, 'ejected'),
    of(p, 'probing'),
    of(f, 'failing, still in'),
    of(u, 'held'),
    of(d, 'drained'),
    of(a, 'kept out'),
  ]
  const reason = [...out, row.cause].filter((text) => text !== '').join(' · ')
  if (!row.inCatalog) {
    return row.rate > 0
      ? { level: 'down', reason: 'left the catalog, and is asked for' }
      : { level: 'gone', reason: 'left the catalog' }
  }
  if (h + f + u === 0) {
    // First, for the end may be cut off.
    if (e + p > 0 && row.panic) return { level: 'down', reason: `asked all the same · ${reason}` }
    return { level: 'down', reason: reason === '' ? 'no instances' : reason }
  }
  const share = row.errorShare ?? 0
  if (share >= failingShare) return { level: 'failing', reason }
  if (e + p + f > 0) return { level: 'sick', reason }
  if (u > 0) return { level: 'held', reason }
  return { level: a + d > 0 ? 'reduced' : 'ok', reason }

  function of(count: number, word: string): string {
    return count === 0 ? '' : `${count} ${word}`
  }
}
