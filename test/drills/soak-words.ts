/**
 * What do the clients and the instances of the soak agree on? Bodies that both know to the last byte without sending a
 * word about them, and the names of everything that is asked for.
 */

export const idHeader = 'x-drill-id'

/** The longest body that anyone asks for. */
export const mostBytes = 1024 * 1024

/** 0 ≤ x < 1, the same row for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const pool = Buffer.alloc(2 * mostBytes)
const fill = randomOf(1)
for (let at = 0; at < pool.length; at += 4) pool.writeUInt32LE(Math.floor(fill() * 4294967296), at)

/** @param seed any whole number from 0 on @param bytes at most `mostBytes` */
export function knownBody(seed: number, bytes: number): Buffer {
  const from = (seed * 7919) % mostBytes
  return pool.subarray(from, from + bytes)
}

/** What an instance answers to an upload that it got to the last byte. */
export function receipt(seed: number, bytes: number): string {
  return `received ${seed} ${bytes}`
}

/** A request that nobody sends: it stands in bodies, and an instance that reads it as a request has been fooled. */
export const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: soak\r\n\r\n'
/** An answer that nobody asked for: it follows on answers, and a client that gets it has been given another's. */
export const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'

/** How an instance can misbehave, by the name in the path, and whether the client may get a whole answer all the same. */
export const evilWays = {
  'reset-before-head': false,
  'end-before-head': false,
  'reset-in-head': false,
  'end-in-head': false,
  'reset-in-body': false,
  'end-in-body': false,
  'reset-in-chunk': false,
  'end-in-chunk': false,
  garbage: false,
  'two-lengths': false,
  'length-and-chunked': false,
  'bad-chunk-size': false,
  'endless-head': false,
  'extra-answer': true,
  'idle-end': true,
  'idle-reset': true,
  'many-hints': true,
  'slow-head': true,
  'slow-body': true,
  'until-close': true,
  'early-answer': true,
  'early-answer-reset': true,
  hang: false,
} as const satisfies Record<string, boolean>
export type EvilWay = keyof typeof evilWays

export interface OriginArguments {
  readonly good: readonly string[]
  readonly evil: readonly string[]
  /** Of these the first is sick every other second. */
  readonly sick: readonly string[]
  readonly seed: number
}

/** What the instances say of themselves. */
export interface OriginStory {
  readonly requests: number
  /** Requests that no client sends. */
  readonly strange: readonly string[]
  /** Bytes that are not HTTP. */
  readonly unparsable: readonly string[]
  /** Uploads whose bytes were not those that were sent. */
  readonly falseUploads: number
  /** Numbers of POSTs that arrived more than once at well-behaved instances. */
  readonly repeated: readonly number[]
  /** Of each connection that is open now, what happened on it last. */
  readonly connections: readonly string[]
  /** How often each misbehaviour was shown. */
  readonly ways: Readonly<Record<string, number>>
}
