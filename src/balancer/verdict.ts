/** What follows from how one attempt ended, for the health of its endpoint? Decided here, done by the pool. */

import type { Member } from './member.ts'
import type { EjectionReason, WithheldReason } from './observer.ts'
import type { Fault } from './outcome.ts'
import { type PoolState, withholding } from './outlier.ts'
import type { OutlierOptions } from './outlier-options.ts'

/** How a pick stands to the health of its endpoint: its turn, the one request of a probe, or for want of others. */
export type PickRole = 'regular' | 'probe' | 'panic'

export type Verdict =
  | { readonly kind: 'none' }
  | { readonly kind: 'restore' }
  /** The probe said nothing: another one may go at once. */
  | { readonly kind: 'probe-again' }
  | { readonly kind: 'eject'; readonly reason: EjectionReason }
  | {
      readonly kind: 'withhold'
      readonly due: EjectionReason
      readonly reason: WithheldReason
      readonly pool: PoolState
    }

/** One ended attempt on `member`. */
export interface Attempt {
  readonly role: PickRole
  readonly fault: Fault
  /** When it was picked, as a sequence number of its pool. */
  readonly turn: number
}

const none: Verdict = { kind: 'none' }
const restore: Verdict = { kind: 'restore' }
const probeAgain: Verdict = { kind: 'probe-again' }

/**
 * Counts the attempt in the member's record and judges it.
 * @param members of the whole pool
 */
export function judge(
  member: Member,
  members: readonly Member[],
  { role, fault, turn }: Attempt,
  nowMs: number,
  options: OutlierOptions,
): Verdict {
  const { detector } = member
  if (detector.health.kind === 'healthy') {
    const due = detector.record(fault, turn, nowMs, options)
    // Who is drained is out already; what of it is still in flight fails, perhaps, for the very reason of the drain.
    if (due === null || member.drained !== null) return none
    const pool = poolState(member, members, due, nowMs, options)
    const reason = withholding(fault, pool, options)
    if (reason === null) return { kind: 'eject', reason: due }
    return reason === 'unclear' ? none : { kind: 'withhold', due, reason, pool }
  }
  if (role !== 'probe') return fault === 'none' ? restore : none
  if (fault === 'not-upstream') return probeAgain
  detector.record(fault, turn, nowMs, options)
  if (fault === 'none') return restore
  const pool = poolState(member, members, 'probe-failed', nowMs, options)
  return withholding(fault, pool, options) === null ? { kind: 'eject', reason: 'probe-failed' } : restore
}

/** What the rest of its pool is like; who was drained has no part in it. */
function poolState(
  member: Member,
  members: readonly Member[],
  due: EjectionReason,
  nowMs: number,
  options: OutlierOptions,
): PoolState {
  const maybeFirst = due === 'consecutive-faults' && member.detector.mayBeFirst(nowMs)
  let size = 1
  let ejected = 0
  let failing = 1
  let unheard = 0
  for (const { detector, inFlight, drained } of members) {
    if (detector === member.detector || drained !== null) continue
    size++
    const isHealthy = detector.health.kind === 'healthy'
    if (!isHealthy) ejected++
    if (detector.isFailing(nowMs, options)) failing++
    else if (maybeFirst && isHealthy && inFlight > 0 && !detector.hasOutdone(member.detector)) unheard++
  }
  return { size, ejected, failing, unheard }
}
