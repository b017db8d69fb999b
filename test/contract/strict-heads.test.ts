import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { request, startProxy } from './harness.ts'
import { chunked, headerLines } from './messages.ts'
import {
  expectRefused,
  hidden,
  host,
  insertions,
  itRefuses,
  itRefusesOrReads,
  omissions,
  raw,
  refusingProxy,
} from './refused.ts'
import { answering, ok } from './sockets.ts'

const get = 'GET /s/ HTTP/1.1'

describeEngines('a request head with a stray byte', (engine) => {
  const head = 'GET /s/a?b=c HTTP/1.1\r\nHost: example.test\r\nX-One: two three\r\n\r\n'
  const strays: readonly { name: string; byte: string }[] = [
    { name: 'a bare CR', byte: '\r' },
    { name: 'a bare LF', byte: '\n' },
    { name: 'a NUL', byte: '\0' },
    { name: 'a control character', byte: '\x01' },
    { name: 'a vertical tab', byte: '\v' },
    { name: 'a form feed', byte: '\f' },
    { name: 'a DEL', byte: '\x7f' },
  ]
  for (const { name, byte } of strays) {
    it(`${name} at any place is refused and closed, nothing forwarded, nothing behind it served`, async () => {
      const { origin, proxy } = await refusingProxy(engine)
      const broken = insertions(head, byte)
        .slice(1)
        // A LF before the last LF ends the head: it stands in front of the next request.
        .filter((bytes) => !bytes.startsWith(head))
      expect(broken.length).toBeGreaterThan(60)
      // In the request line it may stand for a version that is unknown, or none.
      await Promise.all(broken.map((bytes) => expectRefused(proxy, bytes, [400, 505])))
      expect(origin.connections).toHaveLength(0)
    })
  }

  it('a line that ends with LF alone, whichever line it is, is refused', async () => {
    const { origin, proxy } = await refusingProxy(engine)
    const broken = omissions(head, '\r')
    expect(broken).toHaveLength(4)
    await Promise.all(broken.map((bytes) => expectRefused(proxy, bytes, 400)))
    expect(origin.connections).toHaveLength(0)
  })

  it('a line that ends with CR alone, whichever line it is, is refused', async () => {
    const { origin, proxy } = await refusingProxy(engine)
    await Promise.all(omissions(head, '\n').map((bytes) => expectRefused(proxy, bytes, [400, 505])))
    expect(origin.connections).toHaveLength(0)
  })
})

describeEngines('a request head that is not one', (engine) => {
  itRefuses(engine, [
    ...['(', ')', ',', '/', ';', '<', '=', '>', '?', '@', '[', '\\', ']', '{', '}', '"', ' ', '\t', '\x80', '\xe9'].map(
      (character) => ({
        name: `a header name with ${JSON.stringify(character)} in it`,
        bytes: raw([host, `X${character}Y: 1`], '', get),
      }),
    ),
    { name: 'a space in front of a header name that is not the first', bytes: raw([host, ' X: 1'], '', get) },
    { name: 'a space before the colon of a harmless header', bytes: raw([host, 'X : 1'], '', get) },
    { name: 'a space before the colon of Host', bytes: raw(['Host : example.test'], '', get) },
    { name: 'a fold behind the request line', bytes: raw(['\tX: a', host], '', get) },
    { name: 'a fold of nothing but a space', bytes: raw([host, 'X: a', ' ', 'Y: b'], '', get) },
    { name: 'a fold at the end of the head', bytes: raw([host, 'X: a', ' b'], '', get) },
    { name: 'a fold of Host', bytes: raw(['Host:', ' example.test'], '', get) },
    { name: 'a folded Content-Length', bytes: raw([host, 'Content-Length: 1', ' 0'], 'x'.repeat(10)) },
    { name: 'a method with a slash', bytes: raw([host], '', 'GET/ /s/ HTTP/1.1') },
    { name: 'a method with a colon', bytes: raw([host], '', 'GET: /s/ HTTP/1.1') },
    { name: 'a method with a high byte', bytes: raw([host], '', 'G\xc9T /s/ HTTP/1.1') },
    { name: 'no method', bytes: raw([host], '', ' /s/ HTTP/1.1') },
    { name: 'no target', bytes: raw([host], '', 'GET  HTTP/1.1') },
    { name: 'two spaces before the target', bytes: raw([host], '', 'GET  /s/ HTTP/1.1'), needs: 'one-space-each' },
    { name: 'two spaces before the version', bytes: raw([host], '', 'GET /s/  HTTP/1.1'), needs: 'one-space-each' },
    { name: 'a tab before the target', bytes: raw([host], '', 'GET\t/s/ HTTP/1.1') },
    { name: 'a tab before the version', bytes: raw([host], '', 'GET /s/\tHTTP/1.1'), status: [400, 505] },
    { name: 'a space behind the version', bytes: raw([host], '', 'GET /s/ HTTP/1.1 '), status: [400, 505] },
    { name: 'a space before the method', bytes: raw([host], '', ' GET /s/ HTTP/1.1') },
    { name: 'a response where a request should be', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n' },
    { name: 'a header line before the request line', bytes: `X: y\r\n${raw([host], '', get)}`, status: [400, 505] },
  ])

  itRefuses(
    engine,
    ['http/1.1', 'Http/1.1', 'HTTP/1', 'HTTP/1.', 'HTTP/1.1.1', 'HTTP/01.1', 'HTTP/1.10', 'HTTP/1,1', 'HTTP 1.1'].map(
      (version) => ({
        name: `the malformed version ${version}`,
        bytes: raw([host], '', `GET /s/ ${version}`),
        status: [400, 505],
      }),
    ),
  )
  itRefuses(
    engine,
    ['HTTP/0.9', 'HTTP/1.2', 'HTTP/1.9', 'HTTP/2.0', 'HTTP/3.0', 'HTTP/9.9'].map((version) => ({
      name: `the unknown version ${version}`,
      bytes: raw([host], '', `GET /s/ ${version}`),
      status: 505,
    })),
  )
})

describeEngines('a request whose length could be read in two ways', (engine) => {
  itRefuses(engine, [
    ...['010', '0010', '08', '000000000000000000000000000000010'].map((value) => ({
      name: `a Content-Length with leading zeros that somebody reads as octal, ${value}`,
      bytes: raw([host, `Content-Length: ${value}`], 'x'.repeat(Number(value))),
      needs: 'leading-zeros-refused' as const,
    })),
    ...['3\0', '\x0b3', '3\x0c', '3\xa0', '\xb3', '3\t3', '3;q=1', '3,', ',3', '3, 4', "3'", '3e0', '٣', '0b11'].map(
      (value) => ({
        name: `a Content-Length of ${JSON.stringify(value)}`,
        bytes: raw([host, `Content-Length: ${value}`], `abc`),
      }),
    ),
    ...['9007199254740992', '9223372036854775808', '18446744073709551616', '4294967296000000000000000000'].map(
      (value) => ({
        name: `a Content-Length that overflows, ${value}`,
        bytes: raw([host, `Content-Length: ${value}`]),
      }),
    ),
    {
      name: 'two Content-Lengths in different case',
      bytes: raw([host, 'content-length: 3', 'CONTENT-LENGTH: 3'], 'abc'),
    },
    {
      name: 'two Content-Lengths far from each other',
      bytes: raw([host, 'Content-Length: 3', 'A: 1', 'B: 2', 'C: 3', 'Content-Length: 0'], 'abc'),
    },
    ...['chunked\v', 'chunked\x0c', '\x0cchunked', 'chunked\0', 'chu\tnked', 'chunked\tx'].map((value) => ({
      name: `a Transfer-Encoding of ${JSON.stringify(value)}`,
      bytes: raw([host, `Transfer-Encoding: ${value}`], chunked(['abc'])),
    })),
    {
      name: 'a Transfer-Encoding of chunked and a no-break space',
      bytes: raw([host, 'Transfer-Encoding: chunked\xa0'], chunked(['abc'])),
      needs: 'odd-blanks-refused',
    },
    ...['chunked, identity', 'chunked;', 'chunked ;q=1', 'chunked,,', 'deflate, chunked', 'x', "'chunked'"].map(
      (value) => ({
        name: `a Transfer-Encoding of ${JSON.stringify(value)}`,
        bytes: raw([host, `Transfer-Encoding: ${value}`], chunked(['abc'])),
      }),
    ),
    {
      name: 'two Transfer-Encodings, gzip and then chunked',
      bytes: raw([host, 'Transfer-Encoding: gzip', 'Transfer-Encoding: chunked'], chunked(['abc'])),
    },
    {
      name: 'two Transfer-Encodings, the first of them empty',
      bytes: raw([host, 'Transfer-Encoding:', 'Transfer-Encoding: chunked'], chunked(['abc'])),
    },
    {
      name: 'two Transfer-Encodings in different case',
      bytes: raw([host, 'transfer-encoding: chunked', 'TRANSFER-ENCODING: chunked'], chunked(['abc'])),
    },
    {
      name: 'Content-Length and Transfer-Encoding on a GET',
      bytes: raw([host, 'Content-Length: 0', 'Transfer-Encoding: chunked'], chunked([]), get),
    },
    {
      name: 'a Transfer-Encoding in HTTP/1.0 without a body',
      bytes: raw([host, 'Transfer-Encoding: chunked'], chunked([]), 'GET /s/ HTTP/1.0'),
    },
  ])
})

describeEngines('a length that is odd and can be read in one way', (engine) => {
  itRefusesOrReads(engine, [
    ...['03', '00', '\t3', '3\t', '\t 3 \t'].map((value) => ({
      name: `a Content-Length of ${JSON.stringify(value)}`,
      bytes: raw([host, `Content-Length:${value}`], 'x'.repeat(Number(value))),
      body: 'x'.repeat(Number(value)),
    })),
    ...['\tchunked', 'chunked\t', ' \t chunked\t '].map((value) => ({
      name: `a Transfer-Encoding of ${JSON.stringify(value)}`,
      bytes: raw([host, `Transfer-Encoding:${value}`], chunked(['abc'])),
      body: 'abc',
    })),
  ])
})

describeEngines('what a strict reader lets through', (engine) => {
  const accepted: readonly { name: string; lines: readonly string[]; body: string; seen: string }[] = [
    { name: 'chunked in capitals', lines: ['Transfer-Encoding: CHUNKED'], body: chunked(['abc']), seen: 'abc' },
    { name: 'chunked between blanks', lines: ['Transfer-Encoding:   chunked  '], body: chunked(['abc']), seen: 'abc' },
    { name: 'a length between blanks', lines: ['Content-Length:   3  '], body: 'abc', seen: 'abc' },
    { name: 'a length without a blank', lines: ['Content-Length:3'], body: 'abc', seen: 'abc' },
    { name: 'a length of 0', lines: ['Content-Length: 0'], body: '', seen: '' },
  ]
  for (const { name, lines, body, seen } of accepted) {
    it(`${name} frames the body, and the request behind it is the next`, async () => {
      const origin = await answering(ok())
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const client = await proxy.client()
      client.send(raw([host, ...lines], body) + hidden)
      for (let turn = 0; turn < 2; turn++) expect((await client.response()).status).toBe(200)
      expect(origin.requests().map((message) => message.body)).toEqual([seen, ''])
    })
  }

  it('an empty value, blanks inside one, and bytes above ASCII in one are passed on as they are', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const values = ['', 'a  b\tc', '\x80\xff \xc3\xa9', '"quoted, ; string"', '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~']
    const response = await proxy.ask(
      request(
        '/s/',
        values.map((value) => `X-Value: ${value}`),
      ),
    )
    expect(response.status).toBe(200)
    expect(origin.requests().map((message) => headerLines(message, 'x-value'))).toEqual([values])
  })

  it('every character that a header name may have', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const names = ["X!#$%&'*+-.^`|~0123456789", 'x', '1', '-', 'aB-Cd']
    const response = await proxy.ask(
      request(
        '/s/',
        names.map((name) => `${name}: here`),
      ),
    )
    expect(response.status).toBe(200)
    expect(names.map((name) => headerLines(origin.requests()[0] ?? { headers: [] }, name))).toEqual(
      names.map(() => ['here']),
    )
  })

  it('empty lines before the first request and between two', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(`\r\n${request('/s/')}\r\n\r\n${request('/s/', ['Content-Length: 1'], 'x', 'POST')}\r\n${hidden}`)
    for (let turn = 0; turn < 3; turn++) expect((await client.response()).status).toBe(200)
    expect(origin.requests()).toHaveLength(3)
  })
})
