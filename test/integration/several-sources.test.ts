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
import { failed, startLoad } from '../drills/load.ts'
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

describe.skipIf(lacks !== null)(`Consul, etcd and a file${lacks === null ? '' : ` (skipped: ${lacks})`}`, () => {
  test(
    'as one source: moves, deaths, empty returns and reloads fail no request',
    () =>
      scoped(async (scope) => {
        const [consul, etcd] = await Promise.all([startConsul(), startEtcd()])
        scope.onEnd(consul.stop)
        scope.onEnd(etcd.stop)
        const [member] = etcd.members
        const folder = await mkdtemp(join(tmpdir(), 'evenkeel-several-'))
        scope.onEnd(() => rm(folder, { recursive: true, force: true }))
        const instance = () => startInstance(scope)
        const [a, b, c, d] = await Promise.all([instance(), instance(), instance(), instance()])
        const file = join(folder, 'services.yaml')
        const inFile = (...ports: number[]) =>
          written(file, `services: { web: [${ports.map((port) => `'127.0.0.1:${port}'`).join(', ')}] }\n`)
        const configFile = join(folder, 'evenkeel.yaml')
        const follow = (source: string) =>
          written(
            configFile,
            `discovery: { source: ${source}, consul: { address: '${consul.url}' }, etcd: { endpoints: ['${etcd.url}'] }, file: { path: services.yaml }, snapshot: null }\n`,
          )
        for (const port of [a, b]) await consul.register({ Name: 'web', ID: `web-${port}`, Port: port })
        await inFile(c)
        await follow('[consul, etcd, file]')
        const proxy = await startProxy(scope, { configFile })
        await until('it begins in Consul', proxy, [`${a} consul`, `${b} consul`, `${c} file`])
        expect(await ready(proxy)).toBe('fresh')
        const streams = [{ method: 'GET', perSecond: 100, path: '/web/' }] as const
        const load = startLoad(scope, { port: proxy.port, connections: 8, streams })

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
        await load.more(50)

        const shots = await load.stop()
        expect(shots.filter(failed)).toEqual([])
        expect(shots.length).toBeGreaterThan(300)
      }),
    180_000,
  )
})
