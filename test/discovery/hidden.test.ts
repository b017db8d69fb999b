/** Does a secret that a server quotes get into a message, however the server writes it? */

import { expect, test } from 'vitest'
import { withoutSecrets } from '../../src/discovery/hidden.ts'

const secret = `a"b\\c&d<e>f'g/h i`

test.each([
  ['as it is', secret],
  ['in JSON', JSON.stringify(secret).slice(1, -1)],
  ["in Go's JSON", `a\\"b\\\\c\\u0026d\\u003ce\\u003ef'g/h i`],
  ['in a URL', encodeURIComponent(secret)],
  ['in HTML', 'a&quot;b\\c&amp;d&lt;e&gt;f&#39;g/h i'],
  ['in HTML of Go', 'a&#34;b\\c&amp;d&lt;e&gt;f&#39;g/h i'],
])('not %s', (_, spelling) => {
  const text = `no entry for ${spelling}, nor for ${spelling}`
  expect(withoutSecrets(text, { '<password>': secret })).toBe('no entry for <password>, nor for <password>')
})

test.each([
  ['there is none', 'a b', { x: null, y: '' }, 'a b'],
  ['several', 'p-1 and p-2', { '<1>': 'p-1', '<2>': 'p-2' }, '<1> and <2>'],
  ['what stands in their place is no pattern', 'p', { "$&$'": 'p' }, "$&$'"],
  ['half of a character is no URL', 'p \ud800', { s: '\ud800' }, 'p s'],
])('%s', (_, text, secrets, expected) => {
  expect(withoutSecrets(text, secrets)).toBe(expected)
})
