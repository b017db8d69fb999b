/** One search: random cases of a seed through one lab, until something is wrong or the time is over. */

import fc from 'fast-check'
import { cases, type Lab, type Search } from './fuzz.ts'
import { Violation } from './violation.ts'

export interface SearchOptions {
  readonly seed: number
  readonly timeMs: number
  /** Violations that are no news: the search goes on. */
  readonly isOld?: (violation: Violation) => boolean
}

/**
 * The first violation found, as small as fast-check could make it in the time that was left; null when there is none.
 * @throws what is no Violation: a fault of the search itself
 */
export async function search(
  lab: Lab,
  name: Search,
  { seed, timeMs, isOld }: SearchOptions,
): Promise<Violation | null> {
  let found: Violation | null = null
  const attempt = async (input: unknown): Promise<void> => {
    try {
      await lab.attempt(name, input)
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      if (isOld?.(error) === true) return
      // Each failing case that fast-check goes on with is smaller than the one before.
      found = error
      throw error
    }
  }
  const details = await fc.check(fc.asyncProperty(cases[name], attempt), {
    seed,
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: timeMs,
    markInterruptAsFailure: false,
  })
  // Without an error the time was over before the first run.
  if (found === null && details.failed && details.errorInstance !== null) throw details.errorInstance
  return found
}
