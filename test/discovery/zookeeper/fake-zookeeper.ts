/** A server that begins sessions as ZooKeeper does and then does what a test wants: for what a real one cannot be made to do. */

import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import {
  frameReader,
  juteBytes,
  juteFrame,
  juteInt,
  juteLong,
  juteReader,
  juteText,
} from '../../../src/discovery/zookeeper/jute.ts'

export interface FakeRequest {
  readonly xid: number
  readonly type: number
  /** '' where there is none. */
  readonly path: string
}

/** What comes instead of the proper answer: bytes, nothing at all, or the end of the connection. */
export type Instead = Buffer | 'silence' | 'cut'

export interface FakeZookeeper {
  readonly port: number
  readonly connect: string
  /** Path → data. */
  readonly nodes: Map<string, string>
  /** Requests in their order, without the first of each connection. */
  readonly requests: readonly FakeRequest[]
  /** What the first messages of connections had for the last change that was seen. */
  readonly seen: readonly bigint[]
  /** null: the proper answer. */
  onHello: () => Instead | null
  onRequest: (request: FakeRequest) => Instead | null
  /** Sends this over every connection. */
  push(bytes: Buffer): void
  close(): Promise<void>
}

export const requestTypes = { data: 4, children: 8, sync: 9, ping: 11, auth: 100, close: -11 } as const

export function answer(xid: number, zxid: bigint, code: number, ...body: readonly Buffer[]): Buffer {
  return juteFrame([juteInt(xid), juteLong(zxid), juteInt(code), ...body])
}

export function hello(timeoutMs: number, isReadOnly = false): Buffer {
  const password = juteBytes(Buffer.alloc(16, 1))
  return juteFrame([juteInt(0), juteInt(timeoutMs), juteLong(7n), password, Buffer.of(isReadOnly ? 1 : 0)])
}

export async function startFakeZookeeper(): Promise<FakeZookeeper> {
  const nodes = new Map<string, string>()
  const requests: FakeRequest[] = []
  const seen: bigint[] = []
  const sockets = new Set<Socket>()

  function proper({ xid, type, path }: FakeRequest): Buffer {
    const data = nodes.get(path)
    if (type !== requestTypes.children && type !== requestTypes.data) return answer(xid, 5n, 0)
    if (data === undefined) return answer(xid, 5n, -101)
    if (type === requestTypes.data) return answer(xid, 5n, 0, juteText(data), Buffer.alloc(68))
    const below = [...nodes.keys()].filter((each) => each.slice(0, each.lastIndexOf('/')) === path && each !== path)
    return answer(xid, 5n, 0, juteInt(below.length), ...below.map((each) => juteText(each.slice(path.length + 1))))
  }

  const server = createServer((socket) => {
    const frames = frameReader(2 ** 20)
    let isBegun = false
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    const send = (instead: Instead | null, otherwise: () => Buffer): void => {
      if (instead === 'cut') socket.destroy()
      else if (instead !== 'silence') socket.write(instead ?? otherwise())
    }
    socket.on('data', (piece) => {
      for (const message of frames.take(piece)) {
        if (socket.destroyed) return
        const reader = juteReader(message)
        const xid = reader.int()
        if (!isBegun) {
          isBegun = true
          seen.push(reader.long())
          send(fake.onHello(), () => hello(10_000))
          continue
        }
        const type = reader.int()
        const hasPath = type > 0 && type !== requestTypes.ping && type !== requestTypes.auth
        const request = { xid, type, path: hasPath ? reader.text() : '' }
        requests.push(request)
        send(fake.onRequest(request), () => proper(request))
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const fake: FakeZookeeper = {
    port,
    connect: `127.0.0.1:${port}`,
    nodes,
    requests,
    seen,
    onHello: () => null,
    onRequest: () => null,
    push(bytes) {
      for (const socket of sockets) socket.write(bytes)
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
  return fake
}
