import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Spellings } from '../../../src/proxy/engines/wire/spellings.ts'
import { commonSpellings } from '../../../src/proxy/field-names.ts'

const spellings = new Spellings(commonSpellings)

const found = (text: string): string | null => {
  const bytes = Buffer.from(`xx${text}xx`, 'latin1')
  const index = spellings.find(bytes, 2, bytes.length - 2)
  return index < 0 ? null : spellings.at(index)
}

it('every word is found, whatever stands around it', () => {
  expect(commonSpellings.map(found)).toEqual(commonSpellings)
})

it('no other word is found, however like one it is', () => {
  const known = fc.constantFrom(...commonSpellings)
  const alike = fc.oneof(
    fc.tuple(known, fc.nat(30), fc.string({ unit: 'grapheme-ascii', maxLength: 2 })).map(([word, at, put]) => {
      return word.slice(0, at) + put + word.slice(at + put.length)
    }),
    known.map((word) => word.toUpperCase()),
    known.map((word) => word.slice(1)),
    fc.string({ unit: 'grapheme-ascii', minLength: 1 }),
  )
  fc.assert(
    fc.property(alike, (text) => {
      if (text !== '') expect(found(text)).toBe(commonSpellings.includes(text) ? text : null)
    }),
    { numRuns: 2_000 },
  )
})

it('words that fall on the same place are told apart', () => {
  const words = ['axb', 'ayb', 'azb'].flatMap((word) => [word, `${word}${word}`, `a${word}xb`])
  const few = new Spellings(words)
  for (const word of words) expect(few.at(few.find(Buffer.from(word), 0, word.length))).toBe(word)
  expect(few.find(Buffer.from('awb'), 0, 3)).toBe(-1)
})
