import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Rotation } from '../../src/balancer/rotation.ts'

const letters = 'ABCDEFGHIJKLMNOPQRST'

function turns(rotation: Rotation, count: number): string {
  let text = ''
  for (let turn = 0; turn < count; turn++) text += letters[rotation.pick(null)] ?? '-'
  return text
}

function tally(picks: readonly number[], size: number): number[] {
  const counts = new Array<number>(size).fill(0)
  for (const pick of picks) counts[pick] = (counts[pick] as number) + 1
  return counts
}

const weight = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 200 }), fc.constant(65_535))
const weights = fc.array(weight, { minLength: 1, maxLength: 12 })

describe('the order of turns', () => {
  const rows: { name: string; weights: number[]; expected: string }[] = [
    { name: 'a lone member has every turn', weights: [3], expected: 'AAAA' },
    { name: 'equal members take turns', weights: [1, 1, 1], expected: 'ABCABC' },
    { name: 'equal weights above one are the same as one', weights: [7, 7, 7], expected: 'ABCABC' },
    { name: 'a heavy member is spread out, not bunched', weights: [2, 1, 1], expected: 'ABCAABCA' },
    { name: 'one heavy and many light ones alternate', weights: [4, 1, 1, 1, 1], expected: 'ABACADEA' },
  ]
  for (const row of rows) {
    it(row.name, () => expect(turns(new Rotation(row.weights), row.expected.length)).toBe(row.expected))
  }

  it('keeps the place when the next in turn leaves: its neighbour gets no double share', () => {
    const rotation = new Rotation([1, 1, 1])
    expect(turns(rotation, 1)).toBe('A')
    rotation.setActive(1, false)
    expect(turns(rotation, 6)).toBe('CACACA')
  })

  it('keeps the place when one that had its turn leaves: the next does not go twice', () => {
    const rotation = new Rotation([1, 1, 1])
    expect(turns(rotation, 2)).toBe('AB')
    rotation.setActive(0, false)
    expect(turns(rotation, 6)).toBe('CBCBCB')
  })

  it('takes a member back without making up for the turns it missed', () => {
    const rotation = new Rotation([1, 1, 1])
    rotation.setActive(1, false)
    expect(turns(rotation, 5)).toBe('ACACA')
    rotation.setActive(1, true)
    expect(turns(rotation, 6)).toBe('CBACBA')
  })

  it('gives a skipped member its turn later, and nobody twice', () => {
    const rotation = new Rotation([1, 1, 1])
    expect(rotation.pick((index) => index === 0)).toBe(1)
    expect(turns(rotation, 5)).toBe('ACBAC')
  })

  it('owes a member that many requests avoid one turn, and no burst', () => {
    const rotation = new Rotation([1, 1, 1])
    for (let turn = 0; turn < 100; turn++) expect(rotation.pick((index) => index === 0)).toBe(turn % 2 === 0 ? 1 : 2)
    expect(turns(rotation, 9)).toBe('AABCABCAB')
  })

  it('leaves nobody behind for good whom nobody may have', () => {
    const rotation = new Rotation([3, 1])
    expect([0, 0, 0].map(() => rotation.pick((index) => index === 0))).toEqual([1, 1, 1])
    expect(rotation.pick(() => true)).toBe(-1)
    expect(turns(rotation, 8)).toMatch(/^AAAA/)
    expect(
      tally(
        Array.from({ length: 400 }, () => rotation.pick(null)),
        2,
      ),
    ).toEqual([300, 100])
  })

  it('answers -1 when nobody is active, and still finds one by waiting time', () => {
    const rotation = new Rotation([1, 1])
    rotation.setActive(0, false)
    rotation.setActive(1, false)
    expect(rotation.pick(null)).toBe(-1)
    expect([0, 0, 0].map(() => rotation.pickInactive(null))).toEqual([0, 1, 0])
    expect(rotation.pickInactive(() => true)).toBe(-1)
  })

  it('goes on where it stood when the list changes', () => {
    const rotation = new Rotation([1, 1, 1])
    expect(turns(rotation, 2)).toBe('AB')
    // D joins behind C, A stays, B leaves: C's turn is next, as it was.
    const next = rotation.continuedWith([1, 1, 1], [0, 2, -1])
    expect([0, 0, 0, 0, 0, 0].map(() => next.pick(null))).toEqual([1, 2, 0, 1, 2, 0])
  })

  it('keeps an inactive member inactive when the list changes', () => {
    const rotation = new Rotation([1, 1, 1])
    rotation.setActive(2, false)
    const next = rotation.continuedWith([1, 1, 5, 1], [0, 1, 2, -1])
    expect(next.isActive(2)).toBe(false)
    expect(new Set([0, 0, 0].map(() => next.pick(null)))).toEqual(new Set([0, 1, 3]))
  })
})

describe('exactness', () => {
  it('each full cycle gives every member exactly its weight', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }), (weights) => {
        const rotation = new Rotation(weights)
        const cycle = weights.reduce((sum, one) => sum + one, 0)
        for (let round = 0; round < 3; round++) {
          const picks = Array.from({ length: cycle }, () => rotation.pick(null))
          expect(tally(picks, weights.length)).toEqual(weights)
        }
      }),
    )
  })

  it('no member is ever a whole pick away from its share', () => {
    fc.assert(
      fc.property(weights, fc.integer({ min: 1, max: 400 }), (weights, count) => {
        const rotation = new Rotation(weights)
        const total = weights.reduce((sum, one) => sum + one, 0)
        const had = new Array<number>(weights.length).fill(0)
        for (let turn = 1; turn <= count; turn++) {
          const index = rotation.pick(null)
          had[index] = (had[index] as number) + 1
          weights.forEach((one, member) => {
            expect(Math.abs((had[member] as number) - (turn * one) / total)).toBeLessThan(1 + 1e-6)
          })
        }
      }),
      { numRuns: 60 },
    )
  })

  it('the spread is of a few picks whatever the weights: one of 100 beside one of 1 is not uneven', () => {
    const lopsided = new Rotation([1, 100])
    let widest = 0
    for (let turn = 0; turn < 1_000; turn++) {
      lopsided.pick(null)
      widest = Math.max(widest, lopsided.spread())
    }
    expect(widest).toBeLessThan(2)
    const step = fc.oneof({ weight: 9, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat({ max: 11 }) })
    fc.assert(
      fc.property(weights, fc.array(step, { maxLength: 200 }), (weights, steps) => {
        const rotation = new Rotation(weights)
        for (const one of steps) {
          const member = one % weights.length
          if (one < 0) rotation.pick(null)
          else rotation.setActive(member, !rotation.isActive(member))
          expect(rotation.spread()).toBeLessThan(4)
        }
      }),
    )
  })

  it('a spread is seen where there is one, in picks: a heavy member that is avoided falls behind', () => {
    const rotation = new Rotation([1, 1, 8])
    for (let turn = 0; turn < 30; turn++) rotation.pick((index) => index === 2)
    // 15, 15 and none, of which 3, 3 and 24 were due.
    expect(rotation.spread()).toBe(12 + 24)
  })

  it('between any two changes, equal members differ by at most one pick', () => {
    const change = fc.record({
      toggle: fc.nat({ max: 7 }),
      picks: fc.integer({ min: 0, max: 40 }),
      rebuild: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), fc.array(change, { maxLength: 30 }), (size, changes) => {
        let rotation = new Rotation(new Array<number>(size).fill(1))
        for (const { toggle, picks, rebuild } of changes) {
          const member = toggle % size
          if (rebuild) {
            // The member leaves the list and joins it anew.
            const former = Array.from({ length: size }, (_, index) => (index === member ? -1 : index))
            rotation = rotation.continuedWith(new Array<number>(size).fill(1), former)
          } else {
            rotation.setActive(member, !rotation.isActive(member))
          }
          const had = new Array<number>(size).fill(0)
          for (let turn = 0; turn < picks; turn++) {
            const index = rotation.pick(null)
            if (index < 0) break
            had[index] = (had[index] as number) + 1
            const active = had.filter((_, other) => rotation.isActive(other))
            expect(Math.max(...active) - Math.min(...active)).toBeLessThanOrEqual(1)
          }
          expect(rotation.spread()).toBeLessThanOrEqual(1)
        }
      }),
    )
  })

  it('rounding does not add up: still so after a hundred thousand changes', () => {
    const size = 7
    const rotation = new Rotation(new Array<number>(size).fill(1))
    let random = 1
    const below = (limit: number) => {
      random = (random * 48_271) % 2_147_483_647
      return random % limit
    }
    let widest = 0
    for (let change = 0; change < 100_000; change++) {
      const member = below(size)
      rotation.setActive(member, !rotation.isActive(member))
      for (let turn = below(6); turn >= 0; turn--) rotation.pick(null)
      widest = Math.max(widest, rotation.spread())
    }
    expect(widest).toBe(1)
  })

  it('a member that flaps gains nothing: those who stay keep equal shares of the rest', () => {
    const rotation = new Rotation([1, 1, 1, 10])
    const had = [0, 0, 0, 0]
    for (let turn = 0; turn < 13_000; turn++) {
      if (turn % 5 === 0) rotation.setActive(2, !rotation.isActive(2))
      const index = rotation.pick(null)
      had[index] = (had[index] as number) + 1
    }
    const [a, b, , heavy] = had as [number, number, number, number]
    expect(Math.abs(a - b)).toBeLessThanOrEqual(2)
    expect(heavy / a).toBeGreaterThan(9.9)
    expect(heavy / a).toBeLessThan(10.1)
  })

  it('turns stay even for a long time after a change with fractional places', () => {
    const rotation = new Rotation([1, 1, 1, 1, 1, 1, 1])
    turns(rotation, 3)
    rotation.setActive(1, false)
    const picks = Array.from({ length: 600_000 }, () => rotation.pick(null))
    expect(new Set(tally(picks, 7))).toEqual(new Set([0, 100_000]))
  })
})
