import { describe, expect, it } from 'vitest'
import { endpointView, record, serviceView, suspect, tableView } from './fixtures.ts'
import { id, inText, quotes, setUp } from './metrics-setup.ts'

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
    const { scrape, setCatalogAge } = setUp()
    expect((await scrape()).value('evenkeel_catalog_age_seconds')).toBeUndefined()
    setCatalogAge(2500)
    expect((await scrape()).value('evenkeel_catalog_age_seconds')).toBe(2.5)
    setCatalogAge(0)
    expect((await scrape()).value('evenkeel_catalog_age_seconds')).toBe(0)
  })

  it('has the age of each source that has ever stood by what it says', async () => {
    const seen = await setUp().scrape()
    expect(seen.value('evenkeel_catalog_source_age_seconds', { source: 'consul' })).toBe(1.5)
    expect(seen.value('evenkeel_catalog_source_age_seconds', { source: 'eureka' })).toBeUndefined()
  })

  it('says what /readyz says, with a series for each state', async () => {
    const { scrape, setCatalogAge } = setUp()
    const states = async () => {
      const seen = await scrape()
      return ['starting', 'fresh', 'stale', 'draining'].map((state) => seen.value('evenkeel_readiness', { state }))
    }
    expect(await states()).toEqual([1, 0, 0, 0])
    setCatalogAge(0)
    expect(await states()).toEqual([0, 1, 0, 0])
  })

  it('shows the local ports and those that wait, where the machine tells them', async () => {
    const { scrape, setPortUse } = setUp()
    const seen = await scrape()
    expect(seen.value('evenkeel_local_ports')).toBe(28_232)
    expect(seen.value('evenkeel_time_wait_sockets')).toBe(89)
    setPortUse({ localPorts: null, timeWaitSockets: null })
    const without = await scrape()
    expect(without.all('evenkeel_local_ports')).toEqual([])
    expect(without.all('evenkeel_time_wait_sockets')).toEqual([])
  })

  it('tells how many endpoints are in doubt, and counts what becomes of them, every decision there from the start', async () => {
    const { metrics, scrape } = setUp()
    metrics.onDecisions([
      { kind: 'held', suspect: suspect('quotes', 80) },
      { kind: 'kept', suspect: suspect('quotes', 80) },
      { kind: 'held', suspect: suspect('quotes', 81) },
    ])
    const seen = await scrape()
    expect(seen.value('evenkeel_suspect_endpoints', { state: 'held' })).toBe(3)
    expect(seen.value('evenkeel_suspect_endpoints', { state: 'kept' })).toBe(1)
    const decisions = ['held', 'returned', 'confirmed', 'explained', 'expired', 'kept', 'accepted']
    const counts = decisions.map((decision) => seen.value('evenkeel_admission_decisions_total', { decision }))
    expect(counts).toEqual([2, 0, 0, 0, 0, 1, 0])
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

  it('counts local errors by code, every code there from the start and no other ever', async () => {
    const { metrics, scrape } = setUp()
    metrics.onLocalError('EMFILE', id)
    metrics.onLocalError('EMFILE', '10.0.0.2:80')
    metrics.onLocalError('ECONNREFUSED', id)
    metrics.onLocalError('__proto__', id)
    const counts = (await scrape()).all('evenkeel_local_errors_total').map(({ labels, value }) => [labels, value])
    expect(counts).toEqual([
      [{ code: 'EADDRNOTAVAIL' }, 0],
      [{ code: 'EADDRINUSE' }, 0],
      [{ code: 'EMFILE' }, 2],
      [{ code: 'ENFILE' }, 0],
      [{ code: 'ENOBUFS' }, 0],
      [{ code: 'ENOMEM' }, 0],
    ])
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

  it('is forgotten although nobody scrapes, once many have left', async () => {
    const set = setUp(tableView(serviceView('quotes')))
    set.metrics.onAttempt('quotes', id, 'broke-off')
    const left = Array.from({ length: 1_100 }, (_, port) => endpointView(port + 1).endpoint)
    set.metrics.onTableChange([{ name: 'quotes', kind: 'changed', joined: [], left, reweighted: [] }])
    set.setView(quotes)
    set.metrics.onAttempt('quotes', id, 'responded')
    expect((await set.scrape()).all('evenkeel_attempts_total').map(({ labels }) => labels.outcome)).toEqual([
      'responded',
    ])
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
