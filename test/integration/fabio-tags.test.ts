/**
 * Do instances with fabio's tags get the requests that these name, while the tags change and requests flow? A real Consul
 * agent, real instances, the whole proxy with each of its engines.
 */

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type App, startApp } from '../../src/app.ts'
import { explain } from '../../src/commands/explain.ts'
import { readCommandLine } from '../../src/commands/usage.ts'
import { configOf } from '../config/support.ts'
import { type ConsulAgent, startConsul } from '../support/consul.ts'
import { listenOnLoopback } from '../support/loopback.ts'
import { waitFor } from '../support/wait.ts'

let consul: ConsulAgent
const places = new Map<string, number>()
const cleanups: (() => Promise<unknown>)[] = []
const ofTest: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  consul = await startConsul()
  cleanups.push(() => consul.stop())
  for (const name of ['a', 'b', 'c']) {
    const server = createServer(({ url, headers }, response) => {
      response.end(JSON.stringify({ name, url, prefix: headers['x-forwarded-prefix'] ?? null, host: headers.host }))
    })
    places.set(name, await listenOnLoopback(server, cleanups))
  }
}, 60_000)
afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
afterEach(async () => {
  for (const cleanup of ofTest.splice(0).reverse()) await cleanup()
})

/** Registers instance `name` of a service with these tags, or with others than before. */
async function register(service: string, name: string, ...tags: string[]): Promise<void> {
  const at = { Address: '127.0.0.1', Port: places.get(name) ?? 0 }
  await consul.register({ Name: service, ID: `${service}-${name}`, Tags: tags, ...at })
  if (!registered.has(`${service}-${name}`)) {
    registered.add(`${service}-${name}`)
    ofTest.push(() => deregister(service, name))
  }
}
const registered = new Set<string>()

async function deregister(service: string, name: string): Promise<void> {
  if (registered.delete(`${service}-${name}`)) await consul.deregister(`${service}-${name}`)
}

interface Proxy {
  readonly app: App
  readonly port: number
  readonly log: readonly Record<string, unknown>[]
  /** Re-reads the config with `routing.fabioTags` on or off. */
  turn(on: boolean): void
}

async function start(engine: string, more = '', hold = '10s'): Promise<Proxy> {
  const log: Record<string, unknown>[] = []
  const sink = new Writable({
    write(chunk, _, done) {
      for (const line of String(chunk).split('\n').filter(Boolean)) log.push(JSON.parse(line))
      done()
    },
  })
  const configWith = (fabioTags: boolean) =>
    configOf(`
      listen: { host: 127.0.0.1, port: 0 }
      admin: { port: 0 }
      engine: ${engine}
      routing: { fabioTags: ${fabioTags} }
      admission: { hold: ${hold} }
      discovery: { consul: { address: '${consul.url}' } ${more} }
    `)
  const config = configWith(true)
  const app = await startApp({ config, log: pino({ level: 'info' }, sink), setLogLevel() {}, version: '0' })
  ofTest.push(() => app.close())
  const turn = (on: boolean) => void app.reload(configWith(on))
  return { app, port: await app.ready, log, turn }
}

interface Answer {
  readonly status: number
  /** What the instance saw; null: it was not its answer. */
  readonly seen: { readonly name: string; readonly url: string; readonly prefix: string | null } | null
  readonly headers: IncomingHttpHeaders
}

function get(port: number, path: string, host = 'shop.example'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, headers: { host }, agent: false }, (response) => {
      let text = ''
      response.on('data', (chunk) => {
        text += chunk
      })
      response.once('error', reject)
      response.once('end', () => {
        const { statusCode: status = 0, headers } = response
        resolve({ status, headers, seen: status === 200 ? JSON.parse(text) : null })
      })
    })
    asked.once('error', reject)
    asked.end()
  })
}

const path200 = async (port: number, path: string, host?: string) => (await get(port, path, host)).seen

/** Requests to a path, four at a time, until it is stopped. */
function flow(port: number, path: string) {
  const answers: Answer[] = []
  let going = true
  const lines = Array.from({ length: 4 }, async () => {
    while (going) answers.push(await get(port, path))
  })
  const stop = async () => {
    going = false
    await Promise.all(lines)
    return answers
  }
  ofTest.push(stop)
  return {
    answers,
    stop,
    /** Waits until exactly these have served the last `count` requests, each as often as the others. */
    untilEven: (...names: string[]) =>
      waitFor(`${names} serve ${path}`, () => {
        const count = 30 * names.length
        const last = answers.slice(-count).map(({ seen }) => seen?.name ?? '')
        // What is under way at a time may end in another order.
        const isEven = (name: string) => Math.abs(last.filter((each) => each === name).length - 30) <= 4
        return last.length === count && last.every((each) => names.includes(each)) && names.every(isEven)
      }),
  }
}

describe.each(['wire', 'http-proxy'])('with the engine %s', (engine) => {
  test('a route has exactly the instances that carry the tag, across services, while tags change and requests flow', async () => {
    await register('shop', 'a', 'urlprefix-/shop strip=/shop')
    await register('shop', 'b', 'urlprefix-/shop strip=/shop')
    await register('other', 'c')
    const { port } = await start(engine)
    const requests = flow(port, '/shop/basket?x=1')
    await requests.untilEven('a', 'b')
    await register('other', 'c', 'blue', 'urlprefix-/shop strip=/shop')
    await requests.untilEven('a', 'b', 'c')
    await register('shop', 'a', 'green')
    await requests.untilEven('b', 'c')
    // A rollout: one after the other wants the path whole.
    await register('shop', 'b', 'urlprefix-/shop')
    await waitFor('b sees the whole path', () => requests.answers.some(({ seen }) => seen?.url === '/shop/basket?x=1'))
    await register('other', 'c', 'urlprefix-/shop')
    const isWhole = ({ seen }: Answer) => seen?.url === '/shop/basket?x=1' && seen.prefix === null
    await waitFor('all see the whole path', () => requests.answers.slice(-20).every(isWhole))

    const answers = await requests.stop()
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    // Each saw the path as its own tag said: whole or cut, and never anything else.
    const ways = new Set(answers.map(({ seen }) => `${seen?.url} ${seen?.prefix}`))
    expect([...ways].sort()).toEqual(['/basket?x=1 /shop', '/shop/basket?x=1 null'])
    expect(answers.some(({ seen }) => seen?.name === 'c' && seen.prefix === '/shop')).toBe(true)
    // Services are there by their names, too.
    expect(await path200(port, '/other/x')).toMatchObject({ name: 'c', url: '/x', prefix: '/other' })
    expect((await get(port, '/nobody/x')).status).toBe(404)
  }, 60_000)

  test('hosts and paths choose the route; what leaves its route is refused', async () => {
    await register('web', 'a', 'urlprefix-www.example/', 'urlprefix-*.example/static prepend=/files')
    await register('api', 'b', 'urlprefix-/', 'urlprefix-WWW.example/api strip=/api')
    const { port } = await start(engine)
    const seen = async (path: string, host: string) => {
      const { name, url } = (await path200(port, path, host)) ?? {}
      return `${name} ${url}`
    }
    await waitFor('all are known', async () => (await seen('/', 'www.example')) === 'a /')
    expect(await seen('/x', 'WWW.EXAMPLE:80')).toBe('a /x')
    expect(await seen('/api/y', 'www.example')).toBe('b /y')
    expect(await seen('/apix', 'www.example')).toBe('b /x')
    expect(await seen('/static/1', 'cdn.example')).toBe('a /files/static/1')
    expect(await seen('/zzz', 'cdn.example')).toBe('b /zzz')
    expect(await seen('/%61pi/%79', 'www.example')).toBe('b /%79')
    expect((await get(port, '/api/../admin', 'www.example')).status).toBe(400)
    expect((await get(port, '/api/%2e%2e/admin', 'www.example')).status).toBe(400)
  }, 60_000)

  test('who cannot serve a route, or must not as fabio would, makes it 503; it falls to nobody else, and is told once', async () => {
    await register('all', 'a', 'urlprefix-/')
    await register('secret', 'b', 'urlprefix-/secret deny=ip:192.0.2.0/24')
    await register('secret', 'c', 'urlprefix-/secret deny=ip:192.0.2.0/24')
    await register('ill', 'c', 'urlprefix-/ill')
    const { app, port, log } = await start(engine)
    await waitFor('all are known', async () => (await get(port, '/ill')).seen?.name === 'c')
    const refused = await get(port, '/secret/x')
    expect(refused.status).toBe(503)
    expect((await get(port, '/sec')).seen?.name).toBe('a')
    const odd = await waitFor('it is logged', () => {
      const lines = log.filter(({ oddity }) => oddity === 'bad-route-tag')
      return lines.length > 0 && lines
    })
    expect(odd).toEqual([
      expect.objectContaining({
        service: 'secret',
        msg: expect.stringContaining('deny=ip:192.0.2.0/24 is not understood'),
      }),
    ])

    await consul.maintenance('ill-c', true, 'new disk')
    await waitFor('it is out', async () => (await get(port, '/ill')).status === 503)
    const line = readCommandLine(['explain', '/ill', '--admin', `127.0.0.1:${app.adminPort}`])
    if (line.kind !== 'explain') throw new Error(JSON.stringify(line))
    let text = ''
    const write = (piece: string) => {
      text += piece
    }
    expect(await explain(line, {}, write, write)).toBe(0)
    expect(text).toMatch(/^\/ill: Its one instance gets no requests: .* ill-c .*it is in maintenance mode\.\n$/s)
    await consul.maintenance('ill-c', false)
    await waitFor('it is back', async () => (await get(port, '/ill')).seen?.name === 'c')
  }, 60_000)
})

test('an instance that the catalog forgets stays on its route while it is held, and what its route shows is heard', async () => {
  await register('alone', 'a', 'urlprefix-/lone/way')
  const { app, port, log } = await start('wire', '', '4s')
  const requests = flow(port, '/lone/way')
  await requests.untilEven('a')
  await deregister('alone', 'a')
  const said = (words: string) => () =>
    log.find(({ service, msg }) => service === 'alone' && String(msg).includes(words)) ?? false
  await waitFor('its leaving is held', said('are held'))
  await requests.untilEven('a')
  // Two reads would have confirmed it by now of an endpoint that nobody asks.
  await waitFor('it is gone', said('held endpoints are gone'))
  expect(log.filter(({ msg }) => String(msg).includes('held endpoints are gone'))).toEqual([
    expect.objectContaining({ service: 'alone', msg: expect.stringContaining('the hold is over') }),
  ])
  await waitFor('so is its route', async () => (await get(port, '/lone/way')).status === 404)
  const answers = await requests.stop()
  const firstFailure = answers.findIndex(({ status }) => status !== 200)
  expect(firstFailure).toBeGreaterThan(60)
  expect(answers.slice(firstFailure + 4).every(({ status }) => status === 404)).toBe(true)
  const metrics = await (await fetch(`http://127.0.0.1:${app.adminPort}/metrics`)).text()
  expect(metrics).toMatch(/evenkeel_requests_total\{service="\/lone\/way",method="GET",code="200"\} \d+/)
}, 60_000)

test('an endpoint that is drained by hand gets no request on its routes either', async () => {
  for (const name of ['a', 'b']) await register('drained', name, 'urlprefix-/by-hand')
  const { app, port } = await start('wire')
  const requests = flow(port, '/by-hand')
  await requests.untilEven('a', 'b')
  const say = async (action: string) => {
    const place = `http://127.0.0.1:${app.adminPort}/api/services/drained/endpoints/127.0.0.1:${places.get('a')}`
    expect((await fetch(`${place}/${action}`, { method: 'POST' })).status).toBe(200)
  }
  await say('drain')
  await requests.untilEven('b')
  await say('undrain')
  await requests.untilEven('a', 'b')
  expect((await requests.stop()).filter(({ status }) => status !== 200)).toEqual([])
}, 60_000)

test('turned off and on again by a re-read config: routes are gone at once, and come back; services never notice', async () => {
  for (const name of ['a', 'b']) await register('turned', name, 'urlprefix-/by/tag')
  const { app, port, turn } = await start('wire')
  const requests = flow(port, '/turned/x')
  await requests.untilEven('a', 'b')
  expect((await get(port, '/by/tag')).status).toBe(200)
  turn(false)
  expect((await get(port, '/by/tag')).status).toBe(404)
  const services = async () => {
    const response = await fetch(`http://127.0.0.1:${app.adminPort}/api/services`)
    const list = (await response.json()) as readonly { name: string; inCatalog: boolean }[]
    return list.filter(({ inCatalog }) => inCatalog).map(({ name }) => name)
  }
  await waitFor('the route has no pool any more', async () => !(await services()).includes('/by/tag'))
  turn(true)
  await waitFor('the route is back', async () => (await get(port, '/by/tag')).status === 200)
  expect((await services()).includes('/by/tag')).toBe(true)
  await requests.untilEven('a', 'b')
  expect((await requests.stop()).filter(({ status }) => status !== 200)).toEqual([])
}, 60_000)

test('routes survive a restart while Consul is away', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-fabio-'))
  ofTest.push(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'catalog.json')
  const own = await startConsul()
  ofTest.push(() => own.stop())
  await own.register({
    Name: 'kept',
    Address: '127.0.0.1',
    Port: places.get('a') ?? 0,
    Tags: ['urlprefix-kept.example/k'],
  })
  const from = `, snapshot: '${file}'`
  const shared = consul
  consul = own
  try {
    const first = await start('wire', from)
    await waitFor('it is routed', async () => (await get(first.port, '/k', 'kept.example')).status === 200)
    await waitFor('it is written', async () => (await readFile(file, 'utf8').catch(() => '')).includes('kept.example'))
    await first.app.close()
    await own.kill('SIGKILL')
    const second = await start('wire', from)
    expect((await get(second.port, '/k', 'kept.example')).seen).toMatchObject({ name: 'a', url: '/k' })
    expect((await get(second.port, '/k', 'other.example')).status).toBe(404)
  } finally {
    consul = shared
  }
}, 60_000)
