import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  faultOfPartialResponseHead,
  type ResponseHead,
  readResponseHead,
  responseLimits,
} from '../../../src/proxy/engines/wire/response-head.ts'
import { bytes, fields, mutated, prefixesOf } from './head-arbitraries.ts'

const head = (lines: readonly string[], start = 'HTTP/1.1 200 OK'): string =>
  [start, ...lines].map((line) => `${line}\r\n`).join('')

const read = (text: string): ResponseHead => {
  const result = readResponseHead(text)
  if (result.kind === 'malformed') throw new Error(result.detail)
  return result
}

describe('what a response head says', () => {
  it('is its status, reason, version and fields, in the order and case of the wire', () => {
    expect(
      read(
        head(
          ['set-cookie:a', 'Set-Cookie: \tb ', 'X-\xe9'.slice(0, 2).concat('Y: \xe9')],
          'HTTP/1.1 404 Not\tF\xf6und',
        ),
      ),
    ).toEqual({
      kind: 'response',
      status: 404,
      reason: 'Not\tF\xf6und',
      version: '1.1',
      rawHeaders: ['set-cookie', 'a', 'Set-Cookie', 'b', 'X-Y', '\xe9'],
      contentLength: -1,
      chunked: false,
      keepAlive: true,
      upgrade: null,
    })
  })

  const rows: { name: string; text: string; says: Partial<ResponseHead> }[] = [
    { name: 'no reason', text: head([], 'HTTP/1.1 200 '), says: { status: 200, reason: '' } },
    { name: 'no reason, and no space for it', text: head([], 'HTTP/1.1 200'), says: { status: 200, reason: '' } },
    { name: 'a reason with spaces around it', text: head([], 'HTTP/1.1 200  a '), says: { reason: ' a ' } },
    { name: 'a status that nobody knows', text: head([], 'HTTP/1.1 599 x'), says: { status: 599 } },
    { name: 'an interim status', text: head([], 'HTTP/1.1 100 Continue'), says: { status: 100 } },
    { name: 'a switch', text: head(['Upgrade: WebSocket'], 'HTTP/1.1 101 x'), says: { upgrade: 'WebSocket' } },
    { name: 'a length', text: head(['content-length: 12']), says: { contentLength: 12 } },
    { name: 'a length of zero', text: head(['Content-Length: 0']), says: { contentLength: 0 } },
    { name: 'chunks', text: head(['transfer-encoding: CHUNKED']), says: { chunked: true, contentLength: -1 } },
    { name: 'close', text: head(['Connection: Close']), says: { keepAlive: false } },
    { name: '1.0', text: head([], 'HTTP/1.0 200 OK'), says: { version: '1.0', keepAlive: false } },
    {
      name: '1.0 and keep-alive',
      text: head(['Connection: keep-alive'], 'HTTP/1.0 200 OK'),
      says: { keepAlive: true },
    },
    { name: 'an expectation, which means nothing here', text: head(['Expect: x']), says: { status: 200 } },
    { name: 'as many fields as may be', text: head(new Array(responseLimits.headerCount).fill('A: b')), says: {} },
    { name: 'as long as it may be', text: head([`A:${'x'.repeat(responseLimits.headBytes - 21)}`]), says: {} },
  ]
  for (const { name, text, says } of rows) it(name, () => expect(read(text)).toMatchObject(says))
})

describe('response heads that are malformed', () => {
  const rows: { name: string; text: string; early?: boolean }[] = [
    ...['HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/1.1x', 'http/1.1', 'HTTP/1', 'ICY', 'HTTP/1.10', '', ' HTTP/1.1'].map(
      (version) => ({ name: `a version of "${version}"`, text: head([], `${version} 200 OK`) }),
    ),
    ...['20', '2000', '099', '600', '999', '2x0', '-20', '+20', '', ' 200', '20\xb2'].map((status) => ({
      name: `a status of "${status}"`,
      text: head([], `HTTP/1.1 ${status} OK`),
    })),
    { name: 'a tab behind the version', text: head([], 'HTTP/1.1\t200 OK') },
    { name: 'a tab behind the status', text: head([], 'HTTP/1.1 200\tOK') },
    ...['\0', '\x01', '\v', '\x7f', '\r', '\n'].flatMap((control) => [
      { name: `${JSON.stringify(control)} in the reason`, text: head([], `HTTP/1.1 200 O${control}K`) },
      { name: `${JSON.stringify(control)} behind the status`, text: head([], `HTTP/1.1 200${control}OK`) },
      { name: `${JSON.stringify(control)} in a value`, text: head([`A: b${control}c`]) },
      { name: `${JSON.stringify(control)} in a name`, text: head([`A${control}: c`]) },
    ]),
    { name: 'two equal Content-Lengths', text: head(['Content-Length: 3', 'Content-Length: 3']) },
    ...['+3', '3,3', '3, 3', '', '0x3', '-1', '010', '1000000000000000'].map((value) => ({
      name: `a Content-Length of "${value}"`,
      text: head([`Content-Length: ${value}`]),
    })),
    { name: 'both framings', text: head(['Content-Length: 3', 'Transfer-Encoding: chunked']) },
    { name: 'both framings, the other way round', text: head(['Transfer-Encoding: chunked', 'Content-Length: 3']) },
    ...['gzip', 'gzip, chunked', 'identity', '', 'chunked, chunked'].map((value) => ({
      name: `a Transfer-Encoding of "${value}"`,
      text: head([`Transfer-Encoding: ${value}`]),
    })),
    { name: 'two Transfer-Encodings', text: head(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']) },
    { name: 'chunks in HTTP/1.0', text: head(['Transfer-Encoding: chunked'], 'HTTP/1.0 200 OK') },
    { name: 'a space before the colon', text: head(['Content-Length : 3']) },
    { name: 'a folded line', text: head(['A: b', ' c']) },
    { name: 'a line without a colon', text: head(['A']) },
    { name: 'a line without a name', text: head([': b']) },
    { name: 'an empty line inside', text: head(['', 'A: b']) },
    { name: 'too many fields', text: head(new Array(responseLimits.headerCount + 1).fill('A: b')) },
    { name: 'a head that is too long', text: head([`A:${'x'.repeat(responseLimits.headBytes - 20)}`]) },
    { name: 'a head that is far too long', text: head([`A:${'x'.repeat(responseLimits.headBytes)}`]) },
    { name: 'a line that does not end', text: 'HTTP/1.1 200 OK\r\nA: b', early: false },
    { name: 'a status line that does not end', text: 'HTTP/1.1 200 OK\r', early: false },
    { name: 'nothing', text: '', early: false },
  ]
  for (const { name, text, early = true } of rows) {
    it(`${name}${early ? ', whatever comes next' : ''}`, () => {
      const detail = expect.stringMatching(/^[A-Z].*[^.]$/)
      expect(readResponseHead(text)).toEqual({ kind: 'malformed', detail })
      expect(faultOfPartialResponseHead(text)).toEqual(early ? { kind: 'malformed', detail } : null)
    })
  }

  it('half of the empty line that ends a head does not make it too long', () => {
    const text = head([`A:${'x'.repeat(responseLimits.headBytes - 21)}`])
    expect(faultOfPartialResponseHead(`${text}\r`)).toBeNull()
    expect(faultOfPartialResponseHead(`${text}x`)?.kind).toBe('malformed')
  })
})

describe('whatever the bytes', () => {
  const valid = fc
    .record({
      status: fc.integer({ min: 100, max: 599 }),
      reason: fc.constantFrom('', 'OK', 'Not Found', '\xe9'),
      minor: fc.constantFrom('0', '1'),
      fields,
    })
    .map((parts) => ({
      ...parts,
      text: head(
        parts.fields.map((pair) => pair.join(': ')),
        `HTTP/1.${parts.minor} ${parts.status} ${parts.reason}`,
      ),
    }))

  it('what is written is what is read', () => {
    fc.assert(
      fc.property(valid, ({ status, reason, minor, fields, text }) => {
        const rawHeaders = fields.flat()
        expect(read(text)).toMatchObject({ status, reason, version: `1.${minor}`, rawHeaders })
      }),
    )
  })

  it('nothing is thrown, no beginning of a head that is read is a fault, and a fault stays one', () => {
    const texts = fc.oneof(
      bytes,
      valid.chain(({ text }) => fc.oneof(fc.constant(text), mutated(text))),
    )
    fc.assert(
      fc.property(texts, (text) => {
        const whole = readResponseHead(text)
        for (const part of prefixesOf(text)) {
          const fault = faultOfPartialResponseHead(part)
          if (fault === null) continue
          expect(whole.kind, `${JSON.stringify(part)}: ${fault.detail}`).toBe('malformed')
          break
        }
      }),
      { numRuns: 1_000 },
    )
  })
})
