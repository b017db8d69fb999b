import type { Socket } from 'node:net'
import { Writable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { JoinedWriter } from '../../../src/proxy/engines/wire/joined-writer.ts'
import { sharedBuffer } from '../../../src/proxy/engines/wire/read-buffers.ts'

/** Takes every write and notes how many there were (a stream in the place of a socket). */
function sink() {
  const pieces: Buffer[] = []
  let writes = 0
  const stream = new Writable({
    decodeStrings: true,
    write: (chunk: Buffer, _encoding, done) => {
      writes++
      pieces.push(Buffer.from(chunk))
      done()
    },
    writev: (chunks, done) => {
      writes++
      for (const { chunk } of chunks) pieces.push(Buffer.from(chunk as Buffer))
      done()
    },
  })
  return { socket: stream as unknown as Socket, bytes: () => Buffer.concat(pieces), writes: () => writes }
}

const piece = fc.oneof(
  fc.string({ unit: 'binary-ascii', maxLength: 50 }),
  fc.uint8Array({ minLength: 1, maxLength: 20_000, size: 'max' }).map((bytes) => Buffer.from(bytes)),
)

test('everything comes out once, in order, whatever is text, short or long', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(piece, fc.boolean()), { maxLength: 12 }), (list) => {
      const out = sink()
      const writer = new JoinedWriter(out.socket)
      for (const [item, flush] of list) {
        if (typeof item === 'string') writer.add(item)
        else writer.addBytes(item, 0, item.length)
        if (flush) writer.flush()
      }
      writer.flush()
      const expected = Buffer.concat(
        list.map(([item]) => (typeof item === 'string' ? Buffer.from(item, 'latin1') : item)),
      )
      expect(out.bytes().equals(expected)).toBe(true)
    }),
    { numRuns: 100 },
  )
})

test('a head and a short body are one write', () => {
  const out = sink()
  const writer = new JoinedWriter(out.socket)
  writer.add('HTTP/1.1 200 OK\r\n\r\n')
  writer.addBytes(Buffer.from('short'), 0, 5)
  writer.flush()
  expect(out.writes()).toBe(1)
})

test('bytes of the shared buffer may change as soon as they have been added', () => {
  const out = sink()
  const writer = new JoinedWriter(out.socket)
  sharedBuffer.fill('a')
  writer.addBytes(sharedBuffer, 0, 20_000)
  sharedBuffer.fill('b')
  writer.flush()
  expect(out.bytes().equals(Buffer.alloc(20_000, 'a'))).toBe(true)
})
