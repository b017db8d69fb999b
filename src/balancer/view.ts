/** What the routing table looks like right now, as plain data for people and for metrics. */

import type { AbsentInstance, CatalogService, Endpoint, EndpointId } from './endpoint.ts'
import type { EjectionReason, WithheldReason } from './observer.ts'
import type { Outcome } from './outcome.ts'
import type { PoolState } from './outlier.ts'

export type HealthState = 'healthy' | 'ejected' | 'probing'

/** `drained`: a person took it out, whatever its health. */
export type EndpointState = HealthState | 'drained'

/** A person's word that an endpoint gets no requests. */
export interface DrainView {
  /** Who said so, as far as it is known; printable. */
  readonly by: string
  readonly agoMs: number
}

/** One faulty attempt. */
export interface FaultView {
  readonly agoMs: number
  readonly outcome: Outcome
  /** The request's id; null when it was not said. */
  readonly request: string | null
}

export interface EjectionView {
  readonly reason: EjectionReason
  readonly agoMs: number
  readonly forMs: number
  /** Who ejected it by hand; null for a rule. */
  readonly by: string | null
  /** The last faults before it, oldest first; ten at most. */
  readonly faults: readonly FaultView[]
}

export interface WithheldView {
  readonly due: EjectionReason
  readonly reason: WithheldReason
  readonly agoMs: number
  /** What the rest of the pool was like then. */
  readonly pool: PoolState
}

export interface EndpointView {
  readonly endpoint: Endpoint
  readonly state: EndpointState
  /** For how long it has been in that state. */
  readonly stateForMs: number
  /** Null: nobody drained it. */
  readonly drained: DrainView | null
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
  /** Picks since the last change of the rotation. */
  readonly recentPicks: number
  /** Share (0–1) of the picks that is its due since then, by weight; 0 when it is out of rotation. */
  readonly idealShare: number
  /** Its last faults that count against it, oldest first; ten at most. */
  readonly faults: readonly FaultView[]
  /** The last ejection since it joined. */
  readonly lastEjection: EjectionView | null
  /** The ejection that is due and withheld, as long as `withheld` says so. */
  readonly lastWithheld: WithheldView | null
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
  /** Drained endpoints that the catalog does not list now: should they return, they stay drained. */
  readonly drainedAway: readonly (DrainView & { readonly endpoint: EndpointId })[]
  /** Picks made although every endpoint that might be tried was ejected, and when the last one was. */
  readonly panic: { readonly picks: number; readonly agoMs: number | null }
  /**
   * Of the endpoints in rotation: how many picks the one most ahead of its share is in front of the one most behind, since
   * the last change of the rotation. With equal weights, most picked minus least picked.
   */
  readonly pickSpread: number
}

export interface TableView {
  /** Ordered by name. */
  readonly services: readonly ServiceView[]
}

/**
 * Who could have been picked at one moment. Made anew only when it changes, so that requests can keep it for free;
 * immutable.
 */
export interface Standing {
  /** The endpoints and absentees of the catalog. */
  readonly service: CatalogService
  /** Those of the endpoints that were out of rotation. */
  readonly out: readonly OutOfRotation[]
}

export interface OutOfRotation {
  readonly endpoint: EndpointId
  readonly state: Exclude<EndpointState, 'healthy'>
  /** Why it was ejected; null when it was drained. */
  readonly reason: EjectionReason | null
}
