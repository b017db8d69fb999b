/**
 * Services that put themselves in, over the real command in a process of its own: is the first request answered, are they
 * gone when they fall silent, and do they outlive kill -9, a pause of the proxy and a config that is read again?
 */

import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type ProxyProcess, startProxy } from '../drills/proxy-process.ts'
import { type Scope, scoped } from '../drills/scope.ts'
import { waitFor } from '../support/wait.ts'

/** Answers every request with its name; its port. */
async function startInstance(scope: Scope, name: string): Promise<number> {
  const server = createServer((_, response) => void response.end(name)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  scope.onEnd(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

/** @param config absent: what is pushed is followed, and kept in a snapshot */
async function startWorld(scope: Scope, config?: string) {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-push-'))
  scope.onEnd(() => rm(folder, { recursive: true, force: true }))
  const configFile = join(folder, 'evenkeel.yaml')
  await writeFile(configFile, config ?? 'discovery: { source: push, snapshot: catalog.json }\n')
  const snapshot = join(folder, 'catalog.json')
  const start = () => startProxy(scope, { configFile })
  return { start, snapshot, configFile, proxy: await start() }
}

/** As a program would: one request, one connection. */
async function say(proxy: ProxyProcess, method: 'PUT' | 'DELETE', path: string, body?: object) {
  const url = `http://127.0.0.1:${proxy.adminPort}/api/catalog/${path}`
  const response = await fetch(url, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  const text = await response.text()
  return { status: response.status, body: text === '' ? null : JSON.parse(text) }
}

/** `200 a`: what a client of a service gets. */
async function ask(proxy: ProxyProcess, service = 'web'): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${proxy.port}/${service}/`)
  const text = await response.text()
  return response.status === 200 ? `200 ${text}` : `${response.status}`
}

const instancesOf = async (proxy: ProxyProcess) =>
  (await proxy.endpoints('web')).map(({ endpoint }) => Number(endpoint.split(':')[1])).sort()

test(
  'the first request after it was pushed is answered, and the first after it was removed is not',
  { concurrent: true },
  () =>
    scoped(async (scope) => {
      const { proxy } = await startWorld(scope)
      expect(await ask(proxy)).toBe('404')
      const [a, b] = [await startInstance(scope, 'a'), await startInstance(scope, 'b')]
      expect(await say(proxy, 'PUT', 'web/a', { port: a })).toMatchObject({
        status: 201,
        body: { endpoint: `127.0.0.1:${a}`, ttl: '30s' },
      })
      expect(await ask(proxy)).toBe('200 a')
      expect((await say(proxy, 'PUT', 'web/b', { port: b })).status).toBe(201)
      const served = [await ask(proxy), await ask(proxy), await ask(proxy), await ask(proxy)].sort()
      expect(served).toEqual(['200 a', '200 a', '200 b', '200 b'])
      expect((await say(proxy, 'DELETE', 'web/a')).status).toBe(204)
      expect([await ask(proxy), await ask(proxy)]).toEqual(['200 b', '200 b'])
      // The last one: nothing holds it back.
      expect((await say(proxy, 'DELETE', 'web/b')).status).toBe(204)
      expect(await ask(proxy)).toBe('503')
      expect((await say(proxy, 'PUT', 'web/a', { port: a })).status).toBe(201)
      expect(await ask(proxy)).toBe('200 a')
    }),
)

test('who falls silent is gone when its time is over, and it is seen why', { concurrent: true }, () =>
  scoped(async (scope) => {
    const { proxy } = await startWorld(scope)
    const [a, b] = [await startInstance(scope, 'a'), await startInstance(scope, 'b')]
    const beat = () => say(proxy, 'PUT', 'web/a', { port: a, ttl: '3s' })
    await beat()
    await say(proxy, 'PUT', 'web/b', { port: b, ttl: '1s', tags: ['v1'] })
    await waitFor('only the one that beats is left', async () => {
      expect((await beat()).status).toBe(200)
      return (await instancesOf(proxy)).join() === `${a}`
    })
    const { absent } = JSON.parse((await proxy.admin('/api/services/web')).text)
    expect(absent).toMatchObject([{ instance: 'b', why: 'has not been renewed for 1s' }])
    expect(await ask(proxy)).toBe('200 a')
    await waitFor('nobody is left', async () => (await instancesOf(proxy)).length === 0)
    expect(await ask(proxy)).toBe('503')
    const gone = 'a pushed instance was not renewed and is gone'
    const lines = await waitFor('it is logged', () => proxy.logged(gone).length === 2 && proxy.logged(gone))
    expect(lines.map(({ instance }) => instance)).toEqual(['b', 'a'])
    expect((await proxy.admin('/readyz')).text).toMatch(/^fresh\n/)
  }),
)

test(
  'after kill -9 it is served at once from the snapshot, and is gone unless it is renewed',
  { concurrent: true },
  () =>
    scoped(async (scope) => {
      const { proxy, start, snapshot } = await startWorld(scope)
      const [a, b] = [await startInstance(scope, 'a'), await startInstance(scope, 'b')]
      await say(proxy, 'PUT', 'web/a', { port: a, ttl: '4s', tags: ['v1'] })
      await say(proxy, 'PUT', 'web/b', { port: b, ttl: '4s' })
      await waitFor('both are written', async () => {
        const text = await readFile(snapshot, 'utf8').catch(() => '')
        return text.includes('"id":"a"') && text.includes('"id":"b"')
      })
      proxy.signal('SIGKILL')
      await proxy.exited

      const next = await start()
      expect([await ask(next), await ask(next)].sort()).toEqual(['200 a', '200 b'])
      // It is known with all that it has said.
      expect(await say(next, 'PUT', 'web/a', { port: a, ttl: '4s', tags: ['v1'] })).toMatchObject({
        status: 200,
        body: { result: 'renewed' },
      })
      await waitFor('the one that was not renewed is gone', async () => {
        await say(next, 'PUT', 'web/a', { port: a, ttl: '4s', tags: ['v1'] })
        return (await instancesOf(next)).join() === `${a}`
      })
      expect(await ask(next)).toBe('200 a')
      await waitFor('and so it is in the file', async () => !(await readFile(snapshot, 'utf8')).includes('"id":"b"'))
      next.signal('SIGTERM')
      expect(await next.exited).toMatchObject({ code: 0 })
      expect(await readFile(snapshot, 'utf8')).toContain(`{"service":"web","id":"a","address":"127.0.0.1","port":${a},`)
    }),
)

test('a proxy that was stopped for longer than anybody may be silent has lost nobody', { concurrent: true }, () =>
  scoped(async (scope) => {
    const { proxy } = await startWorld(scope)
    const ports = [await startInstance(scope, 'a'), await startInstance(scope, 'b')].sort()
    for (const port of ports) await say(proxy, 'PUT', `web/${port}`, { port, ttl: '3s' })
    proxy.signal('SIGSTOP')
    const stoppedMs = performance.now()
    await waitFor('more than their time is over', () => performance.now() - stoppedMs > 3500)
    proxy.signal('SIGCONT')
    const paused = 'this process did not run for a while: what is pushed holds as much longer'
    await waitFor('it has noticed', () => proxy.logged(paused).length > 0)
    expect(await instancesOf(proxy)).toEqual(ports)
    const [port = 0] = ports
    expect((await say(proxy, 'PUT', `web/${port}`, { port, ttl: '3s' })).body).toMatchObject({ result: 'renewed' })
    await waitFor('whoever stays silent is gone all the same', async () => (await instancesOf(proxy)).length === 0)
  }),
)

test('what is pushed outlives a config that is read again, and another source', { concurrent: true }, () =>
  scoped(async (scope) => {
    const config = (source: string, maxTtl: string) =>
      `discovery: { source: ${source}, push: { maxTtl: ${maxTtl} }, static: { services: { web: ['127.0.0.1:1'] } } }\n`
    const { proxy, configFile } = await startWorld(scope, config('push', '1h'))
    const a = await startInstance(scope, 'a')
    const put = async (ttl: string) => (await say(proxy, 'PUT', 'web/a', { port: a, ttl })).status
    expect(await put('5m')).toBe(201)
    const reread = async (source: string, maxTtl: string, isInEffect: () => Promise<boolean>) => {
      await writeFile(configFile, config(source, maxTtl))
      proxy.signal('SIGHUP')
      await waitFor(`${source} is followed`, isInEffect)
    }
    await reread('push', '1m', async () => (await put('5m')) === 400)
    expect(await ask(proxy)).toBe('200 a')
    await reread('static', '1m', async () => (await instancesOf(proxy)).join() === '1')
    expect(await say(proxy, 'PUT', 'web/a', { port: a })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('Set discovery.source: [static, push].') },
    })
    await reread('push', '1h', async () => (await instancesOf(proxy)).join() === `${a}`)
    expect(await ask(proxy)).toBe('200 a')
    expect(await put('5m')).toBe(200)
  }),
)
