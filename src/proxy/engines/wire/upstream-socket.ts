/** A raw connection to an endpoint, whose bytes are read into one buffer that all of them share. */

import { Socket } from 'node:net'
import type { Endpoint, EndpointId } from '../../../balancer/endpoint.ts'
import { giveBuffer, sharedBuffer, takeBuffer } from './read-buffers.ts'

/** Who uses a connection now, and is told of everything that happens on it. */
export interface UpstreamUser {
  /** False: what comes is left where it is. */
  readonly reads: boolean
  onConnect(socket: UpstreamSocket): void
  /** `bytes[0, end)` have come. They are gone when this returns: what is kept must be copied. */
  onBytes(socket: UpstreamSocket, bytes: Buffer, end: number): void
  /** The endpoint has ended its side. */
  onEnd(socket: UpstreamSocket): void
  /** What was written is out: more may be written. */
  onDrain(socket: UpstreamSocket): void
  /** The connection is gone. `code`: of the error that ended it; null when none did. */
  onClose(socket: UpstreamSocket, code: string | null): void
  /** One of the above has thrown: the proxy itself is to blame. */
  onDefect(error: unknown): void
}

type Done = (error?: Error | null) => void

/**
 * One connection after the other: making such an object costs more than all the rest that a request needs of it, and
 * Node lets a closed one connect again.
 */
export class UpstreamSocket extends Socket {
  user: UpstreamUser | null = null
  endpoint: EndpointId = ''
  /** Taken from the pool of idle ones: the endpoint may have closed it just now. */
  reused = false
  /** When it was put into the pool. */
  idleSinceMs = 0
  /** The error that ended it, so far. */
  code: string | null = null
  #isReset = false
  /** A long body is being read: not into the buffer of all. */
  #readsLong = false
  #own: Buffer | null = null
  #isComplete = false
  #outlivesWrites = false

  constructor() {
    // Half-open: an endpoint's end must neither shut our side down nor close before that has been judged.
    const options = { allowHalfOpen: true, onread: { buffer: nextBuffer, callback: onBytes } }
    super(options as ConstructorParameters<typeof Socket>[0])
    this.on('connect', onConnect)
    this.on('end', onEnd)
    this.on('drain', onDrain)
    this.on('error', onError)
    this.on('close', onClose)
  }

  /** Connects a socket that is new, or closed. */
  open(to: Endpoint, user: UpstreamUser): void {
    this.user = user
    this.endpoint = to.id
    this.reused = false
    this.code = null
    this.#isReset = false
    this.#isComplete = false
    this.#outlivesWrites = false
    this.#readsLong = false
    // Node asks for a buffer now, perhaps while another connection is being read.
    reading = null
    this.connect({ host: to.address, port: to.port })
  }

  /** An idle one is taken up again. */
  takeUp(user: UpstreamUser): void {
    this.user = user
    this.reused = true
    this.#isComplete = false
  }

  /** Call when everything that was to be said here has been said, both ways. */
  exchangeIsComplete(): void {
    this.#isComplete = this.writableLength === 0 && !this.writableNeedDrain
    this.readShort()
  }

  /**
   * True when it may be opened again, once it is closed. Node forgets an error and an end when a socket connects again,
   * but not what was left to be written, nor that it was paused.
   */
  get isAsNew(): boolean {
    const nothingIsLeft = this.writableLength === 0 && this.writableCorked === 0
    return this.#isComplete && nothingIsLeft && this.code === null && !this.isPaused()
  }

  /** A long body comes: from the next read on, its bytes may be written as they are. */
  readLong(): void {
    this.#readsLong = true
  }

  /** Back to short reads. */
  readShort(): void {
    this.#readsLong = false
    if (this.#own !== null) giveBuffer(this.#own)
    this.#own = null
  }

  /** The bytes just read are still being written from: whoever calls gets their buffer, to give back when they are. */
  lendBuffer(): Buffer | null {
    const buffer = this.#own
    this.#own = null
    return buffer
  }

  /** Where the next read goes. */
  nextBuffer(): Buffer {
    if (!this.#readsLong) return sharedBuffer
    this.#own ??= takeBuffer()
    return this.#own
  }

  /** Ends the connection with a reset, and with nothing in front of it: Node would send an ordinary end first. */
  reset(): void {
    this.#isReset = true
    this.resetAndDestroy()
  }

  /**
   * A request body will be written, and an endpoint may answer and close without having read it: Node would throw
   * the answer away together with the connection that can no longer be written to.
   */
  outliveWrites(): void {
    this.#outlivesWrites = true
  }

  override _write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
    super._write(chunk, encoding, this.#outlivesWrites ? (error) => done(this.#judged(error)) : done)
  }

  override _writev(chunks: Parameters<NonNullable<Socket['_writev']>>[0], done: Done): void {
    super._writev?.(chunks, this.#outlivesWrites ? (error) => done(this.#judged(error)) : done)
  }

  /** Null: go on reading; what comes, or the end of it, decides. */
  #judged(error: NodeJS.ErrnoException | null | undefined): Error | null {
    const isRefusal = error?.code === 'EPIPE' || error?.code === 'ECONNRESET'
    if (!isRefusal || this.destroyed || this.readableEnded) return error ?? null
    this.code ??= error.code ?? null
    return null
  }

  override destroySoon(): void {
    if (this.#isReset) this.destroy()
    else super.destroySoon()
  }
}

// One function each for all connections, in place of five closures for every one. An event is nobody's caller: what is
// thrown here would end the process.

function onConnect(this: UpstreamSocket): void {
  const { user } = this
  try {
    user?.onConnect(this)
  } catch (error) {
    user?.onDefect(error)
  }
}

/** Whose bytes are handed on just now: Node asks for the buffer of the next read behind that. */
let reading: UpstreamSocket | null = null

function nextBuffer(): Buffer {
  // Once: Node also asks when a name has a second address to try, with nobody's read before.
  const socket = reading
  reading = null
  return socket === null ? sharedBuffer : socket.nextBuffer()
}

function onBytes(this: UpstreamSocket, end: number, bytes: Buffer): boolean {
  const { user } = this
  reading = this
  try {
    user?.onBytes(this, bytes, end)
  } catch (error) {
    user?.onDefect(error)
  }
  // False: stops reading, and leaves the stream as it is.
  return this.user?.reads === true
}

function onEnd(this: UpstreamSocket): void {
  const { user } = this
  try {
    user?.onEnd(this)
  } catch (error) {
    user?.onDefect(error)
  }
}

function onDrain(this: UpstreamSocket): void {
  const { user } = this
  try {
    user?.onDrain(this)
  } catch (error) {
    user?.onDefect(error)
  }
}

function onError(this: UpstreamSocket, error: NodeJS.ErrnoException): void {
  this.code ??= error.code ?? 'EUNKNOWN'
}

function onClose(this: UpstreamSocket): void {
  const { user } = this
  this.user = null
  try {
    user?.onClose(this, this.code)
  } catch (error) {
    user?.onDefect(error)
  }
}
