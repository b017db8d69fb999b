/**
 * Is what a client got a whole answer, and which one? Reads responses off exact bytes as they come, strictly: what could
 * be read in two ways is malformed. The soak's own, so that a fault of the proxy's reader cannot hide behind itself.
 */

export type Reply =
  | { readonly kind: 'whole'; readonly status: number; readonly head: string; readonly body: Buffer }
  | { readonly kind: 'cut'; readonly status: number | null; readonly why: string }
  | { readonly kind: 'malformed'; readonly why: string }
  | { readonly kind: 'stuck' }

const nothing = Buffer.alloc(0)
const mostHeadBytes = 64 * 1024

class Malformed extends Error {}

export class ReplyReader {
  #rest: Buffer = nothing
  #head: { readonly status: number; readonly text: string } | null = null
  #pieces: Buffer[] = []
  /** Bytes of the body, or of this chunk, still to come. */
  #left = 0
  #framing: 'length' | 'chunks' | 'trailers' | 'until-close' = 'length'
  /** The line end behind a chunk's data is still to come. */
  #chunkOpen = false

  feed(piece: Buffer): void {
    this.#rest = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece])
  }

  /** What came and is not read yet. */
  get rest(): Buffer {
    return this.#rest
  }

  /** Takes all that came and is not read yet. */
  takeRest(): Buffer {
    const rest = this.#rest
    this.#rest = nothing
    return rest
  }

  get status(): number | null {
    return this.#head?.status ?? null
  }

  /**
   * The next answer, if it is whole.
   * @param toHead it answers a HEAD
   * @param over nothing more will come, and it ended in order
   */
  next(toHead: boolean, over: boolean): Reply | null {
    try {
      if (this.#head === null && !this.#readHead(toHead)) return null
      const head = this.#head
      if (head === null || !this.#readBody(over)) return null
      const body = this.#pieces.length === 1 ? (this.#pieces[0] ?? nothing) : Buffer.concat(this.#pieces)
      this.#head = null
      this.#pieces = []
      return { kind: 'whole', status: head.status, head: head.text, body }
    } catch (error) {
      if (error instanceof Malformed) return { kind: 'malformed', why: error.message }
      throw error
    }
  }

  /** Interim answers are passed over, all but a 101. */
  #readHead(toHead: boolean): boolean {
    for (;;) {
      const end = this.#rest.indexOf('\r\n\r\n')
      if (end < 0) {
        if (this.#rest.length > mostHeadBytes) throw new Malformed('a head without end')
        return false
      }
      const text = this.#rest.toString('latin1', 0, end + 2)
      this.#rest = this.#rest.subarray(end + 4)
      const [start = '', ...lines] = text.split('\r\n').slice(0, -1)
      const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(`${start} `)?.[1] ?? Number.NaN)
      if (Number.isNaN(status)) throw new Malformed(`start line ${JSON.stringify(start.slice(0, 80))}`)
      const wrong = lines.find((line) => !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n\0]*$/.test(line))
      if (wrong !== undefined) throw new Malformed(`field ${JSON.stringify(wrong.slice(0, 80))}`)
      if (status < 200 && status !== 101) continue
      this.#head = { status, text }
      this.#frame(lines, toHead || status < 200 || status === 204 || status === 304)
      return true
    }
  }

  #frame(lines: readonly string[], bodiless: boolean): void {
    const lengths = valuesOf(lines, 'content-length')
    const codings = valuesOf(lines, 'transfer-encoding')
    if (lengths.length + codings.length > 1) throw new Malformed('ambiguous framing')
    if (lengths.some((length) => !/^\d+$/.test(length))) throw new Malformed(`length ${lengths[0]}`)
    if (codings.some((coding) => coding !== 'chunked')) throw new Malformed(`coding ${codings[0]}`)
    this.#chunkOpen = false
    this.#left = bodiless ? 0 : Number(lengths[0] ?? 0)
    this.#framing = 'length'
    if (bodiless || lengths.length > 0) return
    this.#framing = codings.length > 0 ? 'chunks' : 'until-close'
  }

  /** True when the body is whole. */
  #readBody(over: boolean): boolean {
    if (this.#framing === 'until-close') {
      if (this.#rest.length > 0) this.#pieces.push(this.takeRest())
      return over
    }
    if (this.#framing === 'length') return this.#takeLeft()
    while (this.#framing === 'chunks') if (!this.#readChunk()) return false
    const line = this.#line()
    if (line === null) return false
    return line === '' ? true : this.#readBody(over)
  }

  #readChunk(): boolean {
    if (this.#chunkOpen) {
      if (!this.#takeLeft()) return false
      const end = this.#line()
      if (end === null) return false
      if (end !== '') throw new Malformed('a chunk is longer than it said')
      this.#chunkOpen = false
    }
    const line = this.#line()
    if (line === null) return false
    if (!/^[0-9a-f]{1,8}$/i.test(line)) throw new Malformed(`chunk size ${JSON.stringify(line.slice(0, 80))}`)
    this.#left = Number.parseInt(line, 16)
    if (this.#left === 0) this.#framing = 'trailers'
    else this.#chunkOpen = true
    return true
  }

  #line(): string | null {
    const end = this.#rest.indexOf('\r\n')
    if (end < 0) return null
    const line = this.#rest.toString('latin1', 0, end)
    this.#rest = this.#rest.subarray(end + 2)
    return line
  }

  #takeLeft(): boolean {
    const piece = this.#rest.subarray(0, this.#left)
    if (piece.length > 0) {
      this.#pieces.push(piece)
      this.#rest = this.#rest.subarray(piece.length)
      this.#left -= piece.length
    }
    return this.#left === 0
  }
}

function valuesOf(lines: readonly string[], name: string): string[] {
  return lines.flatMap((line) => {
    const colon = line.indexOf(':')
    return line.slice(0, colon).toLowerCase() === name ? [line.slice(colon + 1).trim()] : []
  })
}
