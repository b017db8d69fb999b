/** What becomes of requests, of health and of everybody's share when a person drains, ejects and takes it back? */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Hands } from '../../src/balancer/balancer.ts'
import { maxDrains } from '../../src/balancer/drains.ts'
import type { OutlierOptions } from '../../src/balancer/outlier-options.ts'
import { catalogOf, endpoint, type Members, newWorld, outcomes, responded, service, type World } from './world.ts'

interface Row {
  name: string
  /** `ABC` unless told. */
  pool?: Members
  options?: Partial<OutlierOptions>
  script: string
  /** Who serves the next requests, one each. */
  served?: string
  states?: string
  events?: string[]
}

function check(rows: readonly Row[]): void {
  for (const { name, pool = 'ABC', options, script, served, states, events } of rows) {
    it(name, () => {
      const world = newWorld(pool, options)
      world.play(script)
      if (events !== undefined) expect(world.events).toEqual(events)
      if (states !== undefined) expect(world.states()).toBe(states)
      if (served !== undefined) expect(world.serve(served.length)).toBe(served)
    })
  }
}

function noPick(world: World, avoid: readonly string[] = []) {
  const pick = world.balancer.pick(service, new Set(avoid.map((letter) => `${letter}:80`)))
  if (pick.kind !== 'no-endpoints') throw new Error(`expected no endpoints, got ${pick.kind}`)
  return pick
}

const counted = (served: string, name: string) => served.split(name).length - 1

describe('a drained endpoint', () => {
  check([
    { name: 'has no turn, and its neighbour no double share', script: 'drainB', served: 'ACACAC' },
    { name: 'is drained in the view, whoever said it', script: 'drainB', states: 'A healthy, B drained, C healthy' },
    { name: 'is told once', script: 'drainB drainB', events: ['B drained by anna'] },
    { name: 'weighs nothing for the others', pool: { A: 2, B: 5, C: 1 }, script: 'drainB', served: 'ACAACA' },
    {
      name: 'is not picked in a panic',
      pool: 'AB',
      options: { maxEjectedShare: 1 },
      script: 'allrefused*2 drainB',
      served: 'AA',
    },
    {
      name: 'nor as the probe of an ejection that is over',
      script: 'Brefused*2 drainB +60s',
      served: 'ACACAC',
      states: 'A healthy, B drained, C healthy',
    },
  ])

  it('is not tried by a retry: when all others were, there is nobody', () => {
    const world = newWorld('ABC')
    world.hand('drain', 'B')
    expect(noPick(world, ['A', 'C']).standing?.out).toEqual([{ endpoint: 'B:80', state: 'drained', reason: null }])
  })

  it('that is the last one leaves nobody: known, with a standing, and nobody knows until when', () => {
    const world = newWorld('AB')
    world.play('drainA drainB')
    expect(noPick(world)).toEqual({
      kind: 'no-endpoints',
      retryAfterMs: null,
      standing: {
        service: { endpoints: [endpoint('A'), endpoint('B')], absent: [] },
        out: [
          { endpoint: 'A:80', state: 'drained', reason: null },
          { endpoint: 'B:80', state: 'drained', reason: null },
        ],
      },
    })
    expect(world.events).not.toContain('panic')
    world.play('undrainB')
    expect(world.serve(3)).toBe('BBB')
  })

  it('finishes what is in flight, which is counted, and judged no more', () => {
    const world = newWorld('AB')
    const held = Array.from({ length: 8 }, () => world.pickOf('A'))
    world.hand('drain', 'A')
    expect(world.viewOf('A')).toMatchObject({ state: 'drained', inFlight: 8, picks: 8, idealShare: 0 })
    held.pop()?.report(responded(200))
    for (const pick of held.splice(0)) pick.report(outcomes.reset, 'r-1')
    expect(world.viewOf('A')).toMatchObject({ inFlight: 0, ejections: 0, withheld: null, consecutiveFaults: 7 })
    expect(world.viewOf('A').faults).toHaveLength(7)
    expect(world.events).toEqual(['A drained by anna'])
  })

  it('tells who drained it and since when, and since when it is in turn again', () => {
    const world = newWorld('AB')
    world.play('+7s drainA +3s')
    expect(world.viewOf('A')).toMatchObject({ stateForMs: 3_000, drained: { by: 'anna', agoMs: 3_000 } })
    world.play('+1s undrainA +2s')
    expect(world.viewOf('A')).toMatchObject({ state: 'healthy', stateForMs: 2_000, drained: null })
    expect(world.viewOf('B')).toMatchObject({ stateForMs: 13_000 })
  })

  it('still drained by somebody else is as the first one said', () => {
    const world = newWorld('AB')
    world.hand('drain', 'A')
    expect(world.balancer.drain(service, 'A:80', 'bert')).toBe('unchanged')
    expect(world.viewOf('A').drained?.by).toBe('anna')
  })

  it('is in turn again once it is undrained, with a clean record, and as even as ever', () => {
    const world = newWorld('ABC')
    world.play('A500*4 drainA')
    world.serve(101)
    world.hand('undrain', 'A')
    expect(world.viewOf('A')).toMatchObject({ consecutiveFaults: 0, recentPicks: 0, idealShare: 1 / 3 })
    const served = world.serve(30)
    for (const name of 'ABC') expect(counted(served, name), name).toBe(10)
    world.play('A500*4')
    expect(world.events).toEqual(['A drained by anna', 'A undrained by anna'])
  })

  it('has no part in the spread and no ideal share', () => {
    const world = newWorld({ A: 1, B: 2, C: 1 })
    world.play('drainB')
    world.serve(3)
    expect(world.balancer.viewService(service)?.pickSpread).toBe(1)
    expect(['A', 'B', 'C'].map((name) => world.viewOf(name).idealShare)).toEqual([0.5, 0, 0.5])
    expect(['A', 'B', 'C'].map((name) => world.viewOf(name).recentPicks)).toEqual([2, 0, 1])
  })
})

describe('a drain outlives', () => {
  const drained = (world: World) => expect(counted(world.serve(12), 'B'), 'requests to B').toBe(0)

  it.each<[string, (world: World) => void]>([
    ['its leaving and coming back', (world) => ['AC', 'ABC'].forEach(world.use)],
    ['new weights, its own too', (world) => world.use({ A: 3, B: 7, C: 1 })],
    ['others that come and go', (world) => ['ABCD', 'BD', 'ABCDE'].forEach(world.use)],
    [
      'the leaving of its whole service, for an hour',
      (world) => {
        world.balancer.update(catalogOf({ other: 'A' }))
        world.play('+3600s')
        world.use('ABC')
      },
    ],
    [
      'an empty answer about its service',
      (world) => {
        world.use('')
        world.use('ABC')
      },
    ],
  ])('%s', (_name, change) => {
    const world = newWorld('ABC')
    world.hand('drain', 'B')
    change(world)
    expect(world.viewOf('B')).toMatchObject({ state: 'drained', drained: { by: 'anna' }, picks: 0 })
    drained(world)
    world.hand('undrain', 'B')
    expect(counted(world.serve(50), 'B')).toBeGreaterThan(0)
  })

  it('slow start: it joins drained, warms up by the clock, and the others notice nothing', () => {
    const world = newWorld('ABC')
    world.balancing = { slowStartMs: 16_000 }
    world.hand('drain', 'B')
    world.use('AC')
    world.use('ABC')
    let served = ''
    for (let step = 0; step < 10; step++) {
      world.play('+1s')
      served += world.serve(7)
    }
    expect(counted(served, 'B')).toBe(0)
    expect(Math.abs(counted(served, 'A') - counted(served, 'C'))).toBeLessThanOrEqual(1)
    expect(world.viewOf('B')).toMatchObject({ state: 'drained', warmth: 21 / 32 })
    world.hand('undrain', 'B')
    expect(world.viewOf('B').warmth).toBe(21 / 32)
    expect(counted(world.serve(85), 'B')).toBe(21)
  })

  it('an endpoint that the catalog does not list is shown, and can be undrained', () => {
    const world = newWorld('AB')
    world.hand('drain', 'B')
    world.use('A')
    world.play('+5s')
    const away = () => world.balancer.viewService(service)?.drainedAway
    expect(away()).toEqual([{ endpoint: 'B:80', by: 'anna', agoMs: 5_000 }])
    expect(world.hand('drain', 'B')).toBe('unchanged')
    expect(world.hand('undrain', 'B')).toBe('done')
    expect(away()).toEqual([])
    expect(world.hand('undrain', 'B')).toBe('unknown-endpoint')
    world.use('AB')
    expect(counted(world.serve(4), 'B')).toBe(2)
  })

  it('a service that nobody remembers is shown for as long as somebody of it is drained', () => {
    const world = newWorld('AB')
    world.hand('drain', 'B')
    world.balancer.update(catalogOf({ other: 'A' }))
    world.play('+3600s')
    expect(world.balancer.knows(service)).toBe(false)
    expect(world.balancer.viewService(service)).toMatchObject({ inCatalog: false, endpoints: [] })
    expect(world.balancer.view().services.map(({ name }) => name)).toEqual(['other', service])
    expect(world.hand('undrain', 'B')).toBe('done')
    expect(world.balancer.viewService(service)).toBeNull()
    expect(world.balancer.view().services.map(({ name }) => name)).toEqual(['other'])
  })
})

describe('a drain and the health of others', () => {
  const out = (name: string, reason = 'consecutive-connect-faults') => `${name} out for 30s: ${reason}`
  check([
    {
      name: 'the cap counts those who are not drained: of two left, one',
      pool: 'ABCD',
      script: 'drainC drainD Arefused*2 Brefused*2',
      events: ['C drained by anna', 'D drained by anna', out('A'), 'B stays: consecutive-connect-faults, cap'],
    },
    {
      name: 'an ejected one that is drained makes no room smaller',
      pool: 'ABCD',
      options: { maxEjectedShare: 0.3 },
      script: 'Arefused*2 drainA Brefused*2 undrainA',
      events: [out('A'), 'A drained by anna', 'B stays: consecutive-connect-faults, cap', 'A undrained by anna'],
    },
    {
      name: 'whoever is left alone is never ejected',
      options: { maxEjectedShare: 1 },
      script: 'drainB drainC A500*9',
      events: ['B drained by anna', 'C drained by anna', 'A stays: consecutive-faults, cap'],
    },
    {
      name: 'that the drained ones failed is no correlation',
      pool: 'ABCDE',
      script: 'A500*4 B500*4 drainA drainB C500*5',
      events: ['A drained by anna', 'B drained by anna', out('C', 'consecutive-faults')],
    },
    {
      name: 'nor do they outvote those who fail together',
      pool: 'ABCDEFG',
      script: 'drainD drainE drainF drainG A500*4 B500*4 C500*5',
      events: [...'DEFG'].map((name) => `${name} drained by anna`).concat('C stays: consecutive-faults, correlated'),
    },
  ])

  it('of slow siblings that are drained nobody waits to hear', () => {
    const world = newWorld('ABCD')
    for (const name of 'CD') world.pickOf(name)
    world.play('drainC drainD A500*5')
    expect(world.states()).toBe('A ejected, B healthy, C drained, D drained')
  })
})

describe('drained while ejected', () => {
  check([
    {
      name: 'undrained before its time is up: ejected as before',
      script: 'Brefused*2 +10s drainB +5s undrainB',
      states: 'A healthy, B ejected, C healthy',
      served: 'ACAC',
    },
    {
      name: 'undrained after: its next turn is its probe',
      script: 'Brefused*2 drainB +60s undrainB B200',
      events: ['B out for 30s: consecutive-connect-faults', 'B drained by anna', 'B undrained by anna', 'B back'],
      states: 'A healthy, B healthy, C healthy',
    },
    {
      name: 'restored: drained all the same, and well when it is undrained',
      script: 'Brefused*2 drainB restoreB',
      states: 'A healthy, B drained, C healthy',
      served: 'ACAC',
    },
    { name: 'restored and undrained', script: 'Brefused*2 drainB restoreB undrainB', served: 'ACBACB' },
    {
      name: 'ejected by hand while it is drained: for when it is undrained',
      script: 'drainB ejectB undrainB',
      states: 'A healthy, B ejected, C healthy',
      served: 'ACAC',
    },
  ])

  it.each([
    ['well', responded(200), 'healthy', 'ABC'],
    ['badly', responded(500), 'ejected', 'AC'],
    ['with nothing to say', outcomes.left, 'ejected', 'ABC'],
  ] as const)('and its probe ends %s', (_name, outcome, health, after) => {
    const world = newWorld('ABC')
    world.play('Brefused*2 +30s')
    const probe = world.pickOf('B')
    expect(probe.role).toBe('probe')
    world.hand('drain', 'B')
    probe.report(outcome)
    expect(world.balancer.vitals(service, 'B:80')?.state).toBe(health)
    expect(world.viewOf('B')).toMatchObject({ state: 'drained', inFlight: 0 })
    expect(world.serve(4)).not.toContain('B')
    world.hand('undrain', 'B')
    expect(new Set(world.serve(9))).toEqual(new Set(after))
  })

  it('undrained while its probe is still on its way: there is no second one', () => {
    const world = newWorld('ABC')
    world.play('Brefused*2 +30s')
    const probe = world.pickOf('B')
    world.play('drainB undrainB')
    expect(world.viewOf('B').state).toBe('probing')
    expect(world.serve(6)).not.toContain('B')
    probe.report(responded(200))
    expect(counted(world.serve(6), 'B')).toBe(2)
  })
})

describe('ejected by hand', () => {
  check([
    {
      name: 'it is out for the base time, and back through one probe',
      script: 'ejectB +30s B200',
      events: ['B out for 30s: by-hand', 'B back'],
    },
    {
      name: 'a probe that fails keeps it out for longer',
      script: 'ejectB +30s B500',
      events: ['B out for 30s: by-hand', 'B out for 60s: probe-failed'],
    },
    { name: 'its turns go to the others', script: 'ejectB', served: 'ACACAC' },
    {
      name: 'no cap is asked, nor shadow mode',
      options: { maxEjectedShare: 0, enforce: false },
      script: 'ejectA ejectB',
      events: ['A out for 30s: by-hand', 'B out for 30s: by-hand'],
    },
    {
      name: 'it counts for the cap of the others',
      script: 'ejectA Brefused*2',
      events: ['A out for 30s: by-hand', 'B stays: consecutive-connect-faults, cap'],
    },
    {
      name: 'when all are, requests go to them all the same, and a good answer brings back who gave it',
      pool: 'AB',
      script: 'ejectA ejectB A200',
      events: ['A out for 30s: by-hand', 'B out for 30s: by-hand', 'panic', 'A back'],
    },
    {
      name: 'again while it is out: nothing is longer for it',
      script: 'ejectB +10s ejectB +20s B200',
      events: ['B out for 30s: by-hand', 'B back'],
    },
    {
      name: 'again when its time is up: once more, and longer',
      script: 'ejectB +30s ejectB',
      events: ['B out for 30s: by-hand', 'B out for 60s: by-hand'],
    },
  ])

  it('it says who did it, and what is out by a rule says nobody', () => {
    const world = newWorld('ABCD')
    world.play('ejectA Brefused*2')
    expect(world.viewOf('A')).toMatchObject({ reason: 'by-hand', lastEjection: { by: 'anna', faults: [] } })
    expect(world.viewOf('B').lastEjection?.by).toBeNull()
  })

  it('during its probe: what the probe says counts no more', () => {
    const world = newWorld('ABC')
    world.play('ejectB +30s')
    const probe = world.pickOf('B')
    expect(world.hand('eject', 'B')).toBe('done')
    probe.answered(200)
    probe.report(responded(200))
    expect(world.viewOf('B')).toMatchObject({ state: 'ejected', ejectedForMs: 60_000, inFlight: 0 })
  })
})

describe('restored by hand', () => {
  check([
    {
      name: 'it is in turn at once, with a clean record',
      script: 'B500*5 +1s restoreB B500*4',
      events: ['B out for 30s: consecutive-faults', 'B back'],
      states: 'A healthy, B healthy, C healthy',
    },
    { name: 'in its own share', script: 'ejectB restoreB', served: 'ABCABC' },
  ])

  it.each([
    ['goes well', responded(200), 0],
    ['fails', responded(500), 1],
    ['says nothing', outcomes.left, 0],
  ])('during its probe, which then %s: one answer like any', (_name, outcome, faults) => {
    const world = newWorld('ABC')
    world.play('ejectB +30s')
    const probe = world.pickOf('B')
    expect(world.hand('restore', 'B')).toBe('done')
    expect(counted(world.serve(6), 'B')).toBe(2)
    probe.report(outcome)
    expect(world.viewOf('B')).toMatchObject({ state: 'healthy', consecutiveFaults: faults, inFlight: 0, ejections: 1 })
    expect(world.events).toEqual(['B out for 30s: by-hand', 'B back'])
  })
})

describe('what a person is answered', () => {
  const actions: (keyof Hands)[] = ['drain', 'undrain', 'eject', 'restore']

  it.each<[string, keyof Hands, string, string]>([
    ['', 'drain', 'A', 'done'],
    ['drainA', 'drain', 'A', 'unchanged'],
    ['', 'undrain', 'A', 'unchanged'],
    ['drainA', 'undrain', 'A', 'done'],
    ['', 'eject', 'A', 'done'],
    ['ejectA', 'eject', 'A', 'unchanged'],
    ['ejectA +30s', 'eject', 'A', 'done'],
    ['', 'restore', 'A', 'unchanged'],
    ['ejectA', 'restore', 'A', 'done'],
    ['drainA', 'restore', 'A', 'unchanged'],
    ['', 'drain', 'Z', 'unknown-endpoint'],
    ['', 'undrain', 'Z', 'unknown-endpoint'],
    ['', 'eject', 'Z', 'unknown-endpoint'],
    ['', 'restore', 'Z', 'unknown-endpoint'],
  ])('after "%s", to %s %s: %s', (script, action, name, result) => {
    const world = newWorld('AB')
    if (script !== '') world.play(script)
    const told = world.events.length
    expect(world.hand(action, name)).toBe(result)
    if (result !== 'done') expect(world.events).toHaveLength(told)
  })

  it('of a service that is not known, and of one that has just left', () => {
    const { balancer } = newWorld('A')
    for (const action of actions) expect(balancer[action]('nobody', 'A:80', 'anna'), action).toBe('unknown-service')
    balancer.update(catalogOf({ other: 'A' }))
    for (const action of actions) expect(balancer[action](service, 'A:80', 'anna'), action).toBe('unknown-endpoint')
  })

  it('of an instance that the catalog keeps out of rotation: it is drained should it come back', () => {
    const world = newWorld('A')
    const absent = [{ instance: 'instance-B', address: 'B:80', reason: 'check "http" is critical' }]
    world.balancer.update({ services: new Map([[service, { endpoints: [endpoint('A')], absent }]]) })
    expect(world.hand('undrain', 'B')).toBe('unchanged')
    expect(world.hand('eject', 'B')).toBe('unknown-endpoint')
    expect(world.hand('drain', 'B')).toBe('done')
    world.use('AB')
    expect(world.states()).toBe('A healthy, B drained')
    expect(world.serve(3)).toBe('AAA')
  })

  it('too many, once a thousand are drained: a script that never undrains fills no memory', () => {
    const world = newWorld('AB')
    const { balancer } = world
    const many = Array.from({ length: maxDrains + 1 }, (_, index) => endpoint(`host-${index}`))
    balancer.update({ services: new Map([[service, { endpoints: many, absent: [] }]]) })
    const results = many.map(({ id }) => balancer.drain(service, id, 'a script'))
    expect(results.filter((result) => result === 'done')).toHaveLength(maxDrains)
    expect(results.at(-1)).toBe('too-many')
    expect(world.serve(2)).toBe('host-1000host-1000')
    expect(balancer.undrain(service, 'host-0:80', 'anna')).toBe('done')
    expect(balancer.drain(service, 'host-1000:80', 'anna')).toBe('done')
  })
})

describe('any history of drains', () => {
  const letters = 'ABCDEF'
  const step = fc.record({
    action: fc.constantFrom<keyof Hands>('drain', 'undrain'),
    name: fc.constantFrom(...letters),
    requests: fc.nat({ max: 40 }),
  })

  it('those in turn differ by one pick at most between two changes, and nobody else has any', () => {
    let most = 0
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
        const world = newWorld(letters)
        const drained = new Set<string>()
        let counts = new Map<string, number>()
        for (const { action, name, requests } of steps) {
          if (drained.has(name) !== (action === 'drain')) {
            world.hand(action, name)
            if (action === 'drain') drained.add(name)
            else drained.delete(name)
            counts = new Map([...letters].filter((each) => !drained.has(each)).map((each) => [each, 0]))
          } else expect(world.hand(action, name)).toBe('unchanged')
          if (drained.size === letters.length) {
            noPick(world)
            continue
          }
          for (const each of world.serve(requests)) counts.set(each, (counts.get(each) ?? 0) + 1)
          const all = [...counts.values()]
          for (const each of drained) expect(counts.has(each), each).toBe(false)
          if (all.length > 0) expect(Math.max(...all) - Math.min(...all), all.join(' ')).toBeLessThanOrEqual(1)
          most = Math.max(most, drained.size)
        }
      }),
    )
    expect(most).toBeGreaterThan(3)
  })
})
