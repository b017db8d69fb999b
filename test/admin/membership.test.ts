import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMembershipErrors, membershipWindowMs } from '../../src/admin/membership.ts'
import type { ServiceChange } from '../../src/balancer/balancer.ts'
import type { Endpoint } from '../../src/balancer/endpoint.ts'
import { settlingMs } from '../../src/balancer/member.ts'
import type { RequestRecord } from '../../src/proxy/observer.ts'
import { endpointView, record, serviceView, tableView } from './fixtures.ts'
import { inText, setUp } from './metrics-setup.ts'

const endpoint = (name: string): Endpoint => ({ id: `${name}:1`, instance: name, address: name, port: 1, weight: 1 })

function change(joined: string, left: string, name = 'quotes'): ServiceChange {
  const list = (names: string) => [...names].map(endpoint)
  return { name, kind: 'changed', joined: list(joined), left: list(left), reweighted: [] }
}

const none = { endpoint: null, outcome: 'no-endpoints', status: 503 } as const

function setUpErrors() {
  const clock = { nowMs: 1_000_000 }
  let explained = 0
  const errors = createMembershipErrors(
    () => clock.nowMs,
    (_service, count) => {
      explained += count
    },
  )
  errors.onTableChange([change('ABC', '')])
  return {
    errors,
    clock,
    explained: () => explained,
    /**
     * `A502` a request that ended so on A, `-503` one that found no endpoint, `+4999` waits so many ms, `in:A` A joins,
     * `out:A` it leaves.
     */
    play(script: string) {
      for (const step of script.split(' ')) {
        const [, who = '', status = ''] = /^([A-Z-])(\d{3})$/.exec(step) ?? []
        const [, way, names = ''] = /^(in|out):(\w+)$/.exec(step) ?? []
        if (step.startsWith('+')) clock.nowMs += Number(step)
        else if (way !== undefined) errors.onTableChange([way === 'in' ? change(names, '') : change('', names)])
        else if (who === '-') errors.onRequestEnd(record(none))
        else errors.onRequestEnd(record({ endpoint: `${who}:1`, status: Number(status) }))
      }
    },
  }
}

describe('answers of 5xx are explained by a change of the catalog', () => {
  it.each([
    ['within 5 s after the endpoint left', 'out:A +4999 A502', 1],
    ['within 5 s after the endpoint joined', 'in:D +4999 D502 D504', 2],
    ['within 5 s before the endpoint left, once it leaves', 'A502 A502 +600 A500 +4000 out:A', 3],
    ['before it left and after, each once', 'A502 +2000 out:A A502', 2],
    ['and only once, although it leaves and joins again', 'A502 +1000 out:A +1000 in:A +1000 out:A', 1],
    ['when nobody was left to ask, within 5 s after somebody left', '-503 out:A -503 +4999 -503', 2],
  ])('%s', (_name, script, count) => {
    const world = setUpErrors()
    world.play(script)
    expect(world.explained()).toBe(count)
  })

  it.each([
    ['5 s after it left', 'out:A +5000 A502'],
    ['5 s before it left', 'A502 +5000 out:A'],
    ['on an endpoint that stays, whoever else moves', 'out:A A200 B502 +1000 in:D C502'],
    ['of an endpoint of the first catalog, at the start', 'A502 B503'],
    ['below 500', 'out:A A200 A404 A499'],
    ['when nobody is there to ask, before somebody joins', '-503 -503 +1000 in:A'],
  ])('but not %s', (_name, script) => {
    const world = setUpErrors()
    world.play(script)
    expect(world.explained()).toBe(0)
  })

  it('but not of another service with an endpoint of the same address', () => {
    const { errors, explained } = setUpErrors()
    errors.onTableChange([change('', 'A', 'other')])
    errors.onRequestEnd(record({ endpoint: 'A:1', status: 502 }))
    expect(explained()).toBe(0)
  })
})

describe('what is remembered for it', () => {
  it('the window is the balancer’s', () => {
    expect(membershipWindowMs).toBe(settlingMs)
  })

  it('is gone 5 s after the last error and the last change', () => {
    const world = setUpErrors()
    world.play('A502 B502 out:C +4999 in:D')
    expect(world.errors.size()).toBe(5)
    world.play('+5001 B502')
    expect(world.errors.size()).toBe(1)
  })

  it('is bounded by the endpoints of late, however many there were, and counts no error twice or for nothing', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom('A502', 'B502', 'C502', 'D502', 'E500', 'F503', '-503') },
      { weight: 2, arbitrary: fc.constantFrom('+1', '+100', '+700', '+2500', '+6000') },
      { weight: 1, arbitrary: fc.constantFrom('in:A', 'out:A', 'in:BC', 'out:BC', 'in:DEF', 'out:D') },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (script) => {
        const world = setUpErrors()
        for (const one of script) world.play(one)
        expect(world.errors.size()).toBeLessThanOrEqual(7)
        const moved: { name: string; atMs: number; left: boolean }[] = []
        const failed: { name: string; atMs: number }[] = []
        let atMs = 0
        for (const one of script) {
          if (one.startsWith('+')) atMs += Number(one)
          else if (one.includes(':')) {
            const left = one.startsWith('out')
            for (const name of one.split(':')[1] ?? '') moved.push({ name, atMs, left })
            if (left) moved.push({ name: '-', atMs, left })
          } else failed.push({ name: one[0] ?? '', atMs })
        }
        const within = (slackMs: number) =>
          failed.filter(({ name, atMs }) =>
            moved.some(
              (move) =>
                move.name === name &&
                (move.atMs >= atMs ? name !== '-' && move.atMs - atMs < 5_000 - slackMs : atMs - move.atMs < 5_000),
            ),
          ).length
        // Errors from before a change are known to half a second.
        expect(world.explained()).toBeGreaterThanOrEqual(within(500) - failed.filter(({ name }) => name === '-').length)
        expect(world.explained()).toBeLessThanOrEqual(within(0) + failed.filter(({ name }) => name === '-').length)
      }),
      { numRuns: 200 },
    )
  })
})

describe('evenkeel_membership_errors_total', () => {
  const id = '10.0.0.1:81'
  const both = tableView(serviceView('quotes', { endpoints: [endpointView(80), endpointView(81)] }))
  const moved = endpointView(81).endpoint
  const left: ServiceChange = { name: 'quotes', kind: 'changed', joined: [], left: [moved], reweighted: [] }

  it('is 0 for a service without any, counts what a change explains, and outlives the endpoint', async () => {
    const { metrics, scrape, setView, advance } = setUp(both)
    metrics.onTableChange([{ ...left, kind: 'added', joined: [moved], left: [] }])
    expect((await scrape()).value('evenkeel_membership_errors_total', inText({}))).toBe(0)
    const failed: RequestRecord = record({ endpoint: id, status: 502 })
    metrics.onRequestEnd(failed)
    advance(100)
    setView(tableView(serviceView('quotes', { endpoints: [endpointView(80)] })))
    metrics.onTableChange([left])
    metrics.dropEndpoints('quotes', [id])
    metrics.onRequestEnd(failed)
    expect((await scrape()).value('evenkeel_membership_errors_total', inText({}))).toBe(2)
  })

  it('of a service that the table has forgotten is no series', async () => {
    const { metrics, scrape, setView } = setUp(both)
    metrics.onTableChange([])
    metrics.onRequestEnd(record({ endpoint: id, status: 502 }))
    setView(tableView())
    metrics.onTableChange([{ ...left, kind: 'removed' }])
    expect((await scrape()).all('evenkeel_membership_errors_total')).toEqual([])
  })
})
