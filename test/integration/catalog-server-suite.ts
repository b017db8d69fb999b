/**
 * What must a server answer to pass for Consul? One suite over Consul's documented HTTP API, and our own source on top
 * of it. It runs against a real agent and against the demo's catalog, so that both answer alike.
 */

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Followed, followConsul } from '../discovery/follow.ts'
import { type CatalogApi, catalogApi } from '../support/consul-api.ts'
import { waitFor } from '../support/wait.ts'

export interface CatalogServer {
  readonly url: string
  stop(): Promise<void>
}

interface HealthEntry {
  readonly Node: { readonly Node: string; readonly Address: string }
  readonly Service: {
    readonly ID: string
    readonly Service: string
    readonly Address: string
    readonly Port: number
    readonly Tags: readonly string[]
    readonly Meta: Readonly<Record<string, string>> | null
    readonly Weights: { readonly Passing: number; readonly Warning: number }
  }
  readonly Checks: readonly {
    readonly CheckID: string
    readonly Name: string
    readonly Status: string
    readonly ServiceID: string
  }[]
}

/**
 * Declares the suite.
 * @param start starts one server for all of it; every test uses service names of its own
 */
export function describeCatalogServer(title: string, start: () => Promise<CatalogServer>): void {
  describe(title, () => {
    let server: CatalogServer
    let api: CatalogApi
    beforeAll(async () => {
      server = await start()
      api = catalogApi(server.url)
    })
    afterAll(() => server?.stop())

    describeApi(() => api)
    describeSource(() => api)
  })
}

function describeApi(use: () => CatalogApi): void {
  let api: CatalogApi
  beforeAll(() => {
    api = use()
  })
  const health = async (path: string) => (await api.get(`/v1/health/service/${path}`)).body as HealthEntry[]
  const indexOf = async (path: string) => {
    const { index } = await api.get(path)
    expect(index).toMatch(/^[1-9]\d*$/)
    return String(index)
  }

  test('a registered instance is listed by name with its tags, and by health with all that was said of it', async () => {
    await api.register({
      Name: 'listed',
      ID: 'listed-1',
      Address: '127.0.0.9',
      Port: 8001,
      Tags: ['blue', 'green'],
      Meta: { version: '7' },
      Weights: { Passing: 5, Warning: 2 },
      Check: { CheckID: 'listed-ttl', Name: 'beat', TTL: '60s', Status: 'passing' },
    })
    const names = await waitFor('the name is listed', async () => {
      const { body } = await api.get('/v1/catalog/services')
      return (body as Record<string, string[]>).listed
    })
    expect([...names].sort()).toEqual(['blue', 'green'])
    const [entry, ...others] = await health('listed')
    expect(others).toEqual([])
    expect(entry?.Node.Address).toBe('127.0.0.1')
    expect(entry?.Service).toMatchObject({
      ID: 'listed-1',
      Service: 'listed',
      Address: '127.0.0.9',
      Port: 8001,
      Tags: ['blue', 'green'],
      Meta: { version: '7' },
      Weights: { Passing: 5, Warning: 2 },
    })
    expect(entry?.Checks.find((check) => check.CheckID === 'listed-ttl')).toMatchObject({
      Name: 'beat',
      Status: 'passing',
      ServiceID: 'listed-1',
    })
  })

  test('what a registration leaves out has defaults: id, address, weights, check id; a TTL check starts critical', async () => {
    await api.register({ Name: 'sparse', Port: 8002, Check: { TTL: '60s' } })
    const [entry] = await waitFor('it is listed', async () => {
      const entries = await health('sparse')
      return entries.length > 0 && entries
    })
    expect(entry?.Service).toMatchObject({ ID: 'sparse', Address: '', Weights: { Passing: 1, Warning: 1 } })
    const check = entry?.Checks.find((candidate) => candidate.ServiceID === 'sparse')
    expect(check).toMatchObject({ CheckID: 'service:sparse', Status: 'critical' })
    await api.setCheck('service:sparse', 'pass')
    await waitFor('it passes', async () => (await health('sparse?passing')).length === 1)
  })

  test('registering an id again replaces the instance', async () => {
    await api.register({ Name: 'again', ID: 'again-1', Port: 8001 })
    await api.register({ Name: 'again', ID: 'again-1', Port: 8002 })
    await waitFor('the new port is there', async () => {
      const entries = await health('again')
      return entries.length === 1 && entries[0]?.Service.Port === 8002
    })
  })

  test('`passing` leaves out what is warning, critical or in maintenance', async () => {
    for (const state of ['good', 'warns', 'fails', 'mended']) {
      const check = { CheckID: `p-${state}`, TTL: '60s', Status: 'passing' } as const
      await api.register({ Name: 'choosy', ID: state, Port: 8000, Check: check })
    }
    await api.setCheck('p-warns', 'warn', 'so so')
    await api.setCheck('p-fails', 'fail', 'bad')
    await api.maintenance('mended', true, 'oiling')
    const ids = async (path: string) => (await health(path)).map((entry) => entry.Service.ID).sort()
    await waitFor('only one passes', async () => (await ids('choosy?passing')).join() === 'good')
    expect(await ids('choosy')).toEqual(['fails', 'good', 'mended', 'warns'])
    const mended = (await health('choosy')).find((entry) => entry.Service.ID === 'mended')
    expect(mended?.Checks.find((check) => check.CheckID === '_service_maintenance:mended')?.Status).toBe('critical')
    await api.maintenance('mended', false)
    await waitFor('it is back', async () => (await ids('choosy?passing')).join() === 'good,mended')
  })

  test('deregistering the last instance takes the name away', async () => {
    await api.register({ Name: 'passing-by', ID: 'passing-by-1', Port: 8001 })
    const listed = async () => 'passing-by' in ((await api.get('/v1/catalog/services')).body as object)
    await waitFor('it is listed', listed)
    await api.deregister('passing-by-1')
    await waitFor('it is gone', async () => !(await listed()))
    expect(await health('passing-by')).toEqual([])
  })

  test('a service that nobody has registered is an empty list with an index', async () => {
    const { body } = await api.get('/v1/health/service/never-was')
    expect(body).toEqual([])
    await indexOf('/v1/health/service/never-was')
  })

  test('a blocking query of one service answers when a check flips, with a greater index', async () => {
    await api.register({
      Name: 'woken',
      ID: 'woken-1',
      Port: 8001,
      Check: { CheckID: 'woken-ttl', TTL: '60s', Status: 'passing' },
    })
    await waitFor('it is listed', async () => (await health('woken')).length === 1)
    const index = await indexOf('/v1/health/service/woken')
    const woken = api.get(`/v1/health/service/woken?index=${index}&wait=15s`)
    await api.setCheck('woken-ttl', 'fail')
    const answer = await woken
    expect(BigInt(answer.index ?? 0)).toBeGreaterThan(BigInt(index))
    const [entry] = answer.body as HealthEntry[]
    expect(entry?.Checks.find((check) => check.CheckID === 'woken-ttl')?.Status).toBe('critical')
  })

  test('a blocking query of the names answers when a name comes and when it goes', async () => {
    const before = await indexOf('/v1/catalog/services')
    const coming = api.get(`/v1/catalog/services?index=${before}&wait=15s`)
    await api.register({ Name: 'newcomer', ID: 'newcomer-1', Port: 8001 })
    const come = await coming
    expect(come.body).toHaveProperty('newcomer')
    const going = api.get(`/v1/catalog/services?index=${come.index}&wait=15s`)
    await api.deregister('newcomer-1')
    expect((await going).body).not.toHaveProperty('newcomer')
  })

  test('a blocking query without a change waits, then answers the same under the same index', async () => {
    await api.register({ Name: 'quiet', ID: 'quiet-1', Port: 8001 })
    await waitFor('it is listed', async () => (await health('quiet')).length === 1)
    for (const path of ['/v1/health/service/quiet', '/v1/catalog/services']) {
      // A real agent now and then brings its own record up to date, which is a change too.
      await waitFor('a second without a change', async () => {
        const { index, body } = await api.get(path)
        const asked = performance.now()
        const answer = await api.get(`${path}?index=${index}&wait=1s`)
        if (answer.index !== index) return false
        expect(inOrder(answer.body)).toEqual(inOrder(body))
        expect(performance.now() - asked).toBeGreaterThan(900)
        return true
      })
    }
  })

  test('a change of another service does not wake the query of this one', async () => {
    await api.register({ Name: 'asleep', ID: 'asleep-1', Port: 8001 })
    await api.register({
      Name: 'noisy',
      ID: 'noisy-1',
      Port: 8002,
      Check: { CheckID: 'noisy-ttl', TTL: '60s', Status: 'passing' },
    })
    await waitFor('both are listed', async () => (await health('asleep')).length + (await health('noisy')).length === 2)
    await waitFor('a second of sleep beside the noise', async () => {
      const index = await indexOf('/v1/health/service/asleep')
      const sleeping = api.get(`/v1/health/service/asleep?index=${index}&wait=1s`)
      for (const to of ['fail', 'pass', 'fail', 'pass'] as const) await api.setCheck('noisy-ttl', to)
      return (await sleeping).index === index
    })
  })

  test.each([
    ['GET', '/v1/health/service/listed?index=abc', 400],
    ['GET', '/v1/health/service/listed?index=1&wait=soon', 400],
    ['GET', '/v1/agent/service/register', 405],
    ['GET', '/v1/agent/service/deregister/listed-1', 405],
    ['GET', '/v1/no/such/endpoint', 404],
  ])('%s %s is refused with %i', async (method, path, status) => {
    expect((await api.send(method, path)).status).toBe(status)
  })

  test('a registration without a name, or with a weight of 0, is refused', async () => {
    expect((await api.send('PUT', '/v1/agent/service/register', { Port: 8001 })).status).toBe(400)
    const weightless = { Name: 'weightless', Weights: { Passing: 0, Warning: 1 } }
    expect((await api.send('PUT', '/v1/agent/service/register', weightless)).status).toBe(400)
  })

  test('setting a check that nobody has registered is an error', async () => {
    expect((await api.send('PUT', '/v1/agent/check/pass/no-such-check')).status).toBeGreaterThanOrEqual(400)
  })
}

function describeSource(use: () => CatalogApi): void {
  let api: CatalogApi
  beforeAll(() => {
    api = use()
  })

  /** Follows one service only, so that tests do not see each other. */
  async function following(name: string, story: (followed: Followed) => Promise<void>): Promise<void> {
    const followed = followConsul(api.url, { include: [name] })
    try {
      await story(followed)
      expect(followed.errors).toEqual([])
    } finally {
      await followed.stop()
    }
  }

  test('our source sees a registration, a second one, and a deregistration', async () => {
    await following('crew', async (crew) => {
      await crew.until('crew', undefined)
      await api.register({ Name: 'crew', ID: 'crew-2', Address: '10.0.0.2', Port: 8002 })
      await crew.until('crew', ['10.0.0.2:8002*1'])
      await api.register({ Name: 'crew', ID: 'crew-1', Port: 8001 })
      await crew.until('crew', ['10.0.0.2:8002*1', '127.0.0.1:8001*1'])
      await api.deregister('crew-2')
      await crew.until('crew', ['127.0.0.1:8001*1'])
      await api.deregister('crew-1')
      await crew.until('crew', undefined)
    })
  })

  test('our source sees each flip of a TTL check, and says why an instance is absent', async () => {
    const check = { CheckID: 'flip-ttl', Name: 'heartbeat', TTL: '60s', Status: 'passing' } as const
    await api.register({ Name: 'flip', ID: 'flip-1', Port: 8001, Check: check })
    await following('flip', async (flip) => {
      for (let round = 0; round < 5; round += 1) {
        await flip.until('flip', ['127.0.0.1:8001*1'])
        await api.setCheck('flip-ttl', 'fail', 'out of breath')
        await flip.until('flip', [])
        expect(flip.service('flip')?.absent).toEqual([
          { instance: 'flip-1', address: '127.0.0.1:8001', reason: 'check "heartbeat" is critical' },
        ])
        await api.setCheck('flip-ttl', 'pass')
      }
      await flip.until('flip', ['127.0.0.1:8001*1'])
    })
  })

  test('our source sees a TTL check run out', async () => {
    const check = { CheckID: 'expiry', TTL: '1s', Status: 'passing' } as const
    await api.register({ Name: 'expiring', ID: 'expiring-1', Port: 8001, Check: check })
    await following('expiring', async (expiring) => {
      await expiring.until('expiring', [])
      await api.setCheck('expiry', 'pass')
      await expiring.until('expiring', ['127.0.0.1:8001*1'])
      await expiring.until('expiring', [])
    })
  })

  test('our source gives a passing instance its passing weight and a warning one its warning weight', async () => {
    const check = { CheckID: 'weighed-ttl', TTL: '60s', Status: 'passing' } as const
    const weights = { Passing: 10, Warning: 3 }
    await api.register({ Name: 'weighed', ID: 'weighed-1', Port: 8001, Weights: weights, Check: check })
    await following('weighed', async (weighed) => {
      await weighed.until('weighed', ['127.0.0.1:8001*10'])
      await api.setCheck('weighed-ttl', 'warn')
      await weighed.until('weighed', ['127.0.0.1:8001*3'])
      await api.setCheck('weighed-ttl', 'pass')
      await weighed.until('weighed', ['127.0.0.1:8001*10'])
    })
  })

  test('our source takes the worst of several checks', async () => {
    const checks = ['several-a', 'several-b'].map((id) => ({
      CheckID: id,
      Name: id,
      TTL: '60s',
      Status: 'passing' as const,
    }))
    await api.register({ Name: 'several', ID: 'several-1', Port: 8001, Checks: checks })
    await following('several', async (several) => {
      await several.until('several', ['127.0.0.1:8001*1'])
      await api.setCheck('several-b', 'fail')
      await several.until('several', [])
      await api.setCheck('several-a', 'warn')
      await api.setCheck('several-b', 'pass')
      await several.until('several', ['127.0.0.1:8001*1'])
    })
  })

  test('our source takes an instance in maintenance out of rotation, and back', async () => {
    await api.register({ Name: 'mending', ID: 'mending-1', Port: 8001 })
    await following('mending', async (mending) => {
      await mending.until('mending', ['127.0.0.1:8001*1'])
      await api.maintenance('mending-1', true, 'new rudder')
      await mending.until('mending', [])
      expect(mending.service('mending')?.absent.map((instance) => instance.reason)).toEqual(['in maintenance mode'])
      await api.maintenance('mending-1', false)
      await mending.until('mending', ['127.0.0.1:8001*1'])
    })
  })

  test('our source sees a real HTTP check go critical and come back', async () => {
    let status = 200
    const checked = createServer((_, answer) => {
      answer.writeHead(status).end()
    })
    checked.listen(0, '127.0.0.1')
    await once(checked, 'listening')
    const { port } = checked.address() as AddressInfo
    try {
      const check = { CheckID: 'probed-http', Name: 'http', HTTP: `http://127.0.0.1:${port}/`, Interval: '1s' }
      await api.register({ Name: 'probed', ID: 'probed-1', Port: port, Check: check })
      await following('probed', async (probed) => {
        await probed.until('probed', [`127.0.0.1:${port}*1`])
        status = 503
        await probed.until('probed', [])
        expect(probed.service('probed')?.absent[0]?.reason).toBe('check "http" is critical')
        status = 200
        await probed.until('probed', [`127.0.0.1:${port}*1`])
      })
    } finally {
      await api.deregister('probed-1')
      checked.closeAllConnections()
      checked.close()
    }
  })
}

/** The same answer with its lists of names sorted: a real agent gives the tags of a service in any order. */
function inOrder(body: unknown): unknown {
  if (Array.isArray(body)) return body.every((item) => typeof item === 'string') ? [...body].sort() : body.map(inOrder)
  if (typeof body !== 'object' || body === null) return body
  return Object.fromEntries(Object.entries(body).map(([key, value]) => [key, inOrder(value)]))
}
