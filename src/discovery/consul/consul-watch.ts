/**
 * Who is asked, who is told? One watch of a Consul catalog: a loop that blocks on the list of names, one for each of the
 * services that have a watch of their own, and for the others one loop over all failing checks and a sweep; the catalog
 * that comes of their answers, and the listeners that hear of it. The requests themselves are the caller's.
 * docs/decisions/016-watch-topology.md tells why it is this way.
 */

import { setMaxListeners } from 'node:events'
import type { Logger } from 'pino'
import { catalogAssembly } from '../catalog-assembly.ts'
import type { ServiceFacts } from '../facts.ts'
import { pause, supervise } from '../loop.ts'
import type { NameRules } from '../names.ts'
import { oddityReporter } from '../oddity.ts'
import type { BucketRule } from '../pace.ts'
import type { SourceListeners, SourceView } from '../source.ts'
import { teller } from '../teller.ts'
import { checksOfInstances, decodeAilingChecks } from './consul-checks.ts'
import { decodeFacts } from './consul-facts.ts'
import { failureOf } from './consul-failure.ts'
import { decodeInstances, type InstanceRules } from './consul-instances.ts'
import { type Accepted, type Ask, followQuery, type Query, queryReader, type Reader } from './consul-loop.ts'
import { rereading } from './consul-reread.ts'
import { roster } from './consul-roster.ts'
import { decodeServiceNames } from './consul-services.ts'
import { type SweepTiming, sweep } from './consul-sweep.ts'
import { countWakeups } from './consul-wakeups.ts'

export interface ConsulRequests {
  readonly names: Ask
  readonly instances: (service: string) => Ask
  /** All checks that do not pass. */
  readonly ailing: Ask
  /** The agent's address as it may be shown: without credentials. */
  readonly where: string
}

export interface WatchTiming extends SweepTiming {
  /** How long the list of names may be held back: short, for its answers tell that Consul is still there. */
  readonly namesWaitMs: number
  /** How long a service's instances may be held back. Below the 60 s after which many a balancer drops a connection. */
  readonly instancesWaitMs: number
  /** How long a server that answers with older data than before is given to catch up. */
  readonly catchUpMs: number
  /** How often it is looked which services have the most traffic. */
  readonly reassignMs: number
}

export interface WatchTools {
  readonly log: Logger
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** From 0 to less than 1. */
  readonly random: () => number
  /** How many requests each service has had since some start. */
  readonly traffic: () => ReadonlyMap<string, number>
}

export type WatchRules = NameRules &
  InstanceRules & {
    /** Services that have a blocking query of their own; 0 or more. */
    readonly maxWatches: number
  }

const namesPath = 'GET /v1/catalog/services'
const ailingPath = 'GET /v1/health/state/any'
const instancesPath = (service: string) => `GET /v1/health/service/${service}`

/** The answer over all checks may be large when many fail: it is asked for less often than the others. */
const AILING_RATE: BucketRule = { burst: 2, msPerToken: 200 }

export interface ConsulWatch {
  /** Resolves once the signal is aborted and all has ended; never rejects. */
  readonly done: Promise<void>
  /** See `CatalogSource`. */
  reread(services: readonly string[], signal: AbortSignal): Promise<boolean>
  /** See `CatalogSource`. */
  instances(service: string): ServiceFacts | null
  view(): SourceView
}

/** Follows the catalog from now on until `signal` is aborted. */
export function consulWatch(
  requests: ConsulRequests,
  rules: WatchRules,
  timing: WatchTiming,
  given: WatchTools,
  listeners: SourceListeners,
  signal: AbortSignal,
): ConsulWatch {
  const tools = { ...given, catchUpMs: timing.catchUpMs }
  const assembly = catalogAssembly(tools.now)
  const tell = teller(listeners, tools, signal, assembly.catalog)
  const report = oddityReporter(tools.log, 'the catalog')
  const wakeups = countWakeups()
  const readers = new Map<string, Reader>()
  const facts = new Map<string, ServiceFacts>()
  const loops = new Set<Promise<void>>()
  const onBug = (error: unknown) =>
    tools.log.error({ err: error }, 'a loop of the Consul source failed and starts anew')
  const swept = sweep(timing, wakeups.woke, giveWatches, onBug, tools)
  const watched = roster(rules.maxWatches, swept, readerOf, startWatch, tools.traffic)
  const again = rereading(readers, signal)
  const main = new AbortController()
  let overChecks: AbortController | null = null

  function unreadable(message: string): Accepted {
    return { kind: 'unreadable', failure: failureOf({ kind: 'shape', message }, requests.where) }
  }

  function namesQuery(): Query {
    /** null: it had none; undefined: there has been no answer, or the last request failed. */
    let index: string | null | undefined
    let isFirst = true
    let hasFailed = false
    return {
      ask: requests.names,
      accept(body, seen) {
        const decoded = decodeServiceNames(body, rules)
        if (decoded.kind === 'unreadable') return unreadable(decoded.message)
        report('', decoded.oddities)
        const { added, removed } = assembly.setNames(decoded.names)
        for (const name of removed) {
          readers.delete(name)
          facts.delete(name)
          wakeups.forget(name)
          tell.forget(instancesPath(name))
        }
        for (const name of added) enlist(name)
        watched.delete(removed)
        watched.add(added)
        superviseChecks()
        // Something was registered or deregistered, though perhaps no name: it is not said where.
        if (!isFirst && (seen.index === null || seen.index !== index)) swept.hurry()
        index = seen.index
        isFirst = false
        const news = added.length + removed.length > 0
        tell.answered(namesPath, news, seen.rewound)
        if (hasFailed) again.catchUp(watched.names(), main.signal).catch(onBug)
        hasFailed = false
        return { kind: 'understood', news }
      },
      failed(failure) {
        index = undefined
        hasFailed = true
        // Their requests may wait on connections that died in silence: what they have not said proves nothing.
        for (const name of watched.names()) tell.outdated(instancesPath(name))
        tell.failed(namesPath, failure)
      },
      outdated: () => tell.outdated(namesPath),
    }
  }

  function instancesQuery(name: string, isListed: () => boolean): Query {
    const path = instancesPath(name)
    return {
      ask: requests.instances(name),
      accept(body, seen) {
        if (!isListed()) return { kind: 'understood', news: false }
        const decoded = decodeInstances(body, rules)
        if (decoded.kind === 'unreadable') return unreadable(decoded.message)
        report(name, decoded.oddities)
        facts.set(name, decodeFacts(body, rules, facts.get(name) ?? null, tools.now()))
        swept.hold(name, () => checksOfInstances(body))
        const news = assembly.setService(name, decoded.service)
        tell.answered(path, news, seen.rewound)
        return { kind: 'understood', news }
      },
      failed(failure) {
        if (!isListed()) return
        tell.failed(path, failure)
        if (assembly.setFailed(name, failure)) tell.changed()
      },
      outdated() {
        if (isListed()) tell.outdated(path)
      },
    }
  }

  function ailingQuery(): Query {
    return {
      ask: requests.ailing,
      accept(body) {
        const decoded = decodeAilingChecks(body)
        if (decoded.kind === 'unreadable') return unreadable(decoded.message)
        swept.setBlind(false)
        tell.answered(ailingPath, false, false)
        return { kind: 'understood', news: swept.compare(decoded.checks) }
      },
      failed(failure) {
        swept.setBlind(true)
        tell.failed(ailingPath, failure)
      },
      outdated() {},
    }
  }

  function enlist(name: string): void {
    const reader: Reader = queryReader(
      instancesQuery(name, () => readers.get(name) === reader),
      tools,
    )
    readers.set(name, reader)
  }

  function readerOf(name: string): Reader {
    const reader = readers.get(name)
    if (reader === undefined) throw new Error(`${name} is not listed`)
    return reader
  }

  function startWatch(name: string, stop: AbortController): void {
    const reader = readerOf(name)
    const woke = (news: boolean) => wakeups.woke(name, news)
    follow(reader, { waitMs: timing.instancesWaitMs, woke }, stop)
  }

  function giveWatches(): void {
    watched.fill()
    superviseChecks()
  }

  /** The loop over all failing checks runs while there is somebody to read because of it. */
  function superviseChecks(): void {
    if (swept.size === 0) {
      overChecks?.abort()
      overChecks = null
      tell.forget(ailingPath)
      swept.compare(null)
      swept.setBlind(false)
    } else if (overChecks === null && swept.untried === 0 && !signal.aborted) {
      overChecks = new AbortController()
      const woke = (news: boolean) => wakeups.woke(null, news)
      const following = { waitMs: timing.instancesWaitMs, rate: AILING_RATE, woke }
      follow(queryReader(ailingQuery(), tools), following, overChecks)
    }
  }

  function follow(reader: Reader, following: Parameters<typeof followQuery>[1], stop: AbortController): void {
    start((own) => supervise(() => followQuery(reader, following, tools, own), onBug, tools.random, own), stop)
  }

  function start(run: (signal: AbortSignal) => Promise<void>, stop: AbortController): void {
    // The requests of a sweep share a signal; Node takes more than ten listeners for a leak.
    setMaxListeners(0, stop.signal)
    const loop = run(stop.signal).finally(() => loops.delete(loop))
    loops.add(loop)
  }

  async function reassign(own: AbortSignal): Promise<void> {
    while (!own.aborted) {
      await pause(timing.reassignMs, own)
      if (!own.aborted && swept.size > 0) watched.reassign()
    }
  }

  async function run(): Promise<void> {
    if (signal.aborted) return
    start((own) => swept.run(own), main)
    start((own) => supervise(() => reassign(own), onBug, tools.random, own), main)
    follow(names, { waitMs: timing.namesWaitMs, woke: (news) => wakeups.woke(null, news) }, main)
    await aborted(signal)
    main.abort()
    overChecks?.abort()
    watched.close()
    tell.close()
    await Promise.all(loops)
  }

  const names = queryReader(namesQuery(), tools)
  return {
    done: run(),
    reread: async (services, stop) => (await again.confirm(names, services, stop)) && tell.flush(),
    instances: (service) => facts.get(service) ?? null,
    view: () => ({ watched: watched.watched, swept: swept.size, sweepRoundMs: swept.roundMs, ...wakeups.view() }),
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
