/**
 * A fleet to look at: the whole proxy over a catalog in memory, services with instances on loopback addresses, and
 * clients that ask for them at a pace of their own. What is wrong with an instance is said when it is made.
 */

import { once } from 'node:events'
import { Agent, createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type App, startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import { startCatalogServer } from '../../src/demo/catalog-server.ts'
import { createLog } from '../../src/log.ts'
import type { Scope } from '../drills/scope.ts'
import { type CatalogApi, catalogApi } from '../support/consul-api.ts'

export interface Kind {
  readonly name: string
  readonly instances: number
  /** Requests a second. */
  readonly perSecond: number
  /** How long an answer takes, about. */
  readonly latencyMs: number
  /** By the number of the instance, from 1. */
  readonly ills?: Readonly<Record<number, Ill>>
}

/** `silent`: registered, and nothing listens. `critical`, `maintenance`: by its word in the catalog. */
export type Ill =
  | { readonly kind: 'fails'; readonly share: number }
  | { readonly kind: 'silent' }
  | { readonly kind: 'critical' }
  | { readonly kind: 'maintenance' }

export interface LookedAtFleet {
  readonly app: App
  readonly url: string
  readonly catalog: CatalogApi
}

/** @param set further settings, `key.path=value` each */
export async function startFleet(
  scope: Scope,
  kinds: readonly Kind[],
  set: readonly string[] = [],
): Promise<LookedAtFleet> {
  const server = await startCatalogServer()
  scope.onEnd(() => server.close())
  const catalog = catalogApi(server.url)
  for (const [at, kind] of kinds.entries()) {
    for (let number = 1; number <= kind.instances; number++) await startInstance(scope, catalog, kind, number, at)
  }
  const flags = { port: '0', adminPort: '0', consul: server.url }
  const settings = ['listen.host=127.0.0.1', 'accessLog.enabled=false', 'shutdown.drainTimeout=100ms', ...set]
  const loaded = loadConfig({ env: {}, flags: { ...flags, set: settings } })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const { log, setLevel } = createLog({ level: 'silent' })
  const app = await startApp({ config: loaded.config, log, setLogLevel: setLevel, version: '1.4.0' })
  scope.onEnd(() => app.close())
  const port = await app.ready
  for (const kind of kinds) startClients(scope, port, kind)
  return { app, url: `http://127.0.0.1:${app.adminPort}`, catalog }
}

async function startInstance(scope: Scope, catalog: CatalogApi, kind: Kind, number: number, at: number): Promise<void> {
  const ill = kind.ills?.[number]
  const server = createServer((_, response) => {
    const isBad = ill?.kind === 'fails' && Math.random() < ill.share
    // Most answers are near to what is usual, a few take several times as long.
    const tookMs = kind.latencyMs * (0.6 + Math.random() * 0.8 + (Math.random() < 0.03 ? 4 * Math.random() : 0))
    setTimeout(() => response.writeHead(isBad ? 500 : 200).end('{}'), tookMs)
  })
  const address = `127.0.${20 + at}.${10 + number}`
  const port = await listen(server, address)
  scope.onEnd(() => {
    server.close()
    server.closeAllConnections()
  })
  if (ill?.kind === 'silent') {
    server.close()
    await once(server, 'close')
  }
  const id = `${kind.name}-${number}`
  await catalog.register({
    ...{ Name: kind.name, ID: id, Address: address, Port: port },
    Check: {
      CheckID: `${id}-http`,
      Name: 'http',
      TTL: '60m',
      Status: ill?.kind === 'critical' ? 'critical' : 'passing',
    },
  })
  if (ill?.kind === 'maintenance') await catalog.maintenance(id, true, 'disk is replaced')
}

async function listen(server: Server, address: string): Promise<number> {
  server.listen(0, address)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** The rate swells and falls as that of people does. */
function startClients(scope: Scope, port: number, { name, perSecond }: Kind): void {
  if (perSecond === 0) return
  const agent = new Agent({ keepAlive: true, maxSockets: 20 })
  const phase = Math.random() * 6
  let owed = 0
  const timer = setInterval(() => {
    const swell = 1 + 0.35 * Math.sin(performance.now() / 14_000 + phase) + 0.25 * (Math.random() - 0.5)
    owed += (perSecond / 20) * swell
    for (; owed >= 1; owed -= 1) {
      const sent = request({ host: '127.0.0.1', port, path: `/${name}/`, agent }, (answer) => answer.resume())
      sent.on('error', () => {})
      sent.end()
    }
  }, 50)
  scope.onEnd(() => {
    clearInterval(timer)
    agent.destroy()
  })
}
