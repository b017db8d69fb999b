/**
 * Reads HTTP/1.1 messages from exact bytes, strictly: what could be read in two ways throws. Written for the tests
 * alone, so that a fault of the proxy and a fault of its parser cannot cancel out.
 */

export interface Message {
  /** Request line or status line. */
  readonly start: string
  /** Name and value of each field line, in order. */
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
  readonly trailers: readonly (readonly [string, string])[]
  /** 0 for a request. */
  readonly status: number
}

export interface ReadOptions {
  readonly kind: 'request' | 'response'
  /** The response answers a HEAD request. */
  readonly toHead?: boolean
  /** Nothing more will come: what has no length ends here. */
  readonly ended?: boolean
  /** The last message of many may be incomplete: it is left out. */
  readonly cutOff?: boolean
}

/**
 * The first message in `text` (one character a byte) and what follows it; null while it is incomplete.
 * @throws when the message is malformed or its length is ambiguous
 */
export function readMessage(text: string, options: ReadOptions): { message: Message; rest: string } | null {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd < 0) return null
  const lines = text.slice(0, headEnd).split('\r\n')
  const start = lines[0] ?? ''
  if (lines.some((line) => /[\r\n\0]/.test(line)))
    throw new Error(`stray control character in the head: ${quote(text)}`)
  const startLine =
    options.kind === 'request' ? /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [!-~]+ HTTP\/1\.[01]$/ : /^HTTP\/1\.1 \d{3} /
  if (!startLine.test(start)) throw new Error(`malformed start line: ${quote(start)}`)
  const headers = lines.slice(1).map(fieldOf)
  const status = options.kind === 'response' ? Number(start.slice(9, 12)) : 0
  const after = text.slice(headEnd + 4)
  const done = (body: string, rest: string, trailers: Message['trailers'] = []) => ({
    message: { start, headers, body, trailers, status },
    rest,
  })

  const lengths = valuesOf(headers, 'content-length')
  const codings = valuesOf(headers, 'transfer-encoding')
  if (lengths.length + codings.length > 1) throw new Error(`ambiguous framing: ${quote(text)}`)
  if (lengths.some((length) => !/^\d+$/.test(length))) throw new Error(`odd Content-Length: ${quote(text)}`)
  if (codings.some((coding) => coding !== 'chunked')) throw new Error(`odd Transfer-Encoding: ${quote(text)}`)
  if (options.toHead || (status >= 100 && status < 200) || status === 204 || status === 304) return done('', after)
  if (codings.length === 1) {
    const read = readChunks(after)
    return read && done(read.body, read.rest, read.trailers)
  }
  if (lengths.length === 1) {
    const length = Number(lengths[0])
    return after.length < length ? null : done(after.slice(0, length), after.slice(length))
  }
  if (options.kind === 'request') return done('', after)
  return options.ended ? done(after, '') : null
}

/** Every message in `text`; throws when one is malformed, ambiguous or incomplete. */
export function readMessages(text: string, options: ReadOptions): Message[] {
  const messages: Message[] = []
  for (let rest = text; rest !== ''; ) {
    const read = readMessage(rest, options)
    if (read === null && options.cutOff) break
    if (read === null) throw new Error(`incomplete message: ${quote(rest)}`)
    messages.push(read.message)
    rest = read.rest
  }
  return messages
}

/** The first value of a field, or undefined. */
export function header(message: Pick<Message, 'headers'>, name: string): string | undefined {
  return valuesOf(message.headers, name.toLowerCase())[0]
}

/** Every value of a field, in order. */
export function headerLines(message: Pick<Message, 'headers'>, name: string): string[] {
  return valuesOf(message.headers, name.toLowerCase())
}

/** A body in chunked framing, one chunk a piece. */
export function chunked(pieces: readonly string[], trailers = ''): string {
  return `${pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')}0\r\n${trailers}\r\n`
}

function readChunks(text: string): { body: string; rest: string; trailers: Message['trailers'] } | null {
  let body = ''
  for (let at = 0; ; ) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return null
    const line = text.slice(at, lineEnd)
    if (!/^[0-9a-f]{1,8}$/i.test(line)) throw new Error(`odd chunk size: ${quote(line)}`)
    const size = Number.parseInt(line, 16)
    const dataEnd = lineEnd + 2 + size
    if (size > 0) {
      if (text.length < dataEnd + 2) return null
      if (text.slice(dataEnd, dataEnd + 2) !== '\r\n') throw new Error('a chunk does not end where it should')
      body += text.slice(lineEnd + 2, dataEnd)
      at = dataEnd + 2
      continue
    }
    if (text.startsWith('\r\n', lineEnd + 2)) return { body, rest: text.slice(lineEnd + 4), trailers: [] }
    const trailersEnd = text.indexOf('\r\n\r\n', lineEnd + 2)
    if (trailersEnd < 0) return null
    const trailers = text
      .slice(lineEnd + 2, trailersEnd)
      .split('\r\n')
      .map(fieldOf)
    return { body, rest: text.slice(trailersEnd + 4), trailers }
  }
}

function fieldOf(line: string): readonly [string, string] {
  const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/.exec(line)
  if (match === null) throw new Error(`malformed field line: ${quote(line)}`)
  return [match[1] as string, match[2] as string]
}

function valuesOf(headers: Message['headers'], name: string): string[] {
  return headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value)
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 400))
}
