import { describe, expect, it } from 'vitest'
import { saneRequestId } from '../../src/proxy/headers.ts'
import { ownText } from '../../src/proxy/own-text.ts'
import { traceIdIn } from '../../src/proxy/trace-context.ts'
import { liveBytes } from '../support/heap.ts'

const headBytes = 16_384
const heads = 2_000

/** What a piece of each of many heads keeps alive. */
function keptBy(piece: (head: string) => string | null): number {
  const kept: (string | null)[] = []
  const before = liveBytes()
  for (let i = 0; i < heads; i++) {
    const room = Buffer.alloc(headBytes, 'x')
    room.write(`00-4bf92f3577b34da6a3ce929d0e0e${String(i).padStart(4, '0')}-00f067aa0ba902b7-01`)
    kept.push(piece(room.toString('latin1')))
  }
  const grown = liveBytes() - before
  expect(new Set(kept).size).toBe(heads)
  return grown
}

describe('a piece of a head', () => {
  it('keeps the whole head alive when it is cut out, which is why there is an own text', () => {
    expect(keptBy((head) => head.slice(0, 55))).toBeGreaterThan(heads * headBytes)
  })

  it.each<[what: string, piece: (head: string) => string | null]>([
    ['an own text', (head) => ownText(head.slice(0, 55))],
    ['a request id', (head) => saneRequestId(['X-Request-Id', head.slice(0, 128)])],
    ['a trace id', (head) => traceIdIn(['traceparent', head.slice(0, 55)])],
  ])('does not when it is %s', (_, piece) => {
    expect(keptBy(piece)).toBeLessThan(heads * 1_024)
  })

  it('says the same', () => {
    for (const text of ['', 'a', '\xe9\xff\0', 'x'.repeat(256)]) expect(ownText(text)).toBe(text)
  })
})
