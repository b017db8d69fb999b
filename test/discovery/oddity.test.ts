import { expect, test } from 'vitest'
import { oddity, oddityFilter } from '../../src/discovery/oddity.ts'
import { printable } from '../../src/discovery/untrusted-text.ts'

test('an oddity is unseen once, by service, kind and subject', () => {
  const filter = oddityFilter()
  const first = oddity('bad-port', 'web-1', 'port 0')
  expect(filter.unseen('web', [first])).toEqual([first])
  expect(filter.unseen('web', [first])).toEqual([])
  expect(filter.unseen('web', [oddity('bad-port', 'web-1', 'port 99999')])).toEqual([])
  expect(filter.unseen('web', [oddity('bad-port', 'web-2', 'port 0')])).toHaveLength(1)
  expect(filter.unseen('web', [oddity('bad-weight', 'web-1', 'x')])).toHaveLength(1)
  expect(filter.unseen('api', [first])).toHaveLength(1)
})

test('its memory is bounded: once it is full it says so, once, and is quiet', () => {
  const filter = oddityFilter(2)
  const many = ['a', 'b', 'c', 'd'].map((subject) => oddity('bad-port', subject, ''))
  expect(filter.justFull()).toBe(false)
  expect(filter.unseen('web', many).map(({ subject }) => subject)).toEqual(['a', 'b'])
  expect(filter.justFull()).toBe(true)
  expect(filter.unseen('web', many)).toEqual([])
  expect(filter.justFull()).toBe(false)
})

test.each([
  ['plain text is itself', 'check "http" – ünïcode', 40, 'check "http" – ünïcode'],
  ['line breaks, escapes and nulls are marked', 'a\nb\u001bc\u0000', 10, 'a?b?c?'],
  ['direction marks and line separators too', 'a\u202eb\u2028c\u200b', 10, 'a?b?c?'],
  ['half a surrogate pair too', 'a\ud83d', 10, 'a?'],
  ['what is too long is cut, with a sign of it', 'abcdef', 4, 'abc…'],
  ['what just fits is not', 'abcd', 4, 'abcd'],
  ['a cut through a pair leaves no half of it', 'ab😀cd', 4, 'ab?…'],
])('printable: %s', (_, text, max, expected) => {
  expect(printable(text, max)).toBe(expected)
})
