import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { post, request, startProxy, underWay } from './harness.ts'
import { answering, ok, type RawClient, startOrigin } from './sockets.ts'
import { feed, stalled } from './streams.ts'

const ways: readonly { name: string; leave: (client: RawClient) => void }[] = [
  { name: 'closes', leave: (client) => client.socket.destroy() },
  { name: 'resets', leave: (client) => client.reset() },
]

describeEngines('a client that leaves', (engine) => {
  for (const { name, leave } of ways) {
    it(`${name} before the answer: the endpoint is told, and it is logged as 499`, async () => {
      const { proxy, client, connection } = await underWay(engine)
      leave(client)
      await connection.untilOver()
      expect(await proxy.record()).toMatchObject({ status: 499, outcome: 'client-left', attempts: 1 })
    })

    it(`${name} during the upload: the endpoint is told, and sees no complete request`, async () => {
      const origin = await startOrigin()
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      for (const [turn, framing] of ['Content-Length: 100', 'Transfer-Encoding: chunked'].entries()) {
        const client = await proxy.client()
        client.send(request('/s/', [framing], '5\r\nabcde\r\n', 'POST'))
        const connection = await origin.connection(turn)
        await connection.until('abcde')
        leave(client)
        await connection.untilOver()
        expect(await proxy.record(turn)).toMatchObject({ status: 499, outcome: 'client-left' })
      }
      expect(origin.completeRequests()).toEqual([])
    })

    it(`${name} in the middle of the answer: the endpoint is told`, async () => {
      const { proxy, client, connection } = await underWay(engine)
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc')
      await client.until('abc')
      leave(client)
      await connection.untilOver()
      expect(await proxy.record()).toMatchObject({ status: 499, outcome: 'client-left' })
    })
  }

  it('while its request is still being connected leaves nothing behind', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    for (let turn = 0; turn < 30; turn++) {
      const client = await proxy.client()
      client.socket.write(post('/s/', 'abc'), () => client.reset())
    }
    await proxy.record()
    expect(proxy.records.every(({ outcome }) => outcome === 'client-left')).toBe(true)
  })

  it('with pipelined requests waiting leaves nothing behind, and what waited is never sent', async () => {
    const { origin, proxy, client, connection } = await underWay(
      engine,
      request('/s/1') + request('/s/2') + request('/s/3'),
    )
    client.reset()
    await connection.untilOver()
    await proxy.record()
    expect(origin.connections).toHaveLength(1)
  })
})

describeEngines('a client that resets while it is not read', (engine) => {
  const reason = engine.cannot['aborts-noticed-while-not-reading']
  const outcome = reason === undefined ? 'the endpoint is told' : `noticed when there is something to say (${reason})`

  it(`because it has sent far ahead: ${outcome}`, async () => {
    const { client, connection, proxy } = await underWay(engine)
    const feeding = feed(client.socket, 64 * 1024 * 1024).catch(() => {})
    await stalled(client.socket)
    client.reset()
    if (reason === undefined) await connection.untilOver()
    else connection.end(ok())
    expect((await proxy.record()).outcome).toMatch(reason === undefined ? /client-left/ : /client-left|responded/)
    await Promise.race([feeding, client.untilClosed()])
  })

  it(`because the endpoint does not take the body: ${outcome}`, async () => {
    const origin = await startOrigin((connection) => connection.socket.pause())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/', ['Transfer-Encoding: chunked'], '', 'POST'))
    const connection = await origin.connection()
    const feeding = feed(client.socket, 64 * 1024 * 1024, true).catch(() => {})
    await stalled(client.socket)
    client.reset()
    if (reason !== undefined) connection.socket.resume()
    expect(await proxy.record()).toMatchObject({ status: 499, outcome: 'client-left' })
    await Promise.race([feeding, client.untilClosed()])
  })
})

describeEngines('an endpoint that dies', (engine) => {
  const framings: readonly { name: string; head: string }[] = [
    { name: 'of known length', head: 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc' },
    { name: 'in chunks', head: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n' },
    { name: 'in chunks, in mid-chunk', head: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n30\r\nabc' },
  ]
  for (const { name, head } of framings) {
    for (const version of ['1.1', '1.0']) {
      for (const death of ['end', 'reset'] as const) {
        it(`${death === 'end' ? 'closes' : 'resets'} in a body ${name}: an HTTP/${version} client sees a cut, never a complete body`, async () => {
          const { proxy, client, connection } = await underWay(engine, `GET /s/ HTTP/${version}\r\nHost: a\r\n\r\n`)
          connection.send(head)
          await client.until('abc')
          connection[death]()
          await client.untilClosed()
          expect([client.error, client.ended]).toEqual(['ECONNRESET', false])
          expect(client.received).not.toContain('\r\n0\r\n')
          expect((await proxy.record()).outcome).toBe('broke-off')
        })
      }
    }
  }

  it('resets in a body that ends with the connection: the client sees a cut', async () => {
    const { client, connection } = await underWay(engine)
    connection.send('HTTP/1.1 200 OK\r\n\r\nabc')
    await client.until('abc')
    connection.reset()
    await client.untilClosed()
    expect([client.error, client.ended]).toEqual(['ECONNRESET', false])
    expect(client.received).not.toContain('\r\n0\r\n')
  })

  it('speaks nonsense in the middle of a chunked body: the client sees a cut', async () => {
    const origin = await answering('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n')
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/'))
    await client.untilClosed()
    expect([client.error, client.ended]).toEqual(['ECONNRESET', false])
    expect((await proxy.record()).outcome).toMatch(/broke-off|bad-response/)
  })

  for (const death of ['end', 'reset'] as const) {
    it(`${death === 'end' ? 'closes' : 'resets'} before the head: a GET goes to another endpoint, a POST is not sent twice`, async () => {
      const dying = await startOrigin(async (connection) => {
        await connection.head()
        connection[death]()
      })
      const good = await answering(ok('good'))
      const proxy = await startProxy(engine, { services: { s: [dying, good] } })
      for (let turn = 0; turn < 4; turn++) expect((await proxy.ask(request('/s/'))).body).toBe('good')
      const statuses: number[] = []
      for (let turn = 0; turn < 4; turn++) statuses.push((await proxy.ask(post('/s/', 'abc'))).status)
      expect(statuses.sort()).toEqual([200, 200, 502, 502])
      expect(proxy.retries.every(({ reason }) => reason === 'broke-off')).toBe(true)
      expect(good.requests().filter(({ start }) => start.startsWith('POST'))).toHaveLength(2)
    })
  }

  it('in the middle of a head is a 502', async () => {
    const origin = await startOrigin(async (connection) => {
      await connection.head()
      connection.end('HTTP/1.1 200 OK\r\nContent-')
    })
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask(request('/s/'))
    expect(response.status).toBe(502)
    expect(response.body).not.toContain('200')
  })

  it('after it has answered and before it has read the body: its answer is what counts', async () => {
    const origin = await startOrigin(async (connection) => {
      await connection.head()
      connection.end('HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig')
    })
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/', ['Content-Length: 1000000'], 'x'.repeat(1000), 'POST'))
    const response = await client.response()
    expect([response.status, response.body]).toEqual([413, 'big'])
  })
})
