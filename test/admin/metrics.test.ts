import perfHooks from 'node:perf_hooks'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createMetrics } from '../../src/admin/metrics.ts'
import type { OutcomeKind } from '../../src/balancer/outcome.ts'
import type { TableView } from '../../src/balancer/view.ts'
import type { RetryReason } from '../../src/proxy/observer.ts'
import { type ReadExposition, readExposition } from './exposition.ts'
import { endpointView, record, serviceView, tableView } from './fixtures.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

const id = '10.0.0.1:80'
const quotes = tableView(serviceView('quotes', { endpoints: [endpointView(80)] }))
const openMetrics = 'application/openmetrics-text;version=1.0.0'

function setUp(first: TableView = quotes) {
  let nowMs = 1000
  let view = first
  const metrics = createMetrics({
    version: '1.2.3',
    engine: 'http-proxy',
    now: () => nowMs,
    view: () => view,
    clientConnections: () => 7,
    upstreamConnections: () => 9,
  })
  return {
    metrics,
    advance: (ms: number) => {
      nowMs += ms
    },
    setView: (next: TableView) => {
      view = next
    },
    scrape: async (): Promise<ReadExposition> => readExposition((await metrics.render(undefined)).body),
  }
}

function inText(labels: Readonly<Record<string, string>>) {
  return { service: 'quotes', ...labels }
}

describe('what is counted', () => {
  it('counts a request by service, method and the status that the client saw', async () => {
    const { metrics, scrape } = setUp()
    metrics.onRequestEnd(record({ method: 'POST', status: 201 }))
    metrics.onRequestEnd(record({ status: 499, outcome: 'client-left' }))
    metrics.onRequestEnd(record({ status: 499, outcome: 'client-left' }))
    const seen = await scrape()
    expect(seen.value('evenkeel_requests_total', inText({ method: 'POST', code: '201' }))).toBe(1)
    expect(seen.value('evenkeel_requests_total', inText({ method: 'GET', code: '499' }))).toBe(2)
  })

  it.each([
    ['GET', 'GET'],
    ['PATCH', 'PATCH'],
    ['PROPFIND', 'OTHER'],
    ['get', 'OTHER'],
    ['__proto__', 'OTHER'],
    ['OTHER', 'OTHER'],
    ['', 'OTHER'],
  ])('shows the method %j as %s', async (method, shown) => {
    const { metrics, scrape } = setUp()
    metrics.onRequestEnd(record({ method }))
    expect((await scrape()).all('evenkeel_requests_total').map((sample) => sample.labels.method)).toEqual([shown])
  })

  it.each([Number.NaN, -1, 1000, 200.5])('counts the impossible status %d as 0', async (status) => {
    const { metrics, scrape } = setUp()
    metrics.onRequestEnd(record({ status }))
    expect((await scrape()).value('evenkeel_requests_total', inText({ method: 'GET', code: '0' }))).toBe(1)
  })

  it('counts what no known service took as _unrouted, whatever the path was', async () => {
    const { metrics, scrape } = setUp()
    for (let i = 0; i < 50; i += 1) {
      metrics.onRequestEnd(
        record({ service: null, path: `/made-up-${i}/x`, status: 404, outcome: 'unknown-service', endpoint: null }),
      )
    }
    const seen = await scrape()
    expect(seen.value('evenkeel_requests_total', { service: '_unrouted', method: 'GET', code: '404' })).toBe(50)
    expect(new Set(seen.samples.map((sample) => sample.labels.service))).toEqual(
      new Set([undefined, 'quotes', '_unrouted']),
    )
  })

  it('gives no series twice when a service is really called _unrouted', async () => {
    const { metrics, scrape } = setUp(tableView(serviceView('_unrouted')))
    metrics.onRequestStart('_unrouted')
    metrics.onRequestEnd(record({ service: '_unrouted' }))
    metrics.onRequestEnd(record({ service: null }))
    const seen = await scrape()
    expect(seen.value('evenkeel_requests_total', { service: '_unrouted', method: 'GET', code: '200' })).toBe(2)
    expect(seen.value('evenkeel_requests_in_flight', { service: '_unrouted' })).toBe(0)
  })

  it('puts durations into cumulative buckets, bounds included', async () => {
    const { metrics, scrape } = setUp()
    for (const durationMs of [0, 0.5, 0.6, 30_000, 60_000, 60_001]) metrics.onRequestEnd(record({ durationMs }))
    const seen = await scrape()
    const bucket = (le: string) => seen.value('evenkeel_request_duration_seconds_bucket', inText({ le }))
    expect(['0.0005', '0.001', '10', '30', '60', '+Inf'].map(bucket)).toEqual([2, 3, 3, 4, 5, 6])
    expect(seen.value('evenkeel_request_duration_seconds_count', inText({}))).toBe(6)
    expect(seen.value('evenkeel_request_duration_seconds_sum', inText({}))).toBeCloseTo(150.0021, 6)
  })

  it('measures an upgraded connection until its 101, not for as long as it stays open', async () => {
    const { metrics, scrape } = setUp()
    metrics.onRequestEnd(record({ status: 101, durationMs: 3_600_000, firstByteMs: 4 }))
    expect((await scrape()).value('evenkeel_request_duration_seconds_sum', inText({}))).toBe(0.004)
  })

  it('counts attempts, retries, ejections, withheld ejections and panic picks', async () => {
    const { metrics, scrape } = setUp()
    metrics.onAttempt('quotes', id, 'connect-failed')
    metrics.onRetry('quotes', 'connect-failed')
    metrics.onEjected('quotes', id, 'fault-rate', 30_000)
    metrics.onRestored('quotes', id)
    metrics.onWithheld('quotes', id, 'fault-rate', 'cap')
    metrics.onPanicPick('quotes')
    const seen = await scrape()
    expect(seen.value('evenkeel_attempts_total', inText({ endpoint: id, outcome: 'connect-failed' }))).toBe(1)
    expect(seen.value('evenkeel_retries_total', inText({ reason: 'connect-failed' }))).toBe(1)
    expect(seen.value('evenkeel_ejections_total', inText({ endpoint: id, reason: 'fault-rate' }))).toBe(1)
    expect(seen.value('evenkeel_ejections_withheld_total', inText({ reason: 'cap' }))).toBe(1)
    expect(seen.value('evenkeel_panic_picks_total', inText({}))).toBe(1)
  })

  it('reads gauges from the table at the scrape', async () => {
    const { metrics, scrape } = setUp(
      tableView(
        serviceView('quotes', {
          endpoints: [endpointView(80), endpointView(81, { state: 'ejected' }), endpointView(82)],
          pickSpread: 0.5,
        }),
      ),
    )
    metrics.onRequestStart('quotes')
    metrics.onRequestStart('quotes')
    metrics.onRequestEnd(record())
    const seen = await scrape()
    expect(seen.value('evenkeel_endpoints', inText({ state: 'healthy' }))).toBe(2)
    expect(seen.value('evenkeel_endpoints', inText({ state: 'ejected' }))).toBe(1)
    expect(seen.value('evenkeel_endpoints', inText({ state: 'probing' }))).toBe(0)
    expect(seen.value('evenkeel_pick_spread', inText({}))).toBe(0.5)
    expect(seen.value('evenkeel_requests_in_flight', inText({}))).toBe(1)
    expect(seen.value('evenkeel_client_connections')).toBe(7)
    expect(seen.value('evenkeel_upstream_connections')).toBe(9)
    expect(seen.value('evenkeel_build_info', { version: '1.2.3', engine: 'http-proxy' })).toBe(1)
  })

  it('has no catalog age until the catalog was confirmed, then the seconds since', async () => {
    const { metrics, scrape, advance } = setUp()
    expect((await scrape()).value('evenkeel_catalog_age_seconds')).toBeUndefined()
    metrics.markFresh()
    advance(2500)
    expect((await scrape()).value('evenkeel_catalog_age_seconds')).toBe(2.5)
    metrics.markFresh()
    expect((await scrape()).value('evenkeel_catalog_age_seconds')).toBe(0)
  })

  it('counts catalog answers, every result there from the start', async () => {
    const { metrics, scrape } = setUp()
    metrics.onCatalog('applied')
    metrics.onCatalog('error')
    const seen = await scrape()
    const counts = ['applied', 'unchanged', 'held', 'error'].map((result) =>
      seen.value('evenkeel_catalog_updates_total', { result }),
    )
    expect(counts).toEqual([1, 0, 0, 1])
  })

  it('keeps the numbers of two apps in one process apart', async () => {
    const [one, two] = [setUp(), setUp()]
    one.metrics.onPanicPick('quotes')
    expect((await one.scrape()).value('evenkeel_panic_picks_total', inText({}))).toBe(1)
    expect((await two.scrape()).value('evenkeel_panic_picks_total', inText({}))).toBe(0)
  })
})

describe('what goes away', () => {
  function busy(set: ReturnType<typeof setUp>) {
    set.metrics.onRequestStart('quotes')
    set.metrics.onAttempt('quotes', id, 'responded')
    set.metrics.onEjected('quotes', id, 'fault-rate', 1)
    set.metrics.onRequestEnd(record())
  }

  it('drops the series of an endpoint, and keeps those of its service', async () => {
    const set = setUp()
    busy(set)
    set.metrics.dropEndpoints('quotes', [id])
    const seen = await set.scrape()
    expect(seen.samples.filter((sample) => 'endpoint' in sample.labels)).toEqual([])
    expect(seen.value('evenkeel_requests_total', inText({ method: 'GET', code: '200' }))).toBe(1)
  })

  it('drops every series of a service', async () => {
    const set = setUp()
    busy(set)
    set.setView(tableView())
    set.metrics.dropService('quotes')
    expect((await set.scrape()).samples.filter((sample) => sample.labels.service === 'quotes')).toEqual([])
  })

  it('shows no endpoint and no service that the table does not have, even if nobody dropped them', async () => {
    const set = setUp()
    busy(set)
    set.setView(tableView(serviceView('quotes', { endpoints: [endpointView(81)] })))
    expect((await set.scrape()).all('evenkeel_attempts_total')).toEqual([])
    set.setView(tableView(serviceView('other')))
    expect((await set.scrape()).samples.filter((sample) => sample.labels.service === 'quotes')).toEqual([])
  })

  it('is not brought back by a report that comes late', async () => {
    const set = setUp()
    busy(set)
    set.metrics.dropEndpoints('quotes', [id])
    set.setView(tableView(serviceView('quotes')))
    set.metrics.onAttempt('quotes', id, 'broke-off')
    expect((await set.scrape()).all('evenkeel_attempts_total')).toEqual([])
    set.setView(tableView())
    set.metrics.dropService('quotes')
    busy(set)
    expect((await set.scrape()).samples.filter((sample) => sample.labels.service === 'quotes')).toEqual([])
  })

  it('starts at zero when it comes back after a scrape without it', async () => {
    const set = setUp()
    busy(set)
    set.setView(tableView(serviceView('quotes')))
    await set.scrape()
    set.setView(quotes)
    set.metrics.onAttempt('quotes', id, 'responded')
    expect((await set.scrape()).all('evenkeel_attempts_total').map((sample) => sample.value)).toEqual([1])
  })

  it('keeps requests in flight exact for a service that leaves and comes back while they run', async () => {
    const set = setUp()
    set.metrics.onRequestStart('quotes')
    set.setView(tableView())
    set.metrics.dropService('quotes')
    await set.scrape()
    set.setView(quotes)
    set.metrics.onRequestStart('quotes')
    expect((await set.scrape()).value('evenkeel_requests_in_flight', inText({}))).toBe(2)
    set.metrics.onRequestEnd(record())
    set.metrics.onRequestEnd(record())
    expect((await set.scrape()).value('evenkeel_requests_in_flight', inText({}))).toBe(0)
  })
})

describe('how it is written', () => {
  it('writes the plain text format, with its content type', async () => {
    const { contentType } = await setUp().metrics.render('text/plain;version=0.0.4')
    expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
  })

  it('writes OpenMetrics when asked, counters named without _total and ending in # EOF', async () => {
    const { metrics } = setUp()
    metrics.onRequestEnd(record())
    const { contentType, body } = await metrics.render(openMetrics)
    expect(contentType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
    const seen = readExposition(body, 'openmetrics')
    expect(seen.types.get('evenkeel_requests')).toBe('counter')
    expect(seen.types.get('evenkeel_request_duration_seconds')).toBe('histogram')
    expect(seen.value('evenkeel_requests_total', inText({ method: 'GET', code: '200' }))).toBe(1)
    expect(seen.value('process_cpu_seconds_total')).toBeGreaterThanOrEqual(0)
  })

  it('writes plain text correctly after a scrape in OpenMetrics', async () => {
    const { metrics, scrape } = setUp()
    await metrics.render(openMetrics)
    const seen = await scrape()
    expect(seen.types.get('evenkeel_requests_total')).toBe('counter')
    expect(seen.types.get('process_cpu_seconds_total')).toBe('counter')
    expect(seen.value('process_cpu_seconds_total')).toBeDefined()
  })

  it('answers two scrapes at once, each in its own format', async () => {
    const { metrics } = setUp()
    const [text, open] = await Promise.all([metrics.render(undefined), metrics.render(openMetrics)])
    readExposition(text.body)
    readExposition(open.body, 'openmetrics')
  })

  it('names every metric of the contract, and the usual ones of process and runtime', async () => {
    const { types } = await setUp().scrape()
    expect(Object.fromEntries([...types].filter(([name]) => name.startsWith('evenkeel_')))).toEqual({
      evenkeel_requests_total: 'counter',
      evenkeel_request_duration_seconds: 'histogram',
      evenkeel_requests_in_flight: 'gauge',
      evenkeel_attempts_total: 'counter',
      evenkeel_retries_total: 'counter',
      evenkeel_endpoints: 'gauge',
      evenkeel_ejections_total: 'counter',
      evenkeel_ejections_withheld_total: 'counter',
      evenkeel_panic_picks_total: 'counter',
      evenkeel_pick_spread: 'gauge',
      evenkeel_catalog_age_seconds: 'gauge',
      evenkeel_catalog_updates_total: 'counter',
      evenkeel_client_connections: 'gauge',
      evenkeel_upstream_connections: 'gauge',
      evenkeel_build_info: 'gauge',
    })
    expect([...types.keys()]).toEqual(
      expect.arrayContaining([
        'process_cpu_seconds_total',
        'process_resident_memory_bytes',
        'nodejs_eventloop_lag_p99_seconds',
        'nodejs_gc_duration_seconds',
        'nodejs_version_info',
      ]),
    )
  })

  const hostile = ['a"} 1\nevil{x="', 'back\\slash', '\\n', 'new\nline', '"', '\\', '{}', 'ünï', '__proto__', '', '\0']

  it.each(hostile)('writes the service name %j so that it reads back the same', async (name) => {
    const { metrics, scrape } = setUp(tableView(serviceView(name)))
    metrics.onRequestStart(name)
    metrics.onRequestEnd(record({ service: name }))
    const seen = await scrape()
    expect(seen.value('evenkeel_requests_total', { service: name, method: 'GET', code: '200' })).toBe(1)
    expect(seen.value('evenkeel_request_duration_seconds_bucket', { service: name, le: '+Inf' })).toBe(1)
    expect(seen.types.has('evil')).toBe(false)
  })

  it('starts no second monitor of the process for a second app', async () => {
    setUp()
    const monitors = vi.spyOn(perfHooks, 'monitorEventLoopDelay')
    const observers = vi.spyOn(perfHooks.PerformanceObserver.prototype, 'observe')
    for (let i = 0; i < 20; i += 1) await setUp().scrape()
    expect(monitors).not.toHaveBeenCalled()
    expect(observers).not.toHaveBeenCalled()
  })
})

describe('counts in = counts out', () => {
  const names = ['a', 'b', 'c"\n']
  const ids = [80, 81].map((port) => endpointView(port).endpoint.id)
  const view = tableView(...names.map((name) => serviceView(name, { endpoints: [endpointView(80), endpointView(81)] })))
  const event = fc.oneof(
    fc.record({
      kind: fc.constant('end' as const),
      service: fc.constantFrom(...names, null),
      method: fc.constantFrom('GET', 'PUT', 'BREW'),
      status: fc.constantFrom(200, 404, 499, 503),
      durationMs: fc.double({ min: 0, max: 200_000, noNaN: true }),
    }),
    fc.record({
      kind: fc.constant('attempt' as const),
      service: fc.constantFrom(...names),
      endpoint: fc.constantFrom(...ids),
      outcome: fc.constantFrom<OutcomeKind>('responded', 'connect-failed', 'client-left'),
    }),
    fc.record({
      kind: fc.constant('retry' as const),
      service: fc.constantFrom(...names),
      reason: fc.constantFrom<RetryReason>('connect-failed', 'status'),
    }),
  )

  it('shows each event exactly once, in either format', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 60 }), async (events) => {
        const { metrics, scrape } = setUp(view)
        const expected = new Map<string, number>()
        const expect1 = (...key: readonly string[]) => {
          const text = JSON.stringify(key)
          expected.set(text, (expected.get(text) ?? 0) + 1)
        }
        for (const each of events) {
          switch (each.kind) {
            case 'end':
              if (each.service !== null) metrics.onRequestStart(each.service)
              metrics.onRequestEnd(record(each))
              expect1('requests', each.service ?? '_unrouted', each.method.replace('BREW', 'OTHER'), `${each.status}`)
              break
            case 'attempt':
              metrics.onAttempt(each.service, each.endpoint, each.outcome)
              expect1('attempts', each.service, each.endpoint, each.outcome)
              break
            case 'retry':
              metrics.onRetry(each.service, each.reason)
              expect1('retries', each.service, each.reason)
              break
            default:
              each satisfies never
          }
        }
        for (const seen of [await scrape(), readExposition((await metrics.render(openMetrics)).body, 'openmetrics')]) {
          expect(counted(seen)).toEqual(expected)
          expect(inFlight(seen)).toEqual(new Set([0]))
          expectSoundHistograms(seen, events.filter((each) => each.kind === 'end').length)
        }
      }),
      { numRuns: 60 },
    )
  })
})

function counted(seen: ReadExposition): Map<string, number> {
  const found = new Map<string, number>()
  for (const family of ['requests', 'attempts', 'retries']) {
    for (const { labels, value } of seen.all(`evenkeel_${family}_total`)) {
      const { service = '', method, code, endpoint, outcome, reason } = labels
      const rest = [method, code, endpoint, outcome, reason].filter((each) => each !== undefined)
      found.set(JSON.stringify([family, service, ...rest]), value)
    }
  }
  return found
}

function inFlight(seen: ReadExposition): Set<number> {
  return new Set(seen.all('evenkeel_requests_in_flight').map((sample) => sample.value))
}

function expectSoundHistograms(seen: ReadExposition, requests: number): void {
  let total = 0
  for (const { labels, value } of seen.all('evenkeel_request_duration_seconds_count')) {
    const buckets = seen
      .all('evenkeel_request_duration_seconds_bucket')
      .filter((sample) => sample.labels.service === labels.service)
      .map((sample) => sample.value)
    expect(buckets).toEqual([...buckets].sort((a, b) => a - b))
    expect(buckets.at(-1)).toBe(value)
    total += value
  }
  expect(total).toBe(requests)
}
