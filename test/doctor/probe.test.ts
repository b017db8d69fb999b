/** What does the doctor see of real sockets? */

import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { type Probe, placeKey } from '../../src/doctor/facts.ts'
import { probeAll } from '../../src/doctor/probe.ts'
import { fullEndpoint } from '../contract/full-endpoint.ts'
import { freePort } from '../support/consul.ts'
import { listenOnLoopback } from '../support/loopback.ts'
import { waitFor } from '../support/wait.ts'
import { at, instance } from './facts-fixture.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

const question = { path: '/up?x=1', deadlineMs: 5000, userAgent: 'doctor/1' }
const quiet = () => {}

async function probed(
  port: number,
  asks: typeof question | null = null,
  connectTimeoutMs = 5000,
): Promise<Probe | undefined> {
  const one = at('127.0.0.1', 'a', { port, connectTimeoutMs })
  return (await probeAll([one], asks, quiet)).get(placeKey(one))
}

/** A listener that does this with each connection. */
async function listener(onSocket: (socket: Socket) => void): Promise<number> {
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(async () => {
    for (const socket of open) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return (server.address() as AddressInfo).port
}

describe('connecting', () => {
  test('to a listener, and nothing is sent', async () => {
    let received = ''
    const ended: Promise<unknown>[] = []
    const port = await listener((socket) => {
      socket.on('data', (bytes) => {
        received += bytes
      })
      ended.push(once(socket, 'close'))
    })
    expect(await probed(port)).toEqual({ kind: 'connected', http: null })
    await Promise.all(ended)
    expect([ended.length, received]).toEqual([1, ''])
  })

  test('to a port on which nothing listens', async () => {
    expect(await probed(await freePort())).toEqual({ kind: 'failed', code: 'ECONNREFUSED' })
  })

  test('to a listener that never accepts', async () => {
    const { port } = await fullEndpoint()
    expect(await probed(port, null, 200)).toEqual({ kind: 'timed-out', afterMs: 200 })
  })

  test('goes to each place once, however many are registered there, and never to what is no place', async () => {
    let connections = 0
    const port = await listener(() => {
      connections += 1
    })
    const same = [at('127.0.0.1', 'a1', { port }), at('127.0.0.1', 'a2', { port })]
    const nowhere = [
      instance('b1', { address: null }),
      instance('b2', { port: null }),
      at('224.0.0.1', 'b3'),
      at('::', 'b4', { port }),
    ]
    const told: [number, number][] = []
    const probes = await probeAll([...same, ...nowhere], null, (done, all) => void told.push([done, all]))
    expect([probes.size, connections, told]).toEqual([1, 1, [[1, 1]]])
  })

  test('hundreds of places, 64 at a time', async () => {
    const waiting: Socket[] = []
    const port = await listener((socket) => void waiting.push(socket))
    // Places of one address, as far as the doctor can tell them apart.
    const many = Array.from({ length: 100 }, (_, n) =>
      at('127.0.0.1', 'a', { port, place: `place-${n}`, connectTimeoutMs: 20_000 }),
    )
    const probing = probeAll(many, { ...question, deadlineMs: 20_000 }, quiet)
    await waitFor('as many as may come', () => waiting.length >= 64)
    // All that were to come at first have been begun, and who comes later is accepted later.
    const last = connect(port, '127.0.0.1')
    await waitFor('one that came last', () => waiting.some(({ remotePort }) => remotePort === last.localPort))
    expect(waiting.length).toBe(65)
    last.destroy()
    for (const socket of waiting) socket.end('HTTP/1.1 200 OK\r\n\r\n')
    await waitFor('the others', () => waiting.length === 101)
    for (const socket of waiting.slice(65)) socket.end('HTTP/1.1 200 OK\r\n\r\n')
    expect((await probing).size).toBe(100)
  })
})

describe('a GET', () => {
  test('asks for the path, names the place, and closes the connection', async () => {
    const seen: Partial<IncomingMessage>[] = []
    const server = createHttpServer((request, response) => {
      seen.push(request)
      response.writeHead(204).end()
    })
    const port = await listenOnLoopback(server, cleanups)
    expect(await probed(port, question)).toEqual({ kind: 'connected', http: { kind: 'status', status: 204 } })
    expect(seen).toHaveLength(1)
    expect(seen[0]).toMatchObject({
      ...{ method: 'GET', url: '/up?x=1' },
      headers: { host: `127.0.0.1:${port}`, connection: 'close', 'user-agent': 'doctor/1' },
    })
  })

  test.each<[string, (socket: Socket) => void, object]>([
    ['an error', (socket) => socket.end('HTTP/1.1 500 Oh\r\n\r\n'), { kind: 'status', status: 500 }],
    [
      'a hint first',
      (socket) => socket.end('HTTP/1.1 103 Hint\r\n\r\nHTTP/1.1 404 No\r\n\r\n'),
      { kind: 'status', status: 404 },
    ],
    [
      'a body without end',
      (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na'),
      { kind: 'status', status: 200 },
    ],
    ['another protocol', (socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n'), { kind: 'no-http' }],
    ['half a head', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-'), { kind: 'broke-off', code: 'ECONNRESET' }],
    [
      'a hang-up, as of a relay without anybody behind it',
      (socket) => socket.end(),
      { kind: 'broke-off', code: 'ECONNRESET' },
    ],
    ['a reset', (socket) => socket.resetAndDestroy(), { kind: 'broke-off' }],
    [
      'another protocol, unasked',
      (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
      { kind: 'no-http' },
    ],
  ])('answered by %s', async (_, answer, http) => {
    // Once it was asked: some of these would else be over before the question.
    const port = await listener((socket) => socket.once('data', () => answer(socket)))
    expect(await probed(port, question)).toMatchObject({ kind: 'connected', http })
  })

  test('that is not answered', async () => {
    const port = await listener(() => {})
    const http = { kind: 'silent', afterMs: 50 }
    expect(await probed(port, { ...question, deadlineMs: 50 })).toEqual({ kind: 'connected', http })
  })
})
