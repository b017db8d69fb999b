/** Who is there, until when, and what does the catalog say of it? Against a plain model, and in tables. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { endpointId } from '../../../src/balancer/endpoint.ts'
import type { Registration } from '../../../src/discovery/push/push-entry.ts'
import { createLeases, DEPARTED_MS, type Leases } from '../../../src/discovery/push/push-leases.ts'

const max = 6

function said(service: string, id: string, port = 80, more: Partial<Registration> = {}): Registration {
  return { service, id, address: '10.0.0.1', port, weight: 1, tags: [], ttlMs: 30_000, ...more }
}

/** `service: instance@port*weight …; absent: reason` of the whole catalog, a line each. */
function table(leases: Leases): string[] {
  return [...leases.catalog().services].map(([name, { endpoints, absent }]) => {
    const there = endpoints.map(({ instance, port, weight }) => `${instance}@${port}*${weight}`)
    const gone = absent.map(({ instance, address, reason }) => `(${instance}@${address.split(':').at(-1)} ${reason})`)
    return [`${name}:`, ...there, ...gone].join(' ')
  })
}

type Step =
  | { readonly kind: 'put'; readonly of: Registration }
  | { readonly kind: 'remove'; readonly service: string; readonly id: string }
  | { readonly kind: 'pass'; readonly ms: number }

const service = fc.constantFrom('api', 'web', '__proto__')
const id = fc.constantFrom('a', 'b', 'c')
const put = fc.record({
  kind: fc.constant('put' as const),
  of: fc.record({
    ...{ service, id },
    address: fc.constantFrom('10.0.0.1', 'fd00::1'),
    port: fc.constantFrom(80, 81),
    weight: fc.constantFrom(0, 1, 5),
    tags: fc.constantFrom([], ['v1']),
    ttlMs: fc.constantFrom(1000, 5000, 30_000, 3_600_000),
  }),
})
const remove = fc.record({ kind: fc.constant('remove' as const), service, id })
const pass = fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(40_000) })
const steps: fc.Arbitrary<Step[]> = fc.array(fc.oneof(put, put, remove, pass), { maxLength: 60 })

test('whatever is put, removed and let pass: the catalog is what a plain model says', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const leases = createLeases()
      /** By service and id. */
      const model = new Map<string, Registration & { readonly untilMs: number }>()
      let nowMs = 0
      for (const step of all) {
        switch (step.kind) {
          case 'put': {
            const { of } = step
            const key = `${of.service} ${of.id}`
            const known = model.get(key)
            const isFull = known === undefined && model.size >= max
            const isSame =
              known !== undefined && JSON.stringify({ ...known, untilMs: undefined }) === JSON.stringify(of)
            const expected = isFull ? 'full' : known === undefined ? 'new' : isSame ? 'renewed' : 'changed'
            expect(leases.put(of, '127.0.0.1', nowMs, max)).toBe(expected)
            if (!isFull) model.set(key, { ...of, untilMs: nowMs + of.ttlMs })
            break
          }
          case 'remove': {
            const known = model.delete(`${step.service} ${step.id}`)
            expect(leases.remove(step.service, step.id, nowMs) !== null).toBe(known)
            break
          }
          case 'pass': {
            nowMs += step.ms
            const over = [...model].filter(([, { untilMs }]) => untilMs <= nowMs)
            for (const [key] of over) model.delete(key)
            // Who asks only when it is said to be worth while misses nothing.
            const expired = nowMs >= leases.nextMs ? leases.expire(nowMs) : []
            expect(expired.map((lease) => `${lease.service} ${lease.id}`).sort()).toEqual(
              over.map(([key]) => key).sort(),
            )
            break
          }
          default:
            step satisfies never
        }
        expect(leases.size).toBe(model.size)
        checkCatalog(leases, [...model.values()])
      }
      leases.expire(nowMs + 2 * 3_600_000)
      leases.expire(nowMs + 3 * 3_600_000)
      expect([leases.size, leases.nextMs, leases.catalog().services.size]).toEqual([0, Number.POSITIVE_INFINITY, 0])
    }),
    { numRuns: 300 },
  )
})

/** Each place once with the first id's weight, in order; whoever holds, and is no endpoint, is absent. */
function checkCatalog(leases: Leases, model: readonly Registration[]): void {
  const { services } = leases.catalog()
  expect([...services.keys()]).toEqual([...services.keys()].sort())
  const names = new Set([...services.keys(), ...model.map((each) => each.service)])
  for (const name of names) {
    const held = model.filter((each) => each.service === name).sort((a, b) => (a.id < b.id ? -1 : 1))
    const places = new Map<string, string>()
    for (const { id: instance, address, port, weight } of held) {
      const place = endpointId(address, port)
      if (weight > 0 && !places.has(place)) places.set(place, `${place} ${instance}*${weight}`)
    }
    const of = services.get(name)
    const told = of?.endpoints.map((each) => `${each.id} ${each.instance}*${each.weight}`) ?? []
    expect(told).toEqual([...places.keys()].sort().map((place) => places.get(place)))
    const holders = new Set(told.map((each) => each.replace(/\*.*/, '')))
    const out = held
      .map((each) => `${endpointId(each.address, each.port)} ${each.id}`)
      .filter((each) => !holders.has(each))
    expect(of?.absent.map((each) => `${each.address} ${each.instance}`) ?? []).toEqual(expect.arrayContaining(out))
    for (const absentee of of?.absent ?? []) {
      const key = `${absentee.address} ${absentee.instance}`
      // Nobody is shown as gone whose place somebody holds.
      if (!out.includes(key)) expect([...places.keys()]).not.toContain(absentee.address)
    }
  }
}

describe('whoever leaves is absent for a minute, with the reason', () => {
  test.each<[string, (leases: Leases) => unknown, string[]]>([
    ['removed', (leases) => leases.remove('web', 'a', 0), ['web: (a@80 has been removed)']],
    ['not renewed', (leases) => leases.expire(30_000), ['web: (a@80 has not been renewed for 30s)']],
    [
      'moved',
      (leases) => leases.put(said('web', 'a', 81), '', 0, max),
      ['web: a@81*1 (a@80 has moved to 10.0.0.1:81)'],
    ],
    [
      'its weight is 0',
      (leases) => leases.put(said('web', 'a', 80, { weight: 0 }), '', 0, max),
      ['web: (a@80 its weight is 0)'],
    ],
  ])('%s', (_, leave, expected) => {
    const leases = createLeases()
    leases.put(said('web', 'a'), '', 0, max)
    leave(leases)
    expect(table(leases)).toEqual(expected)
    expect(leases.nextMs).toBeLessThanOrEqual(30_000 + DEPARTED_MS)
  })

  test('and then the service itself is gone, if nobody else is there', () => {
    const leases = createLeases()
    leases.put(said('web', 'a'), '', 0, max)
    leases.put(said('api', 'b'), '', 0, max)
    leases.remove('web', 'a', 0)
    leases.put(said('api', 'b'), '', DEPARTED_MS - 1, max)
    expect(leases.nextMs).toBeLessThanOrEqual(DEPARTED_MS)
    leases.expire(DEPARTED_MS - 1)
    expect(table(leases)).toEqual(['api: b@80*1', 'web: (a@80 has been removed)'])
    leases.expire(DEPARTED_MS)
    expect(table(leases)).toEqual(['api: b@80*1'])
  })

  test('unless it comes back, or somebody else takes its place', () => {
    const leases = createLeases()
    for (const id of ['a', 'b']) leases.put(said('web', id, id === 'a' ? 80 : 81), '', 0, max)
    leases.remove('web', 'a', 0)
    leases.remove('web', 'b', 0)
    leases.put(said('web', 'a', 80), '', 0, max)
    leases.put(said('web', 'c', 81), '', 0, max)
    expect(table(leases)).toEqual(['web: a@80*1 c@81*1'])
    // Who had gone before is not shown again when that one goes, too.
    leases.remove('web', 'a', 0)
    expect(table(leases)).toEqual(['web: c@81*1 (a@80 has been removed)'])
    leases.put(said('web', 'a', 80, { weight: 0 }), '', 0, max)
    expect(table(leases)).toEqual(['web: c@81*1 (a@80 its weight is 0)'])
  })

  test('of ids that come and go no more are kept than ever were there at once', () => {
    const leases = createLeases()
    for (let at = 0; at < 1000; at += 1) {
      leases.put(said(`web-${at}`, 'a'), '', 0, max)
      leases.remove(`web-${at}`, 'a', 0)
    }
    leases.expire(0)
    expect(leases.catalog().services.size).toBe(1)
  })
})

test('of two ids at one place the first one stands for it, until it leaves', () => {
  const leases = createLeases()
  leases.put(said('web', 'b', 80, { weight: 2 }), '', 0, max)
  leases.put(said('web', 'a', 80, { weight: 3 }), '', 0, max)
  expect(table(leases)).toEqual(['web: a@80*3 (b@80 same address and port as "a")'])
  leases.remove('web', 'a', 0)
  expect(table(leases)).toEqual(['web: b@80*2'])
})

test('a service that has not changed is the same object, and so is one that is as it was again', () => {
  const leases = createLeases()
  leases.put(said('api', 'a'), '', 0, max)
  leases.put(said('web', 'a'), '', 0, max)
  const before = leases.catalog()
  leases.put(said('web', 'b', 81), '', 0, max)
  const then = leases.catalog()
  expect(then.services.get('api')).toBe(before.services.get('api'))
  expect(then.services.get('web')).not.toBe(before.services.get('web'))
  // Tags and time to live are no part of the catalog.
  leases.put(said('web', 'b', 81, { tags: ['v2'], ttlMs: 5000 }), '', 0, max)
  expect(leases.catalog().services.get('web')).toBe(then.services.get('web'))
})

test('one more than there may be is not taken; who is there may renew, move and leave', () => {
  const leases = createLeases()
  for (let at = 0; at < max; at += 1) expect(leases.put(said('web', `${at}`, 80 + at), '', 0, max)).toBe('new')
  expect(leases.put(said('api', 'a'), '', 0, max)).toBe('full')
  expect(leases.put(said('web', '0', 80), '', 0, max)).toBe('renewed')
  expect(leases.put(said('web', '0', 99), '', 0, max)).toBe('changed')
  // The limit was lowered meanwhile.
  expect(leases.put(said('web', '0', 99), '', 0, 1)).toBe('renewed')
  leases.remove('web', '1', 0)
  expect(leases.put(said('api', 'a'), '', 0, max)).toBe('new')
  expect(leases.size).toBe(max)
})
