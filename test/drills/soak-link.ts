/** One connection of a client of the soak: bytes out, answers in, and every way to end it. */

import { connect, type Socket } from 'node:net'
import { type Reply, ReplyReader } from './soak-reply.ts'

/** Nothing that is asked for takes this long: who still waits then has been forgotten. */
const stuckAfterMs = 20_000

let lastHost = 0

export class Link {
  readonly socket: Socket
  readonly #reader = new ReplyReader()
  #over: string | null = null
  #wake: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (piece: Buffer) => {
      this.#reader.feed(piece)
      this.#wake()
    })
    socket.on('end', () => this.#end('end'))
    socket.on('error', (error: NodeJS.ErrnoException) => this.#end(error.code ?? error.message))
    socket.on('close', () => this.#end('closed'))
  }

  /** Nothing more will come. */
  get over(): boolean {
    return this.#over !== null
  }

  /** Bytes that came and were not read as part of an answer. */
  get unread(): number {
    return this.#reader.rest.length
  }

  send(bytes: string | Buffer): void {
    this.socket.write(bytes as Buffer, 'latin1')
  }

  /** The next answer, as soon as it is whole, or as soon as it never will be. */
  async reply(toHead = false): Promise<Reply> {
    let hasWaited = false
    const stuck = setTimeout(() => {
      hasWaited = true
      this.#wake()
    }, stuckAfterMs)
    try {
      for (;;) {
        const reply = this.#reader.next(toHead, this.#over === 'end')
        if (reply !== null) return reply
        if (this.#over !== null) return { kind: 'cut', status: this.#reader.status, why: this.#over }
        if (hasWaited) return { kind: 'stuck' }
        await this.#more()
      }
    } finally {
      clearTimeout(stuck)
    }
  }

  /** So many bytes, of whatever kind; fewer when the connection ends or they do not come. */
  async take(count: number, withinMs = stuckAfterMs): Promise<Buffer> {
    const pieces: Buffer[] = []
    let missing = count
    let isLate = false
    const late = setTimeout(() => {
      isLate = true
      this.#wake()
    }, withinMs)
    for (;;) {
      const piece = this.#reader.takeRest()
      pieces.push(piece)
      missing -= piece.length
      if (missing <= 0 || this.over || isLate) break
      await this.#more()
    }
    clearTimeout(late)
    return Buffer.concat(pieces)
  }

  /** Waits until it is over, for so long at the most. */
  async untilOver(withinMs: number): Promise<boolean> {
    await this.take(Number.POSITIVE_INFINITY, withinMs)
    return this.over
  }

  /** The ordinary end: no more from this side. */
  halfClose(): void {
    this.socket.end()
  }

  reset(): void {
    // Node would send an ordinary end first.
    this.socket.destroySoon = () => this.socket.destroy()
    this.socket.resetAndDestroy()
  }

  leave(): void {
    this.socket.destroy()
  }

  #end(why: string): void {
    this.#over ??= why
    this.#wake()
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = () => {}
        resolve()
      }
    })
  }
}

/** Connects from one of many loopback addresses: ports in TIME_WAIT are counted per pair. Null: it was refused. */
export function openLink(port: number): Promise<Link | null> {
  lastHost = (lastHost + 1) % 200
  const socket = connect({
    host: '127.0.0.1',
    port,
    noDelay: true,
    allowHalfOpen: true,
    localAddress: `127.0.1.${lastHost + 1}`,
  })
  return new Promise((resolve) => {
    socket.once('error', () => resolve(null))
    socket.once('connect', () => resolve(new Link(socket)))
  })
}
