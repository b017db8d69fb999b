/** What the routing table looks like right now, as plain data for people and for metrics. */

import type { AbsentInstance, Endpoint } from './endpoint.ts'
import type { EjectionReason, WithheldReason } from './observer.ts'

export type HealthState = 'healthy' | 'ejected' | 'probing'

export interface EndpointView {
  readonly endpoint: Endpoint
  readonly state: HealthState
  /** Why it is out of rotation, or why it is still in although it fails; null when there is nothing to tell. */
  readonly reason: EjectionReason | null
  readonly withheld: WithheldReason | null
  /** Until the next probe may go; null unless ejected. 0 when a probe may go now. */
  readonly ejectedForMs: number | null
  readonly consecutiveFaults: number
  readonly consecutiveConnectFaults: number
  /** Ejections since it joined. */
  readonly ejections: number
  readonly inFlight: number
  /** Picks since it joined. */
  readonly picks: number
  /** Share (0–1) of its full weight that it has now; 1 unless it joined of late and slow start is on. */
  readonly warmth: number
}

/** What requests have shown of one endpoint, for those who doubt what the catalog says of it. */
export interface Vitals {
  /** Grows with every answer that was no fault, at its head and at its end; only its growth means anything. */
  readonly goodAnswers: number
  /** Faults since the last good answer. */
  readonly faultsInRow: number
  readonly state: HealthState
}

export interface ServiceView {
  readonly name: string
  /** False: gone from the catalog, remembered for a while so that it answers 503 and not 404. */
  readonly inCatalog: boolean
  readonly endpoints: readonly EndpointView[]
  readonly absent: readonly AbsentInstance[]
  /** Most picked minus least picked healthy endpoint since the last change of the rotation, weight-adjusted. */
  readonly pickSpread: number
}

export interface TableView {
  /** Ordered by name. */
  readonly services: readonly ServiceView[]
}
