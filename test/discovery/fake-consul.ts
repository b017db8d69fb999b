/** A server that speaks just enough of Consul's API to be made to misbehave, one answer at a time. */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface FakeRequest {
  readonly about: 'names' | 'service' | 'checks'
  /** The service asked for; null: the list of names, or all failing checks. */
  readonly service: string | null
  /** The index it blocks on; null: none. */
  readonly index: string | null
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly atMs: number
}

/** Answers a request in its own way. `false`: it has not, and the answer is to be the usual one. */
export type Misbehaviour = (request: FakeRequest, answer: ServerResponse, socket: Socket) => unknown

export interface FakeConsul {
  readonly url: string
  /** Everything that was asked, oldest first. */
  readonly requests: readonly FakeRequest[]
  /** Connections that are open now, and the most that ever were. */
  readonly connections: number
  readonly mostConnections: number
  /** Sets a service's instances, by port; null: takes its name away. Wakes what blocks. */
  set(service: string, ports: readonly number[] | null): void
  /** The index that the next answers carry; it grows by one with each `set`. */
  index: number
  misbehave: Misbehaviour | null
  /** Ends what blocks, whatever it waits for. */
  wake(): void
  close(): Promise<void>
}

/** The JSON of a service's instances on these ports. */
export function instancesJson(service: string, ports: readonly number[]): string {
  const entries = ports.map((port) => ({
    Node: { Node: 'n1', Address: '10.0.0.1' },
    Service: {
      ID: `${service}-${port}`,
      Service: service,
      Address: '',
      Port: port,
      Weights: { Passing: 1, Warning: 1 },
    },
    Checks: [],
  }))
  return JSON.stringify(entries)
}

export async function fakeConsul(
  services: Readonly<Record<string, readonly number[]>>,
  host = '127.0.0.1',
): Promise<FakeConsul> {
  const ports = new Map(Object.entries(services))
  const requests: FakeRequest[] = []
  const sockets = new Set<Socket>()
  const blocked = new Set<() => void>()
  let mostConnections = 0

  const server = createServer((incoming, answer) => {
    const url = new URL(incoming.url ?? '/', 'http://fake')
    const [, , , what, named] = url.pathname.split('/')
    const about = what === 'state' ? 'checks' : named === undefined ? 'names' : 'service'
    const request: FakeRequest = {
      about,
      service: about !== 'service' || named === undefined ? null : decodeURIComponent(named),
      index: url.searchParams.get('index'),
      query: url.searchParams,
      headers: incoming.headers,
      atMs: performance.now(),
    }
    requests.push(request)
    if (fake.misbehave !== null && fake.misbehave(request, answer, incoming.socket) !== false) return
    let patience: NodeJS.Timeout | undefined
    const respond = () => {
      blocked.delete(respond)
      clearTimeout(patience)
      const { service } = request
      const names = Object.fromEntries([...ports.keys()].map((name) => [name, []]))
      const listed = about === 'checks' ? '[]' : JSON.stringify(names)
      const body = service === null ? listed : instancesJson(service, ports.get(service) ?? [])
      answer.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': `${fake.index}` }).end(body)
    }
    // Like Consul: it blocks while the index asked with is not older than its own.
    if (request.index !== null && Number(request.index) >= fake.index) {
      blocked.add(respond)
      patience = setTimeout(respond, Number.parseFloat(request.query.get('wait') ?? '0') * 1000)
    } else {
      respond()
    }
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    mostConnections = Math.max(mostConnections, sockets.size)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
  })
  server.listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  const fake: FakeConsul = {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    requests,
    get connections() {
      return sockets.size
    },
    get mostConnections() {
      return mostConnections
    },
    set(service, instances) {
      if (instances === null) ports.delete(service)
      else ports.set(service, instances)
      fake.index += 1
      fake.wake()
    },
    index: 100,
    misbehave: null,
    wake() {
      for (const respond of [...blocked]) respond()
    },
    async close() {
      fake.misbehave = null
      fake.wake()
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
  return fake
}
