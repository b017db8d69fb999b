/** What does a source say of each instance of a service, for people? Beside the catalog, and no part of it. */

/** From bad to worse: a later one wins. */
const STATES = ['passing', 'warning', 'critical', 'service-maintenance', 'node-maintenance'] as const
export type CheckState = (typeof STATES)[number]

/** Grows from good to bad. */
export const badness = (state: CheckState): number => STATES.indexOf(state)

export interface CheckFacts {
  readonly id: string
  readonly name: string
  readonly status: CheckState
  /** What the check said, or why there is maintenance; empty for one that passes. */
  readonly output: string
  /** It is a check of the node, and so of all that runs there. */
  readonly ofNode: boolean
  /** When this status was first read, in milliseconds of the source's clock. */
  readonly sinceMs: number
  /** It was so when this proxy first looked: it may have been for longer. */
  readonly orLonger: boolean
}

export interface InstanceFacts {
  /** As in the catalog: `Endpoint.instance`, `AbsentInstance.instance`. */
  readonly instance: string
  readonly node: string
  /** `address:port` as far as it is known: `Endpoint.id`, `AbsentInstance.address`. */
  readonly address: string
  readonly tags: readonly string[]
  /** From bad to good, then by name. */
  readonly checks: readonly CheckFacts[]
  /** How many checks were not kept. */
  readonly moreChecks: number
  /** The tag that is wanted and that it lacks; null: none. */
  readonly lacksTag: string | null
  /** The standby datacenter that it is in; absent: the first one. */
  readonly datacenter?: string
}

/** The last reading of one service. */
export interface ServiceFacts {
  /** When it was read, in milliseconds of the source's clock. */
  readonly readMs: number
  readonly instances: readonly InstanceFacts[]
  /** How many instances were not kept. */
  readonly moreInstances: number
}
