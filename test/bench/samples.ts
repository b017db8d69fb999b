/** A run in which all went well, and samples made of it, for tests of what is said about them. */

import type { Sample } from '../../bench/play.ts'
import type { Run } from '../../bench/stage.ts'

/** 1,000 requests in a second over four instances. */
export function runOf(differing: Partial<Run> = {}): Run {
  return {
    requests: 1000,
    completed: 1000,
    failures: {},
    seconds: 1,
    latencyMs: { p50: 1, p95: 2, p99: 3, max: 4 },
    latestStartMs: null,
    bodyBytes: 0,
    cpuUsPerRequest: 200,
    rssMiB: 80,
    rssBeforeMiB: 80,
    rssRiseMiB: null,
    busy: { target: 0.9, load: 0.5, origin: 0.4 },
    shares: [250, 250, 250, 250],
    spread: spread(differing.shares),
    ...differing,
  }
}

export function sampleOf(target: string, round: number, differing: Partial<Run> = {}): Sample {
  return { ...runOf(differing), asks: 'max', scenario: 'max', target, round }
}

function spread(shares: readonly number[] | undefined): number {
  return shares === undefined ? 0 : Math.max(...shares) - Math.min(...shares)
}
