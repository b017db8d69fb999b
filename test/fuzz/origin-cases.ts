/** What a hostile origin answers: valid responses of many shapes, mutated, in pieces, and how it goes away. */

import fc from 'fast-check'
import { cut, cuts, mutate, mutationsWith } from './bytes.ts'

/** A valid request, and what its reader must know of it. */
export interface Question {
  readonly bytes: string
  readonly method: string
  readonly switching: boolean
  /** May be sent twice: an endpoint that closes a kept connection just then is nobody's fault. */
  readonly replayable: boolean
}

export interface OriginCase {
  readonly question: Question
  /** When the origin begins to answer: as soon as it has a connection, the head of the request, or all of it. */
  readonly trigger: 'connection' | 'head' | 'request'
  readonly pieces: readonly string[]
  /** Sent when nothing happens any more. */
  readonly late: readonly string[]
  /** What happens behind the last piece: at once; or late; or nothing until a deadline; or the client loses patience. */
  readonly ending: 'end' | 'reset' | 'late end' | 'late reset' | 'stall' | 'client leaves'
  /** The connection has served a request before. */
  readonly warm: boolean
  /** A good request behind it all, which must get a good answer. */
  readonly second: 'none' | 'pipelined' | 'same client' | 'another client'
  readonly upstream: { readonly keepAlive: boolean; readonly close: 'fin' | 'rst' }
}

function question(line: string, fields: readonly string[] = [], body = ''): Question {
  const method = line.split(' ')[0] as string
  return {
    bytes: [`${line}`, 'Host: example.test', ...fields, '', body].join('\r\n'),
    method,
    switching: fields.includes('Upgrade: websocket'),
    replayable: ['GET', 'HEAD', 'OPTIONS', 'DELETE'].includes(method) && body === '',
  }
}

const get = question('GET /s/hostile HTTP/1.1')
const questions = fc.oneof(
  { arbitrary: fc.constant(get), weight: 4 },
  {
    arbitrary: fc.constantFrom(
      question('HEAD /s/hostile HTTP/1.1'),
      question('DELETE /s/hostile HTTP/1.1'),
      question('POST /s/hostile HTTP/1.1', ['Content-Length: 3'], 'abc'),
      question('POST /s/hostile HTTP/1.1', ['Transfer-Encoding: chunked'], '3\r\nabc\r\n0\r\n\r\n'),
      question('PUT /s/hostile HTTP/1.1', ['Content-Length: 200000'], 'y'.repeat(200_000)),
      question('POST /s/hostile HTTP/1.1', ['Expect: 100-continue', 'Content-Length: 3'], 'abc'),
      question('GET /s/hostile HTTP/1.0'),
      question('GET /s/hostile HTTP/1.0', ['Connection: keep-alive']),
      question('HEAD /s/hostile HTTP/1.0', ['Connection: keep-alive']),
      question('GET /s/hostile HTTP/1.1', ['Connection: close']),
      question('GET /s/hostile HTTP/1.1', ['Connection: Upgrade', 'Upgrade: websocket']),
    ),
    weight: 6,
  },
)

const interim = fc.constantFrom(
  ...['HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 102 Processing\r\n\r\n', 'HTTP/1.1 199 Odd\r\nX-A: 1\r\n\r\n'],
  ...['HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n'],
  ...['HTTP/1.0 100 Continue\r\n\r\n', 'HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n'],
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
)
const interims = fc.oneof(
  { arbitrary: fc.constant(''), weight: 8 },
  { arbitrary: fc.array(interim, { minLength: 1, maxLength: 3 }).map((all) => all.join('')), weight: 3 },
  { arbitrary: interim.map((one) => one.repeat(300)), weight: 1 },
)
const start = fc.oneof(
  { arbitrary: fc.constant('HTTP/1.1 200 OK'), weight: 12 },
  {
    arbitrary: fc.constantFrom(
      ...['HTTP/1.1 204 No Content', 'HTTP/1.1 304 Not Modified', 'HTTP/1.1 404 Not Found', 'HTTP/1.1 500 Oops'],
      ...['HTTP/1.0 200 OK', 'HTTP/1.1 205 Reset', 'HTTP/1.1 206 Part', 'HTTP/1.1 418 \xe9', 'HTTP/1.1 200 '],
    ),
    weight: 5,
  },
  {
    arbitrary: fc.constantFrom(
      ...[
        'HTTP/1.1 101 Switching Protocols',
        'HTTP/1.1 600 Odd',
        'HTTP/1.1 999 Odd',
        'HTTP/1.1 000 Odd',
        'HTTP/1.1 200',
      ],
      ...['HTTP/1.1 099 Odd', 'HTTP/1.1 20 OK', 'HTTP/1.1 2000 OK', 'HTTP/2.0 200 OK', 'HTTP/1.2 200 OK', 'ICY 200 OK'],
      ...['http/1.1 200 OK', 'HTTP/1.1  200 OK', 'HTTP/1.1\t200 OK', '', 'GET / HTTP/1.1', 'HTTP/1.1 -20 OK'],
    ),
    weight: 1,
  },
)
const ordinary = [
  ...['X-A: 1', 'x-a: 2', 'X-A:', 'X-B:\t v \t', 'X-High: \xe9\xff', 'Set-Cookie: a=1', 'set-cookie: b=2', 'ETag: "x"'],
  ...['Connection: close', 'Connection: keep-alive', 'Connection: x-a', 'Keep-Alive: timeout=5', 'Trailer: X-T'],
  ...['Date: Thu, 01 Jan 2026 00:00:00 GMT', 'X-Request-Id: other', 'Via: 1.1 before', 'Upgrade: h2', 'Server: x'],
]
const huge = [`X-Huge: ${'y'.repeat(20_000)}`, ...['X-Many: y\r\n'.repeat(150).slice(0, -2)]]
const framing = [
  ...['Transfer-Encoding: chunked', 'transfer-encoding:CHUNKED', 'Transfer-Encoding : chunked', 'Transfer-Encoding'],
  ...['Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: identity', 'Transfer-Encoding: \vchunked', ' chunked'],
  ...['Content-Length: 3', 'content-length:0', 'Content-Length: +3', 'Content-Length: 3, 3', 'Content-Length: 0x3'],
  ...['Content-Length: 003', 'Content-Length: 99999999999999999999', 'Content-Length:', 'X: y\rContent-Length: 3'],
  ...['Connection: Upgrade', 'Upgrade: websocket', 'X: y\nContent-Length: 3', '\tfolded', '', 'HTTP/1.1 200 OK'],
  ...['Connection: content-length', 'Connection: transfer-encoding', 'X: a\0b', 'X: \x01', 'no colon', ': empty'],
]
const content = fc.constantFrom(
  'abc',
  '',
  'x',
  'HTTP/1.1 200 OK\r\n\r\n',
  '\r\n',
  '0\r\n\r\n',
  '\0\xff',
  'z'.repeat(90_000),
)
const size = fc.constantFrom(
  (bytes: number) => bytes.toString(16),
  (bytes: number) => bytes.toString(16).toUpperCase(),
  (bytes: number) => `00${bytes.toString(16)}`,
)
const extension = fc.oneof(
  { arbitrary: fc.constant(''), weight: 6 },
  { arbitrary: fc.constantFrom(';a', ';a=b', ';a="b;c"', ' ; a = b', `;${'x'.repeat(1_200)}`, ';\x01'), weight: 1 },
)
const trailers = fc.constantFrom(
  '',
  '',
  '',
  'X-T: 1\r\n',
  'Content-Length: 3\r\n',
  'Set-Cookie: t=1\r\n',
  'X T: 1\r\n',
  ' x\r\n',
)
const body = fc.oneof(
  { arbitrary: content.map((bytes) => ({ lines: [`Content-Length: ${bytes.length}`], bytes })), weight: 4 },
  { arbitrary: content.map((bytes) => ({ lines: [], bytes })), weight: 2 },
  {
    arbitrary: fc
      .record({ chunks: fc.array(fc.tuple(content, size, extension), { maxLength: 3 }), extension, trailers })
      .map(({ chunks, extension, trailers }) => {
        const data = chunks
          .filter(([bytes]) => bytes !== '')
          .map(([bytes, hex, extra]) => `${hex(bytes.length)}${extra}\r\n${bytes}\r\n`)
        return { lines: ['Transfer-Encoding: chunked'], bytes: `${data.join('')}0${extension}\r\n${trailers}\r\n` }
      }),
    weight: 4,
  },
)
const fields = fc.oneof(
  { arbitrary: fc.array(fc.constantFrom(...ordinary), { maxLength: 3 }), weight: 20 },
  { arbitrary: fc.constantFrom(...huge).map((line) => [line]), weight: 1 },
)
const extra = fc.oneof(
  { arbitrary: fc.constant(''), weight: 4 },
  {
    arbitrary: fc.constantFrom('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison', '\r\n', 'x', '0\r\n\r\n'),
    weight: 2,
  },
)
const bytes = fc
  .record({ interims, start, fields, body, mutations: mutationsWith([...framing, ...ordinary], 4), extra })
  .map(({ interims, start, fields, body, mutations, extra }) => {
    const message = [start, ...fields, ...body.lines, '', body.bytes].join('\r\n')
    return mutate(interims + message, mutations) + extra
  })

export const originCase: fc.Arbitrary<OriginCase> = fc
  .record({
    question: questions,
    trigger: fc.oneof(
      { arbitrary: fc.constant('request' as const), weight: 6 },
      { arbitrary: fc.constantFrom('head' as const, 'connection' as const), weight: 2 },
    ),
    bytes,
    cuts,
    lateShare: fc.oneof({ arbitrary: fc.constant(1_000), weight: 5 }, { arbitrary: fc.nat(1_000), weight: 1 }),
    ending: fc.oneof(
      { arbitrary: fc.constantFrom('end' as const, 'late end' as const), weight: 12 },
      { arbitrary: fc.constantFrom('reset' as const, 'late reset' as const, 'client leaves' as const), weight: 8 },
      { arbitrary: fc.constant('stall' as const), weight: 1 },
    ),
    warm: fc.boolean(),
    second: fc.constantFrom('none', 'pipelined', 'same client', 'another client'),
    upstream: fc.record({
      keepAlive: fc.boolean(),
      close: fc.oneof(
        { arbitrary: fc.constant('rst' as const), weight: 9 },
        { arbitrary: fc.constant('fin' as const), weight: 1 },
      ),
    }),
  })
  .map(({ bytes, cuts: where, lateShare, second: wanted, warm, trigger, ...rest }) => {
    // Behind a switch of protocols there is no second request.
    const second = wanted === 'pipelined' && rest.question.switching ? 'none' : wanted
    const lateFrom = Math.round((bytes.length * lateShare) / 1_000)
    // Behind a whole answer in the same write, a proxy can know that bytes are left over; in a later one it cannot.
    const atOnce = second === 'pipelined'
    return {
      ...rest,
      second,
      pieces: atOnce ? [bytes] : cut(bytes.slice(0, lateFrom), where),
      late: atOnce ? [] : [bytes.slice(lateFrom)].filter((piece) => piece !== ''),
      warm: warm && rest.upstream.keepAlive,
      trigger: warm && rest.upstream.keepAlive && trigger === 'connection' ? 'request' : trigger,
    }
  })
