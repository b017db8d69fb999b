/** What does a failed connect say of an endpoint that has just joined or left? And what do the vitals say of one? */

import { describe, expect, it } from 'vitest'
import { settlingMs } from '../../src/balancer/member.ts'
import { catalogOf, newWorld, outcomes, responded, service, type World } from './world.ts'

/** Pool `ABC` from the first catalog; D has joined 10 s later. */
function withJoiner(): World {
  const world = newWorld('ABC')
  world.nowMs += 10_000
  world.use('ABCD')
  return world
}

describe('a failed connect is explained', () => {
  it.each([
    ['refused', outcomes.refused],
    ['not accepted in time', outcomes.unroutable],
  ])('when the endpoint joined less than 5 s before the pick, however long the attempt takes: %s', (_name, outcome) => {
    const world = withJoiner()
    world.nowMs += settlingMs - 1
    const pick = world.pickOf('D')
    world.nowMs += 60_000
    expect(pick.report(outcome)).toBe(true)
    expect(world.pickOf('D').report(outcome)).toBe(false)
  })

  it('when it leaves after the pick, for 5 s', () => {
    const world = withJoiner()
    const [before, soon, late] = [world.pickOf('A'), world.pickOf('A'), world.pickOf('A')]
    expect(before.report(outcomes.refused)).toBe(false)
    world.use('BCD')
    world.nowMs += settlingMs - 1
    expect(soon.report(outcomes.refused)).toBe(true)
    world.nowMs += 1
    expect(late.report(outcomes.refused)).toBe(false)
  })

  it('when its whole service leaves the catalog', () => {
    const world = newWorld('A')
    const pick = world.pick()
    world.balancer.update({ services: new Map() })
    expect(pick.report(outcomes.refused)).toBe(true)
  })

  it('never in the first catalog: nobody joined, we did', () => {
    expect(newWorld('ABC').pick().report(outcomes.refused)).toBe(false)
  })

  it('when its service came into the catalog later', () => {
    const world = newWorld('')
    world.balancer.update({ services: new Map() })
    world.use('AB')
    expect(world.pick().report(outcomes.refused)).toBe(true)
  })

  it('when the catalog leaves it out and that is still in doubt, and it is a fault all the same', () => {
    const world = newWorld('ABC')
    const services = catalogOf({ [service]: 'ABC' }).services
    const doubted = services
      .get(service)
      ?.endpoints.map((each) => (each.address === 'A' ? { ...each, doubted: true as const } : each))
    world.balancer.update({ services: new Map([[service, { endpoints: doubted ?? [], absent: [] }]]) })
    expect(world.pickOf('A').report(outcomes.refused)).toBe(true)
    expect(world.pickOf('B').report(outcomes.refused)).toBe(false)
    expect(world.balancer.vitals(service, 'A:80')).toMatchObject({ faultsInRow: 1 })
    expect(world.pickOf('A').report(outcomes.silent)).toBe(false)
  })

  it('when it left and joined again', () => {
    const world = newWorld('ABC')
    world.use('BC')
    world.use('ABC')
    expect(world.pickOf('A').report(outcomes.refused)).toBe(true)
    expect(world.pickOf('B').report(outcomes.refused)).toBe(false)
  })

  it('once; and nothing else is: no lack of the proxy’s own, no answer, no broken connection', () => {
    const world = withJoiner()
    for (const outcome of [responded(200), responded(500), ...Object.values(outcomes)]) {
      const pick = world.pickOf('D')
      expect(pick.report(outcome), outcome.kind).toBe(outcome === outcomes.refused || outcome === outcomes.unroutable)
      expect(pick.report(outcomes.refused)).toBe(false)
    }
  })
})

describe('a joiner that cannot be connected to', () => {
  it('is not ejected for it within 5 s, and as ever after', () => {
    const world = withJoiner()
    world.play('Drefused*9 Dunroutable*9')
    expect(world.viewOf('D')).toMatchObject({ state: 'healthy', consecutiveFaults: 0, consecutiveConnectFaults: 0 })
    world.play('+5s Drefused*2')
    expect(world.viewOf('D')).toMatchObject({ state: 'ejected', reason: 'consecutive-connect-faults' })
  })

  it('is ejected for what it answers within 5 s, like anybody', () => {
    const world = withJoiner()
    world.play('D500*5')
    expect(world.viewOf('D').state).toBe('ejected')
  })

  it('does not fail its probe by it: another probe may go at once', () => {
    const world = withJoiner()
    world.options = { ...world.options, baseEjectionMs: 1_000 }
    world.play('D500*5 +1s Drefused')
    expect(world.viewOf('D')).toMatchObject({ state: 'ejected', ejectedForMs: 0, ejections: 1 })
    world.play('D200')
    expect(world.viewOf('D').state).toBe('healthy')
  })

  it('spares none of its siblings', () => {
    const world = withJoiner()
    world.play('Arefused*2')
    expect(world.viewOf('A').state).toBe('ejected')
  })
})

describe('vitals', () => {
  const vitals = (world: World, name: string) => world.balancer.vitals(service, `${name}:80`)

  it('grow with every answer that is no fault, of the head too', () => {
    const world = newWorld('AB')
    const counts = [vitals(world, 'A')?.goodAnswers]
    const note = () => counts.push(vitals(world, 'A')?.goodAnswers)
    world.play('A200')
    note()
    world.play('A404')
    note()
    const long = world.pickOf('A')
    long.answered(200)
    note()
    long.report(responded(200))
    note()
    for (let index = 1; index < counts.length; index++) {
      expect(counts[index], `step ${index}`).toBeGreaterThan(counts[index - 1] as number)
    }
    expect(vitals(world, 'B')?.goodAnswers).toBe(0)
  })

  it('do not grow with faults, with what is nobody’s fault, or twice by a second report', () => {
    const world = newWorld('AB')
    const pick = world.pickOf('A')
    pick.report(responded(200))
    const before = vitals(world, 'A')?.goodAnswers
    pick.report(responded(200))
    pick.answered(200)
    world.pickOf('A').answered(500)
    world.play('A500 Arefused Asilent Areset Aleft Abad Anoport')
    expect(vitals(world, 'A')).toEqual({ goodAnswers: before, faultsInRow: 4, state: 'healthy' })
  })

  it('grow with an answer to a request from before an ejection: it lives, whatever its health', () => {
    const world = newWorld('ABC')
    const early = world.pickOf('A')
    world.play('A500*5')
    expect(vitals(world, 'A')).toEqual({ goodAnswers: 0, faultsInRow: 5, state: 'ejected' })
    early.answered(200)
    expect(vitals(world, 'A')?.goodAnswers).toBeGreaterThan(0)
    expect(vitals(world, 'A')?.state).toBe('ejected')
  })

  it('stay with an endpoint that stays, and go with one that leaves', () => {
    const world = newWorld('AB')
    world.play('A200 B200')
    const before = vitals(world, 'A')
    world.use('AC')
    expect(vitals(world, 'A')).toEqual(before)
    expect(vitals(world, 'B')).toBeNull()
    expect(vitals(world, 'C')).toEqual({ goodAnswers: 0, faultsInRow: 0, state: 'healthy' })
    expect(world.balancer.vitals('other', 'A:80')).toBeNull()
  })
})
