/** What does a pool know of one of its endpoints? */

import type { Endpoint } from './endpoint.ts'
import { OutlierDetector } from './outlier.ts'
import { warmedWeights, warmth } from './slow-start.ts'
import type { EndpointView, Vitals } from './view.ts'

/** For so long after an endpoint has joined or left, that explains a failed connect to it. */
export const settlingMs = 5_000

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
    inFlight: 0,
    picks: 0,
  }
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

export function memberView(member: Member, nowMs: number, slowStartMs: number | null): EndpointView {
  const { endpoint, detector, inFlight, picks } = member
  const { health, withheld } = detector
  return {
    endpoint,
    state: health.kind,
    reason: health.kind === 'healthy' ? (withheld?.due ?? null) : health.reason,
    withheld: withheld?.reason ?? null,
    ejectedForMs: health.kind === 'ejected' ? Math.max(0, health.untilMs - nowMs) : null,
    consecutiveFaults: detector.consecutiveFaults,
    consecutiveConnectFaults: detector.consecutiveConnectFaults,
    ejections: detector.ejections,
    inFlight,
    picks,
    warmth: warmth(member.warmingSinceMs, nowMs, slowStartMs),
  }
}

export function vitalsOf({ detector }: Member): Vitals {
  return {
    goodAnswers: detector.goodAnswers,
    faultsInRow: detector.consecutiveFaults,
    state: detector.health.kind,
  }
}
