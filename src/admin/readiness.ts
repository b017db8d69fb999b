/** May this proxy be given traffic? The app knows; the admin listener only says it. */

/**
 * `fresh` and `stale` serve (stale: from the last good catalog, be it a snapshot that an earlier process left); `starting`
 * and `draining` do not.
 */
export type ReadinessState = 'starting' | 'fresh' | 'stale' | 'draining'

export interface Readiness {
  readonly state: ReadinessState
  /** Since the source last confirmed the catalog, to this process or one before it; null if it never did. */
  readonly ageMs: number | null
}

/** True when a balancer in front of this proxy may send it requests. */
export function isReady(state: ReadinessState): boolean {
  return state === 'fresh' || state === 'stale'
}
