/** One end of a connection, on either side of the proxy: exact bytes out, exact bytes in, one character a byte. */

import { connect, type Socket } from 'node:net'
import { type Silence, turns } from './quiet.ts'

export class Peer {
  readonly socket: Socket
  received = ''
  /** The other side has sent its end. */
  ended = false
  /** Both ways are closed. */
  closed = false
  /** The code of the error that ended it: `ECONNRESET` when the other side reset it. */
  error: string | null = null
  /** Called after each piece, and at the end of the other side. */
  onProgress: () => void = () => {}

  constructor(socket: Socket, { stir }: Silence) {
    this.socket = socket
    socket.on('data', (piece: Buffer) => {
      stir()
      this.received += piece.toString('latin1')
      this.onProgress()
    })
    socket.on('end', () => {
      stir()
      this.ended = true
      this.onProgress()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      stir()
      this.error = error.code ?? error.message
    })
    socket.on('close', () => {
      stir()
      this.closed = true
      this.onProgress()
    })
  }

  /** Nothing more can come. */
  get over(): boolean {
    return this.ended || this.closed
  }

  /** The other side has said, in the ordinary way, that what it sent is all. */
  get endedWell(): boolean {
    return this.ended && this.error === null
  }

  send(bytes: string): void {
    if (!this.socket.destroyed && bytes !== '') this.socket.write(bytes, 'latin1')
  }

  /** Each piece in a turn of its own, so that it is read on its own; stops when nobody reads any more. */
  async sendPieces(pieces: readonly string[]): Promise<void> {
    for (const piece of pieces) {
      if (this.over) return
      this.send(piece)
      await turns(2)
    }
  }

  end(): void {
    if (!this.socket.destroyed) this.socket.end()
  }

  /** A reset with no ordinary end in front of it. */
  reset(): void {
    if (this.socket.destroyed) return
    this.socket.destroySoon = () => this.socket.destroy()
    this.socket.resetAndDestroy()
  }
}

/** A client of the proxy; it closes its side when the proxy has closed the other. */
export function clientOf(port: number, silence: Silence): Promise<Peer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true })
    const client = new Peer(socket, silence)
    socket.on('end', () => socket.end())
    socket.once('connect', () => resolve(client))
    socket.once('error', reject)
  })
}
