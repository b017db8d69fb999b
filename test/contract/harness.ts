/**
 * Balancer, handler and one engine in this process, without a catalog server: what the contract suite talks to.
 * When the test is over, every connection of the proxy must be gone by itself, or the test fails.
 */

import { createBalancer } from '../../src/balancer/balancer.ts'
import type { Endpoint } from '../../src/balancer/endpoint.ts'
import type { OutcomeKind } from '../../src/balancer/outcome.ts'
import type { DataListener, LimitOptions } from '../../src/proxy/exchange.ts'
import { createHandler, type HandlerContext } from '../../src/proxy/handle-exchange.ts'
import type { RequestRecord, RetryReason } from '../../src/proxy/observer.ts'
import type { UpstreamOptions } from '../../src/proxy/policy.ts'
import type { RetryOptions } from '../../src/proxy/retry.ts'
import { silent } from '../support/silent.ts'
import { waitFor } from '../support/wait.ts'
import { closeAfterTest } from './cleanup.ts'
import type { EngineUnderTest } from './engines.ts'
import type { Message } from './messages.ts'
import { type Origin, type RawClient, rawClient, startOrigin } from './sockets.ts'

export interface ProxySetup {
  /** Service name → its endpoints. */
  readonly services?: Readonly<Record<string, readonly (Origin | Endpoint)[]>>
  readonly upstream?: Partial<UpstreamOptions>
  readonly retry?: Partial<RetryOptions>
  readonly limits?: Partial<LimitOptions>
  readonly stripPrefix?: boolean
  readonly basePath?: string
  /** Addresses whose X-Forwarded-* are believed. */
  readonly trustedProxies?: readonly string[]
  /** What makes traces; nothing does when absent. */
  readonly newTrace?: HandlerContext['newTrace']
}

export interface Proxy {
  readonly port: number
  readonly listener: DataListener
  /** Finished requests, in the order of their end. */
  readonly records: readonly RequestRecord[]
  readonly attempts: readonly { service: string; endpoint: string; outcome: OutcomeKind }[]
  readonly retries: readonly { service: string; reason: RetryReason }[]
  client(options?: { readonly allowHalfOpen?: boolean }): Promise<RawClient>
  /** One request over a connection of its own: the response. */
  ask(bytes: string, options?: { readonly toHead?: boolean }): Promise<Message>
  /** The n-th finished request, from 0, as soon as it is there. */
  record(index?: number): Promise<RequestRecord>
}

const limits: LimitOptions = {
  headerBytes: 16_384,
  headerCount: 100,
  targetBytes: 8_192,
  bodyBytes: null,
  clientHeaderTimeoutMs: 10_000,
  clientIdleTimeoutMs: 65_000,
  maxConnections: 10_000,
}

const upstream: UpstreamOptions = {
  keepAlive: false,
  close: 'fin',
  connectTimeoutMs: 2_000,
  responseTimeoutMs: 5_000,
  idleTimeoutMs: 5_000,
}

/** A proxy on a free port of the loopback address. */
export async function startProxy({ engine }: EngineUnderTest, setup: ProxySetup): Promise<Proxy> {
  const records: RequestRecord[] = []
  const attempts: { service: string; endpoint: string; outcome: OutcomeKind }[] = []
  const retries: { service: string; reason: RetryReason }[] = []
  const defects: unknown[] = []
  const picks = { started: 0, ended: 0 }
  const now = (): number => performance.now()
  const allLimits = { ...limits, ...setup.limits }

  const balancer = createBalancer({
    now,
    outlier: () => ({
      enforce: false,
      consecutiveFaults: 5,
      consecutiveConnectFaults: 2,
      isFaultStatus: (status) => status >= 500,
      faultRate: null,
      baseEjectionMs: 30_000,
      maxEjectionMs: 300_000,
      maxEjectedShare: 0.5,
    }),
    balancing: () => ({ slowStartMs: null }),
    observer: silent,
  })
  balancer.update({ services: catalogOf(setup.services ?? {}) })

  let requestNumber = 0
  const handler = createHandler({
    balancer,
    routing: () => ({ basePath: setup.basePath ?? '', stripPrefix: setup.stripPrefix ?? true }),
    policy: () => ({
      upstream: { ...upstream, ...setup.upstream },
      retry: { attempts: 2, budget: 0.2, statuses: [], ...setup.retry },
      stripPrefix: setup.stripPrefix ?? true,
    }),
    limits: allLimits,
    isTrustedProxy: (address) => setup.trustedProxies?.includes(address) ?? false,
    observer: {
      onRequestStart: () => picks.started++,
      onAttempt: (service, endpoint, outcome) => attempts.push({ service, endpoint, outcome }),
      onRetry: (service, reason) => retries.push({ service, reason }),
      onLocalError: () => {},
      onRequestEnd: (record) => {
        records.push(record)
        if (record.service !== null) picks.ended++
      },
    },
    now,
    newRequestId: () => `made-${++requestNumber}`,
    newTrace: setup.newTrace ?? (() => null),
    onDefect: (error) => defects.push(error),
  })
  const listener = engine({ limits: allLimits, ...handler, onFailure: (error) => defects.push(error) })
  const port = await listener.listen('127.0.0.1', 0)

  closeAfterTest('proxy', async () => {
    try {
      await waitFor('the proxy to let go of its clients', () => listener.clientConnections() === 0, 4_000)
      await waitFor('every request to end', () => picks.started === picks.ended, 4_000)
      const inFlight = (): number =>
        balancer.view().services.reduce((sum, { endpoints }) => sum + endpoints.reduce((n, e) => n + e.inFlight, 0), 0)
      await waitFor('every pick to be reported', () => inFlight() === 0, 4_000)
      listener.dropPooled(() => true)
      await waitFor('the proxy to let go of its endpoints', () => listener.upstreamConnections() === 0, 4_000)
    } finally {
      await listener.close(0)
    }
    if (defects.length > 0) throw defects[0]
  })

  const proxy: Proxy = {
    port,
    listener,
    records,
    attempts,
    retries,
    client: (options) => rawClient(port, options),
    ask: async (bytes, options) => {
      const client = await rawClient(port)
      client.send(bytes)
      const response = await client.response(options)
      client.socket.destroy()
      return response
    },
    record: (index = 0) => waitFor(`request ${index} to end`, () => records[index], 6_000),
  }
  return proxy
}

function catalogOf(services: Readonly<Record<string, readonly (Origin | Endpoint)[]>>) {
  return new Map(
    Object.entries(services).map(([name, list]) => [
      name,
      { endpoints: list.map((item) => ('endpoint' in item ? item.endpoint : item)), absent: [] },
    ]),
  )
}

/** A request head for service `s`, and its body. `fields` are whole lines. */
export function request(target: string, fields: readonly string[] = [], body = '', method = 'GET'): string {
  return `${method} ${target} HTTP/1.1\r\nHost: example.test\r\n${fields.map((line) => `${line}\r\n`).join('')}\r\n${body}`
}

/** A request with a body of known length. */
export function post(target: string, body: string, fields: readonly string[] = []): string {
  return request(target, [`Content-Length: ${body.length}`, ...fields], body, 'POST')
}

/** One request that has reached its only endpoint, head and all, and waits for an answer. */
export async function underWay(engine: EngineUnderTest, sent = request('/s/')) {
  const origin = await startOrigin()
  const proxy = await startProxy(engine, { services: { s: [origin] } })
  const client = await proxy.client()
  client.send(sent)
  const connection = await origin.connection()
  await connection.head()
  return { origin, proxy, client, connection }
}
