/** An admin listener on a free port, and clients that send it whatever a test likes. */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createPageLoader } from '../../src/admin/page.ts'
import type { PushSources } from '../../src/admin/push.ts'
import { type AdminDeps, type AdminServer, createAdminServer } from '../../src/admin/server.ts'
import type { Hands } from '../../src/balancer/balancer.ts'
import { endpointView, explaining, plainCatalog, serviceView, tableView } from './fixtures.ts'

const running: AdminServer[] = []
const loadPage = createPageLoader()

/** For `afterEach`. */
export async function closeAll(): Promise<void> {
  await Promise.all(running.splice(0).map((server) => server.close()))
}

export const view = tableView(
  serviceView('quotes', {
    endpoints: [
      endpointView(80, { picks: 12, inFlight: 2 }),
      endpointView(81, {
        state: 'ejected',
        reason: 'consecutive-faults',
        ejectedForMs: 1500,
        consecutiveFaults: 5,
        ejections: 1,
      }),
    ],
    absent: [{ instance: 'q-3', address: '10.0.0.9:80', reason: 'check "http" is critical' }],
    pickSpread: 1,
  }),
  serviceView('a/b c'),
)

const noHands: Hands = {
  drain: () => 'unknown-service',
  undrain: () => 'unknown-service',
  eject: () => 'unknown-service',
  restore: () => 'unknown-service',
}

const noPushes: PushSources['pushed'] = {
  put: async () => 'full',
  remove: async () => false,
  limits: () => ({ maxInstances: 0, maxTtlMs: 1000 }),
}

export async function start(deps: Partial<AdminDeps> = {}, host = '127.0.0.1', wanted = 0) {
  const server = createAdminServer({
    version: '1.2.3',
    engine: 'http-proxy',
    metrics: {
      render: (accept) => Promise.resolve({ contentType: 'text/plain; version=0.0.4', body: `# ${accept}\n` }),
    },
    view: () => view,
    viewService: (name) => (deps.view?.() ?? view).services.find((each) => each.name === name) ?? null,
    readiness: () => ({ state: 'fresh', ageMs: 1234 }),
    catalog: () => plainCatalog,
    explaining,
    acceptCatalog: () => 0,
    trail: { find: () => [], kept: () => ({ requests: 0, forMs: null }) },
    live: { connect: () => null, close: () => {} },
    page: loadPage,
    config: () => ({ listen: { port: 8080 }, token: '[redacted]' }),
    hands: { hands: noHands, viewService: () => null, services: () => [], onHand: () => {} },
    push: { pushed: noPushes, sources: () => ['consul'], ownName: () => null },
    token: () => null,
    ...deps,
  })
  running.push(server)
  const port = await server.listen(host, wanted)
  const url = `http://127.0.0.1:${port}`
  return { server, port, url, get: (path: string, init?: RequestInit) => fetch(url + path, init) }
}

/** Sends bytes as they are; resolves with all that came back when the other side closed. */
export function raw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      received += chunk
    })
    socket.on('close', () => resolve(received))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
  })
}

/** Connects, sends these bytes, and keeps the connection. */
export async function open(port: number, bytes: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'connect')
  socket.write(bytes)
  return socket
}
