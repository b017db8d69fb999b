/**
 * One client's connection: which bytes are whose?
 *
 *   head ──▶ exchange (its body, then nothing) ──▶ head …
 *     └──────────┴──▶ closing ──▶ gone
 *
 * One exchange at a time: requests that were sent ahead wait as bytes. What one client writes must happen in the order in
 * which it was written (RFC 9112 §9.3.2), and what stands behind a refused request must never be served.
 */

import type { Socket } from 'node:net'
import type { LimitOptions, Refusal, Reply } from '../../exchange.ts'
import { idleGraceMs, plainAddress, reset } from '../client-connections.ts'
import type { ChunkLimits } from './chunked-reader.ts'
import { type ClientUser, Dropping } from './client-user.ts'
import { type Deadlines, lookEveryMs, Timed } from './deadlines.ts'
import { endOfHead } from './head-end.ts'
import { replyText } from './message-text.ts'
import { RequestBody, Runs } from './request-body.ts'
import { type RefusedHead, type RequestHead, readRequestHead, refusalOfPartialHead } from './request-head.ts'

/** What all connections of one engine share. */
export interface ClientSurroundings {
  readonly limits: LimitOptions
  readonly chunkLimits: ChunkLimits
  readonly deadlines: Deadlines
  /** A request has come whose head is good. */
  readonly onRequest: (connection: ClientConnection, head: RequestHead) => void
  readonly onRefusal: (refusal: Refusal) => Reply
  readonly onGone: (connection: ClientConnection) => void
  /** The proxy itself is to blame; the connection has been cut. */
  readonly onDefect: (error: Error) => void
  /** True once the proxy wants to be rid of its clients. */
  readonly isClosing: () => boolean
}

/** With so many bytes that nobody takes yet, no more are read. */
const maxAheadBytes = 64 * 1024
/** How long a client may take to close behind the last answer, and its rest be read meanwhile: RFC 9112 §9.6. */
const lingerMs = 1_000

/** How long the bytes before a cut have to reach the client. */
const cutGraceMs = 2 * lookEveryMs

const carriageReturn = 0x0d
const lineFeed = 0x0a
const nothing: Buffer = Buffer.alloc(0)

const noBody = new RequestBody(0, false, { trailerBytes: 0, trailerCount: 0, extensionBytes: 0 })

type Phase = 'head' | 'exchange' | 'closing' | 'gone'

export class ClientConnection extends Timed {
  readonly socket: Socket
  readonly clientAddress: string
  readonly localPort: number
  readonly #surroundings: ClientSurroundings
  #phase: Phase = 'head'
  /** Bytes that have come and that nobody has taken. */
  #ahead: Buffer = nothing
  /** Of the head that comes in pieces, so much has been searched for its end. */
  #searched = 0
  /** When the head that has begun to come, or should come first of all, must be complete. */
  #headDueMs: number | null
  #reading = true
  #consuming = false
  /** The next request has its turn soon. */
  #nextIsDue = false
  /** The client has ended its side. */
  #ended = false
  #idleSinceMs: number

  /** Of the request under way. */
  #body: RequestBody = noBody
  /** Takes the body; null: nobody does yet. */
  #user: ClientUser | null = null
  #wantsBody = false
  #persistent = false
  /** The connection ends with a reset. */
  #isCut = false

  constructor(socket: Socket, surroundings: ClientSurroundings) {
    super()
    this.socket = socket
    this.#surroundings = surroundings
    this.clientAddress = plainAddress(socket.remoteAddress ?? '')
    this.localPort = socket.localPort ?? 0
    const { deadlines, limits } = surroundings
    deadlines.watch(this)
    // Known to be right only now: nobody may have been watched before.
    this.#idleSinceMs = deadlines.nowMs
    this.#headDueMs = deadlines.nowMs + limits.clientHeaderTimeoutMs
    deadlines.move(this, this.#headDueMs)
    socket.on('data', (bytes: Buffer) => this.#guard(() => this.#received(bytes)))
    socket.on('drain', () => this.#guard(() => this.#user?.onClientDrain()))
    socket.on('end', () => this.#guard(() => this.#endedByClient()))
    socket.on('error', () => this.#guard(() => this.#lost()))
    socket.on('close', () => this.#guard(() => this.#closed()))
  }

  /** An event is nobody's caller: a defect must end this connection, not the process. */
  #guard(react: () => void): void {
    try {
      react()
    } catch (error) {
      this.#surroundings.onDefect(error as Error)
      this.cut()
    }
  }

  // What the exchange under way sees

  /** True once nothing that is written can reach the client. */
  get isGone(): boolean {
    return this.#phase === 'gone' || this.#isCut || this.socket.destroyed
  }

  /** The client has ended its side; it may still read. */
  get hasEnded(): boolean {
    return this.#ended
  }

  get bodyIsComplete(): boolean {
    return this.#body.isComplete
  }

  /** True when no further request will be served here: the answer must say so. */
  get isLast(): boolean {
    return !this.#persistent || (this.#surroundings.isClosing() && this.#ahead.length === 0)
  }

  get idleTimeoutMs(): number {
    return this.#surroundings.limits.clientIdleTimeoutMs
  }

  /** The answer of the request under way is the last one on this connection. */
  closeAfterAnswer(): void {
    this.#persistent = false
  }

  /** From now on `user` is told what happens here; it gets no body before `resumeBody`. */
  attach(user: ClientUser): void {
    this.#user = user
    this.#wantsBody = false
  }

  detach(): void {
    this.#user = null
    this.#wantsBody = false
  }

  /** The user takes (more of) the body. What is there already comes soon, often before this returns. */
  resumeBody(): void {
    this.#wantsBody = true
    if (this.#ahead.length > 0) this.#consume(nothing)
    this.#readOn()
  }

  /** Sets when the user's `onDue` is called. Infinity: never. */
  setDue(afterMs: number): void {
    const { deadlines } = this.#surroundings
    deadlines.move(this, deadlines.nowMs + afterMs)
  }

  /** Nobody waits for anything. */
  liftDue(): void {
    this.#surroundings.deadlines.move(this, Number.POSITIVE_INFINITY)
  }

  /** True when the client has to read before more is written. */
  get isFull(): boolean {
    return this.socket.writableNeedDrain
  }

  /** Everything written so far has been handed over. */
  get isFlushed(): boolean {
    return this.socket.writableLength === 0
  }

  /** Calls back when everything written so far has been handed over: at once, mostly. */
  whenFlushed(done: () => void): void {
    if (this.isFlushed) done()
    else this.socket.write('', () => this.#guard(done))
  }

  /** The answer is out. Goes on with the next request, or closes. */
  answered(): void {
    this.detach()
    if (this.#phase !== 'exchange') return
    if (!this.#persistent || (this.#ended && this.#ahead.length === 0)) return this.closeGently()
    if (this.#body.isComplete) return this.#nextRequest()
    // The rest of a body that nobody wants is read and dropped, so that the client comes to its end.
    this.attach(new Dropping(this))
    this.resumeBody()
  }

  /** Cuts the connection: what was sent must not look complete. */
  cut(): void {
    if (this.isGone) return
    const hasBegun = this.socket.bytesWritten > 0
    this.#leave()
    if (!hasBegun) return reset(this.socket)
    // Some clients take a reset that arrives together with the last bytes for an ordinary end.
    this.#phase = 'closing'
    this.#readNoMore()
    this.#isCut = true
    this.setDue(cutGraceMs)
  }

  /** Behind the last answer: ends our side, and gives the client the time to end its own. */
  closeGently(): void {
    if (this.#phase === 'closing' || this.#phase === 'gone') return
    this.#phase = 'closing'
    this.#user = null
    this.#ahead = nothing
    this.setDue(lingerMs)
    this.socket.end()
    if (this.#ended) return
    this.#readOn()
  }

  /** Takes the connection away from HTTP: bytes both ways until both sides are done. What came early is returned. */
  becomeTunnel(): Buffer {
    const early = this.#ahead
    this.#ahead = nothing
    this.#phase = 'closing'
    this.#user = null
    this.liftDue()
    this.socket.removeAllListeners('data')
    this.socket.removeAllListeners('end')
    this.socket.removeAllListeners('drain')
    return early
  }

  /** Closes what has been idle for long enough, or everything; see `DataListener.close`. */
  drain(startMs: number, late: boolean): void {
    if (late) return this.#reset()
    const quietSinceMs = Math.max(startMs, this.#idleSinceMs)
    if (this.#phase === 'head' && this.#surroundings.deadlines.nowMs - quietSinceMs >= idleGraceMs) this.#lost()
  }

  /** Refuses what has come, and everything behind it. */
  refuse(status: number, detail: string): void {
    const reply = this.#surroundings.onRefusal({ status, detail, clientAddress: this.clientAddress })
    if (this.socket.writable) this.socket.write(replyText(reply, ['Connection', 'close']), 'utf8')
    this.closeGently()
  }

  // Bytes in

  #received(bytes: Buffer): void {
    if (this.#phase === 'closing' || this.#phase === 'gone') return
    this.#consume(bytes)
    if (this.#isWaiting && this.#ahead.length >= maxAheadBytes) this.#readNoMore()
  }

  /** What comes now has to wait for its turn. */
  get #isWaiting(): boolean {
    return this.#phase === 'exchange' || this.#nextIsDue
  }

  #readNoMore(): void {
    if (!this.#reading) return
    this.#reading = false
    this.socket.pause()
  }

  #readOn(): void {
    if (this.#reading || (this.#isWaiting && this.#ahead.length >= maxAheadBytes)) return
    this.#reading = true
    this.socket.resume()
  }

  /** Hands bytes to whoever they are for, as far as somebody takes them; keeps the rest. */
  #consume(more: Buffer): void {
    const bytes = this.#ahead.length === 0 ? more : more.length === 0 ? this.#ahead : Buffer.concat([this.#ahead, more])
    this.#ahead = bytes
    // Somebody further down this stack is at it, and sees what has been added.
    if (this.#consuming) return
    this.#consuming = true
    try {
      while (this.#ahead.length > 0 && this.#step()) {}
    } finally {
      this.#consuming = false
    }
    // Bytes that held up the reading have been taken.
    if (this.#phase === 'head' ? !this.#nextIsDue : this.#wantsBody) this.#readOn()
    if (this.#ended && !this.#nextIsDue) this.#judgeEnd()
  }

  /** Takes some of what is there; false when nobody takes any. */
  #step(): boolean {
    if (this.#phase === 'head') return !this.#nextIsDue && this.#readHead()
    if (this.#phase === 'exchange' && !this.#body.isComplete && this.#wantsBody) return this.#readBody()
    return false
  }

  #readHead(): boolean {
    const bytes = this.#ahead
    let start = 0
    // RFC 9112 §2.2: an empty line before a request means nothing.
    while (bytes[start] === carriageReturn && bytes[start + 1] === lineFeed) start += 2
    const end = endOfHead(bytes, Math.max(start, this.#searched), bytes.length)
    const { limits, deadlines } = this.#surroundings
    if (end < 0) {
      this.#ahead = bytes.subarray(start)
      this.#searched = Math.max(0, this.#ahead.length - 3)
      const text = this.#ahead.toString('latin1', 0, this.#ahead.length)
      if (text === '' || text === '\r') return false
      if (this.#headDueMs === null) {
        this.#headDueMs = deadlines.nowMs + limits.clientHeaderTimeoutMs
        deadlines.move(this, this.#headDueMs)
      }
      const refused = refusalOfPartialHead(text, limits)
      if (refused !== null) this.refuse(refused.status, refused.detail)
      return false
    }
    this.#searched = 0
    this.#headDueMs = null
    this.#ahead = end === bytes.length ? nothing : bytes.subarray(end)
    return this.#begin(readRequestHead(bytes.toString('latin1', start, end - 2), limits))
  }

  #begin(head: RequestHead | RefusedHead): boolean {
    if (head.kind === 'refused') {
      this.refuse(head.status, head.detail)
      return false
    }
    this.#phase = 'exchange'
    this.liftDue()
    this.#persistent = head.keepAlive
    const hasBody = head.chunked || head.contentLength > 0
    this.#body = hasBody ? new RequestBody(head.contentLength, head.chunked, this.#surroundings.chunkLimits) : noBody
    this.#surroundings.onRequest(this, head)
    // Answered already? Then what follows has its turn later.
    return this.#phase === 'exchange'
  }

  #readBody(): boolean {
    const bytes = this.#ahead
    const body = this.#body
    const runs = new Runs()
    const end = body.read(bytes, runs)
    this.#ahead = end === bytes.length ? nothing : bytes.subarray(end)
    for (let index = 0; index < runs.bounds.length; index += 2) {
      this.#give(bytes, runs.bounds[index] as number, runs.bounds[index + 1] as number)
    }
    if (body.fault !== null) {
      this.#body = noBody
      this.#persistent = false
      this.#user?.onBodyMalformed(body.fault)
      return false
    }
    if (body.isComplete) {
      // What follows is read on, if only to see whether the client is still there.
      this.#readOn()
      this.#user?.onBodyEnd(body.trailers)
      if (this.#ended) this.#user?.onClientEnded()
    }
    return true
  }

  #give(bytes: Buffer, start: number, end: number): void {
    // The user may have left in the middle of it.
    if (this.#user === null || this.#user.onBody(bytes, start, end)) return
    this.#wantsBody = false
    this.#readNoMore()
  }

  #nextRequest(): void {
    const { deadlines, limits } = this.#surroundings
    this.#phase = 'head'
    this.#idleSinceMs = deadlines.nowMs
    deadlines.move(this, deadlines.nowMs + limits.clientIdleTimeoutMs)
    // Not at once: the exchange before is still being told to those who keep count, and comes first.
    this.#nextIsDue = this.#ahead.length > 0 || this.#ended
    this.#readOn()
    if (!this.#nextIsDue) return
    setImmediate(() => {
      this.#nextIsDue = false
      this.#guard(() => this.#consume(nothing))
    })
  }

  // Ends

  #endedByClient(): void {
    this.#ended = true
    this.#consume(nothing)
    if (this.#phase === 'exchange' && this.#body.isComplete) this.#user?.onClientEnded()
  }

  /** What it means that nothing more will come. */
  #judgeEnd(): void {
    if (this.#phase === 'head') {
      if (this.#ahead.length > 0) this.#lost()
      else this.closeGently()
    } else if (this.#phase === 'exchange' && this.#body.isCutOff(this.#ahead.length)) {
      this.#lost()
    }
  }

  /** The connection has died or is of no more use. */
  #lost(): void {
    if (this.#phase === 'gone') return
    this.#leave()
    this.socket.destroy()
  }

  #leave(): void {
    if (this.#phase === 'gone') return
    const user = this.#user
    this.#phase = 'gone'
    this.#user = null
    this.#ahead = nothing
    user?.onClientGone()
  }

  #closed(): void {
    this.#leave()
    this.#surroundings.deadlines.forget(this)
    this.#surroundings.onGone(this)
  }

  #reset(): void {
    this.#leave()
    reset(this.socket)
  }

  onDue(): void {
    if (this.#isCut) return this.#reset()
    // Nobody has it who could say more than that the client does not read.
    if (this.#phase === 'exchange') return this.#user === null ? this.cut() : this.#user.onDue()
    if (this.#phase === 'head' && this.#headDueMs !== null) {
      this.liftDue()
      return this.refuse(408, 'The request head did not arrive in time.')
    }
    this.#lost()
  }
}
