import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { textOf } from '../../src/commands/answer.ts'
import { columns, jsonText, someOf, wrapped } from '../../src/commands/terminal.ts'

describe('a text in lines', () => {
  test('is wrapped between words, and indented as far as its first line begins', () => {
    const text = Array.from({ length: 30 }, () => 'seven77').join(' ')
    expect(wrapped('  - ', text)).toEqual([
      `  - ${Array(12).fill('seven77').join(' ')}`,
      `    ${Array(12).fill('seven77').join(' ')}`,
      `    ${Array(6).fill('seven77').join(' ')}`,
    ])
  })

  test('no line is longer than the terminal is wide, and nothing but blanks is lost', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 400 }), fc.nat(30), (text, indent) => {
        const lines = wrapped(' '.repeat(indent), text)
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns)
        expect(lines.join('').replaceAll(/\s/g, '')).toBe(text.replaceAll(/\s/g, ''))
      }),
    )
  })
})

describe('what a stranger wrote', () => {
  test.each([
    ['a text with orders to a terminal', '\u001b[2Jgone\r\nfake line\u202e', '?[2Jgone??fake line?'],
    ['a number', 7, ''],
    ['nothing', undefined, ''],
  ])('%s', (_, value, text) => {
    expect(textOf(value)).toBe(text)
  })

  test('is JSON that says the same, and has no character that a terminal would obey', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(0x10ffff), { maxLength: 20 }), (points) => {
        const text = String.fromCodePoint(...points)
        const json = jsonText({ [text]: text })
        expect(JSON.parse(json)).toEqual({ [text]: text })
        expect(json).not.toMatch(/[^\P{C}\n]/u)
      }),
    )
  })
})

test.each([
  [['a'], 2, 0, 'a'],
  [['a', 'b', 'c'], 2, 0, 'a, b and 1 more'],
  [['a', 'b'], 2, 5, 'a, b and 5 more'],
])('of %j the first %d, with %d unnamed: %s', (list, most, more, text) => {
  expect(someOf(list, most, more)).toBe(text)
})
