/**
 * Who is asked, who is told? One watch of a Consul catalog: a loop that blocks on the list of names, one for each of
 * the first MAX_WATCHES services, a sweep over the rest; the catalog that comes of their answers, and the listeners
 * that hear of it. The requests themselves are the caller's.
 */

import { setMaxListeners } from 'node:events'
import type { Logger } from 'pino'
import { type Catalog, sameCatalog } from '../balancer/endpoint.ts'
import { catalogAssembly } from './catalog-assembly.ts'
import { type Failure, failureOf } from './consul-failure.ts'
import { decodeInstances, type InstanceRules } from './consul-instances.ts'
import { type Accepted, type Ask, followQuery, type Query, supervise } from './consul-loop.ts'
import { decodeServiceNames, type NameRules } from './consul-services.ts'
import { type Sweep, sweep } from './consul-sweep.ts'
import { type Oddity, oddityFilter } from './oddity.ts'
import type { SourceListeners } from './source.ts'

/** Services that have a blocking query of their own. An agent grants one client address 200 connections by default. */
export const MAX_WATCHES = 128

export interface ConsulRequests {
  readonly names: Ask
  readonly instances: (service: string) => Ask
  /** The agent's address as it may be shown: without credentials. */
  readonly where: string
}

export interface WatchTiming {
  /** How long the list of names may be held back: short, for its answers tell that Consul is still there. */
  readonly namesWaitMs: number
  /** How long a service's instances may be held back. Below the 60 s after which many a balancer drops a connection. */
  readonly instancesWaitMs: number
  /** How long a round of the sweep takes. */
  readonly sweepRoundMs: number
  /** How long a server that answers with older data than before is given to catch up. */
  readonly catchUpMs: number
}

export interface WatchTools {
  readonly log: Logger
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** From 0 to less than 1. */
  readonly random: () => number
}

/** A burst of answers makes one catalog; no request has to wait for it any longer. */
const COALESCE_MS = 5
/** Failures that read alike are told once in this time: 128 loops fail together when Consul is away. */
const ERROR_QUIET_MS = 1000

/** Follows the catalog until `signal` is aborted; never rejects. */
export async function watchConsul(
  requests: ConsulRequests,
  rules: NameRules & InstanceRules,
  timing: WatchTiming,
  given: WatchTools,
  listeners: SourceListeners,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return
  const tools = { ...given, catchUpMs: timing.catchUpMs }
  const assembly = catalogAssembly(tools.now)
  const watches = new Map<string, AbortController>()
  const loops = new Set<Promise<void>>()
  const tell = teller(listeners, tools, signal, assembly.catalog)
  const report = reporter(tools.log)
  const onBug = (error: unknown) =>
    tools.log.error({ err: error }, 'a loop of the Consul source failed and starts anew')
  const all: Sweep = sweep((name) => instancesQuery(name), timing.sweepRoundMs, onBug, tools)

  function unreadable(message: string): Accepted {
    return { kind: 'unreadable', failure: failureOf({ kind: 'shape', message }, requests.where) }
  }

  function namesQuery(): Query {
    return {
      ask: requests.names,
      accept(body) {
        const decoded = decodeServiceNames(body, rules)
        if (decoded.kind === 'unreadable') return unreadable(decoded.message)
        report('', decoded.oddities)
        const { added, removed } = assembly.setNames(decoded.names)
        assignWatches(added, removed)
        const news = added.length + removed.length > 0
        tell.answered(news)
        return { kind: 'understood', news }
      },
      failed: (failure) => tell.failed('GET /v1/catalog/services', failure),
    }
  }

  function instancesQuery(name: string): Query {
    return {
      ask: requests.instances(name),
      accept(body) {
        const decoded = decodeInstances(body, rules)
        if (decoded.kind === 'unreadable') return unreadable(decoded.message)
        report(name, decoded.oddities)
        const news = assembly.setService(name, decoded.service)
        tell.answered(news)
        return { kind: 'understood', news }
      },
      failed(failure) {
        tell.failed(`GET /v1/health/service/${name}`, failure)
        if (assembly.setFailed(name, failure)) tell.changed()
      },
    }
  }

  /** A service keeps its watch for as long as it is listed; one that leaves makes room for one of the sweep. */
  function assignWatches(added: readonly string[], removed: readonly string[]): void {
    for (const name of removed) {
      watches.get(name)?.abort()
      watches.delete(name)
      all.delete(name)
    }
    for (const name of added) all.add(name)
    while (watches.size < MAX_WATCHES) {
      const name = all.shift()
      if (name === undefined) return
      const stop = new AbortController()
      watches.set(name, stop)
      start(
        (own) =>
          supervise(() => followQuery(instancesQuery(name), timing.instancesWaitMs, tools, own), onBug, tools, own),
        stop,
      )
    }
  }

  function start(run: (signal: AbortSignal) => Promise<void>, stop: AbortController): void {
    // The requests of a sweep share a signal; Node takes more than ten listeners for a leak.
    setMaxListeners(0, stop.signal)
    const loop = run(stop.signal).finally(() => loops.delete(loop))
    loops.add(loop)
  }

  const main = new AbortController()
  start((own) => all.run(own), main)
  start((own) => supervise(() => followQuery(namesQuery(), timing.namesWaitMs, tools, own), onBug, tools, own), main)
  await aborted(signal)
  main.abort()
  for (const stop of watches.values()) stop.abort()
  tell.close()
  await Promise.all(loops)
}

interface Teller {
  /** A successful answer has been taken in. */
  answered(news: boolean): void
  /** The catalog may be another one now. */
  changed(): void
  failed(where: string, failure: Failure): void
  close(): void
}

/** Tells the listeners, by content and not too often, and lets none of them break the watch. */
function teller(
  listeners: SourceListeners,
  tools: WatchTools,
  signal: AbortSignal,
  current: () => Catalog | null,
): Teller {
  let published: Catalog | null = null
  let timer: NodeJS.Timeout | null = null
  const quiet = new Map<string, number>()

  function call(listener: () => void): void {
    if (signal.aborted) return
    try {
      listener()
    } catch (error) {
      tools.log.error({ err: error }, 'a listener of the catalog failed')
    }
  }

  function publish(): void {
    timer = null
    // The seam of a later admission step: it would judge `next` against `published` here.
    const next = current()
    if (next === null) return
    if (published !== null && sameCatalog(published, next)) {
      call(() => listeners.onFresh())
    } else {
      published = next
      call(() => listeners.onCatalog(next, { rewound: false }))
    }
  }

  function changed(): void {
    timer ??= setTimeout(publish, COALESCE_MS)
  }

  return {
    changed,
    answered(news) {
      if (news || published === null) changed()
      else call(() => listeners.onFresh())
    },
    failed(where, { message, cure }) {
      const last = quiet.get(message)
      const now = tools.now()
      if (last !== undefined && now - last < ERROR_QUIET_MS) return
      if (quiet.size >= 100) quiet.clear()
      quiet.set(message, now)
      call(() => listeners.onError({ where, message, cure }))
    },
    close() {
      if (timer !== null) clearTimeout(timer)
      timer = null
    },
  }
}

/** Logs each oddity once. */
function reporter(log: Logger): (service: string, oddities: readonly Oddity[]) => void {
  const filter = oddityFilter()
  return (service, oddities) => {
    for (const { kind, subject, text } of filter.unseen(service, oddities)) {
      log.warn({ service, instance: subject, oddity: kind }, `odd entry in the catalog: ${text}`)
    }
    if (filter.justFull()) log.warn('too many odd entries in the catalog: further ones are not logged')
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
