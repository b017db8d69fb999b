/**
 * How is a Docker Engine asked? Over node:http, through its socket or over TCP, with or without TLS: single requests,
 * each with a deadline and a bound on its answer, over connections that are kept, for there are some each second; and the
 * stream of events, whose answer does not end. In which version of the API is agreed on first.
 */

import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest, Agent as TlsAgent } from 'node:https'
import { decodeVersion } from './engine-answers.ts'
import type { EngineMishap } from './engine-failure.ts'

export interface EngineAccess {
  /** `unix:///var/run/docker.sock` or `tcp://host:port`. */
  readonly host: string
  /** PEM texts, already read from their files, for a tcp host; all null: no TLS. */
  readonly tls: { readonly ca: string | null; readonly cert: string | null; readonly key: string | null }
}

export interface EngineDeadlines {
  /** Until there is a connection. */
  readonly connectMs: number
  /** From the connecting to the end of an answer, or to the beginning of the stream. */
  readonly deadlineMs: number
}

/** A request without the version in front of it: `/tasks`. */
export interface EngineRequest {
  readonly path: string
  readonly filters?: Readonly<Record<string, readonly string[]>>
  readonly all?: boolean
}

export type EngineFailed = { readonly kind: 'failed'; readonly path: string; readonly mishap: EngineMishap }
export type EngineReply = { readonly kind: 'answered'; readonly body: Buffer } | EngineFailed

/** Nothing rejects; aborting a `signal` cuts the connection and counts as a failure of the network. */
export interface EngineClient {
  ask(request: EngineRequest, signal: AbortSignal): Promise<EngineReply>
  /**
   * Reads the lines of an answer until it ends, something fails or `signal` is aborted.
   * @param onOpen called once, when the Engine has begun to answer
   */
  follow(request: EngineRequest, onOpen: () => void, onLine: () => void, signal: AbortSignal): Promise<EngineFailed>
  /** Cuts the connections that were kept. */
  close(): void
}

/** All tasks of a swarm: 1,500 are 3 MB. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
/** Of an answer that is a refusal. */
const MAX_REFUSAL_BYTES = 64 * 1024
/** Silence after which the kernel asks whether the other end of the stream is still there. */
const KEEP_ALIVE_MS = 15_000

/**
 * A client of one Engine, for as long as it is used: it remembers the version of the API.
 * @throws TypeError when `access.host` is neither unix:///path nor tcp://host:port
 */
export function engineClient(access: EngineAccess, { connectMs, deadlineMs }: EngineDeadlines): EngineClient {
  const pem = Object.fromEntries(Object.entries(access.tls).filter(([, text]) => text !== null))
  const hasTls = Object.keys(pem).length > 0
  const place = placeOf(access.host, hasTls)
  const isTls = 'port' in place && hasTls
  const agent = isTls ? new TlsAgent({ keepAlive: true, maxSockets: 8 }) : new Agent({ keepAlive: true, maxSockets: 8 })
  /** null: not agreed on. */
  let version: string | null = null

  function open(path: string): ClientRequest {
    // Of a socket there is no name; and the Engine wants one to be said.
    const host = 'port' in place ? {} : { headers: { host: 'docker' } }
    const options: RequestOptions = { ...place, ...host, path, agent }
    return isTls ? httpsRequest({ ...options, ...pem }) : httpRequest(options)
  }

  /** Sends a request, and resolves with what `take` makes of an answer with status 200. */
  function send(
    path: string,
    take: (answer: IncomingMessage, punctual: () => void) => Promise<EngineReply>,
    signal: AbortSignal,
  ): Promise<EngineReply> {
    const [shown = path] = path.replace(/^\/v[\d.]+/, '').split('?')
    return new Promise((resolve) => {
      const failed = (mishap: EngineMishap): EngineReply => ({ kind: 'failed', path: shown, mishap })
      const broken = ({ code = '', message }: NodeJS.ErrnoException): EngineReply =>
        failed({ kind: 'network', code, message })
      let request: ClientRequest
      try {
        request = open(path)
      } catch (error) {
        // Node refuses what cannot stand in a certificate before it connects.
        resolve(broken(error as NodeJS.ErrnoException))
        return
      }
      let isSettled = false
      const punctual = () => clearTimeout(deadline)
      const settle = (reply: EngineReply) => {
        if (isSettled) return
        isSettled = true
        punctual()
        clearTimeout(connecting)
        signal.removeEventListener('abort', abort)
        // What was read to its end leaves a connection that the next request may use.
        if (reply.kind === 'failed') request.destroy()
        resolve(reply)
      }
      const abort = () => settle(broken({ name: 'AbortError', code: 'ABORT_ERR', message: 'given up' }))
      const late = (afterMs: number) => settle(failed({ kind: 'deadline', afterMs }))
      const connecting = setTimeout(late, connectMs, connectMs)
      const deadline = setTimeout(late, deadlineMs, deadlineMs)
      signal.addEventListener('abort', abort, { once: true })
      // Also after it has settled: an error that nobody listens for would end the process.
      request.on('error', (error: NodeJS.ErrnoException) => {
        const wasKept = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
        // The Engine has closed it meanwhile: that says nothing of what a new connection would bring.
        if (!wasKept || isSettled) return settle(broken(error))
        isSettled = true
        punctual()
        clearTimeout(connecting)
        signal.removeEventListener('abort', abort)
        resolve(send(path, take, signal))
      })
      request.on('socket', (socket) => {
        socket.setKeepAlive(true, KEEP_ALIVE_MS)
        if (!socket.connecting) return clearTimeout(connecting)
        socket.once(isTls ? 'secureConnect' : 'connect', () => clearTimeout(connecting))
      })
      request.on('response', (answer) => {
        const { statusCode: status = 0 } = answer
        const taken =
          status === 200
            ? take(answer, punctual)
            : readAll(answer, MAX_REFUSAL_BYTES).then((body) =>
                failed({ kind: 'status', status, body: body.toString('utf8') }),
              )
        taken.then(settle, (error: NodeJS.ErrnoException) => settle(broken(error)))
      })
      request.end()
      if (signal.aborted) abort()
    })
  }

  const whole = async (answer: IncomingMessage): Promise<EngineReply> => {
    return { kind: 'answered', body: await readAll(answer, MAX_ANSWER_BYTES) }
  }

  /** null: agreed. */
  async function agree(signal: AbortSignal): Promise<EngineFailed | null> {
    const reply = await send('/version', whole, signal)
    if (reply.kind === 'failed') return reply
    const answer = decodeVersion(reply.body)
    if (answer.kind === 'unreadable') {
      return { kind: 'failed', path: '/version', mishap: { kind: 'shape', message: answer.message } }
    }
    version = answer.version
    return null
  }

  async function versioned(
    request: EngineRequest,
    take: (answer: IncomingMessage, punctual: () => void) => Promise<EngineReply>,
    signal: AbortSignal,
  ): Promise<EngineReply> {
    const refused = version === null ? await agree(signal) : null
    if (refused !== null) return refused
    const reply = await send(`/v${version}${targetOf(request)}`, take, signal)
    // Another Engine may answer there by the next time.
    if (reply.kind === 'failed' && reply.mishap.kind !== 'deadline') version = null
    return reply
  }

  return {
    ask: (request, signal) => versioned(request, whole, signal),
    async follow(request, onOpen, onLine, signal) {
      const ended: EngineFailed = { kind: 'failed', path: request.path, mishap: { kind: 'ended' } }
      const take = async (answer: IncomingMessage, punctual: () => void): Promise<EngineReply> => {
        punctual()
        onOpen()
        // A line may come in pieces; that it came is all that is wanted of it.
        for await (const piece of answer as AsyncIterable<Buffer>) if (piece.includes(0x0a)) onLine()
        return ended
      }
      const reply = await versioned(request, take, signal)
      return reply.kind === 'failed' ? reply : ended
    },
    close: () => agent.destroy(),
  }
}

type Place = { readonly socketPath: string } | { readonly host: string; readonly port: string }

/**
 * What to connect to.
 * @throws TypeError when `host` is neither unix:///path nor tcp://host:port
 */
export function placeOf(host: string, hasTls: boolean): Place {
  const [, socketPath] = /^unix:\/\/(\/\S+)$/.exec(host) ?? []
  if (socketPath !== undefined) return { socketPath }
  const asUrl = host.replace(/^tcp:/, 'http:')
  if (!host.startsWith('tcp://') || !URL.canParse(asUrl)) {
    throw new TypeError('the host of a Docker Engine must be unix:///path/of/docker.sock or tcp://host:port')
  }
  // A URL does not tell its default port from none; and that of Docker is another one.
  const [, port = hasTls ? '2376' : '2375'] = /:(\d+)\/?$/.exec(host) ?? []
  return { host: new URL(asUrl).hostname.replace(/^\[|\]$/g, ''), port }
}

function targetOf({ path, filters, all }: EngineRequest): string {
  const query = new URLSearchParams()
  if (all === true) query.set('all', 'true')
  if (filters !== undefined) query.set('filters', JSON.stringify(filters))
  return query.size === 0 ? path : `${path}?${query}`
}

/** Rejects when the answer is cut off or too large. */
async function readAll(answer: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of answer as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > maxBytes) throw new Error(`the answer is larger than ${maxBytes} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}
