/** How many of an endpoint's latest attempts were faults? Counted over a sliding window, in ten buckets. */

import type { Fault } from './outcome.ts'
import type { FaultRateOptions } from './outlier-options.ts'

const bucketCount = 10

/** Attempts of the last `windowMs`, the oldest tenth of it leaving at once. Times are the balancer's clock. */
export class FaultWindow {
  readonly #attempts = new Float64Array(bucketCount)
  readonly #faults = new Float64Array(bucketCount)
  /** Those of the faults that came after a connection stood. */
  readonly #responseFaults = new Float64Array(bucketCount)
  /** The newest bucket, counted from the clock's zero. */
  #newest = 0
  #bucketMs = 0

  /** @param fault how the attempt ended; never `not-upstream` */
  record(fault: Fault, nowMs: number, windowMs: number): void {
    this.#advance(nowMs, windowMs)
    const slot = this.#newest % bucketCount
    this.#attempts[slot] = (this.#attempts[slot] as number) + 1
    if (fault !== 'none') this.#faults[slot] = (this.#faults[slot] as number) + 1
    if (fault === 'response') this.#responseFaults[slot] = (this.#responseFaults[slot] as number) + 1
  }

  /** Share of faults (0–1); 0 below `minRequests` attempts. */
  faultShare(nowMs: number, options: FaultRateOptions): number {
    this.#advance(nowMs, options.windowMs)
    return share(this.#faults, this.#attempts, options.minRequests)
  }

  /** Share of faults other than failed connects (0–1); 0 below `minRequests` attempts. */
  responseFaultShare(nowMs: number, options: FaultRateOptions): number {
    this.#advance(nowMs, options.windowMs)
    return share(this.#responseFaults, this.#attempts, options.minRequests)
  }

  clear(): void {
    this.#attempts.fill(0)
    this.#faults.fill(0)
    this.#responseFaults.fill(0)
  }

  #advance(nowMs: number, windowMs: number): void {
    const bucketMs = windowMs / bucketCount
    const current = Math.floor(nowMs / bucketMs)
    if (bucketMs !== this.#bucketMs || current - this.#newest >= bucketCount) {
      this.clear()
    } else {
      for (let bucket = this.#newest + 1; bucket <= current; bucket++) {
        const slot = bucket % bucketCount
        this.#attempts[slot] = 0
        this.#faults[slot] = 0
        this.#responseFaults[slot] = 0
      }
    }
    this.#bucketMs = bucketMs
    this.#newest = current
  }
}

function share(faults: Float64Array, attempts: Float64Array, minAttempts: number): number {
  const attempted = sum(attempts)
  return attempted === 0 || attempted < minAttempts ? 0 : sum(faults) / attempted
}

function sum(counts: Float64Array): number {
  return counts.reduce((total, count) => total + count, 0)
}
