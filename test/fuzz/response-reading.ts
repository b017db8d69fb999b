/** What does an endpoint's answer say, to a reader that takes no liberties? See reading.ts. */

import { Ambiguous, type Fields, framingOf, readBody, readFields, values } from './reading.ts'

export interface Answer {
  readonly status: number
  readonly version: '1.0' | '1.1'
  readonly headers: Fields
  readonly body: string
  readonly trailers: Fields
  /** It ends where the connection ends. */
  readonly untilClose: boolean
  /** Bytes behind it. */
  readonly extra: string
  /** Why a careful proxy might refuse it although it can be read in one way only; null when there is no reason. */
  readonly odd: string | null
  readonly interims: number
}

export type ResponseReading =
  | ({ readonly kind: 'complete' } & Answer)
  /** The protocol was switched: from here on `extra` is of another one. */
  | ({ readonly kind: 'switched' } & Answer)
  | { readonly kind: 'incomplete'; readonly headers: Fields | null }
  | { readonly kind: 'malformed'; readonly why: string }

export interface Asked {
  readonly method: string
  readonly switching: boolean
  /** Nothing more will come, and the endpoint said so in the ordinary way. */
  readonly ended: boolean
  /** As Node's parser: skips bare CRs and LFs in front of a status line, and minds no reason of an interim answer. */
  readonly lax: boolean
}

const statusLine = /^HTTP\/(1\.[01]) (\d{3})( [\t\x20-\x7e\x80-\xff]*)?$/
const laxInterimLine = /^HTTP\/(1\.[01]) (1\d\d)( .*)?$/
const mostInterims = 8
const mostHeadBytes = 12_000
const mostFields = 90

/** The final answer in `bytes` to what was asked. */
export function readAnswer(bytes: string, asked: Asked): ResponseReading {
  try {
    return read(bytes, asked)
  } catch (error) {
    if (error instanceof Ambiguous) return { kind: 'malformed', why: error.message }
    throw error
  }
}

function read(bytes: string, { method, switching, ended, lax }: Asked): ResponseReading {
  const oddities: string[] = []
  for (let start = 0, interims = 0; ; interims++) {
    if (lax) while (/[\r\n]/.test(bytes.charAt(start))) start++
    const headEnd = bytes.indexOf('\r\n\r\n', start)
    if (headEnd < 0) return { kind: 'incomplete', headers: null }
    const lines = bytes.slice(start, headEnd).split('\r\n')
    const line = statusLine.exec(lines[0] ?? '') ?? (lax ? laxInterimLine.exec(lines[0] ?? '') : null)
    if (line === null) throw new Ambiguous('status line')
    const status = Number(line[2])
    const version = line[1] as Answer['version']
    const headers = readFields(lines.slice(1))
    if (lines.some((text) => /^(?:content-length|transfer-encoding|connection):.*\t/i.test(text))) {
      oddities.push('a tab beside a value that Node takes literally')
    }
    oddities.push(...oddIn(status, version, headers, line[3], headEnd - start))
    const framing = status < 200 ? null : framingOf(headers, version)
    const after = headEnd + 4
    const answer = (body: string, end: number, trailers: Fields = [], untilClose = false): Answer => ({
      ...{ status, version, headers, body, trailers, untilClose, interims },
      extra: bytes.slice(end),
      odd: oddities[0] ?? (interims > mostInterims ? 'many interim answers' : null),
    })
    if (status === 101) {
      if (!switching) throw new Ambiguous('a switch that nobody asked for')
      return { kind: 'switched', ...answer('', after) }
    }
    if (status < 100) throw new Ambiguous('status')
    if (status < 200) {
      start = after
      continue
    }
    if (method === 'HEAD' || status === 204 || status === 304) return { kind: 'complete', ...answer('', after) }
    if (framing === null) {
      if (!ended) return { kind: 'incomplete', headers }
      return { kind: 'complete', ...answer(bytes.slice(after), bytes.length, [], true) }
    }
    const whole = readBody(bytes, after, framing)
    if (whole === null) return { kind: 'incomplete', headers }
    if (whole.oddExtension) oddities.push('chunk extension')
    if (whole.trailers.length > 0) oddities.push('trailers')
    return { kind: 'complete', ...answer(whole.body, whole.end, whole.trailers) }
  }
}

function oddIn(status: number, version: string, headers: Fields, reason: string | undefined, bytes: number): string[] {
  const odd: string[] = []
  const framed = [...values(headers, 'content-length'), ...values(headers, 'transfer-encoding')].length > 0
  if (status === 101 && values(headers, 'upgrade').length === 0) odd.push('a switch to nothing')
  if (status > 599) odd.push('status out of range')
  if (reason === undefined) odd.push('no space behind the status')
  if (values(headers, 'content-length').some((length) => /^0./.test(length))) odd.push('leading zeros')
  // Node's client takes it for the connection's last message.
  if (status < 200 && values(headers, 'connection').length > 0) odd.push('Connection in an interim answer')
  if (status < 200 && version === '1.0') odd.push('interim answer in HTTP/1.0')
  if ((status < 200 || status === 204) && framed) odd.push('framing of no body')
  if (status === 304 && values(headers, 'transfer-encoding').length > 0) odd.push('framing of no body')
  if (headers.length > mostFields || bytes > mostHeadBytes) odd.push('huge head')
  return odd
}
