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

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** How long ago the catalog was confirmed, in words: seconds for scripts, and for people what many seconds mean. */
export function ageText(ageMs: number | null): string {
  if (ageMs === null) return 'never confirmed'
  const seconds = `confirmed ${(ageMs / 1000).toFixed(1)} s ago`
  if (ageMs < 2 * hourMs) return seconds
  return `${seconds} (${ageMs < 2 * dayMs ? `${(ageMs / hourMs).toFixed(1)} h` : `${(ageMs / dayMs).toFixed(1)} d`})`
}
