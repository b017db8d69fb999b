/** Which downstream connections are open, which of them are busy, and how do they all end? */

import type { Socket } from 'node:net'

export interface ClientConnections {
  /** Counts a new connection until it closes. */
  add(socket: Socket): void
  /** An exchange starts or ends on a connection. */
  busy(socket: Socket): void
  idle(socket: Socket): void
  count(): number
  /**
   * Resolves when every connection is closed. Idle ones are closed once their client had time to send what was under
   * way; whatever is still open after `deadlineMs` is cut.
   */
  drain(deadlineMs: number): Promise<void>
}

/** How long a client of an idle connection may take to send a request that it had already begun. */
const idleGraceMs = 1_000
const pollMs = 50

interface State {
  exchanges: number
  idleSinceMs: number
}

export function createClientConnections(now: () => number): ClientConnections {
  const states = new Map<Socket, State>()

  return {
    add: (socket) => {
      states.set(socket, { exchanges: 0, idleSinceMs: now() })
      socket.once('close', () => states.delete(socket))
    },
    busy: (socket) => {
      const state = states.get(socket)
      if (state !== undefined) state.exchanges++
    },
    idle: (socket) => {
      const state = states.get(socket)
      if (state === undefined) return
      state.exchanges--
      state.idleSinceMs = now()
    },
    count: () => states.size,
    drain: (deadlineMs) =>
      new Promise((resolve) => {
        const startMs = now()
        const poll = (): void => {
          const time = now()
          const late = time - startMs >= deadlineMs
          for (const [socket, { exchanges, idleSinceMs }] of states) {
            const unused = exchanges === 0 && time - Math.max(startMs, idleSinceMs) >= idleGraceMs
            if (late) socket.resetAndDestroy()
            else if (unused) socket.destroy()
          }
          if (states.size > 0 && !late) return
          clearInterval(timer)
          resolve()
        }
        const timer = setInterval(poll, pollMs)
        poll()
      }),
  }
}

/**
 * Ends a connection whose last answer has been written although its client may still be sending: closing outright
 * would reset it, and the client might never read the answer (RFC 9112 §9.6).
 */
export function lingeringClose(socket: Socket): void {
  if (socket.destroyed) return
  socket.on('error', () => socket.destroy())
  socket.end()
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
}

const lingerMs = 1_000
