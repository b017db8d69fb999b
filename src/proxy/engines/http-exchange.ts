/**
 * One client request on Node's own HTTP objects: the `Exchange` of the http-proxy engine.
 *
 * Each attempt connects first and only then touches the request body, so that a failed connect leaves everything as it
 * was. What the request and response streams do to each other is in `HttpAttempt`; here is what outlives an attempt.
 */

import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Endpoint } from '../../balancer/endpoint.ts'
import type { Outcome } from '../../balancer/outcome.ts'
import type { AttemptPlan, Exchange, ExchangeRequest, ExchangeStats, Reply } from '../exchange.ts'
import { lingeringClose, plainAddress, reset } from './client-connections.ts'
import { type Forward, HttpAttempt } from './http-attempt.ts'
import type { UpstreamSockets } from './upstream-sockets.ts'

/** What all exchanges of one engine share. */
export interface ExchangeSurroundings {
  readonly sockets: UpstreamSockets
  readonly forward: Forward
  readonly now: () => number
  /** True when no further request may follow on this connection, because the proxy is closing. */
  readonly isLastOn: (socket: Socket) => boolean
}

/** A request to switch protocols: its connection has left Node's HTTP server, and these bytes came after the head. */
export interface UpgradeRequest {
  readonly protocol: string
  readonly socket: Socket
  readonly early: Buffer
}

export class HttpExchange implements Exchange {
  readonly request: ExchangeRequest
  readonly stats: ExchangeStats = { connectMs: null, firstByteMs: null, bytesIn: 0, bytesOut: 0 }
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** The client waits for `100 Continue` before it sends its body. */
  readonly expectsContinue: boolean
  /** The body comes in chunks, with no length known. */
  readonly chunked: boolean
  readonly surroundings: ExchangeSurroundings
  /** Null for an ordinary request. */
  readonly upgrade: UpgradeRequest | null
  clientLeft = false
  /** True once this exchange has become a tunnel: the response object is out of the game. */
  tunnelled = false
  #attempt: HttpAttempt | null = null

  constructor(
    req: IncomingMessage,
    res: ServerResponse,
    surroundings: ExchangeSurroundings,
    options: { readonly expectsContinue: boolean; readonly upgrade: UpgradeRequest | null },
  ) {
    this.req = req
    this.res = res
    this.surroundings = surroundings
    this.upgrade = options.upgrade
    this.expectsContinue = options.expectsContinue
    const { headers, socket } = req
    this.chunked = headers['transfer-encoding'] !== undefined
    this.request = {
      method: req.method ?? 'GET',
      target: req.url ?? '/',
      httpVersion: req.httpVersion === '1.0' ? '1.0' : '1.1',
      rawHeaders: req.rawHeaders,
      hasBody: this.chunked || Number(headers['content-length'] ?? 0) > 0,
      upgrade: options.upgrade?.protocol ?? null,
      clientAddress: plainAddress(socket.remoteAddress ?? ''),
      localPort: socket.localPort ?? 0,
      secure: false,
    }
    res.on('error', ignore)
    res.on('close', () => {
      if (res.writableFinished || this.tunnelled) return
      this.clientLeft = true
      this.#attempt?.clientHasLeft()
    })
  }

  get answered(): boolean {
    return this.res.headersSent || this.tunnelled
  }

  attempt(to: Endpoint, plan: AttemptPlan): Promise<Outcome> {
    if (this.clientLeft) return Promise.resolve({ kind: 'client-left' })
    return new Promise((resolve, reject) => {
      const over = (): void => {
        this.#attempt = null
      }
      this.#attempt = new HttpAttempt(this, to, plan, {
        onEnd: (outcome) => {
          over()
          resolve(outcome)
        },
        onDefect: (error) => {
          over()
          reject(error)
        },
      })
    })
  }

  /** The bytes behind the head are not the body that it announced: the attempt under way is over. */
  bodyIsMalformed(detail: string): void {
    const { req, res } = this
    if (this.#attempt !== null) this.#attempt.end({ kind: 'bad-request', status: 400, detail })
    else if (res.closed) lingeringClose(req.socket)
    else res.once('close', () => lingeringClose(req.socket))
  }

  reply(reply: Reply): Promise<void> {
    const { req, res } = this
    return new Promise((resolve) => {
      if (this.clientLeft || res.headersSent) {
        this.cut()
        return resolve()
      }
      // A client that still waits for "100 Continue" may or may not send its body now: the connection is ambiguous.
      const ambiguous = this.expectsContinue && !req.complete
      const close = reply.close || ambiguous || this.upgrade !== null || this.surroundings.isLastOn(req.socket)
      const headers = close ? [...reply.headers, 'Connection', 'close'] : [...reply.headers]
      res.once('close', () => resolve())
      res.once('finish', () => resolve())
      // With its reason: an answer of the endpoint that could not be written has left its own behind.
      res.writeHead(reply.status, STATUS_CODES[reply.status] ?? 'Refused', headers)
      res.end(reply.body)
      if (this.upgrade !== null) this.endUpgradeSocket(this.upgrade.socket)
    })
  }

  /** After an ordinary answer to a request to switch protocols: Node's server has let go of the connection. */
  endUpgradeSocket(socket: Socket): void {
    const finish = (): void => lingeringClose(socket)
    if (this.res.writableFinished) finish()
    else this.res.once('finish', finish)
  }

  cut(): void {
    // A reset, not a normal close: over HTTP/1.0 a plain end of the connection looks like the end of the body.
    reset(this.req.socket)
  }
}

function ignore(): void {}
