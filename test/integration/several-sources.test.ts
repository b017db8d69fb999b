/**
 * Consul, etcd and a file as one source, each a real one, under traffic: an instance moves from one to another, registries
 * are killed and come back empty, and the list of sources is read again. No request may fail.
 */

import { once } from 'node:events'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { failed, type Load, startLoad } from '../drills/load.ts'
import { type ProxyProcess, startProxy } from '../drills/proxy-process.ts'
import { type Scope, scoped } from '../drills/scope.ts'
import { startConsul } from '../support/consul.ts'
import { startEtcd } from '../support/etcd.ts'
import { etcdLacks } from '../support/etcd-binary.ts'
import { waitFor } from '../support/wait.ts'

const lacks = await etcdLacks()

async function startInstance(scope: Scope): Promise<number> {
  const server = createServer((_, response) => void response.end('here')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  scope.onEnd(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

const ready = async (proxy: ProxyProcess) => (await proxy.admin('/readyz')).text.split('\n')[0]

async function written(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}

/** `7001 etcd, 7002 consul+etcd !`: the endpoints of web with their sources; those that are held have a mark. */
async function told(proxy: ProxyProcess): Promise<string> {
  const { endpoints } = JSON.parse((await proxy.admin('/api/services/web')).text)
  return endpoints
    .map(({ port, sources, suspect }: { port: number; sources: string[]; suspect: unknown }) => {
      return `${port} ${sources.join('+')}${suspect === null ? '' : ' !'}`
    })
    .sort()
    .join(', ')
}

const until = (what: string, proxy: ProxyProcess, wanted: readonly string[]) =>
  waitFor(what, async () => (await told(proxy)) === [...wanted].sort().join(', '), 30_000)

/** Both registries, empty, and a folder for files. */
async function startWorld(scope: Scope) {
  const [consul, etcd] = await Promise.all([startConsul(), startEtcd()])
  scope.onEnd(consul.stop)
  scope.onEnd(etcd.stop)
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-several-'))
  scope.onEnd(() => rm(folder, { recursive: true, force: true }))
  const configFile = join(folder, 'evenkeel.yaml')
  return {
    ...{ consul, etcd, member: etcd.members[0], folder, configFile },
    /** Writes a config with these lines under `discovery`. */
    follow: (lines: string) =>
      written(
        configFile,
        `discovery: { ${lines}, consul: { address: '${consul.url}' }, etcd: { endpoints: ['${etcd.url}'] } }\n`,
      ),
  }
}

const loadOf = (scope: Scope, { port }: ProxyProcess) =>
  startLoad(scope, { port, connections: 8, streams: [{ method: 'GET', perSecond: 100, path: '/web/' }] })

async function allAnswered(load: Load): Promise<void> {
  await load.more(50)
  const shots = await load.stop()
  expect(shots.filter(failed)).toEqual([])
}

async function moves(scope: Scope): Promise<void> {
  const { consul, etcd, member, folder, configFile, ...world } = await startWorld(scope)
  const [a, b, c, d] = await Promise.all([
    startInstance(scope),
    startInstance(scope),
    startInstance(scope),
    startInstance(scope),
  ])
  const file = join(folder, 'services.yaml')
  const inFile = (...ports: number[]) =>
    written(file, `services: { web: [${ports.map((port) => `'127.0.0.1:${port}'`).join(', ')}] }\n`)
  const follow = (source: string) => world.follow(`source: ${source}, file: { path: services.yaml }, snapshot: null`)
  for (const port of [a, b]) await consul.register({ Name: 'web', ID: `web-${port}`, Port: port })
  await inFile(c)
  await follow('[consul, etcd, file]')
  const proxy = await startProxy(scope, { configFile })
  await until('it begins in Consul', proxy, [`${a} consul`, `${b} consul`, `${c} file`])
  expect(await ready(proxy)).toBe('fresh')
  const load = loadOf(scope, proxy)

  const toEtcd = (port: number) => etcd.put(`/services/web/${port}`, `127.0.0.1:${port}`)
  await toEtcd(a)
  await until('one is in both', proxy, [`${a} consul+etcd`, `${b} consul`, `${c} file`])
  await consul.deregister(`web-${a}`)
  await toEtcd(b)
  await consul.deregister(`web-${b}`)
  const moved = [`${a} etcd`, `${b} etcd`, `${c} file`]
  await until('all have moved', proxy, moved)

  await member?.kill('SIGKILL')
  await waitFor('it is stale', async () => (await ready(proxy)) === 'stale')
  await inFile(c, d)
  await until('the file is followed all the same', proxy, [...moved, `${d} file`])
  await load.more(50)

  await member?.wipe()
  member?.start()
  await etcd.ready()
  const held = [`${a} etcd !`, `${b} etcd !`, `${c} file`, `${d} file`]
  await until('what the empty etcd has lost is held', proxy, held)
  await follow('[file, etcd]')
  proxy.signal('SIGHUP')
  await waitFor('it is read again', async () => !(await proxy.admin('/api/catalog')).text.includes('"consul"'))
  await until('and is still held', proxy, held)
  await load.more(50)
  for (const port of [a, b]) await toEtcd(port)
  await until('they are back', proxy, [...moved, `${d} file`])
  await waitFor('it is fresh', async () => (await ready(proxy)) === 'fresh')

  await consul.kill('SIGKILL')
  await follow('[file, consul, etcd]')
  proxy.signal('SIGHUP')
  await waitFor('it is stale for the dead Consul', async () => (await ready(proxy)) === 'stale', 30_000)
  await inFile(c)
  await until('the others are followed', proxy, moved)
  await consul.start()
  await waitFor('it is fresh with an empty Consul', async () => (await ready(proxy)) === 'fresh', 60_000)
  expect(await told(proxy)).toBe([...moved].sort().join(', '))
  await follow('file')
  proxy.signal('SIGHUP')
  await until('only the file is left', proxy, [`${c} file`])
  await allAnswered(load)
}

async function restarts(scope: Scope): Promise<void> {
  const { consul, etcd, member, configFile, follow } = await startWorld(scope)
  const [a, b] = await Promise.all([startInstance(scope), startInstance(scope)])
  const inConsul = () => consul.register({ Name: 'web', ID: 'a', Port: a })
  const inEtcd = () => etcd.put('/services/web/b', `127.0.0.1:${b}`)
  await follow('source: [consul, etcd], snapshot: catalog.json')
  await Promise.all([inConsul(), inEtcd()])
  const first = await startProxy(scope, { configFile })
  const both = [`${a} consul`, `${b} etcd`]
  await until('both are in', first, both)
  first.signal('SIGTERM')
  await first.exited
  await Promise.all([consul.kill('SIGKILL'), member?.kill('SIGKILL')])
  await member?.wipe()

  const proxy = await startProxy(scope, { configFile })
  await until('the snapshot is served', proxy, both)
  expect(await ready(proxy)).toBe('stale')
  const load = loadOf(scope, proxy)
  member?.start()
  await etcd.ready()
  await until('the one that etcd has lost is held', proxy, [`${a} consul`, `${b} etcd !`])
  expect(await ready(proxy)).toBe('stale')
  await consul.start()
  await until('so is the other', proxy, [`${a} consul !`, `${b} etcd !`])
  await inEtcd()
  await until('one is back', proxy, [`${a} consul !`, `${b} etcd`])
  await inConsul()
  await until('both are back', proxy, both)
  await waitFor('it is fresh', async () => (await ready(proxy)) === 'fresh')
  await allAnswered(load)
}

describe.skipIf(lacks !== null)(`Consul, etcd and a file${lacks === null ? '' : ` (skipped: ${lacks})`}`, () => {
  test('as one source: moves, deaths, empty returns and reloads fail no request', () => scoped(moves), 180_000)

  test('after a restart while both are away, what each comes back without is held', () => scoped(restarts), 120_000)
})
