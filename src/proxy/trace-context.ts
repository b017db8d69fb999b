/**
 * Which trace does a request belong to? W3C Trace Context, level 1 (https://www.w3.org/TR/trace-context-1/). Pure.
 *
 * The proxy has no span of its own: a valid `traceparent` passes as it came, parent-id included, and only a request that
 * has none is given one, where that is wanted (docs/decisions/027-trails-and-traces.md).
 */

import type { RawHeaders } from './exchange.ts'
import { isNamed } from './headers.ts'
import { ownText } from './own-text.ts'

/** The trace of one request; all its attempts carry the same. */
export interface Trace {
  /** 32 hexadecimal digits, a text of their own; null when the request is in no trace. */
  readonly id: string | null
  /** Those who record traces are told to record this one: without that there will be nothing to look up. */
  readonly sampled: boolean
  /** The `traceparent` that was made here, and takes the place of whatever came; null: what came passes. */
  readonly made: string | null
}

export interface MadeTrace extends Trace {
  readonly id: string
  readonly made: string
}

const noTrace: Trace = { id: null, sampled: false, made: null }

/**
 * @param make called for a request without a valid `traceparent`, whose `tracestate` then means nothing (§3.3.1.1); null:
 * nothing is made for it
 */
export function traceOf(headers: RawHeaders, make: () => MadeTrace | null): Trace {
  const value = traceparentIn(headers)
  return value === null ? (make() ?? noTrace) : { id: idOf(value), sampled: isSampled(value), made: null }
}

/** The trace id of the one `traceparent` that there is; null when it is invalid, when there is none, or a second. */
export function traceIdIn(headers: RawHeaders): string | null {
  const value = traceparentIn(headers)
  return value === null ? null : idOf(value)
}

function traceparentIn(headers: RawHeaders): string | null {
  let value: string | null = null
  for (let index = 0; index < headers.length; index += 2) {
    if (!isNamed(headers[index] as string, 'traceparent')) continue
    if (value !== null) return null
    value = headers[index + 1] as string
  }
  if (value === null || !traceparent.test(value)) return null
  if (value.length > lengthOfFirst && value.startsWith('00')) return null
  return value
}

function idOf(value: string): string {
  return ownText(value.slice(3, 35))
}

/** The last bit of the flags, in later versions too (§3.2.2.5, §3.2.4). */
function isSampled(value: string): boolean {
  return (Number.parseInt(value.charAt(lengthOfFirst - 1), 16) & 1) === 1
}

/**
 * Version, trace id, parent id, flags. `ff` is no version, and ids of zeros are no ids (§3.2.2). What a later version puts
 * behind the flags is not ours to read, if only a dash comes first (§3.2.4).
 */
const traceparent = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/
const lengthOfFirst = 55

const traceBytes = 16
const parentBytes = 8
const idBytes = traceBytes + parentBytes
/** Ids for so many requests are drawn at once: each draw costs a call into the system's generator. */
const drawnAtOnce = 256

/**
 * Makes the traces of requests that have none.
 * @param options asked for each of them, so that a re-read config holds at once. `sample`: share (0–1) of them whose flag
 * tells those downstream to record them
 * @param fill fills all of it with random bytes
 * @param random 0 ≤ x < 1
 * @returns a function that answers null while that is not enabled
 */
export function createTraceMaker(
  options: () => { readonly enabled: boolean; readonly sample: number },
  fill: (bytes: Uint8Array) => unknown,
  random: () => number,
): () => MadeTrace | null {
  const drawn = Buffer.alloc(idBytes * drawnAtOnce)
  let at = drawn.length
  return () => {
    const { enabled, sample } = options()
    if (!enabled) return null
    if (at === drawn.length) {
      fill(drawn)
      at = 0
    }
    const id = hexadecimal(drawn, at, at + traceBytes)
    const parent = hexadecimal(drawn, at + traceBytes, at + idBytes)
    at += idBytes
    const sampled = random() < sample
    return { id, sampled, made: `00-${id}-${parent}-${sampled ? '01' : '00'}` }
  }
}

/** Never zeros alone: that is no id. */
function hexadecimal(bytes: Buffer, start: number, end: number): string {
  let first = start
  while (first < end && bytes[first] === 0) first++
  if (first === end) bytes[start] = 1
  return bytes.toString('hex', start, end)
}
