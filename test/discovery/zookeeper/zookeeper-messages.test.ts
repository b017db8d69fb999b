/** Are requests what ZooKeeper reads, and its answers understood? The layouts are those of zookeeper.jute. */

import { describe, expect, test } from 'vitest'
import {
  decodeAnswer,
  decodeEvent,
  decodeHeader,
  decodeHello,
  encodeHello,
  encodeRequest,
  nameOfCode,
  type ZookeeperRequest,
} from '../../../src/discovery/zookeeper/zookeeper-messages.ts'

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex')
}

const NO_PASSWORD = '00'.repeat(16)

describe('what is sent', () => {
  test('a session is asked for', () => {
    const asked = `0000002d 00000000 0000000100000002 00002710 0000000000000000 00000010 ${NO_PASSWORD} 00`
    expect(encodeHello(null, 10_000, 0x1_0000_0002n)).toEqual(hex(asked))
  })

  test('a session is gone on with', () => {
    const ticket = { sessionId: -2n, password: Buffer.alloc(16, 7) }
    const asked = `0000002d 00000000 0000000000000000 000003e8 fffffffffffffffe 00000010 ${'07'.repeat(16)} 00`
    expect(encodeHello(ticket, 1000, 0n)).toEqual(hex(asked))
  })

  test.each<[string, ZookeeperRequest, string]>([
    ['children and a watch', { kind: 'children', path: '/a' }, '00000008 00000002 2f61 01'],
    ['data and a watch', { kind: 'data', path: '/a' }, '00000004 00000002 2f61 01'],
    ['a watch of what may not be there', { kind: 'exists', path: '/a' }, '00000003 00000002 2f61 01'],
    ['to catch up with the leader', { kind: 'sync', path: '/a' }, '00000009 00000002 2f61'],
    [
      'a node that stays',
      { kind: 'create', path: '/a', data: 'b', as: 'stays' },
      '00000001 00000002 2f61 00000001 62 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00000000',
    ],
    [
      'a node that goes',
      { kind: 'create', path: '/a', data: '', as: 'goes' },
      '00000001 00000002 2f61 00000000 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00000001',
    ],
    [
      'a node that goes and is guarded',
      { kind: 'create', path: '/a', data: '', as: 'goes-guarded' },
      '00000001 00000002 2f61 00000000 00000002 00000001 00000005 776f726c64 00000006 616e796f6e65 0000001f 00000004 61757468 00000000 00000001',
    ],
    ['other data', { kind: 'set', path: '/a', data: 'b' }, '00000005 00000002 2f61 00000001 62 ffffffff'],
    ['a node to go', { kind: 'delete', path: '/a' }, '00000002 00000002 2f61 ffffffff'],
    ['the end of the session', { kind: 'close' }, 'fffffff5'],
    ['whether it lives', { kind: 'ping' }, '0000000b'],
    ['who it is', { kind: 'auth', digest: 'a:b' }, '00000064 00000000 00000006 646967657374 00000003 613a62'],
  ])('%s', (_, request, body) => {
    const bytes = hex(`00000007 ${body}`)
    expect(encodeRequest(7, request)).toEqual(Buffer.concat([hex(bytes.length.toString(16).padStart(8, '0')), bytes]))
  })
})

describe('the first answer', () => {
  test.each([
    ['a session', `00000000 00002710 0100000000000001 00000010 ${'07'.repeat(16)} 00`, false],
    [
      'a session of a server that only reads',
      `00000000 00002710 0100000000000001 00000010 ${'07'.repeat(16)} 01`,
      true,
    ],
    ['a session of a server before 3.4', `00000000 00002710 0100000000000001 00000010 ${'07'.repeat(16)}`, false],
  ])('is %s', (_, bytes, isReadOnly) => {
    const ticket = { sessionId: 0x0100_0000_0000_0001n, password: Buffer.alloc(16, 7) }
    expect(decodeHello(hex(bytes))).toEqual({ kind: 'session', ticket, timeoutMs: 10_000, isReadOnly })
  })

  test('is that there is no such session any more', () => {
    const bytes = `00000000 00000000 0000000000000000 00000010 ${NO_PASSWORD} 00`
    expect(decodeHello(hex(bytes))).toEqual({ kind: 'expired' })
  })

  test.each([
    ['half of one', '00000000 00002710 01000000'],
    ['another version', `00000001 00002710 0100000000000001 00000010 ${NO_PASSWORD} 00`],
    ['one with more behind it', `00000000 00002710 0100000000000001 00000010 ${NO_PASSWORD} 00 00`],
  ])('is not %s', (_, bytes) => {
    expect(() => decodeHello(hex(bytes))).toThrow(RangeError)
  })
})

describe('an answer', () => {
  const header = '00000007 0000000100000002 00000000'
  const stat = (owner: string) => `${'00'.repeat(44)} ${owner} 00000001 00000000 0000000000000000`
  const answer = (kind: ZookeeperRequest['kind'], body: string) => decodeAnswer(kind, decodeHeader(hex(header + body)))

  test('says which request it is for, and what the server knows of', () => {
    expect(decodeHeader(hex(header))).toMatchObject({ xid: 7, zxid: 0x1_0000_0002n, code: 0 })
  })

  test('has children', () => {
    expect(answer('children', '00000002 00000001 61 00000002 6263')).toEqual({ kind: 'children', names: ['a', 'bc'] })
  })

  test('has data, and whose session it goes with', () => {
    const expected = { kind: 'data', data: Buffer.from('b'), owner: 0x0100_0000_0000_0001n }
    expect(answer('data', `00000001 62 ${stat('0100000000000001')}`)).toEqual(expected)
  })

  test('has null for data', () => {
    const expected = { kind: 'data', data: Buffer.alloc(0), owner: 0n }
    expect(answer('data', `ffffffff ${stat('0000000000000000')}`)).toEqual(expected)
  })

  test('has nothing that matters', () => {
    for (const kind of ['exists', 'sync', 'create', 'set', 'delete', 'ping', 'auth', 'close'] as const) {
      expect(answer(kind, '')).toEqual({ kind: 'done' })
    }
  })

  test('refuses', () => {
    const refusal = decodeHeader(hex('00000007 0000000100000002 ffffff9b'))
    expect(decodeAnswer('children', refusal)).toEqual({ kind: 'refused', code: -101 })
    expect([-101, -1234].map(nameOfCode)).toEqual(['NoNode', 'error -1234'])
  })

  test('that ends too early is none', () => {
    expect(() => decodeHeader(hex('00000007 00000001'))).toThrow(RangeError)
    expect(() => answer('children', '00000002 00000001 61')).toThrow(RangeError)
    expect(() => answer('data', '00000001 62 00')).toThrow(RangeError)
  })
})

describe('an event', () => {
  const event = (body: string) => decodeEvent(decodeHeader(hex(`ffffffff ffffffffffffffff 00000000 ${body}`)))

  test('is about a node', () => {
    expect(event('00000004 00000003 00000002 2f61')).toBe('/a')
  })

  test('of the session is about none', () => {
    expect(event('ffffffff 00000000 00000000')).toBeNull()
  })

  test('that ends too early is none', () => {
    expect(() => event('00000004 00000003 00000004 2f61')).toThrow(RangeError)
  })
})
