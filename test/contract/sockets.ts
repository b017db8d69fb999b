/** Raw sockets for the tests: exact bytes out, exact bytes in, on both sides of the proxy. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Endpoint } from '../../src/balancer/endpoint.ts'
import { waitFor } from '../support/wait.ts'
import { closeAfterTest } from './cleanup.ts'
import { header, type Message, type ReadOptions, readMessage, readMessages } from './messages.ts'

/** One end of a connection: what it got, and how it ended. */
export class Peer {
  readonly socket: Socket
  /** The peer has sent its end; it may still read. */
  ended = false
  /** Both ways are closed. */
  closed = false
  /** The code of the error that ended it; `ECONNRESET` when the peer reset it. */
  error: string | null = null
  #pieces: string[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (piece: Buffer) => this.#pieces.push(piece.toString('latin1')))
    socket.on('end', () => {
      this.ended = true
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? error.message
    })
    socket.on('close', () => {
      this.closed = true
    })
  }

  /** Everything that came and has not been taken, one character a byte. */
  get received(): string {
    if (this.#pieces.length > 1) this.#pieces = [this.#pieces.join('')]
    return this.#pieces[0] ?? ''
  }

  /** True once nothing more can come. */
  get over(): boolean {
    return this.ended || this.closed
  }

  /** Writes these bytes, one character a byte. */
  send(bytes: string): void {
    this.socket.write(bytes, 'latin1')
  }

  /** Writes these bytes in pieces, each in a turn of its own. */
  async sendSlowly(pieces: readonly string[]): Promise<void> {
    for (const piece of pieces) {
      await new Promise((resolve) => this.socket.write(piece, 'latin1', () => setImmediate(resolve)))
    }
  }

  /** Closes in the ordinary way. */
  end(bytes = ''): void {
    this.socket.end(bytes, 'latin1')
  }

  /** Closes with a reset, and with nothing in front of it: Node would send an ordinary end first. */
  reset(): void {
    this.socket.destroySoon = () => this.socket.destroy()
    this.socket.resetAndDestroy()
  }

  /** Waits until these bytes are among those received. */
  async until(text: string): Promise<void> {
    await this.#when(`"${text}" from the peer`, () => this.received.includes(text))
  }

  /** Waits until nothing more can come. */
  async untilOver(): Promise<void> {
    await this.#when('the end of the connection', () => this.over)
  }

  /** Waits until both ways are closed. */
  async untilClosed(): Promise<void> {
    await this.#when('the connection to close', () => this.closed)
  }

  /**
   * Waits for the end, and tells whether it was a reset. One that comes together with data is reported by Node as an
   * ordinary end, and only a write to the connection finds out what it was.
   */
  async untilCut(): Promise<boolean> {
    await this.untilOver()
    if (this.closed) return this.error === 'ECONNRESET'
    return new Promise((resolve) => {
      this.socket.write('?', (error: (Error & { code?: string }) | null | undefined) =>
        resolve(error?.code === 'ECONNRESET'),
      )
    })
  }

  /** Takes the next message off what was received; fails when the connection ends before it is complete. */
  async take(options: ReadOptions): Promise<Message> {
    const read = await this.#when('a complete message', () => {
      const { over } = this
      const found = readMessage(this.received, { ...options, ended: over })
      if (found === null && over) throw new Error(`the connection ended in mid-message: ${this.#state()}`)
      return found ?? false
    })
    this.#pieces = [read.rest]
    return read.message
  }

  /** Takes away what was received so far. */
  takeBytes(): string {
    const { received } = this
    this.#pieces = []
    return received
  }

  async #when<T>(what: string, probe: () => T | false | undefined): Promise<T> {
    try {
      return await waitFor(what, probe, 6_000)
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : String(error)}; ${this.#state()}`)
    }
  }

  #state(): string {
    const { ended, closed, error } = this
    return JSON.stringify({ received: this.received.slice(0, 500), ended, closed, error })
  }
}

/** A client that writes what it is told. */
export class RawClient extends Peer {
  /** The next response. */
  response(options: { readonly toHead?: boolean } = {}): Promise<Message> {
    return this.take({ kind: 'response', ...options })
  }
}

/** Connects to the proxy on this port. */
export async function rawClient(port: number, options: { readonly allowHalfOpen?: boolean } = {}): Promise<RawClient> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: options.allowHalfOpen ?? true })
  const client = new RawClient(socket)
  closeAfterTest('client', () => {
    socket.destroy()
  })
  await once(socket, 'connect')
  return client
}

/** One connection that an origin was given by the proxy. */
export class OriginConnection extends Peer {
  /** The next request, head and body. */
  request(): Promise<Message> {
    return this.take({ kind: 'request' })
  }

  /** Waits for a request head and leaves it where it is. */
  async head(): Promise<string> {
    await this.until('\r\n\r\n')
    return this.received.slice(0, this.received.indexOf('\r\n\r\n') + 4)
  }
}

export interface Origin {
  readonly endpoint: Endpoint
  /** In the order of their arrival. */
  readonly connections: readonly OriginConnection[]
  /** The n-th connection, from 0, as soon as it is there. */
  connection(index?: number): Promise<OriginConnection>
  /** Everything that came over all connections, as messages; throws when any of it is ambiguous or incomplete. */
  requests(): Message[]
  /** As `requests`, without what is incomplete at the end of a connection. */
  completeRequests(): Message[]
}

/** An endpoint whose every byte is in the hands of the test. */
export async function startOrigin(onConnection?: (connection: OriginConnection) => unknown): Promise<Origin> {
  const connections: OriginConnection[] = []
  const log: string[][] = []
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const connection = new OriginConnection(socket)
    const bytes: string[] = []
    socket.on('data', (piece: Buffer) => bytes.push(piece.toString('latin1')))
    log.push(bytes)
    connections.push(connection)
    // A handler that gives up because the test is over is no failure of the test.
    Promise.resolve(onConnection?.(connection)).catch(() => socket.destroy())
  })
  const endpoint = await listening(server)
  closeAfterTest('origin', () => {
    for (const { socket } of connections) socket.destroy()
    server.close()
  })
  return {
    endpoint,
    connections,
    connection: (index = 0) => waitFor(`connection ${index} to the origin`, () => connections[index], 6_000),
    requests: () => log.flatMap((bytes) => readMessages(bytes.join(''), { kind: 'request' })),
    completeRequests: () => log.flatMap((bytes) => readMessages(bytes.join(''), { kind: 'request', cutOff: true })),
  }
}

/** An origin that gives every complete request the same answer, or what `answer` makes of it. */
export function answering(answer: string | ((request: Message) => string)): Promise<Origin> {
  return startOrigin(async (connection) => {
    for (;;) {
      const request = await connection.request()
      connection.send(typeof answer === 'string' ? answer : answer(request))
      if (header(request, 'connection') === 'close') connection.end()
    }
  })
}

/** A plain good answer with a length. */
export function ok(body = 'ok', fields = ''): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`
}

export async function listening(server: Server): Promise<Endpoint> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { id: `127.0.0.1:${port}`, instance: `test-${port}`, address: '127.0.0.1', port, weight: 1 }
}

/** An address on which nobody listens. */
export async function refusingEndpoint(): Promise<Endpoint> {
  const server = createServer()
  const endpoint = await listening(server)
  server.close()
  await once(server, 'close')
  return endpoint
}
