/** What an engine sent to the origin, read by the strict reader of the contract suite. */

import { readMessage } from '../contract/messages.ts'
import { Ambiguous, type Fields, readFields, values } from './reading.ts'

export interface Forwarded {
  readonly method: string
  readonly target: string
  readonly headers: Fields
  readonly body: string
  readonly trailers: Fields
  readonly headLength: number
  readonly switching: boolean
  readonly expectsContinue: boolean
  /** The proxy will not use this connection again. */
  readonly isLast: boolean
}

export type ForwardedReading =
  | { readonly kind: 'whole'; readonly head: Forwarded; readonly length: number }
  | { readonly kind: 'incomplete'; readonly head: Forwarded | null }
  | { readonly kind: 'ambiguous'; readonly why: string }

/** The first request in `bytes`. Its body is empty while it is incomplete. */
export function readForwarded(bytes: string): ForwardedReading {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return { kind: 'incomplete', head: null }
  try {
    const [start = '', ...lines] = bytes.slice(0, headEnd).split('\r\n')
    const words = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP\/1\.1$/.exec(start)
    if (words === null) throw new Ambiguous(`request line ${JSON.stringify(start)}`)
    const headers = readFields(lines)
    const [, method, target] = words as unknown as [string, string, string]
    const head: Forwarded = {
      ...{ method, target, headers, body: '', trailers: [], headLength: headEnd + 4 },
      switching: values(headers, 'upgrade').length > 0,
      expectsContinue: values(headers, 'expect').length > 0,
      isLast: values(headers, 'connection').includes('close'),
    }
    if (values(headers, 'host').length !== 1) throw new Ambiguous('not exactly one Host')
    // The strict reader knows methods of capital letters only; which they are was judged above.
    const read = readMessage(`X${bytes.slice(method.length)}`, { kind: 'request' })
    if (read === null) return { kind: 'incomplete', head }
    const { body, trailers } = read.message
    for (const [, value] of trailers) readFields([`x:${value}`])
    return { kind: 'whole', head: { ...head, body, trailers }, length: bytes.length - read.rest.length }
  } catch (error) {
    return { kind: 'ambiguous', why: error instanceof Error ? error.message : String(error) }
  }
}

/** Set by the proxy itself, for this hop or for the endpoint to know. */
const ownFields = new Set([
  ...['connection', 'content-length', 'transfer-encoding', 'upgrade', 'expect', 'x-forwarded-port', 'trailer'],
])

/**
 * A request's meaning, for comparison: engines may frame a body differently, and http-proxy groups fields of one name
 * and joins cookies.
 */
export function meaningOf({ method, target, headers, body, trailers }: Forwarded): string {
  const lines = [`${method} ${target}`, ...grouped(headers.filter(([name]) => !ownFields.has(name.toLowerCase())))]
  // Without a body there is nothing to wait for, and an engine may say nothing.
  if (body !== '') lines.push(`expect: ${values(headers, 'expect').join()}`)
  // Where the client named no host, its endpoint is named, and that is another one for each engine.
  const named = lines.map((line) => line.replace(/^host: \["127\.0\.0\.1:\d+"\]$/, 'host: the endpoint'))
  return [...named, '', body, ...grouped(trailers)].join('\n')
}

export function grouped(fields: Fields): string[] {
  const groups = new Map<string, string[]>()
  for (const [name, value] of fields) {
    const key = name.toLowerCase()
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [value])
    else group.push(value)
  }
  return [...groups]
    .map(([name, list]) => `${name}: ${name === 'cookie' ? cookiesOf(list) : JSON.stringify(list)}`)
    .sort()
}

/** Name, value, name, value … as pairs. */
export function pairsOf(raw: readonly string[]): Fields {
  return raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1] as string] as const] : []))
}

/** Joined, as http-proxy does, and without those that are empty. */
function cookiesOf(list: readonly string[]): string {
  return list
    .join(';')
    .split(/;[ \t]*/)
    .filter((cookie) => cookie !== '')
    .join('; ')
}
