import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBalancer } from '../../src/balancer/balancer.ts'
import { silent } from '../support/silent.ts'
import { simulate } from './simulator.ts'
import { atOnce, catalogOf, defaults, endpoint, newWorld, responded, service } from './world.ts'

function newBalancer() {
  return createBalancer({ now: () => 0, outlier: () => defaults, balancing: () => atOnce, observer: silent })
}

function counted(letters: string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const letter of letters) counts[letter] = (counts[letter] ?? 0) + 1
  return counts
}

it('tells the traffic of each service, which leaving endpoints do not lessen', () => {
  const world = newWorld('AB')
  world.serve(5)
  world.use('B')
  world.serve(1)
  expect([...world.balancer.traffic()]).toEqual([[service, 6]])
})

describe('a pick', () => {
  it('of a service that nobody knows says so', () => {
    const balancer = newBalancer()
    expect(balancer.pick('nobody')).toEqual({ kind: 'unknown-service' })
    balancer.update(catalogOf({ somebody: 'A' }))
    expect(balancer.pick('nobody')).toEqual({ kind: 'unknown-service' })
    expect(balancer.knows('nobody')).toBe(false)
    expect(balancer.viewService('nobody')).toBeNull()
  })

  it('of a service by the name of something inherited is of an unknown service', () => {
    const balancer = newBalancer()
    balancer.update(catalogOf({ somebody: 'A' }))
    for (const name of ['__proto__', 'constructor', 'toString', '']) {
      expect(balancer.pick(name)).toEqual({ kind: 'unknown-service' })
    }
  })

  it('of a service without endpoints says that there are none', () => {
    const balancer = newBalancer()
    balancer.update(catalogOf({ [service]: '' }))
    expect(balancer.pick(service)).toMatchObject({ kind: 'no-endpoints', retryAfterMs: null })
    expect(balancer.knows(service)).toBe(true)
  })

  it('after every endpoint was tried says that there is none', () => {
    const world = newWorld('AB')
    expect(world.balancer.pick(service, new Set(['A:80', 'B:80']))).toMatchObject({
      kind: 'no-endpoints',
      retryAfterMs: null,
    })
    expect(world.events).toEqual([])
  })

  it('never is of an endpoint that was tried', () => {
    const world = newWorld('ABC')
    expect([0, 0, 0, 0].map(() => world.pick('A').endpoint.address).join('')).toBe('BCBC')
    expect(world.pick('BC').endpoint.address).toBe('A')
  })

  it('takes an empty list of tried endpoints, null or none alike', () => {
    const { balancer } = newWorld('ABC')
    const picks = [balancer.pick(service), balancer.pick(service, null), balancer.pick(service, new Set())]
    expect(picks.map((pick) => (pick.kind === 'picked' ? pick.endpoint.address : pick.kind))).toEqual(['A', 'B', 'C'])
  })

  it('carries the endpoint as the catalog describes it now', () => {
    const world = newWorld('A')
    const renamed = { ...endpoint('A'), instance: 'renamed' }
    world.balancer.update({ services: new Map([[service, { endpoints: [renamed], absent: [] }]]) })
    expect(world.pick().endpoint).toEqual(renamed)
  })
})

describe('exactness', () => {
  it('k·N picks over N equal endpoints give k each, from any place on', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat({ max: 30 }),
        (size, rounds, before) => {
          const letters = 'ABCDEFGHIJKL'.slice(0, size)
          const world = newWorld(letters)
          world.serve(before)
          const counts = counted(world.serve(size * rounds))
          expect(counts).toEqual(Object.fromEntries([...letters].map((letter) => [letter, rounds])))
        },
      ),
    )
  })

  it('weighted endpoints stay within one pick of their share', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 150 }),
        (weights, count) => {
          const members = Object.fromEntries(weights.map((weight, index) => ['ABCDEFGH'[index] ?? '', weight]))
          const total = weights.reduce((sum, weight) => sum + weight, 0)
          const counts = counted(newWorld(members).serve(count))
          for (const [letter, weight] of Object.entries(members)) {
            expect(Math.abs((counts[letter] ?? 0) - (count * weight) / total)).toBeLessThan(1 + 1e-6)
          }
        },
      ),
    )
  })

  it('concurrent requests are spread as evenly as those one after the other', () => {
    const world = newWorld('ABC')
    const picks = Array.from({ length: 300 }, () => world.pick())
    expect(counted(picks.map(({ endpoint }) => endpoint.address).join(''))).toEqual({ A: 100, B: 100, C: 100 })
    expect(['A', 'B', 'C'].map((name) => world.viewOf(name).inFlight)).toEqual([100, 100, 100])
    for (const pick of picks.reverse()) pick.report(responded(200))
    expect(['A', 'B', 'C'].map((name) => world.viewOf(name).inFlight)).toEqual([0, 0, 0])
  })
})

describe('one of three answers 500 to everything', () => {
  const load = { durationMs: 65_000, intervalMs: 20, latencyMs: () => 5 }

  it('it is ejected after exactly 5 of its requests, gone for 30 s, probed once; the others share evenly', () => {
    const world = newWorld('ABC')
    const requests = simulate(world, { ...load, outcome: (name) => responded(name === 'B' ? 500 : 200) })
    expect(world.events).toEqual(['B out for 30s: consecutive-faults', 'B out for 60s: probe-failed'])
    const bad = requests.filter(({ name }) => name === 'B').map(({ atMs }) => atMs)
    expect(bad).toHaveLength(6)
    const [, , , , fifth = 0, probe = 0] = bad
    expect(fifth).toBe(260)
    // The ejection began with the answer to the fifth; the probe has the first turn of B's after its end.
    expect(probe - (fifth + 5)).toBeGreaterThanOrEqual(30_000)
    expect(probe - (fifth + 5)).toBeLessThanOrEqual(30_000 + 3 * 20)
    const others = requests.map(({ name }) => name).filter((name) => name !== 'B')
    const { A = 0, C = 0 } = counted(others.join(''))
    expect(Math.abs(A - C)).toBeLessThanOrEqual(1)
    // Nobody's neighbour inherits a double share: the two alternate throughout.
    expect(others.join('')).toMatch(/^(AC)+A?$/)
  })

  it('healed, it is back with its probe, and in its full share', () => {
    const world = newWorld('ABC')
    const requests = simulate(world, {
      ...load,
      outcome: (name, sentMs) => responded(name === 'B' && sentMs < 10_000 ? 500 : 200),
    })
    expect(world.events).toEqual(['B out for 30s: consecutive-faults', 'B back'])
    const after = requests.filter(({ atMs }) => atMs >= 31_000).map(({ name }) => name)
    expect(after.join('')).toMatch(/^(ABC)+A?B?$|^(BCA)+B?C?$|^(CAB)+C?A?$|^(ACB)+A?C?$|^(CBA)+C?B?$|^(BAC)+B?A?$/)
  })
})

describe('the view', () => {
  it('lists every service by name, those that just left too', () => {
    const balancer = newBalancer()
    balancer.update(catalogOf({ b: 'A', a: 'A', c: 'A' }))
    balancer.update(catalogOf({ c: 'A', a: '' }))
    expect(balancer.view().services.map(({ name, inCatalog }) => `${name} ${inCatalog}`)).toEqual([
      'a true',
      'b false',
      'c true',
    ])
  })

  it('tells the state of each endpoint, and who is absent', () => {
    const world = newWorld('')
    const absent = [{ instance: 'instance-Z', address: 'Z:80', reason: 'in maintenance mode' }]
    world.balancer.update({
      services: new Map([[service, { endpoints: [endpoint('A'), endpoint('B', 2)], absent }]]),
    })
    world.play('+5s A404 Brefused')
    expect(world.balancer.viewService(service)).toMatchObject({
      name: service,
      inCatalog: true,
      absent,
      drainedAway: [],
      panic: { picks: 0, agoMs: null },
      pickSpread: expect.any(Number),
      endpoints: [
        {
          endpoint: endpoint('A'),
          state: 'healthy',
          reason: null,
          withheld: null,
          ejectedForMs: null,
          consecutiveFaults: 0,
          consecutiveConnectFaults: 0,
          ejections: 0,
          inFlight: 0,
          picks: 1,
          recentPicks: 1,
          idealShare: 1 / 3,
          faults: [],
          lastEjection: null,
          lastWithheld: null,
          warmth: 1,
        },
        {
          endpoint: endpoint('B', 2),
          state: 'healthy',
          reason: null,
          withheld: null,
          ejectedForMs: null,
          consecutiveFaults: 1,
          consecutiveConnectFaults: 1,
          ejections: 0,
          inFlight: 0,
          picks: 1,
          idealShare: 2 / 3,
          faults: [{ agoMs: 0, outcome: { kind: 'connect-failed' }, request: null }],
          warmth: 1,
        },
      ],
    })
  })

  it('tells how uneven the picks are since the last change', () => {
    const world = newWorld('ABC')
    const spread = () => world.balancer.viewService(service)?.pickSpread
    expect(spread()).toBe(0)
    world.serve(4)
    expect(spread()).toBe(1)
    world.serve(2)
    expect(spread()).toBe(0)
    for (let round = 0; round < 4; round++) world.pick('AB')
    expect(spread()).toBe(4)
    world.use('ABCD')
    expect(spread()).toBe(0)
  })

  it('of an empty catalog is empty', () => {
    const balancer = newBalancer()
    expect(balancer.update({ services: new Map() })).toEqual({ kind: 'unchanged' })
    expect(balancer.view()).toEqual({ services: [] })
  })
})
