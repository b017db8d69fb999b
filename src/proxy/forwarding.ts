/** One routed request on its way: pick an endpoint, try it, try another where that is safe, and answer the client. */

import type { Balancer, Picked, Standing } from '../balancer/balancer.ts'
import type { EndpointId } from '../balancer/endpoint.ts'
import { isLocalError, type Outcome } from '../balancer/outcome.ts'
import type { Deadlines, Exchange, LimitOptions } from './exchange.ts'
import { type Origin, requestHeaders, responseHeaders } from './headers.ts'
import { type ProxyObserver, type RequestOutcome, type RetryReason, type Try, tell } from './observer.ts'
import type { ServicePolicy } from './policy.ts'
import { replyTo, type Situation } from './reply.ts'
import type { Route } from './request-path.ts'
import { isReplayable, type RetryBudget, retryReason } from './retry.ts'
import type { Trace } from './trace-context.ts'

export interface ForwardingContext {
  readonly balancer: Balancer
  /** Asked for each request, so that a re-read config holds at once. */
  readonly policy: (service: string) => ServicePolicy
  readonly limits: LimitOptions
  readonly observer: ProxyObserver
  /** Milliseconds that never go back. */
  readonly now: () => number
}

/** What a request is known by, from its first byte to its log line. */
export interface Identity {
  readonly startMs: number
  readonly requestId: string
  readonly origin: Origin
  readonly trace: Trace
}

/** One service's way through the proxy, for all its requests. */
export interface Lane {
  /** Its name, part of no head: it is kept. */
  readonly service: string
  readonly budget: RetryBudget
}

type Routed = Extract<Route, { kind: 'route' }>

export class Forwarding {
  /** How it stands so far, and in the end. */
  readonly end: {
    service: string
    endpoint: EndpointId | null
    attempts: number
    readonly tries: Try[]
    standing: Standing | null
    status: number
    outcome: RequestOutcome
  }
  /** True once this request has a place in the retry budget. */
  holdsRetry = false
  readonly #exchange: Exchange
  readonly #context: ForwardingContext
  readonly #identity: Identity
  readonly #route: Routed
  readonly #lane: Lane
  readonly #policy: ServicePolicy
  readonly #replayable: boolean
  #tried: Set<EndpointId> | null = null
  /** Attempts that use up none of `retry.attempts`: failed connects that a change of the catalog explains. */
  #uncounted = 0

  constructor(exchange: Exchange, context: ForwardingContext, identity: Identity, route: Routed, lane: Lane) {
    this.#exchange = exchange
    this.#context = context
    this.#identity = identity
    this.#route = route
    this.end = {
      service: lane.service,
      endpoint: null,
      attempts: 0,
      tries: [],
      standing: null,
      status: 499,
      outcome: 'client-left',
    }
    this.#lane = lane
    this.#policy = context.policy(lane.service)
    this.#replayable = isReplayable(exchange.request.method, exchange.request.hasBody)
  }

  async run(): Promise<void> {
    const { service } = this.#lane
    const first = this.#context.balancer.pick(service)
    if (first.kind !== 'picked') {
      const isEmpty = first.kind === 'no-endpoints'
      const retryAfterMs = isEmpty ? first.retryAfterMs : null
      this.end.standing = isEmpty ? first.standing : null
      this.end.outcome = 'no-endpoints'
      this.end.status = await answer(this.#exchange, { kind: 'no-endpoints', service, retryAfterMs }, this.#identity)
      return
    }
    let pick: Picked = first
    for (;;) {
      const { outcome, next } = await this.#attempt(pick)
      if (next === null) return this.#conclude(pick, outcome)
      pick = next
    }
  }

  /** One attempt, and the endpoint to try next if there is to be one. */
  async #attempt(pick: Picked): Promise<{ outcome: Outcome; next: Picked | null }> {
    const { service } = this.#lane
    const { target, prefix } = this.#route.along?.(pick.endpoint.id) ?? this.#route
    const { observer } = this.#context
    const { request } = this.#exchange
    const { requestId, origin, trace } = this.#identity
    const { upstream } = this.#policy
    const startedMs = this.#context.now()
    this.end.attempts++
    this.end.endpoint = pick.endpoint.id

    let next: Picked | null = null
    let outcome: Outcome = { kind: 'client-left' }
    try {
      outcome = await this.#exchange.attempt(pick.endpoint, {
        target,
        requestHeaders: requestHeaders(request, origin, requestId, prefix, trace.made),
        responseHeaders: (fromEndpoint) => responseHeaders(fromEndpoint, requestId),
        deadlines: deadlinesOf(upstream),
        keepAlive: upstream.keepAlive,
        close: upstream.close,
        bodyLimit: this.#context.limits.bodyBytes,
        onHead: (status) => {
          pick.answered(status)
          if (this.#mayRetryStatus(status)) next = this.#another(pick, 'budgeted')
          if (next === null) this.end.status = status
          return next === null
        },
      })
    } finally {
      if (pick.report(outcome, requestId)) this.#uncounted++
    }
    tell(() => observer.onAttempt(service, pick.endpoint.id, outcome.kind))
    if (outcome.kind === 'connect-failed' && isLocalError(outcome.code)) {
      this.#tellLocalError(outcome.code, pick.endpoint.id)
    }

    const reason = this.#exchange.clientLeft ? null : retryReason(outcome, this.#replayable)
    if (reason === null) {
      // Picked in `onHead`, and then the client left: an endpoint that waits for its probe must not wait for ever.
      ;(next as Picked | null)?.report({ kind: 'client-left' })
      next = null
    } else {
      next ??= this.#another(pick, reason === 'connect-failed' ? 'free' : 'budgeted')
    }
    this.#keep(pick, outcome, startedMs, next === null ? null : reason)
    if (next !== null && reason !== null) tell(() => observer.onRetry(service, reason))
    return { outcome, next }
  }

  /** What there is to tell of an attempt once it is over. */
  #keep(pick: Picked, outcome: Outcome, startedMs: number, retried: RetryReason | null): void {
    const { connectMs, firstByteMs } = this.#exchange.stats
    this.end.tries.push({
      endpoint: pick.endpoint.id,
      role: pick.role,
      standing: pick.standing,
      startMs: startedMs - this.#identity.startMs,
      durationMs: this.#context.now() - startedMs,
      connectMs,
      firstByteMs,
      outcome,
      retried,
    })
  }

  /** Apart from `#attempt`, so that what it captures costs an ordinary attempt nothing. */
  #tellLocalError(code: string, endpoint: EndpointId): void {
    tell(() => this.#context.observer.onLocalError(code, endpoint))
  }

  #mayRetryStatus(status: number): boolean {
    return this.#replayable && this.#policy.retry.statuses.includes(status)
  }

  /** Another endpoint for this request; null when attempts, budget or endpoints have run out. */
  #another(after: Picked, cost: 'free' | 'budgeted'): Picked | null {
    const { retry } = this.#policy
    if (this.end.attempts - this.#uncounted > retry.attempts) return null
    this.#tried ??= new Set()
    this.#tried.add(after.endpoint.id)
    if (cost === 'budgeted' && !this.holdsRetry) {
      if (!this.#lane.budget.take(retry.budget)) return null
      this.holdsRetry = true
    }
    const pick = this.#context.balancer.pick(this.#lane.service, this.#tried)
    return pick.kind === 'picked' ? pick : null
  }

  /** The last attempt is over: answer the client unless the endpoint has. */
  async #conclude(pick: Picked, outcome: Outcome): Promise<void> {
    this.end.outcome = outcome.kind
    const headSent = 'afterHeaders' in outcome && outcome.afterHeaders
    if (outcome.kind === 'responded') return
    if (outcome.kind === 'client-left' || this.#exchange.clientLeft) {
      this.end.status = 499
      this.#exchange.cut()
    } else if (headSent || this.#exchange.answered) {
      this.#exchange.cut()
    } else {
      const { service } = this.#lane
      const { attempts } = this.end
      const situation: Situation = { kind: 'failed', service, endpoint: pick.endpoint.id, attempts, outcome }
      this.end.status = await answer(this.#exchange, situation, this.#identity)
    }
  }
}

function deadlinesOf(upstream: ServicePolicy['upstream']): Deadlines {
  return {
    connectMs: upstream.connectTimeoutMs,
    responseMs: upstream.responseTimeoutMs,
    idleMs: upstream.idleTimeoutMs,
  }
}

/** Sends the proxy's own answer; resolves with the status as the client saw it. */
export async function answer(exchange: Exchange, situation: Situation, identity: Identity): Promise<number> {
  const reply = replyTo(situation, identity.requestId)
  await exchange.reply(reply)
  return exchange.clientLeft ? 499 : reply.status
}
