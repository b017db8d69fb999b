/**
 * Which catalog does this process route by, and how did it come by it? Source, admission and snapshot put together, with
 * how old the catalog is and what is written down of it.
 */

import type { Logger } from 'pino'
import type { CatalogStatus, SourceFailure } from './admin/catalog.ts'
import type { CatalogResult } from './admin/counters.ts'
import { logDecisions } from './admin/event-log.ts'
import type { Catalog } from './balancer/endpoint.ts'
import type { Vitals } from './balancer/view.ts'
import type { Config } from './config/config.ts'
import type { Baseline, Decision } from './discovery/admission.ts'
import { type AdmittedListeners, admitting } from './discovery/admitting.ts'
import type { ServiceFacts } from './discovery/facts.ts'
import { createFreshness, type Freshness } from './discovery/freshness.ts'
import type { PushCatalog } from './discovery/push/push-catalog.ts'
import { openSnapshot, type SnapshotRead } from './discovery/snapshot-file.ts'
import type { SourceError } from './discovery/source.ts'
import { askedAnew, catalogName, routedPart } from './source-rules.ts'
import { sourceOf } from './sources.ts'

export interface FollowingDeps {
  readonly log: Logger
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** The config in effect, asked at each step. */
  readonly config: () => Config
  readonly vitals: (service: string, endpoint: string) => Vitals | null
  readonly traffic: () => ReadonlyMap<string, number>
  /** What services have said of themselves; it outlives a change of source. */
  readonly pushed: PushCatalog
  /** The catalog to route by from now on; false: nothing changed by it. */
  readonly use: (catalog: Catalog) => boolean
  /** What came of an answer or a failure of the source. */
  readonly onResult: (result: CatalogResult) => void
  readonly onDecisions: (decisions: readonly Decision[]) => void
}

export interface Following {
  /** Begins to follow; to be called once. Never rejects. */
  start(): Promise<void>
  /** Resolves when there is a catalog to route by. */
  readonly firstCatalog: Promise<void>
  readiness(): ReturnType<Freshness['readiness']>
  status(): CatalogStatus
  /** What the source said of each instance of a service; null: nothing. Its times are of `FollowingDeps.now`'s clock. */
  instances(service: string): ServiceFacts | null
  /** Applies the source's last answer as it stands; answers how many endpoints are gone by it. */
  accept(): number
  /**
   * Follows the sources that the config names now, from the start. The catalog in use stays until they answer; and judges
   * what they say, but for those of which another catalog is wanted than with the config before.
   */
  restart(before: Config): void
  close(): Promise<void>
}

/** A failure, and when it was (`FollowingDeps.now`). */
interface Failed {
  readonly error: Pick<SourceError, 'where' | 'message' | 'cure' | 'source'>
  readonly atMs: number
}

/** A standby that has not failed for so long may be taken to be read again: nobody says when it is. */
const standbyFailsForMs = 60_000

/** How long a source that does not fail may take with its first answer before the snapshot is served. */
const patienceMs = 2_000

/** A snapshot that is older is no judge of a source that answers. */
const recentMs = 3_600_000

/** Follows the catalog that the config names, once it is started. */
export function createFollowing(deps: FollowingDeps): Following {
  const { log, now, config } = deps
  const freshness = createFreshness(now)
  /** Of the standby datacenters, which say nothing of how old the catalog is: only so that nothing is told twice. */
  const standbyFreshness = createFreshness(now)
  const snapshot = openSnapshotOf(config(), deps)
  let found: SnapshotRead = { kind: 'absent' }
  let snapshotInUse = false
  let inUse: Catalog | null = null
  /** When the source last stood by the whole catalog, to this process or one before it: since 1970; null: never. */
  let confirmedAtMs: number | null = null
  /** Of the source, since it last confirmed the catalog; null: none. */
  let failure: Failed | null = null
  /** The last one of each standby datacenter. */
  const standbyFailures = new Map<string, Failed>()
  /** It outlives a reload: who has just come back has not settled by it. */
  const troubleAtMs = new Map<string, number>()
  let closed = false
  let following: ReturnType<typeof follow> | null = null
  deps.pushed.onChange(() => snapshot?.file.pushedChanged())
  let onFirstCatalog: () => void = () => {}
  const firstCatalog = new Promise<void>((resolve) => {
    onFirstCatalog = resolve
  })

  function confirm(agoMs = 0): void {
    if (freshness.confirmed(agoMs) === 'recovered') log.info('the catalog is confirmed again')
    confirmedAtMs = Date.now() - agoMs
    failure = null
  }

  /** Serves what an earlier process knew, when the source does not say anything better in time. */
  function serveSnapshot(): void {
    if (found.kind !== 'read' || closed || freshness.readiness().state !== 'starting') return
    snapshotInUse = true
    freshness.restored(found.ageMs)
    log.warn({ ageMs: Math.round(found.ageMs), path: snapshot?.path }, 'the catalog of the snapshot is served')
    inUse = routedPart(found.catalog, config())
    following?.admitted.baselineServes()
    deps.use(inUse)
    onFirstCatalog()
  }

  function follow(baseline: Baseline) {
    const abort = new AbortController()
    const source = sourceOf(config(), { ...deps, before: baseline.catalog, isServing: inUse !== null })
    const admitted = admitting(source, {
      options: () => config().admission,
      now,
      vitals: deps.vitals,
      baseline,
      troubleAtMs,
      onBug: (err) => log.error({ err }, 'a catalog could not be taken in'),
    })
    let held = false
    const listeners: AdmittedListeners = {
      onDecisions(decisions) {
        held = decisions.some(({ kind }) => kind === 'held')
        logDecisions(log, decisions)
        deps.onDecisions(decisions)
      },
      onCatalog(catalog, isConfirmed, agoMs) {
        if (isConfirmed) confirm(agoMs)
        // Served, but never confirmed as a whole: not as good as its source.
        else freshness.restored(0)
        // It is an answer's, or admitted on top of one.
        snapshotInUse = false
        inUse = catalog
        const changed = deps.use(catalog)
        deps.onResult(held ? 'held' : changed ? 'applied' : 'unchanged')
        held = false
        snapshot?.file.write(catalog, confirmedAtMs ?? Date.now())
        onFirstCatalog()
      },
      onFresh(agoMs = 0) {
        confirm(agoMs)
        snapshotInUse = false
        deps.onResult('unchanged')
        snapshot?.file.confirmed(Date.now() - agoMs)
      },
      onError(error) {
        if (error.standby !== undefined) return tellStandbyError(error, error.standby)
        failure = { error, atMs: now() }
        deps.onResult('error')
        tellError(error)
        serveSnapshot()
      },
    }
    const { believed = [] } = baseline
    return {
      abort,
      source,
      admitted,
      believed,
      done: admitted.watch(unlessAborted(listeners, abort.signal), abort.signal),
    }
  }

  function tellStandbyError(error: SourceError, standby: string): void {
    const { where, message } = error
    const cure = `is ${JSON.stringify(standby)}, named in services.<name>.failover, a datacenter that the agent can reach?`
    standbyFailures.set(standby, { error: { where, message, cure }, atMs: now() })
    if (!standbyFreshness.failed(error)) return
    log.warn({ where, message, cure }, 'a standby datacenter cannot be read; what is known of it stays')
  }

  function tellError(error: SourceError): void {
    const { where, message, cure, source } = error
    if (!freshness.failed(error)) return
    const isServing = freshness.readiness().state !== 'starting'
    const meanwhile = isServing || found.kind === 'read' ? 'the last good one stays' : 'nothing is served yet'
    log.warn({ source, where, message, cure }, `the catalog cannot be read; ${meanwhile}`)
  }

  const failureView = ({ error: { where, message, cure, source }, atMs }: Failed): SourceFailure => ({
    ...{ where, message, cure },
    ...(source === undefined ? {} : { source }),
    agoMs: Math.round(now() - atMs),
  })

  return {
    firstCatalog,
    async start() {
      if (snapshot !== null) found = await snapshot.file.read()
      if (closed) return
      if (found.kind === 'read') confirmedAtMs = found.confirmedAtMs
      if (found.kind === 'refused') {
        const { why, cure } = found
        log.error({ path: snapshot?.path, why, cure }, 'the snapshot is not one: it is left alone, and none is written')
      }
      // Before the source is followed: its first answer has them.
      if (found.kind === 'read') deps.pushed.restore(found.pushed ?? [])
      // Of a service that this config leaves out nobody will ever say that it is gone.
      const catalog = found.kind === 'read' ? routedPart(found.catalog, config()) : null
      // Addresses of long ago may be another service's by now: an old one judges only what comes after it was served.
      following = follow({ catalog, isJudge: found.kind === 'read' && found.ageMs <= recentMs })
      if (found.kind === 'read') setTimeout(serveSnapshot, patienceMs).unref()
    },
    readiness: freshness.readiness,
    status: () => ({
      nowMs: now(),
      admission: config().admission,
      suspects: following?.admitted.suspects() ?? [],
      source: following?.source.describe?.() ?? null,
      snapshot: snapshot === null ? null : { path: snapshot.path, found: found.kind, inUse: snapshotInUse },
      failure: failure === null ? null : failureView(failure),
      standbyFailures: new Map(
        [...standbyFailures]
          .filter(([, { atMs }]) => now() - atMs < standbyFailsForMs)
          .map(([standby, failed]) => [standby, failureView(failed)]),
      ),
    }),
    instances: (service) => following?.source.instances?.(service) ?? null,
    accept: () => following?.admitted.accept() ?? 0,
    restart(before) {
      if (closed) return
      following?.abort.abort()
      // Of what this config leaves out nobody will ever say that it is gone.
      const catalog = inUse === null ? null : routedPart(inUse, config())
      const suspects = following?.admitted.suspects() ?? []
      const parts = following?.source.describe?.().parts ?? []
      const isSilent = (name: string) => parts.some(({ source, state }) => source === name && state === 'silent')
      const stillBelieved = following?.believed.filter(isSilent) ?? []
      const believed = [...askedAnew(before, config()), ...stillBelieved]
      following = follow({ catalog, isJudge: true, believed, suspects })
    },
    async close() {
      closed = true
      following?.abort.abort()
      await following?.done
      await snapshot?.file.close()
    },
  }
}

function openSnapshotOf(config: Config, { log, now, pushed }: FollowingDeps) {
  const { snapshot: path } = config.discovery
  if (path === null) return null
  const of = catalogName(config)
  const file = openSnapshot(path, {
    now,
    epochNow: Date.now,
    pushed: pushed.all,
    ...(of === null ? {} : { of }),
    onError: ({ where, message, cure }) => log.error({ where, message, cure }, 'the snapshot cannot be written'),
    onRecovered: () => log.info({ path }, 'the snapshot is written again'),
  })
  return { path, file }
}

/** What a source says after it was told to stop is not heard. */
function unlessAborted(listeners: AdmittedListeners, signal: AbortSignal): AdmittedListeners {
  const guarded =
    <A extends unknown[]>(listener: (...args: A) => void) =>
    (...args: A): void => {
      if (!signal.aborted) listener(...args)
    }
  return {
    onCatalog: guarded(listeners.onCatalog),
    onFresh: guarded(listeners.onFresh),
    onError: guarded(listeners.onError),
    onDecisions: guarded(listeners.onDecisions),
  }
}
