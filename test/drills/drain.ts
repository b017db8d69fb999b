/**
 * Does a stop hurt anybody? SIGTERM under load fails no request and ends with exit 0 in time; what never ends by itself
 * (an open WebSocket) is closed when the time is up; a second SIGTERM does not wait.
 */

import { WebSocket } from 'ws'
import { waitFor } from '../support/wait.ts'
import { clockMs, collectFindings, type Findings, type FindingsCollector } from './findings.ts'
import { failed, failuresOf, startLoad, wasRefused } from './load.ts'
import type { ProxyProcess } from './proxy-process.ts'
import { type Scope, scoped } from './scope.ts'
import { service, startServingWorld, type World } from './world.ts'

export interface DrainSize {
  readonly drainTimeoutMs: number
  readonly perSecond: number
  readonly connections: number
  /** How often the stop under load is repeated. */
  readonly rounds: number
}

export const drainSmall: DrainSize = { drainTimeoutMs: 2_500, perSecond: 300, connections: 20, rounds: 1 }
export const drainFull: DrainSize = { drainTimeoutMs: 5_000, perSecond: 400, connections: 40, rounds: 5 }

export function drain(size: DrainSize): Promise<Findings> {
  return scoped(async (scope) => {
    const findings = collectFindings()
    const world = await startServingWorld(scope, ['a', 'b', 'c'])
    for (const origin of world.origins) await origin.behave({ delayMs: 15 })
    for (let round = 1; round <= size.rounds; round++) await underLoad(scope, world, size, `stop ${round}`, findings)
    await withOpenWebSocket(scope, world, size, findings)
    await twice(scope, world, findings)
    return findings.done()
  })
}

async function underLoad(
  scope: Scope,
  world: World,
  size: DrainSize,
  title: string,
  findings: FindingsCollector,
): Promise<void> {
  const proxy = await world.startProxy([`shutdown.drainTimeout=${size.drainTimeoutMs}ms`])
  const load = startLoad(scope, {
    port: proxy.port,
    connections: size.connections,
    streams: [
      { method: 'GET', perSecond: size.perSecond * 0.7, path: `/${service}/` },
      { method: 'POST', perSecond: size.perSecond * 0.25, path: `/${service}/`, body: 'x'.repeat(2_000) },
      // Some are under way for a while when the signal comes.
      { method: 'GET', perSecond: size.perSecond * 0.05, path: `/${service}/?delayMs=700` },
    ],
  })
  await load.more(size.perSecond)
  const { exit, startMs, tookMs } = await terminate(proxy)
  const shots = await load.stop()

  // Nobody listens any more: a request was not even made. Whoever starts a new connection needs a second proxy.
  const made = shots.filter((shot) => !wasRefused(shot))
  findings.figure(`${title}: requests failed`, `${made.filter(failed).length} of ${made.length}`)
  findings.figure(`${title}: exit after, ms`, tookMs)
  findings.promise(`${title}: no request fails`, !made.some(failed), failuresOf(made))
  findings.promise(`${title}: exit 0`, exit.code === 0, exit)
  findings.promise(
    `${title}: its last log line says so`,
    proxy.log.at(-1)?.msg === 'evenkeel has ended',
    proxy.log.at(-1),
  )
  const waited = made.filter((shot) => shot.startedMs < startMs && shot.endedMs > startMs + 100)
  findings.promise(`${title}: requests under way were waited for`, waited.length > 0, waited.length)
}

async function withOpenWebSocket(
  scope: Scope,
  world: World,
  { drainTimeoutMs }: DrainSize,
  findings: FindingsCollector,
): Promise<void> {
  const proxy = await world.startProxy([`shutdown.drainTimeout=${drainTimeoutMs}ms`])
  const socket = await openWebSocket(scope, proxy)
  const startMs = clockMs()
  const ending = terminate(proxy)
  await untilDraining(proxy)
  const echo = await socket.say('still here?')
  findings.promise('a WebSocket goes on while it drains', echo.endsWith(': still here?'), echo)
  const closedMs = (await socket.closed) - startMs
  const { exit, tookMs } = await ending
  findings.figure('an open WebSocket: closed after, ms', closedMs)
  findings.figure('an open WebSocket: exit after, ms', tookMs)
  findings.promise('an open WebSocket lives until the drain time is up', closedMs >= drainTimeoutMs - 5, closedMs)
  findings.promise('an open WebSocket: exit 0', exit.code === 0, exit)
}

async function twice(scope: Scope, world: World, findings: FindingsCollector): Promise<void> {
  const proxy = await world.startProxy(['shutdown.drainTimeout=5m'])
  await openWebSocket(scope, proxy)
  proxy.signal('SIGTERM')
  await untilDraining(proxy)
  const { exit, tookMs } = await terminate(proxy)
  findings.figure('a second SIGTERM: exit after, ms', tookMs)
  findings.promise('a second SIGTERM ends it at once, with exit 1', exit.code === 1, exit)
}

async function terminate(proxy: ProxyProcess) {
  const startMs = clockMs()
  proxy.signal('SIGTERM')
  const exit = await proxy.exited
  return { exit, startMs, tookMs: clockMs() - startMs }
}

function untilDraining(proxy: ProxyProcess): Promise<true> {
  return waitFor('it says that it drains', async () => {
    const { status, text } = await proxy.admin('/readyz')
    return status === 503 && text.startsWith('draining')
  })
}

/** An open WebSocket through the proxy. `closed`: when it was, whoever did it. */
async function openWebSocket(scope: Scope, proxy: ProxyProcess) {
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/${service}/`)
  scope.onEnd(() => socket.terminate())
  const closed = new Promise<number>((resolve) => socket.once('close', () => resolve(clockMs())))
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve())
    socket.on('error', reject)
  })
  const say = (text: string) =>
    new Promise<string>((resolve, reject) => {
      socket.once('message', (data) => resolve(String(data)))
      socket.once('close', () => reject(new Error('the WebSocket was closed')))
      socket.send(text)
    })
  await say('hello')
  return { say, closed }
}
