import { describe, expect, it } from 'vitest'
import { createCounters, durationBounds } from '../../src/admin/counters.ts'
import { createHistory, quantileMs, threeDigits, tickMs, ticksKept } from '../../src/admin/live-history.ts'
import { record } from './fixtures.ts'

function setup(knows: (service: string) => boolean = () => true) {
  const clock = { ms: 1_000 }
  const counters = createCounters()
  const history = createHistory(() => clock.ms, counters.services, knows)
  return {
    counters,
    history,
    requests(service: string | null, count: number, status = 200, durationMs = 8) {
      for (let number = 0; number < count; number++) counters.onRequestEnd(record({ service, status, durationMs }))
    },
    tick(count = 1) {
      for (let number = 0; number < count; number++) {
        clock.ms += tickMs
        history.sample()
      }
    },
  }
}

describe('traffic of late', () => {
  it('is nothing for a service without requests', () => {
    expect(setup().history.traffic('quotes')).toEqual({
      ...{ rate: 0, errorShare: null, p50Ms: null, p99Ms: null },
      last: [0, 0],
    })
  })

  it('is that of the ten seconds before the last tick', () => {
    const { history, requests, tick } = setup()
    requests('quotes', 20)
    tick()
    requests('quotes', 4, 503)
    expect(history.traffic('quotes')).toMatchObject({ rate: 2, errorShare: 0, last: [10, 0] })
    tick()
    expect(history.traffic('quotes')).toMatchObject({ rate: 2.4, errorShare: 0.167, last: [2, 2] })
    tick(3)
    expect(history.traffic('quotes')).toMatchObject({ rate: 2.4, last: [0, 0] })
    tick()
    expect(history.traffic('quotes')).toMatchObject({ rate: 0.4, errorShare: 1 })
    tick()
    expect(history.traffic('quotes')).toMatchObject({ rate: 0, errorShare: null, p99Ms: null })
  })

  it('sums up all services, and requests that name none', () => {
    const { history, requests, tick } = setup()
    requests('quotes', 10)
    requests('accounts', 5, 500)
    requests(null, 5, 404)
    tick()
    expect(history.total()).toEqual({ rate: 2, errorShare: 0.25 })
  })

  it('has percentiles of the answers of late, not of all', () => {
    const { history, requests, tick } = setup()
    requests('quotes', 1_000, 200, 900)
    tick(7)
    requests('quotes', 98, 200, 4)
    requests('quotes', 2, 200, 90)
    tick()
    const { p50Ms, p99Ms } = history.traffic('quotes')
    expect(p50Ms).toBeGreaterThan(2.5)
    expect(p50Ms).toBeLessThanOrEqual(5)
    expect(p99Ms).toBeGreaterThan(50)
    expect(p99Ms).toBeLessThanOrEqual(100)
  })
})

describe('the past', () => {
  it('is two minutes, oldest first, and what is older is forgotten', () => {
    const { history, requests, tick } = setup()
    requests('quotes', 2)
    tick()
    requests('quotes', 6, 500)
    tick()
    const { rates, errors } = history.past('quotes')
    expect(rates).toHaveLength(ticksKept)
    expect(rates.slice(-3)).toEqual([0, 1, 3])
    expect(errors.slice(-3)).toEqual([0, 0, 3])
    tick(ticksKept - 2)
    expect(history.past('quotes').rates.slice(0, 3)).toEqual([1, 3, 0])
    tick(2)
    expect(history.past('quotes')).toEqual({ rates: [], errors: [] })
  })

  it('of a service that left takes no memory, and it begins anew when it is back', () => {
    let isKnown = true
    const { history, requests, tick, counters } = setup((service) => service !== 'quotes' || isKnown)
    requests('quotes', 100)
    requests('accounts', 1)
    tick()
    expect(history.size()).toBe(3)
    isKnown = false
    tick()
    // Accounts, and those that name no service.
    expect(history.size()).toBe(2)
    isKnown = true
    counters.dropService('quotes')
    requests('quotes', 4)
    tick()
    expect(history.past('quotes').rates.slice(-2)).toEqual([0, 2])
    expect(history.traffic('quotes').rate).toBeLessThan(1)
  })
})

describe('the estimate of a percentile', () => {
  const counts = (filled: Readonly<Record<number, number>>) =>
    Array.from({ length: durationBounds.length + 1 }, (_, at) => filled[at] ?? 0)

  it.each([
    ['lies evenly within the bucket', { 4: 10 }, 10, 0.5, 7.5],
    ['is the upper bound when it is the last of the bucket', { 4: 10 }, 10, 1, 10],
    ['begins at 0 in the first bucket', { 0: 10 }, 10, 0.5, 0.25],
    ['skips empty buckets', { 0: 5, 9: 5 }, 10, 0.9, 450],
    ['is the last bound for what is above it', { 16: 3 }, 3, 0.5, 60_000],
  ] as const)('%s', (_, filled, total, quantile, expected) => {
    expect(quantileMs(counts(filled), total, quantile)).toBeCloseTo(expected, 6)
  })

  it('has three digits', () => {
    expect([0, 1234, 0.123456, 12.3456, 1234.56].map(threeDigits)).toEqual([0, 1234, 0.123, 12.3, 1230])
  })
})
