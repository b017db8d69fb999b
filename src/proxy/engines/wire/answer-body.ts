/** How does an endpoint's body reach the client? Read by its own framing, written by what the client understands. */

import { trailersOf } from '../../headers.ts'
import { ChunkedReader } from './chunked-reader.ts'
import { JoinedWriter } from './joined-writer.ts'
import { fieldLines } from './message-text.ts'
import { giveBuffer } from './read-buffers.ts'
import { Runs } from './request-body.ts'
import type { ResponseHead } from './response-head.ts'
import type { UpstreamSocket } from './upstream-socket.ts'
import type { WireExchange } from './wire-exchange.ts'

/** A body whose pieces are as long as this is a long one. */
const longReadBytes = 16 * 1024
const chunkLimits = { trailerBytes: 16 * 1024, trailerCount: 100, extensionBytes: 64 * 1024 }

export class AnswerBody {
  readonly writer: JoinedWriter
  /** The line that tells the client how the body is framed, unless a Content-Length does. */
  readonly framingLine: string
  /** The body goes to the client in chunks. */
  readonly isChunked: boolean
  /** Nothing but the end of its connection says where the endpoint's body ends. */
  readonly endsWithConnection: boolean
  /** The endpoint's connection is in step, and stays open behind this body. */
  readonly isReusable: boolean
  isComplete = false
  /** Why it is not a body; null as long as it is. */
  fault: string | null = null
  readonly #exchange: WireExchange
  /** Buffers that the client is written to from. */
  readonly #borrowed: Buffer[] = []
  readonly #chunks: ChunkedReader | null
  #left: number

  /** @param head its final response; the client's connection is told when it must close behind it */
  constructor(exchange: WireExchange, head: ResponseHead) {
    const { client, head: asked } = exchange
    this.#exchange = exchange
    this.writer = new JoinedWriter(client.socket)
    const isBodiless = asked.method === 'HEAD' || head.status === 204 || head.status === 304
    const hasLength = head.contentLength >= 0
    this.#chunks = head.chunked && !isBodiless ? new ChunkedReader(chunkLimits) : null
    this.#left = isBodiless || !hasLength ? 0 : head.contentLength
    this.endsWithConnection = !isBodiless && !head.chunked && !hasLength
    this.isReusable = head.keepAlive && !this.endsWithConnection
    this.isComplete = isBodiless || (hasLength && head.contentLength === 0)
    const isOpenEnded = this.endsWithConnection || this.#chunks !== null
    this.isChunked = isOpenEnded && asked.version === '1.1'
    this.framingLine = this.isChunked ? 'Transfer-Encoding: chunked\r\n' : ''
    if (isOpenEnded && !this.isChunked) client.closeAfterAnswer()
  }

  /** Passes on what there is of the body in `bytes[start, end)`; returns the index behind it. */
  pass(socket: UpstreamSocket, bytes: Buffer, start: number, end: number): number {
    const used = this.isComplete
      ? start
      : this.#chunks === null
        ? this.#raw(bytes, start, end)
        : this.#decoded(bytes, start, end)
    this.writer.flush()
    if (this.#exchange.client.isFlushed) this.drained()
    else this.#borrow(socket)
    if (!this.isComplete && end - start >= longReadBytes) socket.readLong()
    return used
  }

  /** What has just been read is still being written from. */
  #borrow(socket: UpstreamSocket): void {
    const buffer = socket.lendBuffer()
    if (buffer !== null) this.#borrowed.push(buffer)
  }

  /** Everything has been written: what was borrowed goes back. */
  drained(): void {
    for (let buffer = this.#borrowed.pop(); buffer !== undefined; buffer = this.#borrowed.pop()) giveBuffer(buffer)
  }

  /** The endpoint has closed, and that was the end of the body. */
  ends(): void {
    this.isComplete = true
    if (this.isChunked) this.writer.add('0\r\n\r\n')
    this.writer.flush()
  }

  #raw(bytes: Buffer, start: number, end: number): number {
    const stop = this.endsWithConnection ? end : Math.min(end, start + this.#left)
    if (!this.endsWithConnection) {
      this.#left -= stop - start
      this.isComplete = this.#left === 0
    }
    if (stop === start) return stop
    this.#exchange.stats.bytesOut += stop - start
    if (this.isChunked) this.writer.add(`${(stop - start).toString(16)}\r\n`)
    this.writer.addBytes(bytes, start, stop)
    if (this.isChunked) this.writer.add('\r\n')
    return stop
  }

  /** All data that came together goes on as one chunk. */
  #decoded(bytes: Buffer, start: number, end: number): number {
    const reader = this.#chunks as ChunkedReader
    const runs = new Runs()
    const used = reader.read(bytes, start, end, runs)
    if (runs.length > 0) {
      this.#exchange.stats.bytesOut += runs.length
      if (this.isChunked) this.writer.add(`${runs.length.toString(16)}\r\n`)
      for (let index = 0; index < runs.bounds.length; index += 2) {
        this.writer.addBytes(bytes, runs.bounds[index] as number, runs.bounds[index + 1] as number)
      }
      if (this.isChunked) this.writer.add('\r\n')
    }
    if (reader.state === 'malformed') this.fault = reader.fault
    if (reader.state !== 'done') return used
    this.isComplete = true
    if (this.isChunked) this.writer.add(`0\r\n${fieldLines(trailersOf(reader.trailers))}\r\n`)
    return used
  }
}
