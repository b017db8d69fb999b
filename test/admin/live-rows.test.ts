import { describe, expect, it } from 'vitest'
import { cheapFinder, detailOf, mostBlocks, mostDetails, rowOf } from '../../src/admin/live-rows.ts'
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
      'no connection: ECONNREFUSED',
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

describe('what is told of a service that is opened', () => {
  const atMs = 1_700_000_000_000

  it('is each endpoint’s share against its due, its state and why, and its last faults, newest first', () => {
    const service = serviceView('quotes', {
      endpoints: [
        endpointView(80, { recentPicks: 30, idealShare: 1, warmth: 0.5, stateForMs: Number.POSITIVE_INFINITY }),
        endpointView(81, {
          ...{ state: 'ejected', reason: 'fault-rate', ejectedForMs: 4_000, stateForMs: 26_000, recentPicks: 10 },
          idealShare: 0,
          faults: [
            { agoMs: 28_000, outcome: { kind: 'responded', status: 503, relayed: true }, request: null },
            { agoMs: 26_000, outcome: { kind: 'timed-out', phase: 'connect' }, request: 'r-2' },
          ],
        }),
      ],
    })
    const [good, bad] = detailOf(service, 'quotes', atMs, nobody).endpoints
    expect(good).toMatchObject({ block: 'h', share: 0.75, idealShare: 1, warmth: 0.5, why: null, sinceMs: 0 })
    expect(bad).toMatchObject({
      ...{ block: 'e', share: 0.25, idealShare: 0, sinceMs: atMs - 26_000 },
      why: 'ejected for fault-rate; the next probe may go in 4.0 s',
      faults: [
        { atMs: atMs - 26_000, what: 'timed out: connect' },
        { atMs: atMs - 28_000, what: 'answered 503' },
      ],
    })
  })

  it('has no share before there was a request', () => {
    const service = serviceView('q', { endpoints: [endpointView(80)] })
    expect(detailOf(service, 'q', atMs, nobody).endpoints[0]?.share).toBeNull()
  })

  it('is bounded in number and length, and printable', () => {
    const long = `\u0000${'x'.repeat(5_000)}`
    const service = serviceView('q', {
      endpoints: Array.from({ length: 150 }, (_, at) => endpointView(1_000 + at, { instance: long })),
      absent: Array.from({ length: 130 }, () => ({ instance: long, address: long, reason: long })),
      drainedAway: [{ endpoint: '10.0.0.7:80', by: long, agoMs: 5 }],
    })
    const detail = detailOf(service, 'q', atMs, nobody)
    expect([detail.endpoints.length, detail.absent.length, detail.more]).toEqual([mostDetails, mostDetails, 80])
    expect(detail.absent[0]?.why).toMatch(/^\?x{298}…$/)
    expect(detail.drainedAway).toMatchObject([{ endpoint: '10.0.0.7:80' }])
    expect(JSON.stringify(detail).length).toBeLessThan(200_000)
  })
})
