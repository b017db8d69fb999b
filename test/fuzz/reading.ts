/**
 * What do these bytes say, to a reader that knows RFC 9112 and takes no liberties? An oracle of its own, beside the two
 * engines: what it finds ambiguous must never reach an endpoint, and what it reads must arrive as it reads it.
 */

export type Fields = readonly (readonly [name: string, value: string])[]

export interface Head {
  readonly method: string
  readonly target: string
  readonly version: '1.0' | '1.1'
  readonly headers: Fields
  /** It asks to switch protocols, as far as anybody may. */
  readonly switching: boolean
}

export type RequestReading =
  | { readonly kind: 'request'; readonly head: Head; readonly body: string; readonly trailers: Fields; end: number }
  /** `head` is null while it is incomplete itself. */
  | { readonly kind: 'incomplete'; readonly head: Head | null }
  /** `head` is null when the fault is in it. */
  | { readonly kind: 'ambiguous'; readonly why: string; readonly head: Head | null }

export class Ambiguous extends Error {}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/

/**
 * Every request in `bytes`, in order; whatever is not a complete request is the last.
 * @param lax reads what Node's parser lets pass and everybody reads alike: more than one space in a request line (RFC
 * 9112 §3, "lenient parsing"), and bare CRs and LFs before it
 */
export function readRequests(bytes: string, lax: boolean): RequestReading[] {
  const readings: RequestReading[] = []
  for (let at = 0; ; ) {
    const reading = readRequest(bytes, at, lax)
    if (reading === null) return readings
    readings.push(reading)
    if (reading.kind !== 'request') return readings
    at = reading.end
  }
}

function readRequest(bytes: string, from: number, lax: boolean): RequestReading | null {
  let start = from
  while (bytes.startsWith('\r\n', start) || (lax && /[\r\n]/.test(bytes.charAt(start)))) {
    start += bytes.startsWith('\r\n', start) ? 2 : 1
  }
  if (start === bytes.length) return null
  const headEnd = bytes.indexOf('\r\n\r\n', start)
  if (headEnd < 0) return { kind: 'incomplete', head: null }
  let head: Head | null = null
  try {
    head = requestHead(bytes.slice(start, headEnd).split('\r\n'), lax)
    const framing = framingOf(head.headers, head.version)
    const read = readBody(bytes, headEnd + 4, framing ?? { length: 0 })
    if (read === null) return { kind: 'incomplete', head }
    return { kind: 'request', head, ...read }
  } catch (error) {
    if (error instanceof Ambiguous) return { kind: 'ambiguous', why: error.message, head }
    throw error
  }
}

function requestHead(lines: readonly string[], lax: boolean): Head {
  const pattern = lax ? /^(\S+) +([!-~]+) +HTTP\/(1\.[01])$/ : /^(\S+) ([!-~]+) HTTP\/(1\.[01])$/
  const start = pattern.exec(lines[0] ?? '')
  if (start === null || !token.test(start[1] as string)) throw new Ambiguous('request line')
  const [, method, target, version] = start as unknown as [string, string, string, Head['version']]
  const headers = readFields(lines.slice(1))
  const hosts = values(headers, 'host').length
  if (hosts > 1 || (hosts === 0 && version === '1.1')) throw new Ambiguous('Host')
  framingOf(headers, version)
  const asked = values(headers, 'connection')
    .join(',')
    .toLowerCase()
    .split(/[ \t]*,[ \t]*/)
  // An upgrade to HTTP/2 without TLS is served as the ordinary request that it also is.
  const protocols = values(headers, 'upgrade').join(',').toLowerCase()
  const switching = version === '1.1' && asked.includes('upgrade') && protocols !== '' && !protocols.includes('h2c')
  return { method, target, version, headers, switching }
}

export function readFields(lines: readonly string[]): Fields {
  return lines.map((line) => {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(0, colon))
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')
    if (!token.test(name) || !fieldValue.test(value))
      throw new Ambiguous(`field line ${JSON.stringify(line.slice(0, 80))}`)
    return [name, value] as const
  })
}

/** The values of a field; `name` in lower case. */
export function values(fields: Fields, name: string): string[] {
  return fields.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value)
}

export type Framing = { readonly length: number } | 'chunked'

/** How the body of a message is framed; null when its head does not say. */
export function framingOf(headers: Fields, version: string): Framing | null {
  const codings = values(headers, 'transfer-encoding')
  const lengths = values(headers, 'content-length')
  if (codings.length + lengths.length > 1) throw new Ambiguous('several framings')
  if (codings.length === 1) {
    if (version !== '1.1') throw new Ambiguous('Transfer-Encoding in HTTP/1.0')
    if (codings[0]?.toLowerCase() !== 'chunked') throw new Ambiguous('transfer coding')
    return 'chunked'
  }
  if (lengths.length === 0) return null
  if (!/^\d{1,15}$/.test(lengths[0] as string)) throw new Ambiguous('Content-Length')
  return { length: Number(lengths[0]) }
}

export interface Body {
  readonly body: string
  readonly trailers: Fields
  readonly end: number
  /** It has a chunk extension that a careful reader might refuse. */
  readonly oddExtension: boolean
}

/** The body that begins at `at`; null while it is incomplete. */
export function readBody(bytes: string, at: number, framing: Framing): Body | null {
  if (framing === 'chunked') return readChunks(bytes, at)
  const end = at + framing.length
  return end > bytes.length ? null : { body: bytes.slice(at, end), trailers: [], end, oddExtension: false }
}

const chunkHead = /^(0*[0-9A-Fa-f]{1,13})((?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?)$/
const plainExtension = /^(?:;[A-Za-z0-9]+(?:=[A-Za-z0-9]+)?){0,9}$/

function readChunks(bytes: string, from: number): Body | null {
  let body = ''
  let oddExtension = false
  for (let at = from; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return null
    const [, size, extension = ''] = chunkHead.exec(bytes.slice(at, lineEnd)) ?? []
    if (size === undefined) throw new Ambiguous(`chunk size ${JSON.stringify(bytes.slice(at, lineEnd).slice(0, 40))}`)
    if (!plainExtension.test(extension)) oddExtension = true
    const data = lineEnd + 2
    const length = Number.parseInt(size, 16)
    if (length === 0) return readTrailers(bytes, data, body, oddExtension)
    at = data + length + 2
    if (!'\r\n'.startsWith(bytes.slice(data + length, at))) throw new Ambiguous('end of a chunk')
    if (bytes.length < at) return null
    body += bytes.slice(data, data + length)
  }
}

function readTrailers(bytes: string, at: number, body: string, oddExtension: boolean): Body | null {
  if (bytes.startsWith('\r\n', at)) return { body, trailers: [], end: at + 2, oddExtension }
  const end = bytes.indexOf('\r\n\r\n', at)
  if (end < 0) return null
  return { body, trailers: readFields(bytes.slice(at, end).split('\r\n')), end: end + 4, oddExtension }
}
