import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { request, startProxy, underWay } from './harness.ts'
import { chunked, header, headerLines } from './messages.ts'
import { answering, ok, refusingEndpoint, startOrigin } from './sockets.ts'

const expecting = request('/s/', ['Content-Length: 4', 'Expect: 100-continue'], '', 'POST')

describeEngines('interim responses', (engine) => {
  it('100 is passed on when the endpoint sends it, and the body after it', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(expecting)
    const connection = await origin.connection()
    expect((await connection.head()).toLowerCase()).toContain('expect: 100-continue\r\n')
    expect(client.received).toBe('')
    connection.send('HTTP/1.1 100 Continue\r\n\r\n')
    expect((await client.response()).status).toBe(100)
    client.send('body')
    expect((await connection.request()).body).toBe('body')
    connection.end(ok())
    expect((await client.response()).status).toBe(200)
  })

  it('a final status without 100 reaches the client, and what it then sends is no request', async () => {
    const origin = await answering('')
    const refusing = await startOrigin(async (connection) => {
      await connection.head()
      connection.send('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n')
    })
    const proxy = await startProxy(engine, { services: { s: [refusing], hidden: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/', ['Content-Length: 400', 'Expect: 100-continue'], '', 'POST'))
    const response = await client.response()
    expect([response.status, header(response, 'connection')]).toEqual([401, 'close'])
    client.send(request('/hidden/'))
    await client.untilOver()
    expect(origin.connections).toHaveLength(0)
  })

  it('an answer of the proxy itself to a client that waits for 100 closes too', async () => {
    const proxy = await startProxy(engine, { services: { s: [await refusingEndpoint()] } })
    for (const target of ['/s/', '/nowhere', '/s/../x', '/']) {
      const client = await proxy.client()
      client.send(request(target, ['Content-Length: 4', 'Expect: 100-continue'], '', 'POST'))
      const response = await client.response()
      expect([response.status >= 400, header(response, 'connection')]).toEqual([true, 'close'])
      client.send('body')
      await client.untilOver()
      expect(client.error).toBeNull()
    }
  })

  it('a client that does not wait for 100 gets its answer', async () => {
    const origin = await answering((message) => ok(message.body))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask(`${expecting}body`)
    expect(response.body).toBe('body')
  })

  it('an endpoint that answers neither 100 nor anything is a timeout of the endpoint, not of the client', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, {
      services: { s: [origin] },
      upstream: { responseTimeoutMs: 80, idleTimeoutMs: 80 },
    })
    expect((await proxy.ask(expecting)).status).toBe(504)
    expect(proxy.attempts.map(({ outcome }) => outcome)).toEqual(['timed-out'])
  })

  it('100 is passed on for a body in chunks, in other case, and behind hints', async () => {
    const asking = request('/s/', ['Transfer-Encoding: chunked', 'Expect: 100-Continue'], '', 'PUT')
    const { client, connection } = await underWay(engine, asking)
    connection.send('HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n')
    while ((await client.response()).status !== 100);
    client.send(chunked(['bo', 'dy']))
    expect((await connection.request()).body).toBe('body')
    connection.end(ok())
    expect((await client.response()).status).toBe(200)
  })

  it('100 comes once, however often the endpoint says it, and a pipelined request behind the body is served', async () => {
    const { origin, client, connection } = await underWay(engine, expecting)
    connection.send('HTTP/1.1 100 Continue\r\n\r\n')
    expect((await client.response()).status).toBe(100)
    client.send(`body${request('/s/next')}`)
    await connection.request()
    connection.end(`HTTP/1.1 100 Continue\r\n\r\n${ok()}`)
    expect((await client.response()).status).toBe(200)
    const next = await origin.connection(1)
    await next.request()
    next.end(ok('next'))
    expect((await client.response()).body).toBe('next')
  })

  it('an endpoint that refuses the connection: another one is asked, and says 100', async () => {
    const good = await startOrigin(async (connection) => {
      await connection.head()
      connection.send('HTTP/1.1 100 Continue\r\n\r\n')
      connection.end(ok((await connection.request()).body))
    })
    const proxy = await startProxy(engine, { services: { s: [await refusingEndpoint(), good] } })
    for (let turn = 0; turn < 2; turn++) {
      const client = await proxy.client()
      client.send(expecting)
      expect((await client.response()).status).toBe(100)
      client.send('body')
      expect((await client.response()).body).toBe('body')
    }
  })

  it('a client that waits in vain and then sends its body all the same gets its answer', async () => {
    const { client, connection } = await underWay(engine, expecting)
    client.send('body')
    expect((await connection.request()).body).toBe('body')
    connection.end(ok())
    expect((await client.response()).status).toBe(200)
  })

  it('an expectation without a body is an ordinary request', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    for (const fields of [[], ['Content-Length: 0']]) {
      const client = await proxy.client()
      client.send(request('/s/', ['Expect: 100-continue', ...fields]))
      let response = await client.response()
      if (response.status === 100) response = await client.response()
      expect(response.body).toBe('ok')
      client.socket.destroy()
    }
    expect(origin.requests()).toHaveLength(2)
  })

  it('an expectation that nobody knows is refused in its turn', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/') + request('/s/', ['Expect: coffee']))
    expect((await client.response()).status).toBe(200)
    expect((await client.response()).status).toBe(417)
    await client.untilOver()
    expect(origin.requests()).toHaveLength(1)
  })

  it('103 Early Hints are passed on, and the answer after them', async () => {
    const { client, connection } = await underWay(engine)
    connection.send('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\nX-Hint: 1\r\n\r\n')
    const hint = await client.response()
    expect([hint.status, headerLines(hint, 'link'), headerLines(hint, 'x-hint')]).toEqual([
      103,
      ['</a.css>; rel=preload; as=style'],
      ['1'],
    ])
    connection.end(ok())
    expect((await client.response()).status).toBe(200)
  })

  it('several hints are passed on in order, each at once, and before a body in chunks', async () => {
    const { client, connection } = await underWay(engine)
    for (const hint of ['/a', '/b', '/c']) {
      connection.send(`HTTP/1.1 103 Early Hints\r\nLink: <${hint}>; rel=preload\r\n\r\n`)
      const seen = await client.response()
      expect([seen.status, headerLines(seen, 'link')]).toEqual([103, [`<${hint}>; rel=preload`]])
    }
    connection.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(['ab'])}`)
    expect((await client.response()).body).toBe('ab')
  })

  const unstripped = engine.cannot['hints-stripped']
  it(`hop-by-hop headers of a hint ${unstripped === undefined ? 'stay behind, and those that its Connection names' : `never spoil the answer (${unstripped})`}`, async () => {
    const { client, connection } = await underWay(engine)
    const fields = ['Link: </a>; rel=preload', 'Connection: X-Private', 'X-Private: 1', 'Keep-Alive: timeout=1']
    connection.send(`HTTP/1.1 103 Early Hints\r\n${fields.join('\r\n')}\r\n\r\n`)
    const hint = await client.response()
    if (unstripped === undefined) expect(hint.headers.map(([name]) => name)).toEqual(['Link'])
    connection.end(ok())
    expect((await client.response()).status).toBe(200)
    // Whatever a hint says, the connection lives on.
    expect(client.over).toBe(false)
  })

  it('hints without a Link, odd hints and unknown interim answers never spoil the answer', async () => {
    const interim = [
      '103 Early Hints\r\nX-Hint: 1',
      '103 Early Hints\r\nLink: nonsense',
      '102 Processing',
      '199 Odd',
      '100 Continue',
    ]
    const origin = await answering(`${interim.map((head) => `HTTP/1.1 ${head}\r\n\r\n`).join('')}${ok('done')}`)
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/'))
    const seen: number[] = []
    for (;;) {
      const response = await client.response()
      if (response.status === 200) {
        expect(response.body).toBe('done')
        break
      }
      seen.push(response.status)
    }
    if (engine.cannot['early-hints-verbatim'] === undefined)
      expect(seen.filter((status) => status === 103)).toHaveLength(2)
  })

  it('an HTTP/1.0 client never sees an interim response', async () => {
    const origin = await answering(
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n${ok()}`,
    )
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send('POST /s/ HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab')
    expect((await client.response()).status).toBe(200)
  })
})
