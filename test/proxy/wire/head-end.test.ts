import fc from 'fast-check'
import { expect, test } from 'vitest'
import { endOfHead } from '../../../src/proxy/engines/wire/head-end.ts'

const bytes = fc
  .array(fc.constantFrom('\r', '\n', '\r\n', 'a', ':', '\r\n\r\n'), { maxLength: 30 })
  .map((pieces) => Buffer.from(pieces.join('')))

test('finds the first empty line, wherever it is, as a plain search does', () => {
  fc.assert(
    fc.property(bytes, fc.nat(8), (text, start) => {
      const found = text.indexOf('\r\n\r\n', start)
      expect(endOfHead(text, start, text.length)).toBe(found < 0 ? -1 : found + 4)
    }),
    { numRuns: 2_000 },
  )
})

test('looks at nothing behind the end that it is given: what is there is of an earlier read', () => {
  const text = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  for (let end = 0; end < text.length; end++) expect(endOfHead(text, 0, end)).toBe(-1)
  expect(endOfHead(text, 0, text.length)).toBe(text.length)
})
