/**
 * What does a service say of itself, and can that be routed to? Pure: a body, or what the snapshot kept of one, in; an
 * instance out, or everything that is wrong with it. Whoever may push chooses these texts: they are bounded here.
 */

import { type EndpointId, endpointId } from '../../balancer/endpoint.ts'
import { formatDuration, parseDuration } from '../../config/units.ts'
import { isPort, normalAddress } from '../address.ts'
import { isNameable } from '../names.ts'
import { printable } from '../untrusted-text.ts'

/** How one instance wants to be reached, and for how long it is believed. */
export interface PushedInstance {
  /** An IP address or a host name; IPv6 without brackets. */
  readonly address: string
  readonly port: number
  /** 0–65535; 0: it is known, and gets no requests. */
  readonly weight: number
  readonly tags: readonly string[]
  /** It is gone when it has not said so again for so long. */
  readonly ttlMs: number
}

/** One instance of one service. */
export interface Registration extends PushedInstance {
  readonly service: string
  readonly id: string
}

export type Judged<T> =
  | { readonly kind: 'sound'; readonly of: T }
  /** Each is a clause for whoever sent it, printable and bounded. */
  | { readonly kind: 'unsound'; readonly problems: readonly string[] }

export interface EntryRules {
  /** Above or equal to `MIN_TTL_MS`. */
  readonly maxTtlMs: number
  /** The address of an instance that gives none; null: there is no telling, and `address` has to be there. */
  readonly ownAddress: string | null
}

export const MIN_TTL_MS = 1000
export const DEFAULT_TTL_MS = 30_000
const MAX_ID_LENGTH = 128
const MAX_WEIGHT = 65_535
const MAX_TAGS = 16
const MAX_TAG_LENGTH = 64
const MAX_QUOTE_LENGTH = 64
/** A body of one misspelt key deserves its name; one of a hundred is something else. */
const MAX_UNKNOWN_KEYS = 5

type Json = Readonly<Record<string, unknown>>

const keys: readonly string[] = ['address', 'port', 'ttl', 'weight', 'tags'] satisfies (keyof Written)[]

/** An instance as it is written: what a caller sends, and what stands in the snapshot. */
export interface Written {
  readonly address: string
  readonly port: number
  readonly ttl: string
  readonly weight: number
  readonly tags: readonly string[]
}

/** What is wrong with the names, in clauses; none: requests can be sent to such a service. */
export function judgeNames(service: string, id: string): string[] {
  const what = 'must be printable and without a slash, not empty, and neither "." nor ".."'
  const problems: string[] = []
  // In the target of a request a backslash is nobody's: some servers take it for a slash.
  if (!isNameable(service) || service.includes('\\')) {
    problems.push(`the service's name ${quoted(service)} ${what}, and without a backslash; at most 255 characters`)
  }
  if (!isNameable(id) || id.length > MAX_ID_LENGTH) {
    problems.push(`the id ${quoted(id)} ${what}; at most ${MAX_ID_LENGTH} characters`)
  }
  return problems
}

/** Reads the body of a caller. Nothing at all is read as `{}`. Never throws. */
export function judgeBody(text: string, rules: EntryRules): Judged<PushedInstance> {
  let value: unknown
  try {
    value = text.trim() === '' ? {} : JSON.parse(text)
  } catch {
    return { kind: 'unsound', problems: ['the body is not JSON'] }
  }
  if (!isObject(value)) return { kind: 'unsound', problems: ['the body is no JSON object'] }
  const unknown = Object.keys(value).filter((key) => !keys.includes(key))
  const judged = judgeFields(value, rules)
  const problems = unknown
    .slice(0, MAX_UNKNOWN_KEYS)
    .map((key) => `${quoted(key)} is no key of it: there are ${keys.join(', ')}`)
  if (problems.length === 0) return judged
  return { kind: 'unsound', problems: [...problems, ...(judged.kind === 'sound' ? [] : judged.problems)] }
}

/** Judges the known fields of an object; others are not looked at. Never throws. */
export function judgeFields(given: Json, { maxTtlMs, ownAddress }: EntryRules): Judged<PushedInstance> {
  const problems: string[] = []
  const { address = ownAddress, port, ttl, weight = 1, tags = [] } = given
  const place = typeof address === 'string' ? normalAddress(address) : null
  if (address === null && given.address === undefined) {
    problems.push('address is missing: an IP address or a host name')
  } else if (place === null) problems.push(`address is ${quoted(address)}, not an IP address or a host name`)
  if (!isPort(port)) problems.push(wrong('port', port, 'an integer from 1 to 65535'))
  if (!isWeight(weight)) problems.push(wrong('weight', weight, `an integer from 0 to ${MAX_WEIGHT}`))
  if (!areTags(tags)) {
    const allowed = `a list of at most ${MAX_TAGS} printable texts of 1 to ${MAX_TAG_LENGTH} characters`
    problems.push(wrong('tags', tags, allowed))
  }
  const ttlMs = ttl === undefined ? Math.min(DEFAULT_TTL_MS, maxTtlMs) : ttlOf(ttl)
  if (ttlMs === null || ttlMs < MIN_TTL_MS || ttlMs > maxTtlMs) {
    const most = maxTtlMs === Number.POSITIVE_INFINITY ? 'up' : `to ${ttlText(maxTtlMs)}`
    problems.push(wrong('ttl', ttl, `a duration such as "30s", from ${ttlText(MIN_TTL_MS)} ${most}`))
  }
  if (place === null || !isPort(port) || !isWeight(weight) || !areTags(tags) || ttlMs === null || problems.length > 0) {
    return { kind: 'unsound', problems }
  }
  return { kind: 'sound', of: { address: place, port, weight, tags, ttlMs } }
}

/** The fields of an instance as they are sent and written. */
export function written({ address, port, weight, tags, ttlMs }: PushedInstance): Written {
  return { address, port, ttl: ttlText(ttlMs), weight, tags }
}

export function endpointOf({ address, port }: PushedInstance): EndpointId {
  return endpointId(address, port)
}

/** `30s`: as a caller would write it. */
export function ttlText(ttlMs: number): string {
  return formatDuration(ttlMs)
}

export function sameInstance(a: PushedInstance, b: PushedInstance): boolean {
  return (
    a.address === b.address &&
    a.port === b.port &&
    a.weight === b.weight &&
    a.ttlMs === b.ttlMs &&
    a.tags.length === b.tags.length &&
    a.tags.every((tag, index) => tag === b.tags[index])
  )
}

function ttlOf(value: unknown): number | null {
  return typeof value === 'string' ? parseDuration(value) : null
}

function isWeight(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_WEIGHT
}

function areTags(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length <= MAX_TAGS &&
    value.every((tag) => typeof tag === 'string' && tag !== '' && printable(tag, MAX_TAG_LENGTH) === tag)
  )
}

function wrong(key: string, value: unknown, wanted: string): string {
  return value === undefined ? `${key} is missing: ${wanted}` : `${key} is ${quoted(value)}, not ${wanted}`
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A foreign value for people to read, whatever it is. */
function quoted(value: unknown): string {
  if (Array.isArray(value)) return 'a list with something else'
  if (typeof value === 'object' && value !== null) return 'an object'
  return printable(JSON.stringify(value) ?? 'nothing', MAX_QUOTE_LENGTH)
}
