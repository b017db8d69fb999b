import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Endpoint } from '../../../src/balancer/endpoint.ts'
import { Deadlines } from '../../../src/proxy/engines/wire/deadlines.ts'
import { UpstreamPool } from '../../../src/proxy/engines/wire/upstream-pool.ts'
import type { UpstreamSocket, UpstreamUser } from '../../../src/proxy/engines/wire/upstream-socket.ts'
import { waitFor } from '../../support/wait.ts'

let server: Server
let accepted: Socket[]
let endpoint: Endpoint
let pool: UpstreamPool

beforeEach(async () => {
  accepted = []
  server = createServer((socket) => {
    accepted.push(socket)
    socket.on('error', () => {})
    socket.on('data', (bytes) => socket.write(bytes))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  endpoint = { id: `127.0.0.1:${port}`, instance: 'i', address: '127.0.0.1', port, weight: 1 }
  pool = new UpstreamPool(new Deadlines(() => performance.now(), fail))
})

afterEach(async () => {
  pool.close()
  for (const socket of accepted) socket.destroy()
  server.close()
  await waitFor('the pool to be empty', () => pool.count === 0)
})

interface Recorder extends UpstreamUser {
  readonly got: string[]
}

/** A user that says one thing and keeps what comes back. */
function saying(text: string): Recorder {
  const got: string[] = []
  return {
    got,
    reads: true,
    onConnect: (socket) => void socket.write(text),
    onBytes: (_, bytes, end) => void got.push(bytes.toString('latin1', 0, end)),
    onEnd: () => {},
    onDrain: () => {},
    onClose: (socket) => pool.discard(socket),
    onDefect: (error) => {
      throw error
    },
  }
}

/** One whole exchange over a connection of the pool. */
async function exchange(text: string, reuse: boolean): Promise<UpstreamSocket> {
  const user = saying(text)
  const socket = pool.acquire(endpoint, user, reuse, true)
  if (socket.reused) socket.write(text)
  await waitFor('the echo', () => user.got.join('') === text)
  return socket
}

test('a connection that is not kept is closed, and its object serves the next one', async () => {
  const seen = new Set<UpstreamSocket>()
  for (let turn = 0; turn < 5; turn++) {
    const socket = await exchange(`turn ${turn}`, false)
    seen.add(socket)
    pool.release(socket, false, turn % 2 === 0 ? 'fin' : 'rst')
    await waitFor('it to close', () => pool.count === 0)
  }
  expect(accepted).toHaveLength(5)
  expect(seen.size).toBe(1)
})

test('a connection with something left to write is never opened again: Node would keep it back', async () => {
  const first = await exchange('first', false)
  first.cork()
  first.write('never sent')
  pool.discard(first)
  await waitFor('it to close', () => pool.count === 0)
  const second = await exchange('second', false)
  expect(second).not.toBe(first)
  pool.discard(second)
})

test('a connection whose exchange was not complete is not opened again, however well it looks', async () => {
  const first = await exchange('first', false)
  pool.discard(first)
  await waitFor('it to close', () => pool.count === 0)
  const second = await exchange('second', false)
  expect(second).not.toBe(first)
  pool.discard(second)
})

test('a kept connection serves the next request; the last one that was in use first', async () => {
  const a = await exchange('a', true)
  const b = await exchange('b', true)
  pool.release(a, true, 'fin')
  pool.release(b, true, 'fin')
  const again = await exchange('c', true)
  expect([again, again.reused, accepted.length]).toEqual([b, true, 2])
  pool.release(again, true, 'fin')
})

test('a request that must not be sent twice gets no connection that has been idle for long', async () => {
  let time = 0
  pool = new UpstreamPool(new Deadlines(() => time, fail))
  const first = await exchange('first', true)
  pool.release(first, true, 'fin')
  time = 1_500
  // The clock is read when somebody looks.
  await waitFor('the time to be noticed', () => {
    const socket = pool.acquire(endpoint, saying('x'), true, false)
    const isFresh = socket !== first
    if (isFresh) pool.discard(socket)
    else pool.release(socket, true, 'fin')
    return isFresh
  })
  const replayable = pool.acquire(endpoint, saying('y'), true, true)
  expect(replayable).toBe(first)
  pool.discard(replayable)
})

test('kept connections to endpoints that are gone are dropped', async () => {
  const socket = await exchange('a', true)
  pool.release(socket, true, 'fin')
  pool.dropIdle((id) => id !== endpoint.id)
  expect(pool.count).toBe(1)
  pool.dropIdle((id) => id === endpoint.id)
  await waitFor('it to close', () => pool.count === 0)
})

function fail(error: Error): void {
  throw error
}
