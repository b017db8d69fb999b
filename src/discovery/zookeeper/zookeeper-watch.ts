/**
 * Who is asked, who is told? One watch of the nodes below a path of ZooKeeper. Each node is read together with setting a
 * watch on it; an event says that it has changed, and it is read again, with the next watch. A server sends the event of a
 * watch before any answer that shows the change, so nothing that comes after a reading is lost, however many changes there
 * are between two of them. Watches end with their connection: over the next one everything is read again.
 *
 * Events come over the same connection as answers and in order with them, so an answered `sync`, with nothing left to be
 * read, confirms the catalog, and a connection that is deaf is found out by it. docs/decisions/029-zookeeper.md tells why it
 * is this way.
 */

import type { Failure } from '../failure.ts'
import { pause, supervise } from '../loop.ts'
import type { NameRules } from '../names.ts'
import { oddityReporter } from '../oddity.ts'
import { type BucketRule, backoffMs, fullBucket, takeToken } from '../pace.ts'
import type { SourceListeners } from '../source.ts'
import { teller } from '../teller.ts'
import { untilAborted } from '../until-aborted.ts'
import { printable } from '../untrusted-text.ts'
import type { Watch, WatchTools } from '../watched-source.ts'
import type { ZookeeperClient } from './zookeeper-client.ts'
import type { ZookeeperConnection } from './zookeeper-connection.ts'
import { type ZookeeperMishap, zookeeperFailure } from './zookeeper-failure.ts'
import { codes } from './zookeeper-messages.ts'
import { type Reader, type Reading, startReading } from './zookeeper-reading.ts'
import { zookeeperTable } from './zookeeper-table.ts'

export interface ZookeeperTiming {
  /** See `ClientOptions`. */
  readonly connectMs: number
  /** How often the catalog is confirmed; × 0.75 to 1.25. */
  readonly confirmMs: number
  /** See `ReadingOptions`. */
  readonly patienceMs: number
  readonly window: number
}

/** How often a connection may be opened: a server that breaks each off once all is read is not to be asked without end. */
const JOIN_RATE: BucketRule = { burst: 3, msPerToken: 500 }

/** Why a server is not followed any more. `path`: the node that it is about. */
interface End {
  readonly mishap: ZookeeperMishap
  readonly path: string
}

/** Follows the nodes below `base` from now on until `signal` is aborted. */
export function zookeeperWatch(
  client: ZookeeperClient,
  base: string,
  rules: NameRules,
  timing: ZookeeperTiming,
  tools: WatchTools,
  listeners: SourceListeners,
  signal: AbortSignal,
): Watch {
  const table = zookeeperTable(rules, oddityReporter(tools.log, 'ZooKeeper'))
  const tell = teller(listeners, tools, signal, table.catalog)
  const wakeups = { useful: 0, useless: 0 }
  /** ZooKeeper has lost what it knew, and nobody has been told yet. */
  let isRewound = false
  /** Something has been read that says something new, and nobody has been told yet; maybe over a connection that broke. */
  let news = false
  let current: Session | null = null

  const onBug = (error: unknown) => tools.log.error({ err: error }, 'the ZooKeeper source failed and starts anew')

  function failed({ mishap, path }: End): Failure {
    const failure = zookeeperFailure(mishap, client.where, path)
    tell.failed(queryOf(path), failure)
    return failure
  }

  /** Follows one server until something fails. `agreed`: all has been read from it. */
  async function session(): Promise<{ readonly end: End; readonly agreed: boolean }> {
    const stop = new AbortController()
    const waiting = new Set<() => void>()
    const refused = new Set<string>()
    let reading: Reading | null = null
    let end: End | null = null
    let agreed = false

    function finish(mishap: ZookeeperMishap, path: string): void {
      end ??= { mishap, path }
      reading?.stop()
      stop.abort()
      for (const resolve of waiting) resolve()
    }

    function onRead(isNews: boolean): void {
      news ||= isNews
      if (agreed) wakeups[isNews ? 'useful' : 'useless'] += 1
      // Of a new connection nothing is told before all has been read: halves of two times are no catalog.
      if (agreed ? news : table.isWhole) {
        tell.answered(queryOf(base), news, isRewound)
        agreed = true
        isRewound = false
        news = false
      }
      if (reading?.isSettled === true) for (const resolve of waiting) resolve()
    }

    const reader: Reader = {
      onRead,
      onMissing: () => void failed({ mishap: { kind: 'no-path' }, path: base }),
      onRefused(path) {
        refused.add(path)
        failed({ mishap: { kind: 'refused', code: codes.noAuth }, path })
      },
      onAllowed(path) {
        refused.delete(path)
        tell.forget(queryOf(path))
      },
      onFailed: finish,
    }

    /** Resolves once nothing is left to be read, or nothing can be. */
    async function settled(given: AbortSignal): Promise<void> {
      if (stop.signal.aborted || reading?.isSettled === true) return
      let resolve = () => {}
      const wait = new Promise<void>((done) => {
        resolve = done
        waiting.add(done)
      })
      await untilAborted(wait, given, undefined)
      waiting.delete(resolve)
    }

    async function confirm(connection: ZookeeperConnection): Promise<void> {
      while (!stop.signal.aborted) {
        await pause(timing.confirmMs * (0.75 + 0.5 * tools.random()), stop.signal)
        if (stop.signal.aborted) return
        const heard = await untilAborted(connection.ask({ kind: 'sync', path: base }), stop.signal, null)
        if (heard === null) return
        if (heard.kind === 'lost') return finish(await connection.ended, base)
        if (heard.kind === 'refused') return finish(heard, base)
        reading?.retryRefused()
        await settled(stop.signal)
        if (agreed && !stop.signal.aborted) tell.answered(queryOf(base), false, false)
      }
    }

    const abort = () => finish({ kind: 'ended' }, base)
    signal.addEventListener('abort', abort, { once: true })
    try {
      const hearer = { onEvent: (path: string) => reading?.event(path), onZxid() {}, onBug }
      const joined = await client.join(hearer, signal)
      if (joined.kind === 'failed') return { end: { mishap: joined.mishap, path: base }, agreed }
      const { connection } = joined
      isRewound ||= joined.isRewound
      void connection.ended.then((mishap) => finish(mishap, base))
      try {
        reading = startReading(connection, table, { ...timing, base }, reader, tools.now)
        current = { connection, reading, settled, isWhole: () => !stop.signal.aborted && refused.size === 0 }
        await confirm(connection)
      } finally {
        current = null
        for (const path of refused) tell.forget(queryOf(path))
        // Whoever goes on has use for the session; whoever stops does not leave it behind.
        await connection.close(signal.aborted)
      }
    } finally {
      stop.abort()
      signal.removeEventListener('abort', abort)
    }
    return { end: end ?? { mishap: { kind: 'ended' }, path: base }, agreed }
  }

  async function run(): Promise<void> {
    let failures = 0
    let bucket = fullBucket(JOIN_RATE, tools.now())
    while (!signal.aborted) {
      const turn = takeToken(bucket, JOIN_RATE, tools.now())
      bucket = turn.bucket
      await pause(turn.waitMs, signal)
      if (signal.aborted) return
      const { end, agreed } = await session()
      if (signal.aborted) return
      // What is told from now on until all is read again would be of two times.
      tell.flush()
      failures = agreed ? 1 : failures + 1
      await pause(backoffMs(failures, failed(end).speed, tools.random()), signal)
    }
  }

  async function reread(services: readonly string[], given: AbortSignal): Promise<boolean> {
    const asked = current
    if (asked === null || table.catalog() === null || given.aborted || signal.aborted) return false
    const heard = await untilAborted(asked.connection.ask({ kind: 'sync', path: base }), given, {
      kind: 'lost',
    } as const)
    if (heard.kind !== 'done' || !asked.isWhole()) return false
    asked.reading.again(services)
    await asked.settled(given)
    return !given.aborted && asked.isWhole() && tell.flush()
  }

  return {
    done: supervise(run, onBug, tools.random, signal).finally(tell.close),
    reread,
    view: () => ({
      watched: table.catalog()?.services.size ?? 0,
      swept: 0,
      sweepRoundMs: null,
      wakeups: { ...wakeups },
      noisiest: [],
    }),
  }
}

/** A connection that is being read, for whoever wants it read once more. */
interface Session {
  readonly connection: ZookeeperConnection
  readonly reading: Reading
  readonly settled: (given: AbortSignal) => Promise<void>
  readonly isWhole: () => boolean
}

function queryOf(path: string): string {
  return `read ${printable(path, 200)}`
}
