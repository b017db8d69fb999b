/** What came of the requests of one job, while it runs? */

import { percentile } from '../statistics.ts'
import type { LoadResult } from './protocol.ts'

export class Tally {
  readonly #latencies: Float64Array
  readonly #failures: Record<string, number> = {}
  readonly #startMs = performance.now()
  #endMs = this.#startMs
  #completed = 0
  #failed = 0
  #bodyBytes = 0

  /** @param amount how many requests there will be */
  constructor(amount: number) {
    this.#latencies = new Float64Array(amount)
  }

  get ended(): number {
    return this.#completed + this.#failed
  }

  responded(status: number, latencyMs: number, bodyBytes: number): void {
    if (status !== 200) {
      this.failed(`status ${status}`)
      return
    }
    if (this.#completed < this.#latencies.length) this.#latencies[this.#completed] = latencyMs
    this.#completed++
    this.#bodyBytes += bodyBytes
    this.#endMs = performance.now()
  }

  failed(what: string): void {
    this.#failures[what] = (this.#failures[what] ?? 0) + 1
    this.#failed++
    this.#endMs = performance.now()
  }

  result(latestStartMs: number | null): LoadResult {
    const sorted = this.#latencies.subarray(0, Math.min(this.#completed, this.#latencies.length)).sort()
    const at = (share: number) => (sorted.length === 0 ? 0 : percentile(sorted, share))
    return {
      completed: this.#completed,
      failures: this.#failures,
      seconds: (this.#endMs - this.#startMs) / 1000,
      latencyMs: { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) },
      bodyBytes: this.#bodyBytes,
      latestStartMs,
    }
  }
}
