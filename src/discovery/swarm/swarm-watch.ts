/**
 * Who is asked when, who is told? One watch of a Docker Engine: all is read again and again, about once a second, and what
 * has changed is told; the stream of events says when to look at once.
 *
 * The events cannot be enough: a swarm tells those of services and nodes, but none of tasks, and those of containers come
 * from the asked node only. And the reading finds out by itself whatever a stream that went deaf would hide. So an event
 * is a hint and no more, and a stream that cannot be had costs time, nothing else.
 * docs/decisions/030-swarm.md tells why it is this way.
 */

import { pause, supervise } from '../loop.ts'
import { oddityReporter } from '../oddity.ts'
import { type BucketRule, backoffMs, fullBucket, takeToken } from '../pace.ts'
import type { SourceListeners } from '../source.ts'
import { teller } from '../teller.ts'
import type { Watch, WatchTools } from '../watched-source.ts'
import { doze } from './doze.ts'
import type { EngineClient, EngineDeadlines, EngineFailed } from './engine-client.ts'
import { engineFailure } from './engine-failure.ts'
import { type PollTiming, periodMs } from './swarm-pace.ts'
import { type Followable, swarmReader } from './swarm-reader.ts'
import type { SwarmRules } from './swarm-rules.ts'
import type { Decoded } from './swarm-tasks.ts'

export interface SwarmTiming extends EngineDeadlines, PollTiming {
  /** How much later than an event it is read, so that what follows at its heels is in it. */
  readonly settleMs: number
  /** How often an Engine in no swarm is asked whether that is still so. */
  readonly recheckMs: number
}

/** Readings that events ask for. */
const READ_RATE: BucketRule = { burst: 3, msPerToken: 200 }
/** Beginnings from the front: a stream that is ended each time at once is not to be begun without end. */
const SESSION_RATE: BucketRule = { burst: 3, msPerToken: 500 }

const EVENTS = {
  path: '/events',
  filters: {
    type: ['service', 'node', 'container', 'network'],
    // Not what a health check does every few seconds: exec_create, exec_start, exec_die.
    event: [
      ...['create', 'update', 'remove', 'start', 'die', 'destroy', 'rename', 'pause', 'unpause', 'health_status'],
      ...['connect', 'disconnect'],
    ],
  },
} as const

/** Why a session ends. `again`: nothing is wrong, but it has to be begun anew. */
type End = EngineFailed | { readonly kind: 'again' }

/** Follows the Engine from now on until `signal` is aborted. */
export function swarmWatch(
  client: EngineClient,
  host: string,
  rules: SwarmRules,
  timing: SwarmTiming,
  tools: WatchTools,
  listeners: SourceListeners,
  signal: AbortSignal,
): Watch {
  const reader = swarmReader(client, rules)
  const report = oddityReporter(tools.log, 'Docker')
  const wakeups = { useful: 0, useless: 0 }
  let known: Decoded | null = null
  /** Of the last session. */
  let standing: Followable | null = null
  /** Whose data it is that is known. */
  let source: Followable | null = null
  const tell = teller(listeners, tools, signal, () => known)
  const failing = new Set<string>()
  let reading: Promise<unknown> = Promise.resolve()
  let eventMs = Number.NEGATIVE_INFINITY
  let newsMs = Number.NEGATIVE_INFINITY
  const nap = doze()

  function onEvent(): void {
    eventMs = tools.now()
    nap.rouse()
  }

  function failed(failure: EngineFailed): void {
    failing.add(failure.path)
    tell.failed(queryOf(failure.path), engineFailure(failure.mishap, host))
  }

  /**
   * Reads all and takes it in, after any reading that is under way: two at once could be taken in in the wrong order.
   * @returns null: it is as the Engine says
   */
  function read(from: Followable, stop: AbortSignal): Promise<EngineFailed | null> {
    const next = reading.then(async () => {
      const wasRoused = nap.isRoused
      nap.heed()
      const answer = await reader.read(from.kind, stop)
      if (answer.kind === 'failed') return answer
      if (stop.aborted) return givenUp
      const { decoded, isSame } = answer
      const isRewound = source !== null && source !== from && knowsLess(from, source)
      source = from
      known = decoded
      if (!isSame) {
        newsMs = tools.now()
        for (const [service, oddities] of decoded.oddities) report(service, oddities)
      }
      if (wasRoused) wakeups[isSame ? 'useless' : 'useful'] += 1
      for (const path of failing) tell.forget(queryOf(path))
      failing.clear()
      tell.answered(queryOf(from.kind === 'manager' ? '/tasks' : '/containers/json'), !isSame, isRewound)
      return null
    })
    reading = next.catch(() => {})
    return next
  }

  /** Listens to the events of a session; one stream after the other while they cannot be had. */
  async function listen(finish: (why: End) => void, stop: AbortSignal): Promise<void> {
    let isOpen = false
    for (let failures = 1; !stop.aborted; failures += 1) {
      const onOpen = () => {
        isOpen = true
        // What has happened before it was open is told by nothing.
        onEvent()
      }
      const { mishap } = await client.follow(EVENTS, onOpen, onEvent, stop)
      // It may be another Engine by now, or a manager no more.
      if (isOpen) return finish({ kind: 'again' })
      const { speed, message, cure } = engineFailure(mishap, host)
      if (failures === 1 && speed === 'wrong') {
        tools.log.warn({ host, why: message, cure }, 'Docker tells no events: changes are seen at the next reading')
      }
      await pause(backoffMs(failures, 'wrong', tools.random()), stop)
    }
  }

  async function poll(from: Followable, stop: AbortSignal): Promise<End> {
    let bucket = fullBucket(READ_RATE, tools.now())
    let checkedMs = tools.now()
    for (;;) {
      const beganMs = tools.now()
      // What a manager is asked for fails when it is none any more; containers there are, swarm or not.
      if (from.kind === 'alone' && beganMs - checkedMs > timing.recheckMs) {
        const asked = await reader.standing(stop)
        if (asked.kind === 'failed') return asked
        if (asked.standing.kind !== from.kind) return { kind: 'again' }
        checkedMs = beganMs
      }
      const unread = await read(from, stop)
      if (stop.aborted) return { kind: 'again' }
      if (unread !== null) return unread
      const now = tools.now()
      const since = { sinceEventMs: now - eventMs, sinceNewsMs: now - newsMs }
      const isUnsettled = (known?.unsettled.length ?? 0) > 0
      await nap.rest(periodMs({ tookMs: now - beganMs, ...since, isUnsettled }, timing, tools.random()), stop)
      if (nap.isRoused) await pause(timing.settleMs, stop)
      const turn = takeToken(bucket, READ_RATE, tools.now())
      bucket = turn.bucket
      await pause(turn.waitMs, stop)
      if (stop.aborted) return { kind: 'again' }
    }
  }

  /** Follows the Engine until something fails. `agreed`: it has been read. */
  async function session(): Promise<{ readonly end: End; readonly agreed: boolean }> {
    const asked = await reader.standing(signal)
    if (asked.kind === 'failed') return { end: asked, agreed: false }
    const from = asked.standing
    // Its own containers are not what was asked for: that it has left the swarm is a mistake, or will be mended.
    if (from.kind === 'alone' && standing?.kind === 'manager') {
      return { end: { kind: 'failed', path: '/info', mishap: { kind: 'left' } }, agreed: false }
    }
    standing = from
    const stop = new AbortController()
    let end: End | null = null
    const finish = (why: End): void => {
      end ??= why
      stop.abort()
    }
    const abort = () => stop.abort()
    signal.addEventListener('abort', abort, { once: true })
    try {
      await Promise.all([poll(from, stop.signal).then(finish), listen(finish, stop.signal)])
    } finally {
      stop.abort()
      signal.removeEventListener('abort', abort)
    }
    return { end: end ?? { kind: 'again' }, agreed: source === from }
  }

  const onBug = (error: unknown) => tools.log.error({ err: error }, 'the swarm source failed and starts anew')

  async function run(): Promise<void> {
    let failures = 0
    let bucket = fullBucket(SESSION_RATE, tools.now())
    while (!signal.aborted) {
      const turn = takeToken(bucket, SESSION_RATE, tools.now())
      bucket = turn.bucket
      await pause(turn.waitMs, signal)
      if (signal.aborted) return
      const { end, agreed } = await session()
      if (signal.aborted) return
      if (agreed) failures = 0
      if (end.kind === 'again') continue
      failures += 1
      failed(end)
      await pause(backoffMs(failures, engineFailure(end.mishap, host).speed, tools.random()), signal)
    }
  }

  async function reread(given: AbortSignal): Promise<boolean> {
    if (standing === null || given.aborted || signal.aborted) return false
    const stop = new AbortController()
    const abort = () => stop.abort()
    for (const either of [given, signal]) either.addEventListener('abort', abort)
    try {
      const unread = await read(standing, stop.signal)
      if (stop.signal.aborted) return false
      if (unread !== null) failed(unread)
      return unread === null && tell.flush()
    } finally {
      for (const either of [given, signal]) either.removeEventListener('abort', abort)
    }
  }

  return {
    done: supervise(run, onBug, tools.random, signal).finally(tell.close),
    // All is read, whichever services are meant: that is how it is read anyway.
    reread: (_services, given) => reread(given),
    view: () => ({
      watched: known?.services.size ?? 0,
      swept: 0,
      sweepRoundMs: null,
      wakeups: { ...wakeups },
      noisiest: [],
    }),
  }
}

const givenUp: EngineFailed = {
  kind: 'failed',
  path: '/tasks',
  mishap: { kind: 'network', code: 'ABORT_ERR', message: 'given up' },
}

function queryOf(path: string): string {
  return `GET ${path}`
}

/** Is it another swarm than before, or one whose data has been lost or restored? */
function knowsLess(now: Followable, before: Followable): boolean {
  if (now.kind !== 'manager' || before.kind !== 'manager') return now.kind !== before.kind
  return now.cluster !== before.cluster || now.index < before.index
}
