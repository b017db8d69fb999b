import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { request, startProxy } from './harness.ts'
import { chunked, header, headerLines } from './messages.ts'
import { answering, ok, refusingEndpoint, startOrigin } from './sockets.ts'
import { switched, switching } from './switching.ts'

describeEngines('a switch of protocols', (engine) => {
  it('forwards the request with its own Upgrade, and the headers of the answer', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(switching('WebSocket', ['Sec-WebSocket-Protocol: chat']))
    const connection = await origin.connection()
    const seen = await connection.request()
    expect(seen.start).toBe('GET /chat HTTP/1.1')
    expect([headerLines(seen, 'connection'), headerLines(seen, 'upgrade')]).toEqual([['Upgrade'], ['WebSocket']])
    expect([header(seen, 'sec-websocket-protocol'), header(seen, 'x-forwarded-for')]).toEqual(['chat', '127.0.0.1'])
    connection.send(switched.replace('\r\n\r\n', '\r\nSec-WebSocket-Protocol: chat\r\n\r\n'))
    const response = await client.response()
    expect([response.status, headerLines(response, 'connection'), headerLines(response, 'upgrade')]).toEqual([
      101,
      ['Upgrade'],
      ['websocket'],
    ])
    expect([header(response, 'sec-websocket-protocol'), header(response, 'via')]).toEqual(['chat', '1.1 evenkeel'])
  })

  it('loses no bytes that come right behind the head, on either side', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(`${switching()}from the client`)
    const connection = await origin.connection()
    await connection.request()
    connection.send(`${switched}from the endpoint`)
    await client.response()
    await client.until('from the endpoint')
    await connection.until('from the client')
    client.send(', and more')
    await connection.until('from the client, and more')
    connection.end()
    await client.untilOver()
  })

  it('of any protocol works', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(switching('tcp-over-http/7'))
    const connection = await origin.connection()
    await connection.request()
    connection.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp-over-http/7\r\n\r\n')
    await client.response()
    for (const word of ['ping', 'pong']) {
      client.send(word)
      await connection.until(word)
      connection.send(word)
      await client.until(word)
    }
    client.end()
    await connection.untilOver()
    connection.end('last words')
    await client.until('last words')
  })

  it('behind a request that is still being answered waits for its turn', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(`${request('/s/first')}${switching()}early`)
    const first = await origin.connection()
    await first.request()
    first.end(ok())
    expect((await client.response()).status).toBe(200)
    const second = await origin.connection(1)
    await second.request()
    second.send(switched)
    expect((await client.response()).status).toBe(101)
    await second.until('early')
  })

  const refusals: readonly { name: string; answer: string; body: string }[] = [
    { name: 'a body of known length', answer: 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno', body: 'no' },
    {
      name: 'a body in chunks',
      answer: `HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(['n', 'o'])}`,
      body: 'no',
    },
    { name: 'a body that ends with the connection', answer: 'HTTP/1.1 403 Forbidden\r\n\r\nno', body: 'no' },
    { name: 'no body', answer: 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n', body: '' },
  ]
  for (const { name, answer, body } of refusals) {
    it(`that the endpoint refuses with ${name} is an ordinary answer`, async () => {
      const origin = await startOrigin(async (connection) => {
        await connection.request()
        connection.end(answer)
      })
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const client = await proxy.client()
      client.send(switching())
      const response = await client.response()
      expect([response.status, response.body, header(response, 'connection')]).toEqual([403, body, 'close'])
      await client.untilOver()
      expect(client.error).toBeNull()
      expect(await proxy.record()).toMatchObject({ status: 403, outcome: 'responded' })
    })
  }

  it('that the endpoint refuses and then breaks off is cut', async () => {
    const origin = await startOrigin(async (connection) => {
      await connection.request()
      connection.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 20\r\n\r\nno')
    })
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(switching())
    await client.untilClosed()
    expect([client.error, client.ended]).toEqual(['ECONNRESET', false])
  })

  it('that nobody answers is a 504', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { responseTimeoutMs: 60 } })
    const client = await proxy.client()
    client.send(switching())
    expect((await client.response()).status).toBe(504)
    await client.untilOver()
  })

  it('that finds no endpoint, service or path is an ordinary error', async () => {
    const proxy = await startProxy(engine, { services: { s: [await refusingEndpoint()], empty: [] } })
    for (const [target, status] of [
      ['/s/', 502],
      ['/empty/', 503],
      ['/other/', 404],
      ['/s/../', 400],
    ] as const) {
      const client = await proxy.client()
      client.send(switching().replace('/s/chat', target))
      expect((await client.response()).status).toBe(status)
      await client.untilOver()
      expect(client.error).toBeNull()
    }
  })

  it('whose client resets before the endpoint answers ends nothing but itself', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(switching())
    const connection = await origin.connection()
    await connection.request()
    client.reset()
    await connection.untilOver()
    connection.end(switched)
    expect(await proxy.record()).toMatchObject({ status: 499, outcome: 'client-left' })
  })

  it('whose client is gone just as the endpoint answers leaves nothing behind', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(switching())
    const connection = await origin.connection()
    await connection.request()
    client.reset()
    connection.send(`${switched}hello`)
    await connection.untilOver()
    await proxy.record()
  })

  it('asked for in HTTP/1.0 is not a request to switch', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask('GET /s/ HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    expect(response.status).toBe(200)
    expect(origin.requests().map((message) => headerLines(message, 'upgrade'))).toEqual([[]])
  })

  it('to h2c is served as the ordinary request that it also is, body and all, and the connection lives on', async () => {
    const origin = await answering((message) => ok(message.body === '' ? 'no body' : message.body))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    const asking = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__']
    client.send(request('/s/', asking))
    expect((await client.response()).body).toBe('no body')
    client.send(request('/s/', [...asking, 'Content-Length: 5'], 'hello', 'POST'))
    expect((await client.response()).body).toBe('hello')
    client.send(
      request('/s/', [...asking, 'Transfer-Encoding: chunked'], chunked(['hel', 'lo']), 'POST') + request('/s/'),
    )
    expect((await client.response()).body).toBe('hello')
    expect((await client.response()).body).toBe('no body')
    for (const seen of origin.requests()) {
      expect([
        headerLines(seen, 'upgrade'),
        headerLines(seen, 'http2-settings'),
        headerLines(seen, 'connection'),
      ]).toEqual([[], [], ['close']])
    }
    expect(proxy.listener.clientConnections()).toBe(1)
  })
})
