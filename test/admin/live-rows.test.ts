import { describe, expect, it } from 'vitest'
import type { CatalogStatus } from '../../src/admin/catalog.ts'
import { explainService } from '../../src/admin/explain.ts'
import { cheapFinder, detailOf, isAlike, mostBlocks, mostDetails, movedJson, rowOf } from '../../src/admin/live-rows.ts'
import type { ServiceView } from '../../src/balancer/view.ts'
import { defaults as outlier } from '../balancer/world.ts'
import { endpointView, plainCatalog, serviceView, suspect } from './fixtures.ts'

const traffic = { rate: 0, errorShare: null, p50Ms: null, p99Ms: null, last: [0, 0] } as const
const nobody = cheapFinder(plainCatalog)

describe('a row', () => {
  it('has a block for each endpoint and each instance that is kept out', () => {
    const service = serviceView('quotes', {
      endpoints: [
        endpointView(80, { inFlight: 2 }),
        endpointView(81, { withheld: 'cap', reason: 'fault-rate' }),
        endpointView(82),
        endpointView(83, { state: 'ejected', inFlight: 1 }),
        endpointView(84, { state: 'probing' }),
        endpointView(85, { state: 'drained' }),
      ],
      absent: [
        { instance: 'q-9', address: '10.0.0.9:80', reason: 'in maintenance mode' },
        { instance: '', address: '', reason: 'not read yet', unread: true },
      ],
    })
    const find = cheapFinder({ ...plainCatalog, suspects: [suspect('quotes', 82)] })
    expect(rowOf(service, 'quotes', traffic, find)).toMatchObject({
      blocks: 'hfuepda',
      counts: { h: 1, f: 1, u: 1, e: 1, p: 1, d: 1, a: 1 },
      inFlight: 3,
      panic: false,
    })
  })

  it('says in a few words what is wrong with the first one that is not as it should be', () => {
    const refused = [{ agoMs: 5, outcome: { kind: 'connect-failed', code: 'ECONNREFUSED' }, request: null }] as const
    const absent = [{ instance: 'q-9', address: '10.0.0.9:80', reason: `in maintenance mode${'!'.repeat(200)}` }]
    const cause = (...endpoints: readonly ReturnType<typeof endpointView>[]) =>
      rowOf(serviceView('q', { endpoints, absent }), 'q', traffic, nobody).cause
    expect(cause(endpointView(80), endpointView(81, { state: 'ejected', faults: refused }))).toBe(
      'no connection: refused (ECONNREFUSED)',
    )
    expect(cause(endpointView(80, { state: 'drained', drained: { by: 'pat', agoMs: 5 } }))).toBe('by pat')
    // A healthy one has had faults, too.
    expect(cause(endpointView(80, { faults: refused }))).toMatch(/^in maintenance mode!+…$/)
  })

  it('tells of panic while it is of late', () => {
    const at = (agoMs: number) => rowOf(serviceView('q', { panic: { picks: 3, agoMs } }), 'q', traffic, nobody).panic
    expect([at(500), at(60_000)]).toEqual([true, false])
  })

  it('has no more blocks than can be looked at, and counts them all', () => {
    const endpoints = Array.from({ length: 300 }, (_, at) => endpointView(1_000 + at))
    const row = rowOf(serviceView('q', { endpoints }), 'q', traffic, nobody)
    expect(row.blocks).toHaveLength(mostBlocks)
    expect(row.counts).toEqual({ h: 300 })
  })
})

describe('two rows', () => {
  const service = serviceView('q', { endpoints: [endpointView(80)] })
  const row = rowOf(service, 'q', traffic, nobody)

  it.each([
    ['an endpoint is another', { endpoints: [endpointView(80, { state: 'ejected' })] }],
    ['there is one more than has a block', { endpoints: Array.from({ length: 49 }, () => endpointView(80)) }],
    ['it has left', { inCatalog: false }],
    ['there is panic', { panic: { picks: 1, agoMs: 5 } }],
    ['something is kept out', { absent: [{ instance: '', address: '', reason: 'why', unread: true }] }],
  ] as const)('are not alike when %s', (_, fields) => {
    const base = rowOf(
      { ...service, endpoints: Array.from({ length: 48 }, () => endpointView(80)) },
      'q',
      traffic,
      nobody,
    )
    const before = 'endpoints' in fields && fields.endpoints.length > 2 ? base : row
    expect(isAlike(before, rowOf({ ...service, ...fields }, 'q', traffic, nobody))).toBe(false)
  })

  it('are alike when only numbers are different, and those are told in a row’s order', () => {
    const numbers = { rate: 1.5, errorShare: 0.25, p50Ms: 2, p99Ms: null, last: [3, 1] } as const
    const after = rowOf({ ...service, endpoints: [endpointView(80, { inFlight: 7 })] }, 'a"b', numbers, nobody)
    expect(isAlike(rowOf(service, 'a"b', traffic, nobody), after)).toBe(true)
    expect(JSON.parse(movedJson(after))).toEqual(['a"b', 1.5, 0.25, 2, null, 7, 3, 1])
  })
})

describe('what is told of a service that is opened', () => {
  const atMs = 1_700_000_000_000

  function detail(service: ServiceView, catalog: CatalogStatus = plainCatalog) {
    const given = { facts: null, readiness: { state: 'fresh', ageMs: 0 }, outlier, slowStartMs: null } as const
    const explained = explainService({ service, catalog, epochMs: atMs, ...given })
    return detailOf(service, service.name, atMs, explained, cheapFinder(catalog))
  }

  it('is each endpoint’s share against its due, its state and why, and its last faults, newest first', () => {
    const service = serviceView('quotes', {
      endpoints: [
        endpointView(80, { recentPicks: 30, idealShare: 1, stateForMs: Number.POSITIVE_INFINITY }),
        endpointView(81, {
          ...{ state: 'ejected', reason: 'fault-rate', ejectedForMs: 4_000, stateForMs: 26_000, recentPicks: 10 },
          idealShare: 0,
          lastEjection: { reason: 'fault-rate', agoMs: 26_000, forMs: 30_000, by: null, faults: [] },
          faults: [
            { agoMs: 28_000, outcome: { kind: 'responded', status: 503, relayed: true }, request: null },
            { agoMs: 26_000, outcome: { kind: 'timed-out', phase: 'connect' }, request: 'r-2' },
          ],
        }),
      ],
    })
    const [good, bad] = detail(service).endpoints
    expect(good).toMatchObject({ block: 'h', share: 0.75, idealShare: 1, why: null, sinceMs: 0 })
    expect(bad).toMatchObject({
      ...{ block: 'e', share: 0.25, idealShare: 0, sinceMs: atMs - 26_000 },
      why: 'Gets no requests: ejected 26 s ago for 30 s, because at least 50% of 20 or more requests in 10 s failed (outlier.faultRate); one probe request may go in 4.0 s.',
      faults: [
        { atMs: atMs - 26_000, what: 'no connection: it did not accept one in time' },
        { atMs: atMs - 28_000, what: 'answered 503' },
      ],
    })
  })

  it('is why each one is ejected, though all are and get requests all the same', () => {
    const lastEjection = { reason: 'probe-failed', agoMs: 3_000, forMs: 30_000, by: null, faults: [] } as const
    const ejected = endpointView(80, { state: 'ejected', reason: 'probe-failed', ejectedForMs: 0, lastEjection })
    const { endpoints, concerns } = detail(serviceView('q', { endpoints: [ejected], panic: { picks: 3, agoMs: 500 } }))
    const because = 'because its probe request failed; the next request to it is its probe'
    expect(endpoints[0]?.why).toBe(`Gets requests although it is ejected again 3.0 s ago for 30 s, ${because}.`)
    expect(concerns).toEqual([
      'all endpoints that may be tried are ejected: requests go to them all the same (3 so far, the last one 0.5 s ago)',
    ])
  })

  it('is since when it is so, and not since when it was well', () => {
    const pool = { size: 2, ejected: 1, failing: 1, unheard: 0 }
    const lastWithheld = { due: 'fault-rate', reason: 'cap', agoMs: 4_000, pool } as const
    const failing = endpointView(80, { stateForMs: 90_000, withheld: 'cap', reason: 'fault-rate', lastWithheld })
    const service = serviceView('q', { endpoints: [failing, endpointView(81, { stateForMs: 90_000 })] })
    const since = detail(service, { ...plainCatalog, suspects: [suspect('q', 81)] }).endpoints
    expect(since.map(({ block, sinceMs }) => [block, atMs - sinceMs])).toEqual([
      ['f', 4_000],
      ['u', 4_000],
    ])
  })

  it('says where all of it is to be had, by its whole name', () => {
    const path = (name: string) => detail(serviceView(name)).path
    expect(path(`a/b ${'x'.repeat(255)}`)).toBe(`/api/services/a%2Fb%20${'x'.repeat(255)}`)
    expect(path('a\ud800')).toBe('/api/services/a%EF%BF%BD')
    expect(path('x'.repeat(601))).toBeNull()
  })

  it('has no share before there was a request', () => {
    const service = serviceView('q', { endpoints: [endpointView(80)] })
    expect(detail(service).endpoints[0]?.share).toBeNull()
  })

  it('is bounded in number and length, and printable', () => {
    const long = `\u0000${'x'.repeat(5_000)}`
    const service = serviceView('q', {
      endpoints: Array.from({ length: 150 }, (_, at) => endpointView(1_000 + at, { instance: long })),
      absent: Array.from({ length: 130 }, () => ({ instance: long, address: long, reason: long })),
      drainedAway: [{ endpoint: '10.0.0.7:80', by: long, agoMs: 5 }],
    })
    const told = detail(service)
    expect([told.endpoints.length, told.absent.length, told.more]).toEqual([mostDetails, mostDetails, 80])
    expect(told.absent[0]?.why).toMatch(/^Gets no requests: \?x+…$/)
    expect(told.concerns).toMatchObject([expect.stringMatching(/^10\.0\.0\.7:80 was drained by \?x+…$/)])
    expect(JSON.stringify(told).length).toBeLessThan(300_000)
  })
})
