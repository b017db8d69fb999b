import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { type Probe, probeOf, watchHealth } from '../../src/run/health.ts'
import { freePort } from '../support/consul.ts'
import { listenOnLoopback } from '../support/loopback.ts'

const never = new AbortController().signal
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const probe = (port: number, path: string | null, deadlineMs = 10_000) =>
  probeOf({ host: '127.0.0.1', port, path, authority: `10.0.0.5:${port}` }, deadlineMs)(never)

test('a GET is well with 2xx and 3xx, and says who is meant', async () => {
  const seen: unknown[] = []
  const server = createServer((request, answer) => {
    seen.push([request.url, request.headers.host])
    answer.writeHead(Number(request.url?.slice(1))).end()
  })
  const port = await listenOnLoopback(server, cleanups)
  for (const status of [200, 204, 302, 399]) expect(await probe(port, `/${status}`)).toBeNull()
  for (const status of [400, 404, 500, 503]) {
    expect(await probe(port, `/${status}`)).toBe(`GET /${status} is answered ${status}`)
  }
  expect(seen[0]).toEqual(['/200', `10.0.0.5:${port}`])
})

test('a connect is enough without a path, and what does not speak HTTP is not well with one', async () => {
  const server = createTcpServer((socket) =>
    socket
      .on('error', () => {})
      .resume()
      .end('nonsense\r\n\r\n'),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => new Promise((resolve) => server.close(resolve)))
  const { port } = server.address() as { port: number }
  expect(await probe(port, null)).toBeNull()
  expect(await probe(port, '/')).toMatch(/HPE_/)
})

test('nobody there, or no answer in time: not well, and why', async () => {
  const port = await freePort()
  expect(await probe(port, null)).toBe('ECONNREFUSED')
  expect(await probe(port, '/')).toBe('ECONNREFUSED')
  const mute = await listenOnLoopback(
    createServer(() => {}),
    cleanups,
  )
  expect(await probe(mute, '/', 50)).toBe('no answer within 50 ms')
})

test.each([
  ['starting until it was well once', 'fff', 'sss'],
  ['well at once', 'o', 'w'],
  ['well through two failures, sick with the third, well with one success', 'foffoffffof', 'swwwwwwxxww'],
])('it is %s', async (_, looks, expected) => {
  const stop = new AbortController()
  const answers = [...looks]
  const scripted: Probe = async () => (answers.shift() === 'o' ? null : 'it fails')
  const letters = { starting: 's', well: 'w', sick: 'x' }
  let seen = ''
  const timing = { startEveryMs: 0, everyMs: 0, deadlineMs: 1, failures: 3 }
  const onLook = (health: keyof typeof letters): void => {
    seen += letters[health]
    if (answers.length === 0) stop.abort()
  }
  await watchHealth(scripted, timing, onLook, stop.signal)
  expect(seen).toBe(expected)
})
