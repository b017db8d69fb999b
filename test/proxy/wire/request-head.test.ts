import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type HeadLimits,
  type RequestHead,
  readRequestHead,
  refusalOfPartialHead,
} from '../../../src/proxy/engines/wire/request-head.ts'
import { bytes, fields, mutated, prefixesOf } from './head-arbitraries.ts'

const limits: HeadLimits = { targetBytes: 40, headerBytes: 120, headerCount: 5 }

const head = (lines: readonly string[], start = 'POST /s/ HTTP/1.1'): string =>
  [start, 'Host: a', ...lines].map((line) => `${line}\r\n`).join('')

const read = (text: string): RequestHead => {
  const result = readRequestHead(text, limits)
  if (result.kind === 'refused') throw new Error(result.detail)
  return result
}

describe('what a request head says', () => {
  it('is its method, target, version and fields, in the order and case of the wire', () => {
    expect(read('PATCH /s/a?b HTTP/1.1\r\nhost:a\r\nX-Custom:  b c\t \r\nHOST: \r\nx-cUSTOM: \xe9\r\n')).toEqual({
      kind: 'request',
      method: 'PATCH',
      target: '/s/a?b',
      version: '1.1',
      rawHeaders: ['host', 'a', 'X-Custom', 'b c', 'HOST', '', 'x-cUSTOM', '\xe9'],
      contentLength: 0,
      chunked: false,
      keepAlive: true,
      expectsContinue: false,
      upgrade: null,
    })
  })

  const rows: { name: string; text: string; says: Partial<RequestHead> }[] = [
    { name: 'a head without fields', text: 'GET / HTTP/1.1\r\n', says: { rawHeaders: [] } },
    { name: 'a method of its own', text: head([], 'query /s/ HTTP/1.1'), says: { method: 'query' } },
    { name: 'a method at its limit', text: head([], `${'M'.repeat(32)} / HTTP/1.1`), says: { method: 'M'.repeat(32) } },
    { name: 'OPTIONS *', text: head([], 'OPTIONS * HTTP/1.1'), says: { method: 'OPTIONS', target: '*' } },
    { name: 'CONNECT, which others refuse', text: head([], 'CONNECT a:1 HTTP/1.1'), says: { target: 'a:1' } },
    { name: 'an absolute target', text: head([], 'GET http://a/s HTTP/1.1'), says: { target: 'http://a/s' } },
    { name: 'no body', text: head(['Content-Length: 0']), says: { contentLength: 0, chunked: false } },
    { name: 'a body of known length', text: head(['content-length: 12']), says: { contentLength: 12 } },
    {
      name: 'a length of 15 digits',
      text: head(['Content-Length: 123456789012345']),
      says: { contentLength: 123_456_789_012_345 },
    },
    { name: 'a body in chunks', text: head(['TRANSFER-encoding: Chunked']), says: { chunked: true, contentLength: 0 } },
    { name: '1.1 and close', text: head(['Connection: close']), says: { keepAlive: false } },
    { name: '1.1 and close in a list', text: head(['Connection: x, CLOSE ,y']), says: { keepAlive: false } },
    {
      name: '1.1 and close on a second line',
      text: head(['Connection: keep-alive', 'connection: close']),
      says: { keepAlive: false },
    },
    { name: '1.1 and an option that is no close', text: head(['Connection: closed']), says: { keepAlive: true } },
    { name: '1.0', text: head([], 'GET / HTTP/1.0'), says: { version: '1.0', keepAlive: false } },
    {
      name: '1.0 and keep-alive',
      text: head(['Connection: Keep-Alive'], 'GET / HTTP/1.0'),
      says: { keepAlive: true },
    },
    {
      name: '1.0, keep-alive and close',
      text: head(['Connection: keep-alive, close'], 'GET / HTTP/1.0'),
      says: { keepAlive: false },
    },
    {
      name: 'a client that waits with its body',
      text: head(['Expect: 100-Continue', 'Content-Length: 1']),
      says: { expectsContinue: true },
    },
    {
      name: 'a client that waits with its chunks',
      text: head(['Expect: 100-continue', 'Transfer-Encoding: chunked']),
      says: { expectsContinue: true },
    },
    {
      name: 'a client that waits with a body that it has not',
      text: head(['Expect: 100-continue', 'Content-Length: 0']),
      says: { expectsContinue: false },
    },
    {
      name: 'an expectation of HTTP/1.0, where there are none',
      text: head(['Expect: 100-continue', 'Content-Length: 1'], 'POST / HTTP/1.0'),
      says: { expectsContinue: false },
    },
    {
      name: 'an unknown expectation of HTTP/1.0',
      text: head(['Expect: x'], 'GET / HTTP/1.0'),
      says: { version: '1.0' },
    },
    {
      name: 'a switch of protocols',
      text: head(['Connection: keep-alive, UPGRADE', 'Upgrade: WebSocket']),
      says: { upgrade: 'websocket' },
    },
    { name: 'an Upgrade that Connection does not name', text: head(['Upgrade: websocket']), says: { upgrade: null } },
    { name: 'a Connection that names no Upgrade', text: head(['Connection: upgrade']), says: { upgrade: null } },
    {
      name: 'a switch in HTTP/1.0',
      text: head(['Connection: upgrade', 'Upgrade: websocket'], 'GET / HTTP/1.0'),
      says: { upgrade: null },
    },
    ...['h2c', 'H2C', 'websocket, h2c'].map((protocol) => ({
      name: `a switch to ${protocol}`,
      text: head(['Connection: upgrade', `Upgrade: ${protocol}`]),
      says: { upgrade: null },
    })),
    {
      name: 'a switch to h2c on a second line',
      text: head(['Connection: upgrade', 'Upgrade: a', 'Upgrade: h2c']),
      says: { upgrade: null },
    },
    { name: 'as many fields as may be', text: head(['A: 1', 'A: 1', 'A: 1', 'A: 1']), says: {} },
    { name: 'fields as long as they may be', text: head([`A:${'x'.repeat(107)}`]), says: {} },
    { name: 'a target as long as it may be', text: head([], `GET /${'x'.repeat(39)} HTTP/1.1`), says: {} },
    { name: 'names that only look like framing', text: head(['Content_Length: x', 'Transfer_Encoding: x']), says: {} },
  ]
  for (const { name, text, says } of rows) {
    it(name, () => expect(read(text)).toMatchObject(says))
  }
})

describe('a head of any length', () => {
  it('is read, and leaves nothing behind for the next one', () => {
    const wide = { targetBytes: 200_000, headerBytes: 200_000, headerCount: 3 }
    for (const length of [65_000, 65_536, 150_000]) {
      const text = head([`A: ${'x'.repeat(length)}`], `GET /${'y'.repeat(length)} HTTP/1.1`)
      const whole = readRequestHead(text, wide)
      expect(whole).toMatchObject({ kind: 'request', rawHeaders: ['Host', 'a', 'A', 'x'.repeat(length)] })
      expect(readRequestHead(text.slice(0, -2), wide).kind).toBe('refused')
      expect(readRequestHead('GET / HTTP/1.1\r\nA: x', wide).kind).toBe('refused')
    }
  })
})

describe('heads that are refused', () => {
  /** `early`: it is refused as soon as this much has come. */
  const rows: { name: string; text: string; status?: number; early?: string | null }[] = [
    { name: 'both framings', text: head(['Transfer-Encoding: chunked', 'Content-Length: 1']) },
    { name: 'both framings, the other way round', text: head(['Content-Length: 0', 'Transfer-Encoding: chunked']) },
    { name: 'two equal Content-Lengths', text: head(['Content-Length: 3', 'content-length: 3']) },
    ...[
      '+3',
      '-3',
      '3,3',
      '3 3',
      '0x3',
      '1e3',
      '3.0',
      '',
      '"3"',
      '3;',
      '\xb3',
      '1000000000000000',
      '010',
      '00',
      '08',
    ].map((value) => ({
      name: `a Content-Length of "${value}"`,
      text: head([`Content-Length: ${value}`]),
    })),
    ...[
      'gzip',
      'identity',
      'gzip, chunked',
      'chunked, chunked',
      'chunked,',
      'xchunked',
      '"chunked"',
      '',
      'chunked;',
    ].map((value) => ({ name: `a Transfer-Encoding of "${value}"`, text: head([`Transfer-Encoding: ${value}`]) })),
    { name: 'two Transfer-Encodings', text: head(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']) },
    { name: 'chunks in HTTP/1.0', text: head(['Transfer-Encoding: chunked'], 'POST / HTTP/1.0') },
    { name: 'a space before the colon', text: head(['Content-Length : 3']) },
    { name: 'a tab before the colon', text: head(['Content-Length\t: 3']) },
    { name: 'a folded line', text: head([' b']) },
    { name: 'a line folded with a tab', text: head(['\tb: c']) },
    { name: 'a folded first line', text: 'GET / HTTP/1.1\r\n Host: a\r\n' },
    { name: 'a bare CR in a value', text: head(['A: b\rC: d']) },
    { name: 'a bare CR at the end of a value', text: head(['A: b\r']) },
    { name: 'a bare CR in a name', text: head(['A\rB: c']) },
    { name: 'a bare CR before a name', text: head(['\rB: c']) },
    { name: 'a bare LF behind a value', text: head(['A: b\nC: d']) },
    { name: 'a bare LF in a name', text: head(['A\nB: c']) },
    { name: 'a bare LF before a name', text: head(['\nB: c']) },
    { name: 'a bare LF behind the request line', text: 'GET / HTTP/1.1\nHost: a\r\n' },
    { name: 'bare CRs for line ends', text: 'GET / HTTP/1.1\rHost: a\r\r' },
    ...['\0', '\x01', '\v', '\f', '\x1f', '\x7f'].flatMap((control) => [
      { name: `${JSON.stringify(control)} in a value`, text: head([`A: b${control}c`]) },
      { name: `${JSON.stringify(control)} in a name`, text: head([`A${control}B: c`]) },
      { name: `${JSON.stringify(control)} before a value`, text: head([`A:${control}c`]) },
      { name: `${JSON.stringify(control)} in the target`, text: head([], `GET /s${control} HTTP/1.1`) },
      { name: `${JSON.stringify(control)} in the method`, text: head([], `G${control}T /s HTTP/1.1`) },
    ]),
    ...[...'"(),/;<=>?@[\\]{}\xe9'].flatMap((letter) => [
      { name: `${letter} in a name`, text: head([`A${letter}: c`]) },
      { name: `${letter} in the method`, text: head([], `G${letter} /s HTTP/1.1`) },
    ]),
    { name: 'no name', text: head([': b']) },
    { name: 'no colon', text: head(['Content-Length 3']) },
    { name: 'a space for a name', text: head([' : b']) },
    { name: 'an empty line inside', text: head(['', 'A: b']) },
    { name: 'a line that does not end', text: 'GET / HTTP/1.1\r\nHost: a', early: null },
    { name: 'a line that ends with a CR', text: 'GET / HTTP/1.1\r\nHost: a\r', early: null },
    { name: 'a request line that does not end', text: 'GET / HTTP/1.1', early: null },
    { name: 'nothing', text: '', early: null },
    { name: 'a byte beyond ASCII in the target', text: head([], 'GET /\xe9 HTTP/1.1') },
    { name: 'a fragment', text: head([], 'GET /s#a HTTP/1.1') },
    { name: 'an empty fragment in the query', text: head([], 'GET /s?a# HTTP/1.1') },
    { name: 'a tab in the target', text: head([], 'GET /a\tb HTTP/1.1') },
    { name: 'a space in the target', text: head([], 'GET /a b HTTP/1.1') },
    { name: 'GET *', text: head([], 'GET * HTTP/1.1') },
    { name: 'two spaces behind the method', text: head([], 'GET  / HTTP/1.1') },
    { name: 'two spaces behind the target', text: head([], 'GET /  HTTP/1.1') },
    { name: 'a space in front', text: head([], ' GET / HTTP/1.1') },
    { name: 'a space behind', text: head([], 'GET / HTTP/1.1 ') },
    { name: 'tabs for spaces', text: head([], 'GET\t/\tHTTP/1.1') },
    { name: 'no target', text: head([], 'GET HTTP/1.1'), status: 505 },
    { name: 'an empty target', text: head([], 'GET ') },
    { name: 'only a method', text: head([], 'GET') },
    { name: 'an empty line in front', text: '\r\nGET / HTTP/1.1\r\n' },
    { name: 'a response', text: 'HTTP/1.1 200 OK\r\n' },
    { name: 'a TLS handshake', text: '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03', early: '\x16' },
    { name: 'no version, as in HTTP/0.9', text: 'GET /s/\r\n', status: 505 },
    { name: 'a space for a version', text: 'GET /s/ \r\n' },
    ...[
      'HTTP/1.1x',
      'http/1.1',
      'HTTP/1',
      'HTTP/1.',
      'HTTP/11',
      'HTTP/1.10',
      'HTTP/01.1',
      'HTTP 1.1',
      'XTTP/1.1',
      'H',
    ].map((version) => ({ name: `a version of "${version}"`, text: head([], `GET / ${version}`) })),
    ...['HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/9.9', 'HTTP/1.9'].map((version) => ({
      name: `version ${version}`,
      text: head([], `GET / ${version}`),
      status: 505,
    })),
    { name: 'the preface of HTTP/2', text: 'PRI * HTTP/2.0\r\n', status: 505 },
    { name: 'an unknown expectation', text: head(['Expect: 200-ok']), status: 417 },
    { name: 'an empty expectation', text: head(['Expect:']), status: 417 },
    { name: 'two expectations', text: head(['Expect: 100-continue, x']), status: 417 },
    { name: 'two expectations on two lines', text: head(['Expect: 100-continue', 'Expect: x']), status: 417 },
    {
      name: 'a method that is too long',
      text: head([], `${'M'.repeat(33)} / HTTP/1.1`),
      early: 'M'.repeat(33),
    },
    {
      name: 'a target that is too long',
      text: head([], `GET /${'x'.repeat(40)} HTTP/1.1`),
      status: 414,
      early: `GET /${'x'.repeat(40)}`,
    },
    { name: 'too many fields', text: head(['A: 1', 'A: 1', 'A: 1', 'A: 1', 'A: 1']), status: 431 },
    { name: 'fields that are too long', text: head([`A:${'x'.repeat(108)}`]), status: 431 },
    {
      name: 'a name that never ends',
      text: head([`A${'x'.repeat(120)}: b`]),
      status: 431,
      early: head([]) + 'x'.repeat(112),
    },
  ]
  for (const { name, text, status = 400, early = text } of rows) {
    it(`${name}: ${status}${early === null ? '' : ', whatever comes next'}`, () => {
      expect(readRequestHead(text, limits)).toMatchObject({ status, detail: expect.stringMatching(/^[A-Z].*\.$/) })
      const refusal = refusalOfPartialHead(early ?? text, limits)
      expect(refusal?.status ?? null).toBe(early === null ? null : status)
    })
  }

  it('half of an empty line may still be followed by a request', () => {
    expect(refusalOfPartialHead('\r', limits)).toBeNull()
  })

  it('half of the empty line that ends a head does not make its fields too long', () => {
    const text = head([`A:${'x'.repeat(107)}`])
    expect(readRequestHead(text, limits).kind).toBe('request')
    expect(refusalOfPartialHead(`${text}\r`, limits)).toBeNull()
    expect(refusalOfPartialHead(`${text}x`, limits)?.status).toBe(431)
  })
})

describe('whatever the bytes', () => {
  const wide: HeadLimits = { targetBytes: 100, headerBytes: 2_000, headerCount: 30 }
  const target = fc.oneof(fc.constantFrom('/', '*', '/s/a?b', 'http://a/'), fc.string({ unit: 'grapheme-ascii' }))
  const valid = fc
    .record({
      method: fc.constantFrom('GET', 'POST', 'get', 'X-Y!'),
      target: target.map((text) => `/${text.replace(/[^!-"$-~]/g, '')}`),
      minor: fc.constantFrom('0', '1'),
      fields,
    })
    .map((parts) => ({
      ...parts,
      text: [`${parts.method} ${parts.target} HTTP/1.${parts.minor}`, ...parts.fields.map((pair) => pair.join(': '))]
        .map((line) => `${line}\r\n`)
        .join(''),
    }))

  it('what is written is what is read', () => {
    fc.assert(
      fc.property(valid, ({ method, target, minor, fields, text }) => {
        expect(readRequestHead(text, wide)).toMatchObject({
          kind: 'request',
          method,
          target,
          version: `1.${minor}`,
          rawHeaders: fields.flat(),
        })
      }),
    )
  })

  it('nothing is thrown, whole or in part', () => {
    const texts = fc.oneof(
      bytes,
      valid.chain(({ text }) => mutated(text)),
    )
    fc.assert(
      fc.property(texts, (text) => {
        expect(readRequestHead(text, limits).kind).toMatch(/^(request|refused)$/)
        refusalOfPartialHead(text, limits)
      }),
      { numRuns: 2_000 },
    )
  })

  it('no beginning of a head that is read is refused, and what is refused early stays so', () => {
    const texts = valid.chain(({ text }) => fc.oneof(fc.constant(text), mutated(text)))
    fc.assert(
      fc.property(texts, (text) => {
        const whole = readRequestHead(text, wide)
        for (const part of prefixesOf(text)) {
          const refusal = refusalOfPartialHead(part, wide)
          if (refusal === null) continue
          expect(whole.kind, `${JSON.stringify(part)}: ${refusal.detail}`).toBe('refused')
          break
        }
      }),
      { numRuns: 1_000 },
    )
  })

  it('what is read has one meaning: written down again, it is read the same', () => {
    const texts = valid.chain(({ text }) => mutated(text))
    fc.assert(
      fc.property(texts, (text) => {
        const first = readRequestHead(text, wide)
        if (first.kind === 'refused') return
        const lines = [`${first.method} ${first.target} HTTP/${first.version}`]
        for (let index = 0; index < first.rawHeaders.length; index += 2) {
          lines.push(`${first.rawHeaders[index]}: ${first.rawHeaders[index + 1]}`)
        }
        expect(readRequestHead(`${lines.join('\r\n')}\r\n`, wide)).toEqual(first)
        expect(lines.join('')).not.toMatch(/[\r\n\0]/)
      }),
      { numRuns: 2_000 },
    )
  })
})
