/** A server that speaks just enough of etcd's JSON gateway to be made to misbehave, one answer at a time. */

import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface FakeEtcdRequest {
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
  readonly atMs: number
}

/** Answers a request in its own way. `false`: it has not, and the answer is to be the usual one. */
export type EtcdMisbehaviour = (request: FakeEtcdRequest, answer: ServerResponse, socket: Socket) => unknown

export interface FakeEtcd {
  readonly url: string
  /** Everything that was asked, oldest first. */
  readonly requests: readonly FakeEtcdRequest[]
  /** Connections that are open now. */
  readonly connections: number
  clusterId: string
  raftTerm: string
  revision: number
  /** Sets a key below `/services/`; null: deletes it. Tells who watches, unless it is `deaf`. */
  set(name: string, value: string | null): void
  /** Forgets everything, as if it had been set up anew. */
  wipe(): void
  /** True: watches are told nothing. */
  deaf: boolean
  misbehave: EtcdMisbehaviour | null
  /** Sends this to all who watch; an object as JSON. */
  tell(message: object | string): void
  /** Ends the answers of all who watch. */
  endWatches(): void
  close(): Promise<void>
}

export async function fakeEtcd(values: Readonly<Record<string, string>>): Promise<FakeEtcd> {
  const keys = new Map<string, { value: string; at: number }>()
  const requests: FakeEtcdRequest[] = []
  const sockets = new Set<Socket>()
  const watches = new Set<ServerResponse>()
  const header = () => ({ cluster_id: fake.clusterId, revision: `${fake.revision}`, raft_term: fake.raftTerm })
  const kvOf = (name: string, { value, at }: { value: string; at: number }) => {
    return { key: base64(`/services/${name}`), value: base64(value), mod_revision: `${at}` }
  }

  function range({ min_mod_revision: from = '0' }: FakeEtcdRequest['body']): object {
    const all = [...keys].filter(([, { at }]) => at >= Number(from)).sort()
    return { header: header(), kvs: all.map(([name, kept]) => kvOf(name, kept)), count: `${keys.size}` }
  }

  const server = createServer(async (incoming, answer) => {
    let text = ''
    for await (const piece of incoming) text += piece
    const request = { path: incoming.url ?? '', body: JSON.parse(text), atMs: performance.now() }
    requests.push(request)
    if (fake.misbehave !== null && fake.misbehave(request, answer, incoming.socket) !== false) return
    answer.setHeader('content-type', 'application/json')
    if (request.path === '/v3/kv/range') answer.end(JSON.stringify(range(request.body)))
    else if (request.path === '/v3/watch') {
      watches.add(answer)
      answer.on('close', () => watches.delete(answer))
      answer.write(`${JSON.stringify({ result: { header: header(), created: true } })}\n`)
    } else answer.end(JSON.stringify({ header: header(), token: 'token.1' }))
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const fake: FakeEtcd = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get connections() {
      return sockets.size
    },
    clusterId: '77',
    raftTerm: '2',
    revision: 100,
    set(name, value) {
      fake.revision += 1
      if (value === null) keys.delete(name)
      else keys.set(name, { value, at: fake.revision })
      const event =
        value === null
          ? { type: 'DELETE', kv: { key: base64(`/services/${name}`), mod_revision: `${fake.revision}` } }
          : { kv: kvOf(name, { value, at: fake.revision }) }
      if (!fake.deaf) fake.tell({ result: { header: header(), events: [event] } })
    },
    wipe() {
      keys.clear()
      fake.revision = 1
    },
    deaf: false,
    misbehave: null,
    tell(message) {
      const line = typeof message === 'string' ? message : JSON.stringify(message)
      for (const watch of watches) watch.write(`${line}\n`)
    },
    endWatches() {
      for (const watch of watches) watch.end()
    },
    async close() {
      fake.misbehave = null
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
  for (const [name, value] of Object.entries(values)) fake.set(name, value)
  return fake
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}
