/**
 * What is asked and answered in DNS (RFC 1035)? Pure: a question as bytes, and bytes as records of the few types that
 * endpoints come from. Whatever sends an answer is not trusted: every length and pointer is checked, names are followed a
 * bounded number of steps, and what is malformed makes the whole answer so.
 *
 * Node's own resolver is not used: it tells no time to live of SRV records, and drops the addresses that come with them.
 */

export type RecordType = 'A' | 'AAAA' | 'SRV'

/** Names are in lower case, without the dot at their end; the root is ''. `ttlS` is in seconds, from 0 to 2³¹ − 1. */
export type DnsRecord =
  | { readonly type: 'A' | 'AAAA'; readonly name: string; readonly ttlS: number; readonly address: string }
  | {
      readonly type: 'SRV'
      readonly name: string
      readonly ttlS: number
      readonly priority: number
      readonly weight: number
      readonly port: number
      readonly target: string
    }
  | { readonly type: 'CNAME'; readonly name: string; readonly ttlS: number; readonly target: string }
  /** How long it holds that there is nothing (RFC 2308 section 5). */
  | { readonly type: 'SOA'; readonly name: string; readonly ttlS: number }

export interface DnsMessage {
  readonly id: number
  /** 0 it is so, 2 the server failed, 3 no such name, 5 refused, … (RFC 1035 section 4.1.1). */
  readonly rcode: number
  /** Not all fitted in. */
  readonly truncated: boolean
  /** The server may know the whole of it: the zone is its own, or it asks others. Else nothing in it may mean "ask elsewhere". */
  readonly knows: boolean
  readonly question: { readonly name: string; readonly type: number } | null
  readonly answers: readonly DnsRecord[]
  readonly authority: readonly DnsRecord[]
  readonly additional: readonly DnsRecord[]
  /** The server knows EDNS: it has read how large an answer may be. */
  readonly edns: boolean
}

export type DecodedMessage =
  | { readonly kind: 'message'; readonly message: DnsMessage }
  | { readonly kind: 'malformed'; readonly why: string }

/** What RFC 9715 advises, so that no answer is cut into fragments on the way. */
export const MAX_UDP_BYTES = 1232

export const typeCodes: Readonly<Record<RecordType, number>> = { A: 1, AAAA: 28, SRV: 33 }
const CNAME = 5
const SOA = 6
const OPT = 41
const IN = 1
const HEADER_BYTES = 12
const MAX_TTL_S = 2 ** 31 - 1
/** More than a name can have labels. */
const MAX_STEPS = 130

class Malformed extends Error {}

/**
 * True for what can be asked for: labels of at most 63 characters, 253 in all. Letters, digits, hyphens and the underscores
 * of SRV names; whatever else DNS allows names no service of anybody.
 */
export function isDnsName(name: string): boolean {
  const bare = name.endsWith('.') ? name.slice(0, -1) : name
  return bare.length <= 253 && /^[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*$/i.test(bare)
}

/**
 * A question, with EDNS.
 * @param name one that `isDnsName` holds for
 * @param id from 0 to 65535, hard to guess
 */
export function encodeQuery(id: number, name: string, type: RecordType): Buffer {
  const labels = name.replace(/\.$/, '').split('.')
  const encodedName = labels.flatMap((label) => [label.length, ...Buffer.from(label, 'latin1')])
  const word = (value: number) => [value >> 8, value & 0xff]
  return Buffer.from([
    ...word(id),
    // Recursion desired; one question, one additional record.
    ...[0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1],
    ...[...encodedName, 0],
    ...word(typeCodes[type]),
    ...word(IN),
    // RFC 6891: the root, OPT, the size that is taken, no flags, no data.
    ...[0, ...word(OPT), ...word(MAX_UDP_BYTES), 0, 0, 0, 0, 0, 0],
  ])
}

/** Decodes an answer. Never throws; records of other types and classes are passed over. */
export function decodeMessage(bytes: Buffer): DecodedMessage {
  try {
    return { kind: 'message', message: readMessage(bytes) }
  } catch (error) {
    if (error instanceof Malformed || error instanceof RangeError) return { kind: 'malformed', why: error.message }
    throw error
  }
}

function readMessage(bytes: Buffer): DnsMessage {
  if (bytes.length < HEADER_BYTES) throw new Malformed('it is shorter than a header')
  const flags = bytes.readUInt16BE(2)
  if ((flags & 0x8000) === 0) throw new Malformed('it is a question')
  const [questions = 0, ...counts] = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at))
  const truncated = (flags & 0x0200) !== 0
  const knows = (flags & 0x0480) !== 0
  let at = HEADER_BYTES
  let question: DnsMessage['question'] = null
  for (let left = questions; left > 0; left -= 1) {
    const { name, next } = readName(bytes, at)
    question ??= { name, type: bytes.readUInt16BE(next) }
    at = next + 4
  }
  let edns = false
  const sections = counts.map((count) => {
    const records: DnsRecord[] = []
    // What is cut off may end anywhere. It is asked for again and not looked at.
    for (let left = truncated ? 0 : count; left > 0; left -= 1) {
      const read = readRecord(bytes, at)
      at = read.next
      edns ||= read.type === OPT
      if (read.record !== null) records.push(read.record)
    }
    return records
  })
  const [answers = [], authority = [], additional = []] = sections
  const [id, rcode] = [bytes.readUInt16BE(0), flags & 0x0f]
  return { id, rcode, truncated, knows, question, answers, authority, additional, edns }
}

function readRecord(bytes: Buffer, from: number): { type: number; record: DnsRecord | null; next: number } {
  const { name, next: at } = readName(bytes, from)
  const type = bytes.readUInt16BE(at)
  const isInternet = bytes.readUInt16BE(at + 2) === IN
  // RFC 2181 section 8: with the top bit set it counts as 0.
  const ttl = bytes.readUInt32BE(at + 4)
  const ttlS = ttl > MAX_TTL_S ? 0 : ttl
  const length = bytes.readUInt16BE(at + 8)
  const data = at + 10
  const next = data + length
  if (next > bytes.length) throw new Malformed('a record ends beyond it')
  const record = isInternet ? readData(bytes, { name, type, ttlS }, data, length) : null
  return { type, record, next }
}

function readData(
  bytes: Buffer,
  { name, type, ttlS }: { name: string; type: number; ttlS: number },
  data: number,
  length: number,
): DnsRecord | null {
  const needs = (least: number, exactly = false) => {
    if (length < least || (exactly && length !== least)) throw new Malformed('a record has the wrong length')
  }
  switch (type) {
    case typeCodes.A:
      needs(4, true)
      return { type: 'A', name, ttlS, address: [...bytes.subarray(data, data + 4)].join('.') }
    case typeCodes.AAAA: {
      needs(16, true)
      const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(data + 2 * at).toString(16))
      return { type: 'AAAA', name, ttlS, address: groups.join(':') }
    }
    case typeCodes.SRV: {
      needs(7)
      const [priority, weight, port] = [
        bytes.readUInt16BE(data),
        bytes.readUInt16BE(data + 2),
        bytes.readUInt16BE(data + 4),
      ]
      return { type: 'SRV', name, ttlS, priority, weight, port, target: readName(bytes, data + 6).name }
    }
    case CNAME:
      return { type: 'CNAME', name, ttlS, target: readName(bytes, data).name }
    case SOA: {
      needs(22)
      const minimum = bytes.readUInt32BE(data + length - 4)
      return { type: 'SOA', name, ttlS: Math.min(ttlS, minimum, MAX_TTL_S) }
    }
    default:
      return null
  }
}

/** RFC 1035 section 4.1.4. A pointer may only lead backwards, so that it cannot lead in a circle. */
function readName(bytes: Buffer, from: number): { name: string; next: number } {
  const labels: string[] = []
  let at = from
  let next: number | null = null
  let lowest = from
  let length = 0
  for (let steps = 0; steps < MAX_STEPS; steps += 1) {
    const size = bytes.readUInt8(at)
    if (size === 0) return { name: labels.join('.').toLowerCase(), next: next ?? at + 1 }
    if (size >= 0xc0) {
      const to = ((size & 0x3f) << 8) | bytes.readUInt8(at + 1)
      next ??= at + 2
      if (to >= lowest) throw new Malformed('a name points forwards')
      at = to
      lowest = to
      continue
    }
    if (size > 63) throw new Malformed('a name has a label of an unknown kind')
    length += size + 1
    if (at + 1 + size > bytes.length || length > 254) throw new Malformed('a name is too long')
    labels.push(bytes.toString('latin1', at + 1, at + 1 + size))
    at += size + 1
  }
  throw new Malformed('a name has no end')
}
