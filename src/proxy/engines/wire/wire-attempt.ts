/**
 * One attempt on raw sockets: from the connect to the last byte of the answer, or to whatever ended it before.
 *
 *   connecting ──▶ waiting ──▶ receiving ──▶ over
 *        │            └──▶ tunnel ──▶ ──▶ ──▶─┤
 *        └── each may end at once: fault, deadline, client gone
 *
 * The body of the request goes its own way beside the last three: an endpoint may answer before it has read all of it.
 * `end` is the only way out, and its first call counts.
 */

import type { Endpoint } from '../../../balancer/endpoint.ts'
import type { Outcome } from '../../../balancer/outcome.ts'
import type { AttemptPlan, RawHeaders } from '../../exchange.ts'
import { endToEnd } from '../../headers.ts'
import { isReplayable } from '../../retry.ts'
import { AnswerBody } from './answer-body.ts'
import { ClientProbe } from './client-probe.ts'
import type { ClientUser } from './client-user.ts'
import { endOfHead } from './head-end.ts'
import { fieldLines, hasDate, httpDate } from './message-text.ts'
import { RequestSender, requestHeadText } from './request-sender.ts'
import { faultOfPartialResponseHead, type ResponseHead, readResponseHead, responseLimits } from './response-head.ts'
import { joinTunnel } from './tunnel.ts'
import type { UpstreamSocket, UpstreamUser } from './upstream-socket.ts'
import type { WireExchange } from './wire-exchange.ts'

/** How an attempt ends: one of these, once. */
interface Told {
  readonly onEnd: (outcome: Outcome) => void
  /** The proxy itself is to blame, and no endpoint. */
  readonly onDefect: (error: unknown) => void
}

type Phase = 'connecting' | 'waiting' | 'receiving' | 'tunnel' | 'over'

export class WireAttempt implements UpstreamUser, ClientUser {
  readonly reads = true
  readonly #exchange: WireExchange
  readonly #to: Endpoint
  readonly #plan: AttemptPlan
  readonly #told: Told
  readonly #startMs: number
  #phase: Phase = 'connecting'
  #socket: UpstreamSocket | null = null

  #request: RequestSender | null = null
  /** The endpoint has let the body come; true from the start when it was not asked. */
  #bodyIsWanted: boolean

  /** The beginning of a head that comes in pieces. */
  #partial: Buffer | null = null
  /** Something of an answer has come. */
  #isAnswering = false
  #status = 0
  #answer: AnswerBody | null = null
  #probe: ClientProbe | null = null

  constructor(exchange: WireExchange, to: Endpoint, plan: AttemptPlan, told: Told) {
    this.#exchange = exchange
    this.#to = to
    this.#plan = plan
    this.#told = told
    this.#startMs = exchange.surroundings.now()
    this.#bodyIsWanted = !exchange.head.expectsContinue
    exchange.stats.connectMs = null
    exchange.stats.firstByteMs = null
  }

  start(): void {
    this.#exchange.client.attach(this)
    this.#connect(this.#plan.keepAlive)
    if (this.#exchange.client.hasEnded) this.onClientEnded()
  }

  /** The attempt is over. Only the first call counts. */
  end(outcome: Outcome): void {
    if (this.#phase === 'over') return
    this.#letGo()
    if (outcome.kind === 'responded' && outcome.relayed) this.#exchange.client.answered()
    this.#told.onEnd(outcome)
  }

  onDefect(error: unknown): void {
    if (this.#phase === 'over') return
    this.#letGo()
    this.#told.onDefect(error)
  }

  /** From here on nothing that still happens on either side counts. */
  #letGo(): void {
    this.#phase = 'over'
    this.#probe?.stop()
    this.#exchange.client.detach()
    if (this.#socket !== null) this.#exchange.surroundings.pool.discard(this.#socket)
    this.#socket = null
  }

  // Connecting

  #connect(reuse: boolean): void {
    const { client, request, surroundings } = this.#exchange
    this.#phase = 'connecting'
    client.setDue(this.#plan.deadlines.connectMs)
    const socket = surroundings.pool.acquire(this.#to, this, reuse, isReplayable(request.method, request.hasBody))
    this.#socket = socket
    if (socket.reused) this.#send(socket)
  }

  onConnect(socket: UpstreamSocket): void {
    this.#send(socket)
  }

  // Sending

  #send(socket: UpstreamSocket): void {
    const { client, head, request, stats, surroundings } = this.#exchange
    const { deadlines } = this.#plan
    stats.connectMs = surroundings.now() - this.#startMs
    this.#phase = 'waiting'
    const text = requestHeadText(head, this.#plan, this.#to.id)
    const sender = new RequestSender(socket, head, () => client.resumeBody())
    this.#request = sender
    if (!request.hasBody) {
      client.setDue(deadlines.responseMs)
      return sender.sendHeadAlone(text)
    }
    client.setDue(this.#bodyIsWanted ? deadlines.idleMs : deadlines.responseMs)
    sender.sendHead(text)
    client.resumeBody()
  }

  onBody(bytes: Buffer, start: number, end: number): boolean {
    const { stats, client } = this.#exchange
    const { bodyLimit, deadlines } = this.#plan
    stats.bytesIn += end - start
    this.#bodyIsWanted = true
    if (bodyLimit !== null && stats.bytesIn > bodyLimit) {
      this.end({ kind: 'bad-request', status: 413, detail: `The body is longer than ${bodyLimit} bytes.` })
      return false
    }
    client.setDue(deadlines.idleMs)
    return this.#request?.add(bytes, start, end) === true
  }

  onBodyEnd(trailers: RawHeaders): void {
    this.#request?.end(trailers)
    if (this.#phase === 'waiting') this.#exchange.client.setDue(this.#plan.deadlines.responseMs)
  }

  onBodyMalformed(detail: string): void {
    this.end({ kind: 'bad-request', status: 400, detail })
  }

  onDrain(): void {
    if (this.#phase === 'waiting' && !this.#requestIsSent) this.#exchange.client.setDue(this.#plan.deadlines.idleMs)
    this.#request?.drained()
  }

  get #requestIsSent(): boolean {
    return this.#request?.isSent === true
  }

  // Receiving

  onBytes(socket: UpstreamSocket, shared: Buffer, length: number): void {
    if (this.#answer?.isComplete) return
    this.#isAnswering = true
    let bytes = shared
    let end = length
    let at = 0
    if (this.#partial !== null) {
      bytes = Buffer.concat([this.#partial, shared.subarray(0, length)])
      end = bytes.length
      this.#partial = null
    }
    while (this.#phase === 'waiting') {
      const headEnd = endOfHead(bytes, at, end)
      if (headEnd < 0) return this.#keepPartial(bytes, at, end)
      const head = readResponseHead(bytes.toString('latin1', at, headEnd - 2))
      if (head.kind === 'malformed') return this.#malformed(head.detail)
      at = headEnd
      if (head.status >= 200) this.#begin(head)
      else if (head.status === 101) return this.#switchProtocols(socket, head, Buffer.from(bytes.subarray(at, end)))
      else this.#informed(socket, head)
      if (at === end && this.#phase === 'waiting') return
    }
    if (this.#phase === 'receiving') this.#pass(socket, bytes, at, end)
  }

  #keepPartial(bytes: Buffer, start: number, end: number): void {
    const fault =
      end - start > responseLimits.headBytes
        ? 'the response head is too large'
        : (faultOfPartialResponseHead(bytes.toString('latin1', start, end))?.detail ?? null)
    if (fault !== null) this.#malformed(fault)
    else this.#partial = Buffer.from(bytes.subarray(start, end))
  }

  #malformed(detail: string): void {
    this.end({ kind: 'bad-response', afterHeaders: this.#exchange.answered, detail })
  }

  /** An interim response. */
  #informed(socket: UpstreamSocket, head: ResponseHead): void {
    const { client, head: asked } = this.#exchange
    if (head.status === 100) {
      if (this.#bodyIsWanted) return
      this.#bodyIsWanted = true
      client.setDue(this.#plan.deadlines.idleMs)
      client.socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1')
      return
    }
    if (asked.version === '1.0') return
    const fields = fieldLines(withoutLength(endToEnd(head.rawHeaders, 0)))
    client.socket.write(`HTTP/1.1 ${head.status} ${head.reason}\r\n${fields}\r\n`, 'latin1')
    if (client.isFull) socket.pause()
  }

  /** The final response has begun. */
  #begin(head: ResponseHead): void {
    const { stats, surroundings, client, head: asked } = this.#exchange
    const { status } = head
    stats.firstByteMs = surroundings.now() - this.#startMs
    if (!this.#plan.onHead(status)) return this.end({ kind: 'responded', status, relayed: false })
    this.#phase = 'receiving'
    this.#status = status
    client.setDue(this.#plan.deadlines.idleMs)
    if (this.#exchange.isBodyInDoubt || asked.upgrade !== null) client.closeAfterAnswer()
    const answer = new AnswerBody(this.#exchange, head)
    this.#answer = answer
    this.#exchange.answered = true
    const fields = this.#plan.responseHeaders(head.rawHeaders)
    let text = `HTTP/1.1 ${status} ${head.reason}\r\n`
    text += status === 204 ? fieldLines(withoutLength(fields)) : fieldLines(fields)
    if (!hasDate(fields)) text += `Date: ${httpDate()}\r\n`
    answer.writer.add(`${text}${answer.framingLine}${fieldLines(this.#exchange.connectionFields())}\r\n`)
  }

  /** Passes body bytes on. */
  #pass(socket: UpstreamSocket, bytes: Buffer, start: number, end: number): void {
    const { client } = this.#exchange
    const answer = this.#answer as AnswerBody
    const used = answer.pass(socket, bytes, start, end)
    if (answer.fault !== null) return this.#malformed(answer.fault)
    client.setDue(this.#plan.deadlines.idleMs)
    // Bytes behind the response are nobody's: who sends them is out of step.
    if (answer.isComplete) return this.#complete(socket, used === end)
    if (client.isFull) socket.pause()
  }

  /** The whole response has come. */
  #complete(socket: UpstreamSocket, isInStep: boolean): void {
    const { client, surroundings } = this.#exchange
    // An endpoint that answered without reading the whole request has no use for its connection any more.
    if (this.#requestIsSent) {
      const reuse = this.#plan.keepAlive && isInStep && (this.#answer as AnswerBody).isReusable
      this.#socket = null
      surroundings.pool.release(socket, reuse, this.#plan.close)
    }
    const status = this.#status
    if (!client.isFlushed) client.whenFlushed(() => this.end({ kind: 'responded', status, relayed: true }))
    else this.end({ kind: 'responded', status, relayed: true })
  }

  onClientDrain(): void {
    if (this.#phase === 'over') return
    this.#answer?.drained()
    if (this.#phase === 'receiving') this.#exchange.client.setDue(this.#plan.deadlines.idleMs)
    if (this.#socket?.isPaused()) this.#socket.resume()
  }

  #switchProtocols(socket: UpstreamSocket, head: ResponseHead, early: Buffer): void {
    const { client, head: asked, stats, surroundings } = this.#exchange
    if (asked.upgrade === null) return this.#malformed('a switch of protocols that nobody asked for')
    if (head.upgrade === null) return this.#malformed('a switch of protocols without saying to which')
    stats.firstByteMs = surroundings.now() - this.#startMs
    this.#plan.onHead(101)
    this.#phase = 'tunnel'
    this.#probe?.stop()
    this.#exchange.answered = true
    const fields = fieldLines(withoutLength(this.#plan.responseHeaders(head.rawHeaders)))
    const text = `HTTP/1.1 101 Switching Protocols\r\n${fields}Connection: Upgrade\r\nUpgrade: ${head.upgrade}\r\n\r\n`
    client.socket.write(text, 'latin1')
    this.#socket = null
    joinTunnel(client, socket, early, (bytesUp, bytesDown) => {
      stats.bytesIn = bytesUp
      stats.bytesOut = bytesDown
      surroundings.pool.discard(socket)
      this.end({ kind: 'responded', status: 101, relayed: true })
    })
  }

  // Ends

  onEnd(socket: UpstreamSocket): void {
    if (this.#phase === 'receiving' && this.#answer?.endsWithConnection) {
      this.#answer.ends()
      this.#complete(socket, false)
    } else if (this.#phase !== 'tunnel') {
      this.#upstreamLost('ECONNRESET')
    }
  }

  onClose(socket: UpstreamSocket, code: string | null): void {
    this.#exchange.surroundings.pool.discard(socket)
    if (this.#socket !== socket) return
    this.#socket = null
    if (this.#phase === 'connecting') this.end({ kind: 'connect-failed', code: code ?? 'ECONNRESET' })
    else this.#upstreamLost(code ?? 'ECONNRESET', socket.reused)
  }

  #upstreamLost(code: string, reused = this.#socket?.reused === true): void {
    if (this.#phase === 'over') return
    // Complete, and only the client has not read it all.
    if (this.#answer?.isComplete) return
    const { answered, request } = this.#exchange
    const stale = reused && !this.#isAnswering
    if (stale && isReplayable(request.method, request.hasBody)) {
      // The endpoint closed an idle connection just as it was taken up again: that is nobody's fault.
      if (this.#socket !== null) this.#exchange.surroundings.pool.discard(this.#socket)
      this.#connect(false)
      return
    }
    this.end(
      stale
        ? { kind: 'broke-off', afterHeaders: false, code, stale }
        : { kind: 'broke-off', afterHeaders: answered, code },
    )
  }

  onClientGone(): void {
    this.end({ kind: 'client-left' })
  }

  onClientEnded(): void {
    if (this.#phase === 'over') return
    this.#probe ??= new ClientProbe(this.#exchange, {
      isBetweenChunks: () => this.#answer?.isChunked === true && !this.#answer.isComplete,
      onGone: () => this.end({ kind: 'client-left' }),
    })
  }

  /** Nothing has happened for too long. */
  onDue(): void {
    const { client } = this.#exchange
    client.liftDue()
    if (this.#phase === 'connecting') {
      this.end({ kind: 'timed-out', phase: 'connect' })
    } else if (this.#phase === 'waiting') {
      // Until the endpoint has let the body come, it is the endpoint that everybody waits for.
      if (this.#requestIsSent || !this.#bodyIsWanted) this.end({ kind: 'timed-out', phase: 'response' })
      else if (this.#socket?.writableNeedDrain) this.end({ kind: 'timed-out', phase: 'idle' })
      else this.end({ kind: 'bad-request', status: 408, detail: 'The body of the request did not arrive in time.' })
    } else if (this.#phase === 'receiving') {
      // The endpoint has done its part when the client does not read, or sends no more of what the endpoint waits for.
      const owesBody = !this.#requestIsSent && this.#socket?.writableNeedDrain === false
      const isClients = this.#answer?.isComplete || client.isFull || client.hasEnded || owesBody
      this.end(isClients ? { kind: 'client-left' } : { kind: 'timed-out', phase: 'idle' })
    }
  }
}

/** RFC 9110 §8.6: a 204 or a 1xx has no length, and a client that believed one would wait for a body. */
function withoutLength(fields: string[]): string[] {
  return fields.filter((_, index) => fields[index - (index % 2)]?.toLowerCase() !== 'content-length')
}
