import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { OutcomeKind } from '../../src/balancer/outcome.ts'
import type { RetryReason } from '../../src/proxy/observer.ts'
import { type ReadExposition, readExposition } from './exposition.ts'
import { endpointView, record, serviceView, tableView } from './fixtures.ts'
import { openMetrics, setUp } from './metrics-setup.ts'

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
