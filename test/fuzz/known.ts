/**
 * What is known and does not end a search: it is counted, and told at the end. Where Node's parser is laxer or stricter
 * than RFC 9112 and no harm comes of it, the readers of the judges know (`lax`); here are the defects that wait to be
 * mended. When one is, its entry goes, and the mark of its case in findings.ts.
 */

import type { Violation } from './violation.ts'

interface Known {
  readonly reason: string
  readonly engine: string
  readonly what: RegExp
  /** Looked for in the case, as JSON. */
  readonly input: RegExp
}

const known: readonly Known[] = [
  {
    reason: 'Node sends field values above ASCII as UTF-8 when nothing follows the head at once',
    engine: 'http-proxy',
    what: /[\xc2\xc3]/,
    input: /[\x80-\xff]/,
  },
  {
    reason: 'compared with what Node sent as UTF-8',
    engine: 'wire',
    what: /read in two ways[\s\S]*[\xc2\xc3]/,
    input: /[\x80-\xff]/,
  },
  {
    reason: 'of the first bytes of a tunnel some are lost when the client resets it at once',
    engine: 'http-proxy',
    what: /in the tunnel went/,
    input: /"reset"/,
  },
  {
    reason: 'a reset behind a HEAD that expects 100-continue is not seen',
    engine: 'http-proxy',
    what: /never ended|still open/,
    input: /Expect.*"reset"/i,
  },
  {
    reason: 'the fields of a 103 are passed on as they are',
    engine: 'http-proxy',
    what: /client got is ambiguous/,
    input: / 103 /,
  },
  {
    reason: 'a response that is "chunked", and a tab, is passed on undecoded',
    engine: 'http-proxy',
    what: /its body was|two ways|malformed/,
    input: /chunked *\\t/i,
  },
  {
    reason: 'a connection is kept although an incomplete head was left over, or HTTP/1.0 wants it closed',
    engine: 'http-proxy',
    what: /left over|wants closed/,
    input: /"keepAlive":true/,
  },
  {
    reason: 'Node takes a bare CR for the end of a status line without a reason',
    engine: 'http-proxy',
    what: /status line|incomplete answer/,
    input: /HTTP\/1\.[01] \d{3}[^\\]*(?:\\r){2}/,
  },
  {
    reason: 'a refused switch of protocols comes to a halt behind its first 64 KiB',
    engine: 'http-proxy',
    what: /left waiting|not passed on|does not let go/,
    input: /"switching":true/,
  },
]

/** Why this does not end a search; null when it does. */
export function knownReason({ engine, message, input }: Violation): string | null {
  // Where the bytes were cut plays no part.
  const text = JSON.stringify(input, (key, value) => (key === 'pieces' || key === 'late' ? value.join('') : value))
  const match = known.find((one) => one.engine === engine && one.what.test(message) && one.input.test(text))
  return match?.reason ?? null
}
