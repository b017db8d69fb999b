/** How much of its share does a new endpoint get while it warms up, and what do the others notice? */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { warmedWeights, warmth } from '../../src/balancer/slow-start.ts'
import { type Members, newWorld, type World } from './world.ts'

const letters = ['A', 'B', 'C', 'D', 'E', 'F']
const rampMs = 32_000

/** Slow start over `rampMs`; these from the first catalog, and `joiners` with them from now on. */
function joined(first: Members, all: Members, slowStartMs: number | null = rampMs, before = 0): World {
  const world = newWorld(first)
  world.balancing = { slowStartMs }
  world.serve(before)
  world.use(all)
  return world
}

/** `count` requests, evenly over `overMs`; who had each. */
function serveOver(world: World, count: number, overMs: number, onPick: (name: string, atMs: number) => void): void {
  const startMs = world.nowMs
  for (let request = 0; request < count; request++) {
    world.nowMs = startMs + ((request + 0.5) * overMs) / count
    onPick(world.serve(1), world.nowMs - startMs)
  }
  world.nowMs = startMs + overMs
}

function spreadOf(counts: Iterable<number>): number {
  const all = [...counts]
  return Math.max(...all) - Math.min(...all)
}

function count(served: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of served) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

describe('warmth', () => {
  it.each([
    ['who does not warm up has its full share', null, 0, 30_000, 1],
    ['with slow start off, everybody has', 0, 1, null, 1],
    ['in the first sixteenth: the middle of it', 0, 0, 16_000, 1 / 32],
    ['until its end', 0, 999, 16_000, 1 / 32],
    ['then the next', 0, 1_000, 16_000, 3 / 32],
    ['in the last one', 0, 15_999.999, 16_000, 31 / 32],
    ['at its end: the full share', 0, 16_000, 16_000, 1],
  ])('%s', (_name, sinceMs, nowMs, slowStartMs, expected) => {
    expect(warmth(sinceMs, nowMs, slowStartMs)).toBe(expected)
  })

  it('weights are the plain ones unless somebody warms up, and whole numbers always', () => {
    const warming = fc.record({
      weight: fc.integer({ min: 1, max: 65_535 }),
      sinceMs: fc.option(fc.integer({ min: 0, max: 50_000 })),
    })
    fc.assert(
      fc.property(fc.array(warming), fc.option(fc.integer({ min: 1, max: 60_000 })), (members, slowStartMs) => {
        const { weights, nextStepMs } = warmedWeights(members, 50_000, slowStartMs)
        expect(weights.filter((weight) => !Number.isInteger(weight) || weight < 1)).toEqual([])
        if (nextStepMs === Number.POSITIVE_INFINITY) expect(weights).toEqual(members.map(({ weight }) => weight))
        else expect(nextStepMs).toBeGreaterThanOrEqual(50_000)
      }),
    )
  })

  it('the next step is the earliest of all', () => {
    const members = [
      { weight: 2, sinceMs: 0 },
      { weight: 1, sinceMs: null },
      { weight: 1, sinceMs: 15_500 },
    ]
    expect(warmedWeights(members, 15_600, 16_000)).toEqual({ weights: [62, 32, 1], nextStepMs: 16_000 })
  })
})

describe('a joiner', () => {
  it('has, at every moment of its ramp, what a straight line would have given it: within 2 picks, and one in 1,500 for the steps', () => {
    const weights = fc.array(fc.constantFrom(1, 1, 1, 2, 3, 7, 50), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(
        weights,
        fc.constantFrom(1, 1, 2, 7, 50),
        fc.integer({ min: 1_000, max: 60_000 }),
        fc.integer({ min: 16, max: 3_000 }),
        fc.nat({ max: 20 }),
        (others, own, slowStartMs, requests, before) => {
          const first = Object.fromEntries(others.map((weight, index) => [letters[index] as string, weight]))
          const world = joined(first, { ...first, Z: own }, slowStartMs, before)
          const rest = others.reduce((sum, weight) => sum + weight, 0)
          // Half-way through a step it is ahead of the line by a 2,048th of the ramp at its steepest. And a share is bent,
          // w / (w + rest), so the middle of a step is not quite its mean: a 6,144th over the whole ramp.
          const bound = 2 + (requests * own) / rest / 1_536
          let had = 0
          let due = 0
          serveOver(world, requests, slowStartMs, (name, atMs) => {
            if (name === 'Z') had++
            const weight = (own * atMs) / slowStartMs
            due += weight / (weight + rest)
            if (Math.abs(had - due) > bound) throw new Error(`${had} picks after ${atMs} ms, ${due} due, ± ${bound}`)
          })
        },
      ),
      { numRuns: 300 },
    )
  })

  it('takes nothing from the evenness of the others: equal ones differ by one pick at most, over the whole ramp and after', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 6 }),
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 10, max: 2_000 }),
        fc.nat({ max: 20 }),
        (size, joiners, requests, before) => {
          const first = letters.slice(0, size).join('')
          const world = joined(first, first + 'YZ'.slice(0, joiners), rampMs, before - (before % size))
          const counts = new Map([...first].map((name) => [name, 0]))
          serveOver(world, requests, rampMs * 1.5, (name) => {
            if (counts.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1)
            if (spreadOf(counts.values()) > 1) throw new Error([...counts].join(' '))
          })
        },
      ),
      { numRuns: 200 },
    )
  })

  it('is, once warm, in an exact round robin: within two picks at once, and each one in turn after one round', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 3_000 }), (size, requests) => {
        const first = letters.slice(0, size).join('')
        const world = joined(first, `${first}Z`)
        serveOver(world, requests, rampMs, () => {})
        const round = size + 1
        const served = world.serve(round * 12)
        expect(new Set(count(served.slice(round)).values())).toEqual(new Set([11]))
        expect(served.slice(round, -round)).toBe(served.slice(2 * round))
        for (let length = 1; length <= served.length; length++) {
          const counts = count(served.slice(0, length))
          expect(spreadOf([...first, 'Z'].map((name) => counts.get(name) ?? 0))).toBeLessThanOrEqual(2)
        }
      }),
    )
  })

  it('shows how warm it is; the others are', () => {
    const world = joined('AB', 'ABZ')
    const shown: number[] = []
    for (const atMs of [0, 2_000, 16_000, 31_999, 32_000]) {
      world.nowMs = 1_000_000 + atMs
      shown.push(world.viewOf('Z').warmth)
      expect(world.viewOf('A').warmth).toBe(1)
    }
    expect(shown).toEqual([1 / 32, 3 / 32, 17 / 32, 31 / 32, 1])
  })

  it('is no unevenness, and neither are the others', () => {
    const world = joined('ABC', 'ABCYZ')
    let most = 0
    serveOver(world, 5_000, rampMs * 1.2, () => {
      most = Math.max(most, world.balancer.view().services[0]?.pickSpread ?? Number.NaN)
    })
    expect(most).toBe(1)
  })

  it('alone in rotation takes all', () => {
    const world = joined('AB', 'ABZ')
    world.options = { ...world.options, maxEjectedShare: 1 }
    world.play('+6s Arefused*2 Brefused*2')
    expect(world.states()).toBe('A ejected, B ejected, Z healthy')
    expect(world.serve(3)).toBe('ZZZ')
  })

  it('that is ejected and comes back goes on warming up where the clock is', () => {
    const world = joined('AB', 'ABZ')
    world.options = { ...world.options, baseEjectionMs: 8_000 }
    world.play('Z500*5 +8s Z200')
    expect(world.viewOf('Z')).toMatchObject({ state: 'healthy', warmth: 9 / 32 })
    expect(count(world.serve(64 + 9)).get('Z')).toBeCloseTo(9, -1)
  })

  it('that leaves while it warms up leaves a plain round robin', () => {
    const world = joined('AB', 'ABZ')
    serveOver(world, 100, 10_000, () => {})
    world.use('AB')
    expect(world.serve(6)).toMatch(/^(AB){3}$|^(BA){3}$/)
    expect(world.balancer.view().services[0]?.pickSpread).toBe(0)
  })

  it('that came before another one is ahead of it', () => {
    const world = joined('A', 'AY')
    world.nowMs += rampMs / 2
    world.use('AYZ')
    expect([world.viewOf('Y').warmth, world.viewOf('Z').warmth]).toEqual([17 / 32, 1 / 32])
    world.nowMs += rampMs / 2
    expect([world.viewOf('Y').warmth, world.viewOf('Z').warmth]).toEqual([1, 17 / 32])
  })
})

describe('nobody warms up', () => {
  it('of the first catalog', () => {
    const world = newWorld('')
    world.balancing = { slowStartMs: rampMs }
    world.balancer.update({ services: new Map() })
    world.use('AB')
    expect(world.viewOf('A').warmth).toBe(1)
  })

  it('faster than the others: all of a pool that was empty share evenly', () => {
    const world = joined('', 'ABC')
    expect(world.viewOf('A').warmth).toBe(1 / 32)
    const seen: string[] = []
    serveOver(world, 300, rampMs * 1.2, (name) => seen.push(name))
    expect(seen.join('')).toBe('ABC'.repeat(100))
  })

  it('with slow start off: each pick is as if there were no such thing', () => {
    const members = fc.dictionary(fc.constantFrom(...letters), fc.constantFrom(1, 1, 2), { minKeys: 1 })
    fc.assert(
      fc.property(fc.array(members, { minLength: 2, maxLength: 6 }), fc.nat({ max: 40 }), (catalogs, requests) => {
        const plain = newWorld(catalogs[0] as Members)
        // On at first, but off before anybody joins.
        const off = newWorld(catalogs[0] as Members)
        off.balancing = { slowStartMs: rampMs }
        off.serve(3)
        off.balancing = { slowStartMs: null }
        plain.serve(3)
        for (const next of catalogs) {
          plain.use(next)
          off.use(next)
          plain.nowMs += 500
          off.nowMs += 500
          expect(off.serve(requests)).toBe(plain.serve(requests))
        }
      }),
    )
  })

  it('any longer, soon after slow start was turned off; nor again when it is turned on', () => {
    const world = joined('AB', 'ABZ')
    world.nowMs += 1_000
    world.balancing = { slowStartMs: null }
    expect(world.viewOf('Z').warmth).toBe(1)
    world.nowMs += 1_000
    world.serve(3)
    world.balancing = { slowStartMs: rampMs }
    expect(world.viewOf('Z').warmth).toBe(1)
    expect(count(world.serve(300)).get('Z')).toBe(100)
  })
})
