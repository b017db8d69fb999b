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
 *           └── faulty, but withheld ────────────────────────── │ probing │ ─────────┘        │ again
 *                                                               └─────────┘ ──────────────────┘
 *
 * A person may eject, whatever withholds it, and restore, also from a probe that is under way. Whoever is drained goes
 * through the same states, but has no turn in any of them, and no rule trips for it while it is healthy.
 *
 * Nothing here owns a timer: an ejection ends when a pick finds that its time is up. The rules are Envoy's outlier
 * detection, with differences: an ejected endpoint comes back through one probe request instead of all at once, and an
 * ejection for faulty responses is withheld when at least half of a pool of three or more fails together, because then
 * the fault is the request's or a shared dependency's. docs/decisions/003-outlier-rules.md has the reasons.
 */

import { FaultWindow } from './fault-window.ts'
import type { EjectionReason, WithheldReason } from './observer.ts'
import type { Fault } from './outcome.ts'
import type { OutlierOptions } from './outlier-options.ts'

export type Health =
  | { readonly kind: 'healthy'; readonly sinceMs: number }
  | { readonly kind: 'ejected'; readonly untilMs: number; readonly reason: EjectionReason }
  | { readonly kind: 'probing'; readonly reason: EjectionReason }

/** An ejection that was due and did not happen. */
export interface Withheld {
  readonly due: EjectionReason
  readonly reason: WithheldReason
  readonly sinceMs: number
  /** What the rest of the pool was like at the last fault that made it due. */
  readonly pool: PoolState
}

/** How long slower siblings are waited for before a run of faults is taken for this endpoint's own. */
export const siblingPatienceMs = 1_000

/** One endpoint's health. All times are milliseconds of the balancer's clock. */
export class OutlierDetector {
  health: Health
  consecutiveFaults = 0
  consecutiveConnectFaults = 0
  /** Signs of life: grows with the head and with the end of every answer that was no fault. */
  goodAnswers = 0
  /** Ejections since it joined. */
  ejections = 0
  /** An ejection that was due and withheld: until a good answer comes and the rate of faults has halved. */
  withheld: Withheld | null = null
  readonly #window = new FaultWindow()
  #lastFault: Fault = 'none'
  #lastGoodTurn = -1
  /** Where the current run of faults began: the turn and the time of its first one. */
  #run = { turn: 0, sinceMs: 0 }
  /** Ejections in a row: each one lasts longer, and time spent healthy takes them back. */
  #streak = 0

  constructor(nowMs: number) {
    this.health = { kind: 'healthy', sinceMs: nowMs }
  }

  /**
   * Counts the fault of one ended attempt; answers which rule trips, if any. Only a fault trips one: an endpoint is
   * not ejected for a good answer, however bad its rate is.
   * @param turn when the attempt was picked, as a sequence number of its pool
   */
  record(fault: Fault, turn: number, nowMs: number, options: OutlierOptions): EjectionReason | null {
    if (fault === 'not-upstream') return null
    this.#lastFault = fault
    if (fault === 'none') this.answeredWell(turn)
    else if (this.consecutiveFaults === 0) this.#run = { turn, sinceMs: nowMs }
    this.consecutiveFaults = fault === 'none' ? 0 : this.consecutiveFaults + 1
    this.consecutiveConnectFaults = fault === 'connect' ? this.consecutiveConnectFaults + 1 : 0
    if (options.faultRate !== null) this.#window.record(fault, nowMs, options.faultRate.windowMs)

    if (fault !== 'none') return this.#tripped(nowMs, options)
    // A rate that hovers about its threshold is one trouble, not one for each time it crosses.
    if (this.withheld !== null && !this.#isHalfAsBad(nowMs, options)) this.withheld = null
    return null
  }

  /** A response that is no fault has begun to come, for the request picked at this turn. */
  answeredWell(turn: number): void {
    this.#lastGoodTurn = Math.max(this.#lastGoodTurn, turn)
  }

  /** True while its latest answers are faulty: what "failing together" counts. Failed connects do not. */
  isFailing(nowMs: number, options: OutlierOptions): boolean {
    if (this.#lastFault === 'response') return true
    if (options.faultRate === null) return false
    // Siblings that fail with it need not have tripped the rule themselves yet.
    const { threshold, minRequests, windowMs } = options.faultRate
    const early = { threshold, minRequests: minRequests / 4, windowMs }
    return this.#window.responseFaultShare(nowMs, early) >= threshold / 2
  }

  /** True when it has done well with a request that was picked after the sibling's run of faults began. */
  hasOutdone(sibling: OutlierDetector): boolean {
    return this.#lastGoodTurn > sibling.#run.turn
  }

  /** True while its run of faults is so young that slower siblings may fail just as well and not have said so yet. */
  mayBeFirst(nowMs: number): boolean {
    return nowMs - this.#run.sinceMs < siblingPatienceMs
  }

  /** Leaves rotation; answers for how long (ms). */
  eject(reason: EjectionReason, nowMs: number, options: OutlierOptions): number {
    if (this.health.kind === 'healthy') {
      const goodPeriods = Math.floor((nowMs - this.health.sinceMs) / Math.max(1, options.baseEjectionMs))
      this.#streak = Math.max(0, this.#streak - goodPeriods)
    }
    // Beyond the longest ejection a longer streak would only take longer to forget.
    this.#streak = Math.min(this.#streak + 1, Math.ceil(options.maxEjectionMs / Math.max(1, options.baseEjectionMs)))
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
    this.clearRecord()
  }

  /** Nothing of what was counted so far counts from now on. */
  clearRecord(): void {
    this.consecutiveFaults = 0
    this.consecutiveConnectFaults = 0
    this.#lastFault = 'none'
    this.withheld = null
    this.#window.clear()
  }

  #isHalfAsBad(nowMs: number, options: OutlierOptions): boolean {
    const rate = options.faultRate
    return rate !== null && this.#window.faultShare(nowMs, rate) >= rate.threshold / 2
  }

  #tripped(nowMs: number, options: OutlierOptions): EjectionReason | null {
    if (this.consecutiveConnectFaults >= options.consecutiveConnectFaults) return 'consecutive-connect-faults'
    if (this.consecutiveFaults >= options.consecutiveFaults) return 'consecutive-faults'
    const rate = options.faultRate
    if (rate !== null && this.#window.faultShare(nowMs, rate) >= rate.threshold) return 'fault-rate'
    return null
  }
}

/** How many endpoints of a pool may be ejected at once: whole ones, rounded down, and never a lone one. */
export function ejectionCap(poolSize: number, options: OutlierOptions): number {
  return poolSize < 2 ? 0 : Math.floor(poolSize * options.maxEjectedShare + 1e-9)
}

/** What a rule that trips for one endpoint finds in the rest of its pool. */
export interface PoolState {
  readonly size: number
  /** Other endpoints that are out of rotation for their health already. */
  readonly ejected: number
  /** Endpoints that fail now, this one included. */
  readonly failing: number
  /** Endpoints of which nobody knows yet whether they fail with it. */
  readonly unheard: number
}

/**
 * Why an ejection that is due must not happen; null when it may. `unclear`: half the pool may be failing together, and
 * the next fault will tell.
 * @param fault the one that tripped the rule
 */
export function withholding(
  fault: Fault,
  { size, ejected, failing, unheard }: PoolState,
  options: OutlierOptions,
): WithheldReason | 'unclear' | null {
  if (fault === 'response' && size >= 3) {
    if (failing * 2 >= size) return 'correlated'
    if ((failing + unheard) * 2 >= size) return 'unclear'
  }
  if (ejected + 1 > ejectionCap(size, options)) return 'cap'
  return options.enforce ? null : 'shadow'
}
