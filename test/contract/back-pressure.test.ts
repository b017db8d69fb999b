import type { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { waitFor } from '../support/wait.ts'
import { describeEngines } from './engines.ts'
import { fullEndpoint } from './full-endpoint.ts'
import { request, startProxy, underWay } from './harness.ts'
import { answering, ok, startOrigin } from './sockets.ts'
import { feed, stalled } from './streams.ts'
import { switched, switching } from './switching.ts'

const MiB = 1024 * 1024
const size = 96 * MiB
/** What the kernel holds for two connections, and some for the proxy itself: far from the whole. */
const mostBytes = 16 * MiB

/** How much of what was written has left this process's own buffer: it is in the kernel, the proxy or beyond. */
const taken = (socket: Socket): number => socket.bytesWritten - socket.writableLength

async function expectStopped(sender: Socket, inChunks = false): Promise<void> {
  const feeding = feed(sender, size, inChunks).catch(() => {})
  await stalled(sender)
  expect(taken(sender)).toBeLessThan(mostBytes)
  sender.destroy()
  await Promise.race([feeding, new Promise((resolve) => sender.once('close', resolve))])
}

describeEngines('a side that does not read stops the other', (engine) => {
  it('a client that does not read an answer, however it is framed and whatever version it speaks', async () => {
    const fields = [`Content-Length: ${size}\r\n`, 'Transfer-Encoding: chunked\r\n', '']
    const origin = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const stops: Promise<void>[] = []
    for (const version of ['1.1', '1.0']) {
      for (const field of fields) {
        const client = await proxy.client()
        client.send(`GET /s/ HTTP/${version}\r\nHost: a\r\n\r\n`)
        const connection = await origin.connection(stops.length)
        await connection.head()
        client.socket.pause()
        connection.send(`HTTP/1.1 200 OK\r\n${field}\r\n`)
        stops.push(expectStopped(connection.socket, field.startsWith('Transfer')))
      }
    }
    await Promise.all(stops)
  })

  it('an endpoint that does not read a body, of known length and in chunks', async () => {
    const origin = await startOrigin((connection) => connection.socket.pause())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const stops: Promise<void>[] = []
    for (const field of [`Content-Length: ${size}`, 'Transfer-Encoding: chunked']) {
      const client = await proxy.client()
      client.send(request('/s/', [field], '', 'POST'))
      await origin.connection(stops.length)
      stops.push(expectStopped(client.socket, field.startsWith('Transfer')))
    }
    await Promise.all(stops)
  })

  for (const side of ['client', 'endpoint'] as const) {
    it(`the ${side} of a tunnel`, async () => {
      const origin = await startOrigin()
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const client = await proxy.client()
      client.send(switching())
      const connection = await origin.connection()
      await connection.request()
      connection.send(switched)
      await client.response()
      const [reader, writer] = side === 'client' ? [client, connection] : [connection, client]
      reader.socket.pause()
      await expectStopped(writer.socket)
      reader.reset()
    })
  }

  it('an endpoint that has not accepted yet: the body stays with the client, and another endpoint gets it whole', async () => {
    const full = await fullEndpoint()
    const good = await answering((seen) => ok(String(seen.body.length)))
    const proxy = await startProxy(engine, { services: { s: [full, good] }, upstream: { connectTimeoutMs: 500 } })
    const body = 'x'.repeat(20 * MiB)
    for (let turn = 0; turn < 2; turn++) {
      const client = await proxy.client()
      client.send(request('/s/', [`Content-Length: ${body.length}`], '', 'POST'))
      client.send(body)
      const before = proxy.attempts.length
      let early = 0
      await waitFor('the first attempt to be over', () => {
        if (good.connections.length === turn) early = taken(client.socket)
        return proxy.attempts.length > before
      })
      expect(early).toBeLessThan(mostBytes)
      expect((await client.response()).body).toBe(String(body.length))
    }
    expect(proxy.attempts.map(({ outcome }) => outcome)).toContain('timed-out')
  })

  it('pipelined requests behind one that is not answered: no more of them are read', async () => {
    const { client, connection } = await underWay(engine)
    const feeding = feed(client.socket, size).catch(() => {})
    await stalled(client.socket)
    expect(taken(client.socket)).toBeLessThan(mostBytes)
    client.reset()
    connection.end(ok())
    await Promise.race([feeding, client.untilClosed()])
  })
})
