import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  formatDuration,
  formatShare,
  formatSize,
  parseDuration,
  parseShare,
  parseSize,
} from '../../src/config/units.ts'

describe('what people write', () => {
  test.each([
    ['0s', 0],
    ['250ms', 250],
    ['2s', 2_000],
    ['90s', 90_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['2', null],
    ['2 s', null],
    ['-2s', null],
    ['1.5s', null],
    ['2S', null],
    ['2sec', null],
    ['1m30s', null],
    ['', null],
  ])('the duration %j is %j ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each([
    ['0B', 0],
    ['512B', 512],
    ['16KiB', 16_384],
    ['1MiB', 1_048_576],
    ['1GiB', 1_073_741_824],
    ['16KB', null],
    ['16kib', null],
    ['16384', null],
    ['1.5MiB', null],
  ])('the size %j is %j bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  test.each([
    ['0%', 0],
    ['0.5%', 0.005],
    ['50%', 0.5],
    ['100%', 1],
    ['101%', null],
    ['-1%', null],
    ['50', null],
    ['0.5', null],
    ['%', null],
  ])('the share %j is %j', (text, share) => {
    expect(parseShare(text)).toBe(share)
  })
})

describe('what is shown again', () => {
  test.each([
    [0, '0s'],
    [1_500, '1500ms'],
    [65_000, '65s'],
    [300_000, '5m'],
    [7_200_000, '2h'],
  ])('%j ms are shown as %j', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  test.each([
    [0, '0B'],
    [1_000, '1000B'],
    [16_384, '16KiB'],
    [3 * 2 ** 30, '3GiB'],
  ])('%j bytes are shown as %j', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text)
  })

  test('a share is shown as it was written: 7% is not 7.000000000000001%', () => {
    expect(formatShare(0.07)).toBe('7%')
  })

  test('whatever is shown is read as the same amount', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 40 }), (amount) => {
        expect(parseDuration(formatDuration(amount))).toBe(amount)
        expect(parseSize(formatSize(amount))).toBe(amount)
      }),
    )
    fc.assert(
      fc.property(fc.nat({ max: 10_000 }), (basisPoints) => {
        expect(parseShare(formatShare(basisPoints / 10_000))).toBeCloseTo(basisPoints / 10_000, 12)
      }),
    )
  })
})
