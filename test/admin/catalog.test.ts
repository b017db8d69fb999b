import { afterEach, describe, expect, it } from 'vitest'
import type { AdminDeps } from '../../src/admin/server.ts'
import { nothingRead } from '../../src/discovery/source.ts'
import { endpointView, plainCatalog, serviceView, suspect, tableView } from './fixtures.ts'
import { closeAll, raw, start } from './server-setup.ts'

afterEach(closeAll)

const held = suspect('quotes', 80)
const kept = suspect('quotes', 81, { doubt: 'many-services', kept: true })
const doubted: Partial<AdminDeps> = {
  catalog: () => ({
    ...plainCatalog,
    suspects: [held, kept],
    snapshot: { path: '/var/lib/evenkeel/catalog.json', found: 'read', inUse: true },
  }),
  view: () => tableView(serviceView('quotes', { endpoints: [endpointView(80), endpointView(81), endpointView(82)] })),
}

describe('a catalog in doubt', () => {
  it('is told on /api/catalog, endpoint by endpoint', async () => {
    const response = await (await start(doubted)).get('/api/catalog')
    expect(await response.json()).toEqual({
      state: 'fresh',
      ageMs: 1234,
      admission: { enabled: true, holdMs: 10_000, held: 1, kept: 1 },
      suspects: [
        {
          service: 'quotes',
          endpoint: '10.0.0.1:80',
          instance: 'i-80',
          doubt: 'service-emptied',
          state: 'held',
          forMs: 4_000,
          decidedInMs: 6_000,
          confirmingReads: 1,
          why: 'held: an answer names no endpoint of this service any more; decided in 6.0 s at the latest',
        },
        expect.objectContaining({ endpoint: '10.0.0.1:81', state: 'kept', decidedInMs: null }),
      ],
      source: null,
      snapshot: { path: '/var/lib/evenkeel/catalog.json', found: 'read', inUse: true },
      failure: null,
      standbyFailures: {},
    })
  })

  it('is told on /readyz, which stays ready', async () => {
    const response = await (await start(doubted)).get('/readyz')
    expect(response.status).toBe(200)
    expect((await response.text()).split('\n')).toEqual([
      'fresh',
      'catalog confirmed 1.2 s ago',
      'served from the snapshot',
      'endpoints held: 1; the last answer leaves them out',
      'endpoints kept: 1; the catalog has lost them, and they answer',
      '',
    ])
  })

  it('of several sources is told on /readyz by those that have not confirmed it', async () => {
    const parts = [
      { source: 'consul', state: 'fresh', services: 3, confirmedAgoMs: 100 },
      { source: 'eureka', state: 'stale', services: 2, confirmedAgoMs: 31_000 },
      { source: 'etcd', state: 'silent', services: 0, confirmedAgoMs: null },
    ] as const
    const source = { ...nothingRead, parts }
    const response = await (await start({ catalog: () => ({ ...plainCatalog, source }) })).get('/readyz')
    expect((await response.text()).split('\n').slice(2)).toEqual([
      'eureka is stale, confirmed 31.0 s ago',
      'etcd has not answered yet',
      '',
    ])
  })

  it('is told of each endpoint concerned, and counted in the list of services', async () => {
    const { get } = await start(doubted)
    expect(await (await get('/api/services')).json()).toMatchObject([{ name: 'quotes', suspects: 2 }])
    expect(await (await get('/api/services/quotes')).json()).toMatchObject({
      endpoints: [
        {
          endpoint: '10.0.0.1:80',
          inRotation: true,
          suspect: { state: 'held' },
          why: expect.stringMatching(/^held: /),
        },
        {
          endpoint: '10.0.0.1:81',
          inRotation: true,
          suspect: { state: 'kept' },
          why: expect.stringMatching(/^kept, /),
        },
        { endpoint: '10.0.0.1:82', inRotation: true, suspect: null, why: null },
      ],
    })
  })
})

describe('POST /api/catalog/accept', () => {
  const accepting = async () => {
    let accepted = 0
    const { get, port } = await start({
      acceptCatalog: () => {
        accepted += 1
        return 7
      },
    })
    return {
      port,
      post: (headers: Record<string, string> = {}, path = '/api/catalog/accept') =>
        get(path, { method: 'POST', headers }),
      accepted: () => accepted,
    }
  }

  it('applies the last answer, and says how many endpoints are gone', async () => {
    const { post, accepted } = await accepting()
    const response = await post()
    expect([response.status, await response.json(), accepted()]).toEqual([200, { endpointsGone: 7 }, 1])
  })

  it.each([
    ['a page of another site, by its Origin', { origin: 'http://evil.example' }],
    ['a page of another site, by what the browser says of it', { 'sec-fetch-site': 'cross-site' }],
    ['whoever is passed on by a proxy on this machine', { 'x-forwarded-for': '203.0.113.9' }],
    ['a page whose name was rebound to this machine', { host: 'evil.example', origin: 'http://evil.example' }],
  ])('is refused to %s', async (_, headers) => {
    const { port, accepted } = await accepting()
    const lines = Object.entries({ host: '127.0.0.1', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
    const answer = await raw(port, `POST /api/catalog/accept HTTP/1.1\r\n${lines.join('')}connection: close\r\n\r\n`)
    expect([answer.split(' ')[1], accepted()]).toEqual(['403', 0])
  })

  it('exists with no other method, and no other path takes a POST', async () => {
    const { post, accepted } = await accepting()
    const { get } = await start()
    const wrongMethod = await get('/api/catalog/accept')
    expect([wrongMethod.status, wrongMethod.headers.get('allow')]).toEqual([405, 'POST'])
    const wrongPath = await post({}, '/api/catalog')
    expect([wrongPath.status, wrongPath.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    expect(accepted()).toBe(0)
  })
})
