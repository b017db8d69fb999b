/** What counts as an outlier, and what becomes of it. Terms as in Envoy's outlier detection. */

export interface OutlierOptions {
  /** False: count and tell what would be ejected, eject nothing (shadow mode). */
  readonly enforce: boolean
  /** Faults in a row, of any kind, that eject; ≥ 1. */
  readonly consecutiveFaults: number
  /** Failed connects in a row that eject; ≥ 1. */
  readonly consecutiveConnectFaults: number
  /** Which response statuses are faults. */
  readonly isFaultStatus: (status: number) => boolean
  /** Ejects when at least `threshold` (0–1] of at least `minRequests` within `windowMs` were faults; null: off. */
  readonly faultRate: FaultRateOptions | null
  /** First ejection; the n-th in a row lasts n times as long. */
  readonly baseEjectionMs: number
  readonly maxEjectionMs: number
  /** Share (0–1) of a pool that may be ejected, rounded down to whole endpoints. A lone endpoint never is. */
  readonly maxEjectedShare: number
}

export interface FaultRateOptions {
  readonly threshold: number
  readonly minRequests: number
  readonly windowMs: number
}
