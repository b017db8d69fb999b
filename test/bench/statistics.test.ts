/** Are many measurements said in the right few numbers? */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { percentile, rangeOf, ratiosByRound, roundedUp, spreadOf } from '../../bench/statistics.ts'

test.each([
  ['nothing has no range', [], null],
  ['one value is all of its range', [3], { median: 3, min: 3, max: 3 }],
  ['the middle one of three, in any order', [9, 1, 2], { median: 2, min: 1, max: 9 }],
  ['half-way between the two in the middle', [4, 1, 2, 100], { median: 3, min: 1, max: 100 }],
])('a range: %s', (_row, values, expected) => {
  expect(rangeOf(values)).toEqual(expected)
})

test.each([
  ['the 99th of a hundred', 0.99, 99],
  ['the 50th of a hundred', 0.5, 50],
  ['the largest', 1, 100],
  ['the smallest, for a share of nothing', 0, 1],
])('a percentile is a value that was measured: %s', (_row, share, expected) => {
  expect(
    percentile(
      Float64Array.from({ length: 100 }, (_, index) => index + 1),
      share,
    ),
  ).toBe(expected)
})

test('there is no percentile of nothing', () => {
  expect(() => percentile([], 0.5)).toThrow(RangeError)
})

test('a spread is the most less the least', () => {
  expect([spreadOf([250, 251, 250]), spreadOf([7]), spreadOf([])]).toEqual([1, 0, 0])
})

test('a machine that slows down between two rounds changes no ratio', () => {
  const speeds = fc.array(fc.double({ min: 0.1, max: 10, noNaN: true }), { minLength: 1 })
  fc.assert(
    fc.property(speeds, (slowness) => {
      const rounds = (cost: number) => new Map(slowness.map((slow, round) => [round, cost * slow]))
      for (const ratio of ratiosByRound(rounds(300), rounds(200))) expect(ratio).toBeCloseTo(1.5)
    }),
  )
})

test('a round that the baseline did not play has no ratio', () => {
  const figures = new Map([
    [1, 10],
    [2, 30],
  ])
  expect(ratiosByRound(figures, new Map([[2, 10]]))).toEqual([3])
})

test('rounding up gives a multiple, and never nothing', () => {
  expect([roundedUp(201, 200), roundedUp(200, 200), roundedUp(0, 200)]).toEqual([400, 200, 200])
})
