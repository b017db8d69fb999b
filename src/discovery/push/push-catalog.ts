/**
 * What have services pushed, and until when does it hold? The leases, with the time that they are measured by, and as a
 * source of the catalog.
 *
 * A lease is measured by a clock that stands still while this process does: an instance cannot renew with a proxy that is
 * paused, suspended or busy, so that time is not counted against it. One timer looks four times a second whether it is
 * late itself, and whether anything is over (docs/decisions/031-push.md).
 */

import { setTimeout as timeout } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { ServiceFacts } from '../facts.ts'
import { type CatalogSource, nothingRead, type SourceListeners } from '../source.ts'
import { type Teller, teller } from '../teller.ts'
import { untilAborted } from '../until-aborted.ts'
import type { Registration } from './push-entry.ts'
import { createLeases, type Lease, type PutResult } from './push-leases.ts'
import { createPushLog } from './push-log.ts'

export interface PushOptions {
  /** How many instances are taken. */
  readonly maxInstances: number
  /** The longest time to live that an instance may ask for. */
  readonly maxTtlMs: number
}

export interface PushDeps {
  readonly log: Logger
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number
  /** Resolves after `ms`, or rejects when aborted. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>
}

/** Who says something, and what let them. */
export interface PushedBy {
  readonly from: string
  readonly how: 'loopback' | 'token'
}

export interface PushCatalog {
  /** What is pushed, as a catalog. `instances` and `describe` are of what is known now, whoever watches. */
  readonly source: CatalogSource
  /** The options as they are now. */
  readonly limits: () => PushOptions
  /**
   * An instance is there from now on, for its time to live. Resolves when whoever watches `source` has been told, which is
   * at once for one that is only renewed.
   */
  put(of: Registration, by: PushedBy): Promise<PutResult>
  /** An instance is gone. Resolves when whoever watches has been told; with false if there was none. */
  remove(service: string, id: string, by: PushedBy): Promise<boolean>
  /** What an earlier process knew: each has one whole time to live from now on. What has been pushed since stays. */
  restore(known: readonly Registration[]): void
  /** All that holds now. */
  all(): readonly Registration[]
  /** From now on this is called, and nothing else is, when `all` is another than before; a renewal is no change. */
  onChange(listener: () => void): void
  /** Stops the clock. Idempotent. */
  close(): void
}

const TICK_MS = 250
/** A timer is that late only if the process did not run, or was too busy to answer anybody. */
const LATE_MS = 100
/** A pause that is worth a line. */
const LONG_PAUSE_MS = 2000
/** The catalog is always as it was pushed: it is confirmed now and then, so that an age means the same for every source. */
const CONFIRM_MS = 10_000
/** Of so many instances of a service it is shown who pushed them. */
const MAX_FACTS = 1000
const query = 'what was pushed'

/** @param options asked at each step, so that a re-read config holds at once */
export function createPushCatalog(options: () => PushOptions, deps: PushDeps): PushCatalog {
  const { log, now = () => performance.now() } = deps
  const sleep = deps.sleep ?? ((ms, signal) => timeout(ms, undefined, { signal, ref: false }))
  const told = createPushLog(log, now)
  const leases = createLeases()
  let watcher: Teller | null = null
  /** Of whoever waits for the watcher to hear of a change. */
  let waiting: (() => void)[] = []
  let onChange = (): void => {}
  let isChanged = false
  let closed = false
  let timer: AbortController | null = null
  let dueMs = Number.POSITIVE_INFINITY
  let confirmedMs = 0
  /** For how long, in all, this process was seen not to run. */
  let stoodStillMs = 0
  /** It was late, and nobody has been judged since. */
  let wasLate = false
  /** The last look was put off; the next one is not, or a process that is always late would never look. */
  let isPutOff = false

  /** The clock of the leases. */
  function leaseMs(): number {
    const atMs = now()
    const lateMs = atMs - dueMs
    if (lateMs > LATE_MS) {
      // Not all of it: what was read meanwhile was up to so much late, and no clock goes back.
      stoodStillMs += lateMs - LATE_MS
      dueMs = atMs
      wasLate = true
      if (lateMs >= LONG_PAUSE_MS && leases.size > 0) told.paused(lateMs)
    }
    return atMs - stoodStillMs
  }

  function schedule(): void {
    if (closed || timer !== null || (watcher === null && leases.nextMs === Number.POSITIVE_INFINITY)) return
    const own = new AbortController()
    timer = own
    dueMs = now() + TICK_MS
    sleep(TICK_MS, own.signal).then(tick, () => {})
  }

  function tick(): void {
    if (closed) return
    const atMs = leaseMs()
    timer = null
    dueMs = Number.POSITIVE_INFINITY
    try {
      look(atMs)
    } catch (error) {
      log.error({ err: error }, 'what is pushed could not be looked at')
    }
    schedule()
  }

  function look(atMs: number): void {
    // Who was in line while nothing ran is heard before anybody is judged.
    isPutOff = wasLate && !isPutOff
    wasLate = false
    if (!isPutOff && atMs >= leases.nextMs) {
      const expired = leases.expire(atMs)
      told.expired(expired)
      if (expired.length > 0) isChanged = true
      news()
    }
    if (now() - confirmedMs >= CONFIRM_MS) {
      confirmedMs = now()
      watcher?.answered(query, false, false)
    }
  }

  /** The catalog may be another one now: tells whoever watches, in a moment. */
  function news(): void {
    if (watcher === null) settle()
    else watcher.changed()
  }

  /** Who had to be told has been. */
  function settle(): void {
    const all = waiting
    waiting = []
    for (const resolve of all) resolve()
    if (!isChanged) return
    isChanged = false
    onChange()
  }

  function toBeTold(): Promise<void> {
    isChanged = true
    const heard = new Promise<void>((resolve) => waiting.push(resolve))
    news()
    schedule()
    return heard
  }

  /** As `listeners`; and then those hear of it who wait for that. */
  function thenSettled(listeners: SourceListeners): SourceListeners {
    const then =
      <A extends unknown[]>(listener: (...args: A) => void) =>
      (...args: A): void => {
        try {
          listener(...args)
        } finally {
          settle()
        }
      }
    return { ...listeners, onCatalog: then(listeners.onCatalog), onFresh: then(listeners.onFresh) }
  }

  const source: CatalogSource = {
    async watch(listeners, signal) {
      if (signal.aborted) return
      const own = teller(thenSettled(listeners), { log, now }, signal, leases.catalog)
      watcher = own
      confirmedMs = now()
      own.changed()
      own.flush()
      schedule()
      await untilAborted(new Promise<void>(() => {}), signal, undefined)
      own.close()
      if (watcher !== own) return
      watcher = null
      settle()
    },
    instances(service): ServiceFacts | null {
      const held = leases.ofService(service)
      if (held.length === 0) return null
      const instances = held.slice(0, MAX_FACTS).map(factsOf)
      return { readMs: now(), instances, moreInstances: held.length - instances.length }
    },
    describe: () => ({ ...nothingRead, watched: leases.services }),
  }

  return {
    source,
    limits: options,
    async put(of, by) {
      const result = leases.put(of, by.from, leaseMs(), options().maxInstances)
      told.put(result, of, by)
      if (result === 'new' || result === 'changed') await toBeTold()
      return result
    },
    async remove(service, id, by) {
      const lease = leases.remove(service, id, leaseMs())
      if (lease === null) return false
      told.removed(lease, by)
      await toBeTold()
      return true
    },
    restore(known) {
      const { maxInstances, maxTtlMs } = options()
      const atMs = leaseMs()
      let leftOut = 0
      for (const each of known) {
        if (leases.has(each.service, each.id)) continue
        const of = { ...each, ttlMs: Math.min(each.ttlMs, maxTtlMs) }
        if (leases.put(of, null, atMs, maxInstances) === 'full') leftOut += 1
      }
      if (known.length > 0) told.restored(known.length - leftOut, leftOut)
      news()
      schedule()
    },
    all: () => [...leases.all()],
    onChange(listener) {
      onChange = listener
    },
    close() {
      closed = true
      timer?.abort()
    },
  }
}

function factsOf({ id, endpoint, tags, from }: Lease): ServiceFacts['instances'][number] {
  // Who registers an instance is, as a rule, on its node.
  return { instance: id, node: from ?? '', address: endpoint, tags, checks: [], moreChecks: 0, lacksTag: null }
}
