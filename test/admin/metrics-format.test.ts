import perfHooks from 'node:perf_hooks'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { readExposition } from './exposition.ts'
import { record, serviceView, tableView } from './fixtures.ts'
import { inText, openMetrics, setUp } from './metrics-setup.ts'

afterEach(() => {
  vi.restoreAllMocks()
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
      evenkeel_membership_errors_total: 'counter',
      evenkeel_pick_spread: 'gauge',
      evenkeel_readiness: 'gauge',
      evenkeel_catalog_age_seconds: 'gauge',
      evenkeel_catalog_source_age_seconds: 'gauge',
      evenkeel_catalog_updates_total: 'counter',
      evenkeel_suspect_endpoints: 'gauge',
      evenkeel_admission_decisions_total: 'counter',
      evenkeel_local_errors_total: 'counter',
      evenkeel_client_connections: 'gauge',
      evenkeel_upstream_connections: 'gauge',
      evenkeel_local_ports: 'gauge',
      evenkeel_time_wait_sockets: 'gauge',
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
