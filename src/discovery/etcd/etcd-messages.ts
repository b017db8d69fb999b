/**
 * What does an answer of etcd's JSON gateway say? Pure: `unknown` JSON in, pages of keys and messages of a watch out.
 * The forms are those of etcd's api/etcdserverpb/rpc.proto as the gateway writes them: integers of 64 bits are texts,
 * bytes are base64, and what is zero, false or empty is left out. Of what the keys mean this file knows nothing.
 */

/** Who answered, and how far it had got. */
export interface EtcdHeader {
  readonly clusterId: string
  readonly revision: bigint
  readonly raftTerm: bigint
}

export interface KeyValue {
  /** In base64, as it came: the key's identity. */
  readonly key: string
  /** null: longer than any that could name an endpoint. */
  readonly value: string | null
  readonly modRevision: bigint
}

export type EtcdEvent =
  | { readonly kind: 'put'; readonly of: KeyValue }
  | { readonly kind: 'delete'; readonly key: string; readonly modRevision: bigint }

interface Unreadable {
  readonly kind: 'unreadable'
  readonly message: string
}

export type DecodedRange =
  | {
      readonly kind: 'range'
      readonly header: EtcdHeader
      readonly keys: readonly KeyValue[]
      /** There are keys after the last one of these. */
      readonly more: boolean
      /** Keys in the whole range, whatever limit or filter was asked for; 0 or more. */
      readonly count: number
    }
  | Unreadable

export type DecodedWatch =
  | { readonly kind: 'created' }
  | { readonly kind: 'events'; readonly clusterId: string; readonly events: readonly EtcdEvent[] }
  /** A sign of life: nothing has happened. */
  | { readonly kind: 'progress'; readonly clusterId: string }
  /** What the watch was to begin with is not kept any more. */
  | { readonly kind: 'compacted' }
  | { readonly kind: 'canceled'; readonly reason: string }
  | Unreadable

/** Far above any value that names an endpoint; longer ones are not even decoded. */
const MAX_VALUE_BYTES = 16 * 1024
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

type Json = Readonly<Record<string, unknown>>

/** Decodes the answer to a range request. Never throws. */
export function decodeRange(body: unknown): DecodedRange {
  const header = isObject(body) ? headerOf(body.header) : null
  if (!isObject(body) || header === null) return unreadable('the answer has no header with a revision')
  const { kvs = [], more = false, count: given = '0' } = body
  const count = integer(given)
  if (!Array.isArray(kvs) || typeof more !== 'boolean' || count === null) {
    return unreadable('the answer is no range of keys')
  }
  const keys: KeyValue[] = []
  for (const each of kvs) {
    const read = keyValueOf(each)
    if (read === null) return unreadable('an entry of the answer is no key with a value and a revision')
    keys.push(read)
  }
  return { kind: 'range', header, keys, more, count: Number(count) }
}

/** Decodes one message of a watch. Never throws. */
export function decodeWatch(body: unknown): DecodedWatch {
  if (!isObject(body)) return unreadable('a message of the watch is not an object')
  if (isObject(body.error)) return { kind: 'canceled', reason: text(body.error.message) || 'it does not say why' }
  const { result } = body
  if (!isObject(result) || !isObject(result.header)) return unreadable('a message of the watch has no result')
  if (result.canceled === true) {
    if ((integer(result.compact_revision) ?? 0n) > 0n) return { kind: 'compacted' }
    return { kind: 'canceled', reason: text(result.cancel_reason) || 'it does not say why' }
  }
  if (result.created === true) return { kind: 'created' }
  const header = headerOf(result.header)
  if (header === null) return unreadable('a message of the watch has no revision')
  const { events = [] } = result
  if (!Array.isArray(events)) return unreadable('the events of the watch are not a list')
  const { clusterId } = header
  if (events.length === 0) return { kind: 'progress', clusterId }
  const read = events.map(eventOf)
  if (!read.every((event) => event !== null)) return unreadable('an event of the watch cannot be read')
  return { kind: 'events', clusterId, events: read }
}

/**
 * The token of an answer to a request for one; null: there is none.
 * Only what can stand in a header field is taken for one.
 */
export function decodeToken(body: unknown): string | null {
  const token = isObject(body) ? text(body.token) : ''
  return /^[\x21-\x7e]{1,8192}$/.test(token) ? token : null
}

/** What a refusal says of itself; '': nothing that can be understood. */
export function decodeRefusal(body: string): string {
  try {
    const parsed: unknown = JSON.parse(body)
    return isObject(parsed) ? text(parsed.message) || text(parsed.error) : ''
  } catch {
    return ''
  }
}

function headerOf(header: unknown): EtcdHeader | null {
  if (!isObject(header)) return null
  const clusterId = integer(header.cluster_id)
  const revision = integer(header.revision)
  if (clusterId === null || revision === null || revision < 1n) return null
  return { clusterId: `${clusterId}`, revision, raftTerm: integer(header.raft_term) ?? 0n }
}

function eventOf(event: unknown): EtcdEvent | null {
  if (!isObject(event)) return null
  const of = keyValueOf(event.kv)
  if (of === null) return null
  const { type = 'PUT' } = event
  if (type === 'PUT') return { kind: 'put', of }
  return type === 'DELETE' ? { kind: 'delete', key: of.key, modRevision: of.modRevision } : null
}

function keyValueOf(kv: unknown): KeyValue | null {
  if (!isObject(kv)) return null
  const { key, value = '' } = kv
  const modRevision = integer(kv.mod_revision)
  if (typeof key !== 'string' || key === '' || !BASE64.test(key) || typeof value !== 'string') return null
  if (modRevision === null || modRevision < 1n) return null
  return { key, value: valueText(value), modRevision }
}

function valueText(base64: string): string | null {
  if (base64.length > (MAX_VALUE_BYTES / 3) * 4) return null
  return Buffer.from(base64, 'base64').toString('utf8')
}

/** An integer of at most 64 bits, 0 or more, as the gateway writes it; null for anything else. */
function integer(value: unknown): bigint | null {
  const digits = typeof value === 'number' ? `${value}` : value
  if (typeof digits !== 'string' || !/^\d{1,20}$/.test(digits)) return null
  const number = BigInt(digits)
  return number < 2n ** 64n ? number : null
}

function unreadable(message: string): Unreadable {
  return { kind: 'unreadable', message }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
