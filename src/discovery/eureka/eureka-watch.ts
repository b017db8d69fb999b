/**
 * Who is asked when, and who is told? One watch of a Eureka registry: a poll every few seconds of one of its servers, for what
 * changed, and for everything where that does not add up: at first, when the hash of the delta differs from ours, after every
 * failure, at another server, and now and then, since the hash counts instances and does not know them. The requests
 * themselves are the caller's.
 *
 *          ┌──────────── delta adds up ───────────┐
 *          ▼                                      │
 *     next poll ──▶ GET /apps/delta ──────────────┤
 *          ▲            │ hash differs, refused,  │
 *          │            ▼ or too long ago         │
 *          └──────── GET /apps ◀──────────────────┘ the first, and after failures: at the next server
 */

import type { Catalog } from '../../balancer/endpoint.ts'
import type { Failure } from '../failure.ts'
import { pause, supervise } from '../loop.ts'
import { oddityReporter } from '../oddity.ts'
import { type BucketRule, backoffMs, type FailureSpeed, fullBucket, takeToken } from '../pace.ts'
import { nothingRead, type SourceListeners } from '../source.ts'
import { teller } from '../teller.ts'
import { untilAborted, withEither } from '../until-aborted.ts'
import type { Watch, WatchTools } from '../watched-source.ts'
import { type DecodedAnswer, decodeAnswer } from './eureka-answer.ts'
import type { EurekaServer } from './eureka-client.ts'
import { type EurekaMishap, eurekaFailure } from './eureka-failure.ts'
import { catalogOf, type EurekaRules } from './eureka-instances.ts'
import {
  type EurekaRegistry,
  emptyRegistry,
  hashOf,
  unexplained,
  withDelta,
  withFull,
  withoutExpired,
} from './eureka-registry.ts'

export interface EurekaTiming {
  /** From one poll to the next; × 0.9 to 1.1, so that proxies do not ask together. */
  readonly intervalMs: number
  /** How often everything is read although the deltas add up. */
  readonly fullEveryMs: number
}

type Answer = Extract<DecodedAnswer, { kind: 'answer' }>
type Asked = Answer | { readonly kind: 'failed'; readonly mishap: EurekaMishap }

/** Of all requests, whoever asks for them. A poll takes three at most. */
const EUREKA_RATE: BucketRule = { burst: 6, msPerToken: 200 }
/** While there are any the catalog is not confirmed. */
const LEASES = 'instances that the server does not know any more'

/** Follows the registry of these servers (one or more) from now on until `signal` is aborted. */
export function eurekaWatch(
  servers: readonly EurekaServer[],
  rules: EurekaRules,
  timing: EurekaTiming,
  tools: WatchTools,
  listeners: SourceListeners,
  signal: AbortSignal,
): Watch {
  const { log, now, random } = tools
  let registry: EurekaRegistry | null = null
  let catalog: Catalog | null = null
  /** The server that answers; its index. */
  let current = 0
  /** When everything has to be read again; it has to after every failure. */
  let fullDueMs = Number.NEGATIVE_INFINITY
  let fullTookMs: number | null = null
  let bucket = fullBucket(EUREKA_RATE, now())
  let turn: Promise<unknown> = Promise.resolve()
  const failing = new Set<string>()
  const report = oddityReporter(log, 'Eureka')
  const tell = teller(listeners, tools, signal, () => catalog)

  async function ask(server: EurekaServer, path: '/apps' | '/apps/delta', stop: AbortSignal): Promise<Asked> {
    const token = takeToken(bucket, EUREKA_RATE, now())
    bucket = token.bucket
    await pause(token.waitMs, stop)
    const reply = await server.get(path, stop)
    if (reply.kind === 'failed') return reply
    const decoded = decodeAnswer(reply.text)
    switch (decoded.kind) {
      case 'answer':
        return decoded
      case 'foreign': {
        const body = server.hide(reply.text.slice(0, 1000))
        return { kind: 'failed', mishap: { kind: 'foreign', contentType: server.hide(reply.contentType), body } }
      }
      case 'unreadable':
        return { kind: 'failed', mishap: { kind: 'shape', message: server.hide(decoded.message) } }
      default:
        return decoded satisfies never
    }
  }

  /** What the registry is by the word of this server. Null: the signal was aborted. */
  async function readFrom(
    server: EurekaServer,
    isWhole: boolean,
    stop: AbortSignal,
  ): Promise<EurekaRegistry | Failed | null> {
    const deleted = new Map<string, number>()
    const before = registry
    if (before !== null && !isWhole) {
      const delta = await ask(server, '/apps/delta', stop)
      if (stop.aborted) return null
      if (delta.kind === 'failed' && !isRefusedDelta(delta.mishap)) return failed(server, '/apps/delta', delta.mishap)
      if (delta.kind === 'answer') {
        report('', delta.oddities)
        const next = withDelta(before, delta.entries)
        if (hashOf(next.instances) === delta.hash) return next
        addDeleted(deleted, delta)
      }
    }
    const askedMs = now()
    const full = await ask(server, '/apps', stop)
    if (stop.aborted) return null
    if (full.kind === 'failed') return failed(server, '/apps', full.mishap)
    report('', full.oddities)
    fullTookMs = now() - askedMs
    fullDueMs = now() + timing.fullEveryMs
    if (before === null) return withFull(emptyRegistry, full.entries, deleted, now())
    if (unexplained(before, full.entries, deleted).length > 0) {
      // They may have been deregistered since the last delta, or at a server that was not asked then.
      const delta = await ask(server, '/apps/delta', stop)
      if (stop.aborted) return null
      if (delta.kind === 'answer') addDeleted(deleted, delta)
    }
    return withFull(before, full.entries, deleted, now())
  }

  /** Asks one server after another until one answers. Null: the signal was aborted. */
  async function round(isWhole: boolean, stop: AbortSignal): Promise<FailureSpeed | 'read' | null> {
    const failures: Failed[] = []
    for (let tried = 0; tried < servers.length; tried += 1) {
      const at = (current + tried) % servers.length
      const server = servers[at] as EurekaServer
      const read = await readFrom(server, isWhole || tried > 0 || now() >= fullDueMs, stop)
      if (read === null) return null
      if ('failure' in read) {
        failures.push(read)
        fullDueMs = Number.NEGATIVE_INFINITY
        continue
      }
      if (at !== current) log.warn({ server: server.where }, 'another Eureka server is asked from now on')
      current = at
      take(read, failures)
      return 'read'
    }
    for (const { where, failure } of failures) {
      failing.add(where)
      tell.failed(where, failure)
    }
    const speeds = failures.map(({ failure }) => failure.speed)
    return speeds.includes('away') ? 'away' : (speeds[0] ?? 'wrong')
  }

  /** Takes in what a server said, although others failed. */
  function take(read: EurekaRegistry, failures: readonly Failed[]): void {
    const next = withoutExpired(read, now())
    if (next !== registry) rebuild(next)
    const isRewound = next !== read
    const isNews = next !== registry
    registry = next
    // One of several servers is away, and the registry is not.
    for (const { where, failure } of failures) tell.failed(where, { ...failure, speed: 'wrong' })
    for (const where of [...failing, ...failures.map(({ where }) => where)]) tell.forget(where)
    failing.clear()
    if (next.lost.size > 0) tell.outdated(LEASES)
    else tell.forget(LEASES)
    tell.answered('GET /apps', isNews, isRewound)
  }

  function rebuild(next: EurekaRegistry): void {
    const built = catalogOf(next, rules)
    catalog = built.catalog
    for (const [service, oddities] of built.oddities) report(service, oddities)
  }

  /** One at a time: what an answer says is put together with what is known. */
  function inTurn<T>(job: () => Promise<T>): Promise<T> {
    const mine = turn.then(job)
    turn = mine.catch(() => {})
    return mine
  }

  async function follow(): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      const outcome = await inTurn(() => round(false, signal))
      if (outcome === null) return
      failures = outcome === 'read' ? 0 : failures + 1
      const waitMs =
        outcome === 'read' ? timing.intervalMs * (0.9 + 0.2 * random()) : backoffMs(failures, outcome, random())
      await pause(waitMs, signal)
    }
  }

  async function run(): Promise<void> {
    const onBug = (error: unknown) => log.error({ err: error }, 'the loop of the Eureka source failed and starts anew')
    await supervise(follow, onBug, random, signal)
    await turn
    tell.close()
  }

  return {
    done: run(),
    // One answer carries all services, whichever are asked about.
    reread: (_services, given) =>
      withEither([given, signal], async (stop) => {
        if (stop.aborted) return false
        try {
          // Whose turn it is may take long, and cannot be given up.
          const read = await untilAborted(
            inTurn(async () => (stop.aborted ? null : round(true, stop))),
            stop,
            null,
          )
          return read === 'read' && tell.flush()
        } catch (error) {
          log.error({ err: error }, 'reading Eureka once more failed')
          return false
        }
      }),
    view: () => ({ ...nothingRead, swept: catalog?.services.size ?? 0, sweepRoundMs: fullTookMs }),
  }
}

interface Failed {
  readonly where: string
  readonly failure: Failure
}

function failed({ where }: EurekaServer, path: string, mishap: EurekaMishap): Failed {
  return { where: `GET ${where}${path}`, failure: eurekaFailure(mishap, where) }
}

/** A server may have deltas turned off (it says 403), or not know them at all: then everything is read each time. */
function isRefusedDelta(mishap: EurekaMishap): boolean {
  if (mishap.kind === 'status') return [403, 404, 405, 501].includes(mishap.status)
  return mishap.kind === 'shape' || mishap.kind === 'foreign'
}

function addDeleted(deleted: Map<string, number>, { entries }: Answer): void {
  for (const { instance, isDeleted } of entries) if (isDeleted) deleted.set(instance.key, instance.updatedMs)
}
