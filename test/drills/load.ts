/**
 * How is the proxy put under load? Over so many kept-alive connections, at a paced rate that does not wait for slow
 * answers, and with every request written down: what became of it, who served it, and when it arrived there.
 */

import { Agent, type IncomingMessage, request } from 'node:http'
import { waitFor } from '../support/wait.ts'
import { clockMs } from './findings.ts'
import { arrivedHeader, idHeader, servedByHeader } from './origin-messages.ts'
import type { Scope } from './scope.ts'

/** One request and what became of it. Times are `clockMs`. */
export interface Shot {
  readonly id: string
  readonly method: string
  readonly startedMs: number
  readonly endedMs: number
  /** null: no answer came. */
  readonly status: number | null
  readonly servedBy: string | null
  /** When it arrived at the instance, by the instance's own word. */
  readonly arrivedMs: number | null
  /** Why there is no (whole) answer; null: there is one, of whatever status. */
  readonly error: string | null
  /** What the proxy says of its own answers (RFC 9209). */
  readonly proxyStatus: string | null
  /** The client's port: which connection it went over. */
  readonly clientPort: number
}

export interface Stream {
  readonly method: 'GET' | 'POST'
  readonly perSecond: number
  readonly path: string
  /** Sent with each request; a POST should have one. */
  readonly body?: string
}

export interface LoadOptions {
  readonly port: number
  readonly connections: number
  readonly streams: readonly Stream[]
  /** Stops by itself after so many requests. */
  readonly total?: number
}

export interface Load {
  /** Requests that are over, in the order in which they ended. */
  readonly shots: readonly Shot[]
  /** Resolves with all shots once `total` requests are over. */
  readonly finished: Promise<readonly Shot[]>
  /** Waits until `count` more requests are over. */
  more(count: number): Promise<void>
  /** Fires no more; resolves with all shots once the last one is over. */
  stop(): Promise<readonly Shot[]>
}

/** An answer that no client wants: none at all, or an error. */
export function failed(shot: Shot): boolean {
  return shot.error !== null || shot.status === null || shot.status >= 400
}

/** A connection that was refused: no request was made over it. */
export function wasRefused(shot: Shot): boolean {
  return shot.error === 'ECONNREFUSED'
}

const tickMs = 2
const deadlineMs = 30_000

export function startLoad(scope: Scope, { port, connections, streams, total }: LoadOptions): Load {
  // The connections take turns: all of them stay in use.
  const agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'fifo' })
  const shots: Shot[] = []
  const fired = streams.map(() => 0)
  let begun = 0
  const startMs = clockMs()

  const tick = (): void => {
    const elapsedS = (clockMs() - startMs) / 1_000
    streams.forEach((stream, index) => {
      // The first ones come all at once, so that every connection is opened.
      const due = Math.floor(elapsedS * stream.perSecond) + (index === 0 ? connections : 0)
      for (let shot = fired[index] ?? 0; shot < due; shot++) {
        if (begun === total) return
        fired[index] = shot + 1
        begun++
        fire({ port, agent, stream, id: `${stream.method}-${begun}` }, (ended) => shots.push(ended))
      }
    })
    if (begun === total) clearInterval(timer)
  }
  const timer = setInterval(tick, tickMs)

  const allEnded = () => waitFor('the last requests end', () => shots.length === begun, deadlineMs + 5_000)
  const stop = async () => {
    clearInterval(timer)
    await allEnded()
    agent.destroy()
    return shots
  }
  scope.onEnd(() => {
    clearInterval(timer)
    agent.destroy()
  })
  return {
    shots,
    get finished() {
      return waitFor('all requests are over', () => begun === total && shots.length === begun, 300_000).then(stop)
    },
    more: async (count) => {
      const target = shots.length + count
      await waitFor(`${count} more requests`, () => shots.length >= target, 120_000)
    },
    stop,
  }
}

interface Firing {
  readonly port: number
  readonly agent: Agent
  readonly stream: Stream
  readonly id: string
}

function fire({ port, agent, stream, id }: Firing, onEnd: (shot: Shot) => void): void {
  const { method, path, body } = stream
  const startedMs = clockMs()
  let answer: IncomingMessage | null = null
  let isOver = false
  const headers = {
    [idHeader]: id,
    ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
  }
  const sent = request({ host: '127.0.0.1', port, path, method, agent, headers, timeout: deadlineMs })

  const end = (error: string | null): void => {
    if (isOver) return
    isOver = true
    const arrived = header(answer, arrivedHeader)
    onEnd({
      id,
      method,
      startedMs,
      endedMs: clockMs(),
      status: answer?.statusCode ?? null,
      servedBy: header(answer, servedByHeader),
      arrivedMs: arrived === null ? null : Number(arrived),
      error,
      proxyStatus: header(answer, 'proxy-status'),
      clientPort: sent.socket?.localPort ?? 0,
    })
  }
  sent.on('response', (incoming) => {
    answer = incoming
    incoming.resume()
    incoming.on('end', () => end(null))
    incoming.on('error', (error) => end(codeOf(error)))
    incoming.on('close', () => end(incoming.complete ? null : 'cut off'))
  })
  sent.on('timeout', () => sent.destroy(new Error('no answer in time')))
  sent.on('error', (error) => end(codeOf(error)))
  sent.end(body)
}

function header(answer: IncomingMessage | null, name: string): string | null {
  const value = answer?.headers[name]
  return typeof value === 'string' ? value : null
}

function codeOf(error: NodeJS.ErrnoException): string {
  return error.code ?? error.message
}

/** What failed, in few words, for a message. */
export function failuresOf(shots: readonly Shot[]): readonly string[] {
  return shots
    .filter(failed)
    .map(({ id, error, status, servedBy, proxyStatus }) => `${id} ${error ?? status} ${servedBy ?? proxyStatus ?? ''}`)
}
