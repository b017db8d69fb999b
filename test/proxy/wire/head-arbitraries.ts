/** Heads for properties: good ones, and good ones with something done to them. */

import fc from 'fast-check'

/** Any bytes, one character each. */
export const bytes = fc.uint8Array({ maxLength: 200 }).map((list) => Buffer.from(list).toString('latin1'))

const token = fc.string({ unit: fc.constantFrom(..."aZ09!#$%&'*+-.^_`|~"), minLength: 1, maxLength: 12 })
const value = fc
  .string({ unit: fc.constantFrom(...' \t!"az09~\x80\xe9\xff:,;='), maxLength: 20 })
  .map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''))

/** Fields without any that frame the message. */
export const fields = fc.array(
  fc.tuple(
    fc.oneof(
      token.filter((name) => !/^(content-length|transfer-encoding|expect)$/i.test(name)),
      fc.constantFrom('Host', 'host', 'User-Agent', 'X-Request-ID', 'Connection', 'Upgrade', 'X-FORWARDED-FOR'),
    ),
    value,
  ),
  { maxLength: 8 },
)

const insertions = [
  ...['\r', '\n', '\r\n', ' ', '\t', '\0', ':', '\x7f', '\xe9', 'Content-Length: 5\r\n', 'Content-Length: 6\r\n', ','],
  ...['Transfer-Encoding: chunked\r\n', 'Expect: 100-continue\r\n', 'Connection: close\r\n', '\r\n '],
]

/** The text with some pieces put in, and some characters left out. */
export function mutated(text: string): fc.Arbitrary<string> {
  const step = fc.record({ at: fc.nat(text.length), out: fc.nat(2), put: fc.constantFrom('', ...insertions) })
  return fc
    .array(step, { minLength: 1, maxLength: 3 })
    .map((steps) => steps.reduce((so, { at, out, put }) => so.slice(0, at) + put + so.slice(at + out), text))
}

/** Every beginning of a text, the shortest first, the whole text last. */
export function* prefixesOf(text: string): Generator<string> {
  for (let length = 0; length <= text.length; length++) yield text.slice(0, length)
}
