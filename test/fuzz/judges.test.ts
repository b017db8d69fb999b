/** A search is worth what its judges see: here they are shown what must never pass, made by hand. */

import { describe, expect, it } from 'vitest'
import { type Forwarded, readForwarded } from './forwarded.ts'
import { judgeOrigins } from './judge-origins.ts'
import { compareRequests, judgeRequests } from './judge-requests.ts'
import type { OriginCase } from './origin-cases.ts'
import type { OriginTranscript } from './play-origins.ts'
import type { RequestTranscript, UpstreamLog } from './play-requests.ts'
import { readRequests } from './reading.ts'
import type { RequestCase } from './request-cases.ts'
import type { Item } from './world.ts'

const item = (method: string, outcome: Item['outcome'], reply: number | null = null): Item => ({
  request: {
    ...{ method, target: '/s/', httpVersion: '1.1', rawHeaders: [], hasBody: false, upgrade: null },
    ...{ clientAddress: '127.0.0.1', localPort: 1, secure: false },
  },
  attempts: outcome === null ? 0 : 1,
  outcome,
  reply,
})
/** What an origin would note of these bytes. */
function forwardedIn(bytes: string): UpstreamLog {
  const requests: Forwarded[] = []
  for (let rest = bytes; ; ) {
    const read = readForwarded(rest)
    if (read.kind !== 'whole') {
      return { bytes, requests, ambiguous: read.kind === 'ambiguous' ? read.why : null, rest, switched: false }
    }
    requests.push(read.head)
    rest = rest.slice(read.length)
  }
}

const good = 'HTTP/1.1 200 OK\r\nX-Number: 0\r\nContent-Length: 2\r\n\r\nok'

describe('the judge of requests', () => {
  const post = 'POST /s/ HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 3\r\n\r\nabc'
  const passed = 'POST / HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 3\r\nVia: 1.1 evenkeel\r\n\r\nabc'

  function judged(sent: string, upstream: readonly string[], more: Partial<RequestTranscript> = {}): string | null {
    const input: RequestCase = {
      ...{ pieces: [sent], ending: 'wait, end', origin: 'answers whole requests', switches: false },
      upstream: { keepAlive: false, close: 'rst' },
    }
    return judgeRequests(input, transcript(upstream, more))
  }
  function transcript(upstream: readonly string[], more: Partial<RequestTranscript> = {}): RequestTranscript {
    const logs = upstream.map(forwardedIn)
    return {
      engine: 'some',
      items: [item('POST', 'responded')],
      upstream: logs,
      forwarded: logs.flatMap(({ requests }) => requests),
      client: { bytes: good, endedWell: true, over: true },
      trouble: null,
      ...more,
    }
  }

  it('lets pass what was forwarded as it was sent', () => {
    expect(judged(post, [passed])).toBeNull()
  })

  const faults: readonly [name: string, sent: string, upstream: readonly string[], what: RegExp][] = [
    ['a field that was changed', post, [passed.replace('X: y', 'X: z')], /no such fields: x: \["z"\]/],
    ['a field that was lost', post, [passed.replace('X: y\r\n', '')], /it lost x/],
    ['a field that was made up', post, [passed.replace('X: y', 'X: y\r\nZ: z')], /no such fields/],
    ['another host', post, [passed.replace('Host: a', 'Host: b')], /Host was a/],
    ['another method', post, [passed.replace('POST', 'PUT')], /method was POST/],
    ['another target', post, [passed.replace('POST /', 'POST /x')], /target was/],
    ['another body', post, [passed.replace('abc', 'abd')], /body was/],
    ['a body cut short', post, [passed.replace('3', '2').replace('abc', 'ab')], /body was/],
    ['two requests for one', post, [passed + passed], /two requests on a connection/],
    ['two connections for one request', post, [passed, passed], /2 requests at the origin for 1/],
    ['bytes behind the request', post, [`${passed}GET`], /bytes behind the only request/],
    ['two framings', post, [passed.replace('X: y', 'Transfer-Encoding: chunked')], /ambiguous/],
    ['a bare LF in a field', post, [passed.replace('X: y', 'X: y\nZ: z')], /ambiguous/],
    ['half a request taken for a whole one', post.slice(0, -1), [passed], /not whole/],
    ['a request that is ambiguous', post.replace('X: y', 'X : y'), [passed], /is ambiguous/],
    ['a smuggled request', post.replace('X: y', 'Transfer-Encoding: chunked'), [passed], /is ambiguous/],
    ['a switch that nobody asked for', post, [passed.replace('X: y', 'X: y\r\nUpgrade: x')], /did not ask/],
  ]
  for (const [name, sent, upstream, what] of faults) {
    it(`sees ${name}`, () => expect(judged(sent, upstream)).toMatch(what))
  }

  const answers: readonly [name: string, bytes: string, what: RegExp][] = [
    ['two answers for one request', good + good, /more answers than requests/],
    ['bytes behind the answer', `${good}x`, /bytes behind the last answer|ambiguous/],
    ['the answer to another request', good.replace('Number: 0', 'Number: 1'), /another request/],
    ['an interim answer that nobody sent', `HTTP/1.1 103 Hint\r\n\r\n${good}`, /interim 103/],
    ['two lengths', good.replace('X-Number: 0', 'X-Number: 0\r\nContent-Length: 2'), /ambiguous/],
    ['a NUL in a field', good.replace('Number: 0', 'Number: \0'), /ambiguous/],
  ]
  for (const [name, bytes, what] of answers) {
    it(`sees ${name}, on the client's side`, () => {
      expect(judged(post, [passed], { client: { bytes, endedWell: true, over: true } })).toMatch(what)
    })
  }

  it('sees that two engines read one request in two ways', () => {
    const other = transcript([passed.replace('abc', 'abd')])
    expect(compareRequests(transcript([passed]), other)).toMatch(/two ways/)
    expect(compareRequests(transcript([passed]), transcript([passed]))).toBeNull()
  })
})

describe('the judge of origins', () => {
  function judged(
    answer: string,
    client: string,
    more: Partial<OriginTranscript> = {},
    ending = 'late end',
  ): string | null {
    const question = { bytes: '', method: 'GET', switching: false, replayable: true }
    const input = {
      ...{ question, trigger: 'request', pieces: [answer], late: [], ending, warm: false, second: 'none' },
      upstream: { keepAlive: true, close: 'rst' },
    } as OriginCase
    return judgeOrigins(input, {
      engine: 'some',
      items: [item('GET', 'responded')],
      client: { bytes: client, endedWell: false, over: true },
      ...{ secondClient: null, secondSent: false, reused: false, asked: 1, ambiguous: null, trouble: null },
      ...more,
    })
  }
  const passed =
    'HTTP/1.1 200 OK\r\nX-Number: 0\r\nContent-Length: 2\r\nX-Request-Id: made\r\nVia: 1.1 evenkeel\r\n\r\nok'
  const untilEnd = passed.replace('Content-Length: 2\r\n', '')
  const bad = 'HTTP/1.1 502 Bad Gateway\r\nProxy-Status: evenkeel\r\nContent-Length: 0\r\n\r\n'
  const ended = { client: { bytes: untilEnd, endedWell: true, over: true } }

  it('lets pass a good answer, a 502 for a bad one, and a cut', () => {
    expect(judged(good, passed)).toBeNull()
    expect(judged('HTTP', bad)).toBeNull()
    expect(judged(good.slice(0, -1), passed.slice(0, -1))).toBeNull()
  })

  const faults: readonly [name: string, seen: string | null, what: RegExp][] = [
    ['a good answer that was refused', judged(good, bad), /became a 502/],
    ['a good answer that was cut', judged(good, passed.slice(0, -1)), /not passed on/],
    ['a body that was changed', judged(good, passed.replace('ok', 'ko')), /body was/],
    ['a field that was made up', judged(good, passed.replace('X-N', 'Z: z\r\nX-N')), /headers were/],
    ['another status', judged(good, passed.replace('200', '201')), /status was/],
    ['two answers', judged(good, passed + passed), /2 answers for one request/],
    ['bytes behind the answer', judged(good, `${passed}HTTP/1.1 2`), /bytes behind/],
    ['a malformed answer', judged(good.replace('Number:', 'Number :'), passed), /malformed/],
    ['an answer with two lengths', judged(good.replace('X-N', 'Content-Length: 3\r\nX-N'), passed), /malformed/],
    [
      'half an answer with an ordinary end',
      judged(good.slice(0, -1), '', { client: { ...ended.client } }),
      /incomplete/,
    ],
    ['an injected field line', judged(good, passed.replace('X-N', 'A: b\nX-N')), /ambiguous/],
    ['an unwanted status of the proxy', judged('HTTP', bad.replace('502', '400')), /answers 400/],
    ['a connection used again behind half an answer', judged('HTTP', bad, { reused: true }), /used again/],
    ['a connection used again with bytes left over', judged(`${good}x`, passed, { reused: true }), /left over/],
    [
      'the answer before, given to the next client',
      judged(good, passed, { secondSent: true, secondClient: { bytes: passed, endedWell: false, over: false } }),
      /second client got/,
    ],
  ]
  for (const [name, seen, what] of faults) {
    it(`sees ${name}`, () => expect(seen).toMatch(what))
  }
})

describe('the reader of requests', () => {
  const host = 'Host: a\r\n'
  const rows: readonly [name: string, bytes: string, kinds: string][] = [
    ['two requests in a row', `GET / HTTP/1.1\r\n${host}\r\nGET / HTTP/1.1\r\n${host}\r\n`, 'request request'],
    ['an empty line in front', `\r\n\r\nGET / HTTP/1.1\r\n${host}\r\n`, 'request'],
    ['a bare LF in front', `\nGET / HTTP/1.1\r\n${host}\r\n`, 'ambiguous'],
    ['half a head', `GET / HTTP/1.1\r\n${host}`, 'incomplete'],
    ['half a body', `GET / HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\na`, 'incomplete'],
    [
      'a chunk extension',
      `GET / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n`,
      'request',
    ],
    ['a chunk without its end', `GET / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n`, 'ambiguous'],
    ['a signed chunk size', `GET / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n`, 'ambiguous'],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 'ambiguous'],
    ['no Host in HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', 'request'],
    ['chunks in HTTP/1.0', 'GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'ambiguous'],
    ['a no-break space in a coding', `GET / HTTP/1.1\r\n${host}Transfer-Encoding: \xa0chunked\r\n\r\n`, 'ambiguous'],
  ]
  for (const [name, bytes, kinds] of rows) {
    it(`${name}: ${kinds}`, () => {
      expect(
        readRequests(bytes, false)
          .map(({ kind }) => kind)
          .join(' '),
      ).toBe(kinds)
    })
  }
})
