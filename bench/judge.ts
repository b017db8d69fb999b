/** What must hold in every run, and what is only worth a word? Pure. */

import type { Run } from './stage.ts'

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
 * @param series resident memory after each part of the requests, in MiB, the first part being warm-up
 * @returns what is wrong with it, each one clause
 */
export function memoryProblems(series: readonly number[]): string[] {
  const first = series[0]
  const last = series.at(-1)
  if (first === undefined || last === undefined) return []
  const problems: string[] = []
  if (last > rssLimitMiB) problems.push(`${last.toFixed(0)} MiB resident at the end, more than ${rssLimitMiB}`)
  if (last - first > rssGrowthLimitMiB) {
    problems.push(`resident memory grew from ${first.toFixed(0)} to ${last.toFixed(0)} MiB`)
  }
  return problems
}
