import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { request, startProxy, underWay } from './harness.ts'
import { chunked, header, headerLines } from './messages.ts'
import { answering, ok, startOrigin } from './sockets.ts'

describeEngines('bodies are relayed as they come', (engine) => {
  const up: readonly { name: string; field: string; first: string; last: string }[] = [
    { name: 'of known length', field: 'Content-Length: 8', first: 'first', last: 'end' },
    { name: 'in chunks', field: 'Transfer-Encoding: chunked', first: '5\r\nfirst\r\n', last: '3\r\nend\r\n0\r\n\r\n' },
    {
      name: 'in one chunk that comes in pieces',
      field: 'Transfer-Encoding: chunked',
      first: '8\r\nfirst',
      last: 'end\r\n0\r\n\r\n',
    },
  ]
  for (const { name, field, first, last } of up) {
    it(`an upload ${name}: its first piece is with the endpoint before its last is sent`, async () => {
      const { client, connection } = await underWay(engine, request('/s/', [field], '', 'POST'))
      client.send(first)
      await connection.until('first')
      client.send(last)
      expect((await connection.request()).body).toBe('firstend')
      connection.end(ok())
      expect((await client.response()).status).toBe(200)
    })
  }

  const down: readonly { name: string; field: string; first: string; last: string }[] = [
    ...up.map(({ name, field, first, last }) => ({ name, field: `${field}\r\n`, first, last })),
    { name: 'that ends with the connection', field: '', first: 'first', last: 'end' },
  ]
  for (const { name, field, first, last } of down) {
    for (const version of ['1.1', '1.0']) {
      it(`an answer ${name}: its first piece is with an HTTP/${version} client before its last is sent`, async () => {
        const { client, connection } = await underWay(engine, `GET /s/ HTTP/${version}\r\nHost: a\r\n\r\n`)
        connection.send(`HTTP/1.1 200 OK\r\n${field}\r\n${first}`)
        await client.until('first')
        connection.end(last)
        expect((await client.response()).body).toBe('firstend')
      })
    }
  }

  it('an answer with its head first and its body later', async () => {
    const { client, connection } = await underWay(engine)
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n')
    await client.until('\r\n\r\n')
    connection.end('abc')
    expect((await client.response()).body).toBe('abc')
  })

  it('trailers that come long after the last chunk', async () => {
    const { client, connection } = await underWay(engine, request('/s/', ['Transfer-Encoding: chunked'], '', 'POST'))
    client.send('3\r\nabc\r\n0\r\n')
    await connection.until('abc')
    client.send('X-Late: up\r\n\r\n')
    expect((await connection.request()).trailers).toEqual([['X-Late', 'up']])
    connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\n')
    await client.until('def')
    connection.end('X-Late: down\r\n\r\n')
    const response = await client.response()
    expect([response.body, response.trailers]).toEqual(['def', [['X-Late', 'down']]])
  })
})

describeEngines('chunks are framed anew', (engine) => {
  it('sizes in capitals, with zeros in front and extensions reach the endpoint, and the client, in plain form', async () => {
    const odd = '00A;x=y\r\n0123456789\r\nB\r\nabcdefghijk\r\n000;last\r\nX-T: 1\r\n\r\n'
    const origin = await answering(`HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n${odd}`)
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask(request('/s/', ['Transfer-Encoding: CHUNKED'], odd, 'POST'))
    const [seen] = origin.requests()
    for (const message of [seen, response]) {
      expect([message?.body, message?.trailers]).toEqual(['0123456789abcdefghijk', [['X-T', '1']]])
      expect(headerLines(message ?? { headers: [] }, 'transfer-encoding')).toEqual(['chunked'])
      expect(headerLines(message ?? { headers: [] }, 'content-length')).toEqual([])
    }
  })

  it('trailers keep their order, case and duplicates, and reach no client of HTTP/1.0', async () => {
    const lines = ['X-B: 1', 'x-a: \xe9', 'X-b: 2', 'X-Empty:', 'X-B: 3']
    const body = chunked(['abc'], lines.map((line) => `${line}\r\n`).join(''))
    const origin = await answering(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`)
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask(request('/s/', ['Transfer-Encoding: chunked'], body, 'POST'))
    const expected = [
      ['X-B', '1'],
      ['x-a', '\xe9'],
      ['X-b', '2'],
      ['X-Empty', ''],
      ['X-B', '3'],
    ]
    expect([origin.requests()[0]?.trailers, response.trailers]).toEqual([expected, expected])
    const old = await proxy.ask('GET /s/ HTTP/1.0\r\nHost: a\r\n\r\n')
    expect([old.body, header(old, 'transfer-encoding')]).toEqual(['abc', undefined])
  })

  it('a field that announces trailers is passed on', async () => {
    const origin = await answering(
      `HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(['x'], 'X-Sum: 1\r\n')}`,
    )
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask(
      request('/s/', ['Trailer: X-Sum', 'Transfer-Encoding: chunked'], chunked(['x'], 'X-Sum: 1\r\n'), 'POST'),
    )
    expect([header(response, 'trailer'), header(origin.requests()[0] ?? { headers: [] }, 'trailer')]).toEqual([
      'X-Sum',
      'X-Sum',
    ])
  })
})

describeEngines('an answer that comes before the request is whole', (engine) => {
  const framings = [
    { name: 'of known length', field: 'Content-Length: 10', begun: 'abc', rest: 'defghij' },
    { name: 'in chunks', field: 'Transfer-Encoding: chunked', begun: '3\r\nabc\r\n', rest: '3\r\ndef\r\n0\r\n\r\n' },
  ]
  for (const { name, field, begun, rest } of framings) {
    it(`to a body ${name} is passed on at once, whole, and the rest of the body is no request`, async () => {
      const origin = await startOrigin()
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const client = await proxy.client()
      client.send(request('/s/', [field], begun, 'POST'))
      const connection = await origin.connection()
      await connection.until('abc')
      connection.send('HTTP/1.1 413 Too Much\r\nContent-Length: 6\r\n\r\nnot')
      await client.until('not')
      connection.send('all')
      const response = await client.response()
      expect([response.status, response.body]).toEqual([413, 'notall'])
      client.send(`${rest}${request('/nowhere')}`)
      if (header(response, 'connection') === 'close') await client.untilOver()
      else expect((await client.response()).status).toBe(404)
      expect(await proxy.record()).toMatchObject({ status: 413, outcome: 'responded' })
    })

    it(`to a body ${name} that is still wanted: both go on to their ends`, async () => {
      const origin = await startOrigin()
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const client = await proxy.client()
      client.send(request('/s/', [field], begun, 'POST'))
      const connection = await origin.connection()
      await connection.until('abc')
      connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n')
      await client.until('one')
      client.send(rest)
      expect((await connection.request()).body).toContain('abcdef')
      connection.end('3\r\ntwo\r\n0\r\n\r\n')
      expect((await client.response()).body).toBe('onetwo')
    })
  }
})
