import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { escapeGlob, matchesAny, matchesGlob } from '../../src/discovery/glob.ts'

describe('matchesGlob', () => {
  test.each([
    ['a plain pattern is the name itself', 'web', 'web', true],
    ['a plain pattern is no prefix', 'web', 'web-api', false],
    ['a plain pattern is no suffix', 'web', 'my-web', false],
    ['case counts', 'web', 'Web', false],
    ['a star alone is anything', '*', 'web', true],
    ['a star is nothing too', 'web*', 'web', true],
    ['a star at the end', 'web-*', 'web-api', true],
    ['a star in the middle', 'web-*-v2', 'web-api-eu-v2', true],
    ['a star must still find what follows it', 'web-*-v2', 'web-api-v3', false],
    ['a star takes the last chance, not the first', '*-v2', 'a-v2-v2', true],
    ['a question mark is one character', 'web-?', 'web-1', true],
    ['a question mark is not none', 'web-?', 'web-', false],
    ['a question mark is not two', 'web-?', 'web-12', false],
    ['other signs mean themselves', 'a.b+(c)[d]', 'a.b+(c)[d]', true],
    ['a dot is a dot', 'a.b', 'axb', false],
    ['an empty pattern is the empty name', '', '', true],
    ['an empty pattern is no other name', '', 'a', false],
    ['stars match the empty name', '**', '', true],
    ['a star after a backslash is a star', 'a\\*', 'a*', true],
    ['a star after a backslash is nothing else', 'a\\*', 'ab', false],
    ['a question mark after a backslash is one', 'a\\?', 'a?', true],
    ['a backslash after a backslash is one', 'a\\\\b', 'a\\b', true],
    ['a backslash before other signs is itself', 'a\\b', 'a\\b', true],
    ['a backslash at the end is itself', 'a\\', 'a\\', true],
    ['what a star has taken is given back for an escape too', '*\\*b', 'a*b*b', true],
  ])('%s: %j and %j', (_, pattern, name, expected) => {
    expect(matchesGlob(pattern, name)).toBe(expected)
  })

  test('answers as a regular expression of the same meaning does', () => {
    const letters = fc.array(fc.constantFrom('a', 'b', '*', '?'), { maxLength: 8 }).map((list) => list.join(''))
    const names = fc.array(fc.constantFrom('a', 'b'), { maxLength: 10 }).map((list) => list.join(''))
    fc.assert(
      fc.property(letters, names, (pattern, name) => {
        const meaning = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`)
        expect(matchesGlob(pattern, name)).toBe(meaning.test(name))
      }),
      { numRuns: 2000 },
    )
  })

  test('a pattern made to take for ever does not', () => {
    expect(matchesGlob(`${'*a'.repeat(500)}b`, 'a'.repeat(5000))).toBe(false)
  })
})

test('an escaped name matches itself and nothing else', () => {
  const names = fc.array(fc.constantFrom('a', '*', '?', '\\'), { maxLength: 5 }).map((list) => list.join(''))
  fc.assert(
    fc.property(names, names, (name, other) => {
      expect(matchesGlob(escapeGlob(name), other)).toBe(name === other)
      expect(matchesGlob(escapeGlob(name), name)).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

test('matchesAny is true if one of several matches, and false for none', () => {
  expect(matchesAny(['db', 'web-*'], 'web-1')).toBe(true)
  expect(matchesAny(['db', 'web-*'], 'cache')).toBe(false)
  expect(matchesAny([], 'web')).toBe(false)
})
