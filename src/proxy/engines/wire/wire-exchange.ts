/** One client request on raw sockets: the `Exchange` of the wire engine, and what outlives its attempts. */

import type { Endpoint } from '../../../balancer/endpoint.ts'
import type { Outcome } from '../../../balancer/outcome.ts'
import type { AttemptPlan, Exchange, ExchangeRequest, ExchangeStats, Reply } from '../../exchange.ts'
import type { ClientConnection } from './client-connection.ts'
import type { Deadlines } from './deadlines.ts'
import { replyText } from './message-text.ts'
import type { RequestHead } from './request-head.ts'
import type { UpstreamPool } from './upstream-pool.ts'
import { WireAttempt } from './wire-attempt.ts'

/** What all exchanges of one engine share. */
export interface ExchangeSurroundings {
  readonly pool: UpstreamPool
  readonly deadlines: Deadlines
  readonly now: () => number
}

export class WireExchange implements Exchange {
  readonly request: ExchangeRequest
  readonly stats: ExchangeStats = { connectMs: null, firstByteMs: null, bytesIn: 0, bytesOut: 0 }
  readonly head: RequestHead
  readonly client: ClientConnection
  readonly surroundings: ExchangeSurroundings
  answered = false

  constructor(head: RequestHead, client: ClientConnection, surroundings: ExchangeSurroundings) {
    this.head = head
    this.client = client
    this.surroundings = surroundings
    this.request = {
      method: head.method,
      target: head.target,
      httpVersion: head.version,
      rawHeaders: head.rawHeaders,
      hasBody: head.chunked || head.contentLength > 0,
      upgrade: head.upgrade,
      clientAddress: client.clientAddress,
      localPort: client.localPort,
      secure: false,
    }
  }

  get clientLeft(): boolean {
    return this.client.isGone
  }

  /**
   * True when the client may or may not send its body now: it waits for "100 Continue" and gets something else, so
   * nobody can tell what its next bytes are.
   */
  get isBodyInDoubt(): boolean {
    return this.head.expectsContinue && this.stats.bytesIn === 0 && !this.client.bodyIsComplete
  }

  attempt(to: Endpoint, plan: AttemptPlan): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      if (this.clientLeft) resolve({ kind: 'client-left' })
      else new WireAttempt(this, to, plan, { onEnd: resolve, onDefect: reject }).start()
    })
  }

  reply(reply: Reply): Promise<void> {
    const { client, head } = this
    if (this.clientLeft || this.answered) {
      this.cut()
      return Promise.resolve()
    }
    this.answered = true
    if (reply.close || this.isBodyInDoubt || head.upgrade !== null) client.closeAfterAnswer()
    client.socket.write(replyText(reply, this.connectionFields(), head.method !== 'HEAD'), 'utf8')
    client.setDue(client.idleTimeoutMs)
    return new Promise((resolve) => {
      client.whenFlushed(() => {
        client.answered()
        resolve()
      })
    })
  }

  /** What the head of the answer says of the client's connection. */
  connectionFields(): string[] {
    if (this.client.isLast) {
      this.client.closeAfterAnswer()
      return ['Connection', 'close']
    }
    return this.head.version === '1.0' ? ['Connection', 'keep-alive'] : []
  }

  cut(): void {
    this.client.cut()
  }
}
