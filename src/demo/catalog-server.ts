/**
 * What stands in for Consul when there is none? An HTTP server on this machine that speaks the part of Consul's HTTP
 * API which Evenkeel, Consul's own command line and most clients use. Everything is in memory and gone at the end.
 * This file holds what touches the world: sockets, timers, waiting queries; what is answered is in `catalog-routes.ts`.
 */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { CatalogState } from './catalog-records.ts'
import { type Answer, answerRequest, MethodRefusal } from './catalog-routes.ts'
import { createCatalogState } from './catalog-state.ts'
import { createCheckRunner } from './check-runner.ts'
import { Refusal } from './refusal.ts'

export interface CatalogServerOptions {
  /** Default 127.0.0.1: whoever reaches it may change it. */
  readonly host?: string
  /** Default 0: any free port. */
  readonly port?: number
  /** Milliseconds of a clock that never runs backwards. */
  readonly now?: () => number
  /** Queries that may wait at the same time; further ones are refused. Default 2,000. */
  readonly maxWaiting?: number
  /** Services that may be registered; further ones are refused. Default 10,000. */
  readonly maxServices?: number
}

export interface CatalogServer {
  /** `http://host:port` */
  readonly url: string
  readonly port: number
  /** Cuts every connection, waiting queries included, and resolves once nothing is left. */
  close(): Promise<void>
}

type Query = Extract<Answer, { kind: 'query' }>

interface Waiting {
  readonly query: Query
  readonly answer: () => void
}

const maxBodyBytes = 512 * 1024
const maxConnections = 4096
const swallowMs = 1000
/** The longest delay that a timer of Node takes. */
const maxTimerMs = 2 ** 31 - 1

/** Starts a catalog. Rejects with the error of `listen`, e.g. EADDRINUSE. */
export async function startCatalogServer(options: CatalogServerOptions = {}): Promise<CatalogServer> {
  const { host = '127.0.0.1', port = 0, now = () => performance.now() } = options
  const { maxWaiting = 2000, maxServices = 10_000 } = options
  const waiting = new Set<Waiting>()
  const alarm = createAlarm(now, () => {
    state.advance()
    wake()
    return state.nextDueAt()
  })
  const runner = createCheckRunner((checkId, definition, { status, output }) => {
    state.observe(checkId, definition, status, output)
    wake()
  })
  const observer = { checkStarted: runner.start, checkStopped: runner.stop, deadline: alarm.setAtLatest }
  const state: CatalogState = createCatalogState({ now, maxServices, observer })

  function wake(): void {
    for (const one of [...waiting]) if (one.query.index() > one.query.minIndex) one.answer()
  }

  function answerOrWait(query: Query, response: ServerResponse, pretty: boolean): void {
    if (query.minIndex === 0 || query.index() > query.minIndex) {
      sendQuery(response, query, pretty)
      return
    }
    if (waiting.size >= maxWaiting)
      throw new Refusal(429, `the demo's catalog lets ${maxWaiting} queries wait, no more`)
    // Consul adds up to a sixteenth, so that queries which began together do not end together.
    const timer = setTimeout(answer, query.waitMs * (1 + Math.random() / 16))
    const entry = { query, answer }
    waiting.add(entry)
    response.once('close', leave)
    function leave(): void {
      clearTimeout(timer)
      waiting.delete(entry)
    }
    function answer(): void {
      leave()
      sendQuery(response, query, pretty)
    }
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request)
    if (body === null) return
    const target = request.url ?? '/'
    // What is overdue happens before what is asked now, however late the alarm is.
    if (alarm.isOverdue()) state.advance()
    const answer = answerRequest(state, { method: request.method ?? 'GET', target, body })
    wake()
    const pretty = /[?&]pretty(?:[=&]|$)/.test(target)
    if (answer.kind === 'options') response.setHeader('Allow', answer.allow)
    if (answer.kind === 'done' || answer.kind === 'options') response.end()
    else if (answer.kind === 'json') sendJson(response, answer.body, pretty)
    else answerOrWait(answer, response, pretty)
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => sendError(request, response, error))
  })
  server.maxConnections = maxConnections
  // Consul keeps idle connections open; a client that reuses one should not race its end after Node's 5 s.
  server.keepAliveTimeout = 75_000
  server.listen(port, host)
  await once(server, 'listening')
  const { port: takenPort } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${takenPort}`,
    port: takenPort,
    async close() {
      runner.close()
      alarm.cancel()
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** One timer for the earliest deadline. `onDue` does what is due and says when to come back, or null. */
function createAlarm(now: () => number, onDue: () => number | null) {
  let timer: NodeJS.Timeout | null = null
  let setFor = Number.POSITIVE_INFINITY
  function setAtLatest(at: number): void {
    if (at >= setFor) return
    if (timer !== null) clearTimeout(timer)
    setFor = at
    timer = setTimeout(fire, Math.min(Math.max(0, Math.ceil(at - now())), maxTimerMs))
  }
  function fire(): void {
    timer = null
    setFor = Number.POSITIVE_INFINITY
    const next = onDue()
    if (next !== null) setAtLatest(next)
  }
  return {
    setAtLatest,
    isOverdue: () => now() >= setFor,
    cancel() {
      if (timer !== null) clearTimeout(timer)
      // Nothing may set it again: a late request must not keep the process alive.
      setFor = Number.NEGATIVE_INFINITY
    },
  }
}

/** The body as text; null when the client left before its end. Throws `Refusal` when it is too long. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const pieces: Buffer[] = []
  let length = 0
  try {
    // Leaving the loop must not destroy the socket: the refusal still has to go out on it.
    for await (const piece of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      length += piece.length
      if (length > maxBodyBytes) break
      pieces.push(piece)
    }
  } catch {
    return null
  }
  if (length > maxBodyBytes) throw new Refusal(413, `Request body too large, max size: ${maxBodyBytes} bytes`)
  return Buffer.concat(pieces).toString('utf8')
}

function sendQuery(response: ServerResponse, query: Query, pretty: boolean): void {
  response.setHeader('X-Consul-Index', String(query.index()))
  response.setHeader('X-Consul-KnownLeader', 'true')
  response.setHeader('X-Consul-LastContact', '0')
  response.setHeader('X-Consul-Effective-Consistency', query.stale ? 'stale' : 'leader')
  sendJson(response, query.body(), pretty)
}

function sendJson(response: ServerResponse, body: unknown, pretty: boolean): void {
  response.setHeader('Content-Type', 'application/json')
  response.end(pretty ? `${JSON.stringify(body, null, 4)}\n` : JSON.stringify(body))
}

function sendError(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const refusal = error instanceof Refusal ? error : new Refusal(500, error instanceof Error ? error.message : 'failed')
  // One line, whatever the client sent that is quoted in it.
  const line = Buffer.from(refusal.message.replaceAll(/\p{Cc}+/gu, ' '))
  if (refusal instanceof MethodRefusal) response.setHeader('Allow', refusal.allow)
  response.statusCode = refusal.status
  response.setHeader('Content-Type', 'text/plain; charset=utf-8')
  response.setHeader('Content-Length', line.length)
  if (refusal.status === 413) refuseMore(request, response, line)
  else response.end(line)
}

/** Closing while the client still sends would reset the connection, and the refusal be lost with it: swallow for a while. */
function refuseMore(request: IncomingMessage, response: ServerResponse, line: Buffer): void {
  response.setHeader('Connection', 'close')
  response.write(line)
  const timer = setTimeout(finish, swallowMs)
  request.once('end', finish)
  request.once('close', finish)
  request.resume()
  function finish(): void {
    clearTimeout(timer)
    if (!response.writableEnded) response.end()
  }
}
