/**
 * Is a client that has ended its side still there?
 *
 * One that half-closed waits for its answer, and one that closed is gone, and both sent the same: only writing tells,
 * because what is gone answers with a reset. So when an answer keeps such a client waiting, it is sent something that
 * means nothing: before the answer a "100 Continue", which any client may skip (RFC 9110 §15.2.1), and between chunks a
 * zero in front of the next chunk's size (docs/decisions/013-half-closed-clients.md).
 */

import { Timed } from './deadlines.ts'
import type { WireExchange } from './wire-exchange.ts'

/** Answers that come sooner need no probe. */
const patienceMs = 1_000
/** Where nothing can be written: for so long a client may wait in the middle of an answer. */
const silenceMs = 3_000

interface ProbeUser {
  /** True when the next byte to the client is the first of a chunk. */
  readonly isBetweenChunks: () => boolean
  /** There is nobody any more. */
  readonly onGone: () => void
}

export class ClientProbe extends Timed {
  readonly #exchange: WireExchange
  readonly #on: ProbeUser
  #probes = 0
  #bytesOut: number
  #silentSinceMs: number

  constructor(exchange: WireExchange, on: ProbeUser) {
    super()
    const { deadlines } = exchange.surroundings
    this.#exchange = exchange
    this.#on = on
    this.#bytesOut = exchange.stats.bytesOut
    this.#silentSinceMs = deadlines.nowMs
    deadlines.watch(this, deadlines.nowMs + patienceMs)
  }

  stop(): void {
    this.#exchange.surroundings.deadlines.forget(this)
  }

  onDue(): void {
    const { client, head, answered, stats, surroundings } = this.#exchange
    const { deadlines } = surroundings
    const { nowMs } = deadlines
    if (stats.bytesOut !== this.#bytesOut) {
      // What is written tells as well as any probe.
      this.#bytesOut = stats.bytesOut
      this.#silentSinceMs = nowMs
    }
    deadlines.move(this, nowMs + patienceMs)
    if (answered && !this.#on.isBetweenChunks()) {
      if (nowMs - this.#silentSinceMs >= silenceMs && client.isFlushed) this.#on.onGone()
      return
    }
    // The first write brings the reset, the second one meets it.
    if (this.#probes >= 2 || head.version === '1.0') return
    client.socket.write(answered ? '0' : 'HTTP/1.1 100 Continue\r\n\r\n', 'latin1')
    this.#probes++
    if (this.#probes < 2) deadlines.move(this, nowMs)
  }
}
