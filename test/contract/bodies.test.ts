import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { waitFor } from '../support/wait.ts'
import { describeEngines } from './engines.ts'
import { post, request, startProxy, underWay } from './harness.ts'
import { chunked, header } from './messages.ts'
import { answering, ok, startOrigin } from './sockets.ts'
import { feed, fingerprint, measure, pattern, stalled } from './streams.ts'

const MiB = 1024 * 1024

describeEngines('bodies', (engine) => {
  it('of known length reach the endpoint byte for byte, and back', async () => {
    const origin = await answering((message) => ok(message.body))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const every = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('')
    const response = await proxy.ask(post('/s/', every))
    expect(response.body).toBe(every)
    expect(header(response, 'content-length')).toBe('256')
  })

  it('in chunks reach the endpoint as chunks, with their trailers, and back', async () => {
    const origin = await answering(
      (message) =>
        `HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n${chunked([message.body, '!'], 'X-Sum: 7\r\n')}`,
    )
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask(
      request(
        '/s/',
        ['Transfer-Encoding: chunked', 'Trailer: X-Check'],
        chunked(['ab', 'cde'], 'X-Check: 42\r\n'),
        'POST',
      ),
    )
    const [seen] = origin.requests()
    expect([seen?.body, seen?.trailers]).toEqual(['abcde', [['X-Check', '42']]])
    expect([response.body, response.trailers]).toEqual(['abcde!', [['X-Sum', '7']]])
  })

  it('drop trailers of an answer that would be dangerous as headers', async () => {
    const dangerous = [
      'Host: evil',
      'X-Forwarded-For: 6.6.6.6',
      'Authorization: x',
      'Connection: close',
      'Via: 1.1 liar',
      'X-Request-Id: liar',
      'Set-Cookie: evil=1',
    ]
    const trailers = `${dangerous.map((line) => `${line}\r\n`).join('')}X-Fine: yes\r\n`
    const origin = await answering(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(['x'], trailers)}`)
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    expect((await proxy.ask(request('/s/'))).trailers).toEqual([['X-Fine', 'yes']])
  })

  for (const trailer of ['Content-Length: 50', 'Transfer-Encoding: chunked']) {
    it(`of an answer with ${trailer} among the trailers are never read by it`, async () => {
      const body = chunked(['abc'], `${trailer}\r\n`)
      const origin = await startOrigin(async (connection) => {
        await connection.request()
        connection.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`)
      })
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const client = await proxy.client()
      client.send(request('/s/'))
      const record = await proxy.record()
      if (record.outcome === 'responded') {
        const response = await client.response()
        expect([response.body, response.trailers]).toEqual(['abc', []])
      } else if (record.status === 502 && !client.over) expect((await client.response()).status).toBe(502)
      else expect(await client.untilCut()).toBe(true)
    })
  }

  it('relay a chunked answer to a HEAD and an empty chunked body', async () => {
    const origin = await answering((message) =>
      message.start.startsWith('HEAD')
        ? 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
        : `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked([])}`,
    )
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/', [], '', 'HEAD'))
    expect((await client.response({ toHead: true })).status).toBe(200)
    client.send(request('/s/', ['Transfer-Encoding: chunked'], chunked([]), 'POST'))
    expect((await client.response()).body).toBe('')
    expect(origin.requests().map(({ body }) => body)).toEqual(['', ''])
  })

  it('that come a byte at a time arrive whole', async () => {
    const origin = await answering((message) => ok(message.body))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    const bytes = request('/s/x', ['Transfer-Encoding: chunked'], chunked(['abc', 'de']), 'PUT')
    await client.sendSlowly([...bytes])
    expect((await client.response()).body).toBe('abcde')
  })

  it('of many megabytes go up and come down unchanged, of known length and in chunks', async () => {
    const size = 24 * MiB
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    for (const [turn, framing] of ['length', 'chunks'].entries()) {
      const client = await proxy.client()
      const expected = fingerprint(size)
      client.send(
        request('/s/', [framing === 'length' ? `Content-Length: ${size}` : 'Transfer-Encoding: chunked'], '', 'POST'),
      )
      const connection = await origin.connection(turn)
      await connection.head()
      const up = measure(connection, framing === 'chunks')
      await feed(client.socket, size, framing === 'chunks')
      await waitFor('the whole upload', () => up.bytes >= size && up.complete(), 15_000)
      expect(up.digest()).toBe(expected)

      connection.send(
        `HTTP/1.1 200 OK\r\n${framing === 'length' ? `Content-Length: ${size}` : 'Transfer-Encoding: chunked'}\r\n\r\n`,
      )
      await client.until('\r\n\r\n')
      const down = measure(client, framing === 'chunks')
      await feed(connection.socket, size, framing === 'chunks')
      await waitFor('the whole download', () => down.bytes >= size && down.complete(), 15_000)
      expect(down.digest()).toBe(expected)
      connection.end()
    }
  })

  it('a client that does not read stops the endpoint from being read', async () => {
    const size = 96 * MiB
    const { client, connection } = await underWay(engine)
    client.socket.pause()
    connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
    const feeding = feed(connection.socket, size)
    await stalled(connection.socket)
    expect(connection.socket.writableLength).toBeGreaterThan(0)
    const down = measure(client, false, '\r\n\r\n')
    client.socket.resume()
    await feeding
    await waitFor('the whole body', () => down.bytes >= size, 15_000)
    connection.end()
  })

  it('an endpoint that does not read stops the client from being read', async () => {
    const size = 96 * MiB
    const origin = await startOrigin((connection) => connection.socket.pause())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/', [`Content-Length: ${size}`], '', 'POST'))
    const connection = await origin.connection()
    const feeding = feed(client.socket, size)
    await stalled(client.socket)
    expect(client.socket.writableLength).toBeGreaterThan(0)
    const up = measure(connection, false, '\r\n\r\n')
    connection.socket.resume()
    await feeding
    await waitFor('the whole body', () => up.bytes >= size, 15_000)
    connection.end(ok())
    expect((await client.response()).status).toBe(200)
  })

  it('the head of a stream arrives before its first event, and each event as it comes', async () => {
    const { client, connection } = await underWay(engine, request('/s/events'))
    connection.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
    await client.until('text/event-stream')
    connection.send('8\r\ndata: 1\n\r\n')
    await client.until('data: 1')
    connection.send('8\r\ndata: 2\n\r\n')
    await client.until('data: 2')
    connection.end('0\r\n\r\n')
    expect((await client.response()).body).toBe('data: 1\ndata: 2\n')
  })

  it('an answer that comes while the body is still being sent is passed on at once', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/', ['Content-Length: 10'], 'abc', 'POST'))
    const connection = await origin.connection()
    await connection.until('abc')
    connection.send(ok('', '').replace('200 OK', '403 Forbidden'))
    const response = await client.response()
    expect(response.status).toBe(403)
    client.send('defghij')
    client.send(request('/nowhere'))
    // Whether the connection lives on is the engine's choice; that the rest of the body is no request is not.
    if (header(response, 'connection') !== 'close') expect((await client.response()).status).toBe(404)
    expect(proxy.records.map(({ status }) => status)).not.toContain(400)
  })

  it('a stream in both directions at once works', async () => {
    const { client, connection } = await underWay(engine, request('/s/', ['Transfer-Encoding: chunked'], '', 'POST'))
    connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (const word of ['one', 'two']) {
      client.send(`3\r\n${word}\r\n`)
      await connection.until(word)
      connection.send(`3\r\n${word}\r\n`)
      await client.until(word)
    }
    client.send('0\r\n\r\n')
    await connection.until('0\r\n\r\n')
    connection.end('0\r\n\r\n')
    expect((await client.response()).body).toBe('onetwo')
  })

  it('the fingerprint of these tests tells bodies apart', () => {
    expect(fingerprint(100_000)).toBe(
      createHash('sha1').update(pattern.subarray(0, 65_536)).update(pattern.subarray(0, 34_464)).digest('hex'),
    )
  })
})
