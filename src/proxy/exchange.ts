/** The seam between HTTP bytes and every decision: what an engine gives, and what it is told to do. */

import type { Endpoint } from '../balancer/endpoint.ts'
import type { Outcome } from '../balancer/outcome.ts'

/** Name, value, name, value … in the order and case of the wire. */
export type RawHeaders = readonly string[]

/** The head of one client request, as the engine read it from the wire. */
export interface ExchangeRequest {
  readonly method: string
  /** The request target exactly as sent. */
  readonly target: string
  readonly httpVersion: '1.0' | '1.1'
  readonly rawHeaders: RawHeaders
  /** A body is announced, by Content-Length > 0 or by chunked framing. */
  readonly hasBody: boolean
  /** The protocol that the client asks to switch to (`websocket`, …), lower case; null for an ordinary request. */
  readonly upgrade: string | null
  /** IP address of the peer; IPv4 in its plain form. */
  readonly clientAddress: string
  /** The port that the client connected to. */
  readonly localPort: number
  readonly secure: boolean
}

export interface Deadlines {
  readonly connectMs: number
  /** From the last byte of the request to the head of the response. */
  readonly responseMs: number
  /** Between two pieces of a body, either way. */
  readonly idleMs: number
}

/** What is sent to the endpoint, and how its answer is passed on. */
export interface AttemptPlan {
  /** Origin-form target for the endpoint. */
  readonly target: string
  /** End-to-end headers only; the engine adds the framing and connection headers of its own hop. */
  readonly requestHeaders: RawHeaders
  /** What becomes of the headers of the endpoint's response; the engine adds framing and `Connection`. */
  readonly responseHeaders: (fromEndpoint: RawHeaders) => string[]
  readonly deadlines: Deadlines
  /** Reuse an idle connection to this endpoint, and keep this one for the next request. */
  readonly keepAlive: boolean
  /** How a connection that is not kept ends once its exchange is complete. */
  readonly close: 'fin' | 'rst'
  /** Bytes of request body after which the exchange is a `bad-request` with 413; null: no limit. */
  readonly bodyLimit: number | null
  /**
   * Called once with the status of the final response head (or 101), before it is passed on. False: throw this
   * response away; the attempt ends as `responded` with `relayed: false`. Only false while the body is untouched.
   */
  readonly onHead: (status: number) => boolean
}

/** Measured by the engine as it goes; all durations in milliseconds from the start of the attempt. */
export interface ExchangeStats {
  connectMs: number | null
  firstByteMs: number | null
  /** Body bytes from the client. */
  bytesIn: number
  /** Body bytes to the client. */
  bytesOut: number
}

/** One client request, whichever engine parsed it. */
export interface Exchange {
  readonly request: ExchangeRequest
  readonly stats: ExchangeStats
  /** True once the downstream connection is gone. */
  readonly clientLeft: boolean
  /** True once the head of a final response is on its way to the client: from then on only `cut` is left. */
  readonly answered: boolean
  /**
   * Connects, then forwards. Resolves once, when the attempt is over on both sides; rejects only for a defect of the engine. Nothing of the
   * request body is read before the upstream connection stands. May be called again after an outcome that left the
   * client unanswered (`connect-failed`, `timed-out` before the head, `broke-off` before the head, not `relayed`).
   */
  attempt(to: Endpoint, plan: AttemptPlan): Promise<Outcome>
  /** Answers the client from the proxy itself. Resolves when the answer is handed over or the client is gone. */
  reply(reply: Reply): Promise<void>
  /** Cuts the downstream connection: what was sent must not look complete. */
  cut(): void
}

/** An answer of the proxy's own. */
export interface Reply {
  readonly status: number
  readonly headers: RawHeaders
  readonly body: string
  /** The connection must not be used again: what follows on it cannot be trusted. */
  readonly close: boolean
}

/** A request that never became an exchange: its bytes were refused by the engine. */
export interface Refusal {
  readonly status: number
  readonly detail: string
  readonly clientAddress: string
}

/** Limits on what a client may send. Sizes in bytes, durations in milliseconds. */
export interface LimitOptions {
  readonly headerBytes: number
  readonly headerCount: number
  readonly targetBytes: number
  readonly bodyBytes: number | null
  /** A request head must be complete within this time. */
  readonly clientHeaderTimeoutMs: number
  /** How long a client's connection may stay idle between requests. */
  readonly clientIdleTimeoutMs: number
  readonly maxConnections: number
}

export interface EngineOptions {
  readonly limits: LimitOptions
  readonly onExchange: (exchange: Exchange) => void
  /** The engine refuses bytes that never became an exchange; it sends this answer, if the client still listens. */
  readonly onRefusal: (refusal: Refusal) => Reply
  /** Something failed that belongs to no request, such as accepting a connection. The engine goes on. */
  readonly onFailure: (error: Error) => void
}

/** The data port, served by one engine. */
export interface DataListener {
  /** Binds; port 0 means any free one. Resolves with the port taken; rejects when it cannot be had. */
  listen(host: string, port: number): Promise<number>
  /** Downstream connections now open, tunnels included. */
  clientConnections(): number
  /** Upstream connections now open, idle pooled ones included. */
  upstreamConnections(): number
  /** Forgets idle pooled connections to endpoints that this says are gone. */
  dropPooled(isGone: (endpoint: string) => boolean): void
  /**
   * Stops accepting, lets what is in flight finish and asks clients to close; whatever is still open after
   * `deadlineMs` is cut. Resolves when nothing is open. Idempotent.
   */
  close(deadlineMs: number): Promise<void>
}

export type Engine = (options: EngineOptions) => DataListener
