/** Source, admission and snapshot together: what is routed by, and what is written down? Consul is a fake. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import type { Catalog } from '../src/balancer/endpoint.ts'
import { createPushCatalog } from '../src/discovery/push/push-catalog.ts'
import { encodeSnapshot } from '../src/discovery/snapshot.ts'
import { createFollowing } from '../src/following.ts'
import { configOf } from './config/support.ts'
import { type FakeConsul, fakeConsul } from './discovery/fake-consul.ts'
import { waitFor } from './support/wait.ts'

const stops: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function consulWith(services: Readonly<Record<string, readonly number[]>>): Promise<FakeConsul> {
  const consul = await fakeConsul(services)
  stops.push(() => consul.close())
  return consul
}

type Ports = Readonly<Record<string, readonly number[]>>

/** @param sourcesOf the sources of an endpoint, by its port */
function catalogOf(services: Ports, sourcesOf: (port: number) => readonly string[] = () => ['consul']): Catalog {
  const endpoint = (port: number) => ({
    ...{ id: `10.0.0.1:${port}`, instance: `i-${port}`, address: '10.0.0.1', port, weight: 1 },
    sources: sourcesOf(port),
  })
  const named = Object.entries(services).map(
    ([name, ports]) => [name, { endpoints: ports.map(endpoint), absent: [] }] as const,
  )
  return { services: new Map(named) }
}

async function snapshotFileOf(catalog: Catalog, confirmedAtMs = Date.now()) {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-'))
  stops.push(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'catalog.json')
  await writeFile(path, encodeSnapshot(catalog, confirmedAtMs))
  return path
}

/** A file of that catalog: services by name, with their ports. */
function snapshotOf(services: Ports, confirmedAtMs = Date.now()) {
  return snapshotFileOf(catalogOf(services), confirmedAtMs)
}

/**
 * @param more lines under `discovery.consul`
 * @param also lines under `discovery`
 */
function followed(consul: string, snapshot: string | null, more = '', admission = '{}', also = '') {
  const yaml = `{ discovery: { snapshot: ${snapshot}, consul: { address: '${consul}', ${more} }, ${also} }, admission: ${admission} }`
  let config = configOf(yaml)
  const catalogs: Catalog[] = []
  const log = pino({ level: 'silent' })
  const pushed = createPushCatalog(() => config.discovery.push, { log })
  stops.push(async () => pushed.close())
  const following = createFollowing({
    log,
    now: () => performance.now(),
    config: () => config,
    vitals: () => null,
    traffic: () => new Map(),
    pushed,
    use: (catalog) => catalogs.push(catalog) > 0,
    onResult: () => {},
    onDecisions: () => {},
  })
  stops.push(() => following.close())
  return {
    following,
    config,
    /** Reads a config with these lines under `discovery.consul`, and follows what it names. */
    reload: (lines: string) => {
      const before = config
      config = configOf(yaml.replace(`, ${more} }`, `, ${lines} }`))
      following.restart(before)
    },
    /** As `reload`, of the lines under `discovery`. */
    reloadSources: (lines: string) => {
      const before = config
      config = configOf(yaml.replace(also, lines))
      following.restart(before)
    },
    /** `api 1, web 1`: the services in use, with how many endpoints each has. */
    table: () =>
      [...(catalogs.at(-1)?.services ?? [])].map(([name, { endpoints }]) => `${name} ${endpoints.length}`).join(', '),
  }
}

test('a service that the config leaves out is not routed because an older snapshot has it', async () => {
  const path = await snapshotOf({ api: [1], old: [2], web: [3] })
  const away = followed('http://127.0.0.1:1', path, 'include: [web]')
  await away.following.start()
  await away.following.firstCatalog
  expect(away.table()).toBe('web 1')

  const consul = await consulWith({ api: [1], old: [2], web: [3] })
  const there = followed(consul.url, path, 'exclude: [api, old]')
  await there.following.start()
  await there.following.firstCatalog
  expect(there.table()).toBe('web 1')
  expect(there.following.status().suspects).toEqual([])
})

test('a snapshot stands in for the source that is away, and only for it', async () => {
  const catalog = catalogOf({ web: [1, 2, 3], api: [9] }, (port) => (port === 1 ? ['consul'] : ['etcd']))
  const path = await snapshotFileOf(catalog)
  const consul = await consulWith({ web: [4, 5] })
  const etcd = `etcd: { endpoints: ['http://127.0.0.1:1'] }, source: [consul, etcd]`
  const { following, table } = followed(consul.url, path, '', '{}', etcd)
  await following.start()
  await waitFor('Consul has answered', () => table() === 'api 1, web 4')
  expect(following.readiness().state).toBe('stale')
  expect(following.status().source?.parts?.map(({ source, state }) => [source, state])).toEqual([
    ['consul', 'fresh'],
    ['etcd', 'silent'],
  ])
  expect(following.status().failure).toMatchObject({ source: 'etcd' })
})

test('a source that cannot be made is told, and keeps no other one from being followed', async () => {
  const consul = await consulWith({ web: [1] })
  const also = `source: [dns, consul], dns: { services: { ${'x'.repeat(300)}: { srv: web.example } } }`
  const { following, table } = followed(consul.url, null, '', '{}', also)
  await following.start()
  await waitFor('Consul has answered', () => table() === 'web 1', 20_000)
  expect(following.readiness().state).toBe('stale')
  expect(following.status().failure).toMatchObject({
    where: 'discovery.source dns',
    message: expect.stringContaining('it is not followed: discovery.dns.services'),
    cure: 'mend discovery.dns, and start again',
  })
})

test('sources come and go with the config, and only what they alone know goes with them', async () => {
  const consul = await consulWith({ web: [1, 2] })
  const also = `static: { services: { web: ['10.0.0.1:2', '10.0.0.1:3'], own: ['10.0.0.1:9'] } }`
  const { following, table, reloadSources } = followed(consul.url, null, '', '{}', `${also}, source: consul`)
  await following.start()
  await following.firstCatalog
  expect(table()).toBe('web 2')
  reloadSources(`${also}, source: [consul, static]`)
  await waitFor('both are in', () => table() === 'own 1, web 3')
  expect(following.readiness().state).toBe('fresh')
  reloadSources(`${also}, source: static`)
  await waitFor('one is in', () => table() === 'own 1, web 2')
})

test('a snapshot of another datacenter is not used, and left as it is', async () => {
  const consul = await consulWith({ web: [3] })
  const path = await snapshotOf({ api: [1], web: [2] })
  const here = followed(consul.url, path, 'datacenter: dc1')
  await here.following.start()
  await waitFor('the catalog is in', () => here.table() === 'api 1, web 1')
  await here.following.close()
  const written = await readFile(path, 'utf8')
  expect(written).toContain('"of": "datacenter dc1, namespace (default)"')

  const away = followed('http://127.0.0.1:1', path, 'datacenter: dc2')
  await away.following.start()
  expect(away.following.status().snapshot).toMatchObject({ found: 'refused', inUse: false })
  const there = followed(consul.url, path, 'datacenter: dc2')
  await there.following.start()
  await there.following.firstCatalog
  expect(there.table()).toBe('web 1')
  await there.following.close()
  expect(await readFile(path, 'utf8')).toBe(written)
})

test('a service that cannot be read at the start is as the snapshot has it, and stays so in the file', async () => {
  const confirmedAtMs = Date.now() - 3_600_000
  const path = await snapshotOf({ api: [1, 2], web: [3] }, confirmedAtMs)
  const consul = await consulWith({ api: [1, 2], web: [3, 4] })
  consul.misbehave = ({ service }, answer) => {
    if (service !== 'api') return false
    answer.writeHead(403).end('Permission denied')
    return true
  }
  const { following, table } = followed(consul.url, path, '', '{ hold: 100ms }')
  await following.start()
  await waitFor('the catalog is in', () => table().endsWith('web 2'), 20_000)
  expect(table()).toBe('api 2, web 2')
  expect(following.status().suspects).toEqual([])
  expect(following.status().snapshot?.inUse).toBe(false)
  await following.close()
  const written = await readFile(path, 'utf8')
  expect(written).toContain('"port":2,')
  expect(written).toContain('"port":4,')
  // The source has not stood by it as a whole since.
  expect(written).toContain(new Date(confirmedAtMs).toISOString())
}, 30_000)

test('a config that is read anew after the end follows nobody any more', async () => {
  const consul = await consulWith({ web: [3] })
  const { following, config } = followed(consul.url, 'null')
  await following.start()
  await following.firstCatalog
  await following.close()
  const asked = consul.requests.length
  following.restart(config)
  // Ours comes in after one that the restart would have sent.
  await fetch(`${consul.url}/v1/catalog/services`).then((answer) => answer.text())
  expect(consul.requests.length).toBe(asked + 1)
})

test.each([
  ['read in another way: an answer that has lost its services is held all the same', 'maxWatches: 7', 'api 1, web 2'],
  ['another one: what it says is believed', 'stale: false, tag: blue', ''],
])('after a reload the catalog is %s', async (_, lines, expected) => {
  const consul = await consulWith({ api: [1], web: [2, 3] })
  const { following, table, reload } = followed(consul.url, 'null')
  await following.start()
  await waitFor('the catalog is in', () => table() === 'api 1, web 2')
  consul.misbehave = (request, answer) => {
    if (request.service !== null) return false
    answer.writeHead(200, { 'x-consul-index': '999' }).end('{}')
    return true
  }
  const asked = consul.requests.length
  reload(lines)
  await waitFor('it is asked anew', () => consul.requests.length > asked)
  await waitFor('the answer is judged', () => following.status().suspects.length === 3 || table() === '')
  expect(table()).toBe(expected)
})

test('a reload right after Consul was away: what it says of its instances is still held', async () => {
  const consul = await consulWith({ web: [2, 3] })
  const { following, table, reload } = followed(consul.url, 'null')
  await following.start()
  await waitFor('the catalog is in', () => table() === 'web 2')
  let isAway = true
  consul.misbehave = ({ service }, answer) => {
    if (isAway) answer.destroy()
    else if (service !== null) answer.writeHead(200, { 'x-consul-index': '999' }).end(critical)
    else return false
    return true
  }
  const critical = JSON.stringify(
    [2, 3].map((port) => ({
      Node: { Node: 'n', Address: '10.0.0.1' },
      Service: {
        ID: `web-${port}`,
        Service: 'web',
        Address: '10.0.0.1',
        Port: port,
        Weights: { Passing: 1, Warning: 1 },
      },
      Checks: [{ CheckID: 'ttl', Name: 'ttl', Status: 'critical', ServiceID: `web-${port}` }],
    })),
  )
  reload('maxWatches: 7')
  await waitFor('it is away', () => following.status().failure !== null)
  isAway = false
  reload('maxWatches: 6')
  await waitFor('it has answered', () => following.status().source?.parts?.[0]?.state === 'fresh')
  expect(following.status().suspects).toHaveLength(2)
  expect(table()).toBe('web 2')
})

test('two reloads in a row: what the first asks for is believed after the second, too', async () => {
  const consul = await consulWith({ api: [1], web: [2, 3] })
  const { following, table, reload } = followed(consul.url, 'null')
  await following.start()
  await waitFor('the catalog is in', () => table() === 'api 1, web 2')
  consul.misbehave = (request, answer) => {
    if (request.service !== null) return false
    answer.writeHead(200, { 'x-consul-index': '999' }).end('{}')
    return true
  }
  reload('tag: blue')
  reload('tag: blue, maxWatches: 7')
  await waitFor('the answer is judged', () => following.status().suspects.length > 0 || table() === '')
  expect(table()).toBe('')
})

test.each([
  ['a recent snapshot judges the first answer', 60_000, 'api 1, web 1'],
  ['a snapshot of long ago does not, while Consul is there', 48 * 3_600_000, 'web 1'],
])('%s', async (_, ageMs, expected) => {
  const path = await snapshotOf({ api: [1], web: [2] }, Date.now() - ageMs)
  const consul = await consulWith({ web: [9] })
  const { following, table } = followed(consul.url, path)
  await following.start()
  await following.firstCatalog
  expect(table()).toBe(expected)
})

test('what failed, and the cure, is known until the catalog is confirmed again', async () => {
  const consul = await consulWith({ web: [3] })
  let isRefused = true
  consul.misbehave = (_, answer) => {
    if (isRefused) answer.writeHead(403).end('Permission denied')
    return isRefused
  }
  const { following } = followed(consul.url, 'null')
  expect(following.status().failure).toBeNull()
  await following.start()
  const failure = await waitFor('it has failed', () => following.status().failure ?? undefined)
  expect(failure).toMatchObject({
    where: 'GET /v1/catalog/services',
    message: 'Consul answered 403: Permission denied',
    cure: expect.stringContaining('CONSUL_HTTP_TOKEN'),
  })
  isRefused = false
  await following.firstCatalog
  await waitFor('that is over', () => following.status().failure === null)
}, 30_000)
