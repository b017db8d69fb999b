/** What must hold in every run, and what is only worth a word? Pure. */

import type { Run } from './stage.ts'
import { rangeOf } from './statistics.ts'

/** A 1: a request that began before the run, and ended in it, may shift the turn by one. */
const allowedSpread = 1
const rssLimitMiB = 150
const rssGrowthLimitMiB = 24

/** Why this run is worth nothing, or shows a defect; each one clause. Empty when all is well. */
export function problemsOf(run: Run, target: 'direct' | 'evenkeel' | 'peer', sharesMustBeEven: boolean): string[] {
  const problems: string[] = []
  const failed = Object.entries(run.failures).map(([what, count]) => `${count} × ${what}`)
  if (failed.length > 0) problems.push(`requests failed: ${failed.join(', ')}`)
  else if (run.completed !== run.requests) problems.push(`${run.completed} of ${run.requests} requests were answered`)
  if (target !== 'evenkeel') return problems

  const seen = run.shares.reduce((sum, share) => sum + share, 0)
  if (seen !== run.requests) problems.push(`the instances saw ${seen} requests of ${run.requests}`)
  if (sharesMustBeEven && run.spread > allowedSpread) {
    problems.push(`uneven shares: ${run.shares.join(' / ')} differ by ${run.spread}`)
  }
  return problems
}

/** What puts the figures in doubt. */
export function doubtsOf(run: Run, rate: number | null): string[] {
  const doubts: string[] = []
  const { load, target } = run.busy
  if (rate !== null && run.requests / run.seconds < rate * 0.95) {
    doubts.push(`only ${Math.round(run.requests / run.seconds)} requests/s of ${rate} could be started`)
  }
  if (load !== null && load > 0.95 && (target === null || target < 0.8)) {
    doubts.push('the load generator is the limit: requests/s and latency say little, CPU per request holds')
  }
  return doubts
}

/**
 * Memory goes up and down with each collection, so halves are compared by their medians, not one moment with another.
 * @param series resident memory after each part of the requests, in MiB
 * @returns what is wrong with it, each one clause
 */
export function memoryProblems(series: readonly number[]): string[] {
  const half = Math.ceil(series.length / 2)
  const early = rangeOf(series.slice(0, half))?.median
  const late = rangeOf(series.slice(half))?.median
  if (early === undefined || late === undefined) return []
  const problems: string[] = []
  if (late > rssLimitMiB) problems.push(`${late.toFixed(0)} MiB resident in the second half, more than ${rssLimitMiB}`)
  if (late - early > rssGrowthLimitMiB) {
    problems.push(`resident memory grew from ${early.toFixed(0)} to ${late.toFixed(0)} MiB between the halves`)
  }
  return problems
}
