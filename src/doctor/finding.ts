/** What is a finding? One thing that is wrong, with the instances that it is wrong with. */

import { printable } from '../discovery/untrusted-text.ts'
import type { InstanceFacts } from './facts.ts'

export type FindingKind =
  // The config and the source.
  | 'config'
  | 'unreadable'
  | 'no-leader'
  | 'stale-server'
  | 'index-missing'
  | 'index-backwards'
  | 'clock'
  | 'empty-catalog'
  | 'unknown-service'
  // This machine.
  | 'local-limit'
  // A service.
  | 'excluded'
  | 'bad-name'
  | 'name-needs-encoding'
  | 'none-in-rotation'
  // What is registered.
  | 'shared-address'
  | 'loopback-address'
  | 'link-local-address'
  | 'no-place-address'
  | 'docker-address'
  | 'bad-registration'
  | 'no-checks'
  | 'churning-check'
  // What connecting showed.
  | 'refused'
  | 'timed-out'
  | 'unroutable'
  | 'unresolved'
  | 'reset'
  | 'unreachable'
  | 'answers-though-critical'
  // What a GET showed.
  | 'http-5xx'
  | 'no-http'
  | 'http-silent'

export interface FoundInstance {
  readonly id: string
  /** Empty: the source has no nodes. */
  readonly node: string
  /** `address:port`, as far as there is one. */
  readonly place: string
  /** What is so of this one alone; null: nothing. */
  readonly note: string | null
}

export interface Finding {
  readonly kind: FindingKind
  /** `error`: requests fail of it, or will. `warning`: it may hurt. */
  readonly severity: 'error' | 'warning'
  /** As the catalog has it, made printable; null: it is about no single service. */
  readonly service: string | null
  readonly instances: readonly FoundInstance[]
  /** Where it was found: a service, an agent, a check; one line. */
  readonly where: string
  /** What is wrong, a sentence. */
  readonly what: string
  /** Why that hurts. */
  readonly why: string
  /** What to do about it. */
  readonly cure: string
}

const MAX_NAME_LENGTH = 255

export function shownName(name: string): string {
  return printable(name, MAX_NAME_LENGTH)
}

export function foundInstance({ id, node, place }: InstanceFacts, note: string | null = null): FoundInstance {
  return { id, node, place, note }
}

/** `1 instance`, `2 instances`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

/** `1 of its 3 instances`, `its only instance`, `all of its 3 instances`. */
export function shareOf(part: number, whole: number): string {
  if (whole === 1) return 'its only instance'
  return part === whole ? `all of its ${whole} instances` : `${part} of its ${whole} instances`
}

/** `2 s`, `0.5 s`. */
export function seconds(ms: number): string {
  return `${Number((ms / 1000).toFixed(1))} s`
}
