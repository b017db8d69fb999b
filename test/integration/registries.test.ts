/**
 * Do the demo's services walk as they do with Consul when they are registered elsewhere, and does a team that moves from one
 * registry to another lose a request? Real servers, and the whole program.
 */

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { afterEach, describe, expect, test } from 'vitest'
import { startApp } from '../../src/app.ts'
import type { Config } from '../../src/config/config.ts'
import { parseConfig } from '../../src/config/load.ts'
import { accountService, parseQuote, quotesService, type Service } from '../../src/demo/sample-services.ts'
import { failuresOf, startLoad } from '../drills/load.ts'
import { servedByHeader } from '../drills/origin-messages.ts'
import { consulRegistry } from '../support/registries/consul.ts'
import { etcdRegistry } from '../support/registries/etcd.ts'
import { eurekaRegistry } from '../support/registries/eureka.ts'
import type { RegisteredInstance, Registry, RegistryKind } from '../support/registries/registry.ts'
import { zookeeperRegistry } from '../support/registries/zookeeper.ts'
import { waitFor } from '../support/wait.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** What makes a registry that is polled quick enough for a test. */
const quick: Readonly<Record<string, object>> = { eureka: { interval: '200ms' } }

async function start(kind: RegistryKind): Promise<Registry> {
  const registry = await kind.start()
  cleanups.push(registry.close)
  return registry
}

type Sources = readonly (readonly [RegistryKind, Registry])[]

function configOf(sources: Sources, services: readonly string[]): Config {
  const sections = sources.map(([{ name }, registry]) => [name, { ...registry.section(services), ...quick[name] }])
  const discovery = { source: sources.map(([{ name }]) => name), ...Object.fromEntries(sections) }
  const listeners = { listen: { host: '127.0.0.1', port: 0 }, admin: { port: 0 }, accessLog: { enabled: false } }
  const loaded = parseConfig(JSON.stringify({ ...listeners, discovery }), 'test')
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.config
}

/** A proxy that follows these registries. */
async function serve(sources: Sources, services: readonly string[]) {
  const config = configOf(sources, services)
  const app = await startApp({ config, log: pino({ level: 'silent' }), setLogLevel: () => {}, version: 'test' })
  cleanups.push(app.close)
  const port = await app.ready
  const admin = async (path: string) => (await fetch(`http://127.0.0.1:${app.adminPort}${path}`)).text()
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    readyz: () => admin('/readyz'),
    reload: (other: Sources) => app.reload(configOf(other, services)),
    endpoints: async (service: string) => {
      const { endpoints = [] } = JSON.parse(await admin(`/api/services/${service}`)) as { endpoints?: Listed[] }
      return endpoints
    },
  }
}

interface Listed {
  readonly endpoint: string
  /** Which of several registries name it. */
  readonly sources?: readonly string[]
}

/** One instance of a service, on a loopback address of its own. */
async function instance(service: string, id: string, address: string, answer: Service): Promise<RegisteredInstance> {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://instance')
    const { status, body } = await answer({ path: pathname, servedBy: address })
    response.writeHead(status, { 'content-type': 'application/json', [servedByHeader]: id }).end(JSON.stringify(body))
  })
  server.listen(0, address)
  await once(server, 'listening')
  cleanups.push(async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })
  return { service, id, address, port: (server.address() as AddressInfo).port }
}

/** True when `count` different ones come again and again in one order. */
function takesTurns(seen: readonly string[], count: number): boolean {
  const turn = seen.slice(0, count)
  return new Set(turn).size === count && seen.every((one, at) => one === turn[at % count])
}

const lacking = await Promise.all(
  [eurekaRegistry, etcdRegistry, zookeeperRegistry].map(async (kind) => [kind, await kind.lacks()] as const),
)

for (const [kind, lacks] of lacking) {
  describe.skipIf(lacks !== null)(`${kind.name}${lacks === null ? '' : ` (skipped: ${lacks})`}`, () => {
    test('accounts are served by all instances in exact turns, each with a quote that came through the proxy in turns', async () => {
      const registry = await start(kind)
      let proxyUrl = ''
      const fetchQuote = async () => {
        const quote = parseQuote(await (await fetch(`${proxyUrl}/quotes-service/api/quote?strength=4`)).text())
        if (quote === null) throw new Error('the answer was no quote')
        return quote
      }
      const account = (at: number) =>
        instance('accountservice', `account-${at}`, `127.0.0.${10 + at}`, accountService(fetchQuote))
      const quotes = (at: number) => instance('quotes-service', `quotes-${at}`, `127.0.0.${40 + at}`, quotesService())
      const [first, ...others] = [await account(1), await account(2), await account(3)] as const
      await registry.register([first, ...others, await quotes(1), await quotes(2)])
      const proxy = await serve([[kind, registry]], ['accountservice', 'quotes-service'])
      proxyUrl = proxy.url

      const there = (service: string, count: number) =>
        waitFor(`${count} of ${service}`, async () => (await proxy.endpoints(service)).length === count)
      const walk = async (accounts: number) => {
        await there('accountservice', accounts)
        const servedBy: string[] = []
        const quotedBy: string[] = []
        for (let request = 0; request < accounts * 4; request++) {
          const answer = await fetch(`${proxy.url}/accountservice/accounts/10000`)
          const body = (await answer.json()) as { servedBy: string; quote: { ipAddress: string } }
          servedBy.push(body.servedBy)
          quotedBy.push(body.quote.ipAddress)
        }
        expect(takesTurns(servedBy, accounts), servedBy.join()).toBe(true)
        expect(takesTurns(quotedBy, 2), quotedBy.join()).toBe(true)
      }
      await there('quotes-service', 2)
      await walk(3)
      await registry.register([await account(4)])
      await walk(4)
      await registry.deregister(first)
      await walk(3)
    }, 120_000)
  })
}

const eurekaLacks = await eurekaRegistry.lacks()

describe.skipIf(eurekaLacks !== null)(
  `a team that moves${eurekaLacks === null ? '' : ` (skipped: ${eurekaLacks})`}`,
  () => {
    test('from Eureka to Consul, one instance after another, and switches Eureka off: no request fails', async () => {
      const [eureka, consul] = await Promise.all([start(eurekaRegistry), start(consulRegistry)])
      const one = (id: string, at: number) =>
        instance('web', id, `127.0.0.${60 + at}`, () => ({ status: 200, body: { id } }))
      const [a, b, c] = [await one('a', 1), await one('b', 2), await one('c', 3)]
      await eureka.register([a, b, c])
      const proxy = await serve(
        [
          [consulRegistry, consul],
          [eurekaRegistry, eureka],
        ],
        ['web'],
      )
      const known = (expected: Readonly<Record<string, readonly string[]>>) =>
        waitFor(`the endpoints are those of ${JSON.stringify(expected)}`, async () => {
          const seen = (await proxy.endpoints('web')).map(({ endpoint, sources = [] }) => [
            endpoint,
            [...sources].sort(),
          ])
          return JSON.stringify(seen.sort()) === JSON.stringify(Object.entries(expected).sort())
        })
      const at = ({ address, port }: RegisteredInstance) => `${address}:${port}`
      await known({ [at(a)]: ['eureka'], [at(b)]: ['eureka'], [at(c)]: ['eureka'] })
      const load = startLoad(
        { onEnd: (end) => void cleanups.push(end) },
        { port: proxy.port, connections: 10, streams: [{ method: 'GET', perSecond: 200, path: '/web/' }] },
      )
      await load.more(100)

      // The same process, which says goodbye to one and hello to the other.
      await consul.register([a])
      await known({ [at(a)]: ['consul', 'eureka'], [at(b)]: ['eureka'], [at(c)]: ['eureka'] })
      await eureka.deregister(a)
      await known({ [at(a)]: ['consul'], [at(b)]: ['eureka'], [at(c)]: ['eureka'] })
      // A new process in its place.
      const newB = await one('new-b', 4)
      await consul.register([newB])
      await eureka.deregister(b)
      await known({ [at(a)]: ['consul'], [at(newB)]: ['consul'], [at(c)]: ['eureka'] })
      await consul.register([c])
      await known({ [at(a)]: ['consul'], [at(newB)]: ['consul'], [at(c)]: ['consul', 'eureka'] })
      await eureka.deregister(c)
      await known({ [at(a)]: ['consul'], [at(newB)]: ['consul'], [at(c)]: ['consul'] })

      await eureka.kill()
      await load.more(300)
      const d = await one('d', 5)
      await consul.register([d])
      await waitFor('Consul is followed without Eureka', () => load.shots.at(-1)?.servedBy === 'd' || undefined)
      await consul.deregister(a)
      await waitFor('what leaves Consul leaves', () => load.shots.slice(-20).every(({ servedBy }) => servedBy !== 'a'))
      const shots = await load.stop()
      expect(failuresOf(shots)).toEqual([])
      expect(new Set(shots.map(({ servedBy }) => servedBy))).toEqual(new Set(['a', 'b', 'c', 'new-b', 'd']))
    }, 120_000)
  },
)
