import { createServer } from 'node:http'
import { expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import type { UpstreamOptions } from '../../src/proxy/policy.ts'
import { waitFor } from '../support/wait.ts'
import { closeAfterTest } from './cleanup.ts'
import { describeEngines } from './engines.ts'
import { startProxy } from './harness.ts'
import { listening, refusingEndpoint, startOrigin } from './sockets.ts'
import { switched, switching } from './switching.ts'

async function echoServer() {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 * 1024 })
  const server = createServer().on('upgrade', (req, socket, head) => {
    sockets.handleUpgrade(req, socket, head, (ws) => {
      ws.on('message', (data, isBinary) => {
        if (data.toString() === 'please close') ws.close(4001, 'as asked')
        else ws.send(data, { binary: isBinary })
      })
    })
  })
  closeAfterTest('origin', () => {
    for (const ws of sockets.clients) ws.terminate()
    server.closeAllConnections()
    server.close()
  })
  return listening(server)
}

async function openWebSocket(port: number): Promise<WebSocket> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/s/chat?room=1`, { maxPayload: 64 * 1024 * 1024 })
  closeAfterTest('client', () => ws.terminate())
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject))
  return ws
}

describeEngines('WebSockets', (engine) => {
  it('carry messages both ways, small and large, and close with the code of the endpoint', async () => {
    const proxy = await startProxy(engine, { services: { s: [await echoServer()] } })
    const ws = await openWebSocket(proxy.port)
    const echoes: Buffer[] = []
    ws.on('message', (data: Buffer) => echoes.push(data))
    const messages = [Buffer.from('hello'), Buffer.alloc(8 * 1024 * 1024, 'abc'), Buffer.alloc(0)]
    for (const message of messages) ws.send(message)
    await waitFor('the echoes', () => echoes.length === messages.length)
    expect(echoes.map((echo, index) => echo.equals(messages[index] as Buffer))).toEqual([true, true, true])
    const closed = new Promise((resolve) => ws.once('close', (code, reason) => resolve([code, reason.toString()])))
    ws.send('please close')
    expect(await closed).toEqual([4001, 'as asked'])
    const record = await proxy.record()
    expect(record).toMatchObject({ status: 101, outcome: 'responded', path: '/s/chat' })
    expect(record.bytesIn).toBeGreaterThan(8 * 1024 * 1024)
    expect(record.bytesOut).toBeGreaterThan(8 * 1024 * 1024)
  })

  it('close with the code of the client', async () => {
    const proxy = await startProxy(engine, { services: { s: [await echoServer()] } })
    const ws = await openWebSocket(proxy.port)
    const closed = new Promise((resolve) => ws.once('close', resolve))
    ws.close(4002)
    expect(await closed).toBe(4002)
  })

  it('go to another endpoint when the first refuses the connection', async () => {
    const proxy = await startProxy(engine, { services: { s: [await refusingEndpoint(), await echoServer()] } })
    for (let turn = 0; turn < 2; turn++) await openWebSocket(proxy.port)
    expect(proxy.attempts.map(({ outcome }) => outcome)).toContain('connect-failed')
  })
})

describeEngines('a tunnel', (engine) => {
  async function tunnel(upstream: Partial<UpstreamOptions> = {}) {
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream })
    const client = await proxy.client()
    client.send(switching())
    const connection = await origin.connection()
    await connection.request()
    connection.send(switched)
    await client.response()
    return { proxy, client, connection }
  }

  it('is closed when the endpoint resets it', async () => {
    const { client, connection, proxy } = await tunnel()
    connection.reset()
    await client.untilOver()
    client.end()
    expect((await proxy.record()).status).toBe(101)
  })

  it('is closed when the client resets it', async () => {
    const { client, connection } = await tunnel()
    client.reset()
    await connection.untilOver()
  })

  it('is closed when the endpoint closes it', async () => {
    const { client, connection } = await tunnel()
    connection.end('bye')
    await client.until('bye')
    await client.untilOver()
  })

  it('that is silent for longer than any deadline of a request stays open', async () => {
    const { client, connection } = await tunnel({ idleTimeoutMs: 300, responseTimeoutMs: 300 })
    const start = performance.now()
    await waitFor('more than the deadlines', () => performance.now() - start > 450)
    client.send('still here')
    await connection.until('still here')
    expect([client.over, connection.over]).toEqual([false, false])
  })

  it('is cut when the time to drain is over, and not before', async () => {
    const { proxy, client, connection } = await tunnel()
    const closing = proxy.listener.close(300)
    client.send('still here')
    await connection.until('still here')
    await closing
    await client.untilClosed()
    await connection.untilOver()
    expect(proxy.listener.clientConnections()).toBe(0)
  })
})
