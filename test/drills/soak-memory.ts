/** Does the proxy hold more memory than before all those requests? */

import type { FindingsCollector } from './findings.ts'
import type { HeldMemory } from './inspector.ts'

const MiB = 1024 ** 2

/**
 * What code that is compiled late and caches that fill once may cost. It grows with the answers to its most: a flat
 * allowance would hide, in a short soak, some object that is kept for each request. Measured without a leak: below 0.5
 * MiB of heap and 0.2 MiB of external, from 5,000 answers to 60,000.
 */
function allowedGrowthMiB(what: keyof HeldMemory, answers: number): number {
  return what === 'rss' ? 40 : Math.min(6, 1 + (answers * 16) / MiB)
}

/** @param answers how many were given between `before` and `after` */
export function tellMemory(
  how: string,
  before: HeldMemory,
  after: HeldMemory,
  answers: number,
  findings: FindingsCollector,
): void {
  for (const what of ['heap', 'external', 'rss'] as const) {
    const [from, to] = [before[what] / MiB, after[what] / MiB]
    const [growth, allowed] = [to - from, allowedGrowthMiB(what, answers)]
    const perAnswer = ((growth * MiB) / answers).toFixed(1)
    findings.figure(
      `${how}: ${what} after collection, MiB`,
      `${from.toFixed(1)} → ${to.toFixed(1)} (${perAnswer} bytes an answer)`,
    )
    findings.promise(
      `${how}: ${what} returns`,
      growth < allowed,
      `${growth.toFixed(1)} MiB more, ${perAnswer} bytes an answer; allowed: ${allowed.toFixed(1)} MiB`,
    )
  }
}
