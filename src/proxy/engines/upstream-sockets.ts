/**
 * Where does a connection to an endpoint come from, and where does it go afterwards?
 *
 * One fresh connection a request, or an idle one kept from an earlier request to the same endpoint. A connection that is
 * not kept is left to the endpoint to close: whoever closes first keeps the port in TIME_WAIT for a minute, and the
 * proxy would run out of ports at some 470 connections a second to one address. Or it is reset, where the config says
 * so: then nobody keeps a TIME_WAIT.
 */

import { connect, type Socket } from 'node:net'
import type { Endpoint, EndpointId } from '../../balancer/endpoint.ts'
import { reset } from './client-connections.ts'

export type Acquired =
  | { readonly kind: 'connected'; readonly socket: Socket; readonly reused: boolean }
  | { readonly kind: 'failed'; readonly code: string }
  | { readonly kind: 'timed-out' }

export interface UpstreamSockets {
  /**
   * Gets a connection. `done` is called once, never before this returns, unless the answer to this is called first.
   * @returns gives up: `done` will not be called
   */
  acquire(
    to: Endpoint,
    options: { readonly reuse: boolean; readonly connectMs: number },
    done: (result: Acquired) => void,
  ): () => void
  /**
   * Takes back a connection whose exchange is complete.
   * @param reuse keep it for the next request, if there is room
   * @param close how it ends when it is not kept
   */
  release(to: Endpoint, socket: Socket, reuse: boolean, close: 'fin' | 'rst'): void
  /** Connections open now, idle ones included. */
  count(): number
  /** Closes idle connections to endpoints that are gone. */
  dropIdle(isGone: (endpoint: EndpointId) => boolean): void
  /** Closes all idle connections; those in use are their users' affair. */
  close(): void
}

/** Below the 5 s after which Node's own servers close an idle connection: reusing one must not race with that. */
const maxIdleMs = 4_000
const maxIdlePerEndpoint = 64
/**
 * How long an endpoint that was told `Connection: close` has to close: once to twice this. It closes right behind its
 * answer, and what waits here longer costs memory that is collected late.
 */
const closeGraceMs = 10
const sweepMs = 500

export function createUpstreamSockets(now: () => number): UpstreamSockets {
  let open = 0
  const idle = new Map<EndpointId, Socket[]>()
  /** When each idle connection must be gone. */
  const deadlines = new Map<Socket, number>()
  let sweeper: NodeJS.Timeout | null = null

  /** Connections that their endpoints are closing: the older half is closed next. */
  let closing: Socket[] = []
  let closingNext: Socket[] = []
  let closer: NodeJS.Timeout | null = null

  function leaveToEndpoint(socket: Socket): void {
    // Not read any more, so that the endpoint's end needs no turn of the event loop for each connection; `pause` alone
    // leaves the handle reading.
    socket.pause()
    ;(socket as Socket & { _handle?: { readStop?(): void } | null })._handle?.readStop?.()
    closingNext.push(socket)
    closer ??= setTimeout(closeOlder, closeGraceMs)
  }

  function closeOlder(): void {
    for (const socket of closing) socket.destroy()
    closing = closingNext
    closingNext = []
    closer = closing.length > 0 ? setTimeout(closeOlder, closeGraceMs) : null
  }

  function expireAt(socket: Socket, atMs: number): void {
    deadlines.set(socket, atMs)
    sweeper ??= setInterval(sweep, sweepMs).unref()
  }

  function sweep(): void {
    const time = now()
    for (const [socket, atMs] of deadlines) {
      if (atMs <= time) socket.destroy()
    }
    if (deadlines.size === 0 && sweeper !== null) {
      clearInterval(sweeper)
      sweeper = null
    }
  }

  /** The newest idle connection to an endpoint, if it is still good. */
  function takeIdle(to: EndpointId): Socket | null {
    const sockets = idle.get(to)
    for (let socket = sockets?.pop(); socket !== undefined; socket = sockets?.pop()) {
      const usable = !socket.destroyed && socket.writable && (deadlines.get(socket) ?? 0) > now()
      deadlines.delete(socket)
      if (!usable) {
        socket.destroy()
        continue
      }
      socket.removeListener('data', destroyThis)
      socket.removeListener('end', destroyThis)
      return socket
    }
    idle.delete(to)
    return null
  }

  function forget(to: EndpointId, socket: Socket): void {
    deadlines.delete(socket)
    const sockets = idle.get(to)
    const index = sockets?.indexOf(socket) ?? -1
    if (index >= 0) sockets?.splice(index, 1)
    if (sockets?.length === 0) idle.delete(to)
  }

  function connectTo(to: Endpoint, connectMs: number, done: (result: Acquired) => void): () => void {
    // Half-open, so that an endpoint's end makes Node neither shut our side down nor close before we have decided.
    const socket = connect({ host: to.address, port: to.port, allowHalfOpen: true })
    open++
    // Forgotten once called: a socket that waits to be closed must not keep its whole exchange in memory.
    let waiting: ((result: Acquired) => void) | null = done
    const settle = (result: Acquired | null): void => {
      if (waiting === null) return
      const tell = waiting
      waiting = null
      clearTimeout(timer)
      if (result?.kind !== 'connected') socket.destroy()
      if (result !== null) tell(result)
    }
    const timer = setTimeout(() => settle({ kind: 'timed-out' }), connectMs)
    socket.on('connect', () => settle({ kind: 'connected', socket, reused: false }))
    // Stays: whoever uses the socket later listens for itself, and an error nobody waits for must not end the process.
    socket.on('error', (error: NodeJS.ErrnoException) => settle({ kind: 'failed', code: error.code ?? 'EUNKNOWN' }))
    socket.on('close', () => {
      open--
      forget(to.id, socket)
    })
    return () => settle(null)
  }

  return {
    acquire: (to, { reuse, connectMs }, done) => {
      const socket = reuse ? takeIdle(to.id) : null
      if (socket === null) return connectTo(to, connectMs, done)
      let wanted = true
      queueMicrotask(() => {
        if (wanted) done({ kind: 'connected', socket, reused: true })
      })
      return () => {
        wanted = false
        socket.destroy()
      }
    },
    release: (to, socket, reuse, close) => {
      // Node's own agent does the same: else the socket would hold on to its last request, and that to all the rest.
      ;(socket as Socket & { _httpMessage?: unknown })._httpMessage = null
      const sockets = idle.get(to.id) ?? []
      const usable = !socket.destroyed && !socket.readableEnded
      if (reuse && usable && sockets.length < maxIdlePerEndpoint) {
        idle.set(to.id, sockets)
        sockets.push(socket)
        expireAt(socket, now() + maxIdleMs)
        // An endpoint that ends, or talks without being asked, is out of step: its connection is not for use.
        socket.on('end', destroyThis)
        socket.on('data', destroyThis)
        socket.resume()
      } else if (close === 'rst') {
        reset(socket)
      } else if (reuse || !usable) {
        socket.destroy()
      } else {
        leaveToEndpoint(socket)
      }
    },
    count: () => open,
    dropIdle: (isGone) => {
      for (const [endpoint, sockets] of idle) {
        if (isGone(endpoint)) for (const socket of [...sockets]) socket.destroy()
      }
    },
    close: () => {
      for (const socket of [...deadlines.keys(), ...closing, ...closingNext]) socket.destroy()
      if (closer !== null) clearTimeout(closer)
      closer = null
      if (sweeper !== null) clearInterval(sweeper)
      sweeper = null
    },
  }
}

function destroyThis(this: Socket): void {
  this.destroy()
}
