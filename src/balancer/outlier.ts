/**
 * Is this endpoint worse than its siblings, and for how long is it left out?
 *
 *                    a rule trips, and neither cap, correlation nor shadow mode withholds it
 *      ┌─────────┐ ───────────────────────────────────────────────────────────▶ ┌─────────┐
 *      │ healthy │                                                              │ ejected │◀──┐
 *      └─────────┘ ◀──────────┐                              time is up, picked └─────────┘   │
 *           ▲                 │ answered well                       │                ▲        │
 *           │                 │                                     ▼      faulty:   │        │ client left:
 *           │                 └──────────────────────────────── ┌─────────┐ longer   │        │ may probe
 *           └── faulty, but half the pool fails with it ─────── │ probing │ ─────────┘        │ again
 *                                                               └─────────┘ ──────────────────┘
 *
 * Nothing here owns a timer: an ejection ends when a pick finds that its time is up. The rules are Envoy's outlier
 * detection, with two differences: an ejected endpoint comes back through one probe request instead of all at once,
 * and an ejection is withheld when at least half of a pool of three or more fails together, because then the fault is
 * the request's or a shared dependency's. A failed connect is never a request's fault, so it is not withheld for that.
 */

import type { EjectionReason, WithheldReason } from './observer.ts'
import type { Fault } from './outcome.ts'
import type { FaultRateOptions, OutlierOptions } from './outlier-options.ts'

export type Health =
  | { readonly kind: 'healthy'; readonly sinceMs: number }
  | { readonly kind: 'ejected'; readonly untilMs: number; readonly reason: EjectionReason }
  | { readonly kind: 'probing'; readonly reason: EjectionReason }

/** One endpoint's health. All times are milliseconds of the balancer's clock. */
export class OutlierDetector {
  health: Health
  consecutiveFaults = 0
  consecutiveConnectFaults = 0
  /** Ejections since it joined. */
  ejections = 0
  /** An ejection that is due and was withheld, until no rule trips any more. */
  withheld: { readonly due: EjectionReason; readonly reason: WithheldReason } | null = null
  readonly #window = new FaultWindow()
  #lastFault: Fault = 'none'
  /** Ejections in a row: each one lasts longer, and time spent healthy takes them back. */
  #streak = 0

  constructor(nowMs: number) {
    this.health = { kind: 'healthy', sinceMs: nowMs }
  }

  /** Counts the fault of one ended attempt; answers which rule trips, if any. */
  record(fault: Fault, nowMs: number, options: OutlierOptions): EjectionReason | null {
    if (fault === 'not-upstream') return null
    this.#lastFault = fault
    this.consecutiveFaults = fault === 'none' ? 0 : this.consecutiveFaults + 1
    this.consecutiveConnectFaults = fault === 'connect' ? this.consecutiveConnectFaults + 1 : 0
    if (options.faultRate !== null) this.#window.record(fault !== 'none', nowMs, options.faultRate.windowMs)

    const due = this.#due(nowMs, options)
    if (due === null) this.withheld = null
    return due
  }

  /** True while its latest answers are faulty: what "failing together" counts. Failed connects do not. */
  isFailing(nowMs: number, options: OutlierOptions): boolean {
    if (this.#lastFault === 'response') return true
    return (
      options.faultRate !== null && this.#window.share(nowMs, options.faultRate, 4) >= options.faultRate.threshold / 2
    )
  }

  /** Leaves rotation; answers for how long (ms). */
  eject(reason: EjectionReason, nowMs: number, options: OutlierOptions): number {
    if (this.health.kind === 'healthy') {
      const goodPeriods = Math.floor((nowMs - this.health.sinceMs) / Math.max(1, options.baseEjectionMs))
      this.#streak = Math.max(0, this.#streak - goodPeriods)
    }
    this.#streak++
    this.ejections++
    this.withheld = null
    const forMs = Math.min(options.baseEjectionMs * this.#streak, options.maxEjectionMs)
    this.health = { kind: 'ejected', untilMs: nowMs + forMs, reason }
    return forMs
  }

  /** Its time is up and a pick sends it one request. */
  startProbe(): void {
    if (this.health.kind === 'ejected') this.health = { kind: 'probing', reason: this.health.reason }
  }

  /** The probe said nothing about the endpoint: another one may go at once. */
  forgetProbe(nowMs: number): void {
    if (this.health.kind === 'probing') {
      this.health = { kind: 'ejected', untilMs: nowMs, reason: this.health.reason }
    }
  }

  /** Back in rotation, with a clean record. */
  restore(nowMs: number): void {
    this.health = { kind: 'healthy', sinceMs: nowMs }
    this.consecutiveFaults = 0
    this.consecutiveConnectFaults = 0
    this.#lastFault = 'none'
    this.withheld = null
    this.#window.clear()
  }

  #due(nowMs: number, options: OutlierOptions): EjectionReason | null {
    if (this.#lastFault === 'none') return null
    if (this.consecutiveConnectFaults >= options.consecutiveConnectFaults) return 'consecutive-connect-faults'
    if (this.consecutiveFaults >= options.consecutiveFaults) return 'consecutive-faults'
    const rate = options.faultRate
    if (rate !== null && this.#window.share(nowMs, rate, 1) >= rate.threshold) return 'fault-rate'
    return null
  }
}

/** How many endpoints of a pool may be ejected at once: whole ones, rounded down, and never a lone one. */
export function ejectionCap(poolSize: number, options: OutlierOptions): number {
  return poolSize < 2 ? 0 : Math.floor(poolSize * options.maxEjectedShare + 1e-9)
}

/**
 * Why an ejection that is due must not happen; null when it may.
 * @param fault the one that tripped the rule
 * @param ejected endpoints of the pool that are out of rotation for their health already
 * @param failing endpoints of the pool that fail now, this one included
 */
export function withholding(
  fault: Fault,
  poolSize: number,
  ejected: number,
  failing: number,
  options: OutlierOptions,
): WithheldReason | null {
  if (fault === 'response' && poolSize >= 3 && failing * 2 >= poolSize) return 'correlated'
  if (ejected + 1 > ejectionCap(poolSize, options)) return 'cap'
  return options.enforce ? null : 'shadow'
}

const bucketCount = 10

/** Attempts and faults of the last `windowMs`, in ten buckets. */
class FaultWindow {
  readonly #attempts = new Float64Array(bucketCount)
  readonly #faults = new Float64Array(bucketCount)
  /** The newest bucket, counted from the clock's zero. */
  #newest = 0
  #bucketMs = 0

  record(isFault: boolean, nowMs: number, windowMs: number): void {
    this.#advance(nowMs, windowMs)
    const slot = this.#newest % bucketCount
    this.#attempts[slot] = (this.#attempts[slot] as number) + 1
    if (isFault) this.#faults[slot] = (this.#faults[slot] as number) + 1
  }

  /** Share of faults, 0 below `minRequests / leniency` attempts. */
  share(nowMs: number, options: FaultRateOptions, leniency: number): number {
    this.#advance(nowMs, options.windowMs)
    let attempts = 0
    let faults = 0
    for (let slot = 0; slot < bucketCount; slot++) {
      attempts += this.#attempts[slot] as number
      faults += this.#faults[slot] as number
    }
    return attempts === 0 || attempts * leniency < options.minRequests ? 0 : faults / attempts
  }

  clear(): void {
    this.#attempts.fill(0)
    this.#faults.fill(0)
  }

  #advance(nowMs: number, windowMs: number): void {
    const bucketMs = windowMs / bucketCount
    const current = Math.floor(nowMs / bucketMs)
    if (bucketMs !== this.#bucketMs || current - this.#newest >= bucketCount || current < this.#newest) {
      this.clear()
    } else {
      for (let bucket = this.#newest + 1; bucket <= current; bucket++) {
        this.#attempts[bucket % bucketCount] = 0
        this.#faults[bucket % bucketCount] = 0
      }
    }
    this.#bucketMs = bucketMs
    this.#newest = current
  }
}
