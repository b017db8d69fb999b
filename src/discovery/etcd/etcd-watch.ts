/**
 * Who is asked, who is told? One watch of the keys below a prefix of etcd: all are read at one revision, then a watch
 * tells what happens from the next one on, by the same member; when either fails, all is read anew, by the next member.
 *
 * A watch that is silent may have nothing to tell, or may be dead: etcd's own progress notifications come every ten
 * minutes. So every few seconds the member is asked, by a read that the cluster agrees to, how many keys there are and
 * whether one is newer than all that is known. When there are as many and none is, the catalog is confirmed.
 * docs/decisions/028-etcd.md tells why it is this way.
 */

import { pause, supervise } from '../loop.ts'
import { oddityReporter } from '../oddity.ts'
import { type BucketRule, backoffMs, fullBucket, takeToken } from '../pace.ts'
import type { SourceListeners } from '../source.ts'
import { teller } from '../teller.ts'
import { withEither } from '../until-aborted.ts'
import type { Watch, WatchTools } from '../watched-source.ts'
import type { EtcdClient, EtcdDeadlines, EtcdPath } from './etcd-client.ts'
import type { EntryRules } from './etcd-entries.ts'
import { type EtcdMishap, etcdFailure, wantsNewToken } from './etcd-failure.ts'
import { decodeWatch, type EtcdHeader } from './etcd-messages.ts'
import { etcdReader, type Failed, rangeOf } from './etcd-reader.ts'
import { etcdTable, MAX_KEYS } from './etcd-table.ts'

export interface EtcdTiming extends EtcdDeadlines {
  /** How often it is asked whether the catalog is still so; × 0.75 to 1.25. */
  readonly confirmMs: number
  /** How much later than such an answer the watch may tell the same. */
  readonly catchUpMs: number
  /** Keys in one answer; there are as many answers as it takes. */
  readonly pageKeys: number
}

const RANGE = '/v3/kv/range'
const WATCH = '/v3/watch'
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024
/** How often all may be read: a member that breaks off each watch at once is not to be asked without end. */
const READ_RATE: BucketRule = { burst: 3, msPerToken: 500 }

/** Why a member is not followed any more. `again`: nothing is wrong, but all has to be read. */
type End = Failed | { readonly kind: 'again' }

/** Follows the keys from now on until `signal` is aborted. */
export function etcdWatch(
  client: EtcdClient,
  members: readonly [URL, ...URL[]],
  rules: EntryRules,
  timing: EtcdTiming,
  tools: WatchTools,
  listeners: SourceListeners,
  signal: AbortSignal,
): Watch {
  const range = rangeOf(rules.prefix)
  const reader = etcdReader(client, range, timing.pageKeys)
  const table = etcdTable(rules, oddityReporter(tools.log, 'etcd'))
  const tell = teller(listeners, tools, signal, table.catalog)
  const wakeups = { useful: 0, useless: 0 }
  let member = members[0]
  let believed: EtcdHeader | null = null

  const onBug = (error: unknown) => tools.log.error({ err: error }, 'the etcd source failed and starts anew')

  function failed(path: EtcdPath, mishap: EtcdMishap): Failed {
    return { kind: 'failed', path, mishap }
  }

  /**
   * Reads all keys and takes them in.
   * @param mayRewind false: an answer that knows less than before counts as a failure
   * @returns null: all is as the member says it is
   */
  async function read(from: URL, mayRewind: boolean, stop: AbortSignal): Promise<Failed | null> {
    const knownRevision = table.revision
    const before = believed
    const answer = await reader.all(from, stop)
    if (answer.kind === 'failed') return answer
    if (stop.aborted) return failed(RANGE, { kind: 'network', code: 'ABORT_ERR', message: 'given up' })
    const { header, keys } = answer
    const rewound = before !== null && (header.revision < knownRevision || isAnother(header, before))
    if (rewound && !mayRewind) return failed(RANGE, { kind: 'another' })
    // Another reading, or the watch, has got further meanwhile.
    if (!rewound && header.revision < table.revision) return null
    const taken = table.replace(keys, header.revision)
    if (taken.kind === 'full') return failed(RANGE, { kind: 'full', most: MAX_KEYS })
    believed = header
    for (const path of [WATCH, '/v3/auth/authenticate'] as const) tell.forget(queryOf(path))
    tell.answered(queryOf(RANGE), taken.news, rewound)
    return null
  }

  /** Follows one member until something fails. `agreed`: it has confirmed what it said before. */
  async function session(from: URL): Promise<{ readonly end: End; readonly agreed: boolean }> {
    let agreed = false
    const unread = await read(from, true, signal)
    if (unread !== null || signal.aborted) return { end: unread ?? { kind: 'again' }, agreed }
    const clusterId = believed?.clusterId
    const stop = new AbortController()
    let end: End | null = null
    const finish = (why: End): void => {
      end ??= why
      stop.abort()
    }

    function heard(message: unknown): End | null {
      const said = decodeWatch(message)
      switch (said.kind) {
        case 'created':
          return null
        case 'progress':
          return said.clusterId === clusterId ? null : failed(WATCH, { kind: 'another' })
        case 'events': {
          if (said.clusterId !== clusterId) return failed(WATCH, { kind: 'another' })
          const taken = table.apply(said.events)
          if (taken.kind === 'full') return failed(WATCH, { kind: 'full', most: MAX_KEYS })
          wakeups[taken.news ? 'useful' : 'useless'] += 1
          tell.answered(queryOf(RANGE), taken.news, false)
          return null
        }
        case 'compacted':
          return { kind: 'again' }
        case 'canceled': {
          const mishap = { kind: 'canceled', reason: client.hide(said.reason) } as const
          // A token has its time; but one that was refused at once will be refused again.
          return agreed && wantsNewToken(mishap) ? { kind: 'again' } : failed(WATCH, mishap)
        }
        case 'unreadable':
          return failed(WATCH, { kind: 'shape', message: said.message })
        default:
          return said satisfies never
      }
    }

    async function follow(): Promise<void> {
      const create = { ...range, start_revision: `${table.revision + 1n}`, progress_notify: true }
      const request = { path: WATCH, body: { create_request: create }, maxBytes: MAX_MESSAGE_BYTES } as const
      const onMessage = (message: unknown): void => {
        if (stop.signal.aborted) return
        try {
          const why = heard(message)
          if (why !== null) finish(why)
        } catch (error) {
          onBug(error)
          finish({ kind: 'again' })
        }
      }
      finish(await client.follow(from, request, onMessage, stop.signal))
    }

    async function confirm(): Promise<void> {
      while (!stop.signal.aborted) {
        await pause(timing.confirmMs * (0.75 + 0.5 * tools.random()), stop.signal)
        if (stop.signal.aborted) return
        const asked = table.revision
        const answer = await reader.newerThan(asked, from, stop.signal)
        if (answer.kind === 'failed') return finish(answer)
        const { header, written, count } = answer
        if (header.clusterId !== clusterId || header.revision < asked) return finish(failed(RANGE, { kind: 'another' }))
        if (table.revision === asked) {
          if (!written && count === table.size) {
            tell.answered(queryOf(RANGE), false, false)
          } else {
            await pause(timing.catchUpMs, stop.signal)
            if (table.revision === asked) return finish(failed(WATCH, { kind: 'silent', afterMs: timing.catchUpMs }))
          }
        }
        agreed = true
      }
    }

    const abort = () => stop.abort()
    signal.addEventListener('abort', abort, { once: true })
    try {
      await Promise.all([follow(), confirm()])
    } finally {
      stop.abort()
      signal.removeEventListener('abort', abort)
    }
    return { end: end ?? { kind: 'again' }, agreed }
  }

  async function run(): Promise<void> {
    let failures = 0
    let bucket = fullBucket(READ_RATE, tools.now())
    for (let at = members.indexOf(member); !signal.aborted; ) {
      const turn = takeToken(bucket, READ_RATE, tools.now())
      bucket = turn.bucket
      await pause(turn.waitMs, signal)
      if (signal.aborted) return
      member = members[at] ?? members[0]
      const { end, agreed } = await session(member)
      if (signal.aborted) return
      if (agreed) failures = 0
      if (end.kind === 'again') continue
      failures += 1
      at = (at + 1) % members.length
      const failure = etcdFailure(end.mishap, member.origin)
      tell.failed(queryOf(end.path), failure)
      await pause(backoffMs(failures, failure.speed, tools.random()), signal)
    }
  }

  async function reread(given: AbortSignal): Promise<boolean> {
    if (table.revision === 0n || given.aborted || signal.aborted) return false
    return withEither([given, signal], async (stop) => {
      const from = member
      const unread = await read(from, false, stop)
      if (stop.aborted) return false
      if (unread !== null) tell.failed(queryOf(unread.path), etcdFailure(unread.mishap, from.origin))
      return unread === null && tell.flush()
    })
  }

  return {
    done: supervise(run, onBug, tools.random, signal).finally(tell.close),
    // All is read, whichever services are meant: it is one request, and of one revision.
    reread: (_services, given) => reread(given),
    view: () => ({
      watched: table.catalog()?.services.size ?? 0,
      swept: 0,
      sweepRoundMs: null,
      wakeups: { ...wakeups },
      noisiest: [],
    }),
  }
}

function queryOf(path: EtcdPath): string {
  return `POST ${path}`
}

/** Has it another history? A cluster that is set up anew or restored may have the old one's id, but begins its terms anew. */
function isAnother(header: EtcdHeader, before: EtcdHeader): boolean {
  return header.clusterId !== before.clusterId || header.raftTerm < before.raftTerm
}
