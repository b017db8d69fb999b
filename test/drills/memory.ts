/** Does a large body, or a client that hardly reads, cost the proxy memory? It streams, so neither may. */

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { waitFor } from '../support/wait.ts'
import { clockMs, collectFindings, type Findings, type FindingsCollector } from './findings.ts'
import { startLoad } from './load.ts'
import { bodyOf } from './origin-messages.ts'
import type { ProxyProcess } from './proxy-process.ts'
import { type Scope, scoped } from './scope.ts'
import { service, startServingWorld } from './world.ts'

export interface MemorySize {
  readonly bodyBytes: number
  readonly slowReaders: number
  /** For how many requests of others the slow readers are kept waiting. */
  readonly requestsMeanwhile: number
}

export const memoryFull: MemorySize = { bodyBytes: 1024 ** 3, slowReaders: 100, requestsMeanwhile: 3_000 }

const MiB = 1024 ** 2
/** More than buffers, less than any body that would be held: what the promise "constant memory" is taken for. */
const allowedGrowthBytes = 128 * MiB

export function memory(size: MemorySize): Promise<Findings> {
  return scoped(async (scope) => {
    const findings = collectFindings()
    const world = await startServingWorld(scope, ['a', 'b', 'c'])
    const expected = createHash('sha256')
    for (const block of bodyOf(size.bodyBytes)) expected.update(block)
    const digest = expected.digest('hex')

    for (const keepAlive of [false, true]) {
      const how = keepAlive ? ', keep-alive' : ''
      const proxy = await world.startProxy([`upstream.keepAlive=${keepAlive}`])
      await warmUp(scope, proxy)
      const transfers = [
        ['upload', upload],
        ['download', download],
      ] as const
      for (const [title, transfer] of transfers) {
        await measured(`${title} of ${size.bodyBytes / MiB} MiB${how}`, proxy, findings, async (name) => {
          const startMs = clockMs()
          const got = await transfer(proxy.port, size.bodyBytes)
          findings.figure(`${name}, MiB/s`, size.bodyBytes / MiB / ((clockMs() - startMs) / 1_000))
          findings.promise(`${name} arrives whole`, got === digest, got)
        })
      }
      await measured(`${size.slowReaders} slow readers${how}`, proxy, findings, async (name) => {
        const { bytes, failures } = await slowReaders(scope, proxy, size)
        findings.figure(`${name}: MiB read meanwhile`, bytes / MiB)
        findings.promise(`${name}: all are being served`, bytes > 0, bytes)
        findings.promise(`${name}: others fare no worse`, failures === 0, failures)
      })
      proxy.signal('SIGKILL')
      await proxy.exited
    }
    return findings.done()
  })
}

async function warmUp(scope: Scope, { port }: ProxyProcess): Promise<void> {
  const streams = [{ method: 'GET', perSecond: 500, path: `/${service}/` }] as const
  await startLoad(scope, { port, connections: 20, streams, total: 500 }).finished
}

async function measured(
  title: string,
  proxy: ProxyProcess,
  findings: FindingsCollector,
  work: (title: string) => Promise<void>,
): Promise<void> {
  const before = await proxy.memory()
  await work(title)
  const after = await proxy.memory()
  const growth = after.peakBytes - before.nowBytes
  findings.figure(`${title}: RSS before, MiB`, before.nowBytes / MiB)
  findings.figure(`${title}: highest RSS so far, MiB`, after.peakBytes / MiB)
  findings.promise(`${title}: memory does not grow with it`, growth < allowedGrowthBytes, `${growth / MiB} MiB`)
}

/** Sends the body; resolves with the digest of what the instance received. */
async function upload(port: number, bytes: number): Promise<string> {
  const sent = request({ host: '127.0.0.1', port, path: `/${service}/digest`, method: 'POST', agent: false })
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>
  for (const block of bodyOf(bytes)) {
    if (!sent.write(block)) await once(sent, 'drain')
  }
  sent.end()
  let text = ''
  for await (const piece of (await answered)[0].setEncoding('utf8')) text += piece
  return JSON.parse(text).sha256
}

/** Fetches the body; resolves with the digest of what came. */
async function download(port: number, bytes: number): Promise<string> {
  const sent = request({ host: '127.0.0.1', port, path: `/${service}/bytes?count=${bytes}`, agent: false }).end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  const hash = createHash('sha256')
  for await (const piece of answer) hash.update(piece as Buffer)
  return hash.digest('hex')
}

/** Clients that ask for a long body and take little of it, while others are served as ever. */
async function slowReaders(scope: Scope, proxy: ProxyProcess, { slowReaders, requestsMeanwhile }: MemorySize) {
  let bytes = 0
  const sockets = Array.from({ length: slowReaders }, () => {
    const socket = connect(proxy.port, '127.0.0.1')
    scope.onEnd(() => socket.destroy())
    socket.on('error', () => {})
    socket.write(`GET /${service}/bytes?count=${64 * MiB} HTTP/1.1\r\nHost: drill\r\n\r\n`)
    // A piece now and then: neither dead nor done for a long while.
    socket.on('data', (piece: Buffer) => {
      bytes += piece.length
      socket.pause()
    })
    return socket
  })
  const timer = setInterval(() => {
    for (const socket of sockets) socket.resume()
  }, 250)
  scope.onEnd(() => clearInterval(timer))
  await waitFor('every slow reader has begun', () => sockets.every(({ bytesRead }) => bytesRead > 0))
  const streams = [{ method: 'GET', perSecond: 300, path: `/${service}/` }] as const
  const load = startLoad(scope, { port: proxy.port, connections: 10, streams, total: requestsMeanwhile })
  const failures = (await load.finished).filter(({ status }) => status !== 200).length
  clearInterval(timer)
  for (const socket of sockets) socket.destroy()
  return { bytes, failures }
}
