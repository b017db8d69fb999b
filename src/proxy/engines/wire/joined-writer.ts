/** Many small pieces, few writes: short ones are joined to one string, long ones go as they are. */

import type { Socket } from 'node:net'
import { sharedBuffer } from './read-buffers.ts'

/** Up to this length copying a piece is cheaper than a buffer of its own in the write. */
const shortBytes = 8 * 1024
/** So much may be waiting to be flushed before more should come. */
const fullBytes = 64 * 1024

export class JoinedWriter {
  readonly #socket: Socket
  #text = ''
  #corkedBytes = 0

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** @param text one character a byte */
  add(text: string): void {
    this.#text += text
  }

  /** The bytes must stay as they are until they are written, unless they are those of the buffer that all share. */
  addBytes(bytes: Buffer, start: number, end: number): void {
    if (end - start <= shortBytes) {
      this.#text += bytes.toString('latin1', start, end)
      return
    }
    if (this.#corkedBytes === 0) this.#socket.cork()
    this.#corkedBytes += end - start
    this.#writeText()
    const piece = bytes.subarray(start, end)
    this.#socket.write(bytes === sharedBuffer ? Buffer.from(piece) : piece)
  }

  /** Hands everything to the socket. */
  flush(): void {
    this.#writeText()
    if (this.#corkedBytes === 0) return
    this.#corkedBytes = 0
    this.#socket.uncork()
  }

  /** True when what has been written should get out before more is added. */
  get isFull(): boolean {
    return this.#socket.writableNeedDrain || this.#text.length + this.#corkedBytes > fullBytes
  }

  #writeText(): void {
    if (this.#text === '') return
    const text = this.#text
    this.#text = ''
    this.#socket.write(text, 'latin1')
  }
}
