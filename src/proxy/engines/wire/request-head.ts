/**
 * Is this the head of a request, and what does it say? Pure. Strict (RFC 9112 §3, §6, §11): what a laxer recipient could
 * read in another way is refused. What is a rule of the proxy and not of the grammar (Host, CONNECT, where the target
 * leads) is in request-rules.ts and request-path.ts, for every engine.
 */

import type { LimitOptions } from '../../exchange.ts'
import { bytesOf, FieldLines, fault, faultOfText, type HeadFault, incomplete, tokenBytes } from './field-lines.ts'
import { Spellings } from './spellings.ts'

export interface RequestHead {
  readonly kind: 'request'
  readonly method: string
  readonly target: string
  readonly version: '1.0' | '1.1'
  /** Name, value, name, value … in the order and case of the wire; values without the blanks around them. */
  readonly rawHeaders: string[]
  /** Body bytes that Content-Length announces; 0: none, or the body is chunked. */
  readonly contentLength: number
  readonly chunked: boolean
  /** The connection may serve another request, as far as the client is concerned. */
  readonly keepAlive: boolean
  /** The client waits for `100 Continue` before it sends the body that it announces. */
  readonly expectsContinue: boolean
  /** The protocol that the client asks to switch to, in lower case; null for an ordinary request. */
  readonly upgrade: string | null
}

export type RefusedHead = HeadFault

export type HeadLimits = Pick<LimitOptions, 'targetBytes' | 'headerBytes' | 'headerCount'>

const lf = 0x0a
const cr = 0x0d
const space = 0x20
const hash = 0x23
const del = 0x7f

/** Longer than any method that is registered (RFC 9110 §16.1.1). */
const methodBytes = 32

const methods = new Spellings(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'CONNECT', 'TRACE'])

const noMethod = fault('The request does not begin with a method.')
const longMethod = fault(`The method is longer than ${methodBytes} bytes.`)
const oddSpaces = fault('The parts of the request line are not separated by a single space.')
const oddTarget = fault('The request target has a character that must be percent-encoded, or a fragment.')
const asterisk = fault('Only OPTIONS can be asked of "*".')
const oddVersion = fault('The request line does not end with an HTTP version.')
const unspoken = fault('The only protocol spoken here is HTTP/1.1.', 505)
const codingInOldVersion = fault('Transfer-Encoding has no meaning in HTTP/1.0.')
const expectation = fault('The only expectation understood is "100-continue".', 417)

/**
 * @param text the head, one character a byte: from the first byte of the request line to the CRLF of the last line,
 * without the empty line that ends it
 */
export function readRequestHead(text: string, limits: HeadLimits): RequestHead | RefusedHead {
  const bytes = bytesOf(text)
  const inMethod = tokenBytes
  let at = 0
  let code = bytes[0] as number
  while (inMethod[code] === 1) code = bytes[++at] as number
  if (at > methodBytes) return longMethod
  if (code !== space || at === 0) return at >= text.length ? incomplete : noMethod
  const common = methods.find(bytes, 0, at)
  const method = common < 0 ? text.slice(0, at) : methods.at(common)

  const targetStart = ++at
  code = bytes[at] as number
  while (code > space && code < del && code !== hash) code = bytes[++at] as number
  if (at - targetStart > limits.targetBytes) {
    return fault(`The request target is longer than ${limits.targetBytes} bytes.`, 414)
  }
  if (code !== space || at === targetStart) return faultOfTarget(text, targetStart, at)
  const target = text.slice(targetStart, at)

  if (!text.startsWith('HTTP/1.', ++at) || bytes[at + 8] !== cr || bytes[at + 9] !== lf) {
    return faultOfVersion(text, at)
  }
  const minor = (bytes[at + 7] as number) - 0x30
  if (minor !== 1 && minor !== 0) return faultOfVersion(text, at)
  if (target === '*' && method !== 'OPTIONS') return asterisk

  const fields = new FieldLines()
  const odd = fields.read(text, bytes, at + 10, limits.headerBytes, limits.headerCount)
  if (odd !== null) return odd
  const { chunked } = fields
  const contentLength = fields.contentLength > 0 ? fields.contentLength : 0
  if (minor === 0) {
    if (chunked) return codingInOldVersion
    return {
      kind: 'request',
      method,
      target,
      version: '1.0',
      rawHeaders: fields.raw,
      contentLength,
      chunked,
      keepAlive: fields.keepAlive && !fields.close,
      // HTTP/1.0 knows neither interim responses nor a switch of protocols (RFC 9110 §7.8, §10.1.1).
      expectsContinue: false,
      upgrade: null,
    }
  }
  if (fields.expect !== null && fields.expect.toLowerCase() !== '100-continue') return expectation
  return {
    kind: 'request',
    method,
    target,
    version: '1.1',
    rawHeaders: fields.raw,
    contentLength,
    chunked,
    keepAlive: !fields.close,
    expectsContinue: fields.expect !== null && (chunked || contentLength > 0),
    upgrade: fields.namesUpgrade && fields.upgrade !== null ? protocolOf(fields.upgrade) : null,
  }
}

/**
 * Why what has come so far can never become a head that is read; null while it still may. To be asked only when a head
 * comes in pieces.
 * @param text the beginning of a head
 */
export function refusalOfPartialHead(text: string, limits: HeadLimits): RefusedHead | null {
  // Half of an empty line, which is ignored in front of a request (RFC 9112 §2.2).
  if (text === '\r') return null
  const head = readRequestHead(text, limits)
  return head.kind === 'request' || head === incomplete ? null : head
}

/** An HTTP/2 tunnel would carry requests past every rule of this proxy: such a request is the ordinary one that it also is. */
function protocolOf(upgrade: string): string | null {
  const protocol = upgrade.toLowerCase()
  return protocol === '' || protocol.includes('h2c') ? null : protocol
}

function faultOfTarget(text: string, start: number, at: number): RefusedHead {
  if (at >= text.length) return incomplete
  const code = text.charCodeAt(at)
  if (at === start && code === space) return oddSpaces
  if (code !== cr) return code === lf ? faultOfText(text, at) : oddTarget
  if (at + 1 >= text.length) return incomplete
  if (text.charCodeAt(at + 1) !== lf) return faultOfText(text, at)
  // A line of a method and a target is a request of HTTP/0.9.
  return at === start ? oddSpaces : unspoken
}

/** Why it is not the version of a protocol that is spoken, and the end of the line, that begin at `at`. */
function faultOfVersion(text: string, start: number): RefusedHead {
  if (text.charCodeAt(start) === space) return oddSpaces
  for (let index = 0; index < versionForm.length; index++) {
    const at = start + index
    if (at >= text.length) return incomplete
    const code = text.charCodeAt(at)
    const expected = versionForm.charCodeAt(index)
    const fits = expected === zero ? code >= zero && code <= nine : code === expected
    if (!fits) return oddVersion
  }
  return unspoken
}

/** Zeros stand for digits. */
const versionForm = 'HTTP/0.0\r\n'
const zero = 0x30
const nine = 0x39
