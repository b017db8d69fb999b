/** Is an answer read as RFC 1035 has it, and is what is malformed refused, whatever it is? */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeMessage, encodeQuery, isDnsName } from '../../../src/discovery/dns/dns-message.ts'
import { encodeAnswer, encodeName, type FakeAnswer } from './fake-dns.ts'

const id = Buffer.from([0x12, 0x34])
const question = Buffer.concat([encodeName('web.test'), Buffer.from([0, 33, 0, 1])])

const decode = (said: FakeAnswer) => decodeMessage(encodeAnswer(id, question, said))

function records(said: FakeAnswer) {
  const decoded = decode(said)
  return decoded.kind === 'message' ? decoded.message : decoded
}

test('a question has the name, the type, recursion and EDNS', () => {
  expect(encodeQuery(0x1234, 'a.b.', 'SRV').toString('hex')).toBe(
    [
      '1234',
      '0100',
      '0001',
      '0000',
      '0000',
      '0001',
      '01610162',
      '00',
      '0021',
      '0001',
      '00',
      '0029',
      '04d0',
      '00000000',
      '0000',
    ].join(''),
  )
})

test('an answer has its records by section', () => {
  expect(
    records({
      answers: [
        { name: 'WEB.test', ttlS: 7, is: 'srv 1 2 8080 A.test' },
        { name: 'web.test', ttlS: 8, is: 'cname b.test' },
      ],
      authority: [{ name: 'test', ttlS: 60, is: 'soa 5' }],
      additional: [
        { name: 'a.test', ttlS: 9, is: 'a 10.0.0.1' },
        { name: 'a.test', ttlS: 9, is: 'aaaa fd00::1' },
      ],
    }),
  ).toEqual({
    id: 0x1234,
    rcode: 0,
    truncated: false,
    knows: true,
    question: { name: 'web.test', type: 33 },
    answers: [
      { type: 'SRV', name: 'web.test', ttlS: 7, priority: 1, weight: 2, port: 8080, target: 'a.test' },
      { type: 'CNAME', name: 'web.test', ttlS: 8, target: 'b.test' },
    ],
    authority: [{ type: 'SOA', name: 'test', ttlS: 5 }],
    additional: [
      { type: 'A', name: 'a.test', ttlS: 9, address: '10.0.0.1' },
      { type: 'AAAA', name: 'a.test', ttlS: 9, address: 'fd00:0:0:0:0:0:0:1' },
    ],
    edns: false,
  })
})

test.each([
  ['no such name', { rcode: 3 }, { rcode: 3 }],
  [
    'truncated, and so not looked at',
    { truncated: true, answers: [{ name: 'a', is: 'a 1.2.3.4' }] },
    { truncated: true, answers: [] },
  ],
  [
    'a time to live with the top bit counts as 0',
    { answers: [{ name: 'a', ttlS: 2 ** 31, is: 'a 1.2.3.4' }] },
    { answers: [{ ttlS: 0 }] },
  ],
])('%s', (_, said, expected) => {
  expect(records(said)).toMatchObject(expected)
})

describe('is malformed', () => {
  const whole = encodeAnswer(id, question, { answers: [{ name: 'web.test', is: 'srv 1 2 80 a.test' }] })
  const changed = (at: number, ...bytes: number[]) => {
    const copy = Buffer.from(whole)
    for (const [index, byte] of bytes.entries()) copy[at + index] = byte
    return copy
  }
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a header that is cut off', whole.subarray(0, 11)],
    ['a question', changed(2, 0x01)],
    ['a name that points to itself', changed(12, 0xc0, 12)],
    ['a name that points forwards', changed(12, 0xc0, 40)],
    ['a label of an unknown kind', changed(12, 0x80)],
    ['more records than there are', changed(6, 0, 9)],
    ['a record that ends beyond it', whole.subarray(0, whole.length - 3)],
  ])('%s', (_, bytes) => {
    expect(decodeMessage(bytes)).toMatchObject({ kind: 'malformed' })
  })

  test('or is read: any bytes, and any change to a good answer, never throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void decodeMessage(Buffer.from(bytes))))
    const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255))
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
        const copy = Buffer.from(whole)
        for (const [at, byte] of changes) copy[at] = byte
        decodeMessage(copy)
      }),
    )
  })
})

test.each([
  ['web.service.consul', true],
  ['_http._tcp.web.example.', true],
  ['tasks.api', true],
  ['', false],
  ['.', false],
  ['a..b', false],
  ['-a', false],
  ['a b', false],
  ['ä', false],
  [`${'a'.repeat(64)}.test`, false],
  [Array(64).fill('abc').join('.'), false],
])('%j is a name: %s', (name, expected) => {
  expect(isDnsName(name)).toBe(expected)
})
