/** A server that speaks just enough of Eureka's API to be made to misbehave, one answer at a time. */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { answerJson, type Fields, instanceJson } from './eureka-answers.ts'

export type FakePath = '/apps' | '/apps/delta'

/** Answers a request in its own way. `false`: it has not, and the answer is to be the usual one. */
export type FakeAnswer = (path: FakePath, answer: ServerResponse, request: IncomingMessage) => unknown

export interface FakeEureka {
  readonly url: string
  /** What was asked for, oldest first. */
  readonly asked: readonly FakePath[]
  /** Connections that are open now. */
  readonly connections: number
  /** Registers `id` of WEB at 10.0.0.1 and this port, and says so in the deltas from now on; `fields` replace its own. */
  set(id: string, port: number, fields?: Fields): void
  /** Takes it away; with `isSilent` no delta tells. */
  delete(id: string, isSilent?: boolean): void
  /** Forgets all, as a server that was restarted. */
  forget(): void
  misbehave: FakeAnswer | null
  close(): Promise<void>
}

export async function fakeEureka(): Promise<FakeEureka> {
  const known = new Map<string, Fields>()
  let recent = new Map<string, Fields>()
  const asked: FakePath[] = []
  const sockets = new Set<Socket>()
  let clock = 1000

  function hash(): string {
    const counts = new Map<unknown, number>()
    for (const { status } of known.values()) counts.set(status, (counts.get(status) ?? 0) + 1)
    const words = [...counts].map(([status, count]) => `${status}_${count}_`)
    return words.sort().join('')
  }

  const server = createServer((request, answer) => {
    const path = request.url === '/eureka/apps' ? '/apps' : '/apps/delta'
    asked.push(path)
    if (fake.misbehave !== null && fake.misbehave(path, answer, request) !== false) return
    answer.setHeader('content-type', 'application/json')
    answer.end(answerJson([...(path === '/apps' ? known : recent).values()], hash()))
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const fake: FakeEureka = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/eureka`,
    asked,
    get connections() {
      return sockets.size
    },
    set(id, port, fields = {}) {
      clock += 1
      const place = { port: { $: port, '@enabled': 'true' }, lastUpdatedTimestamp: `${clock}` }
      const instance = instanceJson({ instanceId: id, ...place, ...fields })
      known.set(id, instance)
      recent.set(id, instance)
    },
    delete(id, isSilent = false) {
      clock += 1
      const gone = { ...known.get(id), actionType: 'DELETED', lastUpdatedTimestamp: `${clock}` }
      known.delete(id)
      if (isSilent) recent.delete(id)
      else recent.set(id, gone)
    },
    forget() {
      known.clear()
      recent = new Map()
    },
    misbehave: null,
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
  return fake
}
