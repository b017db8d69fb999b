/**
 * What can bear on an instance? Each cause as data: a clause for a person, and the same in fields for a script. Who finds
 * them is in explain-catalog.ts and explain-health.ts.
 */

import type { AbsentInstance } from '../balancer/endpoint.ts'
import type { EjectionReason, WithheldReason } from '../balancer/observer.ts'
import type { Outcome } from '../balancer/outcome.ts'
import type { OutlierOptions } from '../balancer/outlier-options.ts'
import type { DrainView, EndpointView } from '../balancer/view.ts'
import type { CheckFacts, InstanceFacts } from '../discovery/facts.ts'
import type { SuspectDetail } from './catalog.ts'

/** One request that an endpoint failed. */
export interface FaultDetail {
  readonly agoMs: number
  readonly at: string
  /** In words. */
  readonly outcome: string
  readonly kind: Outcome['kind']
  readonly status: number | null
  /** Its X-Request-Id; null when it was not said. */
  readonly request: string | null
}

/** `text` is a clause for a person; the other fields say the same to a script. Times are ISO 8601, or ms ago. */
export type Cause = { readonly text: string } & (
  | ({ readonly kind: 'check' } & CheckDetail)
  | ({ readonly kind: 'maintenance'; readonly of: 'service' | 'node'; readonly reason: string } & Since)
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'shared-address'; readonly others: readonly string[] }
  /** The catalog's answer says it, or lacks it: no address, a weight of 0, another datacenter that is preferred. */
  | { readonly kind: 'catalog' }
  | ({ readonly kind: 'admission' } & SuspectDetail)
  | ({ readonly kind: 'ejection' | 'was-ejected' } & EjectionDetail)
  | {
      readonly kind: 'withheld'
      readonly due: EjectionReason
      readonly reason: WithheldReason
      readonly agoMs: number
      readonly poolSize: number
      readonly ejected: number
      readonly failing: number
      readonly faults: readonly FaultDetail[]
    }
  | {
      readonly kind: 'failing'
      readonly inRow: number
      readonly connectsInRow: number
      readonly faults: readonly FaultDetail[]
    }
  | { readonly kind: 'panic'; readonly picks: number; readonly agoMs: number | null }
  | { readonly kind: 'drain'; readonly by: string; readonly agoMs: number; readonly at: string }
  | { readonly kind: 'slow-start'; readonly warmth: number }
  | { readonly kind: 'weight'; readonly weight: number }
)

/** When this was first so, as far as this proxy knows. */
interface Since {
  readonly agoMs: number
  readonly at: string
  /** It was so when this proxy first looked: it may have been for longer. */
  readonly orLonger: boolean
}

/** One check, for people and scripts. */
export interface CheckDetail extends Since {
  readonly check: string
  readonly id: string
  readonly status: CheckFacts['status']
  readonly output: string
  readonly ofNode: boolean
}

export interface EjectionDetail {
  readonly rule: EjectionReason
  readonly by: string | null
  readonly agoMs: number
  readonly at: string
  readonly forMs: number
  readonly until: string
  readonly nextProbeInMs: number | null
  readonly inRow: number
  readonly ejections: number
  readonly faults: readonly FaultDetail[]
}

/** What is known of one instance; null: it has no such record. */
export interface InstanceRecord {
  readonly endpoint: EndpointView | null
  readonly absent: AbsentInstance | null
  readonly facts: InstanceFacts | null
  readonly suspect: SuspectDetail | null
  /** A person's word on a place that the table lacks; null: there is none, or its endpoint has it. */
  readonly drained: DrainView | null
  /** Ids of other instances at its address and port, ten at most. */
  readonly sameAddress: readonly string[]
  /** Requests go to its address and port, be it under the id of another one. */
  readonly isPlaceInRotation: boolean
}

export interface CauseContext {
  /** Of the clock that the facts' times are of. */
  readonly nowMs: number
  /** Milliseconds since 1970. */
  readonly epochMs: number
  readonly outlier: OutlierOptions
  readonly slowStartMs: number | null
  /** All endpoints that may be tried are ejected; null: it is not so. */
  readonly panic: { readonly picks: number; readonly agoMs: number | null } | null
  /** The endpoints of the service do not all weigh the same. */
  readonly areWeighted: boolean
}
