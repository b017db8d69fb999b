/** The handler of requests, over a real balancer and exchanges without sockets. */

import { createBalancer } from '../../src/balancer/balancer.ts'
import type { Endpoint } from '../../src/balancer/endpoint.ts'
import type { Outcome } from '../../src/balancer/outcome.ts'
import type { AttemptPlan, Exchange, ExchangeRequest, Reply } from '../../src/proxy/exchange.ts'
import { createHandler, type HandlerContext } from '../../src/proxy/handle-exchange.ts'
import type { RequestRecord } from '../../src/proxy/observer.ts'
import type { RouteTable } from '../../src/proxy/route-table.ts'
import { silent } from '../support/silent.ts'
import { waitFor } from '../support/wait.ts'

/** Three endpoints: a:1, b:1, c:1. */
export const [a, b, c] = ['a', 'b', 'c'].map(
  (name): Endpoint => ({ id: `${name}:1`, instance: name, address: name, port: 1, weight: 1 }),
) as [Endpoint, Endpoint, Endpoint]

/** An exchange without sockets: `attempts` says how each attempt ends. */
export function fakeExchange(
  attempt: (to: Endpoint, plan: AttemptPlan, exchange: FakeExchange) => Outcome | Promise<Outcome>,
  request: Partial<ExchangeRequest> = {},
) {
  const exchange: FakeExchange = {
    request: {
      method: 'GET',
      target: '/s/x?y',
      httpVersion: '1.1',
      rawHeaders: ['Host', 'h'],
      hasBody: false,
      upgrade: null,
      clientAddress: '192.0.2.1',
      localPort: 80,
      secure: false,
      ...request,
    },
    stats: { connectMs: 1, firstByteMs: 2, bytesIn: 3, bytesOut: 4 },
    clientLeft: false,
    answered: false,
    replies: [],
    cuts: 0,
    attempt: async (to, plan) => attempt(to, plan, exchange),
    reply: async (reply) => {
      exchange.replies.push(reply)
    },
    cut: () => {
      exchange.cuts++
    },
  }
  return exchange
}
export type FakeExchange = { -readonly [K in keyof Exchange]: Exchange[K] } & { replies: Reply[]; cuts: number }

/** A handler over a balancer that knows `a`, `b` and `c` of service `s`, with a clock that the test moves. */
export function world(
  changes: {
    statuses?: number[]
    attempts?: number
    observer?: Partial<HandlerContext['observer']>
    tagRoutes?: RouteTable
  } = {},
) {
  const clock = { nowMs: 0 }
  const records: RequestRecord[] = []
  const defects: unknown[] = []
  const balancer = createBalancer({
    now: () => clock.nowMs,
    outlier: () => ({
      enforce: true,
      consecutiveFaults: 1,
      consecutiveConnectFaults: 1,
      isFaultStatus: (status) => status >= 500,
      faultRate: null,
      baseEjectionMs: 1_000,
      maxEjectionMs: 1_000,
      maxEjectedShare: 1,
    }),
    balancing: () => ({ slowStartMs: null }),
    observer: silent,
  })
  const use = (endpoints: readonly Endpoint[]) =>
    balancer.update({ services: new Map([['s', { endpoints, absent: [] }]]) })
  use([a, b, c])
  const handler = createHandler({
    balancer,
    routing: () => ({ basePath: '', stripPrefix: true }),
    tagRoutes: () => changes.tagRoutes ?? null,
    policy: () => ({
      upstream: { keepAlive: false, close: 'fin', connectTimeoutMs: 1, responseTimeoutMs: 2, idleTimeoutMs: 3 },
      retry: { attempts: changes.attempts ?? 2, budget: 0.2, statuses: changes.statuses ?? [] },
      stripPrefix: true,
    }),
    limits: {
      headerBytes: 1_000,
      headerCount: 10,
      targetBytes: 100,
      bodyBytes: 7,
      clientHeaderTimeoutMs: 1,
      clientIdleTimeoutMs: 1,
      maxConnections: 1,
    },
    isTrustedProxy: () => false,
    observer: {
      onRequestStart: () => {},
      onAttempt: () => {},
      onLocalError: () => {},
      onRetry: () => {},
      onRequestEnd: (record) => records.push(record),
      ...changes.observer,
    },
    now: () => 0,
    newRequestId: () => 'made',
    newTrace: () => null,
    onDefect: (error) => defects.push(error),
  })
  const endpoints = () => balancer.viewService('s')?.endpoints ?? []
  return {
    records,
    defects,
    handler,
    clock,
    /** Replaces the endpoints of `s`. */
    use,
    states: () => endpoints().map(({ state }) => state),
    inFlight: () => endpoints().reduce((sum, endpoint) => sum + endpoint.inFlight, 0),
    run: async (exchange: Exchange) => {
      const before = records.length
      handler.onExchange(exchange)
      return waitFor('the end of the request', () => records[before])
    },
  }
}

/** The endpoint answers with this status. */
export const answered =
  (status: number) =>
  (_to: Endpoint, plan: AttemptPlan): Outcome => ({ kind: 'responded', status, relayed: plan.onHead(status) })
