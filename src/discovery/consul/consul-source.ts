/**
 * How is Consul asked? The only file that knows the `consul` package: it makes single requests with it, each with a
 * deadline of its own, and turns whatever comes back into an `Answer`. The package's own `watch` is not used: it ends
 * for good on one odd answer and has no rate limit. What is asked when is consul-watch.ts's matter.
 */

import { EventEmitter } from 'node:events'
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, type RequestOptions } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import Consul from 'consul'
import type { Logger } from 'pino'
import { withoutSecrets } from '../hidden.ts'
import { type CatalogSource, nothingRead } from '../source.ts'
import { AILING_FILTER } from './consul-checks.ts'
import { failureOf, type Mishap } from './consul-failure.ts'
import type { Answer, Ask, How } from './consul-loop.ts'
import { REREAD_PARALLEL } from './consul-reread.ts'
import { SWEEP_PARALLEL, sweepTiming } from './consul-sweep.ts'
import { type ConsulRequests, type ConsulWatch, consulWatch, type WatchTiming } from './consul-watch.ts'

export interface ConsulOptions {
  /** `http://host:port` or `https://host:port`. */
  readonly address: string
  readonly token: string | null
  readonly datacenter: string | null
  readonly namespace: string | null
  /** Let any server answer, not only the leader. */
  readonly stale: boolean
  /** Service names to route, as globs (`*` any run of characters, `?` any one). */
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  /** Only instances with this tag; null: all. */
  readonly tag: string | null
  /** True: an instance whose check warns stays in rotation, at its warning weight. */
  readonly includeWarning: boolean
  /** True: tags in fabio's way claim requests by host and path. Absent: they are only tags. */
  readonly fabioTags?: boolean
  /** Services that are watched by a connection of their own; 0 or more. */
  readonly maxWatches: number
  /** PEM texts, already read from their files; null: none. */
  readonly tls: { readonly ca: string | null; readonly cert: string | null; readonly key: string | null }
}

export interface ConsulTiming extends WatchTiming {
  /** How long a request that does not block may take; a blocking one has this on top of what the server may wait. */
  readonly deadlineMs: number
}

export interface ConsulDeps {
  readonly log: Logger
  /** From 0 to less than 1: jitter. */
  readonly random: () => number
  /**
   * How many requests each service has had since some start: those with the most hold the watches. Absent: they are
   * assigned by name.
   */
  readonly traffic?: () => ReadonlyMap<string, number>
  /** For tests; the defaults are `consulTiming`. */
  readonly timing?: Partial<ConsulTiming>
}

export const consulTiming: ConsulTiming = {
  ...sweepTiming,
  namesWaitMs: 10_000,
  instancesWaitMs: 25_000,
  catchUpMs: 2000,
  reassignMs: 30_000,
  deadlineMs: 15_000,
}

/** Far above any real answer (3,000 instances are 4 MB): only keeps a runaway one from eating the memory. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024

/**
 * A source that follows a Consul agent's catalog. `reread`, `instances` and `describe` are about the watch that was begun last.
 * @throws TypeError when `options.address` is no http or https URL
 */
export function consulSource(options: ConsulOptions, deps: ConsulDeps): CatalogSource {
  const timing = { ...consulTiming, ...deps.timing }
  const base = parseAddress(options.address)
  const traffic = deps.traffic ?? (() => new Map<string, number>())
  let current: ConsulWatch | null = null
  return {
    async watch(listeners, signal) {
      if (signal.aborted) return
      const agent = makeAgent(base, options)
      const tools = { log: deps.log, random: deps.random, now: () => performance.now(), traffic }
      const requests = makeRequests(makeClient(base, options, agent), base.origin, options.token, timing)
      const watch = consulWatch(requests, options, timing, tools, listeners, signal)
      current = watch
      try {
        await watch.done
      } finally {
        if (current === watch) current = null
        agent.destroy()
      }
    },
    reread: async (services, signal) => (await current?.reread(services, signal)) ?? false,
    instances: (service) => current?.instances(service) ?? null,
    describe: () => current?.view() ?? nothingRead,
  }
}

function parseAddress(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : null
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new TypeError('the address of Consul must be http://host:port or https://host:port')
  }
  return url
}

function makeAgent(base: URL, { tls, maxWatches }: ConsulOptions): HttpAgent {
  // One for each watch, two for the lists of names and of failing checks. More are never used but for the moment in which
  // a watch has been left and its connection is not closed yet.
  const maxSockets = maxWatches + 2 + SWEEP_PARALLEL + REREAD_PARALLEL
  if (base.protocol === 'http:') return new HttpAgent({ keepAlive: true, maxSockets })
  const pem = Object.fromEntries(Object.entries(tls).filter(([, text]) => text !== null))
  return new HttpsAgent({ keepAlive: true, maxSockets, ...pem })
}

/** What the package takes and gives, as its code has it; its own types know less. */
interface Client {
  readonly health: {
    service(options: { service: string } & CallOptions): Promise<Reply>
    state(options: { state: 'any'; filter: string } & CallOptions): Promise<Reply>
  }
  readonly catalog: { services(options: CallOptions): Promise<Reply> }
  _ext(event: 'onRequest', hook: (request: PackageRequest, next: () => void) => void): void
}
interface CallOptions {
  readonly ctx: EventEmitter
  readonly index?: string
  readonly wait?: string
  /** Wins over `stale`. */
  readonly consistent?: boolean
}
/** What it gives when the context asks for the response: a body that is a Buffer, as the hook below wants it. */
type Reply = readonly [response: IncomingMessage, body: Buffer | undefined]
interface PackageRequest {
  readonly opts: { buffer?: boolean }
  transport: { request(options: RequestOptions): ClientRequest }
}

function makeClient(base: URL, options: ConsulOptions, agent: HttpAgent): Client {
  const headers = {
    ...(options.token === null ? {} : { 'x-consul-token': options.token }),
    // The package has no parameter for it.
    ...(options.namespace === null ? {} : { 'x-consul-namespace': options.namespace }),
  }
  const defaults = { stale: options.stale, ...(options.datacenter === null ? {} : { dc: options.datacenter }) }
  const baseUrl = `${base.href.replace(/\/+$/, '')}/v1`
  const settings = { baseUrl, agent, headers, defaults }
  const client = new Consul(settings) as unknown as Client
  client._ext('onRequest', (request, next) => {
    // Parsed here and not there, so that an answer of the wrong content type is seen for what it is.
    request.opts.buffer = true
    const { transport } = request
    request.transport = {
      request: (settings) => guarded(transport.request({ ...settings, hostname: unbracketed(settings.hostname) })),
    }
    next()
  })
  return client
}

/** The package passes an IPv6 host on in the brackets of its URL, which no resolver knows. */
function unbracketed(host: string | null | undefined): string {
  return (host ?? '').replace(/^\[(.*)\]$/, '$1')
}

/** Mends two things: an answer that is cut off would only be noticed at the deadline, and its size has no bound. */
function guarded(request: ClientRequest): ClientRequest {
  let response: IncomingMessage | null = null
  let bytes = 0
  request.on('response', (incoming: IncomingMessage) => {
    response = incoming
    incoming.on('data', (piece: Buffer) => {
      bytes += piece.length
      if (bytes <= MAX_ANSWER_BYTES) return
      request.emit('error', new Error(`the answer is larger than ${MAX_ANSWER_BYTES} bytes`))
      request.destroy()
    })
  })
  request.on('close', () => {
    if (response?.complete === true) return
    request.emit('error', Object.assign(new Error('the connection broke off in the answer'), { code: 'ECONNRESET' }))
  })
  return request
}

function makeRequests(client: Client, where: string, token: string | null, timing: ConsulTiming): ConsulRequests {
  const call = async (send: (call: CallOptions) => Promise<Reply>, how: How, signal: AbortSignal): Promise<Answer> => {
    const block = how === 'consistent' ? null : how
    // Consul adds up to a sixteenth of the wait, so that many clients do not ask together.
    const deadlineMs = timing.deadlineMs + (block === null ? 0 : block.waitMs + block.waitMs / 16)
    const ctx = Object.assign(new EventEmitter(), { includeResponse: true })
    let late = false
    const cancel = () => ctx.emit('cancel')
    const deadline = setTimeout(() => {
      late = true
      cancel()
    }, deadlineMs)
    signal.addEventListener('abort', cancel, { once: true })
    try {
      // In seconds: other units the server would know, but not the package.
      const blocking = block === null ? {} : { index: block.index, wait: `${block.waitMs / 1000}s` }
      const mode = how === 'consistent' ? { consistent: true } : {}
      return readReply(await send({ ctx, ...blocking, ...mode }), fail)
    } catch (error) {
      return fail(late ? { kind: 'deadline', afterMs: deadlineMs } : mishapOf(error))
    } finally {
      clearTimeout(deadline)
      signal.removeEventListener('abort', cancel)
    }
  }

  /** An answer may quote what it was asked with: the token must not get into a log this way. */
  const hide = (text: string) => withoutSecrets(text, { '<token>': token })

  function fail(mishap: Mishap): Answer {
    const bare = 'body' in mishap ? { ...mishap, body: hide(mishap.body) } : mishap
    const hidden = 'contentType' in bare ? { ...bare, contentType: hide(bare.contentType) } : bare
    return { kind: 'failed', failure: failureOf(hidden, where) }
  }

  const names: Ask = (how, signal) => call((ask) => client.catalog.services(ask), how, signal)
  const instances =
    (service: string): Ask =>
    (how, signal) =>
      call((ask) => client.health.service({ service, ...ask }), how, signal)
  const ailing: Ask = (how, signal) =>
    call((ask) => client.health.state({ state: 'any', filter: AILING_FILTER, ...ask }), how, signal)
  return { names, instances, ailing, where }
}

function readReply([response, body]: Reply, fail: (mishap: Mishap) => Answer): Answer {
  const text = body === undefined ? '' : body.toString('utf8')
  const header = response.headers['x-consul-index']
  try {
    return { kind: 'answered', body: JSON.parse(text), index: typeof header === 'string' ? header : null }
  } catch {
    return fail({ kind: 'not-json', contentType: response.headers['content-type'] ?? '', body: text })
  }
}

/** What the package rejects with: an error of its own that carries a response of another status, or the network's. */
function mishapOf(error: unknown): Mishap {
  const { isResponse, response, code, message } = Object(error) as {
    isResponse?: boolean
    response?: { statusCode?: number; body?: unknown }
    code?: unknown
    message?: unknown
  }
  // An answer that broke off carries its response too, but that one's status is not what went wrong.
  if (isResponse === true && response !== undefined) {
    const { statusCode = 0, body } = response
    return { kind: 'status', status: statusCode, body: Buffer.isBuffer(body) ? body.toString('utf8') : '' }
  }
  return { kind: 'network', code: typeof code === 'string' ? code : '', message: String(message ?? error) }
}
