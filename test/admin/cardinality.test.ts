/** Are the service labels of the metrics bounded, whatever the catalog lists, and is nothing lost or counted backwards by it? */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Metrics } from '../../src/admin/metrics.ts'
import type { ServiceChange } from '../../src/balancer/balancer.ts'
import type { TableView } from '../../src/balancer/view.ts'
import type { ReadExposition } from './exposition.ts'
import { endpointView, record, serviceView, tableView } from './fixtures.ts'
import { setUp } from './metrics-setup.ts'

const ports = [80, 81]
const idOf = (port: number): string => endpointView(port).endpoint.id

/** Of services that have a label each, e.g. `a:80,81 b:80`. */
function tableOf(text: string): TableView {
  const services = text.split(' ').filter((each) => each !== '')
  return tableView(
    ...services.map((each) => {
      const [name = '', list = '80'] = each.split(':')
      return serviceView(name, { endpoints: list.split(',').map((port) => endpointView(Number(port))) })
    }),
  )
}

function labelsOf(seen: ReadExposition): string[] {
  return seen.all('evenkeel_requests_in_flight').map((sample) => sample.labels.service ?? '')
}

function requestsOf(seen: ReadExposition, service: string): number {
  const all = seen.all('evenkeel_requests_total').filter((sample) => sample.labels.service === service)
  return all.reduce((sum, { value }) => sum + value, 0)
}

describe('services beyond metrics.maxServices', () => {
  it('are counted together, and the first ones keep their labels when others join and leave', async () => {
    const { scrape, setView, setMaxServices } = setUp(tableOf('b c'))
    setMaxServices(2)
    expect(labelsOf(await scrape())).toEqual(['b', 'c'])
    setView(tableOf('a b c d'))
    expect(labelsOf(await scrape())).toEqual(['_other', 'b', 'c'])
    setView(tableOf('a c d'))
    expect(labelsOf(await scrape()), 'who is counted there already stays there').toEqual(['_other', 'c'])
    setView(tableOf('a c d e f'))
    expect(labelsOf(await scrape()), 'the free place is for the next new one').toEqual(['_other', 'c', 'e'])
    setView(tableOf('a c e f'))
    await scrape()
    setView(tableOf('a c d f'))
    expect(labelsOf(await scrape()), 'back after it had left, it is new').toEqual(['_other', 'c', 'd'])
  })

  it('have a higher limit from the next scrape on, for new ones; a lower one takes no label away', async () => {
    const { scrape, setView, setMaxServices } = setUp(tableOf('a b c'))
    setMaxServices(2)
    expect(labelsOf(await scrape())).toEqual(['_other', 'a', 'b'])
    setMaxServices(3)
    setView(tableOf('a b c d e'))
    expect(labelsOf(await scrape())).toEqual(['_other', 'a', 'b', 'd'])
    setMaxServices(1)
    expect(labelsOf(await scrape())).toEqual(['_other', 'a', 'b', 'd'])
    setView(tableOf('a c e f'))
    expect(labelsOf(await scrape())).toEqual(['_other', 'a'])
  })

  it('share a label with a service that is really called so, which takes no place', async () => {
    const { metrics, scrape, setMaxServices } = setUp(tableOf('_other a b'))
    setMaxServices(1)
    for (const service of ['_other', 'a', 'b']) metrics.onRequestEnd(record({ service }))
    const seen = await scrape()
    expect(labelsOf(seen)).toEqual(['_other', 'a'])
    expect(requestsOf(seen, '_other')).toBe(2)
  })

  it('leave alone what no service took', async () => {
    const { metrics, scrape, setMaxServices } = setUp(tableOf('_unrouted a b'))
    setMaxServices(1)
    metrics.onRequestEnd(record({ service: null }))
    metrics.onRequestEnd(record({ service: '_unrouted' }))
    const seen = await scrape()
    expect(labelsOf(seen)).toEqual(['_other', '_unrouted', 'a'])
    expect(requestsOf(seen, '_unrouted')).toBe(2)
  })

  it('have gauges that are sums, but for the spread, which is the largest', async () => {
    const endpoints = [endpointView(80), endpointView(81, { state: 'ejected' }), endpointView(82, { state: 'drained' })]
    const { metrics, scrape, setMaxServices } = setUp(
      tableView(
        serviceView('a'),
        serviceView('b', { endpoints, pickSpread: 3 }),
        serviceView('c', { endpoints, pickSpread: 1 }),
      ),
    )
    setMaxServices(1)
    for (const service of ['a', 'b', 'b', 'c']) metrics.onRequestStart(service)
    const seen = await scrape()
    const service = '_other'
    expect(seen.value('evenkeel_requests_in_flight', { service })).toBe(3)
    expect(seen.value('evenkeel_pick_spread', { service })).toBe(3)
    const byState = ['healthy', 'ejected', 'probing', 'drained'].map((state) =>
      seen.value('evenkeel_endpoints', { service, state }),
    )
    expect(byState).toEqual([2, 2, 0, 2])
  })

  it('keep in the sum what they counted when they or their endpoints leave, even once nobody is left there', async () => {
    const { metrics, scrape, setView, setMaxServices } = setUp(tableOf('a b:80,81'))
    setMaxServices(1)
    await scrape()
    metrics.onAttempt('b', idOf(81), 'responded')
    metrics.onEjected('b', idOf(80), 'by-hand', 1000)
    metrics.onRequestEnd(record({ service: 'b', durationMs: 100 }))
    setView(tableOf('a b'))
    metrics.dropEndpoints('b', [idOf(81)])
    const counts = async () => {
      const seen = await scrape()
      const at = { service: '_other', endpoint: '_other' }
      return [
        seen.value('evenkeel_attempts_total', { ...at, outcome: 'responded' }),
        seen.value('evenkeel_ejections_total', { ...at, reason: 'by-hand' }),
        requestsOf(seen, '_other'),
        seen.value('evenkeel_request_duration_seconds_count', { service: '_other' }),
        seen.value('evenkeel_endpoints', { service: '_other', state: 'healthy' }),
      ]
    }
    expect(await counts()).toEqual([1, 1, 1, 1, 1])
    setView(tableOf('a'))
    expect(await counts()).toEqual([1, 1, 1, 1, 0])
    expect(await counts()).toEqual([1, 1, 1, 1, 0])
  })

  it('have a sum of seconds that does not go down by a rounding when one of them leaves', async () => {
    const { metrics, scrape, setView, setMaxServices } = setUp(tableOf('a b c d'))
    setMaxServices(1)
    // (0.1 + 0.1) + 0.4 is 0.6000000000000001, and (0.4 + 0.1) + 0.1 is less.
    metrics.onRequestEnd(record({ service: 'b', durationMs: 100 }))
    metrics.onRequestEnd(record({ service: 'c', durationMs: 100 }))
    metrics.onRequestEnd(record({ service: 'd', durationMs: 400 }))
    const sum = async () => (await scrape()).value('evenkeel_request_duration_seconds_sum', { service: '_other' })
    const before = await sum()
    expect(before).toBeCloseTo(0.6, 5)
    setView(tableOf('a b c'))
    expect(await sum()).toBe(before)
  })
})

type Step =
  | { readonly kind: 'scrape' }
  | { readonly kind: 'view'; readonly view: readonly { readonly name: string; readonly ports: readonly number[] }[] }
  | { readonly kind: 'event'; readonly name: string; readonly port: number; readonly what: number; readonly ms: number }

const names = ['a', 'b', 'c', 'd', 'e', 'f', '_other', '_unrouted']
const event: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('event'),
  name: fc.constantFrom(...names),
  port: fc.constantFrom(...ports),
  what: fc.nat(7),
  ms: fc.double({ min: 0, max: 90_000, noNaN: true }),
})
const everybody = names.map((name) => ({ name, ports }))
const anybody = fc.array(fc.record({ name: fc.constantFrom(...names), ports: fc.subarray(ports) }), { maxLength: 8 })
const someView: fc.Arbitrary<Step> = anybody.map((list) => ({
  kind: 'view',
  view: [...new Map(list.map((each) => [each.name, each])).values()].sort((x, y) => (x.name < y.name ? -1 : 1)),
}))

function happens(metrics: Metrics, { name, port, what, ms }: Extract<Step, { kind: 'event' }>): void {
  const id = idOf(port)
  if (what === 0) metrics.onAttempt(name, id, 'responded')
  else if (what === 1) metrics.onAttempt(name, id, 'connect-failed')
  else if (what === 2) metrics.onEjected(name, id, 'fault-rate', 1000)
  else if (what === 3) metrics.onRetry(name, 'status')
  else if (what === 4) metrics.onWithheld(name, id, 'fault-rate', 'cap')
  else if (what === 5) metrics.onPanicPick(name)
  else if (what === 6) metrics.onRequestStart(name)
  else metrics.onRequestEnd(record({ service: name, durationMs: ms, status: ms < 45_000 ? 200 : 503 }))
}

function joined(name: string): ServiceChange {
  return { name, kind: 'changed', joined: ports.map((port) => endpointView(port).endpoint), left: [], reweighted: [] }
}

/** Sums over all services and endpoints: what must not depend on the limit. */
function totals(seen: ReadExposition): Map<string, number> {
  const sums = new Map<string, number>()
  for (const { name, labels, value } of seen.samples) {
    // The spread of several is the largest of theirs. Sums of seconds are rounded down, to a microsecond a service.
    if (!name.startsWith('evenkeel_') || name === 'evenkeel_pick_spread' || name.endsWith('_sum')) continue
    const { service: _service, endpoint: _endpoint, ...rest } = labels
    const key = JSON.stringify([name, rest])
    sums.set(key, (sums.get(key) ?? 0) + value)
  }
  return sums
}

function counters(seen: ReadExposition, service: string): Map<string, number> {
  const cumulative = seen.samples.filter(({ name }) => /_(total|bucket|count|sum)$/.test(name))
  const own = cumulative.filter(({ labels }) => labels.service === service)
  return new Map(own.map(({ name, labels, value }) => [JSON.stringify([name, Object.entries(labels).sort()]), value]))
}

describe('whatever happens, in whatever order', () => {
  it('sums are those of an unlimited exposition, while nobody leaves', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 80, size: 'max' }),
        fc.integer({ min: 1, max: 7 }),
        async (events, limit) => {
          const [limited, unlimited] = [setUp(), setUp()]
          limited.setMaxServices(limit)
          const view = tableView(
            ...everybody.map(({ name }) =>
              serviceView(name, { endpoints: ports.map((port) => endpointView(port)), pickSpread: name.length }),
            ),
          )
          for (const world of [limited, unlimited]) {
            world.setView(view)
            // So that their failures are explained by a change, which has a counter of its own.
            for (const { name } of everybody) world.metrics.onTableChange([joined(name)])
          }
          for (const each of events) {
            if (each.kind !== 'event') continue
            for (const { metrics } of [limited, unlimited]) happens(metrics, each)
          }
          expect(totals(await limited.scrape())).toEqual(totals(await unlimited.scrape()))
        },
      ),
      { numRuns: 40 },
    )
  })

  it('labels are bounded and keep their owners, and no counter of _other goes down or away', async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: event },
      { weight: 2, arbitrary: someView },
      { weight: 2, arbitrary: fc.constant<Step>({ kind: 'scrape' }) },
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 80, size: 'max' }),
        fc.integer({ min: 1, max: 4 }),
        async (steps, limit) => {
          const { metrics, scrape, setView, setMaxServices } = setUp(tableView())
          setMaxServices(limit)
          let table: readonly string[] = []
          let before = { table, labels: [] as string[], other: new Map<string, number>() }
          for (const each of [...steps, { kind: 'scrape' } as const]) {
            switch (each.kind) {
              case 'event':
                happens(metrics, each)
                break
              case 'view':
                table = each.view.map(({ name }) => name)
                setView(
                  tableView(
                    ...each.view.map(({ name, ports }) =>
                      serviceView(name, { endpoints: ports.map((port) => endpointView(port)) }),
                    ),
                  ),
                )
                // As the app does with those that left; the scrape finds the others.
                metrics.dropEndpoints(table[0] ?? '', ports.map(idOf))
                break
              case 'scrape': {
                const seen = await scrape()
                const labels = labelsOf(seen)
                const own = labels.filter((label) => label !== '_other' && label !== '_unrouted')
                expect(own.length).toBeLessThanOrEqual(limit)
                const everywhere = new Set(seen.samples.map((sample) => sample.labels.service ?? '_unrouted'))
                expect([...everywhere].sort()).toEqual([...new Set([...labels, '_unrouted'])].sort())
                for (const name of table.filter((each) => before.table.includes(each) && each !== '_other')) {
                  expect(labels.includes(name), `${name} keeps its label`).toBe(before.labels.includes(name))
                }
                const other = counters(seen, '_other')
                for (const [series, value] of before.other)
                  expect(other.get(series), series).toBeGreaterThanOrEqual(value)
                before = { table, labels, other }
                break
              }
              default:
                each satisfies never
            }
          }
        },
      ),
      { numRuns: 100 },
    )
  })
})
