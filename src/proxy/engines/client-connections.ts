/**
 * Which downstream connections are open, whose turn is it on each of them, and how do they all end?
 *
 * A connection has one exchange at a time. Requests that were sent ahead wait for their turn: what one client writes
 * must happen in the order in which it was written (RFC 9112 §9.3.2), one connection must not occupy endpoints by the
 * hundred, and what stands behind a request that was refused must never be served.
 */

import { isIPv4, type Socket } from 'node:net'

/** What happens when a connection's turn comes. Whoever never calls `done` lets nobody else have a turn. */
export type Turn = (done: () => void) => void

export interface ClientConnections {
  /** Counts a new connection until it closes. */
  add(socket: Socket): void
  has(socket: Socket): boolean
  /** Calls `turn` as soon as all earlier turns on this connection are done: at once, or never if it closes before. */
  queue(socket: Socket, turn: Turn): void
  /** True when somebody waits for a turn on this connection. */
  hasWaiting(socket: Socket): boolean
  count(): number
  /**
   * Resolves when every connection is closed. Idle ones are closed once their client had time to send what was under
   * way; whatever is still open after `deadlineMs` is cut.
   */
  drain(deadlineMs: number): Promise<void>
}

/** How long a client of an idle connection may take to send a request that it had already begun. */
export const idleGraceMs = 1_000
const pollMs = 50
/** With so many requests waiting, no more are read. */
const maxWaiting = 32

interface State {
  /** An exchange has its turn. */
  busy: boolean
  readonly waiting: Turn[]
  idleSinceMs: number
}

/**
 * @param maxIdleMs the longest that a connection may live without an exchange. Node's own idle timeout is switched off
 * by any byte, be it of an empty line or of a body that is no longer wanted; this one is not.
 */
export function createClientConnections(now: () => number, maxIdleMs: number): ClientConnections {
  const states = new Map<Socket, State>()
  let sweeper: NodeJS.Timeout | null = null

  function sweep(): void {
    const oldest = now() - maxIdleMs
    for (const [socket, { busy, idleSinceMs }] of states) {
      if (!busy && idleSinceMs < oldest) socket.destroy()
    }
  }

  function nextTurn(socket: Socket, state: State): void {
    // A queue that is refused at once, one after the other, must not become a stack.
    while (!state.busy && usable(socket)) {
      const turn = state.waiting.shift()
      if (turn === undefined) break
      if (state.waiting.length === maxWaiting - 1) socket.resume()
      let called = false
      state.busy = true
      turn(() => {
        if (called) return
        called = true
        state.busy = false
        state.idleSinceMs = now()
        if (state.waiting.length > 0) process.nextTick(nextTurn, socket, state)
      })
    }
  }

  return {
    add: (socket) => {
      states.set(socket, { busy: false, waiting: [], idleSinceMs: now() })
      sweeper ??= setInterval(sweep, Math.min(5_000, Math.max(50, maxIdleMs / 4))).unref()
      // Node closes behind a last answer at once; a client that is still sending would be reset before it reads it.
      socket.destroySoon = () => lingeringClose(socket)
      socket.once('close', () => {
        states.delete(socket)
        if (states.size > 0 || sweeper === null) return
        clearInterval(sweeper)
        sweeper = null
      })
    },
    has: (socket) => states.has(socket),
    queue: (socket, turn) => {
      const state = states.get(socket)
      if (state === undefined || !usable(socket)) return
      state.waiting.push(turn)
      nextTurn(socket, state)
      if (state.waiting.length >= maxWaiting) socket.pause()
    },
    hasWaiting: (socket) => (states.get(socket)?.waiting.length ?? 0) > 0,
    count: () => states.size,
    drain: (deadlineMs) =>
      new Promise((resolve) => {
        const startMs = now()
        const poll = (): void => {
          const time = now()
          const late = time - startMs >= deadlineMs
          for (const [socket, { busy, idleSinceMs }] of states) {
            const unused = !busy && time - Math.max(startMs, idleSinceMs) >= idleGraceMs
            if (late) reset(socket)
            else if (unused) socket.destroy()
          }
          if (states.size > 0) return
          clearInterval(timer)
          resolve()
        }
        const timer = setInterval(poll, pollMs)
        poll()
      }),
  }
}

/** False once the proxy has said its last word on a connection. */
function usable(socket: Socket): boolean {
  return !socket.destroyed && !socket.writableEnded
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

/** The address of a peer, IPv4 in its plain form although the socket is one of IPv6. */
export function plainAddress(address: string): string {
  const mapped = address.startsWith('::ffff:') ? address.slice(7) : ''
  return isIPv4(mapped) ? mapped : address
}

/**
 * Cuts a connection so that its peer cannot take what it got for all there is. Node's own `resetAndDestroy` sends an
 * ordinary end before the reset, and to a client that reads until the end that is a complete answer.
 */
export function reset(socket: Socket): void {
  if (socket.destroyed) return
  // In the middle of an ordinary end Node refuses to reset, loses the handle and never says that it is closed.
  if (socket.writableEnded && !socket.writableFinished) return void socket.destroy()
  socket.destroySoon = () => socket.destroy()
  socket.resetAndDestroy()
}
