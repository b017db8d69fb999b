/** What a hostile client sends: valid requests of many shapes, mutated, in pieces, and how it goes away. */

import fc from 'fast-check'
import { cut, cuts, mutate, mutationsWith } from './bytes.ts'

export interface RequestCase {
  /** Written one after the other, each to be read on its own. */
  readonly pieces: readonly string[]
  /**
   * What the client does behind its last piece: waits until nothing happens any more and then ends or resets, or does
   * so at once.
   */
  readonly ending: 'wait, end' | 'wait, reset' | 'end' | 'reset'
  /** What an origin does with a request: answers the whole of it, or its head. */
  readonly origin: 'answers whole requests' | 'answers heads'
  /** It agrees to a switch of protocols. */
  readonly switches: boolean
  readonly upstream: { readonly keepAlive: boolean; readonly close: 'fin' | 'rst' }
}

const smuggled = 'GET /s/hidden HTTP/1.1\r\nHost: example.test\r\n\r\n'

const method = fc.oneof(
  { arbitrary: fc.constantFrom('GET', 'POST'), weight: 6 },
  { arbitrary: fc.constantFrom('HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE'), weight: 4 },
  { arbitrary: fc.constantFrom('get', 'BREW', 'M-SEARCH', 'CONNECT', 'PRI', 'X'), weight: 1 },
)
const target = fc.oneof(
  { arbitrary: fc.constantFrom('/s/', '/s/a?b=c'), weight: 8 },
  {
    arbitrary: fc.constantFrom(
      ...['/s', '/s/%41%2e', '/s/a/../b', '/s/../t', '/other/', '/', '*', '//s/', '/s//', '/s/;x', '/s/?', '/%73/'],
      ...['http://example.test/s/x', 'http://example.test/s', 'http://other.test/s/', 'https://example.test/s/'],
      ...['example.test:80', '/s/#f', '/s/%0d%0a', '/s/a\\b', '/s/"<>{}|', `/s/${'x'.repeat(9_000)}`],
    ),
    weight: 3,
  },
)
const version = fc.oneof(
  { arbitrary: fc.constant('HTTP/1.1'), weight: 24 },
  { arbitrary: fc.constant('HTTP/1.0'), weight: 5 },
  { arbitrary: fc.constantFrom('HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', 'http/1.1', 'HTTP/1.10', ''), weight: 1 },
)
const host = fc.oneof(
  { arbitrary: fc.constant('Host: example.test'), weight: 9 },
  {
    arbitrary: fc.constantFrom(
      ...['host:example.test:80', 'Host: ', 'Host: [::1]:80', 'HOST: example.test\t ', 'X-No: host', 'Host: a b'],
    ),
    weight: 1,
  },
)

/** Fields that anybody may send. */
const ordinary = [
  ...['X-A: 1', 'x-a: 2', 'X-A:', 'X-B:\t v \t', 'X-High: \xe9\xff', 'Cookie: a=1', 'cookie: b=2', 'Accept: */*'],
  ...['Connection: close', 'Connection: keep-alive', 'Connection: x-a', 'Keep-Alive: timeout=5', 'TE: trailers'],
  ...['Trailer: X-T', 'Expect: 100-continue', 'X-Request-Id: mine', 'X-Forwarded-For: 1.2.3.4', 'X_Forwarded_For: 6'],
  ...['Content-Type: text/plain', 'Proxy-Connection: close', 'Via: 1.1 before', 'Date: now', "!#$%&'*+-.^_`|~: odd"],
]
/** Fields that decide where a message ends, or try to. */
const framing = [
  ...['Transfer-Encoding: chunked', 'transfer-encoding:CHUNKED', 'Transfer-Encoding : chunked', 'Transfer-Encoding'],
  ...['Transfer-Encoding: \vchunked', 'Transfer-Encoding: identity', 'Transfer-Encoding: gzip, chunked', ' chunked'],
  ...['Transfer-Encoding: chunked\t', 'Transfer_Encoding: chunked', 'X: y\nTransfer-Encoding: chunked', '\tfolded'],
  ...['Content-Length: 3', 'content-length:0', 'Content-Length: +3', 'Content-Length: 3, 3', 'Content-Length: 0x3'],
  ...['Content-Length: 003', 'Content-Length: 99999999999999999999', 'Content-Length:', 'X: y\rContent-Length: 3'],
  ...['Content_Length: 3', 'Content-Length: 3;', 'Connection: content-length', 'Connection: transfer-encoding, host'],
  ...['Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: h2c', 'Expect: 100-continue', 'Expect: x', 'Host: evil'],
  ...['Connection: close, x-a', 'Connection: keep-alive, upgrade', 'Connection: expect', 'HTTP/1.1 200 OK', ''],
]

const content = fc.oneof(
  fc.constantFrom('abc', '', 'x', smuggled, '\r\n', '0\r\n\r\n', '\0\xff\r\n\r\n', 'y'.repeat(70_000)),
  fc.string({ maxLength: 20 }).map((text) => text.replace(/[^\x20-\x7e]/g, '?')),
)
const chunkSize = fc.constantFrom(
  (size: number) => size.toString(16),
  (size: number) => size.toString(16).toUpperCase(),
  (size: number) => `000${size.toString(16)}`,
)
const extension = fc.oneof(
  { arbitrary: fc.constant(''), weight: 6 },
  {
    arbitrary: fc.constantFrom(';a', ';a=b', ';a="b;c"', ' ; a = b', ';\t', `;${'x'.repeat(1_200)}`, ';\x01'),
    weight: 1,
  },
)
const trailers = fc.oneof(
  { arbitrary: fc.constant(''), weight: 5 },
  {
    arbitrary: fc.constantFrom(
      ...[
        'X-T: 1\r\n',
        'X-T: 1\r\nx-t:\r\n',
        'Content-Length: 3\r\n',
        'Transfer-Encoding: chunked\r\n',
        'Host: evil\r\n',
      ],
      ...['X T: 1\r\n', ' folded\r\n', 'Authorization: x\r\n', 'X-T: \xe9\r\n', 'X-T: a\0\r\n'],
    ),
    weight: 1,
  },
)

const body = fc.oneof(
  { arbitrary: fc.constant({ line: null, bytes: '' }), weight: 4 },
  { arbitrary: content.map((bytes) => ({ line: `Content-Length: ${bytes.length}`, bytes })), weight: 3 },
  {
    arbitrary: fc
      .record({ chunks: fc.array(fc.tuple(content, chunkSize, extension), { maxLength: 3 }), extension, trailers })
      .map(({ chunks, extension, trailers }) => {
        const data = chunks
          .filter(([bytes]) => bytes !== '')
          .map(([bytes, size, extra]) => `${size(bytes.length)}${extra}\r\n${bytes}\r\n`)
        return { line: 'Transfer-Encoding: chunked', bytes: `${data.join('')}0${extension}\r\n${trailers}\r\n` }
      }),
    weight: 4,
  },
)

const plainRequest = fc
  .record({ method, target, version, host, fields: fc.array(fc.constantFrom(...ordinary), { maxLength: 3 }), body })
  .map(({ method, target, version, host, fields, body }) => {
    const lines = [`${method} ${target} ${version}`, host, ...fields, ...(body.line === null ? [] : [body.line])]
    return `${lines.join('\r\n')}\r\n\r\n${body.bytes}`
  })
const switchingRequest = fc.constantFrom('websocket', 'h2c', 'tcp/1').map((protocol) => {
  const lines = ['GET /s/ HTTP/1.1', 'Host: example.test', 'Connection: Upgrade', `Upgrade: ${protocol}`, '', '']
  return lines.join('\r\n')
})
const request = fc.oneof({ arbitrary: plainRequest, weight: 12 }, { arbitrary: switchingRequest, weight: 1 })

const bytes = fc
  .record({
    requests: fc.oneof(
      { arbitrary: fc.array(request, { minLength: 1, maxLength: 1 }), weight: 3 },
      { arbitrary: fc.array(request, { minLength: 2, maxLength: 3 }), weight: 1 },
    ),
    mutations: mutationsWith([...framing, ...ordinary], 5),
    behind: fc.oneof(
      { arbitrary: fc.constant(''), weight: 3 },
      { arbitrary: fc.constant(smuggled), weight: 2 },
      { arbitrary: fc.constantFrom('\r\n', '\n', 'G', 'tunnelled bytes'), weight: 1 },
    ),
  })
  .map(({ requests, mutations, behind }) => mutate(requests.join(''), mutations) + behind)

export const requestCase: fc.Arbitrary<RequestCase> = fc.record({
  pieces: fc.tuple(bytes, cuts).map(([text, where]) => cut(text, where)),
  ending: fc.oneof(
    { arbitrary: fc.constant('wait, end' as const), weight: 8 },
    { arbitrary: fc.constantFrom('wait, reset' as const, 'end' as const, 'reset' as const), weight: 3 },
  ),
  origin: fc.oneof(
    { arbitrary: fc.constant('answers whole requests' as const), weight: 6 },
    { arbitrary: fc.constant('answers heads' as const), weight: 1 },
  ),
  switches: fc.boolean(),
  upstream: fc.record({
    keepAlive: fc.boolean(),
    close: fc.oneof(
      { arbitrary: fc.constant('rst' as const), weight: 9 },
      { arbitrary: fc.constant('fin' as const), weight: 1 },
    ),
  }),
})
