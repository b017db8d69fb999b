import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { printable } from '../../src/discovery/untrusted-text.ts'

describe('text that anybody may have written', () => {
  test.each([
    ['that is plain stays', 'check "http"', 20, 'check "http"'],
    ['that is long is cut', 'a'.repeat(30), 10, `${'a'.repeat(9)}…`],
    ['that is just as long as it may be is not', 'a'.repeat(10), 10, 'a'.repeat(10)],
    ['of other scripts stays', 'Prüfung № 5', 20, 'Prüfung № 5'],
    ['that turns lines or their direction is shown as question marks', 'a\n\u202e\u2028b', 20, 'a???b'],
    ['that is both long and odd is both', `\u001b[2J${'é'.repeat(30)}`, 6, '?[2Jé…'],
    ['that is cut within a character has no half of one', 'ab😀cd', 4, 'ab?…'],
  ])('%s', (_, text, max, shown) => expect(printable(text, max)).toBe(shown))

  test('whatever it is: short, printable, and as it was where that is so already', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.string({ unit: 'binary-ascii' }))
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 40 }), (given, max) => {
        const shown = printable(given, max)
        expect(shown.length).toBeLessThanOrEqual(max)
        expect(shown).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
        expect(printable(shown, max)).toBe(shown)
        for (const [at, letter] of [...shown].entries()) {
          if (letter !== '?' && letter !== '…') expect([...given][at]).toBe(letter)
        }
      }),
    )
  })
})
