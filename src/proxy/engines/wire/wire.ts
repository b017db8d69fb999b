/**
 * The wire engine: raw sockets on both sides, and HTTP/1.1 read strictly by our own rules.
 *
 * What could be read in two ways is refused, never forwarded; what is forwarded is framed anew. Node's HTTP objects cost
 * more than the forwarding itself (docs/decisions/014-wire-engine.md), so there are none here.
 */

import { createServer, type Socket } from 'node:net'
import type { DataListener, EngineOptions } from '../../exchange.ts'
import { listenOn } from '../listening.ts'
import { ClientConnection } from './client-connection.ts'
import { Deadlines } from './deadlines.ts'
import type { RequestHead } from './request-head.ts'
import { UpstreamPool } from './upstream-pool.ts'
import { WireExchange } from './wire-exchange.ts'

/** Of chunk extensions, which mean nothing to anyone here, a body may have so much in all. */
const extensionBytes = 1_024
const drainPollMs = 50

export function wireEngine({ limits, onExchange, onRefusal, onFailure }: EngineOptions): DataListener {
  const now = (): number => performance.now()
  const deadlines = new Deadlines(now, onFailure)
  const pool = new UpstreamPool(deadlines)
  const clients = new Set<ClientConnection>()
  let closing: Promise<void> | null = null
  const exchangeSurroundings = { pool, deadlines, now }
  const clientSurroundings = {
    limits,
    chunkLimits: { trailerBytes: limits.headerBytes, trailerCount: limits.headerCount, extensionBytes },
    deadlines,
    onRequest: begin,
    onRefusal,
    onGone: (connection: ClientConnection) => clients.delete(connection),
    onDefect: onFailure,
    isClosing: () => closing !== null,
  }

  function begin(connection: ClientConnection, head: RequestHead): void {
    onExchange(new WireExchange(head, connection, exchangeSurroundings))
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket: Socket) => {
    const connection = new ClientConnection(socket, clientSurroundings)
    // One that is refused is not counted, or a flood of them would keep out others.
    if (clients.size < limits.maxConnections) clients.add(connection)
    else connection.refuse(503, 'The proxy has as many connections as it may.')
  })

  function drain(deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      const startMs = now()
      const poll = (): void => {
        const late = now() - startMs >= deadlineMs
        for (const connection of clients) connection.drain(startMs, late)
        if (clients.size > 0) return
        clearInterval(timer)
        resolve()
      }
      const timer = setInterval(poll, drainPollMs)
      poll()
    })
  }

  return {
    listen: (host, port) => listenOn(server, host, port, onFailure),
    clientConnections: () => clients.size,
    upstreamConnections: () => pool.count,
    dropPooled: (isGone) => pool.dropIdle(isGone),
    close: (deadlineMs) => {
      closing ??= (async () => {
        if (server.listening) server.close(() => {})
        await drain(deadlineMs)
        pool.close()
      })()
      return closing
    },
  }
}
