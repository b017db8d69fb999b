/**
 * The whole story of one request: judge it, route it, pick an endpoint, try it, try another where that is safe, answer,
 * and tell those who watch.
 */

import type { Balancer, Picked } from '../balancer/balancer.ts'
import type { EndpointId } from '../balancer/endpoint.ts'
import type { Outcome } from '../balancer/outcome.ts'
import type { Deadlines, Exchange, LimitOptions, Refusal, Reply } from './exchange.ts'
import { type Origin, originOf, requestHeaders, responseHeaders, saneRequestId } from './headers.ts'
import type { ProxyObserver, RequestOutcome } from './observer.ts'
import type { ServicePolicy } from './policy.ts'
import { replyTo, type Situation } from './reply.ts'
import { type Route, routeOf } from './request-path.ts'
import { violationOf } from './request-rules.ts'
import { isReplayable, RetryBudget, retryReason } from './retry.ts'

export interface HandlerContext {
  readonly balancer: Balancer
  /** Asked for each request, so that a re-read config holds at once. */
  readonly routing: () => { readonly basePath: string; readonly stripPrefix: boolean }
  readonly policy: (service: string) => ServicePolicy
  readonly limits: LimitOptions
  readonly isTrustedProxy: (address: string) => boolean
  readonly observer: ProxyObserver
  /** Milliseconds that never go back. */
  readonly now: () => number
  readonly newRequestId: () => string
  /** A defect of the proxy: the request was cut, and this is why. */
  readonly onDefect: (error: unknown) => void
}

/** What an engine calls; neither throws. */
export interface Handler {
  readonly onExchange: (exchange: Exchange) => void
  readonly onRefusal: (refusal: Refusal) => Reply
}

export function createHandler(context: HandlerContext): Handler {
  const budgets = new Map<string, RetryBudget>()
  return {
    onExchange: (exchange) => {
      handle(exchange, context, budgets).catch((error: unknown) => {
        context.onDefect(error)
        exchange.cut()
      })
    },
    onRefusal: ({ status, detail, clientAddress }) => {
      const requestId = context.newRequestId()
      tell(() =>
        context.observer.onRequestEnd({
          ...nothingForwarded,
          requestId,
          method: '',
          path: '',
          query: '',
          status,
          outcome: 'refused',
          durationMs: 0,
          connectMs: null,
          firstByteMs: null,
          bytesIn: 0,
          bytesOut: 0,
          clientIp: clientAddress,
          protocol: '',
        }),
      )
      return replyTo({ kind: 'refused', status, detail, close: true }, requestId)
    },
  }
}

const nothingForwarded = { service: null, endpoint: null, attempts: 0 } as const

/** What a request is known by, from its first byte to its log line. */
interface Identity {
  readonly startMs: number
  readonly requestId: string
  readonly origin: Origin
}

type Routed = Extract<Route, { kind: 'route' }>

async function handle(exchange: Exchange, context: HandlerContext, budgets: Map<string, RetryBudget>): Promise<void> {
  const { request } = exchange
  const identity: Identity = {
    startMs: context.now(),
    requestId: saneRequestId(request.rawHeaders) ?? context.newRequestId(),
    origin: originOf(request, context.isTrustedProxy),
  }
  const violation = violationOf(request, context.limits)
  if (violation !== null) return refuse(exchange, context, identity, { ...violation, close: true })

  const { basePath } = context.routing()
  const route = routeOf(request.target, basePath, (service) => context.policy(service).stripPrefix)
  if (route.kind === 'invalid')
    return refuse(exchange, context, identity, { status: 400, detail: route.detail, close: false })

  const { service } = route
  if (!context.balancer.knows(service)) {
    const status = await answer(exchange, { kind: 'unknown-service', service }, identity)
    return record(exchange, context, identity, { ...nothingForwarded, status, outcome: 'unknown-service' })
  }

  const budget = budgetOf(budgets, service)
  budget.enter(context.policy(service).retry.budget)
  tell(() => context.observer.onRequestStart(service))
  const forwarding = new Forwarding(exchange, context, identity, route, budget)
  try {
    await forwarding.run()
  } finally {
    budget.leave(forwarding.holdsRetry)
    if (budget.idle) budgets.delete(service)
    record(exchange, context, identity, forwarding.end)
  }
}

/** One routed request on its way through one endpoint after another. */
class Forwarding {
  /** How it stands so far, and in the end. */
  readonly end: {
    service: string
    endpoint: EndpointId | null
    attempts: number
    status: number
    outcome: RequestOutcome
  }
  /** True once this request has a place in the retry budget. */
  holdsRetry = false
  readonly #exchange: Exchange
  readonly #context: HandlerContext
  readonly #identity: Identity
  readonly #route: Routed
  readonly #budget: RetryBudget
  readonly #policy: ServicePolicy
  readonly #replayable: boolean
  #tried: Set<EndpointId> | null = null

  constructor(exchange: Exchange, context: HandlerContext, identity: Identity, route: Routed, budget: RetryBudget) {
    this.#exchange = exchange
    this.#context = context
    this.#identity = identity
    this.#route = route
    this.end = { service: route.service, endpoint: null, attempts: 0, status: 499, outcome: 'client-left' }
    this.#budget = budget
    this.#policy = context.policy(route.service)
    this.#replayable = isReplayable(exchange.request.method, exchange.request.hasBody)
  }

  async run(): Promise<void> {
    const { service } = this.#route
    const first = this.#context.balancer.pick(service)
    if (first.kind !== 'picked') {
      const retryAfterMs = first.kind === 'no-endpoints' ? first.retryAfterMs : null
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
    const { service, target, prefix } = this.#route
    const { observer } = this.#context
    const { request } = this.#exchange
    const { requestId, origin } = this.#identity
    const { upstream } = this.#policy
    this.end.attempts++
    this.end.endpoint = pick.endpoint.id

    let next: Picked | null = null
    let outcome: Outcome = { kind: 'client-left' }
    try {
      outcome = await this.#exchange.attempt(pick.endpoint, {
        target,
        requestHeaders: requestHeaders(request, origin, requestId, prefix),
        responseHeaders: (fromEndpoint) => responseHeaders(fromEndpoint, requestId),
        deadlines: deadlinesOf(upstream),
        keepAlive: upstream.keepAlive,
        bodyLimit: this.#context.limits.bodyBytes,
        onHead: (status) => {
          pick.answered(status)
          if (this.#mayRetryStatus(status)) next = this.#another(pick, 'budgeted')
          if (next === null) this.end.status = status
          return next === null
        },
      })
    } finally {
      pick.report(outcome)
    }
    tell(() => observer.onAttempt(service, pick.endpoint.id, outcome.kind))

    const reason = this.#exchange.clientLeft ? null : retryReason(outcome, this.#replayable)
    if (reason === null) {
      // Picked in `onHead`, and then the client left: an endpoint that waits for its probe must not wait for ever.
      ;(next as Picked | null)?.report({ kind: 'client-left' })
      return { outcome, next: null }
    }
    next ??= this.#another(pick, reason === 'connect-failed' ? 'free' : 'budgeted')
    if (next !== null) tell(() => observer.onRetry(service, reason))
    return { outcome, next }
  }

  #mayRetryStatus(status: number): boolean {
    return this.#replayable && this.#policy.retry.statuses.includes(status)
  }

  /** Another endpoint for this request; null when attempts, budget or endpoints have run out. */
  #another(after: Picked, cost: 'free' | 'budgeted'): Picked | null {
    const { retry } = this.#policy
    if (this.end.attempts > retry.attempts) return null
    this.#tried ??= new Set()
    this.#tried.add(after.endpoint.id)
    if (cost === 'budgeted' && !this.holdsRetry) {
      if (!this.#budget.take(retry.budget)) return null
      this.holdsRetry = true
    }
    const pick = this.#context.balancer.pick(this.#route.service, this.#tried)
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
      const { service } = this.#route
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

async function refuse(
  exchange: Exchange,
  context: HandlerContext,
  identity: Identity,
  why: { readonly status: number; readonly detail: string; readonly close: boolean },
): Promise<void> {
  const answered = await answer(exchange, { kind: 'refused', ...why }, identity)
  record(exchange, context, identity, { ...nothingForwarded, status: answered, outcome: 'refused' })
}

/** Sends the proxy's own answer; resolves with the status as the client saw it. */
async function answer(exchange: Exchange, situation: Situation, identity: Identity): Promise<number> {
  const reply = replyTo(situation, identity.requestId)
  await exchange.reply(reply)
  return exchange.clientLeft ? 499 : reply.status
}

function record(
  exchange: Exchange,
  context: HandlerContext,
  identity: Identity,
  end: {
    readonly service: string | null
    readonly endpoint: EndpointId | null
    readonly attempts: number
    readonly status: number
    readonly outcome: RequestOutcome
  },
): void {
  const { request, stats } = exchange
  const queryStart = request.target.indexOf('?')
  tell(() =>
    context.observer.onRequestEnd({
      // Named one by one: a spread here costs more than all the rest of this function.
      service: end.service,
      endpoint: end.endpoint,
      attempts: end.attempts,
      status: end.status,
      outcome: end.outcome,
      requestId: identity.requestId,
      method: request.method,
      path: queryStart < 0 ? request.target : request.target.slice(0, queryStart),
      query: queryStart < 0 ? '' : request.target.slice(queryStart),
      durationMs: context.now() - identity.startMs,
      connectMs: stats.connectMs,
      firstByteMs: stats.firstByteMs,
      bytesIn: stats.bytesIn,
      bytesOut: stats.bytesOut,
      clientIp: identity.origin.clientIp,
      protocol: `HTTP/${request.httpVersion}`,
    }),
  )
}

function budgetOf(budgets: Map<string, RetryBudget>, service: string): RetryBudget {
  let budget = budgets.get(service)
  if (budget === undefined) {
    budget = new RetryBudget()
    budgets.set(service, budget)
  }
  return budget
}

/** An observer that throws must not fail the request that it watches. */
function tell(event: () => void): void {
  try {
    event()
  } catch {
    // What an observer does with its own failure is its affair.
  }
}
