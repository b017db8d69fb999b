import { describe, expect, it } from 'vitest'
import {
  ageText,
  latencyText,
  rateText,
  shareText,
  sparkHeight,
  sparkPath,
} from '../../../src/admin/dashboard/format.ts'

describe('at a glance', () => {
  it.each([
    [0, '0'],
    [0.04, '<0.1'],
    [0.34, '0.3'],
    [9.94, '9.9'],
    [9.96, '10'],
    [999, '999'],
    [1_234, '1.2k'],
    [45_600, '46k'],
  ])('a rate of %s is %s', (rate, text) => expect(rateText(rate)).toBe(text))

  it.each([
    [null, '–'],
    [0, '0 %'],
    [0.0004, '<0.1 %'],
    [0.0123, '1.2 %'],
    [0.5, '50 %'],
    [1, '100 %'],
  ])('a share of %s is %s', (share, text) => expect(shareText(share)).toBe(text))

  it.each([
    [null, '–'],
    [0.42, '0.4 ms'],
    [12.4, '12 ms'],
    [999.6, '1.0 s'],
    [12_000, '12 s'],
  ])('%s ms is %s', (ms, text) => expect(latencyText(ms)).toBe(text))

  it.each([
    [-5, '0 s'],
    [61_000, '61 s'],
    [120_000, '2 min'],
    [7_200_000, '2 h'],
    [259_200_000, '3 d'],
  ])('%s ms ago is %s', (ms, text) => expect(ageText(ms)).toBe(text))
})

describe('a sparkline', () => {
  it('reaches the top with the greatest value and stands on the ground with 0', () => {
    expect(sparkPath([0, 10], 10, true)).toBe(`M0.0 ${sparkHeight}.0L118.0 3.0L118 28L0 28Z`)
    expect(sparkPath([10, 0], 10, false)).toBe('M0.0 2.0L118.0 27.0')
  })
})
