/** Which TCP connections to a resolver have served a question and may serve another one? Few, and for a moment only. */

import type { Socket } from 'node:net'

/** dnsmasq has a process for each, and no more than twenty. */
const MAX_SPARE = 2
/**
 * From the first answer on. That process knows what dnsmasq knew when the connection was made, and outlives it: asked
 * again and again it would say the same for minutes.
 */
const MAX_AGE_MS = 1000

/** By the place that they lead to. */
export interface Spare {
  /** null: there is none. Nobody listens to it any more. */
  take(place: string): Socket | null
  /** Takes it over, whatever its state; all listeners of its user are removed. */
  keep(place: string, socket: Socket): void
  /** Closes all, and what is given from now on. */
  close(): void
}

const LISTENED = ['data', 'error', 'close', 'timeout']

/** At most two for each place, for a second. */
export function spareConnections(): Spare {
  const spare = new Map<string, Socket[]>()
  const bornMs = new WeakMap<Socket, number>()
  let isClosed = false
  return {
    take(place) {
      const socket = spare.get(place)?.pop() ?? null
      if (socket === null) return null
      for (const event of LISTENED) socket.removeAllListeners(event)
      return socket.setTimeout(0)
    },
    keep(place, socket) {
      const of = spare.get(place) ?? []
      spare.set(place, of)
      for (const event of LISTENED) socket.removeAllListeners(event)
      socket.on('error', () => {})
      const sinceMs = bornMs.get(socket) ?? performance.now()
      bornMs.set(socket, sinceMs)
      const leftMs = sinceMs + MAX_AGE_MS - performance.now()
      if (isClosed || socket.destroyed || of.length >= MAX_SPARE || leftMs < 1) {
        socket.destroy()
        return
      }
      of.push(socket)
      socket.on('close', () => {
        const at = of.indexOf(socket)
        if (at >= 0) of.splice(at, 1)
      })
      socket.setTimeout(leftMs, () => socket.destroy())
    },
    close() {
      isClosed = true
      for (const socket of [...spare.values()].flat()) socket.destroy()
    },
  }
}
