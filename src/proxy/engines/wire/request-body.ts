/** Where does the body of a request end, and which of the bytes that have come are its data? */

import type { RawHeaders } from '../../exchange.ts'
import { forbiddenTrailer } from '../../headers.ts'
import { ChunkedReader, type ChunkLimits, type ChunkSink } from './chunked-reader.ts'

export class RequestBody {
  isComplete: boolean
  /** Why it is not the body that its head announced; null as long as it is. */
  fault: string | null = null
  /** Complete when the body is. */
  trailers: RawHeaders = []
  /** Bytes still to come; with `#chunks`, whatever it says. */
  #left: number
  readonly #chunks: ChunkedReader | null

  /** @param contentLength in bytes; 0: none, or in chunks */
  constructor(contentLength: number, isChunked: boolean, limits: ChunkLimits) {
    this.#left = contentLength
    this.#chunks = isChunked ? new ChunkedReader(limits) : null
    this.isComplete = !isChunked && contentLength === 0
  }

  /** Reads on, up to its end; tells the data to `runs`. Returns the index behind the last byte used. */
  read(bytes: Buffer, runs: Runs): number {
    if (this.#chunks !== null) return this.#readChunks(this.#chunks, bytes, runs)
    const length = Math.min(this.#left, bytes.length)
    this.#left -= length
    this.isComplete = this.#left === 0
    runs.onData(bytes, 0, length)
    return length
  }

  #readChunks(chunks: ChunkedReader, bytes: Buffer, runs: Runs): number {
    const end = chunks.read(bytes, 0, bytes.length, runs)
    if (chunks.state === 'malformed') {
      this.fault = chunks.fault
    } else if (chunks.state === 'done') {
      const forbidden = chunks.trailers.length === 0 ? null : forbiddenTrailer(chunks.trailers)
      if (forbidden !== null) this.fault = `The field ${forbidden} cannot be a trailer.`
      this.trailers = chunks.trailers
      this.isComplete = true
    }
    return end
  }

  /** True when the body cannot be complete although `length` more bytes are here, because no others will come. */
  isCutOff(length: number): boolean {
    if (this.isComplete) return false
    // Of chunks, what is missing is known when all that is here has been read.
    return this.#chunks === null ? length < this.#left : length === 0
  }
}

/** Where the data of a body is in the bytes at hand: start, end, start, end … */
export class Runs implements ChunkSink {
  readonly bounds: number[] = []
  /** Bytes in all of them. */
  length = 0

  onData(_bytes: Buffer, start: number, end: number): void {
    this.bounds.push(start, end)
    this.length += end - start
  }
}
