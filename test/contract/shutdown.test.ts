import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { waitFor } from '../support/wait.ts'
import { describeEngines } from './engines.ts'
import { post, request, startProxy } from './harness.ts'
import { header } from './messages.ts'
import { answering, ok, type RawClient, startOrigin } from './sockets.ts'

describeEngines('closing', (engine) => {
  it('under keep-alive load fails no request that was sent, and tells every client to close', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    let closing: Promise<void> | null = null
    let answered = 0
    const run = async (client: RawClient): Promise<string> => {
      for (;;) {
        client.send(answered % 3 === 0 ? post('/s/', 'abc') : request('/s/'))
        const response = await client.response()
        if (response.status !== 200) return `status ${response.status}`
        answered++
        if (header(response, 'connection') !== 'close') continue
        await client.untilOver()
        return closing === null ? 'closed too early' : 'told to close'
      }
    }
    const clients = await Promise.all(Array.from({ length: 10 }, () => proxy.client()))
    const runs = clients.map(run)
    await waitFor('some load', () => answered > 100)
    closing = proxy.listener.close(5_000)
    expect(new Set(await Promise.all(runs))).toEqual(new Set(['told to close']))
    for (const client of clients) client.end()
    await closing
    expect(proxy.records.every(({ status }) => status === 200)).toBe(true)
    // An endpoint's own FIN may take a moment.
    const { listener } = proxy
    await waitFor('all is closed', () => listener.clientConnections() + listener.upstreamConnections() === 0)
  })

  it('lets what is in flight finish, and refuses new connections meanwhile', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/'))
    const connection = await origin.connection()
    await connection.request()
    const closing = proxy.listener.close(5_000)
    const refused = await new Promise<string | undefined>((resolve) => {
      connect(proxy.port, '127.0.0.1').once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    })
    expect(refused).toBe('ECONNREFUSED')
    connection.end(ok('finished'))
    const response = await client.response()
    expect([response.body, header(response, 'connection')]).toEqual(['finished', 'close'])
    client.end()
    await closing
  })

  it('answers pipelined requests that are on their way, every one of them', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/1') + request('/s/2') + request('/s/3'))
    const first = await origin.connection()
    await first.request()
    const closing = proxy.listener.close(5_000)
    first.end(ok('1'))
    for (const turn of [1, 2]) {
      const connection = await origin.connection(turn)
      await connection.request()
      connection.end(ok(String(turn + 1)))
    }
    const seen: string[] = []
    for (let turn = 0; turn < 3; turn++) {
      const response = await client.response()
      seen.push(`${response.body} ${header(response, 'connection') ?? 'keep-alive'}`)
    }
    expect(seen).toEqual(['1 keep-alive', '2 keep-alive', '3 close'])
    client.end()
    await closing
  })

  it('cuts at the deadline what has not finished', async () => {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const clients = [await proxy.client(), await proxy.client(), await proxy.client()]
    clients[0]?.send(request('/s/'))
    clients[1]?.send('GET /s/ HTT')
    const connection = await origin.connection()
    await connection.request()
    await proxy.listener.close(200)
    expect(proxy.listener.clientConnections()).toBe(0)
    for (const client of clients) await client.untilClosed()
    await connection.untilOver()
    expect(await proxy.record()).toMatchObject({ status: 499 })
  })

  it('closes idle connections well before the deadline, and is the same when asked twice', async () => {
    const proxy = await startProxy(engine, { services: {} })
    const client = await proxy.client()
    client.send(request('/s/'))
    await client.response()
    const closing = proxy.listener.close(60_000)
    expect(proxy.listener.close(1)).toBe(closing)
    await client.untilOver()
    client.end()
    await closing
  })

  it('drops pooled connections to endpoints', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive: true } })
    await proxy.ask(request('/s/'))
    expect(proxy.listener.upstreamConnections()).toBe(1)
    await proxy.listener.close(5_000)
    await (await origin.connection()).untilOver()
    await waitFor('no connection left', () => proxy.listener.upstreamConnections() === 0)
  })
})
