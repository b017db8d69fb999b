import { describe, expect, it } from 'vitest'
import type { RequestRecord } from '../../src/proxy/observer.ts'
import { type ReadExemplar, readExposition } from './exposition.ts'
import { record } from './fixtures.ts'
import { openMetrics, setUp } from './metrics-setup.ts'

const bucket = 'evenkeel_request_duration_seconds_bucket'
const trace = (digit: string) => digit.repeat(32)
/** A request in a trace that is recorded. */
const traced = (fields: Partial<RequestRecord>) => record({ traceSampled: true, ...fields })

async function exemplarsIn(
  metrics: ReturnType<typeof setUp>['metrics'],
  service = 'quotes',
): Promise<Readonly<Record<string, ReadExemplar | null>>> {
  const { body } = await metrics.render(openMetrics)
  const seen = readExposition(body, 'openmetrics')
  const found = seen.all(bucket).filter(({ labels, exemplar }) => labels.service === service && exemplar !== null)
  return Object.fromEntries(found.map(({ labels, exemplar }) => [labels.le, exemplar]))
}

describe('exemplars', () => {
  it('are the latest traced request of each bucket, with what it counted and when', async () => {
    const { metrics } = setUp()
    const before = Date.now() / 1000
    metrics.onRequestEnd(traced({ durationMs: 3, traceId: trace('a') }))
    metrics.onRequestEnd(traced({ durationMs: 4, traceId: trace('b') }))
    metrics.onRequestEnd(record({ durationMs: 4.5, traceId: null }))
    metrics.onRequestEnd(traced({ durationMs: 120_000, traceId: trace('c') }))
    const exemplars = await exemplarsIn(metrics)
    const timestamp = expect.any(Number)
    expect(exemplars).toEqual({
      '0.005': { labels: { trace_id: trace('b') }, value: 0.004, timestamp },
      '+Inf': { labels: { trace_id: trace('c') }, value: 120, timestamp },
    })
    expect(exemplars['+Inf']?.timestamp).toBeGreaterThanOrEqual(Math.floor(before))
    expect(exemplars['+Inf']?.timestamp).toBeLessThanOrEqual(Date.now() / 1000)
  })

  it('are no requests whose trace nobody records: there would be nothing to look up', async () => {
    const { metrics } = setUp()
    metrics.onRequestEnd(traced({ durationMs: 3, traceId: trace('a') }))
    metrics.onRequestEnd(traced({ durationMs: 3, traceId: trace('b'), traceSampled: false }))
    expect((await exemplarsIn(metrics))['0.005']?.labels).toEqual({ trace_id: trace('a') })
  })

  it('lie within their bucket, whatever was counted', async () => {
    const { metrics } = setUp()
    for (let i = 0; i < 500; i++) metrics.onRequestEnd(traced({ durationMs: 2 ** (i / 25), traceId: trace('d') }))
    const seen = await exemplarsIn(metrics)
    const bounds = Object.keys(seen).map((le) => (le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le)))
    expect(bounds.length).toBeGreaterThan(10)
    let lower = 0
    for (const upper of bounds.sort((a, b) => a - b)) {
      const exemplar = seen[upper === Number.POSITIVE_INFINITY ? '+Inf' : String(upper)]
      expect(exemplar?.value).toBeGreaterThan(lower)
      expect(exemplar?.value).toBeLessThanOrEqual(upper)
      lower = upper
    }
  })

  it('are of requests that no service took, too', async () => {
    const { metrics } = setUp()
    metrics.onRequestEnd(traced({ service: null, outcome: 'unknown-service', status: 404, traceId: trace('e') }))
    expect(Object.keys(await exemplarsIn(metrics, '_unrouted'))).toEqual(['0.025'])
  })

  it('are never in the plain text format', async () => {
    const { metrics } = setUp()
    metrics.onRequestEnd(traced({ traceId: trace('a') }))
    const { body } = await metrics.render(undefined)
    expect(body).not.toContain('trace_id')
    expect(readExposition(body).all(bucket).length).toBeGreaterThan(0)
  })

  it('go away with their service', async () => {
    const { metrics } = setUp()
    metrics.onRequestEnd(traced({ traceId: trace('a') }))
    metrics.dropService('quotes')
    metrics.onRequestEnd(record({ traceId: null }))
    expect(await exemplarsIn(metrics)).toEqual({})
  })
})
