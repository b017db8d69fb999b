import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { request, startProxy } from './harness.ts'
import { chunked } from './messages.ts'
import { hidden, host, itRefuses, raw } from './refused.ts'
import { answering, ok, startOrigin } from './sockets.ts'

describeEngines('requests that could be read in two ways', (engine) => {
  itRefuses(engine, [
    {
      name: 'Content-Length and Transfer-Encoding',
      bytes: raw([host, 'Content-Length: 5', 'Transfer-Encoding: chunked'], `0\r\n\r\n${hidden}`),
    },
    {
      name: 'Transfer-Encoding and Content-Length',
      bytes: raw([host, 'Transfer-Encoding: chunked', `Content-Length: ${hidden.length + 5}`], `0\r\n\r\n${hidden}`),
    },
    {
      name: 'Transfer-Encoding and Content-Length: 0',
      bytes: raw([host, 'Transfer-Encoding: chunked', 'Content-Length: 0'], chunked([hidden])),
    },
    { name: 'two equal Content-Lengths', bytes: raw([host, 'Content-Length: 3', 'Content-Length: 3'], `abc${hidden}`) },
    {
      name: 'two different Content-Lengths',
      bytes: raw([host, 'Content-Length: 0', `Content-Length: ${hidden.length}`], hidden),
    },
    ...[
      '+3',
      '-3',
      '3, 3',
      '3,3',
      '0x3',
      '3 3',
      '3;',
      '3.0',
      '1e1',
      '',
      '"3"',
      '3\v',
      '99999999999999999999',
      '18446744073709551619',
      '9007199254740993',
    ].map((value) => ({
      name: `a Content-Length of ${JSON.stringify(value)}`,
      bytes: raw([host, `Content-Length: ${value}`], `abc${hidden}`),
    })),
    ...[
      'chunked, chunked',
      'gzip, chunked',
      'chunked, gzip',
      'gzip',
      'identity',
      'xchunked',
      'chunkedx',
      '"chunked"',
      'chunked;q=1',
      '',
      ',chunked',
      'chunked,',
      '\vchunked',
      'chun ked',
      'identity, chunked',
    ].map((value) => ({
      name: `a Transfer-Encoding of ${JSON.stringify(value)}`,
      bytes: raw([host, `Transfer-Encoding: ${value}`], chunked([hidden])),
    })),
    {
      name: 'two Transfer-Encodings',
      bytes: raw([host, 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunked([hidden])),
    },
    {
      name: 'two Transfer-Encodings, the last of them identity',
      bytes: raw([host, 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], chunked([hidden])),
    },
    {
      name: 'Transfer-Encoding in HTTP/1.0',
      bytes: raw([host, 'Transfer-Encoding: chunked'], chunked([hidden]), 'POST /s/ HTTP/1.0'),
    },
    {
      name: 'Transfer-Encoding and keep-alive in HTTP/1.0',
      bytes: raw(
        [host, 'Connection: keep-alive', 'Transfer-Encoding: chunked'],
        chunked([hidden]),
        'POST /s/ HTTP/1.0',
      ),
    },
    { name: 'a folded header', bytes: raw([host, 'Transfer-Encoding:', ' chunked'], chunked([hidden])) },
    { name: 'a header folded with a tab', bytes: raw([host, 'X: a', '\tContent-Length: 3'], `abc${hidden}`) },
    { name: 'a first header that is folded', bytes: raw([' X: a', host]) },
    { name: 'a space before the colon', bytes: raw([host, 'Content-Length : 3'], `abc${hidden}`) },
    { name: 'a tab before the colon', bytes: raw([host, 'Transfer-Encoding\t: chunked'], chunked([hidden])) },
    { name: 'a control character in a header name', bytes: raw([host, 'X\x01: a']) },
    { name: 'a header without a colon', bytes: raw([host, 'Content-Length 3'], `abc${hidden}`) },
    { name: 'a header without a name', bytes: raw([host, ': 3']) },
    { name: 'a NUL in a header', bytes: raw([host, 'X: a\0b']) },
    { name: 'a bare CR in a header', bytes: raw([host, 'X: a\rContent-Length: 3'], `abc${hidden}`) },
    { name: 'a bare CR for a line end', bytes: `GET /s/ HTTP/1.1\r${host}\r\r` },
    { name: 'a bare LF behind a header', bytes: `POST /s/ HTTP/1.1\r\n${host}\nContent-Length: 3\r\n\r\nabc` },
    { name: 'bare LFs everywhere', bytes: `GET /s/ HTTP/1.1\n${host}\n\n${hidden}` },
    { name: 'a bare LF behind the request line', bytes: `GET /s/ HTTP/1.1\n${host}\r\n\r\n` },
    { name: 'a bare LF before the body', bytes: `POST /s/ HTTP/1.1\r\n${host}\r\nContent-Length: 3\r\n\nabc` },
    { name: 'no Host', bytes: raw([], '', 'GET /s/ HTTP/1.1') },
    { name: 'two Hosts', bytes: raw([host, host], '', 'GET /s/ HTTP/1.1') },
    { name: 'two different Hosts', bytes: raw([host, 'Host: other.test'], '', 'GET /s/ HTTP/1.1') },
    ...['a b', 'a,b', 'user@a', 'a/b', 'a?b', 'a#b', 'a:b', 'a:1:2', '[::1', 'a\\b', 'http://a', 'a\xe9'].map(
      (value) => ({
        name: `a Host of ${JSON.stringify(value)}`,
        bytes: raw([`Host: ${value}`], '', 'GET /s/ HTTP/1.1'),
      }),
    ),
    { name: 'a space in the target', bytes: raw([host], '', 'GET /s/ x HTTP/1.1') },
    { name: 'no version', bytes: `GET /s/\r\n${host}\r\n\r\n`, status: 505 },
    { name: 'a method that is no token', bytes: raw([host], '', 'G<T /s/ HTTP/1.1') },
    { name: 'a TLS handshake', bytes: `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${'x'.repeat(600)}` },
    { name: 'an unknown version', bytes: raw([host], '', 'GET /s/ HTTP/1.2'), status: 505 },
    { name: 'version 2.0', bytes: raw([host], '', 'GET /s/ HTTP/2.0'), status: 505 },
    { name: 'version 0.9', bytes: raw([host], '', 'GET /s/ HTTP/0.9'), status: 505 },
    { name: 'the preface of HTTP/2', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', status: 505 },
    {
      name: 'a body behind a request to switch protocols',
      bytes: raw(
        [host, 'Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 3'],
        `abc${hidden}`,
        'GET /s/ HTTP/1.1',
      ),
    },
  ])

  it('a request that is refused behind a good one: both are answered, in order', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(`${request('/s/good')}nonsense\r\n\r\n`)
    const connection = await origin.connection()
    await connection.request()
    connection.end(ok())
    expect((await client.response()).status).toBe(200)
    expect((await client.response()).status).toBe(400)
    await client.untilOver()
    expect(client.error).toBeNull()
  })

  it('empty lines before a request are no request', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    expect((await proxy.ask(`\r\n\r\n${request('/s/')}`)).status).toBe(200)
  })
})

describeEngines('chunked bodies that could be read in two ways', (engine) => {
  const broken: readonly { name: string; body: string }[] = [
    { name: 'a size with 0x', body: `0x3\r\nabc\r\n0\r\n\r\n` },
    { name: 'a size with a sign', body: `+3\r\nabc\r\n0\r\n\r\n` },
    { name: 'a negative size', body: `-3\r\nabc\r\n0\r\n\r\n` },
    { name: 'a size with a space in front', body: ` 3\r\nabc\r\n0\r\n\r\n` },
    { name: 'a size with a space behind', body: `3 \r\nabc\r\n0\r\n\r\n` },
    { name: 'no size', body: `\r\nabc\r\n0\r\n\r\n` },
    { name: 'a size that overflows', body: `10000000000000003\r\nabc\r\n0\r\n\r\n` },
    { name: 'a size with an underscore', body: `1_0\r\nabc\r\n0\r\n\r\n` },
    { name: 'data without its CRLF', body: `3\r\nabcX0\r\n\r\n` },
    { name: 'data longer than its size', body: `3\r\nabcdef\r\n0\r\n\r\n` },
    { name: 'a bare LF behind the size', body: `3\nabc\r\n0\r\n\r\n` },
    { name: 'a bare LF behind the data', body: `3\r\nabc\n0\r\n\r\n` },
    { name: 'a bare LF in an extension', body: `3;a\nb\r\nabc\r\n0\r\n\r\n` },
    { name: 'a bare CR in an extension', body: `3;a\rb\r\nabc\r\n0\r\n\r\n` },
    { name: 'a bare LF at the end', body: `3\r\nabc\r\n0\n\n` },
    { name: 'a trailer that is folded', body: `3\r\nabc\r\n0\r\nX: a\r\n b\r\n\r\n` },
    { name: 'a trailer without a colon', body: `3\r\nabc\r\n0\r\nnonsense\r\n\r\n` },
  ]
  for (const { name, body } of broken) {
    it(`${name}: 400 and closed, and the endpoint sees no complete request`, async () => {
      const origin = await startOrigin()
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const client = await proxy.client()
      client.send(request('/s/', ['Transfer-Encoding: chunked'], body, 'POST') + hidden)
      const response = await client.response()
      expect(response.status).toBe(400)
      await client.untilOver()
      expect(client.error).toBeNull()
      for (const connection of origin.connections) await connection.untilOver()
      expect(origin.completeRequests()).toEqual([])
      expect(origin.connections.length).toBeLessThan(2)
    })
  }

  it('chunk extensions are dropped, and a long one is no way to use up memory', async () => {
    const origin = await answering((message) => ok(message.body))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    expect(
      (await proxy.ask(request('/s/', ['Transfer-Encoding: chunked'], '3;a=b;c="d"\r\nabc\r\n0;x\r\n\r\n', 'POST')))
        .body,
    ).toBe('abc')
    const client = await proxy.client()
    client.send(request('/s/', ['Transfer-Encoding: chunked'], `3;${'x'.repeat(100_000)}\r\nabc\r\n0\r\n\r\n`, 'POST'))
    expect((await client.response()).status).toBeGreaterThanOrEqual(400)
    await client.untilOver()
  })

  it('too many trailers are no way to use up memory', async () => {
    const origin = await answering((message) => ok(message.body))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/', ['Transfer-Encoding: chunked'], `0\r\n${'X: y\r\n'.repeat(50_000)}\r\n`, 'POST'))
    expect((await client.response()).status).toBeGreaterThanOrEqual(400)
    await client.untilOver()
  })
})

describeEngines('bodies that could pass for requests', (engine) => {
  for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST', 'PUT', 'PATCH']) {
    it(`a ${method} with a body reaches the endpoint with that body, in chunks and of known length`, async () => {
      for (const keepAlive of [false, true]) {
        const origin = await answering(ok(''))
        const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive } })
        const client = await proxy.client()
        client.send(request('/s/', ['Transfer-Encoding: chunked'], chunked([hidden]), method))
        expect((await client.response({ toHead: method === 'HEAD' })).status).toBe(200)
        client.send(request('/s/', [`Content-Length: ${hidden.length}`], hidden, method))
        expect((await client.response({ toHead: method === 'HEAD' })).status).toBe(200)
        expect(origin.requests().map(({ start, body }) => `${start.split(' ')[0]} ${body}`)).toEqual([
          `${method} ${hidden}`,
          `${method} ${hidden}`,
        ])
      }
    })
  }

  it('a client that stops in mid-body never completes the request of another', async () => {
    const origin = await startOrigin(async (connection) => {
      const seen = await connection.request()
      connection.send(ok(seen.body))
    })
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive: true } })
    const first = await proxy.client()
    first.send(request('/s/', ['Content-Length: 100'], 'abc', 'POST'))
    await (await origin.connection()).until('abc')
    first.reset()
    await proxy.record()
    expect((await proxy.ask(request('/s/', ['Content-Length: 3'], 'xyz', 'POST'))).body).toBe('xyz')
    expect(origin.connections).toHaveLength(2)
  })

  it('an early answer with keep-alive to the endpoint: the rest of the body is no request on the pooled connection', async () => {
    const origin = await startOrigin(async (connection) => {
      await connection.head()
      connection.send(ok('early'))
    })
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive: true } })
    const client = await proxy.client()
    client.send(request('/s/', [`Content-Length: ${hidden.length + 3}`], 'abc', 'POST'))
    expect((await client.response()).body).toBe('early')
    client.send(hidden)
    await (await origin.connection()).untilOver()
    expect((await proxy.ask(request('/s/'))).body).toBe('early')
    expect(origin.connections).toHaveLength(2)
    expect(origin.connections[0]?.received).not.toContain('/s/hidden HTTP/1.1\r\nHost: example.test\r\n\r\nGET')
  })
})
