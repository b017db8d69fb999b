/**
 * Where does a connection to an endpoint come from, and where does it go afterwards?
 *
 * One fresh connection a request, or an idle one kept from an earlier request to the same endpoint. A connection that is
 * not kept is left to the endpoint to close, because whoever closes first keeps the port in TIME_WAIT
 * (docs/decisions/005-who-closes-first.md); or it is reset, which leaves nothing on either side.
 */

import type { Endpoint, EndpointId } from '../../../balancer/endpoint.ts'
import { type Deadlines, Timed } from './deadlines.ts'
import { UpstreamSocket, type UpstreamUser } from './upstream-socket.ts'

/** Below the 5 s after which Node's own servers close an idle connection: reusing one must not race with that. */
const maxIdleMs = 4_000
/** What cannot be sent twice goes only over a connection that was in use a moment ago. */
const maxIdleUnsafeMs = 1_000
const maxIdlePerEndpoint = 64
/** How long an endpoint that was told `Connection: close` has to close: once to twice this. */
const closeGraceMs = 10
const sweepMs = 500
/** So many closed connections are kept to be opened again. */
const maxSpare = 256

export class UpstreamPool extends Timed {
  readonly #deadlines: Deadlines
  /** The connections that are open or opening. */
  readonly #open = new Set<UpstreamSocket>()
  /** By endpoint, the one that was in use last at the end. */
  readonly #idle = new Map<EndpointId, UpstreamSocket[]>()
  /** Connections that their endpoints are closing: the older half is closed next. */
  #closing: UpstreamSocket[] = []
  #closingNext: UpstreamSocket[] = []
  #closer: NodeJS.Timeout | null = null
  /** Closed, and ready to be opened again. */
  readonly #spare: UpstreamSocket[] = []
  readonly #idleUser: UpstreamUser
  readonly #leavingUser: UpstreamUser

  constructor(deadlines: Deadlines) {
    super()
    this.#deadlines = deadlines
    const gone = (socket: UpstreamSocket): void => {
      this.#open.delete(socket)
      if (socket.isAsNew && this.#spare.length < maxSpare) this.#spare.push(socket)
    }
    // An endpoint that ends, or talks without being asked, is out of step: its connection is not for use.
    const discard = (socket: UpstreamSocket): void => {
      socket.destroy()
    }
    const idleGone = (socket: UpstreamSocket): void => {
      this.#forget(socket)
      gone(socket)
    }
    const quiet = { reads: true, onConnect: ignore, onDrain: ignore, onDefect: ignore }
    this.#idleUser = { ...quiet, onBytes: discard, onEnd: discard, onClose: idleGone }
    this.#leavingUser = { ...quiet, reads: false, onBytes: ignore, onEnd: ignore, onClose: gone }
  }

  /** Connections open now, idle ones included. */
  get count(): number {
    return this.#open.size
  }

  /**
   * Gets a connection: `reused` and ready, or a fresh one whose user is told when it stands.
   * @param replayable the request may be sent again if the connection turns out to be dead
   */
  acquire(to: Endpoint, user: UpstreamUser, reuse: boolean, replayable: boolean): UpstreamSocket {
    const socket = reuse ? this.#takeIdle(to.id, replayable ? maxIdleMs : maxIdleUnsafeMs) : null
    if (socket === null) return this.#connect(to, user)
    socket.takeUp(user)
    return socket
  }

  #connect(to: Endpoint, user: UpstreamUser): UpstreamSocket {
    const socket = this.#spare.pop() ?? new UpstreamSocket()
    this.#open.add(socket)
    socket.open(to, user)
    return socket
  }

  #takeIdle(to: EndpointId, maxAgeMs: number): UpstreamSocket | null {
    const sockets = this.#idle.get(to)
    const newest = sockets?.at(-1)
    if (sockets === undefined || newest === undefined) return null
    if (this.#deadlines.nowMs - newest.idleSinceMs > maxAgeMs) return null
    sockets.pop()
    return newest.writable ? newest : this.#takeIdle(to, maxAgeMs)
  }

  /** Takes back a connection whose exchange is complete. `reuse`: keep it for the next request. */
  release(socket: UpstreamSocket, reuse: boolean, close: 'fin' | 'rst'): void {
    socket.exchangeIsComplete()
    if (reuse && this.#isInStep(socket) && this.#keep(socket)) return
    socket.user = this.#leavingUser
    if (socket.destroyed) return this.discard(socket)
    if (close === 'rst') socket.reset()
    else if (socket.readableEnded) socket.destroy()
    else this.#leaveToEndpoint(socket)
  }

  /** Ends a connection that nobody can use any more. */
  discard(socket: UpstreamSocket): void {
    // Closed already: its user was the one to be told, and tells us.
    if (socket.closed) return void this.#open.delete(socket)
    socket.user = this.#leavingUser
    socket.destroy()
    socket.readShort()
  }

  #isInStep(socket: UpstreamSocket): boolean {
    return (
      socket.code === null &&
      socket.writable &&
      socket.writableLength === 0 &&
      !socket.readableEnded &&
      !socket.isPaused()
    )
  }

  /** False when there are enough. */
  #keep(socket: UpstreamSocket): boolean {
    let sockets = this.#idle.get(socket.endpoint)
    if (sockets === undefined) {
      sockets = []
      this.#idle.set(socket.endpoint, sockets)
    }
    if (sockets.length >= maxIdlePerEndpoint) return false
    socket.user = this.#idleUser
    socket.idleSinceMs = this.#deadlines.nowMs
    sockets.push(socket)
    if (this.dueMs === Number.POSITIVE_INFINITY) this.#deadlines.watch(this, this.#deadlines.nowMs + sweepMs)
    return true
  }

  /** Not read any more, so that the endpoint's end needs no turn of the event loop for each connection. */
  #leaveToEndpoint(socket: UpstreamSocket): void {
    this.#closingNext.push(socket)
    this.#closer ??= setTimeout(() => this.#closeOlder(), closeGraceMs)
  }

  #closeOlder(): void {
    for (const socket of this.#closing) socket.destroy()
    this.#closing = this.#closingNext
    this.#closingNext = []
    this.#closer = this.#closing.length > 0 ? setTimeout(() => this.#closeOlder(), closeGraceMs) : null
  }

  /** Time to look for connections that have been idle for too long. */
  onDue(): void {
    const oldestMs = this.#deadlines.nowMs - maxIdleMs
    for (const [endpoint, sockets] of this.#idle) {
      const young = sockets.findIndex((socket) => socket.idleSinceMs > oldestMs)
      for (const socket of sockets.splice(0, young < 0 ? sockets.length : young)) socket.destroy()
      if (sockets.length === 0) this.#idle.delete(endpoint)
    }
    this.#deadlines.move(this, this.#deadlines.nowMs + sweepMs)
    if (this.#idle.size === 0) this.#rest()
  }

  #rest(): void {
    this.#deadlines.forget(this)
    this.dueMs = Number.POSITIVE_INFINITY
  }

  #forget(socket: UpstreamSocket): void {
    const sockets = this.#idle.get(socket.endpoint)
    const index = sockets?.indexOf(socket) ?? -1
    if (index >= 0) sockets?.splice(index, 1)
  }

  /** Closes idle connections to endpoints that are gone. */
  dropIdle(isGone: (endpoint: EndpointId) => boolean): void {
    for (const [endpoint, sockets] of this.#idle) {
      if (isGone(endpoint)) for (const socket of [...sockets]) socket.destroy()
    }
  }

  /** Closes every connection that nobody uses. */
  close(): void {
    this.dropIdle(() => true)
    for (const socket of [...this.#closing, ...this.#closingNext]) socket.destroy()
    if (this.#closer !== null) clearTimeout(this.#closer)
    this.#closer = null
    this.#closing = []
    this.#closingNext = []
    this.#rest()
  }
}

function ignore(): void {}
