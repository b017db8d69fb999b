/**
 * One engine with a balancer, a handler and a raw-socket origin of its own, kept alive over many runs. Each run sees
 * only its own connections and its own finished requests, and must leave nothing behind.
 */

import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { createBalancer } from '../../src/balancer/balancer.ts'
import type { OutcomeKind } from '../../src/balancer/outcome.ts'
import type { DataListener, Exchange, ExchangeRequest, LimitOptions } from '../../src/proxy/exchange.ts'
import { createHandler } from '../../src/proxy/handle-exchange.ts'
import type { UpstreamOptions } from '../../src/proxy/policy.ts'
import { silent } from '../support/silent.ts'
import type { FuzzedEngine } from './engines.ts'
import { clientOf, Peer } from './peer.ts'
import { type Silence, until } from './quiet.ts'

/** How long anything may take that needs no deadline of the proxy. Only a fault waits so long. */
export const hangMs = 3_000

export const limits: LimitOptions = {
  headerBytes: 16_384,
  headerCount: 100,
  targetBytes: 8_192,
  bodyBytes: null,
  clientHeaderTimeoutMs: 30_000,
  clientIdleTimeoutMs: 60_000,
  maxConnections: 10_000,
}

const patient: UpstreamOptions = {
  keepAlive: false,
  close: 'rst',
  connectTimeoutMs: 10_000,
  responseTimeoutMs: 10_000,
  idleTimeoutMs: 10_000,
}

/** What happened in one run of one engine. */
export interface Run {
  /** Requests and refusals, in the order in which their turns came. */
  readonly items: Item[]
  /** Connections that the origin was given, in order. */
  readonly connections: Peer[]
  /** How many of the items are over. */
  ended: number
}

/** One request of a client's as the engine read it, or bytes that it refused. */
export interface Item {
  /** Null for a refusal. */
  readonly request: ExchangeRequest | null
  attempts: number
  /** How the last attempt ended. */
  outcome: OutcomeKind | null
  /** The status of the answer that the proxy gave itself. */
  reply: number | null
}

export interface World {
  readonly name: string
  readonly silence: Silence
  /** Begins a run. `onConnection` is what the origin does with each connection. */
  begin(onConnection: (connection: Peer, index: number) => void, upstream?: Partial<UpstreamOptions>): Run
  client(): Promise<Peer>
  /** To be called when the clients of a run are closed: what is wrong with what it left behind, or null. */
  leftovers(run: Run): Promise<string | null>
  /** @throws when the proxy does not close */
  close(): Promise<void>
}

export async function startWorld({ name, engine }: FuzzedEngine, silence: Silence): Promise<World> {
  const { stir } = silence
  let upstream = patient
  let current: Run | null = null
  let onConnection: (connection: Peer, index: number) => void = () => {}
  const defects: unknown[] = []

  const origin = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    stir()
    const connection = new Peer(socket, silence)
    if (current === null) return void defects.push(new Error('a connection to the origin between two runs'))
    onConnection(connection, current.connections.push(connection) - 1)
  })
  origin.listen({ host: '127.0.0.1', port: 0, backlog: 1_024 })
  await once(origin, 'listening')
  const { port: originPort } = origin.address() as AddressInfo
  const id = `127.0.0.1:${originPort}`

  const balancer = createBalancer({
    now: () => performance.now(),
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
  const endpoint = { id, instance: 'origin', address: '127.0.0.1', port: originPort, weight: 1 }
  balancer.update({ services: new Map([['s', { endpoints: [endpoint], absent: [] }]]) })
  const inFlight = (): number => balancer.view().services[0]?.endpoints[0]?.inFlight ?? 0

  const handler = createHandler({
    balancer,
    routing: () => ({ basePath: '' }),
    policy: () => ({ upstream, retry: { attempts: 0, budget: 0, statuses: [] }, stripPrefix: true }),
    limits,
    isTrustedProxy: () => false,
    observer: {
      onRequestStart: stir,
      onAttempt: stir,
      onRetry: stir,
      onLocalError: (code: string) => defects.push(new Error(code)),
      onRequestEnd: () => {
        stir()
        if (current !== null) current.ended++
      },
    },
    now: () => performance.now(),
    newRequestId: () => 'made',
    newTrace: () => null,
    onDefect: (error) => defects.push(error),
  })
  const listener: DataListener = engine({
    limits,
    onExchange: (exchange) => {
      stir()
      const item: Item = { request: exchange.request, attempts: 0, outcome: null, reply: null }
      current?.items.push(item)
      handler.onExchange(watched(exchange, item))
    },
    onRefusal: (refusal) => {
      current?.items.push({ request: null, attempts: 0, outcome: null, reply: refusal.status })
      return handler.onRefusal(refusal)
    },
    onFailure: (error) => defects.push(error),
  })
  const port = await listener.listen('127.0.0.1', 0)

  return {
    name,
    silence,
    begin: (behaviour, options = {}) => {
      onConnection = behaviour
      upstream = { ...patient, ...options }
      const run: Run = { items: [], connections: [], ended: 0 }
      current = run
      return run
    },
    client: () => clientOf(port, silence),
    leftovers: async (run) => {
      const gone: [string, () => boolean][] = [
        ['a client connection is still open', () => listener.clientConnections() === 0],
        ['a request never ended', () => run.items.length === run.ended],
        ['a pick was never reported', () => inFlight() === 0],
      ]
      for (const [what, probe] of gone) if (!(await until(probe, hangMs))) return what
      listener.dropPooled(() => true)
      if (!(await until(() => listener.upstreamConnections() === 0, hangMs)))
        return 'an upstream connection is still open'
      // What the proxy sent last must have arrived, and each of its connections must have been let go.
      if (!(await until(() => run.connections.every((peer) => peer.over), hangMs))) {
        return 'the origin was not told that a connection is over'
      }
      const defect = defects[0]
      defects.length = 0
      return defect === undefined ? null : `defect: ${defect instanceof Error ? defect.stack : String(defect)}`
    },
    close: async () => {
      current = null
      origin.close()
      let closed = false
      void listener.close(0).then(() => {
        closed = true
      })
      if (!(await until(() => closed, hangMs))) throw new Error(`${name} does not close`)
    },
  }
}

/** The same exchange, with a note of what becomes of it. */
function watched(exchange: Exchange, item: Item): Exchange {
  return {
    request: exchange.request,
    stats: exchange.stats,
    get clientLeft() {
      return exchange.clientLeft
    },
    get answered() {
      return exchange.answered
    },
    attempt: async (to, plan) => {
      item.attempts++
      const outcome = await exchange.attempt(to, plan)
      item.outcome = outcome.kind
      return outcome
    },
    reply: (reply) => {
      item.reply = reply.status
      return exchange.reply(reply)
    },
    cut: () => exchange.cut(),
  }
}
