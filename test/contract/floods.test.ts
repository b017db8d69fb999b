import { expect, it } from 'vitest'
import { waitFor } from '../support/wait.ts'
import { describeEngines } from './engines.ts'
import { post, request, startProxy } from './harness.ts'
import { answering, ok, startOrigin } from './sockets.ts'

describeEngines('a client that asks and asks', (engine) => {
  it('what the proxy answers by itself, without a pause: all is answered, and others are served meanwhile', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const count = 5_000
    const flood = await proxy.client()
    flood.send(request('/unknown/x').repeat(count))
    expect((await proxy.ask(request('/s/'))).body).toBe('ok')
    await waitFor('every answer', () => proxy.records.length === count + 1, 15_000)
  })

  const waits = engine.cannot['unread-answers-cut']

  it(`and never reads the answers: ${waits ?? 'the connection is cut when nothing moves any more'}`, async () => {
    const proxy = await startProxy(engine, { limits: { clientIdleTimeoutMs: 400, clientHeaderTimeoutMs: 400 } })
    const client = await proxy.client()
    client.socket.pause()
    let sent = 0
    const batch = request('/unknown/x').repeat(200)
    while (proxy.listener.clientConnections() > 0 && sent < 300) {
      client.send(batch)
      sent++
      await new Promise((resolve) => setImmediate(resolve))
    }
    if (waits !== undefined) client.socket.destroy()
    await waitFor('the connection to be cut', () => proxy.listener.clientConnections() === 0, 8_000)
  })
})

describeEngines('an upload that the endpoint does not want', (engine) => {
  const cannot = engine.cannot['early-refusal-heard']

  it(`is refused and the connection closed with bytes unread: ${cannot ?? 'the client hears the refusal'}`, async () => {
    const origin = await startOrigin(async (connection) => {
      connection.socket.pause()
      connection.socket.once('readable', () => {
        connection.socket.read(200)
        connection.socket.end(
          'HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig',
          () => connection.socket.destroy(),
        )
      })
    })
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const statuses = new Set<number>()
    for (let turn = 0; turn < 12; turn++) statuses.add((await proxy.ask(post('/s/', 'x'.repeat(300_000)))).status)
    if (cannot === undefined) expect([...statuses]).toEqual([413])
    else for (const status of statuses) expect([413, 502]).toContain(status)
  })

  it('is answered early, and then its client stalls: that is not held against the endpoint', async () => {
    const origin = await startOrigin(async (connection) => {
      await connection.head()
      connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n')
    })
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { idleTimeoutMs: 300 } })
    const client = await proxy.client()
    client.send(request('/s/', ['Content-Length: 100'], 'abc', 'POST'))
    await client.until('hi')
    await client.untilClosed()
    const { outcome } = await proxy.record()
    expect(outcome).toBe(engine.cannot['stalled-upload-is-the-clients'] === undefined ? 'client-left' : 'timed-out')
  })
})
