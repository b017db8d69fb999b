/** Who has a client's connection for the time of one exchange? */

import type { RawHeaders } from '../../exchange.ts'
import type { ClientConnection } from './client-connection.ts'

/** Takes the body of the request under way, and is told what becomes of its client. */
export interface ClientUser {
  /** `bytes[start, end)` of the body. They are the taker's. False: no more for now, until `resumeBody`. */
  onBody(bytes: Buffer, start: number, end: number): boolean
  onBodyEnd(trailers: RawHeaders): void
  /** The bytes behind the head are not the body that it announced. */
  onBodyMalformed(detail: string): void
  /** What was written to the client is out: more may be written. */
  onClientDrain(): void
  onClientGone(): void
  /** The client has ended its side behind a complete request. It may be gone, or wait for its answer. */
  onClientEnded(): void
  /** The deadline that the user set has passed. */
  onDue(): void
}

/** Takes the rest of a body whose answer is out, so that its client comes to the end of its request. */
export class Dropping implements ClientUser {
  readonly #connection: ClientConnection

  constructor(connection: ClientConnection) {
    this.#connection = connection
    connection.setDue(connection.idleTimeoutMs)
  }

  onBody(): boolean {
    this.#connection.setDue(this.#connection.idleTimeoutMs)
    return true
  }

  onBodyEnd(): void {
    this.#connection.answered()
  }

  onBodyMalformed(): void {
    this.#connection.closeGently()
  }

  onClientDrain(): void {}

  onClientGone(): void {}

  onClientEnded(): void {}

  onDue(): void {
    this.#connection.closeGently()
  }
}
