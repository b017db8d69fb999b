/**
 * A body in chunks, read as its bytes come (RFC 9112 §7.1). Pure but for what it tells its sink.
 *
 *   size ──▶ extension ──▶ line end ──▶ data ──▶ data end ──▶ size …
 *     └────────────────────────▲  └── last chunk ──▶ trailers ──▶ done
 *   anything that another reader could take for something else ──▶ malformed
 *
 * Sizes have no sign, no prefix and no blanks, lines end with CR LF and nothing else, extensions are dropped.
 */

import { bytesOf, FieldLines, valueBytes } from './field-lines.ts'

export interface ChunkSink {
  /** Chunk data, without its framing: bytes[start, end), never empty. */
  onData(bytes: Buffer, start: number, end: number): void
}

export interface ChunkLimits {
  /** How long the trailer section may be, and how many fields it may have. */
  readonly trailerBytes: number
  readonly trailerCount: number
  /** How long the extensions of all chunks may be together. */
  readonly extensionBytes: number
}

type Place = 'size' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailer' | 'trailer-lf'

const tab = 0x09
const lf = 0x0a
const cr = 0x0d
const semicolon = 0x3b
/** Enough for any size that a number can hold. */
const maxSizeDigits = 16

export class ChunkedReader {
  /** `reading` until the empty line behind the last chunk. */
  state: 'reading' | 'done' | 'malformed' = 'reading'
  /** Why it is malformed; empty when it is not. */
  fault = ''
  /** Name, value, name, value … as sent; complete when it is done. */
  trailers: string[] = []
  readonly #limits: ChunkLimits
  #place: Place = 'size'
  #digits = 0
  #size = 0
  /** Bytes of the chunk that are still to come. */
  #left = 0
  #extensionBytes = 0
  /** The trailer line that is being read. */
  #line = ''
  #trailerBytes = 0

  constructor(limits: ChunkLimits) {
    this.#limits = limits
  }

  /**
   * Reads bytes[start, end); whatever pieces a body comes in, the outcome is the same.
   * @returns the index behind the last byte that was used: `end`, unless the body is done or malformed before
   */
  read(bytes: Buffer, start: number, end: number, sink: ChunkSink): number {
    let at = start
    while (at < end && this.state === 'reading') {
      if (this.#place === 'data') {
        const stop = Math.min(end, at + this.#left)
        this.#left -= stop - at
        if (this.#left === 0) this.#place = 'data-cr'
        sink.onData(bytes, at, stop)
        at = stop
      } else if (this.#place === 'trailer') {
        at = this.#readTrailer(bytes, at, end)
      } else {
        this.#take(bytes[at] as number)
        at++
      }
    }
    return at
  }

  /** One byte of framing. */
  #take(byte: number): void {
    switch (this.#place) {
      case 'size':
        return this.#takeSize(byte)
      case 'extension':
        if (byte === cr) this.#place = 'size-lf'
        else if (byte === tab || valueBytes[byte] === 0) {
          this.#fail('A chunk extension has a control character in it')
        } else if (++this.#extensionBytes > this.#limits.extensionBytes) this.#fail(this.#longExtensions())
        return
      case 'size-lf':
        if (byte !== lf) return this.#fail('A chunk size line does not end with CR LF')
        this.#left = this.#size
        this.#place = this.#size === 0 ? 'trailer' : 'data'
        return
      case 'data-cr':
        if (byte !== cr) return this.#fail('The data of a chunk does not end with CR LF')
        this.#place = 'data-lf'
        return
      case 'data-lf':
        if (byte !== lf) return this.#fail('The data of a chunk does not end with CR LF')
        this.#place = 'size'
        this.#digits = 0
        this.#size = 0
        return
      case 'trailer-lf':
        if (byte !== lf) return this.#fail('A trailer line does not end with CR LF')
        return this.#takeTrailer()
      case 'data':
      case 'trailer':
        return
      default:
        return this.#place satisfies never
    }
  }

  #takeSize(byte: number): void {
    const digit = hexDigit(byte)
    if (digit >= 0) {
      this.#size = this.#size * 16 + digit
      if (++this.#digits > maxSizeDigits || this.#size > Number.MAX_SAFE_INTEGER)
        this.#fail('A chunk size is too large')
    } else if (this.#digits === 0) this.#fail('A chunk does not begin with its size')
    else if (byte === cr) this.#place = 'size-lf'
    else if (byte === semicolon) {
      this.#place = 'extension'
      if (++this.#extensionBytes > this.#limits.extensionBytes) this.#fail(this.#longExtensions())
    } else this.#fail('A chunk size is followed by something else')
  }

  /** A trailer line up to its CR, or what there is of it. */
  #readTrailer(bytes: Buffer, start: number, end: number): number {
    let at = start
    let byte = bytes[at] as number
    while (at < end && valueBytes[byte] === 1) byte = bytes[++at] as number
    const room = this.#limits.trailerBytes - this.#trailerBytes - this.#line.length
    if (at - start > room) {
      this.#fail(this.#longTrailers())
      return start + room + 1
    }
    this.#line += bytes.toString('latin1', start, at)
    if (at === end) return end
    if (byte === cr) this.#place = 'trailer-lf'
    else this.#fail('A trailer line has a control character in it')
    return at + 1
  }

  #takeTrailer(): void {
    const line = this.#line
    if (line === '') {
      this.state = 'done'
      return
    }
    const { trailerBytes, trailerCount } = this.#limits
    this.#trailerBytes += line.length + 2
    if (this.#trailerBytes > trailerBytes) return this.#fail(this.#longTrailers())
    const lines = new FieldLines()
    const text = `${line}\r\n`
    const odd = lines.read(text, bytesOf(text), 0, trailerBytes, 1)
    if (odd !== null) return this.#fail(`A trailer line is malformed: ${odd.detail}`)
    if (this.trailers.length === trailerCount * 2)
      return this.#fail(`There are more than ${trailerCount} trailer fields`)
    this.trailers.push(lines.raw[0] as string, lines.raw[1] as string)
    this.#line = ''
    this.#place = 'trailer'
  }

  #longTrailers(): string {
    return `The trailer fields are longer than ${this.#limits.trailerBytes} bytes`
  }

  #longExtensions(): string {
    return `The chunk extensions are longer than ${this.#limits.extensionBytes} bytes`
  }

  #fail(fault: string): void {
    this.state = 'malformed'
    this.fault = fault
  }
}

/** -1: no such digit. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
