/** What the balancer tells whoever watches it. Implementations may throw: no request fails of it. */

import type { EndpointId } from './endpoint.ts'
import type { Outcome } from './outcome.ts'

/** Which rule ejected an endpoint; `by-hand`: a person did. */
export type EjectionReason =
  | 'consecutive-faults'
  | 'consecutive-connect-faults'
  | 'fault-rate'
  | 'probe-failed'
  | 'by-hand'

/** `cap`: too many ejected already. `correlated`: half the pool fails together. `shadow`: `enforce` is false. */
export type WithheldReason = 'cap' | 'correlated' | 'shadow'

/** The fault that tripped a rule; `request`: the request's id, null when it was not said. */
export interface TrippingFault {
  readonly outcome: Outcome
  readonly request: string | null
}

export interface BalancerObserver {
  /** @param last what tripped the rule; absent: a person did it */
  onEjected(service: string, endpoint: EndpointId, reason: EjectionReason, forMs: number, last?: TrippingFault): void
  /**
   * Its ejection is over, and it is back in rotation unless it is drained: it answered well, a failed probe was no reason
   * to keep it out, or a person said so.
   */
  onRestored(service: string, endpoint: EndpointId): void
  /** An ejection was due and did not happen. Told once, until the endpoint does well again. */
  onWithheld(
    service: string,
    endpoint: EndpointId,
    due: EjectionReason,
    withheld: WithheldReason,
    last?: TrippingFault,
  ): void
  /** A person takes it out of rotation until it is undrained, whatever catalog and health say. */
  onDrained(service: string, endpoint: EndpointId, by: string): void
  onUndrained(service: string, endpoint: EndpointId, by: string): void
  /** Every endpoint that may be tried is ejected, so one of them was picked anyway. */
  onPanicPick(service: string): void
}

/** An observer that throws must not fail the request that it watches. */
export function tell(event: () => void): void {
  try {
    event()
  } catch {
    // What an observer does with its own failure is its affair.
  }
}

/**
 * One observer that stands for several: each hears of the events that it has a method for, whatever the others do with
 * theirs. The list is looked at for each event, so it may be filled later.
 */
export function allOf(observers: readonly Partial<BalancerObserver>[]): BalancerObserver {
  const each =
    <A extends readonly unknown[]>(hear: (observer: Partial<BalancerObserver>, ...event: A) => void) =>
    (...event: A): void => {
      for (const observer of observers) tell(() => hear(observer, ...event))
    }
  return {
    onEjected: each((observer, ...event) => observer.onEjected?.(...event)),
    onRestored: each((observer, ...event) => observer.onRestored?.(...event)),
    onWithheld: each((observer, ...event) => observer.onWithheld?.(...event)),
    onDrained: each((observer, ...event) => observer.onDrained?.(...event)),
    onUndrained: each((observer, ...event) => observer.onUndrained?.(...event)),
    onPanicPick: each((observer, ...event) => observer.onPanicPick?.(...event)),
  }
}
