/** A raw connection to an endpoint, whose bytes are read into one buffer that all of them share. */

import { Socket } from 'node:net'
import type { EndpointId } from '../../../balancer/endpoint.ts'

/** Who uses a connection now, and is told of everything that happens on it. */
export interface UpstreamUser {
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

/**
 * Every read of every connection goes here and is used up before the next: no buffer a read to allocate and collect.
 * (A fresh one of this size for each read, as a stream has it, costs more than the read of a short answer.)
 */
const shared = Buffer.allocUnsafeSlow(64 * 1024)

export class UpstreamSocket extends Socket {
  user: UpstreamUser | null
  readonly endpoint: EndpointId
  /** Taken from the pool: the endpoint may have closed it just now. */
  reused = false
  /** When it was put into the pool. */
  idleSinceMs = 0
  #code: string | null = null

  constructor(endpoint: EndpointId, user: UpstreamUser) {
    // Half-open: an endpoint's end must neither shut our side down nor close before that has been judged.
    super({ allowHalfOpen: true, onread: { buffer: shared, callback: onBytes } } as ConstructorParameters<
      typeof Socket
    >[0])
    this.endpoint = endpoint
    this.user = user
    this.on('connect', onConnect)
    this.on('end', onEnd)
    this.on('drain', onDrain)
    this.on('error', onError)
    this.on('close', onClose)
  }

  /** The error that ended it, so far. */
  get code(): string | null {
    return this.#code
  }

  failed(code: string): void {
    this.#code ??= code
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

function onBytes(this: UpstreamSocket, end: number, bytes: Buffer): boolean {
  const { user } = this
  try {
    user?.onBytes(this, bytes, end)
  } catch (error) {
    user?.onDefect(error)
  }
  return true
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
  this.failed(error.code ?? 'EUNKNOWN')
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
