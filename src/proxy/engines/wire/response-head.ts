/**
 * Is this the head of a response, and what does it say? Pure. As strict as for requests (RFC 9112 §4, §6): an endpoint
 * whose answer could be read in two ways could make one client read another's.
 */

import { bytesOf, FieldLines, type HeadFault, incomplete, valueBytes } from './field-lines.ts'

export interface ResponseHead {
  readonly kind: 'response'
  /** 100 to 599. */
  readonly status: number
  readonly reason: string
  readonly version: '1.0' | '1.1'
  /** Name, value, name, value … in the order and case of the wire; values without the blanks around them. */
  readonly rawHeaders: string[]
  /** -1: not announced. */
  readonly contentLength: number
  readonly chunked: boolean
  /** The endpoint will keep the connection open. */
  readonly keepAlive: boolean
  /** Value of Upgrade as sent; null: none. */
  readonly upgrade: string | null
}

export interface MalformedHead {
  readonly kind: 'malformed'
  readonly detail: string
}

/** How long a response head may be, status line included, and how many fields it may have. */
export const responseLimits = { headBytes: 65_536, headerCount: 256 } as const

const unfinished = malformed(incomplete)
const oddVersion = malformed({ detail: 'It does not begin with HTTP/1.1 or HTTP/1.0.' })
const oddStatus = malformed({ detail: 'The status is not a number from 100 to 599.' })
const oddReason = malformed({ detail: 'The status line does not end as it should.' })
const tooLong = malformed({ detail: `The head is longer than ${responseLimits.headBytes} bytes.` })
const codingInOldVersion = malformed({ detail: 'Transfer-Encoding has no meaning in HTTP/1.0.' })

const lf = 0x0a
const cr = 0x0d
const space = 0x20

/** In front of the status: "HTTP/1.1 ". */
const statusStart = 9

/**
 * @param text the head, one character a byte: from the first byte of the status line to the CRLF of the last line,
 * without the empty line that ends it
 */
export function readResponseHead(text: string): ResponseHead | MalformedHead {
  // Half of the empty line that ends it may have come, too.
  if (text.length > responseLimits.headBytes + 1) return tooLong
  const isNew = text.startsWith('HTTP/1.1 ')
  if (!isNew && !text.startsWith('HTTP/1.0 ')) return isBeginningOfVersion(text) ? unfinished : oddVersion
  const status = statusIn(text)
  if (status === 0) return isBeginningOfStatus(text) ? unfinished : oddStatus

  const bytes = bytesOf(text)
  const inReason = valueBytes
  let at = statusStart + 3
  let code = bytes[at] as number
  // Some servers leave out the space in front of a reason that is empty.
  const reasonStart = code === space ? at + 1 : at
  if (code === space) while (inReason[code] === 1) code = bytes[++at] as number
  if (code !== cr || bytes[at + 1] !== lf) return isCutOff(text, at) ? unfinished : oddReason
  const reason = isOk(text, reasonStart, at) ? 'OK' : text.slice(reasonStart, at)

  const fields = new FieldLines()
  const odd = fields.read(text, bytes, at + 2, responseLimits.headBytes - at - 2, responseLimits.headerCount)
  if (odd !== null) return odd === incomplete ? unfinished : malformed(odd)
  if (fields.chunked && !isNew) return codingInOldVersion
  return {
    kind: 'response',
    status,
    reason,
    version: isNew ? '1.1' : '1.0',
    rawHeaders: fields.raw,
    contentLength: fields.contentLength,
    chunked: fields.chunked,
    keepAlive: !fields.close && (isNew || fields.keepAlive),
    upgrade: fields.upgrade,
  }
}

/**
 * Why what has come so far can never become a head that is read; null while it still may. To be asked only when a head
 * comes in pieces.
 * @param text the beginning of a head
 */
export function faultOfPartialResponseHead(text: string): MalformedHead | null {
  const head = readResponseHead(text)
  return head.kind === 'response' || head === unfinished ? null : head
}

/** Three digits, the first of them 1 to 5; 0 when it is anything else. */
function statusIn(text: string): number {
  const hundreds = digitAt(text, statusStart)
  const tens = digitAt(text, statusStart + 1)
  const ones = digitAt(text, statusStart + 2)
  if (hundreds < 1 || hundreds > 5 || tens < 0 || ones < 0) return 0
  return hundreds * 100 + tens * 10 + ones
}

/** -1: no digit. */
function digitAt(text: string, at: number): number {
  const digit = text.charCodeAt(at) - 0x30
  return digit >= 0 && digit <= 9 ? digit : -1
}

function isOk(text: string, start: number, end: number): boolean {
  return end - start === 2 && text.startsWith('OK', start)
}

function isBeginningOfVersion(text: string): boolean {
  return 'HTTP/1.1 '.startsWith(text) || 'HTTP/1.0 '.startsWith(text)
}

function isBeginningOfStatus(text: string): boolean {
  return /^(?:[1-5]\d?)?$/.test(text.slice(statusStart))
}

/** True when the text ends where something is missing: at its end, or at a CR whose LF has not come. */
function isCutOff(text: string, at: number): boolean {
  return at >= text.length || (at === text.length - 1 && text.charCodeAt(at) === cr)
}

/** Told in the middle of a sentence, so it has no full stop. */
function malformed({ detail }: Pick<HeadFault, 'detail'>): MalformedHead {
  return { kind: 'malformed', detail: detail.endsWith('.') ? detail.slice(0, -1) : detail }
}
