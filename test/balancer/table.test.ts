import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Catalog } from '../../src/balancer/endpoint.ts'
import type { Pool } from '../../src/balancer/pool.ts'
import { emptyTable, isKnown, type RoutingTable, reconcile, rememberDepartedMs } from '../../src/balancer/table.ts'
import { silent } from '../support/silent.ts'
import {
  atOnce,
  catalogOf,
  defaults,
  endpoint,
  type Members,
  newWorld,
  outcomes,
  responded,
  service,
  type World,
} from './world.ts'

function newTables() {
  const clock = { nowMs: 0 }
  const context = {
    now: () => clock.nowMs,
    outlier: () => defaults,
    balancing: () => atOnce,
    observer: silent,
    drainOf: () => null,
  }
  let table: RoutingTable = emptyTable
  return {
    clock,
    take(catalog: Catalog) {
      const { table: next, change } = reconcile(table, catalog, context)
      const previous = table
      table = next
      return { change, isSame: next === previous, table }
    },
  }
}

describe('reconcile', () => {
  it('an equal catalog gives the very same table', () => {
    const tables = newTables()
    tables.take(catalogOf({ a: 'AB', b: { C: 3 } }))
    // Equal in content; other objects, and the services in another order.
    expect(tables.take(catalogOf({ b: { C: 3 }, a: 'AB' }))).toMatchObject({
      isSame: true,
      change: { kind: 'unchanged' },
    })
    expect(tables.take(catalogOf({ b: { C: 4 }, a: 'AB' })).isSame).toBe(false)
  })

  it('an equal catalog gives the same table whatever the catalog', () => {
    const members = fc.dictionary(fc.constantFrom('A', 'B', 'C', 'D'), fc.integer({ min: 1, max: 3 }))
    const catalogs = fc.dictionary(fc.constantFrom('a', 'b', '__proto__', 'c'), members)
    fc.assert(
      fc.property(catalogs, catalogs, (first, second) => {
        const tables = newTables()
        tables.take(catalogOf(first))
        const before = tables.take(catalogOf(second)).table
        const again = tables.take(catalogOf(structuredClone(second)))
        expect(again.table).toBe(before)
        expect(again.change).toEqual({ kind: 'unchanged' })
        expect([...before.pools.keys()].sort()).toEqual(Object.keys(second).sort())
        for (const [name, pool] of before.pools) {
          expect(pool.view().endpoints.map((view) => view.endpoint)).toEqual(
            catalogOf(second).services.get(name)?.endpoints,
          )
        }
      }),
    )
  })

  it('a service that stays keeps its pool', () => {
    const tables = newTables()
    const pool = (table: RoutingTable): Pool | undefined => table.pools.get('a')
    const first = pool(tables.take(catalogOf({ a: 'AB' })).table)
    expect(pool(tables.take(catalogOf({ a: 'AB', b: 'C' })).table)).toBe(first)
    expect(pool(tables.take(catalogOf({ a: 'BC' })).table)).toBe(first)
    tables.take(catalogOf({}))
    expect(pool(tables.take(catalogOf({ a: 'BC' })).table)).not.toBe(first)
  })

  it('says by name what became of each service', () => {
    const tables = newTables()
    expect(tables.take(catalogOf({ a: 'A', b: 'AB', c: 'A' })).change).toEqual({
      kind: 'changed',
      services: [
        { name: 'a', kind: 'added', joined: [endpoint('A')], left: [], reweighted: [] },
        { name: 'b', kind: 'added', joined: [endpoint('A'), endpoint('B')], left: [], reweighted: [] },
        { name: 'c', kind: 'added', joined: [endpoint('A')], left: [], reweighted: [] },
      ],
    })
    expect(tables.take(catalogOf({ a: 'A', b: { B: 2, C: 1 }, d: '' })).change).toEqual({
      kind: 'changed',
      services: [
        {
          name: 'b',
          kind: 'changed',
          joined: [endpoint('C')],
          left: [endpoint('A')],
          reweighted: [endpoint('B', 2)],
        },
        { name: 'd', kind: 'added', joined: [], left: [], reweighted: [] },
        { name: 'c', kind: 'removed', joined: [], left: [endpoint('A')], reweighted: [] },
      ],
    })
  })

  it('an instance with a new id on an old address is no other endpoint, and not reweighted', () => {
    const world = newWorld('AB')
    world.play('A500*5')
    const renamed = { ...endpoint('A'), instance: 'another' }
    const change = world.balancer.update({
      services: new Map([[service, { endpoints: [renamed, endpoint('B')], absent: [] }]]),
    })
    expect(change).toEqual({
      kind: 'changed',
      services: [{ name: service, kind: 'changed', joined: [], left: [], reweighted: [] }],
    })
    expect(world.states()).toBe('A ejected, B healthy')
    expect(world.viewOf('A').endpoint.instance).toBe('another')
  })

  it('a change of the absent alone is a change, and alters no turn', () => {
    const world = newWorld('ABC')
    world.serve(1)
    const absent = [{ instance: 'z', address: 'Z:80', reason: 'check "http" is critical' }]
    const endpoints = [endpoint('A'), endpoint('B'), endpoint('C')]
    const change = world.balancer.update({ services: new Map([[service, { endpoints, absent }]]) })
    expect(change.kind).toBe('changed')
    expect(world.balancer.viewService(service)).toMatchObject({ absent, pickSpread: 1 })
    expect(world.serve(5)).toBe('BCABC')
  })
})

describe('endpoints that stay', () => {
  const rows: { name: string; before: Members; served: number; after: Members; expected: string }[] = [
    { name: 'keep their place when one joins', before: 'ABC', served: 2, after: 'ABCD', expected: 'CDABCDAB' },
    {
      name: 'keep their place when one leaves that had its turn',
      before: 'ABC',
      served: 1,
      after: 'BC',
      expected: 'BCBC',
    },
    { name: 'keep their place when the next in turn leaves', before: 'ABC', served: 1, after: 'AC', expected: 'CACA' },
    { name: 'keep their place when one is replaced', before: 'ABC', served: 2, after: 'ACD', expected: 'CDACDA' },
    { name: 'start with the first when everybody is new', before: 'ABC', served: 2, after: 'DE', expected: 'DEDE' },
  ]
  for (const { name, before, served, after, expected } of rows) {
    it(name, () => {
      const world = newWorld(before)
      world.serve(served)
      world.use(after)
      expect(world.serve(expected.length)).toBe(expected)
    })
  }

  it('keep their health, their counts and what they have in flight', () => {
    const world = newWorld('ABCD')
    world.play('A500*5 B500*3 +10s')
    const pending = [world.pickOf('B'), world.pickOf('B')]
    // How they share the turns is another matter once there are others.
    const viewed = (name: string) => ({ ...world.viewOf(name), recentPicks: 0, idealShare: 0 })
    const before = ['A', 'B'].map(viewed)
    world.use({ A: 1, B: 1, D: 5, E: 2, Z: 1 })
    expect(['A', 'B'].map(viewed)).toEqual(before)
    pending[0]?.report(responded(500))
    expect(world.viewOf('B')).toMatchObject({ inFlight: 1, consecutiveFaults: 4 })
    world.play('+20s')
    expect(world.viewOf('A').ejectedForMs).toBe(0)
    expect(world.serve(12)).toContain('A')
  })

  it('keep their health when their weight changes', () => {
    const world = newWorld('ABC')
    world.play('A500*5')
    world.use({ A: 4, B: 2, C: 1 })
    expect(world.serve(300).match(/B/g)).toHaveLength(200)
    expect(world.viewOf('A').state).toBe('ejected')
    world.play('+30s')
    world.serve(3)
    expect(world.viewOf('A').state).toBe('healthy')
    expect(world.serve(700).match(/A/g)).toHaveLength(400)
  })

  it('go on with a probe that is under way', () => {
    const world = newWorld('ABC')
    world.play('A500*5 +30s')
    const probe = world.pickOf('A')
    world.use('ABCD')
    expect(world.serve(12)).not.toContain('A')
    probe.report(responded(200))
    expect(world.states()).toBe('A healthy, B healthy, C healthy, D healthy')
  })

  it('still get the probe that was due when the list changed', () => {
    const world = newWorld('ABC')
    world.play('A500*5 +30s B200')
    world.use('ABCD')
    expect(world.serve(4)).toContain('A')
    expect(world.viewOf('A').state).toBe('healthy')
  })
})

describe('an unrelated change', () => {
  type Step = { waitMs: number; outcome: 200 | 500 | 'refused' | 'left' | 'late'; others: Record<string, number>[] }

  /** Plays the steps; `others` go into the catalog between them, or are left out. */
  function play(steps: readonly Step[], disturbed: boolean): { served: string; world: World } {
    const world = newWorld({ A: 1, B: 1, C: 2, D: 1 })
    let served = ''
    const late: (() => void)[] = []
    for (const { waitMs, outcome, others } of steps) {
      for (const other of disturbed ? others : []) {
        const services = Object.entries(other).map(([name, size]) => [name, 'ABCDEF'.slice(0, size)])
        world.balancer.update(catalogOf({ ...Object.fromEntries(services), [service]: { A: 1, B: 1, C: 2, D: 1 } }))
        for (const name of Object.keys(other)) {
          const pick = world.balancer.pick(name)
          if (pick.kind === 'picked') pick.report(outcomes.refused)
        }
      }
      world.nowMs += waitMs
      const pick = world.pick()
      served += pick.endpoint.address + (pick.role === 'panic' ? '!' : '')
      if (outcome === 'late') late.push(() => pick.report(responded(500)))
      else pick.report(typeof outcome === 'number' ? responded(outcome) : outcomes[outcome])
      if (late.length > 3) late.shift()?.()
    }
    return { served, world }
  }

  const others = fc.dictionary(fc.constantFrom('a', 'b', 'zz'), fc.nat({ max: 6 }), { maxKeys: 3 })
  const step = fc.record({
    waitMs: fc.constantFrom(0, 0, 0, 100, 31_000),
    outcome: fc.constantFrom<Step['outcome'][]>(200, 200, 500, 'refused', 'left', 'late'),
    others: fc.array(others, { maxLength: 2 }),
  })

  it('alters no pick and no health', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 80 }), (steps) => {
        const calm = play(steps, false)
        const disturbed = play(steps, true)
        expect(disturbed.served).toBe(calm.served)
        expect(disturbed.world.balancer.viewService(service)).toEqual(calm.world.balancer.viewService(service))
      }),
      { numRuns: 150 },
    )
  })

  it('does not slow an ejection down while another service flaps at every request', () => {
    const world = newWorld('ABC')
    let flip = false
    const served = world.serve(30, (name) => {
      flip = !flip
      world.balancer.update(catalogOf({ [service]: 'ABC', flapping: flip ? 'A' : 'AB' }))
      return responded(name === 'A' ? 500 : 200)
    })
    expect(served).toMatch(/^(ABC){5}(BC)*B?$/)
  })
})

describe('a service that left the catalog', () => {
  it('is known for ten minutes, and then not', () => {
    const world = newWorld('AB')
    world.balancer.update(catalogOf({ other: 'A' }))
    const pick = () => world.balancer.pick(service).kind
    expect(pick()).toBe('no-endpoints')
    expect(world.balancer.viewService(service)).toEqual({
      name: service,
      inCatalog: false,
      endpoints: [],
      absent: [],
      drainedAway: [],
      pickSpread: 0,
      panic: { picks: 0, agoMs: null },
    })
    world.nowMs += 10 * 60_000 - 1
    expect([pick(), world.balancer.knows(service)]).toEqual(['no-endpoints', true])
    world.nowMs += 1
    expect([pick(), world.balancer.knows(service)]).toEqual(['unknown-service', false])
    expect(world.balancer.view().services.map(({ name }) => name)).toEqual(['other'])
  })

  it('is not counted anew by changes of others', () => {
    const tables = newTables()
    tables.take(catalogOf({ a: 'A', b: 'A' }))
    tables.take(catalogOf({ b: 'A' }))
    tables.clock.nowMs = rememberDepartedMs - 1
    const { table } = tables.take(catalogOf({ b: 'AB' }))
    expect(isKnown(table, 'a', rememberDepartedMs - 1)).toBe(true)
    expect(isKnown(table, 'a', rememberDepartedMs)).toBe(false)
  })

  it('and comes back is there, and remembered anew when it leaves again', () => {
    const world = newWorld('A')
    world.balancer.update(catalogOf({}))
    world.nowMs += 5 * 60_000
    world.use('A')
    expect(world.serve(1)).toBe('A')
    expect(world.balancer.view().services).toHaveLength(1)
    world.balancer.update(catalogOf({}))
    world.nowMs += 10 * 60_000 - 1
    expect(world.balancer.knows(service)).toBe(true)
  })

  it('may still be reported on', () => {
    const world = newWorld('ABC')
    const picks = Array.from({ length: 30 }, () => world.pick())
    world.balancer.update(catalogOf({}))
    for (const pick of picks) {
      pick.answered(500)
      pick.report(outcomes.refused)
    }
    expect(world.events).toEqual([])
  })

  it('is forgotten when there are too many, the oldest first', () => {
    const tables = newTables()
    const names = (from: number) => Object.fromEntries(Array.from({ length: 4_000 }, (_, i) => [`s${from + i}`, '']))
    for (const from of [0, 4_000, 8_000]) tables.take(catalogOf(names(from)))
    const { table } = tables.take(catalogOf({}))
    expect(table.departed.size).toBe(10_000)
    const known = [0, 1_999, 2_000, 11_999].map((index) => isKnown(table, `s${index}`, 0))
    expect(known).toEqual([false, false, true, true])
  })
})
