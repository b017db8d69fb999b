/** What does a pool know of one of its endpoints? */

import type { Drain } from './drains.ts'
import type { Endpoint } from './endpoint.ts'
import type { EjectionReason } from './observer.ts'
import type { Outcome } from './outcome.ts'
import { OutlierDetector } from './outlier.ts'
import type { OutlierOptions } from './outlier-options.ts'
import { warmedWeights, warmth } from './slow-start.ts'
import type { EjectionView, EndpointView, FaultView, OutOfRotation, Vitals } from './view.ts'

/** For so long after an endpoint has joined or left, that explains a failed connect to it. */
export const settlingMs = 5_000

/** One faulty attempt, at its time (clock, ms). */
export interface FaultSeen {
  readonly atMs: number
  readonly outcome: Outcome
  readonly request: string | null
}

/** One ejection, and what led to it. */
export interface EjectionSeen {
  readonly reason: EjectionReason
  readonly atMs: number
  readonly forMs: number
  readonly by: string | null
  readonly faults: readonly FaultSeen[]
}

/** So many of an endpoint's last faults are remembered. */
const rememberedFaults = 10

export interface Member {
  endpoint: Endpoint
  /** Its place in the pool's list; -1 once it has left. */
  index: number
  /** When it joined (clock, ms); -Infinity: it was there when the balancer first saw a catalog. */
  readonly joinedMs: number
  /** When it left; -Infinity: it has not. */
  leftMs: number
  /** Since when its share grows; null: it has its full share. */
  warmingSinceMs: number | null
  readonly detector: OutlierDetector
  /** A person took it out of rotation; null: nobody did. */
  drained: Drain | null
  /** How it is out of rotation, told anew whenever that changes; null: it is in. Shared by all standings that find it so. */
  out: OutOfRotation | null
  /** When a drain of it ended last (clock, ms); -Infinity: never. */
  undrainedMs: number
  /** Its last faults, oldest first. */
  faults: readonly FaultSeen[]
  lastEjection: EjectionSeen | null
  inFlight: number
  picks: number
}

/**
 * @param joinedMs see `Member`
 * @param isWarm it has its full share from the start
 */
export function newMember(
  endpoint: Endpoint,
  index: number,
  nowMs: number,
  { joinedMs, isWarm }: { readonly joinedMs: number; readonly isWarm: boolean },
): Member {
  return {
    endpoint,
    index,
    joinedMs,
    leftMs: Number.NEGATIVE_INFINITY,
    warmingSinceMs: isWarm ? null : joinedMs,
    detector: new OutlierDetector(nowMs),
    drained: null,
    out: null,
    undrainedMs: Number.NEGATIVE_INFINITY,
    faults: noFaults,
    lastEjection: null,
    inFlight: 0,
    picks: 0,
  }
}

const noFaults: readonly FaultSeen[] = []

export function noteFault(member: Member, fault: FaultSeen): void {
  member.faults = [...member.faults.slice(1 - rememberedFaults), fault]
}

/** Those of the remembered faults that an ejection for this reason, which is due now, stands on. */
export function tripping(
  member: Member,
  reason: EjectionReason,
  nowMs: number,
  { faultRate }: OutlierOptions,
): readonly FaultSeen[] {
  const { faults, detector } = member
  switch (reason) {
    case 'consecutive-faults':
      return faults.slice(-detector.consecutiveFaults)
    case 'consecutive-connect-faults':
      return faults.slice(-detector.consecutiveConnectFaults)
    case 'probe-failed':
      return faults.slice(-1)
    case 'fault-rate': {
      // What was before is in no share any more: it is long ago, or was forgiven.
      const windowMs = faultRate?.windowMs ?? 0
      const forgivenMs = detector.health.kind === 'healthy' ? detector.health.sinceMs : nowMs
      const fromMs = Math.max(nowMs - windowMs, forgivenMs, member.undrainedMs)
      return faults.filter(({ atMs }) => atMs >= fromMs)
    }
    case 'by-hand':
      return noFaults
    default:
      return reason satisfies never
  }
}

/** True when its next turn is for it to have: nobody drained it, and it is healthy or may be probed. */
export function isInTurn({ drained, detector: { health } }: Member, nowMs: number): boolean {
  return drained === null && (health.kind === 'healthy' || (health.kind === 'ejected' && health.untilMs <= nowMs))
}

/** How it is out of rotation by now; null when it is in. */
export function outOf({ endpoint, drained, detector: { health } }: Member): OutOfRotation | null {
  if (drained !== null) return { endpoint: endpoint.id, state: 'drained', reason: null }
  return health.kind === 'healthy' ? null : { endpoint: endpoint.id, state: health.kind, reason: health.reason }
}

/** What each one weighs now, and when (clock, ms) somebody will weigh more. Who is warm by now is so for good. */
export function weigh(members: readonly Member[], nowMs: number, slowStartMs: number | null) {
  for (const member of members) {
    const { warmingSinceMs } = member
    if (warmingSinceMs === null) continue
    // A longer slow start, set later, is for those who join then.
    if (slowStartMs === null || nowMs - warmingSinceMs >= slowStartMs) member.warmingSinceMs = null
  }
  return warmedWeights(
    members.map(({ endpoint, warmingSinceMs }) => ({ weight: endpoint.weight, sinceMs: warmingSinceMs })),
    nowMs,
    slowStartMs,
  )
}

/** @param turns what the rotation knows of it */
export function memberView(
  member: Member,
  turns: Pick<EndpointView, 'recentPicks' | 'idealShare'>,
  nowMs: number,
  slowStartMs: number | null,
): EndpointView {
  const { endpoint, detector, drained, undrainedMs, lastEjection, inFlight, picks } = member
  const { health, withheld } = detector
  const inHealthSinceMs = (health.kind === 'healthy' ? health.sinceMs : lastEjection?.atMs) ?? nowMs
  const sinceMs = drained?.atMs ?? Math.max(inHealthSinceMs, undrainedMs)
  return {
    endpoint,
    state: drained === null ? health.kind : 'drained',
    stateForMs: nowMs - sinceMs,
    drained: drained === null ? null : { by: drained.by, agoMs: nowMs - drained.atMs },
    reason: health.kind === 'healthy' ? (withheld?.due ?? null) : health.reason,
    withheld: withheld?.reason ?? null,
    ejectedForMs: health.kind === 'ejected' ? Math.max(0, health.untilMs - nowMs) : null,
    consecutiveFaults: detector.consecutiveFaults,
    consecutiveConnectFaults: detector.consecutiveConnectFaults,
    ejections: detector.ejections,
    inFlight,
    picks,
    ...turns,
    faults: faultViews(member.faults, nowMs),
    lastEjection: lastEjection === null ? null : ejectionView(lastEjection, nowMs),
    lastWithheld:
      withheld === null
        ? null
        : { due: withheld.due, reason: withheld.reason, pool: withheld.pool, agoMs: nowMs - withheld.sinceMs },
    warmth: warmth(member.warmingSinceMs, nowMs, slowStartMs),
  }
}

function ejectionView({ reason, atMs, forMs, by, faults }: EjectionSeen, nowMs: number): EjectionView {
  return { reason, agoMs: nowMs - atMs, forMs, by, faults: faultViews(faults, nowMs) }
}

function faultViews(faults: readonly FaultSeen[], nowMs: number): readonly FaultView[] {
  return faults.map(({ atMs, outcome, request }) => ({ agoMs: nowMs - atMs, outcome, request }))
}

export function vitalsOf({ detector }: Member): Vitals {
  return {
    goodAnswers: detector.goodAnswers,
    faultsInRow: detector.consecutiveFaults,
    state: detector.health.kind,
  }
}
