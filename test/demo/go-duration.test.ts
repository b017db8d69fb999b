import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseGoDuration } from '../../src/demo/go-duration.ts'

describe('durations, as Go reads them', () => {
  test.each([
    ['55s', 55_000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['2.s', 2000],
    ['100us', 0.1],
    ['100µs', 0.1],
    ['1ms1ms', 2],
    ['-5s', -5000],
    ['+5s', 5000],
    ['0', 0],
    ['-0', 0],
  ])('%s is %d ms', (text, ms) => {
    expect(parseGoDuration(text)).toBeCloseTo(ms, 9)
  })

  test.each(['', ' ', '5', '5S', '5 s', 's', '.s', '1..5s', '1e3s', '5s ', 'soon', '--5s', '１s', '1d', '٣s'])(
    '%j is no duration',
    (text) => {
      expect(parseGoDuration(text)).toBeNull()
    },
  )

  test('hours, minutes, seconds and milliseconds add up, in any order', () => {
    const part = fc.tuple(fc.nat(1000), fc.constantFrom(['h', 3_600_000], ['m', 60_000], ['s', 1000], ['ms', 1]))
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const text = parts.map(([amount, [unit]]) => `${amount}${unit}`).join('')
        const ms = parts.reduce((sum, [amount, [, each]]) => sum + amount * Number(each), 0)
        expect(parseGoDuration(text)).toBe(ms)
      }),
    )
  })

  test('no text makes it throw or answer anything but a finite number or null', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const ms = parseGoDuration(text)
        expect(ms === null || Number.isFinite(ms)).toBe(true)
      }),
    )
  })

  test('a text of a hundred thousand digits is refused at once', () => {
    expect(parseGoDuration(`${'1'.repeat(100_000)}s`)).toBeNull()
  })
})
