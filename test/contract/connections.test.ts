import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { post, request, startProxy } from './harness.ts'
import { header, headerLines } from './messages.ts'
import { answering, ok, startOrigin } from './sockets.ts'

describeEngines('connections to endpoints', (engine) => {
  it('without keep-alive: one connection a request, each told to close', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    for (let turn = 0; turn < 4; turn++) {
      client.send(request('/s/'))
      await client.response()
    }
    expect(origin.connections).toHaveLength(4)
    expect(origin.requests().map((message) => headerLines(message, 'connection'))).toEqual(
      Array(4).fill([['close']].flat()),
    )
  })

  it('with keep-alive: connections are used again, and every endpoint gets the same share', async () => {
    const origins = [await answering(ok()), await answering(ok()), await answering(ok())]
    const proxy = await startProxy(engine, { services: { s: origins }, upstream: { keepAlive: true } })
    const client = await proxy.client()
    for (let turn = 0; turn < 12; turn++) {
      client.send(turn % 2 === 0 ? request('/s/') : post('/s/', 'abc'))
      await client.response()
    }
    expect(origins.map((origin) => origin.requests().length)).toEqual([4, 4, 4])
    expect(origins.map((origin) => origin.connections.length)).toEqual([1, 1, 1])
    expect(origins[0]?.requests().map((message) => headerLines(message, 'connection'))).not.toContainEqual(['close'])
    expect(proxy.listener.upstreamConnections()).toBe(3)
  })

  it('with keep-alive: a connection that the endpoint said it closes is not used again', async () => {
    const origin = await answering(ok('ok', 'Connection: close\r\n'))
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive: true } })
    const client = await proxy.client()
    for (let turn = 0; turn < 3; turn++) {
      client.send(request('/s/'))
      await client.response()
    }
    expect(origin.connections).toHaveLength(3)
  })

  it('with keep-alive: an idle connection that the endpoint dropped fails no request', async () => {
    const origin = await startOrigin(async (connection) => {
      for (let turn = 0; turn < 2; turn++) {
        await connection.request()
        if (turn === 1 && origin.connections[0] === connection) return connection.reset()
        connection.send(ok(`connection ${origin.connections.indexOf(connection)}`))
      }
    })
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive: true } })
    const client = await proxy.client()
    const bodies: string[] = []
    for (let turn = 0; turn < 2; turn++) {
      client.send(request('/s/'))
      bodies.push((await client.response()).body)
    }
    expect(bodies).toEqual(['connection 0', 'connection 1'])
    expect(proxy.attempts.map(({ outcome }) => outcome)).toEqual(['responded', 'responded'])
  })

  it('with keep-alive: what an endpoint says unasked is never an answer to the next request', async () => {
    const origin = await startOrigin(async (connection) => {
      await connection.request()
      connection.send(ok('first'))
      if (origin.connections[0] !== connection) return
      connection.send(ok('POISON'))
    })
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive: true } })
    const client = await proxy.client()
    client.send(request('/s/'))
    expect((await client.response()).body).toBe('first')
    await (await origin.connection(0)).untilOver()
    client.send(request('/s/'))
    expect((await client.response()).body).toBe('first')
    expect(origin.connections).toHaveLength(2)
  })

  it('drops pooled connections to endpoints that are gone', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive: true } })
    await proxy.ask(request('/s/'))
    proxy.listener.dropPooled((id) => id === 'somebody else')
    expect(proxy.listener.upstreamConnections()).toBe(1)
    proxy.listener.dropPooled((id) => id === origin.endpoint.id)
    await (await origin.connection()).untilOver()
    expect(proxy.listener.upstreamConnections()).toBe(0)
  })
})

describeEngines('connections of clients', (engine) => {
  it('live on although the endpoint closes its own after every answer', async () => {
    const origin = await answering(ok('ok', 'Connection: close\r\n'))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    for (let turn = 0; turn < 5; turn++) {
      client.send(request('/s/'))
      expect(header(await client.response(), 'connection')).not.toBe('close')
    }
    expect(client.over).toBe(false)
    expect(proxy.listener.clientConnections()).toBe(1)
  })

  it('are closed after the answer when the client asks for it', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/', ['Connection: close']))
    const response = await client.response()
    expect(header(response, 'connection')).toBe('close')
    await client.untilOver()
    expect(client.error).toBeNull()
  })

  it('answer pipelined requests in order, although a later one is done first', async () => {
    const origin = await answering((message) => ok(message.start.split(' ')[1]))
    const slow = await startOrigin()
    const proxy = await startProxy(engine, { services: { fast: [origin], slow: [slow] } })
    const client = await proxy.client()
    client.send(
      request('/slow/1') + post('/fast/2', 'two') + request('/fast/3') + request('/nowhere') + request('/fast/4'),
    )
    const held = await slow.connection()
    await held.request()
    held.end(ok('/1'))
    const bodies: string[] = []
    for (let turn = 0; turn < 5; turn++) {
      const response = await client.response()
      bodies.push(response.status === 200 ? response.body : String(response.status))
    }
    expect(bodies).toEqual(['/1', '/2', '/3', '404', '/4'])
    expect(origin.requests().map(({ body }) => body)).toEqual(['two', '', ''])
  })

  it('start no pipelined request before the one in front of it is answered: order matters to those that write', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(post('/s/1', 'a') + post('/s/2', 'b') + post('/s/3', 'c'))
    for (let turn = 0; turn < 3; turn++) {
      const connection = await origin.connection(turn)
      const seen = await connection.request()
      expect([seen.start, origin.connections.length]).toEqual([`POST /${turn + 1} HTTP/1.1`, turn + 1])
      connection.end(ok())
    }
    for (let turn = 0; turn < 3; turn++) expect((await client.response()).status).toBe(200)
  })

  it('a flood of pipelined requests takes one upstream connection at a time', async () => {
    let most = 0
    const origin = await startOrigin(async (connection) => {
      most = Math.max(most, proxy.listener.upstreamConnections())
      await connection.request()
      connection.end(ok())
    })
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    const count = 300
    client.send(request('/s/').repeat(count))
    for (let turn = 0; turn < count; turn++) expect((await client.response()).status).toBe(200)
    expect(origin.connections).toHaveLength(count)
    // One in use, and some that have been told to close and have not yet been seen to.
    expect(most).toBeLessThan(10)
  })

  it('are closed when they stay idle too long', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, {
      services: { s: [origin] },
      limits: { clientIdleTimeoutMs: 150, clientHeaderTimeoutMs: 600 },
    })
    const client = await proxy.client()
    client.send(request('/s/'))
    await client.response()
    await client.untilOver()
  })

  it('are closed when they stay idle too long behind an empty line', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, {
      services: { s: [origin] },
      limits: { clientIdleTimeoutMs: 150, clientHeaderTimeoutMs: 600 },
    })
    const client = await proxy.client()
    client.send(request('/s/'))
    await client.response()
    client.send('\r\n')
    await client.untilOver()
  })

  it('are closed when the rest of a body that is no longer wanted stops coming', async () => {
    const proxy = await startProxy(engine, {
      services: {},
      limits: { clientIdleTimeoutMs: 150, clientHeaderTimeoutMs: 600 },
    })
    const client = await proxy.client()
    client.send(request('/nowhere', ['Content-Length: 1000'], 'abc', 'POST'))
    expect((await client.response()).status).toBe(404)
    client.send('def')
    await client.untilOver()
  })
})
