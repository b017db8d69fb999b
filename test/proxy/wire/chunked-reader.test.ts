import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChunkedReader } from '../../../src/proxy/engines/wire/chunked-reader.ts'

const limits = { trailerBytes: 60, trailerCount: 3, extensionBytes: 20 }

interface Reading {
  readonly data: string
  readonly state: string
  readonly fault: string
  readonly trailers: readonly string[]
  /** What was used of the text. */
  readonly used: number
}

/** Reads a body that comes in pieces of these lengths, in turn; each in a buffer with something else around it. */
function readIn(text: string, lengths: readonly number[]): Reading {
  const reader = new ChunkedReader(limits)
  let data = ''
  let used = 0
  for (let turn = 0; used < text.length && reader.state === 'reading'; turn++) {
    const piece = text.slice(used, used + (lengths[turn % lengths.length] ?? 1))
    const bytes = Buffer.from(`0\r\n${piece}\r\n0\r\n\r\n`, 'latin1')
    const end = reader.read(bytes, 3, 3 + piece.length, {
      onData: (all, start, stop) => {
        expect(stop).toBeGreaterThan(start)
        data += all.toString('latin1', start, stop)
      },
    })
    if (reader.state === 'reading') expect(end).toBe(3 + piece.length)
    used += end - 3
  }
  const { state, fault, trailers } = reader
  return { data, state, fault, trailers, used }
}

const readWhole = (text: string): Reading => readIn(text, [text.length])

describe('bodies in chunks', () => {
  const rows: { name: string; text: string; data: string; trailers?: string[] }[] = [
    { name: 'nothing', text: '0\r\n\r\n', data: '' },
    { name: 'a chunk', text: '3\r\nabc\r\n0\r\n\r\n', data: 'abc' },
    { name: 'several', text: '1\r\na\r\n2\r\nbc\r\n0\r\n\r\n', data: 'abc' },
    { name: 'data that looks like framing', text: '5\r\n0\r\n\r\n\r\n0\r\n\r\n', data: '0\r\n\r\n' },
    {
      name: 'sizes in either case',
      text: `a\r\n${'x'.repeat(10)}\r\nB\r\n${'y'.repeat(11)}\r\n00\r\n\r\n`,
      data: `${'x'.repeat(10)}${'y'.repeat(11)}`,
    },
    { name: 'leading zeros', text: '0000000000000001\r\na\r\n000\r\n\r\n', data: 'a' },
    { name: 'extensions, which are dropped', text: '1;a=b;c="d e"\r\nx\r\n0;\xe9\r\n\r\n', data: 'x' },
    { name: 'extensions at their limit', text: `1;${'a'.repeat(9)}\r\nx\r\n0;${'b'.repeat(9)}\r\n\r\n`, data: 'x' },
    { name: 'trailers', text: '0\r\nX-Sum: 1 \r\nx:\r\n\r\n', data: '', trailers: ['X-Sum', '1', 'x', ''] },
    {
      name: 'trailers at their limit',
      text: `0\r\nA: b\r\nA: b\r\nA: ${'x'.repeat(43)}\r\n\r\n`,
      data: '',
      trailers: ['A', 'b', 'A', 'b', 'A', 'x'.repeat(43)],
    },
  ]
  for (const { name, text, data, trailers = [] } of rows) {
    it(`${name}: read to the end, and no further`, () => {
      expect(readWhole(`${text}GET /next`)).toEqual({ data, state: 'done', fault: '', trailers, used: text.length })
    })
  }

  it('a size may be as large as a number can be exact', () => {
    expect(readWhole('1fffffffffffff\r\nabc')).toMatchObject({ data: 'abc', state: 'reading' })
    expect(readWhole('20000000000000\r\nabc')).toMatchObject({ data: '', state: 'malformed' })
  })

  it('nothing is read behind the end, nor behind a fault', () => {
    for (const text of ['0\r\n\r\n', 'x']) {
      const reader = new ChunkedReader(limits)
      reader.read(Buffer.from(text), 0, text.length, { onData: () => {} })
      const { state } = reader
      expect(reader.read(Buffer.from('1\r\na'), 1, 4, { onData: () => expect.fail() })).toBe(1)
      expect(reader.state).toBe(state)
    }
  })
})

describe('bodies that could be read in two ways', () => {
  /** `good`: how much of it may be right. */
  const rows: { name: string; text: string; data?: string }[] = [
    ...['+3', '-3', '0x3', ' 3', '3 ', '3\t', '1_0', '', 'g', '3,', '3=', '3\0', ':', '\xb3', '"3"'].map((size) => ({
      name: `a size of ${JSON.stringify(size)}`,
      text: `${size}\r\nabc\r\n0\r\n\r\n`,
    })),
    { name: 'a size that overflows', text: '10000000000000003\r\nabc\r\n0\r\n\r\n' },
    { name: 'a size with more digits than a number has', text: '00000000000000003\r\nabc\r\n0\r\n\r\n' },
    { name: 'a size that is not exact', text: 'ffffffffffffffff\r\nabc\r\n0\r\n\r\n' },
    { name: 'a blank before an extension', text: '3 ;a\r\nabc\r\n0\r\n\r\n' },
    { name: 'data without its line end', text: '3\r\nabc0\r\n\r\n', data: 'abc' },
    { name: 'data longer than its size', text: '3\r\nabcdef\r\n0\r\n\r\n', data: 'abc' },
    { name: 'data that ends with a bare LF', text: '3\r\nabc\n0\r\n\r\n', data: 'abc' },
    { name: 'data that ends with a bare CR', text: '3\r\nabc\r0\r\n\r\n', data: 'abc' },
    { name: 'a bare LF behind the size', text: '3\nabc\r\n0\r\n\r\n' },
    { name: 'a bare CR behind the size', text: '3\rabc\r\n0\r\n\r\n' },
    ...['\n', '\r', '\0', '\t', '\x1f', '\x7f', '\r\r'].map((control) => ({
      name: `${JSON.stringify(control)} in an extension`,
      text: `3;a${control}b\r\nabc\r\n0\r\n\r\n`,
    })),
    { name: 'an extension that is too long', text: `3;${'a'.repeat(20)}\r\nabc\r\n0\r\n\r\n` },
    {
      name: 'extensions that are too long together',
      text: `1;${'a'.repeat(9)}\r\nx\r\n0;${'b'.repeat(10)}\r\n\r\n`,
      data: 'x',
    },
    { name: 'a bare LF at the end', text: '0\r\n\n' },
    { name: 'a bare CR at the end', text: '0\r\n\rA: b\r\n\r\n' },
    { name: 'bare LFs at the end', text: '0\n\n' },
    { name: 'a folded trailer', text: '0\r\nA: b\r\n c\r\n\r\n' },
    { name: 'a trailer without a colon', text: '0\r\nnonsense\r\n\r\n' },
    { name: 'a trailer without a name', text: '0\r\n: b\r\n\r\n' },
    { name: 'a space before the colon of a trailer', text: '0\r\nA : b\r\n\r\n' },
    { name: 'a bare LF in a trailer', text: '0\r\nA: b\nC: d\r\n\r\n' },
    { name: 'a bare CR in a trailer', text: '0\r\nA: b\rC: d\r\n\r\n' },
    { name: 'a NUL in a trailer', text: '0\r\nA: \0\r\n\r\n' },
    { name: 'too many trailers', text: '0\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n\r\n' },
    { name: 'trailers that are too long', text: `0\r\nA: b\r\nA: b\r\nA: ${'x'.repeat(46)}\r\n\r\n` },
    { name: 'trailers that are too long by their line end', text: `0\r\nA: ${'x'.repeat(56)}\r\n\r\n` },
    { name: 'a trailer that never ends', text: `0\r\n${'x'.repeat(61)}` },
  ]
  for (const { name, text, data = '' } of rows) {
    it(`${name}: malformed, in one piece and byte by byte`, () => {
      const whole = readWhole(text)
      expect(whole).toMatchObject({ data, state: 'malformed', fault: expect.stringMatching(/^[A-Z]/) })
      expect(readIn(text, [1])).toEqual(whole)
    })
  }
})

describe('whatever the bytes', () => {
  const piece = fc.constantFrom(
    ...['0', '1', '3', 'a', '\r\n', '\r\n', '\r\n', '\r', '\n', 'abc', ';', ';x=y', 'A: b', 'A', ':', ' ', '\0', '-'],
  )
  const chunk = fc
    .record({ data: fc.string({ minLength: 1, maxLength: 20 }), extension: fc.constantFrom('', ';a') })
    .map(({ data, extension }) => ({ data, text: `${data.length.toString(16)}${extension}\r\n${data}\r\n` }))
  const good = fc
    .record({ chunks: fc.array(chunk, { maxLength: 5 }), trailers: fc.constantFrom('', 'A: b\r\n', 'A: b\r\nC:\r\n') })
    .map(({ chunks, trailers }) => ({
      data: chunks.map(({ data }) => data).join(''),
      text: `${chunks.map(({ text }) => text).join('')}0\r\n${trailers}\r\n`,
    }))
  const odd = fc.oneof(
    fc.array(piece, { maxLength: 20 }).map((list) => list.join('')),
    fc.tuple(good, fc.nat(100), piece).map(([{ text }, at, put]) => text.slice(0, at) + put + text.slice(at)),
  )
  const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 })

  it('what is written in chunks is what is read', () => {
    fc.assert(
      fc.property(good, lengths, ({ data, text }, split) => {
        expect(readIn(text, split)).toMatchObject({ data, state: 'done', used: text.length })
      }),
    )
  })

  it('however it is split, it is read the same', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          odd,
          good.map(({ text }) => text),
        ),
        lengths,
        (text, split) => {
          expect(readIn(text, split)).toEqual(readWhole(text))
        },
      ),
      { numRuns: 3_000 },
    )
  })

  it('nothing is thrown, and what is done stays done whatever follows', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const text = Buffer.from(bytes).toString('latin1')
        const first = readWhole(text)
        if (first.state !== 'reading') expect(readWhole(`${text}0\r\n\r\n`)).toEqual(first)
      }),
    )
  })
})
