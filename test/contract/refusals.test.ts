import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { post, request, startProxy } from './harness.ts'
import { header, type Message } from './messages.ts'
import { answering, ok, startOrigin } from './sockets.ts'

function expectProblem(message: Message, status: number): void {
  expect(message.status).toBe(status)
  expect(header(message, 'content-type')).toBe('application/problem+json')
  expect(header(message, 'proxy-status')).toMatch(/^evenkeel; error=[a-z_]+/)
  const document = JSON.parse(message.body) as Record<string, unknown>
  expect(document).toMatchObject({ type: 'about:blank', status })
  expect(document.requestId).toBe(header(message, 'x-request-id'))
}

describeEngines('targets', (engine) => {
  const unsafe = [
    '/s/..',
    '/s/../t',
    '/s/a/../../t',
    '/s/%2e%2e/t',
    '/s/%2E./t',
    '/s/.%2e/t',
    '/s/a/%2e%2e/%2e%2e/t',
    '/s/..%2ft',
    '/s/..%2Ft',
    '/s/..%5ct',
    '/s/%2e%2e%2f%2e%2e%2ft',
    '/s/a%2f..%2f..',
    '/s/a%5cb%2f..%2f..%2ft',
    '/s/a%2fb%5c..%5c..%5ct',
    '/s/./../t',
    '/s//../t',
    '/s/..;/t',
    '/s/a/..;x=1/..;/t',
    '/s/%2e%2e;/t',
    '/s/\\..\\t',
    '/s\\t',
    '/s/a\\b',
    '/s/%00',
    '/s/a%00b',
    '/s/%0d%0aX:y',
    '/s/%7f',
    '/s/%',
    '/s/%4',
    '/s/%zz',
    '/s/%u002e',
    '/s/%c0%ae%c0%ae/t',
    '/s/%e0%80%af',
    '/s/%f0%80%80%af',
    '/',
    '//',
    '//s/a',
    '/./s/',
    '/../s/',
    '/%2e%2e/s/',
    '/%2fs/',
    '/a%2fb/',
    '/%00/',
    '/%/',
    '/%ff/',
    '/?a',
    's/a',
    'example.test/s/',
    '*',
    '/s/a#b',
    '/s#',
    'ftp://example.test/s/',
    'http://other.test/s/',
    'http://example.test@evil.test/s/',
    'https:///s/a',
  ]
  it('that could be read in two ways, or leave their service, are 400, and no endpoint hears of them', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin], t: [origin] } })
    for (const target of unsafe) {
      const response = await proxy.ask(request(target, [], '', target === '*' ? 'OPTIONS' : 'GET'))
      expect(`${target} ${response.status}`).toBe(`${target} 400`)
      expectProblem(response, 400)
    }
    expect(origin.connections).toHaveLength(0)
    expect(proxy.records.every(({ outcome }) => outcome === 'refused')).toBe(true)
  })

  it('that are refused leave the connection as good as before', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(post('/s/..', 'GET /s/ HTTP/1.1\r\n\r\n') + request('/s/fine'))
    expectProblem(await client.response(), 400)
    expect((await client.response()).status).toBe(200)
    expect(origin.requests().map(({ start }) => start)).toEqual(['GET /fine HTTP/1.1'])
  })

  it('with characters that must be encoded are 400 and closed', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    for (const target of ['/s/a b', '/s/\xe9', '/s/\x01', '/s/a\tb', '/s/\0']) {
      const response = await proxy.ask(request(target))
      expect(`${target} ${response.status}`).toBe(`${target} 400`)
    }
    expect(origin.connections).toHaveLength(0)
  })

  it('that look odd and are not unsafe go through as they are', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin], 'a b': [origin] } })
    const odd = [
      '/s',
      '/s?x',
      '/s/',
      '/s//',
      '/s/a//b',
      '/s/a/../b',
      '/s/...',
      '/s/..a',
      '/s/a..',
      '/s/.',
      '/s/%2f',
      '/s/a%2fb',
      '/s/%252e%252e/',
      '/s/%c3%a9',
      '/s/%e9',
      '/s/a;b=c',
      '/s/!$&\'()*+,=:@~|^`{}[]<>"',
      '/s/?/../..',
      '/%73/x',
      '/a%20b/x',
    ]
    for (const target of odd) expect(`${target} ${(await proxy.ask(request(target))).status}`).toBe(`${target} 200`)
    expect(origin.requests().map(({ start }) => start.split(' ')[1])).toEqual([
      '/',
      '/?x',
      '/',
      '//',
      '/a//b',
      '/a/../b',
      '/...',
      '/..a',
      '/a..',
      '/.',
      '/%2f',
      '/a%2fb',
      '/%252e%252e/',
      '/%c3%a9',
      '/%e9',
      '/a;b=c',
      '/!$&\'()*+,=:@~|^`{}[]<>"',
      '/?/../..',
      '/x',
      '/x',
    ])
  })

  it('of CONNECT are 405 and closed, in their turn', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(`${request('/s/')}CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n${request('/s/')}`)
    expect((await client.response()).status).toBe(200)
    const refused = await client.response()
    expectProblem(refused, 405)
    expect(header(refused, 'allow')).toContain('GET')
    await client.untilOver()
    expect(client.received).toBe('')
    expect(origin.requests()).toHaveLength(1)
  })
})

describeEngines('limits', (engine) => {
  const rows: readonly { name: string; status: number; bytes: string }[] = [
    { name: 'too many header bytes', status: 431, bytes: request('/s/', [`X: ${'x'.repeat(1_100)}`]) },
    { name: 'far too many header bytes', status: 431, bytes: request('/s/', [`X: ${'x'.repeat(100_000)}`]) },
    {
      name: 'too many header fields',
      status: 431,
      bytes: request(
        '/s/',
        Array.from({ length: 21 }, (_, index) => `X-${index}: 1`),
      ),
    },
    { name: 'a target that is too long', status: 414, bytes: request(`/s/${'x'.repeat(600)}`) },
    { name: 'a body that says it is too large', status: 413, bytes: post('/s/', 'x'.repeat(101)) },
  ]
  const limits = { headerBytes: 1_024, headerCount: 20, targetBytes: 500, bodyBytes: 100 }
  for (const { name, status, bytes } of rows) {
    it(`${name}: ${status}, closed, and no endpoint hears of it`, async () => {
      const origin = await answering(ok())
      const proxy = await startProxy(engine, { services: { s: [origin] }, limits })
      const client = await proxy.client()
      client.send(bytes + request('/s/second'))
      const response = await client.response()
      expectProblem(response, status)
      expect(header(response, 'connection')).toBe('close')
      await client.untilOver()
      expect(client.error).toBeNull()
      expect(origin.connections).toHaveLength(0)
      expect(proxy.records).toMatchObject([{ status, outcome: 'refused' }])
    })
  }

  it('exactly at the limits a request passes', async () => {
    const origin = await answering((message) => ok(String(message.body.length)))
    const proxy = await startProxy(engine, { services: { s: [origin] }, limits })
    const target = `/s/${'x'.repeat(497)}`
    const fields = Array.from({ length: 18 }, (_, index) => `X-${index}: 1`)
    expect((await proxy.ask(post(target, 'x'.repeat(100), fields))).body).toBe('100')
  })

  it('a target longer than a whole head may be', async () => {
    const proxy = await startProxy(engine, { services: {}, limits })
    const response = await proxy.ask(request(`/s/${'x'.repeat(50_000)}`))
    expectProblem(response, engine.cannot['huge-target-is-414'] === undefined ? 414 : 431)
  })

  it('a chunked body that grows too large: 413 and closed, and the endpoint sees no complete request', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] }, limits })
    const client = await proxy.client()
    client.send(request('/s/', ['Transfer-Encoding: chunked'], '', 'POST'))
    client.send(`32\r\n${'x'.repeat(50)}\r\n`)
    const connection = await origin.connection()
    await connection.until('xxx')
    client.send(`33\r\n${'x'.repeat(51)}\r\n0\r\n\r\n${request('/s/second')}`)
    const response = await client.response()
    expectProblem(response, 413)
    expect(header(response, 'connection')).toBe('close')
    await client.untilOver()
    await connection.untilOver()
    expect(origin.connections).toHaveLength(1)
    expect(origin.completeRequests()).toEqual([])
    expect((await proxy.record()).outcome).toBe('bad-request')
  })

  it('a client that never stops sending a refused body is cut', async () => {
    const proxy = await startProxy(engine, { services: { s: [await startOrigin()] }, limits })
    const client = await proxy.client()
    client.send(request('/s/', ['Transfer-Encoding: chunked'], '', 'POST'))
    const piece = `400\r\n${'x'.repeat(1_024)}\r\n`
    const sending = setInterval(() => client.socket.writable && client.send(piece), 10)
    try {
      expectProblem(await client.response(), 413)
      await client.untilOver()
      await client.untilClosed()
    } finally {
      clearInterval(sending)
    }
  })

  it('a head that does not arrive in time: 408 and closed', async () => {
    const proxy = await startProxy(engine, { services: {}, limits: { clientHeaderTimeoutMs: 100 } })
    for (const bytes of ['', 'GET', 'GET /s/ HTTP/1.1\r\nHost: a\r\nX: ']) {
      const client = await proxy.client()
      client.send(bytes)
      await client.untilOver()
      const response = await client.response()
      expectProblem(response, 408)
      expect(header(response, 'connection')).toBe('close')
    }
  })

  it('a head that drips is timed from its first byte', async () => {
    const proxy = await startProxy(engine, { services: {}, limits: { clientHeaderTimeoutMs: 200 } })
    const client = await proxy.client()
    client.send('GET /s/ HTTP/1.1\r\nX: ')
    const dripping = setInterval(() => client.socket.writable && client.send('x'), 20)
    try {
      expectProblem(await client.response(), 408)
      await client.untilOver()
    } finally {
      clearInterval(dripping)
    }
  })

  it('a body that stops coming: 408 and closed, and it is not held against the endpoint', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { idleTimeoutMs: 80 } })
    const client = await proxy.client()
    client.send(request('/s/', ['Content-Length: 10'], 'abc', 'POST'))
    const response = await client.response()
    expectProblem(response, 408)
    expect(header(response, 'connection')).toBe('close')
    await client.untilOver()
    await (await origin.connection()).untilOver()
    expect(proxy.attempts.map(({ outcome }) => outcome)).toEqual(['bad-request'])
  })

  it('more connections than allowed: 503 and closed, and room again afterwards', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] }, limits: { maxConnections: 2 } })
    const held = [await proxy.client(), await proxy.client()]
    for (const client of held) {
      client.send(request('/s/'))
      expect((await client.response()).status).toBe(200)
    }
    const surplus = await proxy.client()
    surplus.send(request('/s/'))
    const response = await surplus.response()
    expectProblem(response, 503)
    expect([header(response, 'connection'), header(response, 'retry-after')]).toEqual(['close', '1'])
    await surplus.untilOver()
    surplus.end()
    held[0]?.end()
    await held[0]?.untilClosed()
    await surplus.untilClosed()
    expect((await proxy.ask(request('/s/'))).status).toBe(200)
  })
})
