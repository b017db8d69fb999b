/**
 * One attempt on Node's HTTP objects: from the connect to the last byte of the answer, or to whatever ended it before.
 *
 *   connecting ──▶ sending ──▶ waiting ──▶ receiving ──▶ over
 *        │            └──────────────────────▲
 *        └─────── each may end at once: fault, deadline, client gone ──▶ over
 *
 * `end` is the only way out, and its first call counts.
 */

import {
  type Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http'
import type { Socket } from 'node:net'
import type { Endpoint } from '../../balancer/endpoint.ts'
import type { Outcome } from '../../balancer/outcome.ts'
import type { AttemptPlan } from '../exchange.ts'
import { isReplayable } from '../retry.ts'
import { pumpRequestBody, pumpResponseBody } from './body-pumps.ts'
import type { HttpExchange, UpgradeRequest } from './http-exchange.ts'
import { agentFor, faultOfHead, hasTrailers, removeField, switchingHead } from './node-heads.ts'
import { StallTimer } from './stall-timer.ts'
import { joinTunnel } from './tunnel.ts'
import type { Acquired } from './upstream-sockets.ts'

/** Sends one request over a socket that stands. The engine's own package does this; see http-proxy.ts. */
export type Forward = (
  exchange: HttpExchange,
  options: {
    readonly to: Endpoint
    readonly agent: Agent
    /** Called before a byte is sent; sets target and headers and feeds the body. */
    readonly onRequest: (upstream: ClientRequest) => void
    readonly onError: (error: NodeJS.ErrnoException) => void
  },
) => void

/** How an attempt ends: one of these, once. */
interface Told {
  readonly onEnd: (outcome: Outcome) => void
  /** The proxy itself is to blame, and no endpoint. */
  readonly onDefect: (error: unknown) => void
}

type Phase = 'connecting' | 'sending' | 'waiting' | 'receiving' | 'tunnel' | 'over'

export class HttpAttempt {
  readonly #exchange: HttpExchange
  readonly #to: Endpoint
  readonly #plan: AttemptPlan
  readonly #told: Told
  readonly #startMs: number
  #phase: Phase = 'connecting'
  readonly #stall: StallTimer
  #giveUpConnecting: (() => void) | null
  #socket: Socket | null = null
  #reused = false
  #upstream: ClientRequest | null = null
  #response: IncomingMessage | null = null
  /** The endpoint has let the body come; true from the start when it was not asked. */
  #bodyIsWanted: boolean
  #stopPumping: (() => void) | null = null

  constructor(exchange: HttpExchange, to: Endpoint, plan: AttemptPlan, told: Told) {
    this.#exchange = exchange
    this.#to = to
    this.#plan = plan
    this.#told = told
    this.#startMs = this.#now()
    this.#stall = new StallTimer(
      exchange.surroundings.now,
      () => (this.#isAnswerAwaited() ? plan.deadlines.responseMs : plan.deadlines.idleMs),
      () => this.#stalled(),
    )
    this.#bodyIsWanted = !exchange.expectsContinue
    exchange.stats.connectMs = null
    exchange.stats.firstByteMs = null
    this.#giveUpConnecting = this.#connect(plan.keepAlive)
  }

  clientHasLeft(): void {
    this.end({ kind: 'client-left' })
  }

  /** The attempt is over. Only the first call counts. */
  end(outcome: Outcome): void {
    if (this.#phase === 'over') return
    // An endpoint that answered without reading the whole request has no use for its connection any more.
    const sent = this.#upstream?.writableFinished === true
    const complete = this.#phase === 'receiving' && outcome.kind === 'responded' && outcome.relayed && sent
    this.#letGo(complete)
    this.#told.onEnd(outcome)
  }

  /** From here on nothing that still happens on either side counts. */
  #letGo(complete: boolean): void {
    this.#phase = 'over'
    this.#stall.stop()
    this.#giveUpConnecting?.()
    this.#stopPumping?.()
    if (!complete) this.#upstream?.destroy()
    if (!complete) this.#socket?.destroy()
  }

  // Connecting

  #connect(reuse: boolean): () => void {
    const { sockets } = this.#exchange.surroundings
    return sockets.acquire(this.#to, { reuse, connectMs: this.#plan.deadlines.connectMs }, (result) => {
      this.#giveUpConnecting = null
      this.#connected(result)
    })
  }

  #connected(result: Acquired): void {
    if (result.kind === 'failed') return void this.end({ kind: 'connect-failed', code: result.code })
    if (result.kind === 'timed-out') return void this.end({ kind: 'timed-out', phase: 'connect' })
    this.#socket = result.socket
    this.#reused = result.reused
    this.#exchange.stats.connectMs = this.#now() - this.#startMs
    const { upgrade, request } = this.#exchange
    this.#phase = request.hasBody ? 'sending' : 'waiting'
    this.#stall.start(Math.min(this.#plan.deadlines.responseMs, this.#plan.deadlines.idleMs))
    // A head on its own is one write: only what follows it could be held back.
    if (request.hasBody) result.socket.setNoDelay(true)
    try {
      if (upgrade === null) this.#forward(result.socket)
      else this.#forwardUpgrade(result.socket, upgrade)
    } catch (error) {
      // This is called from a socket's event: a defect must fail this request, not the process nor the endpoint.
      this.#letGo(false)
      this.#told.onDefect(error)
    }
  }

  // Sending

  #forward(socket: Socket): void {
    this.#exchange.surroundings.forward(this.#exchange, {
      to: this.#to,
      agent: agentFor(socket),
      onRequest: (upstream) => {
        if (this.#phase === 'over') return void upstream.destroy()
        if (!this.#setHead(upstream, this.#plan.keepAlive ? 'keep-alive' : 'close')) return
        upstream.once('upgrade', () => this.#switchedUnasked())
        this.#listen(upstream)
        if (this.#exchange.request.hasBody) this.#pumpBody(upstream)
        else upstream.end()
      },
      onError: (error) => this.#upstreamFailed(error),
    })
  }

  #forwardUpgrade(socket: Socket, upgrade: UpgradeRequest): void {
    const upstream = httpRequest({ agent: agentFor(socket), method: this.#exchange.request.method })
    upstream.on('error', (error) => this.#upstreamFailed(error))
    if (!this.#setHead(upstream, 'Upgrade')) return
    upstream.setHeader('Upgrade', upgrade.protocol)
    upstream.once('upgrade', (response, upstreamSocket, head) => {
      this.#switchProtocols(upgrade, response, upstreamSocket, head)
    })
    this.#listen(upstream)
    upstream.end()
  }

  /** False when the head cannot be written, and the attempt is over. */
  #setHead(upstream: ClientRequest, connection: string): boolean {
    const { target, requestHeaders } = this.#plan
    upstream.path = target
    // Node's guess, which would stand in front of the client's own.
    upstream.removeHeader('Host')
    try {
      // Appended one by one: a field that came twice goes out twice, whatever the case of its names.
      for (let index = 0; index < requestHeaders.length; index += 2) {
        upstream.appendHeader(requestHeaders[index] as string, requestHeaders[index + 1] as string)
      }
    } catch (error) {
      // Node refuses what its parser let through, such as a header value that must not be written.
      upstream.destroy()
      this.end({ kind: 'bad-request', status: 400, detail: `The request cannot be forwarded: ${messageOf(error)}.` })
      return false
    }
    // Node throws where there can be no trailers.
    if (!this.#exchange.chunked) upstream.removeHeader('Trailer')
    if (!upstream.hasHeader('Host')) upstream.setHeader('Host', this.#to.id)
    // Named explicitly for every method: Node leaves the framing of a DELETE's chunked body out otherwise.
    if (this.#exchange.chunked) upstream.setHeader('Transfer-Encoding', 'chunked')
    upstream.setHeader('Connection', connection)
    return true
  }

  #listen(upstream: ClientRequest): void {
    this.#upstream = upstream
    upstream.on('response', (response) => this.#received(response))
    upstream.on('information', ({ statusCode, headers }) => this.#informed(statusCode, headers))
    if (this.#exchange.expectsContinue) {
      upstream.setHeader('Expect', '100-continue')
      upstream.flushHeaders()
      upstream.once('continue', () => {
        this.#bodyIsWanted = true
        this.#stall.touch()
        if (!this.#exchange.res.headersSent) this.#exchange.res.writeContinue()
      })
    }
    // Reached with shouldKeepAlive set (see #received): the exchange is complete and the socket is ours again.
    const socket = this.#socket as Socket
    socket.once('free', () => {
      // From now on it may serve another exchange: this one must not touch it any more.
      this.#socket = null
      this.#exchange.surroundings.sockets.release(this.#to, socket, this.#mayReuse, this.#plan.close)
    })
  }

  /** An interim response: passed on as far as Node can write it. */
  #informed(status: number, headers: IncomingHttpHeaders): void {
    const { request, res } = this.#exchange
    if (status === 101) return void this.#switchedUnasked()
    // Without a socket, which a pipelined request has not yet, Node would put it behind the final head.
    if (request.httpVersion === '1.0' || res.headersSent || res.socket === null) return
    try {
      if (status === 102) res.writeProcessing()
      if (status === 103) res.writeEarlyHints(headers as Record<string, string | string[]>)
    } catch {
      // Node writes only hints that it can parse; a hint is never worth a request.
    }
  }

  #switchedUnasked(): void {
    this.end({ kind: 'bad-response', afterHeaders: false, detail: 'a switch of protocols that nobody asked for' })
  }

  #pumpBody(upstream: ClientRequest): void {
    const { req, stats } = this.#exchange
    const limit = this.#plan.bodyLimit
    this.#stopPumping = pumpRequestBody(req, upstream, {
      onPiece: (bytes) => {
        stats.bytesIn += bytes
        this.#bodyIsWanted = true
        this.#stall.touch()
        if (limit === null || stats.bytesIn <= limit) return true
        this.end({ kind: 'bad-request', status: 413, detail: `The body is longer than ${limit} bytes.` })
        return false
      },
      onDrained: () => this.#stall.touch(),
      onEnd: () => {
        if (this.#phase === 'sending') this.#progress('waiting')
      },
    })
  }

  #upstreamFailed(error: NodeJS.ErrnoException): void {
    if (this.#phase === 'over') return
    const code = error.code ?? 'EUNKNOWN'
    const afterHeaders = this.#response !== null && this.#exchange.answered
    if (code.startsWith('HPE_')) {
      // What comes behind a complete response is nobody's: the connection is gone, and that is all.
      if (this.#response?.complete !== true) this.end({ kind: 'bad-response', afterHeaders, detail: code })
      return
    }
    if (this.#response !== null) {
      // Node takes a reset for the end of a body that ends with its connection: the error is the only sign of it.
      if (!this.#response.complete) this.end({ kind: 'broke-off', afterHeaders, code })
      return
    }
    const { method, hasBody } = this.#exchange.request
    if (this.#reused && isReplayable(method, hasBody)) {
      // The endpoint closed an idle connection just as it was taken up again: that is nobody's fault.
      this.#socket?.destroy()
      this.#phase = 'connecting'
      this.#giveUpConnecting = this.#connect(false)
      return
    }
    this.end({ kind: 'broke-off', afterHeaders: false, code })
  }

  // Receiving

  #mayReuse = false

  #received(response: IncomingMessage): void {
    if (this.#phase === 'over') return void response.destroy()
    const { res, stats } = this.#exchange
    const status = response.statusCode ?? 0
    this.#response = response
    stats.firstByteMs = this.#now() - this.#startMs
    response.on('close', () => {
      if (response.complete) return
      this.end({ kind: 'broke-off', afterHeaders: res.headersSent, code: 'ECONNRESET' })
    })
    const fault = faultOfHead(response)
    if (fault !== null) return void this.end({ kind: 'bad-response', afterHeaders: false, detail: fault })
    if (!this.#plan.onHead(status)) return void this.end({ kind: 'responded', status, relayed: false })

    this.#keepSocketAtEnd()
    this.#progress('receiving')
    try {
      res.writeHead(status, response.statusMessage ?? '', this.#responseFields(response))
    } catch (error) {
      return void this.end({ kind: 'bad-response', afterHeaders: false, detail: messageOf(error) })
    }
    this.#pumpResponse(response, status)
  }

  /**
   * Node would close the socket as soon as the response is complete, and the port would stay in TIME_WAIT on this side.
   * Held as if it were kept alive, it comes back through `free`, and the endpoint is left to close it.
   */
  #keepSocketAtEnd(): void {
    const upstream = this.#upstream as ClientRequest
    this.#mayReuse = this.#plan.keepAlive && upstream.shouldKeepAlive
    upstream.shouldKeepAlive = true
  }

  #responseFields(response: IncomingMessage): string[] {
    const fields = this.#plan.responseHeaders(response.rawHeaders)
    // RFC 9110 §8.6: a 204 has no length, and a client that believed one would wait for a body.
    if (response.statusCode === 204) removeField(fields, 'content-length')
    // Node refuses to announce trailers where there can be none.
    const { expectsContinue, request, surroundings, upgrade } = this.#exchange
    if (!hasTrailers(response, request)) removeField(fields, 'trailer')
    // A client that still waits for "100 Continue" may or may not send its body now: the connection is ambiguous.
    const ambiguous = expectsContinue && this.#exchange.stats.bytesIn === 0
    if (ambiguous || upgrade !== null || surroundings.isLastOn(this.#exchange.req.socket)) {
      fields.push('Connection', 'close')
    }
    return fields
  }

  #pumpResponse(response: IncomingMessage, status: number): void {
    const { res, stats, upgrade } = this.#exchange
    pumpResponseBody(response, res, {
      isOver: () => this.#phase === 'over',
      onPiece: (bytes) => {
        stats.bytesOut += bytes
        this.#stall.touch()
      },
      onDrained: () => this.#stall.touch(),
      onEnd: () => {
        if (upgrade !== null) this.#exchange.endUpgradeSocket(upgrade.socket)
      },
    })
    res.on('finish', () => this.end({ kind: 'responded', status, relayed: true }))
  }

  #switchProtocols(upgrade: UpgradeRequest, response: IncomingMessage, upstreamSocket: Socket, head: Buffer): void {
    if (this.#phase === 'over') return void upstreamSocket.destroy()
    const { res, stats, request } = this.#exchange
    const { socket } = upgrade
    stats.firstByteMs = this.#now() - this.#startMs
    this.#plan.onHead(101)
    this.#phase = 'tunnel'
    this.#stall.stop()
    this.#exchange.tunnelled = true
    res.detachSocket(socket)

    const fields = this.#plan.responseHeaders(response.rawHeaders)
    const protocol = response.headers.upgrade ?? upgrade.protocol
    socket.write(switchingHead(request.httpVersion, fields, protocol), 'latin1')
    if (head.length > 0) upstreamSocket.unshift(head)
    if (upgrade.early.length > 0) socket.unshift(upgrade.early)
    joinTunnel(socket, upstreamSocket, (bytesUp, bytesDown) => {
      stats.bytesIn = bytesUp
      stats.bytesOut = bytesDown
      this.end({ kind: 'responded', status: 101, relayed: true })
    })
  }

  // Time

  #now(): number {
    return this.#exchange.surroundings.now()
  }

  #progress(phase: Phase): void {
    this.#phase = phase
    this.#stall.touch()
  }

  /** Until the endpoint has let the body come, it is the endpoint that everybody waits for. */
  #isAnswerAwaited(): boolean {
    return this.#phase === 'waiting' || (this.#phase === 'sending' && !this.#bodyIsWanted)
  }

  #stalled(): void {
    if (this.#isAnswerAwaited()) {
      this.end({ kind: 'timed-out', phase: 'response' })
    } else if (this.#phase === 'sending' && this.#upstream?.writableNeedDrain !== true) {
      this.end({ kind: 'bad-request', status: 408, detail: 'The body of the request did not arrive in time.' })
    } else if (this.#phase === 'receiving' && (this.#response?.complete || this.#exchange.res.writableNeedDrain)) {
      // The endpoint has done its part; the client does not read.
      this.end({ kind: 'client-left' })
    } else {
      this.end({ kind: 'timed-out', phase: 'idle' })
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
