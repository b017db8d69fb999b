/**
 * What is one running instance of a sample service? An HTTP server on a loopback address of its own that registers
 * itself, and that can end in three ways: stopped (it says goodbye), killed (it just is gone), or sick (it answers 500
 * to all but /health, so that only the proxy's own watching of answers can find it out).
 */

import { once } from 'node:events'
import { type Agent, createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createRegistrar } from './registrar.ts'
import type { Reply, Service } from './sample-services.ts'

export interface InstanceOptions {
  readonly service: string
  readonly id: string
  /** Where it would like to listen; 127.0.0.1 where the system has no such loopback address (macOS). */
  readonly address: string
  readonly answer: Service
  readonly catalogUrl: string
  /** For calls to the catalog. */
  readonly agent: Agent
}

export interface Instance {
  readonly id: string
  /** How `servedBy` shows it: its address, and its port too where it shares the address with others. */
  readonly servedBy: string
  readonly port: number
  readonly address: string
  sick: boolean
  /** Deregisters, finishes what is in flight, and closes. */
  stop(): Promise<void>
  /** Cuts every connection at once; the catalog is not told. */
  kill(): void
}

const stopWithinMs = 1000
const sharedAddress = '127.0.0.1'

/** Starts an instance; resolves once the catalog knows it. */
export async function startInstance(options: InstanceOptions): Promise<Instance> {
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0] ?? '/'
    void answer(request.method ?? 'GET', path).then((reply) => sendReply(response, reply))
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const { address, port } = await listen(server, options.address)
  const servedBy = address === options.address ? address : `${address}:${port}`
  const { service, id, catalogUrl, agent } = options
  const registrar = createRegistrar(catalogUrl, agent, { service, id, address, port })
  const instance: Instance = {
    id,
    servedBy,
    port,
    address,
    sick: false,
    async stop() {
      // Whatever becomes of the goodbye, the server ends; without it the checks will tell the catalog.
      await registrar.leave().catch(() => {})
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      const timer = setTimeout(() => server.closeAllConnections(), stopWithinMs)
      await closed
      clearTimeout(timer)
    },
    kill() {
      registrar.vanish()
      // First, because close() would end idle connections politely.
      for (const socket of sockets) socket.resetAndDestroy()
      server.close()
    },
  }

  async function answer(method: string, path: string): Promise<Reply> {
    if (path === '/health') return { status: 200, body: { status: 'UP' } }
    if (instance.sick) return { status: 500, body: { error: `${id} is sick`, servedBy } }
    if (method !== 'GET' && method !== 'HEAD') {
      return { status: 405, body: { error: `${method} is not answered here, only GET and HEAD` } }
    }
    try {
      return await options.answer({ path, servedBy })
    } catch (error) {
      return { status: 500, body: { error: error instanceof Error ? error.message : 'failed' } }
    }
  }

  try {
    await registrar.join()
  } catch (error) {
    instance.kill()
    throw error
  }
  return instance
}

async function listen(server: Server, wanted: string): Promise<{ address: string; port: number }> {
  for (const address of [wanted, sharedAddress]) {
    try {
      server.listen(0, address)
      await once(server, 'listening')
      return { address, port: (server.address() as AddressInfo).port }
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'EADDRNOTAVAIL'
      if (!missing || address === sharedAddress) throw error
    }
  }
  throw new Error('unreachable')
}

function sendReply(response: ServerResponse, { status, body }: Reply): void {
  const text = JSON.stringify(body)
  if (status === 405) response.setHeader('Allow', 'GET, HEAD')
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) })
  response.end(text)
}
