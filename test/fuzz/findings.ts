/** What the searches found: each case once failed, in the engine that it names. Replayed by findings.test.ts. */

import type { Search } from './fuzz.ts'
import type { OriginCase, Question } from './origin-cases.ts'
import type { RequestCase } from './request-cases.ts'

export type Finding = {
  /** The symptom. */
  readonly name: string
  /** Still there: it is expected to fail, or left out when it would end the process. */
  readonly open?: 'fails' | 'ends the process'
} & (
  | { readonly search: Extract<Search, 'requests'>; readonly input: RequestCase }
  | { readonly search: Extract<Search, 'origins'>; readonly input: OriginCase }
)

const client: Omit<RequestCase, 'pieces'> = {
  ending: 'wait, end',
  origin: 'answers whole requests',
  switches: false,
  upstream: { keepAlive: false, close: 'rst' },
}

const plain = 'GET /s/ HTTP/1.1\r\nHost: a\r\n\r\n'

function sent(
  name: string,
  pieces: readonly string[],
  more: Partial<RequestCase> & Pick<Finding, 'open'> = {},
): Finding {
  const { open, ...rest } = more
  return { name, search: 'requests', input: { ...client, pieces, ...rest }, ...(open === undefined ? {} : { open }) }
}

const get: Question = {
  bytes: 'GET /s/hostile HTTP/1.1\r\nHost: example.test\r\n\r\n',
  method: 'GET',
  switching: false,
  replayable: true,
}
const switching: Question = {
  ...get,
  bytes: 'GET /s/hostile HTTP/1.1\r\nHost: example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  switching: true,
}
const origin: Omit<OriginCase, 'pieces'> = {
  question: get,
  trigger: 'request',
  late: [],
  ending: 'late end',
  warm: false,
  second: 'none',
  upstream: { keepAlive: false, close: 'rst' },
}

function answered(
  name: string,
  pieces: readonly string[],
  more: Partial<OriginCase> & Pick<Finding, 'open'> = {},
): Finding {
  const { open, ...rest } = more
  return { name, search: 'origins', input: { ...origin, pieces, ...rest }, ...(open === undefined ? {} : { open }) }
}

const kept = { keepAlive: true, close: 'rst' } as const

export const findings: readonly Finding[] = [
  sent('http-proxy: a Trailer field of a request without chunks ended the process', [
    'GET /s/ HTTP/1.1\r\nHost: a\r\nTrailer: X-T\r\n\r\n',
  ]),
  sent(
    'http-proxy: bytes above ASCII in a field value became UTF-8 when the head was sent on its own',
    ['POST /s/ HTTP/1.1\r\nHost: a\r\nX-High: \xe9\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx'],
    { open: 'fails' },
  ),
  sent(
    'http-proxy: a client that reset behind a HEAD with Expect and half a request kept its request for good',
    ['HEAD /s/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n', 'TP/1.1\r\n'],
    { ending: 'reset', open: 'fails' },
  ),
  sent('wire: a no-break space in front of "Upgrade" was taken for a space, and the protocol switched', [
    'GET /s/ HTTP/1.1\r\nHost: a\r\nConnection: \xa0Upgrade\r\nUpgrade: x\r\n\r\n',
  ]),
  sent(
    'wire: what stood behind such a request went to the endpoint unseen, as bytes of the other protocol',
    [
      `GET /s/ HTTP/1.1\r\nHost: a\r\nConnection: \xa0Upgrade\r\nUpgrade: x\r\n\r\nGET /s/b HTTP/1.1\r\nHost: a\r\n\r\n`,
    ],
    { switches: true },
  ),
  sent('wire: behind 64 KiB of the body of a request that it answered itself, nothing was read any more', [
    `${plain}POST /nobody HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n`,
    'y'.repeat(69_000),
    `${'y'.repeat(1_000)}${plain}`,
  ]),
  answered(
    'http-proxy: a 204 with a Trailer field became a 502 without its body, and the next answer was taken for it',
    ['HTTP/1.1 204 No Content\r\nTrailer: X-T\r\n\r\n'],
    { second: 'pipelined' },
  ),
  answered('http-proxy: a Trailer field beside a Content-Length made a good answer a 502', [
    'HTTP/1.1 200 OK\r\nTrailer: X-T\r\nContent-Length: 3\r\n\r\nabc',
  ]),
  answered(
    'http-proxy: a refused switch of protocols came to a halt behind 64 KiB',
    [`HTTP/1.1 500 Oops\r\nContent-Length: 200000\r\n\r\n${'z'.repeat(200_000)}`],
    { question: switching, open: 'fails' },
  ),
  answered('http-proxy: a 101 that nobody asked for was passed on as an ordinary answer', ['HTTP/1.1 101 Odd\r\n\r\n']),
  answered(
    'http-proxy: Transfer-Encoding and Content-Length of a 103 were passed on to the client',
    [
      'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nTransfer-Encoding: gzip\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ],
    { open: 'fails' },
  ),
  answered(
    'http-proxy: a body that was "chunked", and a tab, was passed on with its chunk sizes in it',
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n3\r\nabc\r\n0\r\n\r\n'],
    { ending: 'end', open: 'fails' },
  ),
  answered(
    'http-proxy: a connection was used again although the beginning of another answer stood behind the first',
    ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 O'],
    { second: 'pipelined', upstream: kept, warm: true, open: 'fails' },
  ),
]
