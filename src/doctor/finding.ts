/** What is a finding? One thing that is wrong, with the instances that it is wrong with. */

import { printable } from '../discovery/untrusted-text.ts'
import type { InstanceFacts, SourceName } from './facts.ts'

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
  | 'source-warning'
  | 'bad-file'
  | 'resolver-failing'
  // Several sources.
  | 'half-moved'
  | 'two-names'
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
  | 'bad-entries'
  | 'permanent-entry'
  | 'missed-beats'
  | 'secure-port-only'
  | 'no-vip'
  | 'other-vip'
  | 'no-network'
  | 'no-such-name'
  | 'resolvers-differ'
  | 'short-ttl'
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

/** Each in a few words, for where many services have it. */
export const titles: Readonly<Record<FindingKind, string>> = {
  config: 'the config has a problem',
  unreadable: 'cannot be read',
  'no-leader': 'no leader is known',
  'stale-server': 'a server lags behind its leader',
  'index-missing': 'an answer without an index',
  'index-backwards': 'an index went backwards',
  clock: 'clocks differ',
  'empty-catalog': 'nothing to route',
  'unknown-service': 'not listed',
  'source-warning': 'the source warns of something',
  'bad-file': 'the file cannot be used',
  'resolver-failing': 'a resolver fails',
  'half-moved': 'several sources have it, with different endpoints',
  'two-names': 'two sources name it differently',
  'local-limit': 'this machine is short of something',
  excluded: 'left out by the config',
  'bad-name': 'the name cannot be a segment of a path',
  'name-needs-encoding': 'the name must be percent-encoded in a path',
  'none-in-rotation': 'no instance is in rotation',
  'shared-address': 'several instances have one address and port',
  'loopback-address': 'a loopback address',
  'link-local-address': 'a link-local address',
  'no-place-address': 'an address that names no single place',
  'docker-address': 'an address that may be one inside Docker',
  'bad-registration': 'registered with something that cannot be used',
  'no-checks': 'no check',
  'churning-check': 'a check whose output keeps changing',
  'bad-entries': 'entries that are no instance',
  'permanent-entry': 'an entry that outlives its instance',
  'missed-beats': 'UP, and not heard of for long',
  'secure-port-only': 'only a secure port',
  'no-vip': 'no vipAddress',
  'other-vip': 'another name as vipAddress',
  'no-network': 'no address on the network',
  'no-such-name': 'the name is not in DNS',
  'resolvers-differ': 'resolvers say different things',
  'short-ttl': 'a time to live of 0',
  refused: 'connections are refused',
  'timed-out': 'connections are not accepted',
  unroutable: 'cannot be routed to from here',
  unresolved: 'a name that does not resolve here',
  reset: 'connections are reset',
  unreachable: 'cannot be connected to',
  'answers-though-critical': 'takes connections, and is called ill',
  'http-5xx': 'the GET is answered with 5xx',
  'no-http': 'speaks no HTTP',
  'http-silent': 'the GET is not answered',
}

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
  /** Where it was found; absent: it is about this machine, the config, or several sources. */
  readonly source?: SourceName
  /** As the catalog has it, made printable; null: it is about no single service. */
  readonly service: string | null
  readonly instances: readonly FoundInstance[]
  /** What it consists of, where that is no instance: a line each. Absent: there is nothing to list. */
  readonly details?: readonly string[]
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
