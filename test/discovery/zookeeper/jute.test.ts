/** Is what ZooKeeper writes read as it was meant, and what it cannot mean refused? */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  frameReader,
  juteBool,
  juteBytes,
  juteFrame,
  juteInt,
  juteLong,
  juteReader,
  juteText,
} from '../../../src/discovery/zookeeper/jute.ts'

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex')
}

describe('a reader', () => {
  test.each<[string, string, (reader: ReturnType<typeof juteReader>) => unknown, unknown]>([
    ['a number', '000000ff', (reader) => reader.int(), 255],
    ['a negative number', 'ffffff9b', (reader) => reader.int(), -101],
    ['a long one', 'ffffffff fffffffe', (reader) => reader.long(), -2n],
    ['true', '01', (reader) => reader.bool(), true],
    ['false', '00', (reader) => reader.bool(), false],
    ['a text', '00000003 e282ac', (reader) => reader.text(), '€'],
    ['null for a text', 'ffffffff', (reader) => reader.text(), ''],
    ['no UTF-8', '00000002 61ff', (reader) => reader.text(), 'a\uFFFD'],
    ['null for bytes', 'ffffffff', (reader) => reader.bytes(), null],
    ['no bytes', '00000000', (reader) => reader.bytes()?.length, 0],
    ['null for a list', 'ffffffff', (reader) => reader.texts(), []],
    ['a list', '00000002 00000001 61 00000000', (reader) => reader.texts(), ['a', '']],
  ])('reads %s', (_, bytes, read, expected) => {
    const reader = juteReader(hex(bytes))
    expect(read(reader)).toEqual(expected)
    expect(reader.left).toBe(0)
  })

  test.each<[string, string, (reader: ReturnType<typeof juteReader>) => unknown]>([
    ['half a number', '000000', (reader) => reader.int()],
    ['half a long one', '00000000 000000', (reader) => reader.long()],
    ['nothing at all', '', (reader) => reader.bool()],
    ['a text that ends too early', '00000004 616263', (reader) => reader.text()],
    ['a length below null', 'fffffffe', (reader) => reader.bytes()],
    ['a list as long as memory', '7fffffff 00000000', (reader) => reader.texts()],
    ['a list that could hold so much, but does not', '00000002 00000004 61626364', (reader) => reader.texts()],
  ])('refuses %s', (_, bytes, read) => {
    expect(() => read(juteReader(hex(bytes)))).toThrow(RangeError)
  })

  test('never reads behind the end, whatever stands there, and throws nothing but a RangeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.array(fc.nat(5), { maxLength: 12 }), (bytes, steps) => {
        const reader = juteReader(Buffer.from(bytes))
        const ways = [reader.bool, reader.int, reader.long, reader.bytes, reader.text, reader.texts]
        try {
          for (const step of steps) ways[step]?.()
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
        expect(reader.left).toBeGreaterThanOrEqual(0)
      }),
    )
  })
})

test('what is written is read again', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.string({ unit: 'grapheme' }),
      fc.boolean(),
      (int, long, text, bool) => {
        const written = [juteInt(int), juteLong(long), juteText(text), juteBool(bool), juteBytes(Buffer.from([1, 2]))]
        const reader = juteReader(Buffer.concat(written))
        const read = [reader.int(), reader.long(), reader.text(), reader.bool(), [...(reader.bytes() ?? [])]]
        expect(read).toEqual([int, long, Buffer.from(text, 'utf8').toString('utf8'), bool, [1, 2]])
      },
    ),
  )
})

describe('a stream of messages', () => {
  test('is the same however it is cut', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 8 })
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (sent, sizes) => {
        const stream = Buffer.concat(sent.map((message) => juteFrame([Buffer.from(message)])))
        const frames = frameReader(20)
        const taken: number[][] = []
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1
          for (const message of frames.take(stream.subarray(at, at + size))) taken.push([...message])
          at += size
        }
        expect(taken).toEqual(sent.map((message) => [...message]))
      }),
    )
  })

  test.each([
    ['one longer than allowed', '00000015'],
    ['one of a length below 0', 'ffffffff'],
    ["another protocol's first words", Buffer.from('HTTP/1.1 400').toString('hex')],
  ])('ends at %s, before any of it is held', (_, bytes) => {
    expect(() => frameReader(20).take(hex(bytes))).toThrow(RangeError)
  })
})
