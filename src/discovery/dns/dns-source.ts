/**
 * How is DNS followed as a catalog? Each service's name is asked for again when its answer has lived its time, within
 * bounds. That there is no such name, or none of its records, empties the service; whatever else goes wrong leaves it as
 * it was. DNS tells nobody of a change, so a service is as old as its time to live.
 */

import { setMaxListeners } from 'node:events'
import type { Logger } from 'pino'
import { isPort } from '../address.ts'
import { catalogAssembly } from '../catalog-assembly.ts'
import type { Failure } from '../failure.ts'
import { pause, supervise } from '../loop.ts'
import { isNameable } from '../names.ts'
import { type BucketRule, backoffMs, fullBucket, takeToken } from '../pace.ts'
import { type CatalogSource, nothingRead, type SourceListeners } from '../source.ts'
import { teller } from '../teller.ts'
import { untilAborted, withEither } from '../until-aborted.ts'
import { compareText } from '../untrusted-text.ts'
import { type Watch, watchedSource } from '../watched-source.ts'
import { type DnsClient, type DnsDeadlines, dnsClient } from './dns-client.ts'
import { isDnsName } from './dns-message.ts'
import { type DnsName, readService } from './dns-reader.ts'
import { parseResolver, type Resolver, systemResolvers } from './dns-resolvers.ts'

export interface DnsOptions {
  /** By the name that the service is routed by. */
  readonly services: Readonly<Record<string, DnsName>>
  /** `address` or `address:port`, IP addresses; the next is asked when one fails. Empty: those of the system. */
  readonly resolvers: readonly string[]
  /** A service is asked for again after the least of its times to live, but not sooner than this … */
  readonly minIntervalMs: number
  /** … nor later than this; a tenth at most comes on top. */
  readonly maxIntervalMs: number
}

export interface DnsDeps {
  readonly log: Logger
  /** From 0 to less than 1: jitter. */
  readonly random: () => number
  /** For tests; the defaults are `dnsTiming`. */
  readonly timing?: Partial<DnsDeadlines>
}

export const dnsTiming: DnsDeadlines = { deadlineMs: 2500, resendMs: 800 }

/** The first table comes soon; afterwards a resolver is asked 100 times a second at most, whatever the times to live. */
const QUESTION_RATE: BucketRule = { burst: 500, msPerToken: 10 }
const MAX_PARALLEL = 32

/**
 * A source that asks resolvers for the named services. `reread` and `describe` are about the watch that was begun last.
 * @throws TypeError for a service name that cannot be routed to, a name that is none of DNS, a port or a resolver that is none
 */
export function createDnsSource(options: DnsOptions, deps: DnsDeps): CatalogSource {
  for (const [service, { name, ...rest }] of Object.entries(options.services)) {
    const problem = (words: string) => new TypeError(`discovery.dns.services ${JSON.stringify(service)}: ${words}`)
    if (!isNameable(service)) throw problem('this service name cannot be routed to')
    if (!isDnsName(name)) throw problem(`${JSON.stringify(name)} is no name in DNS`)
    if ('port' in rest && !isPort(rest.port)) throw problem('its port is not a number from 1 to 65535')
  }
  const named = options.resolvers.map((text) => {
    const resolver = parseResolver(text)
    if (resolver === null)
      throw new TypeError(`${JSON.stringify(text)} is no resolver: write 10.0.0.2:53 or [fd00::2]:53`)
    return resolver
  })
  const timing = { ...dnsTiming, ...deps.timing }
  return watchedSource((listeners, signal) => {
    const resolvers: readonly Resolver[] = named.length > 0 ? named : systemResolvers()
    return dnsWatch(options, dnsClient(resolvers, timing), deps, listeners, signal)
  })
}

function dnsWatch(
  options: DnsOptions,
  resolvers: DnsClient,
  deps: DnsDeps,
  listeners: SourceListeners,
  given: AbortSignal,
): Watch {
  // Each service has a listener on it, and each question.
  const stop = new AbortController()
  const { signal } = stop
  setMaxListeners(0, signal)
  const abort = () => stop.abort()
  given.addEventListener('abort', abort, { once: true })
  const tools = { ...deps, now: () => performance.now() }
  const services = new Map(Object.entries(options.services).sort(([a], [b]) => compareText(a, b)))
  const assembly = catalogAssembly(tools.now)
  assembly.setNames([...services.keys()])
  const tell = teller(listeners, tools, signal, assembly.catalog)
  const client = paced(resolvers, tools.now)
  /** By service: the reading that is under way, or was the last. One at a time, so that none is overtaken by an older one. */
  const readings = new Map<string, Promise<unknown>>()
  /** When a service was last read. */
  let answeredMs = Number.NEGATIVE_INFINITY
  // Until each has answered, the catalog is confirmed by none.
  for (const [service, of] of services) tell.outdated(whereOf(service, of))

  type Looked =
    | { readonly kind: 'read'; readonly ttlMs: number | null }
    | { readonly kind: 'failed'; readonly failure: Failure }

  async function lookNow(service: string, of: DnsName): Promise<Looked> {
    const askedMs = tools.now()
    const reading = await readService(of, client, signal)
    // What was given up on is no failure to be told, and nobody listens any more.
    if (signal.aborted) return { kind: 'read', ttlMs: null }
    if (reading.kind === 'failed') {
      // Others were answered meanwhile: it is about this name, not about the resolvers.
      const isAlone = reading.failure.speed === 'away' && answeredMs >= askedMs
      const failure: Failure = isAlone ? { ...reading.failure, speed: 'busy' } : reading.failure
      if (assembly.setFailed(service, failure)) tell.changed()
      tell.failed(whereOf(service, of), failure)
      return { kind: 'failed', failure }
    }
    answeredMs = tools.now()
    tell.answered(whereOf(service, of), assembly.setService(service, reading.service), false)
    return { kind: 'read', ttlMs: reading.ttlMs }
  }

  function look(service: string, of: DnsName): Promise<Looked> {
    const next = (readings.get(service) ?? Promise.resolve()).then(() => lookNow(service, of))
    const settled = next.catch(() => {})
    readings.set(service, settled)
    return next
  }

  async function follow(service: string, of: DnsName): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      const looked = await look(service, of)
      if (looked.kind === 'read') {
        failures = 0
        const { minIntervalMs, maxIntervalMs } = options
        const holdsMs = Math.min(Math.max(looked.ttlMs ?? 0, minIntervalMs), maxIntervalMs)
        await pause(holdsMs * (1 + 0.1 * tools.random()), signal)
      } else {
        failures += 1
        await pause(backoffMs(failures, looked.failure.speed, tools.random()), signal)
      }
    }
  }

  const onBug = (error: unknown) => deps.log.error({ err: error }, 'the DNS source failed and starts anew')
  const loops = [...services].map(([service, of]) => supervise(() => follow(service, of), onBug, tools.random, signal))
  // No service is named: that is a catalog too, and it stays.
  if (services.size === 0) loops.push(confirmNothing())

  async function confirmNothing(): Promise<void> {
    while (!signal.aborted) {
      tell.answered('', false, false)
      await pause(options.maxIntervalMs, signal)
    }
  }

  return {
    done: Promise.all(loops).then(() => {
      given.removeEventListener('abort', abort)
      resolvers.close()
      tell.close()
    }),
    async reread(names, until) {
      const concerned = names.flatMap((name) => {
        const of = services.get(name)
        return of === undefined ? [] : [look(name, of)]
      })
      const looked = await withEither([until, signal], (either) => untilAborted(Promise.all(concerned), either, null))
      if (looked === null || until.aborted || signal.aborted) return false
      return tell.flush() && looked.every(({ kind }) => kind === 'read')
    },
    view: () => ({ ...nothingRead, watched: services.size }),
  }
}

/** `SRV _http._tcp.web.example`, with the service it is for. */
function whereOf(service: string, { kind, name }: DnsName): string {
  return `DNS ${kind.toUpperCase()} ${name} (${service})`
}

/** A client that is asked in turn: no more at once than the limit, and not too often. */
function paced(client: DnsClient, now: () => number): DnsClient {
  let bucket = fullBucket(QUESTION_RATE, now())
  let free = MAX_PARALLEL
  const waiting: (() => void)[] = []
  return {
    close: client.close,
    async ask(question, signal) {
      if (free > 0) free -= 1
      else await new Promise<void>((resolve) => waiting.push(resolve))
      try {
        const turn = takeToken(bucket, QUESTION_RATE, now())
        bucket = turn.bucket
        await pause(turn.waitMs, signal)
        return await client.ask(question, signal)
      } finally {
        const next = waiting.shift()
        if (next === undefined) free += 1
        else next()
      }
    },
  }
}
