import { expect, it } from 'vitest'
import { waitFor } from '../support/wait.ts'
import { describeEngines, type EngineUnderTest, type Limitation } from './engines.ts'
import { post, request, type Proxy as StartedProxy, startProxy } from './harness.ts'
import { chunked, type Message } from './messages.ts'
import { answering, type Origin, type OriginConnection, ok, startOrigin } from './sockets.ts'
import { switched, switching } from './switching.ts'

const pooled = (engine: EngineUnderTest, origin: Origin, upstream = {}) =>
  startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive: true, ...upstream } })

/** Answers every request on the first `count` connections once, and does this to what comes second on them. */
function failingSecond(count: number, fail: (connection: OriginConnection) => void): Promise<Origin> {
  const origin = startOrigin(async (connection) => {
    const own = (await origin).connections.indexOf(connection)
    for (let turn = 0; ; turn++) {
      await connection.request()
      if (own < count && turn > 0) return fail(connection)
      connection.send(ok(`connection ${own}`))
    }
  })
  return origin
}

/** What the endpoint saw, as methods, one list a connection. */
const methodsOn = (origin: Origin) => origin.requests().map(({ start }) => start.split(' ')[0])

async function oneRequest(proxy: StartedProxy, bytes = request('/s/')): Promise<Message> {
  return proxy.ask(bytes, { toHead: bytes.startsWith('HEAD') })
}

describeEngines('an idle connection that the endpoint drops just as it is used again', (engine) => {
  const deaths: readonly { name: string; die: (connection: OriginConnection) => void }[] = [
    { name: 'closes', die: (connection) => connection.end() },
    { name: 'resets', die: (connection) => connection.reset() },
  ]
  for (const { name, die } of deaths) {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE', 'PUT']) {
      it(`${name}: a ${method} without a body is sent once more on a fresh one, and nobody is blamed`, async () => {
        const origin = await failingSecond(1, die)
        const proxy = await pooled(engine, origin)
        await oneRequest(proxy)
        const response = await oneRequest(proxy, request('/s/', [], '', method))
        expect([response.status, method === 'HEAD' || response.body === 'connection 1']).toEqual([200, true])
        expect(methodsOn(origin)).toEqual(['GET', method, method])
        expect(proxy.attempts.map(({ outcome }) => outcome)).toEqual(['responded', 'responded'])
        expect(await proxy.record(1)).toMatchObject({ status: 200, outcome: 'responded', attempts: 1 })
        expect(proxy.retries).toEqual([])
      })
    }

    const unsafe: readonly { name: string; bytes: string }[] = [
      { name: 'a POST', bytes: post('/s/', 'abc') },
      { name: 'a POST without a body', bytes: request('/s/', [], '', 'POST') },
      { name: 'a PATCH', bytes: request('/s/', ['Content-Length: 3'], 'abc', 'PATCH') },
      { name: 'a PUT with a body', bytes: request('/s/', ['Content-Length: 3'], 'abc', 'PUT') },
      {
        name: 'a DELETE with a body in chunks',
        bytes: request('/s/', ['Transfer-Encoding: chunked'], chunked(['abc']), 'DELETE'),
      },
    ]
    for (const { name: what, bytes } of unsafe) {
      it(`${name}: ${what} is a 502, and is not sent twice`, async () => {
        const origin = await failingSecond(1, die)
        const proxy = await pooled(engine, origin)
        await oneRequest(proxy)
        expect((await oneRequest(proxy, bytes)).status).toBe(502)
        expect(methodsOn(origin)).toEqual(['GET', bytes.split(' ')[0]])
        expect(await proxy.record(1)).toMatchObject({ status: 502, outcome: 'broke-off', attempts: 1 })
      })
    }

    it(`${name}: the one fresh try is not made over another idle one`, async () => {
      const origin = await startOrigin(async (connection) => {
        const own = origin.connections.indexOf(connection)
        await connection.request()
        // The first two are open at the same time, and so both idle afterwards.
        if (own < 2) await origin.connection(1)
        connection.send(ok(`connection ${own}`))
        await connection.request()
        die(connection)
      })
      const proxy = await pooled(engine, origin)
      await Promise.all([oneRequest(proxy), oneRequest(proxy)])
      expect((await oneRequest(proxy)).body).toBe('connection 2')
      expect(origin.requests()).toHaveLength(4)
    })
  }

  it('and the fresh one dies too: 502, and it was sent twice and no more', async () => {
    const origin = await startOrigin(async (connection) => {
      await connection.request()
      if (origin.connections[0] !== connection) return connection.reset()
      connection.send(ok())
      await connection.request()
      connection.reset()
    })
    const proxy = await pooled(engine, origin)
    await oneRequest(proxy)
    expect((await oneRequest(proxy)).status).toBe(502)
    expect(origin.requests()).toHaveLength(3)
  })

  const begun: readonly { name: string; bytes: string }[] = [
    { name: 'the first bytes of an answer', bytes: 'HTTP/1.1 2' },
    { name: 'half a head', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n' },
    { name: 'an interim answer', bytes: 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n' },
  ]
  const reason = engine.cannot['first-bytes-count']
  for (const { name, bytes } of begun) {
    it(`behind ${name}: ${reason === undefined ? '502, and it is not sent again' : `sent once more at most (${reason})`}`, async () => {
      const origin = await failingSecond(1, (connection) => connection.end(bytes))
      const proxy = await pooled(engine, origin)
      await oneRequest(proxy)
      const client = await proxy.client()
      client.send(request('/s/'))
      const { status } = await proxy.record(1)
      if (reason === undefined) expect([status, origin.requests().length]).toEqual([502, 2])
      else expect([200, 502]).toContain(status)
      expect(origin.requests().length).toBeLessThan(4)
    })
  }

  for (const { name, die } of deaths) {
    it(`${name} while it is idle: it is let go at once, and a POST is sent over a fresh one`, async () => {
      const origin = await startOrigin(async (connection) => {
        await connection.request()
        connection.send(ok())
      })
      const proxy = await pooled(engine, origin)
      await oneRequest(proxy)
      const connection = await origin.connection()
      die(connection)
      await connection.untilClosed()
      await waitFor('the proxy to let go', () => proxy.listener.upstreamConnections() === 0)
      expect((await oneRequest(proxy, post('/s/', 'abc'))).status).toBe(200)
    })
  }
})

describeEngines('a connection is kept for the next request', (engine) => {
  const kept: readonly { name: string; answer: string; ask?: string }[] = [
    { name: 'an answer of known length', answer: ok() },
    { name: 'an empty answer', answer: ok('') },
    {
      name: 'an answer in chunks with trailers',
      answer: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(['ab'], 'X: y\r\n')}`,
    },
    { name: 'a 204', answer: 'HTTP/1.1 204 No Content\r\n\r\n' },
    { name: 'a 304 with a length', answer: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n' },
    {
      name: 'an answer to HEAD',
      answer: 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n',
      ask: request('/s/', [], '', 'HEAD'),
    },
    {
      name: 'an answer to a POST in chunks',
      answer: ok(),
      ask: request('/s/', ['Transfer-Encoding: chunked'], chunked(['abc']), 'POST'),
    },
    { name: 'interim answers before the last', answer: `HTTP/1.1 103 Early Hints\r\n\r\n${ok()}` },
    { name: 'a 500', answer: ok().replace('200 OK', '500 Oops') },
  ]
  for (const { name, answer, ask = request('/s/') } of kept) {
    it(`behind ${name}`, async () => {
      const origin = await startOrigin(async (connection) => {
        for (;;) {
          await connection.request()
          connection.send(answer)
        }
      })
      const proxy = await pooled(engine, origin)
      const client = await proxy.client()
      for (let turn = 0; turn < 3; turn++) {
        client.send(ask)
        const toHead = ask.startsWith('HEAD')
        while ((await client.response({ toHead })).status < 200);
      }
      expect([origin.connections.length, origin.requests().length]).toEqual([1, 3])
    })
  }

  it('only when the last one is complete: requests at the same time never share one', async () => {
    const origin = await startOrigin()
    const proxy = await pooled(engine, origin)
    const clients = await Promise.all([0, 1, 2].map(() => proxy.client()))
    for (const client of clients) client.send(request('/s/'))
    await origin.connection(2)
    for (const connection of origin.connections) connection.send(ok())
    await Promise.all(clients.map((client) => client.response()))
    expect([origin.connections.length, proxy.listener.upstreamConnections()]).toEqual([3, 3])
    expect(origin.requests()).toHaveLength(3)
  })
})

describeEngines('a connection is not kept', (engine) => {
  const dropped: readonly { name: string; answer: string; end?: boolean; needs?: Limitation }[] = [
    { name: 'Connection: close', answer: ok('ok', 'Connection: close\r\n') },
    { name: 'close among other things in Connection', answer: ok('ok', 'Connection: X-A, Close\r\n') },
    { name: 'an answer in HTTP/1.0', answer: ok().replace('HTTP/1.1', 'HTTP/1.0') },
    { name: 'an answer that ends with the connection', answer: 'HTTP/1.1 200 OK\r\n\r\nok', end: true },
    { name: 'bytes behind the answer', answer: `${ok()}surplus` },
    { name: 'another answer behind the answer', answer: `${ok()}${ok('POISON')}` },
    { name: 'a line end behind the answer', answer: `${ok()}\r\n`, needs: 'stray-line-ends-seen' },
    {
      name: 'bytes behind the last chunk',
      answer: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(['ok'])}0`,
    },
  ]
  for (const { name, answer, end, needs } of dropped) {
    it(`behind ${name}`, async () => {
      const origin = await startOrigin(async (connection) => {
        for (;;) {
          await connection.request()
          connection.send(answer)
          if (end) return connection.end()
        }
      })
      const proxy = await pooled(engine, origin)
      for (let turn = 0; turn < 3; turn++) expect((await oneRequest(proxy)).body).toBe('ok')
      const reason = needs === undefined ? undefined : engine.cannot[needs]
      expect([origin.connections.length, origin.requests().length]).toEqual([reason === undefined ? 3 : 1, 3])
    })
  }

  it('when something comes on it while it is idle, such as a 408, and that is nobody’s answer', async () => {
    const origin = await answering(ok('mine'))
    const proxy = await pooled(engine, origin)
    await oneRequest(proxy)
    const connection = await origin.connection()
    connection.send('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n')
    await connection.untilOver()
    for (let turn = 0; turn < 2; turn++) expect((await oneRequest(proxy)).body).toBe('mine')
    expect(origin.connections).toHaveLength(2)
  })

  it('when the client left before the answer was complete', async () => {
    const origin = await startOrigin(async (connection) => {
      await connection.head()
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
    })
    const proxy = await pooled(engine, origin)
    const client = await proxy.client()
    client.send(request('/s/'))
    await client.until('abc')
    client.reset()
    await proxy.record()
    await (await origin.connection()).untilOver()
    await waitFor('the proxy to let go', () => proxy.listener.upstreamConnections() === 0)
  })

  it('when it became a tunnel', async () => {
    const origin = await startOrigin()
    const proxy = await pooled(engine, origin)
    const client = await proxy.client()
    client.send(switching())
    const connection = await origin.connection()
    await connection.request()
    connection.send(switched)
    await client.response()
    client.end()
    connection.end()
    await client.untilClosed()
    await waitFor('the proxy to let go', () => proxy.listener.upstreamConnections() === 0)
  })
})
