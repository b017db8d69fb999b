import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBalancer } from '../../src/balancer/balancer.ts'
import { ejectionCap } from '../../src/balancer/outlier.ts'
import type { OutlierOptions } from '../../src/balancer/outlier-options.ts'
import { silent } from '../support/silent.ts'
import { simulate } from './simulator.ts'
import { atOnce, catalogOf, defaults, type Members, newWorld, outcomes, responded, service } from './world.ts'

interface Row {
  name: string
  /** `ABC` unless told. */
  pool?: Members
  options?: Partial<OutlierOptions>
  script: string
  events: string[]
}

function check(rows: readonly Row[]): void {
  for (const { name, pool = 'ABC', options, script, events } of rows) {
    it(name, () => {
      const world = newWorld(pool, options)
      world.play(script)
      expect(world.events).toEqual(events)
    })
  }
}

const half = (times: number) => 'A200 A500 '.repeat(times).trim()
const outFor = (seconds: number, reason = 'consecutive-faults') => `A out for ${seconds}s: ${reason}`

describe('faults in a row', () => {
  check([
    { name: 'four are not enough', script: 'A500*4', events: [] },
    { name: 'the fifth ejects', script: 'A500*5', events: [outFor(30)] },
    { name: 'a good answer starts the count anew', script: 'A500*4 A200 A500*4', events: [] },
    { name: 'a status below the faulty ones is a good answer', script: 'A500*4 A404 A500', events: [] },
    { name: 'faults of different kinds count together', script: 'A500 Areset Asilent A503 A599', events: [outFor(30)] },
    { name: 'a failed connect counts among them', script: 'A500 Arefused A500 Arefused A500', events: [outFor(30)] },
    {
      name: 'who left, asked badly or found no port here breaks no run',
      script: 'A500*4 Aleft Abad Anoport A500',
      events: [outFor(30)],
    },
    { name: 'who left or asked badly is no fault', script: 'Aleft*9 Abad*9', events: [] },
    { name: 'faults of different endpoints are not added up', pool: 'ABCDE', script: 'A500*4 B500*4', events: [] },
    {
      name: 'a limit of one ejects at the first',
      options: { consecutiveFaults: 1 },
      script: 'A500',
      events: [outFor(30)],
    },
  ])
})

describe('failed connects in a row', () => {
  const out = outFor(30, 'consecutive-connect-faults')
  check([
    { name: 'one is not enough', script: 'Arefused', events: [] },
    { name: 'the second ejects', script: 'Arefused*2', events: [out] },
    { name: 'refused and timed out are alike', script: 'Aunroutable Arefused', events: [out] },
    { name: 'a faulty response in between starts the count anew', script: 'Arefused A500 Arefused', events: [] },
    { name: 'a good answer in between starts the count anew', script: 'Arefused A200 Arefused', events: [] },
    { name: 'a lack of ports on this machine is not the endpoint’s', script: 'Anoport*20', events: [] },
  ])
})

describe('the share of faults in a window', () => {
  const options = { consecutiveFaults: 1000, consecutiveConnectFaults: 1000 }
  const out = outFor(30, 'fault-rate')
  check(
    [
      { name: 'half of the fewest requests ejects', script: half(10), events: [out] },
      { name: 'one request fewer does not', script: half(9), events: [] },
      { name: 'a little less than half does not', script: 'A200*11 A500*10', events: [] },
      { name: 'a good answer never ejects, the next fault does', script: 'A500*10 A200*10', events: [] },
      { name: 'the fault after that does', script: 'A500*10 A200*10 A500', events: [out] },
      { name: 'failed connects count', script: 'A200 Arefused '.repeat(10).trim(), events: [out] },
      { name: 'who left does not count as a request', script: `Aleft*30 ${half(9)}`, events: [] },
      { name: 'faults just inside the window count', script: 'A500*10 +9999ms A200*9 A500', events: [out] },
      { name: 'faults as old as the window are gone', script: 'A500*10 +10s A200*9 A500', events: [] },
      { name: 'the oldest tenth leaves alone', script: 'A500*10 +1s A200*10 +8s A500', events: [out] },
      { name: 'and takes only its own requests along', script: 'A500*10 +1s A200*10 +9s A500*8', events: [] },
      { name: 'faults that left do not come round again', script: 'A500*10 +5s A200*10 +5s A200*9 A500', events: [] },
      { name: 'nor do requests that left', script: 'A200*10 +5s A500*9 +5s A500', events: [] },
      { name: 'a long silence empties the window', script: `${half(9)} +3000s ${half(9)}`, events: [] },
    ].map((row) => ({ ...row, options })),
  )
  check([{ name: 'null turns the rule off', options: { ...options, faultRate: null }, script: half(100), events: [] }])

  check([
    {
      name: 'an endpoint that is back starts with an empty window',
      options: { ...options, baseEjectionMs: 1_000 },
      script: `${half(10)} +1s A200 A500`,
      events: [outFor(1, 'fault-rate'), 'A back'],
    },
  ])

  it('a window that changes at run time starts empty', () => {
    const world = newWorld('ABC', options)
    world.play(half(9))
    world.options = { ...world.options, faultRate: { threshold: 0.5, minRequests: 20, windowMs: 60_000 } }
    world.play(half(9))
    expect(world.events).toEqual([])
    world.play(half(1))
    expect(world.events).toEqual([out])
  })
})

describe('how long an ejection lasts', () => {
  const failed = (seconds: number) => outFor(seconds, 'probe-failed')
  check([
    {
      name: 'each one in a row lasts longer, up to the maximum',
      options: { maxEjectionMs: 100_000 },
      script: 'A500*5 +30s A500 +60s A500 +90s A500 +100s A500',
      events: [outFor(30), failed(60), failed(90), failed(100), failed(100)],
    },
    {
      name: 'a short healthy time takes nothing back',
      script: 'A500*5 +30s A500 +60s A200 +29999ms A500*5',
      events: [outFor(30), failed(60), 'A back', outFor(90)],
    },
    {
      name: 'each base time of health takes one back',
      script: 'A500*5 +30s A500 +60s A200 +30s A500*5',
      events: [outFor(30), failed(60), 'A back', outFor(60)],
    },
    {
      name: 'enough health takes all of them back, and no more than all',
      script: 'A500*5 +30s A500 +60s A200 +9000s A500*5 +30s A500',
      events: [outFor(30), failed(60), 'A back', outFor(30), failed(60)],
    },
    {
      name: 'a night out of order is not remembered for a day: the streak stops where the time does',
      options: { maxEjectionMs: 60_000 },
      script: 'A500*5 +30s A500 +60s A500 +60s A500 +60s A500 +60s A200 +60s A500*5',
      events: [outFor(30), ...[60, 60, 60, 60].map(failed), 'A back', outFor(30)],
    },
    {
      name: 'a maximum below the base time is the maximum',
      options: { maxEjectionMs: 10_000 },
      script: 'A500*5 +10s A500',
      events: [outFor(10), failed(10)],
    },
  ])
})

describe('how many may be ejected', () => {
  const sizes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
  const rows = [
    { share: 0, caps: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0] },
    { share: 0.1, caps: [0, 0, 0, 0, 0, 0, 0, 0, 0, 1] },
    { share: 0.3, caps: [0, 0, 0, 1, 1, 1, 2, 2, 2, 3] },
    { share: 1 / 3, caps: [0, 0, 1, 1, 1, 2, 2, 2, 3, 3] },
    { share: 0.5, caps: [0, 1, 1, 2, 2, 3, 3, 4, 4, 5] },
    { share: 0.7, caps: [0, 1, 2, 2, 3, 4, 4, 5, 6, 7] },
    { share: 1, caps: [0, 2, 3, 4, 5, 6, 7, 8, 9, 10] },
  ]
  for (const { share, caps } of rows) {
    it(`${Math.round(share * 100)}% of 1 to 10 endpoints: ${caps.join(' ')}`, () => {
      expect(sizes.map((size) => ejectionCap(size, { ...defaults, maxEjectedShare: share }))).toEqual(caps)
      for (const size of sizes) {
        const world = newWorld('ABCDEFGHIJ'.slice(0, size), { maxEjectedShare: share })
        world.play('allrefused*2')
        expect(world.states().match(/ejected/g)?.length ?? 0, `of ${size}`).toBe(caps[size - 1])
      }
    })
  }

  it('a share that has no exact binary fraction loses no endpoint by it', () => {
    expect(ejectionCap(100, { ...defaults, maxEjectedShare: 0.29 })).toBe(29)
  })

  check([
    {
      name: 'a lone endpoint is never ejected, and that is told once',
      pool: 'A',
      options: { maxEjectedShare: 1 },
      script: 'Arefused*9 A500*9',
      events: ['A stays: consecutive-connect-faults, cap'],
    },
    {
      name: 'one that may not leave for the cap leaves once there is room',
      script: 'Arefused*2 Brefused*2 +30s A200 Brefused',
      events: [
        'A out for 30s: consecutive-connect-faults',
        'B stays: consecutive-connect-faults, cap',
        'A back',
        'B out for 30s: consecutive-connect-faults',
      ],
    },
    {
      name: 'an endpoint under probe counts as ejected',
      pool: 'ABCD',
      script: 'Arefused*2 Brefused*2 +30s Aleft Crefused*2',
      events: [
        'A out for 30s: consecutive-connect-faults',
        'B out for 30s: consecutive-connect-faults',
        'C stays: consecutive-connect-faults, cap',
      ],
    },
  ])

  it('a pool that shrank below its ejections puts a failed probe back: the cap holds at every ejection', () => {
    const world = newWorld('ABCD')
    world.play('Arefused*2 Brefused*2')
    world.use('ABC')
    world.play('+30s Arefused')
    expect(world.states()).toBe('A healthy, B ejected, C healthy')
    world.play('Brefused')
    expect(world.states()).toBe('A healthy, B ejected, C healthy')
    expect(world.events.slice(2)).toEqual(['A back', 'B out for 60s: probe-failed'])
  })
})

describe('failing together', () => {
  const stays = 'A stays: consecutive-faults, correlated'
  check([
    { name: 'one more of three: it is not the endpoint', script: 'B500 A500*5', events: [stays] },
    { name: 'a sibling that does well again does not count', script: 'B500 B200 A500*5', events: [outFor(30)] },
    { name: 'in a pool of two there is no majority to ask', pool: 'AB', script: 'B500 A500*5', events: [outFor(30)] },
    { name: 'two of four are half', pool: 'ABCD', script: 'B500 A500*5', events: [stays] },
    { name: 'two of five are not', pool: 'ABCDE', script: 'B500 A500*5', events: [outFor(30)] },
    { name: 'three of five are', pool: 'ABCDE', script: 'B500 Creset A500*5', events: [stays] },
    {
      name: 'a failed connect is never the request’s fault',
      script: 'B500 C500 Arefused*2',
      events: [outFor(30, 'consecutive-connect-faults')],
    },
    {
      name: 'and siblings that cannot be connected to do not fail with it',
      script: 'Brefused Crefused A500*5',
      events: [outFor(30)],
    },
    {
      name: 'not even if they often cannot be',
      pool: 'ABCD',
      script: 'B200*4 Brefused*2 A500*5',
      events: ['B out for 30s: consecutive-connect-faults', outFor(30)],
    },
    { name: 'once the others do well it leaves', script: 'B500 A500*5 B200 A500', events: [stays, outFor(30)] },
    {
      name: 'one that is out for faulty responses still fails',
      script: 'B500*5 A500*5',
      events: ['B out for 30s: consecutive-faults', stays],
    },
    {
      name: 'siblings that often fail count, even if their last answer was good',
      options: { consecutiveFaults: 1000 },
      script: `${'all500 all200 '.repeat(10)}A500`,
      events: ['A stays: fault-rate, correlated'],
    },
    {
      name: 'siblings that had a quarter of the requests are heard already',
      options: { consecutiveFaults: 1000 },
      script: `B500*3 B200*3 C500*3 C200*3 ${half(10)}`,
      events: ['A stays: fault-rate, correlated'],
    },
    {
      name: 'all answer 500: nobody is ejected, and it is told once of each',
      script: 'all500*200',
      events: [stays, stays.replace('A', 'B'), stays.replace('A', 'C')],
    },
    {
      name: 'a failed probe while half the pool fails puts the endpoint back',
      script: 'A500*5 B500 +30s A500',
      events: [outFor(30), 'A back'],
    },
    {
      name: 'a probe whose connect fails does not',
      script: 'A500*5 B500 +30s Arefused',
      events: [outFor(30), outFor(60, 'probe-failed')],
    },
  ])

  it('a shared dependency dies under load: nobody is ejected, whatever the latencies and the order of answers', () => {
    const load = fc.record({
      size: fc.integer({ min: 3, max: 8 }),
      latencies: fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 8, maxLength: 8 }),
      jitter: fc.array(fc.integer({ min: 0, max: 90 }), { minLength: 7, maxLength: 7 }),
      intervalMs: fc.constantFrom(1, 3, 10, 40),
    })
    fc.assert(
      fc.property(load, ({ size, latencies, jitter, intervalMs }) => {
        const letters = 'ABCDEFGH'.slice(0, size)
        const world = newWorld(letters)
        let request = 0
        simulate(world, {
          durationMs: 3_000,
          intervalMs,
          latencyMs: (name) => (latencies[letters.indexOf(name)] ?? 0) + (jitter[request++ % jitter.length] ?? 0),
          outcome: (_, sentMs) => responded(sentMs >= 1_000 ? 500 : 200),
        })
        expect(world.events.filter((event) => event.includes('out'))).toEqual([])
        expect(world.events.length).toBeGreaterThan(0)
      }),
      { numRuns: 40 },
    )
  })

  it('slow siblings delay the ejection of a bad endpoint by a second at most', () => {
    const world = newWorld('ABC')
    const requests = simulate(world, {
      durationMs: 20_000,
      intervalMs: 10,
      latencyMs: (name) => (name === 'A' ? 1 : 8_000),
      outcome: (name) => responded(name === 'A' ? 500 : 200),
    })
    expect(world.events).toEqual([outFor(30)])
    const last = requests.filter(({ name }) => name === 'A').at(-1)
    expect(last?.atMs).toBeGreaterThan(900)
    expect(last?.atMs).toBeLessThanOrEqual(1_050)
  })

  it('a bad share of faults was counted over a window: no sibling is waited for', () => {
    const world = newWorld('ABC', { consecutiveFaults: 1000 })
    for (const name of ['B', 'C']) world.pickOf(name)
    world.play(half(10))
    expect(world.events).toEqual([outFor(30, 'fault-rate')])
  })

  it('siblings whose answers begin and never end (tunnels, streams) do not delay it', () => {
    const world = newWorld('ABC')
    for (let round = 0; round < 5; round++) {
      const a = world.pickOf('A')
      for (const name of ['B', 'C']) world.pickOf(name).answered(101)
      a.report(responded(502))
    }
    expect(world.events).toEqual([outFor(30)])
  })
})

describe('shadow mode', () => {
  const options = { enforce: false }
  const stays = 'A stays: consecutive-faults, shadow'
  check(
    [
      { name: 'a run of faults is told once, and nobody leaves', script: 'A500*50 A500*50', events: [stays] },
      { name: 'a new run is told again', script: 'A500*5 A200 A500*5', events: [stays, stays] },
      {
        name: 'the cap is told first',
        pool: 'A',
        script: 'Arefused*5',
        events: ['A stays: consecutive-connect-faults, cap'],
      },
    ].map((row) => ({ ...row, options })),
  )
  check([
    {
      name: 'a bad share of faults is told once, not at every fault',
      options: { ...options, consecutiveFaults: 1000 },
      script: half(200),
      events: ['A stays: fault-rate, shadow'],
    },
    {
      name: 'and again once it was good in between',
      options: { ...options, consecutiveFaults: 1000 },
      script: `${half(20)} +10s A200 ${half(20)} A500*3`,
      events: ['A stays: fault-rate, shadow', 'A stays: fault-rate, shadow'],
    },
  ])

  it('nobody loses a turn', () => {
    const world = newWorld('ABC', options)
    expect(world.serve(30, (name) => responded(name === 'A' ? 500 : 200))).toBe('ABC'.repeat(10))
    expect(world.viewOf('A')).toMatchObject({ state: 'healthy', reason: 'consecutive-faults', withheld: 'shadow' })
  })

  it('switched on at run time: a failed probe brings the endpoint back', () => {
    const world = newWorld('ABC')
    world.play('A500*5 +30s')
    world.options = { ...world.options, enforce: false }
    world.play('A500')
    expect(world.events).toEqual([outFor(30), 'A back'])
  })
})

describe('what is told of an ejection that does not happen', () => {
  it('is told once a run, even if the reason changes', () => {
    const world = newWorld('ABC')
    world.play('Crefused*2 A500*5')
    expect(world.viewOf('A')).toMatchObject({ reason: 'consecutive-faults', withheld: 'cap' })
    world.play('B500 A500')
    expect(world.viewOf('A')).toMatchObject({ reason: 'consecutive-faults', withheld: 'correlated' })
    world.play('B200 A500 B500 A500')
    expect(world.events).toEqual(['C out for 30s: consecutive-connect-faults', 'A stays: consecutive-faults, cap'])
  })

  it('is over with a good answer', () => {
    const world = newWorld('ABC', { enforce: false })
    world.play('A500*5 A200')
    expect(world.viewOf('A')).toMatchObject({ state: 'healthy', reason: null, withheld: null, consecutiveFaults: 0 })
  })
})

describe('the probe', () => {
  function ejectedA(members: Members = 'ABC') {
    const world = newWorld(members)
    world.play('A500*5')
    world.events.length = 0
    return world
  }

  it('goes when the time is up, and not a millisecond earlier', () => {
    const world = ejectedA()
    world.play('+29999ms')
    expect(world.serve(20)).toMatch(/^(BC){10}$|^(CB){10}$/)
    expect(world.viewOf('A')).toMatchObject({ state: 'ejected', ejectedForMs: 1, ejections: 1 })
    world.play('+1ms')
    expect(world.viewOf('A').ejectedForMs).toBe(0)
    expect(world.serve(3)).toContain('A')
    expect(world.events).toEqual(['A back'])
  })

  it('is exactly one request in flight', () => {
    const world = ejectedA()
    world.play('+30s')
    const picks = Array.from({ length: 20 }, () => world.pick())
    const probes = picks.filter((pick) => pick.endpoint.address === 'A')
    expect(probes.map(({ role }) => role)).toEqual(['probe'])
    expect(world.viewOf('A')).toMatchObject({ state: 'probing', inFlight: 1, ejectedForMs: null })
  })

  for (const [name, outcome] of [
    ['the client left', outcomes.left],
    ['the request was bad', outcomes.bad],
    ['this machine had no port', outcomes.noport],
  ] as const) {
    it(`another may go at once when ${name}`, () => {
      const world = ejectedA()
      world.play('+30s')
      for (let round = 0; round < 3; round++) {
        const probe = world.pickOf('A')
        expect(world.viewOf('A').state).toBe('probing')
        probe.report(outcome)
        expect(world.viewOf('A')).toMatchObject({ state: 'ejected', ejectedForMs: 0 })
      }
      expect(world.serve(3)).toContain('A')
      expect(world.events).toEqual(['A back'])
    })
  }

  it('that succeeds brings the endpoint back with a clean record', () => {
    const world = ejectedA()
    world.play('+30s A200 A500*4')
    expect(world.viewOf('A')).toMatchObject({ state: 'healthy', consecutiveFaults: 4, ejections: 1 })
    expect(world.events).toEqual(['A back'])
  })

  it('that fails keeps it out for longer', () => {
    const world = ejectedA()
    world.play('+30s Areset')
    expect(world.viewOf('A')).toMatchObject({
      state: 'ejected',
      reason: 'probe-failed',
      ejectedForMs: 60_000,
      ejections: 2,
    })
    world.play('+59999ms')
    expect(world.serve(12)).not.toContain('A')
    world.play('+1ms')
    expect(world.serve(12)).toContain('A')
  })

  it('of a WebSocket is over when the handshake is, not when the tunnel is', () => {
    const world = ejectedA()
    world.play('+30s')
    const tunnel = world.pickOf('A')
    tunnel.answered(101)
    expect(world.events).toEqual(['A back'])
    expect(world.viewOf('A')).toMatchObject({ state: 'healthy', inFlight: 1, consecutiveFaults: 0 })
    expect(world.serve(6).split('A')).toHaveLength(3)
    tunnel.answered(101)
    tunnel.report({ kind: 'broke-off', afterHeaders: true, code: 'ECONNRESET' })
    expect(world.viewOf('A')).toMatchObject({ state: 'healthy', inFlight: 0, consecutiveFaults: 1 })
    expect(world.events).toEqual(['A back'])
  })

  it('that is answered with a faulty head is judged when it ends', () => {
    const world = ejectedA()
    world.play('+30s')
    const probe = world.pickOf('A')
    probe.answered(500)
    expect(world.viewOf('A').state).toBe('probing')
    probe.report(responded(500))
    expect(world.events).toEqual([outFor(60, 'probe-failed')])
  })

  it('goes for each endpoint whose time is up', () => {
    const world = newWorld('ABCD')
    world.play('Arefused*2 +5s Brefused*2 +30s')
    expect([...world.serve(4)].sort().join('')).toBe('ABCD')
    expect(world.states()).toBe('A healthy, B healthy, C healthy, D healthy')
  })

  it('may be a retry: only endpoints that were tried are left out', () => {
    const world = ejectedA()
    world.play('+30s')
    const probe = world.pick(['B', 'C'])
    expect(probe).toMatchObject({ role: 'probe', endpoint: { address: 'A' } })
  })
})

describe('requests that were under way when their endpoint was ejected', () => {
  it('do not prolong it, whatever they end in', () => {
    const world = newWorld('ABC')
    const late = Array.from({ length: 10 }, () => world.pickOf('A'))
    world.play('A500*5')
    for (const pick of late.slice(0, 5)) pick.report(responded(500))
    for (const pick of late.slice(5)) pick.report(outcomes.refused)
    expect(world.events).toEqual([outFor(30)])
    expect(world.viewOf('A')).toMatchObject({ state: 'ejected', ejectedForMs: 30_000, ejections: 1, inFlight: 0 })
  })

  it('do not end it either', () => {
    const world = newWorld('ABC')
    const late = world.pickOf('A')
    world.play('A500*5')
    late.answered(200)
    late.report(responded(200))
    expect(world.events).toEqual([outFor(30)])
  })

  it('do not decide a probe', () => {
    const world = newWorld('ABC')
    const late = [world.pickOf('A'), world.pickOf('A')]
    world.play('A500*5 +30s')
    const probe = world.pickOf('A')
    late[0]?.report(responded(200))
    late[1]?.report(outcomes.left)
    expect(world.viewOf('A').state).toBe('probing')
    probe.report(responded(200))
    expect(world.events).toEqual([outFor(30), 'A back'])
  })

  it('do not eject it anew once it is back: slow timeouts of the old trouble', () => {
    const world = newWorld('ABC')
    const late = Array.from({ length: 10 }, () => world.pickOf('A'))
    world.play('A500*5 +30s A200')
    for (const pick of late) pick.report(outcomes.silent)
    expect(world.events).toEqual([outFor(30), 'A back'])
    expect(world.viewOf('A')).toMatchObject({ state: 'healthy', consecutiveFaults: 0, inFlight: 0 })
  })

  it('an old probe does not decide a new one', () => {
    const world = newWorld('AB', { maxEjectedShare: 1 })
    world.play('Arefused*2 +30s')
    const old = world.pickOf('A')
    // While the probe is out everybody else is ejected too, and a panic pick finds A well; then A is ejected again.
    world.play('Brefused*2')
    const panic = world.pickOf('A')
    panic.report(responded(200))
    world.play('Arefused*2 +60s')
    const next = world.pickOf('A')
    expect(world.viewOf('A').state).toBe('probing')
    old.answered(200)
    old.report(responded(500))
    expect(world.viewOf('A').state).toBe('probing')
    next.report(responded(200))
    expect(world.viewOf('A').state).toBe('healthy')
  })
})

describe('panic: everybody is ejected', () => {
  function allEjected() {
    const world = newWorld('ABC', { maxEjectedShare: 1 })
    world.play('allrefused*2')
    world.events.length = 0
    return world
  }

  it('somebody is picked all the same, by turns, and each such pick is counted', () => {
    const world = allEjected()
    const picks = Array.from({ length: 6 }, () => world.pick())
    expect(picks.map(({ endpoint, role }) => `${endpoint.address}${role === 'panic' ? '!' : ''}`).join(' ')).toBe(
      'A! B! C! A! B! C!',
    )
    expect(world.events).toEqual(new Array(6).fill('panic'))
    expect(world.viewOf('A').inFlight).toBe(2)
  })

  it('one that answers well is back at once', () => {
    const world = allEjected()
    world.pick().report(responded(200))
    expect(world.events).toEqual(['panic', 'A back'])
    expect(world.serve(3)).toBe('AAA')
    expect(world.events).toHaveLength(2)
  })

  it('a good head is enough', () => {
    const world = allEjected()
    world.pick().answered(200)
    expect(world.events).toEqual(['panic', 'A back'])
  })

  it('a fault neither prolongs the ejection nor counts', () => {
    const world = allEjected()
    world.play('+10s')
    for (let round = 0; round < 9; round++) world.pick().report(outcomes.refused)
    expect(world.viewOf('A')).toMatchObject({ state: 'ejected', ejectedForMs: 20_000, ejections: 1 })
    world.play('+20s')
    expect(world.pick().role).toBe('probe')
  })

  it('a client that left proves nothing', () => {
    const world = allEjected()
    world.pick().report(outcomes.left)
    expect(world.events).toEqual(['panic'])
  })

  it('while the probe is out, everybody else still serves', () => {
    const world = allEjected()
    world.play('+30s')
    const probes = [world.pick(), world.pick(), world.pick()]
    expect(probes.map(({ role }) => role)).toEqual(['probe', 'probe', 'probe'])
    expect(world.pick().role).toBe('panic')
    expect(world.states()).toBe('A probing, B probing, C probing')
  })

  it('is for a retry, too, when all that is left is ejected', () => {
    const world = newWorld('AB')
    world.play('Arefused*2')
    expect(world.pick(['B'])).toMatchObject({ role: 'panic', endpoint: { address: 'A' } })
  })
})

describe('a report', () => {
  it('counts once, however often it is made', () => {
    const world = newWorld('ABC')
    const pick = world.pickOf('A')
    for (let time = 0; time < 10; time++) pick.report(responded(500))
    expect(world.viewOf('A')).toMatchObject({ consecutiveFaults: 1, inFlight: 0, picks: 1 })
    expect(world.events).toEqual([])
  })

  it('a head that comes after it changes nothing', () => {
    const world = newWorld('ABC')
    world.play('A500*5 +30s')
    const probe = world.pickOf('A')
    probe.report(outcomes.left)
    probe.answered(200)
    expect(world.events).toEqual([outFor(30)])
  })

  it('for an endpoint that left is harmless', () => {
    const world = newWorld('ABC')
    const picks = ['A', 'A', 'A', 'A', 'A', 'A', 'B'].map((name) => world.pickOf(name))
    world.use('BC')
    for (const pick of picks) pick.report(responded(500))
    expect(world.events).toEqual([])
    expect(world.viewOf('B')).toMatchObject({ inFlight: 0, consecutiveFaults: 1 })
    expect(world.serve(4)).toMatch(/^(BC){2}$|^(CB){2}$/)
  })

  it('for an endpoint that left and came back says nothing of the new one', () => {
    const world = newWorld('ABC')
    const picks = Array.from({ length: 6 }, () => world.pickOf('A'))
    world.use('BC')
    world.use('ABC')
    for (const pick of picks) pick.report(responded(500))
    expect(world.viewOf('A')).toMatchObject({ state: 'healthy', inFlight: 0, consecutiveFaults: 0, picks: 0 })
    expect(world.events).toEqual([])
  })

  it('of a probe whose endpoint left is harmless', () => {
    const world = newWorld('ABC')
    world.play('A500*5 +30s')
    const probe = world.pickOf('A')
    const other = world.pickOf('B')
    world.use('BC')
    probe.answered(200)
    probe.report(responded(200))
    other.report(responded(200))
    expect(world.events).toEqual([outFor(30)])
    expect(world.serve(4)).toMatch(/^(BC){2}$|^(CB){2}$/)
  })

  it('takes what was in flight down by one', () => {
    const world = newWorld('AB')
    const picks = [world.pick(), world.pick(), world.pick()]
    expect([world.viewOf('A').inFlight, world.viewOf('B').inFlight]).toEqual([2, 1])
    picks[2]?.report(outcomes.left)
    picks[2]?.report(outcomes.left)
    expect([world.viewOf('A').inFlight, world.viewOf('B').inFlight]).toEqual([1, 1])
  })
})

describe('options', () => {
  it('are asked at each report, so that a change holds at once', () => {
    const world = newWorld('ABC')
    world.play('A500*3')
    world.options = { ...world.options, consecutiveFaults: 4 }
    world.play('A500')
    expect(world.events).toEqual([outFor(30)])
    world.options = { ...world.options, isFaultStatus: () => false }
    world.play('+30s A500')
    expect(world.events).toEqual([outFor(30), 'A back'])
  })

  it('are those of the service, not of another one', () => {
    const ejected: string[] = []
    const balancer = createBalancer({
      now: () => 0,
      outlier: (name) => ({ ...defaults, consecutiveFaults: name === 'strict' ? 1 : 5 }),
      balancing: () => atOnce,
      observer: {
        ...silent,
        onEjected: (name, id) => ejected.push(`${name} ${id}`),
      },
    })
    balancer.update(catalogOf({ strict: 'AB', [service]: 'AB' }))
    for (const name of ['strict', service]) {
      const pick = balancer.pick(name)
      if (pick.kind === 'picked') pick.report(responded(500))
    }
    expect(ejected).toEqual(['strict A:80'])
  })
})

describe('an observer that throws', () => {
  it('fails no pick and no report, and the state is as if it had not', () => {
    let nowMs = 0
    let enforce = true
    const told: string[] = []
    const fail = (event: string) => () => {
      told.push(event)
      throw new Error(event)
    }
    const balancer = createBalancer({
      now: () => nowMs,
      outlier: () => ({ ...defaults, enforce, maxEjectedShare: 1, consecutiveFaults: 1 }),
      balancing: () => atOnce,
      observer: {
        onEjected: fail('ejected'),
        onRestored: fail('restored'),
        onWithheld: fail('withheld'),
        onDrained: fail('drained'),
        onUndrained: fail('undrained'),
        onPanicPick: fail('panic'),
      },
    })
    balancer.update(catalogOf({ [service]: 'AB' }))
    const send = (status: number) => {
      const pick = balancer.pick(service)
      if (pick.kind !== 'picked') throw new Error(pick.kind)
      pick.report(responded(status))
    }
    send(500)
    send(500)
    send(500)
    nowMs += 30_000
    send(200)
    send(200)
    enforce = false
    send(500)
    expect(told).toEqual(['ejected', 'ejected', 'panic', 'restored', 'restored', 'withheld'])
    const view = balancer.viewService(service)
    expect(view?.endpoints.map(({ state, inFlight }) => `${state} ${inFlight}`)).toEqual(['healthy 0', 'healthy 0'])
  })
})

describe('the faults that an ejection stands on', () => {
  const rate = { threshold: 0.5, minRequests: 4, windowMs: 10_000 }
  const rows: { name: string; script: string; reason: string; agoMs: number[] }[] = [
    {
      name: 'of a rate are those of its window, and none of an hour ago',
      script: 'A500*3 A200*9 +3600s A200*2 A500 +1s A500',
      reason: 'fault-rate',
      agoMs: [1_000, 0],
    },
    {
      name: 'of a rate are none that a restore has forgiven',
      script: 'A500 ejectA +1s restoreA A200*2 A500*2',
      reason: 'fault-rate',
      agoMs: [0, 0],
    },
    {
      name: 'of a rate are none that an undrain has forgiven',
      script: 'A500 drainA +1s undrainA A200*2 A500*2',
      reason: 'fault-rate',
      agoMs: [0, 0],
    },
    {
      name: 'in a row are that row',
      script: 'A500*2 A200*9 +1s A500 +1s A500*3',
      reason: 'consecutive-faults',
      agoMs: [1_000, 0, 0, 0],
    },
    { name: 'of a probe are its own', script: 'A500*4 +30s A500', reason: 'probe-failed', agoMs: [0] },
  ]

  it.each(rows)('$name', ({ script, reason, agoMs }) => {
    const world = newWorld('ABCD', { consecutiveFaults: 4, faultRate: rate })
    world.play(`+1s B200 C200 D200 ${script}`)
    const { lastEjection } = world.viewOf('A')
    expect(lastEjection?.reason).toBe(reason)
    expect(lastEjection?.faults.map((fault) => fault.agoMs)).toEqual(agoMs)
  })
})
