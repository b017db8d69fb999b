import { expect, it } from 'vitest'
import { waitFor } from '../support/wait.ts'
import { describeEngines } from './engines.ts'
import { fullEndpoint } from './full-endpoint.ts'
import { post, request, startProxy } from './harness.ts'
import { header, type Message } from './messages.ts'
import { answering, ok, refusingEndpoint, startOrigin } from './sockets.ts'

const problem = (message: Message) => JSON.parse(message.body) as Record<string, unknown>

describeEngines('an endpoint that cannot be reached', (engine) => {
  it('refuses: another one is tried for any method, and the body arrives whole', async () => {
    const dead = [await refusingEndpoint(), await refusingEndpoint()]
    const good = await answering((message) => ok(message.body))
    const proxy = await startProxy(engine, { services: { s: [...dead, good] } })
    for (const method of ['GET', 'POST', 'PATCH', 'DELETE', 'PUT']) {
      const body = `${method} ${'x'.repeat(5_000)}`
      const whole = await proxy.ask(request('/s/', [`Content-Length: ${body.length}`], body, method))
      expect([whole.status, whole.body]).toEqual([200, body])
      const inChunks = `b\r\nhello world\r\n0\r\n\r\n`
      const piecewise = await proxy.ask(request('/s/', ['Transfer-Encoding: chunked'], inChunks, method))
      expect([piecewise.status, piecewise.body]).toEqual([200, 'hello world'])
    }
    expect(good.connections).toHaveLength(10)
    expect(new Set(proxy.retries.map(({ reason }) => reason))).toEqual(new Set(['connect-failed']))
  })

  it('all refuse: 502 as a problem document that names the last one', async () => {
    const dead = [await refusingEndpoint(), await refusingEndpoint()]
    const proxy = await startProxy(engine, { services: { s: dead } })
    const client = await proxy.client()
    client.send(post('/s/', 'abc', ['X-Request-Id: r1']))
    const response = await client.response()
    expect(response.status).toBe(502)
    expect(header(response, 'content-type')).toBe('application/problem+json')
    expect(header(response, 'x-request-id')).toBe('r1')
    expect(header(response, 'proxy-status')).toMatch(
      /^evenkeel; error=connection_refused; next-hop="127\.0\.0\.1:\d+"; details="/,
    )
    expect(problem(response)).toMatchObject({ title: 'Bad Gateway', status: 502, service: 's', requestId: 'r1' })
    expect((await proxy.record()).attempts).toBe(2)
    // The connection is as good as before.
    client.send(request('/nowhere'))
    expect((await client.response()).status).toBe(404)
  })

  it('no more attempts are made than allowed', async () => {
    const dead = await Promise.all(Array.from({ length: 5 }, refusingEndpoint))
    const proxy = await startProxy(engine, { services: { s: dead }, retry: { attempts: 3 } })
    expect((await proxy.ask(request('/s/'))).status).toBe(502)
    expect(proxy.attempts).toHaveLength(4)
    expect(new Set(proxy.attempts.map(({ endpoint }) => endpoint)).size).toBe(4)
    const without = await startProxy(engine, { services: { s: dead }, retry: { attempts: 0 } })
    await without.ask(request('/s/'))
    expect(without.attempts).toHaveLength(1)
  })

  it('accepts no connection in time: another one is tried, with the body; alone it is a 504', async () => {
    const full = await fullEndpoint()
    const good = await answering((message) => ok(message.body))
    const both = await startProxy(engine, { services: { s: [full, good] }, upstream: { connectTimeoutMs: 150 } })
    for (let turn = 0; turn < 2; turn++) expect((await both.ask(post('/s/', 'abc'))).body).toBe('abc')
    expect(both.attempts.map(({ outcome }) => outcome)).toContain('timed-out')
    const alone = await startProxy(engine, { services: { s: [full] }, upstream: { connectTimeoutMs: 150 } })
    const response = await alone.ask(request('/s/'))
    expect([response.status, header(response, 'proxy-status')?.split('; ')[1]]).toEqual([
      504,
      'error=connection_timeout',
    ])
  })

  it('a client that leaves while the connection is being made ends the attempt', async () => {
    const full = await fullEndpoint()
    const proxy = await startProxy(engine, { services: { s: [full] }, upstream: { connectTimeoutMs: 60_000 } })
    const client = await proxy.client()
    client.send(request('/s/'))
    await new Promise((resolve) => setImmediate(resolve))
    client.reset()
    expect(await proxy.record()).toMatchObject({ status: 499, outcome: 'client-left' })
  })

  it('an empty service is 503 with Retry-After, an unknown one 404', async () => {
    const proxy = await startProxy(engine, { services: { empty: [] } })
    const empty = await proxy.ask(request('/empty/'))
    const unknown = await proxy.ask(request('/other/'))
    expect([empty.status, Number(header(empty, 'retry-after')) >= 1, problem(empty).service]).toEqual([
      503,
      true,
      'empty',
    ])
    expect([unknown.status, problem(unknown).title]).toEqual([404, 'Unknown Service'])
    expect(proxy.records.map(({ service, outcome }) => `${service} ${outcome}`)).toEqual([
      'empty no-endpoints',
      'null unknown-service',
    ])
  })
})

describeEngines('an endpoint that misbehaves', (engine) => {
  it('does not answer in time: 504, and it is not tried elsewhere', async () => {
    const silent = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [silent, silent] }, upstream: { responseTimeoutMs: 60 } })
    for (const bytes of [request('/s/'), post('/s/', 'abc')]) {
      const response = await proxy.ask(bytes)
      expect([response.status, header(response, 'proxy-status')?.split('; ')[1]]).toEqual([
        504,
        'error=http_response_timeout',
      ])
    }
    expect(silent.connections).toHaveLength(2)
    for (const connection of silent.connections) await connection.untilOver()
  })

  it('a body that takes longer than the response timeout is not cut while it moves', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, {
      services: { s: [origin] },
      upstream: { responseTimeoutMs: 200, idleTimeoutMs: 3_000 },
    })
    const client = await proxy.client()
    client.send(request('/s/'))
    const connection = await origin.connection()
    await connection.head()
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n')
    const start = performance.now()
    let sent = 0
    await waitFor('more than the response timeout', () => {
      if (sent < 9) connection.send('x')
      sent++
      return performance.now() - start > 300
    })
    expect(sent).toBeGreaterThan(9)
    connection.send('x')
    expect((await client.response()).body).toBe('xxxxxxxxxx')
  })

  it('stops in the middle of a body: the client is cut', async () => {
    const origin = await startOrigin(async (connection) => {
      await connection.head()
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
    })
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { idleTimeoutMs: 60 } })
    const client = await proxy.client()
    client.send(request('/s/'))
    await client.untilClosed()
    expect([client.error, client.ended]).toEqual(['ECONNRESET', false])
    expect((await proxy.record()).outcome).toBe('timed-out')
  })

  it('does not take the body: 504', async () => {
    const origin = await startOrigin((connection) => connection.socket.pause())
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { idleTimeoutMs: 200 } })
    const client = await proxy.client()
    const size = 64 * 1024 * 1024
    client.send(request('/s/', [`Content-Length: ${size}`], '', 'POST'))
    client.socket.write(Buffer.alloc(size))
    expect((await client.response()).status).toBe(504)
  })

  const nonsense: readonly { name: string; bytes: string }[] = [
    { name: 'another protocol', bytes: 'SSH-2.0-OpenSSH_9.2\r\n\r\n' },
    { name: 'HTTP/2 frames', bytes: '\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff' },
    { name: 'a status that is none', bytes: 'HTTP/1.1 0ops Bad\r\n\r\n' },
    { name: 'a status below 100', bytes: 'HTTP/1.1 042 Odd\r\nContent-Length: 0\r\n\r\n' },
    {
      name: 'Content-Length and Transfer-Encoding',
      bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    },
    {
      name: 'Transfer-Encoding and Content-Length',
      bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    },
    {
      name: 'two different Content-Lengths',
      bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
    },
    { name: 'a Content-Length with a sign', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc' },
    {
      name: 'a transfer coding that it was not asked for',
      bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    },
    {
      name: 'a transfer coding that ends with the connection',
      bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc',
    },
    { name: 'a header with a NUL', bytes: 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n' },
    { name: 'a header with a bare CR', bytes: 'HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n' },
    { name: 'a space before the colon', bytes: 'HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 0\r\n\r\n' },
    {
      name: 'a head that is too large',
      bytes: `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(300_000)}\r\nContent-Length: 0\r\n\r\n`,
    },
    {
      name: 'a switch of protocols that nobody asked for',
      bytes: 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: evil\r\n\r\n',
    },
    { name: 'nothing but an end', bytes: '' },
  ]
  for (const { name, bytes } of nonsense) {
    it(`answers ${name}: 502, and nothing of it reaches the client`, async () => {
      const origin = await startOrigin(async (connection) => {
        await connection.head()
        connection.end(bytes)
      })
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const response = await proxy.ask(post('/s/', 'abc'))
      expect(response.status).toBe(502)
      expect(header(response, 'content-type')).toBe('application/problem+json')
    })
  }

  it('answers more than it was asked: the surplus reaches nobody', async () => {
    const origin = await answering(`${ok('one')}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON`)
    for (const keepAlive of [false, true]) {
      const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive } })
      const client = await proxy.client()
      for (let turn = 0; turn < 3; turn++) {
        client.send(request('/s/'))
        expect((await client.response()).body).toBe('one')
      }
    }
  })
})

describeEngines('trying again', (engine) => {
  it('a status that is to be tried elsewhere is not seen by the client, and nothing of its body', async () => {
    const bad = await answering(ok('bad').replace('200 OK', '503 Busy'))
    const good = await answering(ok('good'))
    const proxy = await startProxy(engine, { services: { s: [bad, good] }, retry: { statuses: [503] } })
    const client = await proxy.client()
    for (let turn = 0; turn < 4; turn++) {
      client.send(request('/s/'))
      expect((await client.response()).body).toBe('good')
    }
    expect(new Set(proxy.retries.map(({ reason }) => reason))).toEqual(new Set(['status']))
    expect(bad.connections.length).toBe(proxy.retries.length)
    const writes: number[] = []
    for (let turn = 0; turn < 2; turn++) writes.push((await proxy.ask(post('/s/', 'x'))).status)
    expect(writes.sort()).toEqual([200, 503])
  })

  it('when all answer so, the last answer is passed on', async () => {
    const origins = await Promise.all(['a', 'b'].map((body) => answering(ok(body).replace('200 OK', '503 Busy'))))
    const proxy = await startProxy(engine, { services: { s: origins }, retry: { statuses: [503] } })
    const response = await proxy.ask(request('/s/'))
    expect([response.status, response.body]).toEqual([503, 'b'])
    expect((await proxy.record()).attempts).toBe(2)
  })

  it('the budget bounds how many requests are tried again at once', async () => {
    const silent = await startOrigin()
    const dying = await startOrigin(async (connection) => {
      await connection.head()
      connection.reset()
    })
    const proxy = await startProxy(engine, { services: { s: [dying, silent] }, retry: { budget: 0 } })
    let sent = 0
    while (proxy.records.length === 0 && sent < 20) {
      const client = await proxy.client()
      client.send(request('/s/'))
      sent++
      await waitFor(
        'the request to be held or answered',
        () => silent.connections.length + proxy.records.length === sent,
      )
    }
    // Three are held that were tried again: the next one that would be is told instead.
    expect(await proxy.record()).toMatchObject({ status: 502, outcome: 'broke-off', attempts: 1 })
    expect(proxy.retries).toHaveLength(3)
    for (const connection of silent.connections) connection.end(ok())
    await proxy.record(sent - 1)
    expect(proxy.records.filter(({ status }) => status === 200)).toHaveLength(sent - 1)
  })
})
