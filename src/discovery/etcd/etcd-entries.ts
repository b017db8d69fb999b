/**
 * Which endpoint does a key of etcd name? Pure: `<prefix>/<service>/<id>` and a value in, an instance out.
 *
 * Three ways to write a value are understood: `host:port`; JSON `{ address, port, weight, tags }`; and the layout of
 * gRPC's naming, `{ "Op": 0, "Addr": "host:port", "Metadata": … }` (etcd's client/v3/naming). Whoever may write below the
 * prefix chooses these texts: they are bounded and made printable here, and trusted from here on.
 */

import {
  type AbsentInstance,
  type CatalogService,
  compareEndpoints,
  type Endpoint,
  endpointId,
} from '../../balancer/endpoint.ts'
import { isPort, normalAddress } from '../address.ts'
import { matchesAny } from '../glob.ts'
import { isNameable, type NameRules } from '../names.ts'
import { type Oddity, type OddityKind, oddity } from '../oddity.ts'
import { parseHostPort } from '../static-source.ts'
import { compareText, printable } from '../untrusted-text.ts'

export interface EntryRules extends NameRules {
  /** What stands before `/<service>/<id>` in the keys; slashes at its end do not count. */
  readonly prefix: string
  /** Only instances with this tag; null: all. */
  readonly tag: string | null
}

/** One instance, judged by itself. */
export type Instance =
  | { readonly kind: 'ready'; readonly endpoint: Endpoint }
  | { readonly kind: 'absent'; readonly absentee: AbsentInstance }

export type Entry =
  | { readonly kind: 'instance'; readonly service: string; readonly instance: Instance; readonly oddities: Oddity[] }
  /** A key that is about no instance of a service that is routed. */
  | { readonly kind: 'other'; readonly oddities: readonly Oddity[] }

const MAX_INSTANCE_LENGTH = 128
const MAX_QUOTE_LENGTH = 64
const MAX_WEIGHT = 65_535

type Json = Readonly<Record<string, unknown>>

/** What all keys of the catalog begin with. */
export function keyBase(prefix: string): string {
  return `${prefix.replace(/\/+$/, '')}/`
}

/**
 * Decodes one key. Never throws.
 * @param value null: too long to be looked at
 */
export function decodeEntry(key: string, value: string | null, rules: EntryRules): Entry {
  const base = keyBase(rules.prefix)
  const [, service = '', id = ''] = /^([^/]*)\/(.*)$/s.exec(key.startsWith(base) ? key.slice(base.length) : '') ?? []
  const other = (kind: OddityKind, words: string): Entry => ({ kind: 'other', oddities: [oddity(kind, key, words)] })
  if (service === '' || id === '') {
    return other('malformed-entry', `the key ${quoted(key)} is not ${base}<service>/<id> and was skipped`)
  }
  if (!isNameable(service)) return other('bad-name', `the service name in ${quoted(key)} cannot be routed to`)
  if (!matchesAny(rules.include, service) || matchesAny(rules.exclude, service)) return { kind: 'other', oddities: [] }
  const oddities: Oddity[] = []
  const note: Note = (kind, words) => void oddities.push(oddity(kind, id, words))
  const instance = decodeValue(printable(id, MAX_INSTANCE_LENGTH), value, rules.tag, note)
  return { kind: 'instance', service, instance, oddities }
}

/** What the instances of one service come to: one endpoint for each address and port, and who is absent, and why. */
export function serviceOf(instances: Iterable<Instance>): { service: CatalogService; oddities: Oddity[] } {
  const absent: AbsentInstance[] = []
  const ready: Endpoint[] = []
  for (const each of instances) {
    if (each.kind === 'ready') ready.push(each.endpoint)
    else absent.push(each.absentee)
  }
  const oddities: Oddity[] = []
  const places = new Map<string, Endpoint>()
  // Of several instances at one place the one with the first id stands for it.
  for (const endpoint of ready.sort((a, b) => compareText(a.instance, b.instance) || a.weight - b.weight)) {
    const { id, instance } = endpoint
    const holder = places.get(id)
    if (holder === undefined) places.set(id, endpoint)
    else {
      absent.push({ instance, address: id, reason: `same address and port as "${holder.instance}"` })
      oddities.push(oddity('shared-address', instance, `counted once: ${id}, also of "${holder.instance}"`))
    }
  }
  const endpoints = [...places.values()].sort(compareEndpoints)
  return { service: { endpoints, absent: absent.sort(compareAbsent) }, oddities }
}

type Note = (kind: OddityKind, words: string) => void

function decodeValue(instance: string, value: string | null, tag: string | null, note: Note): Instance {
  const away = (reason: string, address = ''): Instance => {
    return { kind: 'absent', absentee: { instance, address, reason } }
  }
  const malformed = (kind: OddityKind, reason: string): Instance => {
    note(kind, reason)
    return away(reason)
  }
  if (value === null) return malformed('malformed-entry', 'its value is too long')
  const trimmed = value.trim()
  if (trimmed === '') return malformed('no-address', 'its value is empty')
  if (!trimmed.startsWith('{')) return place(trimmed, 1, [])

  const record = jsonObject(trimmed)
  if (record === null) return malformed('malformed-entry', 'its value begins like JSON and is none')
  const { Addr, Op = 0, Metadata, address, port, tags } = record
  if (Addr !== undefined) {
    if (typeof Addr !== 'string') return malformed('bad-address', `its Addr is ${quoted(Addr)}, not host:port`)
    // 1 is "delete", which etcd's own client never leaves behind.
    if (Op !== 0) return malformed('malformed-entry', `its Op is ${quoted(Op)}: only 0 adds an address`)
    return place(Addr, isObject(Metadata) ? weightOf(Metadata.weight, note) : 1, [])
  }
  const host = typeof address === 'string' ? normalAddress(address) : null
  if (address === undefined || address === '') return malformed('no-address', 'has no address')
  if (host === null) return malformed('bad-address', `its address ${quoted(address)} is not one`)
  if (port === undefined) return malformed('bad-port', 'has no port')
  if (!isPort(port)) return malformed('bad-port', `its port is ${quoted(port)}, not 1 to 65535`)
  return judged(host, port, weightOf(record.weight, note), Array.isArray(tags) ? tags : [])

  function place(text: string, weight: number, ownTags: readonly unknown[]): Instance {
    const parsed = parseHostPort(text)
    if (parsed.kind === 'malformed') return malformed('bad-address', `its address ${quoted(text)}: ${parsed.problem}`)
    return judged(parsed.address, parsed.port, weight, ownTags)
  }

  function judged(at: string, on: number, weight: number, ownTags: readonly unknown[]): Instance {
    const id = endpointId(at, on)
    if (tag !== null && !ownTags.includes(tag)) return away(`lacks the tag ${quoted(tag)}`, id)
    if (weight === 0) return away('its weight is 0', id)
    return { kind: 'ready', endpoint: { id, instance, address: at, port: on, weight } }
  }
}

/** From 0 to `MAX_WEIGHT`; absent means 1. */
function weightOf(weight: unknown, note: Note): number {
  if (weight === undefined || weight === null) return 1
  if (typeof weight === 'number' && Number.isInteger(weight) && weight >= 0 && weight <= MAX_WEIGHT) return weight
  const used = typeof weight === 'number' ? Math.min(MAX_WEIGHT, Math.max(1, Math.trunc(weight))) : 1
  note('bad-weight', `its weight is ${quoted(weight)}: taken for ${used}`)
  return used
}

function jsonObject(text: string): Json | null {
  try {
    const parsed: unknown = JSON.parse(text)
    return isObject(parsed) ? parsed : null
  } catch {
    return null
  }
}

function compareAbsent(a: AbsentInstance, b: AbsentInstance): number {
  return compareText(a.address, b.address) || compareText(a.instance, b.instance) || compareText(a.reason, b.reason)
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A foreign value for people to read, whatever it is. */
function quoted(value: unknown): string {
  const words =
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : typeof value
  return printable(JSON.stringify(words), MAX_QUOTE_LENGTH)
}
