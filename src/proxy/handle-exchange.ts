/**
 * The whole story of one request: judge it, route it, forward it or answer it, and tell those who watch. How it gets
 * from one endpoint to the next is in forwarding.ts.
 */

import type { Standing } from '../balancer/balancer.ts'
import type { EndpointId } from '../balancer/endpoint.ts'
import type { Exchange, Refusal, Reply } from './exchange.ts'
import { answer, Forwarding, type ForwardingContext, type Identity, type Lane } from './forwarding.ts'
import { originOf, saneRequestId } from './headers.ts'
import { type RequestOutcome, type Try, tell } from './observer.ts'
import { replyTo } from './reply.ts'
import { routeOf } from './request-path.ts'
import { violationOf } from './request-rules.ts'
import { RetryBudget } from './retry.ts'
import type { RouteTable } from './route-table.ts'
import { taggedRouteOf } from './tagged-path.ts'
import { type MadeTrace, traceOf } from './trace-context.ts'

export interface HandlerContext extends ForwardingContext {
  /** Asked for each request, so that a re-read config holds at once. */
  readonly routing: () => { readonly basePath: string }
  /** What instances claim by host and path: it goes before the names of services. null or absent: nothing. */
  readonly tagRoutes?: () => RouteTable | null
  readonly isTrustedProxy: (address: string) => boolean
  readonly newRequestId: () => string
  /** A trace for a request that has none; null: it goes without. */
  readonly newTrace: () => MadeTrace | null
  /** A defect of the proxy: the request was cut, and this is why. */
  readonly onDefect: (error: unknown) => void
}

/** What an engine calls; neither throws. */
export interface Handler {
  readonly onExchange: (exchange: Exchange) => void
  readonly onRefusal: (refusal: Refusal) => Reply
}

export function createHandler(context: HandlerContext): Handler {
  const lanes = new Map<string, Lane>()
  return {
    onExchange: (exchange) => {
      handle(exchange, context, lanes).catch((error: unknown) => {
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
          refusal: detail,
          durationMs: 0,
          connectMs: null,
          firstByteMs: null,
          bytesIn: 0,
          bytesOut: 0,
          clientIp: clientAddress,
          protocol: '',
          traceId: null,
          traceSampled: false,
        }),
      )
      return replyTo({ kind: 'refused', status, detail, close: true }, requestId)
    },
  }
}

/** Lanes of services without a request in flight: so many stay, for the next request. They remember nothing. */
const keptLanes = 1_024

const nothingForwarded = { service: null, endpoint: null, attempts: 0, tries: [], standing: null } as const

async function handle(exchange: Exchange, context: HandlerContext, lanes: Map<string, Lane>): Promise<void> {
  const { request } = exchange
  const identity: Identity = {
    startMs: context.now(),
    requestId: saneRequestId(request.rawHeaders) ?? context.newRequestId(),
    origin: originOf(request, context.isTrustedProxy),
    trace: traceOf(request.rawHeaders, context.newTrace),
  }
  const violation = violationOf(request, context.limits)
  if (violation !== null) return refuse(exchange, context, identity, { ...violation, close: true })

  if (request.target === '*' && request.method === 'OPTIONS') {
    const status = await answer(exchange, { kind: 'options' }, identity)
    return record(exchange, context, identity, { ...nothingForwarded, status, outcome: 'answered' })
  }

  const { basePath } = context.routing()
  const tagRoutes = context.tagRoutes?.() ?? null
  const route =
    (tagRoutes === null ? null : taggedRouteOf(request.target, request.rawHeaders, tagRoutes)) ??
    routeOf(request.target, basePath, (service) => context.policy(service).stripPrefix)
  if (route.kind === 'invalid')
    return refuse(exchange, context, identity, { status: 400, detail: route.detail, close: false })

  if (!context.balancer.knows(route.service)) {
    const { service } = route
    const status = await answer(exchange, { kind: 'unknown-service', service }, identity)
    return record(exchange, context, identity, { ...nothingForwarded, status, outcome: 'unknown-service' })
  }

  const lane = laneOf(lanes, route.service)
  const { service, budget } = lane
  budget.enter(context.policy(service).retry.budget)
  tell(() => context.observer.onRequestStart(service))
  const forwarding = new Forwarding(exchange, context, identity, route, lane)
  try {
    await forwarding.run()
  } finally {
    budget.leave(forwarding.holdsRetry)
    if (budget.idle && lanes.size > keptLanes) lanes.delete(service)
    record(exchange, context, identity, forwarding.end)
  }
}

async function refuse(
  exchange: Exchange,
  context: HandlerContext,
  identity: Identity,
  why: { readonly status: number; readonly detail: string; readonly close: boolean },
): Promise<void> {
  const answered = await answer(exchange, { kind: 'refused', ...why }, identity)
  record(exchange, context, identity, {
    ...nothingForwarded,
    status: answered,
    outcome: 'refused',
    refusal: why.detail,
  })
}

function record(
  exchange: Exchange,
  context: HandlerContext,
  identity: Identity,
  end: {
    readonly service: string | null
    readonly endpoint: EndpointId | null
    readonly attempts: number
    readonly tries: readonly Try[]
    readonly standing: Standing | null
    readonly status: number
    readonly outcome: RequestOutcome
    readonly refusal?: string
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
      tries: end.tries,
      standing: end.standing,
      status: end.status,
      outcome: end.outcome,
      refusal: end.refusal,
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
      traceId: identity.trace.id,
      traceSampled: identity.trace.sampled,
    }),
  )
}

function laneOf(lanes: Map<string, Lane>, service: string): Lane {
  let lane = lanes.get(service)
  if (lane === undefined) {
    // As the path has it, the name would keep the head that it came in. It need not be latin1: it was decoded.
    lane = { service: Buffer.from(service).toString(), budget: new RetryBudget() }
    lanes.set(lane.service, lane)
  }
  return lane
}
