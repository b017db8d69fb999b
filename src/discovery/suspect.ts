/** What is known of an endpoint that is held (admission.ts), and what has traffic shown of it since? Pure. */

import type { Endpoint, EndpointId } from '../balancer/endpoint.ts'
import type { Vitals } from '../balancer/view.ts'
import type { Doubt } from './doubt.ts'

/** An endpoint that is in rotation although the last answer leaves it out. */
export interface Suspect {
  readonly service: string
  readonly endpoint: Endpoint
  readonly doubt: Doubt
  /** It is decided `AdmissionOptions.holdMs` later at the latest. */
  readonly sinceMs: number
  /** Its `Vitals.goodAnswers` when it became a suspect. */
  readonly goodAtStart: number
  /** How many later reads have left it out as well. */
  readonly reads: number
  /** Decided: traffic shows it alive, so its loss is not believed. */
  readonly kept: boolean
}

/** By service, then by endpoint. */
export type Suspects = ReadonlyMap<string, ReadonlyMap<EndpointId, Suspect>>

interface Given {
  /** Of a clock that never goes back. */
  readonly nowMs: number
  /** What requests have shown of an endpoint; null: it is not in the routing table. */
  readonly vitals: (service: string, endpoint: EndpointId) => Vitals | null
}

export function byService(list: Iterable<Suspect>): Suspects {
  const suspects = new Map<string, Map<EndpointId, Suspect>>()
  for (const suspect of list) {
    const held = suspects.get(suspect.service) ?? new Map<EndpointId, Suspect>()
    suspects.set(suspect.service, held.set(suspect.endpoint.id, suspect))
  }
  return suspects
}

/** All suspects, service by service. */
export function* suspectsOf({ suspects }: { readonly suspects: Suspects }): Generator<Suspect> {
  for (const held of suspects.values()) yield* held.values()
}

/** An endpoint that is held from now on. */
export function newSuspect(service: string, endpoint: Endpoint, doubt: Doubt, given: Given): Suspect {
  const { nowMs, vitals } = given
  return {
    service,
    endpoint,
    doubt,
    sinceMs: nowMs,
    goodAtStart: vitals(service, endpoint.id)?.goodAnswers ?? 0,
    reads: 0,
    kept: false,
  }
}

export type Evidence = 'failing' | 'answering' | 'silent'

/**
 * Reads and traffic agree that it is gone. Of one that nobody asked two reads are enough if the doubt is about a service
 * alone: the registry would have the last word on that anyway.
 */
export function isConfirmed({ kept, reads, doubt }: Suspect, evidence: Evidence): boolean {
  if (evidence === 'failing') return kept || reads >= 1
  return evidence === 'silent' && reads >= 2 && (doubt === 'most-of-service' || doubt === 'service-emptied')
}

/** What traffic has shown since it became a suspect. A single fault may be an accident; two in a row are a sign. */
export function evidenceOn({ service, endpoint, goodAtStart }: Suspect, given: Given): Evidence {
  const vitals = given.vitals(service, endpoint.id)
  if (vitals === null) return 'silent'
  if (vitals.state !== 'healthy' || vitals.faultsInRow >= 2) return 'failing'
  return vitals.goodAnswers > goodAtStart ? 'answering' : 'silent'
}
