import { expect, it } from 'vitest'
import { waitFor } from '../support/wait.ts'
import { describeEngines } from './engines.ts'
import { post, request, startProxy } from './harness.ts'
import { header } from './messages.ts'
import { expectProblem } from './problem.ts'
import { answering, ok, startOrigin } from './sockets.ts'

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

  const endless: readonly { name: string; start: string; more: string; status: number | readonly number[] }[] = [
    { name: 'a method', start: '', more: 'X', status: [400, 414, 431, 501] },
    { name: 'a target', start: 'GET /s/', more: 'x', status: [414, 431] },
    { name: 'a version', start: 'GET /s/ HTTP/', more: '1', status: [400, 431, 505] },
    { name: 'a header name', start: 'GET /s/ HTTP/1.1\r\nHost: a\r\n', more: 'x', status: [400, 431] },
    { name: 'a header value', start: 'GET /s/ HTTP/1.1\r\nHost: a\r\nX: ', more: 'x', status: 431 },
    { name: 'a Host', start: 'GET /s/ HTTP/1.1\r\nHost: ', more: 'x', status: [400, 431] },
    { name: 'headers', start: 'GET /s/ HTTP/1.1\r\nHost: a\r\n', more: 'X: y\r\n', status: 431 },
  ]
  for (const { name, start, more, status } of endless) {
    const statuses = [status].flat()
    const expected = engine.cannot['huge-target-is-414'] === undefined || name !== 'a target' ? statuses : [431]
    it(`${name} that never ends: ${expected.join(' or ')} and closed, long before the time for a head is over`, async () => {
      const origin = await answering(ok())
      const proxy = await startProxy(engine, { services: { s: [origin] }, limits })
      for (const size of [20_000, 300_000]) {
        const client = await proxy.client()
        client.send(start + more.repeat(size / more.length))
        const response = await client.response()
        expect(expected).toContain(response.status)
        expect(header(response, 'connection')).toBe('close')
        await client.untilOver()
        client.end()
      }
      expect(origin.connections).toHaveLength(0)
    })
  }

  const uncounted = engine.cannot['blanks-counted']
  it(`blanks in front of a value that never end: ${uncounted === undefined ? 'refused and closed at once' : `408 and closed (${uncounted})`}`, async () => {
    const ours = { ...limits, clientHeaderTimeoutMs: uncounted === undefined ? 60_000 : 200 }
    const proxy = await startProxy(engine, { services: {}, limits: ours })
    const client = await proxy.client()
    client.send(`GET /s/ HTTP/1.1\r\nHost: a\r\nX:${' '.repeat(300_000)}`)
    expect(uncounted === undefined ? [400, 431] : [408]).toContain((await client.response()).status)
    await client.untilOver()
  })

  it('a method that is longer than any: refused and closed, and no endpoint hears of it', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/', [], '', 'X'.repeat(1_000)) + request('/s/second'))
    expect([400, 431, 501]).toContain((await client.response()).status)
    await client.untilOver()
    expect([client.received, origin.connections.length]).toEqual(['', 0])
  })

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

  it('a head that stops on a connection that has been used: 408 and closed', async () => {
    const proxy = await startProxy(engine, {
      services: { s: [await answering(ok())] },
      limits: { clientHeaderTimeoutMs: 150 },
    })
    const client = await proxy.client()
    client.send(request('/s/'))
    expect((await client.response()).status).toBe(200)
    client.send('GET /s/ HTTP/1.1\r\nHo')
    expectProblem(await client.response(), 408)
    await client.untilOver()
  })

  it('a body that drips is not cut as long as it drips', async () => {
    const origin = await answering((seen) => ok(seen.body))
    const proxy = await startProxy(engine, {
      services: { s: [origin] },
      limits: { clientHeaderTimeoutMs: 150, clientIdleTimeoutMs: 150 },
      upstream: { idleTimeoutMs: 300, responseTimeoutMs: 300 },
    })
    const client = await proxy.client()
    client.send(request('/s/', ['Content-Length: 10'], '', 'POST'))
    const start = performance.now()
    let sent = 0
    await waitFor('more than every deadline', () => {
      const due = Math.floor((performance.now() - start) / 60)
      for (; sent < Math.min(due, 10); sent++) client.send('x')
      return sent === 10
    })
    expect((await client.response()).body).toBe('xxxxxxxxxx')
  })

  it('a client that stops reading its answer is given up, and it is not held against the endpoint', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { idleTimeoutMs: 150 } })
    const client = await proxy.client()
    client.send(request('/s/'))
    const connection = await origin.connection()
    await connection.head()
    client.socket.pause()
    const size = 64 * 1024 * 1024
    connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
    connection.socket.write(Buffer.alloc(size))
    await connection.untilOver()
    expect((await proxy.record()).outcome).toBe('client-left')
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
