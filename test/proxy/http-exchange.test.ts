import { once } from 'node:events'
import { createServer as createHttpServer, get } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { HttpExchange } from '../../src/proxy/engines/http-exchange.ts'
import { createUpstreamSockets } from '../../src/proxy/engines/upstream-sockets.ts'
import type { AttemptPlan } from '../../src/proxy/exchange.ts'
import { waitFor } from '../support/wait.ts'

const cleanup: (() => void)[] = []
afterEach(() => {
  for (const undo of cleanup.splice(0)) undo()
})

const plan: AttemptPlan = {
  target: '/',
  requestHeaders: [],
  responseHeaders: (headers) => [...headers],
  deadlines: { connectMs: 5_000, responseMs: 5_000, idleMs: 5_000 },
  keepAlive: false,
  close: 'fin',
  bodyLimit: null,
  onHead: () => true,
}

it('a defect of the engine is not reported as an outcome, which would blame the endpoint, and leaves no socket', async () => {
  const endpoint = createServer(() => {}).listen(0, '127.0.0.1')
  await once(endpoint, 'listening')
  cleanup.push(() => endpoint.close())
  const { port } = endpoint.address() as AddressInfo
  const now = () => performance.now()
  const sockets = createUpstreamSockets(now)
  const defect = new Error('a forward that throws')

  const attempted = new Promise<unknown>((resolve) => {
    const server = createHttpServer((req, res) => {
      const surroundings = {
        sockets,
        now,
        isLastOn: () => false,
        forward: () => {
          throw defect
        },
      }
      const exchange = new HttpExchange(req, res, surroundings, { expectsContinue: false, upgrade: null })
      const to = { id: `127.0.0.1:${port}`, instance: 'a', address: '127.0.0.1', port, weight: 1 }
      exchange.attempt(to, plan).then(resolve, (error: unknown) => resolve({ rejected: error }))
      cleanup.push(() => exchange.cut())
    }).listen(0, '127.0.0.1', () => {
      get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' }).on('error', () => {})
    })
    cleanup.push(() => server.close())
  })
  expect(await attempted).toEqual({ rejected: defect })
  await waitFor('no upstream connection', () => sockets.count() === 0)
})
