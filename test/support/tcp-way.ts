/** A way to a server on which everything passes, or nothing does any more: for protocols that are not HTTP's. */

import { once } from 'node:events'
import { createServer, type Socket, connect as tcpConnect } from 'node:net'

export interface TcpWay {
  readonly port: number
  /** Client connections since the start. */
  readonly connections: number
  /**
   * From now on nothing passes over the connections that there are, in neither direction, and nobody is told; over new ones
   * everything passes only after `open`.
   */
  lose(): void
  open(): void
  /** Ends the listener and every connection. */
  close(): Promise<void>
}

/** Opens one to 127.0.0.1:`port`. */
export async function startTcpWay(port: number): Promise<TcpWay> {
  const sockets = new Set<Socket>()
  let lost = new WeakSet<Socket>()
  let isOpen = true
  let connections = 0

  function keep(socket: Socket, other: Socket): void {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (piece) => {
      if (!lost.has(socket)) other.write(piece)
    })
    socket.once('close', () => {
      sockets.delete(socket)
      if (!lost.has(socket)) other.destroySoon()
    })
  }

  const listener = createServer((client) => {
    connections += 1
    const server = tcpConnect(port, '127.0.0.1')
    if (!isOpen) for (const socket of [client, server]) lost.add(socket)
    keep(client, server)
    keep(server, client)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get connections() {
      return connections
    },
    lose() {
      isOpen = false
      for (const socket of sockets) lost.add(socket)
    },
    open() {
      isOpen = true
    },
    async close() {
      lost = new WeakSet()
      const closed = once(listener, 'close')
      listener.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
