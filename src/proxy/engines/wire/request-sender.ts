/** How does a request reach its endpoint? Its head first, its body as it comes, and what comes together in one write. */

import type { AttemptPlan, RawHeaders } from '../../exchange.ts'
import { headerValue, headerValues, trailersOf } from '../../headers.ts'
import { JoinedWriter } from './joined-writer.ts'
import { fieldLines } from './message-text.ts'
import type { RequestHead } from './request-head.ts'
import type { UpstreamSocket } from './upstream-socket.ts'

export class RequestSender {
  /** All of it has been handed over. */
  isSent = false
  readonly #socket: UpstreamSocket
  readonly #writer: JoinedWriter
  readonly #isChunked: boolean
  readonly #onRoom: () => void
  #flushIsDue = false
  /** More is wanted only when there is room again. */
  #isHeldUp = false

  /** @param onRoom called when more of the body is wanted, after `add` said no */
  constructor(socket: UpstreamSocket, head: RequestHead, onRoom: () => void) {
    this.#socket = socket
    this.#writer = new JoinedWriter(socket)
    this.#isChunked = head.chunked
    this.#onRoom = onRoom
  }

  /** The request has no body. */
  sendHeadAlone(text: string): void {
    this.isSent = true
    this.#socket.write(text, 'latin1')
  }

  sendHead(text: string): void {
    // What follows the head in a write of its own must not be held back.
    this.#socket.setNoDelay(true)
    this.#socket.outliveWrites()
    this.#writer.add(text)
    this.#flushSoon()
  }

  /** Sends a piece of the body; false: no more for now. */
  add(bytes: Buffer, start: number, end: number): boolean {
    if (this.#isChunked) this.#writer.add(`${(end - start).toString(16)}\r\n`)
    this.#writer.addBytes(bytes, start, end)
    if (this.#isChunked) this.#writer.add('\r\n')
    this.#flushSoon()
    this.#isHeldUp = this.#writer.isFull
    return !this.#isHeldUp
  }

  end(trailers: RawHeaders): void {
    if (this.#isChunked) this.#writer.add(`0\r\n${fieldLines(trailersOf(trailers))}\r\n`)
    this.isSent = true
    this.#flushSoon()
  }

  /** The endpoint has taken what was written. */
  drained(): void {
    if (!this.#isHeldUp) return
    this.#isHeldUp = false
    this.#onRoom()
  }

  #flushSoon(): void {
    if (this.#flushIsDue) return
    this.#flushIsDue = true
    process.nextTick(flush, this)
  }

  flush(): void {
    this.#flushIsDue = false
    if (this.#socket.destroyed) return
    this.#writer.flush()
    if (!this.#writer.isFull) this.drained()
  }
}

function flush(sender: RequestSender): void {
  sender.flush()
}

/** The head of the request as the endpoint gets it. `host`: for clients old enough to leave theirs out. */
export function requestHeadText(head: RequestHead, plan: AttemptPlan, host: string): string {
  const { method, version, chunked, expectsContinue, upgrade } = head
  let text = `${method} ${plan.target} HTTP/1.1\r\n${fieldLines(plan.requestHeaders)}`
  if (version === '1.0' && headerValue(plan.requestHeaders, 'host') === null) text += `Host: ${host}\r\n`
  if (chunked) text += 'Transfer-Encoding: chunked\r\n'
  if (expectsContinue) text += 'Expect: 100-continue\r\n'
  if (upgrade !== null) return `${text}Connection: Upgrade\r\nUpgrade: ${askedProtocol(head)}\r\n\r\n`
  return text + (plan.keepAlive ? 'Connection: keep-alive\r\n\r\n' : 'Connection: close\r\n\r\n')
}

/** The protocol to switch to, as the client wrote it. */
function askedProtocol(head: RequestHead): string {
  return headerValues(head.rawHeaders, 'upgrade').join(', ')
}
