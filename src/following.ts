/**
 * Which catalog does this process route by, and how did it come by it? Source and admission put together, with how old
 * the catalog is and what is written down of it.
 */

import type { Logger } from 'pino'
import type { CatalogStatus } from './admin/catalog.ts'
import type { CatalogResult } from './admin/counters.ts'
import { logDecisions } from './admin/event-log.ts'
import type { Catalog } from './balancer/endpoint.ts'
import type { Vitals } from './balancer/view.ts'
import type { Config } from './config/config.ts'
import type { Decision } from './discovery/admission.ts'
import { type AdmittedListeners, admitting } from './discovery/admitting.ts'
import { consulSource } from './discovery/consul-source.ts'
import { createFreshness, type Freshness } from './discovery/freshness.ts'
import type { CatalogSource, SourceError } from './discovery/source.ts'
import { staticSource } from './discovery/static-source.ts'

export interface FollowingDeps {
  readonly log: Logger
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** The config in effect, asked at each step. */
  readonly config: () => Config
  readonly vitals: (service: string, endpoint: string) => Vitals | null
  /** The catalog to route by from now on; false: nothing changed by it. */
  readonly use: (catalog: Catalog) => boolean
  /** What came of an answer or a failure of the source. */
  readonly onResult: (result: CatalogResult) => void
  readonly onDecisions: (decisions: readonly Decision[]) => void
  /** The source has confirmed the catalog. */
  readonly onFresh: () => void
}

export interface Following {
  /** Begins to follow; to be called once. */
  start(): void
  /** Resolves when there is a catalog to route by. */
  readonly firstCatalog: Promise<void>
  readiness(): ReturnType<Freshness['readiness']>
  status(): CatalogStatus
  /** Applies the source's last answer as it stands; answers how many endpoints are gone by it. */
  accept(): number
  /** Follows the source that the config names now, from the start. The catalog in use stays until it answers. */
  restart(): void
  close(): Promise<void>
}

/** Follows the catalog that the config names, once it is started. */
export function createFollowing(deps: FollowingDeps): Following {
  const { log, now, config } = deps
  const freshness = createFreshness(now)
  let onFirstCatalog: () => void = () => {}
  const firstCatalog = new Promise<void>((resolve) => {
    onFirstCatalog = resolve
  })

  function confirm(): void {
    if (freshness.confirmed() === 'recovered') log.info('the catalog is confirmed again')
    deps.onFresh()
  }

  function follow(baseline: Catalog | null) {
    const abort = new AbortController()
    const source = sourceOf(config(), log)
    const admitted = admitting(source, {
      options: () => config().admission,
      now,
      vitals: deps.vitals,
      baseline,
      onBug: (err) => log.error({ err }, 'a catalog could not be taken in'),
    })
    let held = false
    const listeners: AdmittedListeners = {
      onDecisions(decisions) {
        held = decisions.some(({ kind }) => kind === 'held')
        logDecisions(log, decisions)
        deps.onDecisions(decisions)
      },
      onCatalog(catalog, fromSource) {
        if (fromSource) confirm()
        const changed = deps.use(catalog)
        deps.onResult(held ? 'held' : changed ? 'applied' : 'unchanged')
        held = false
        onFirstCatalog()
      },
      onFresh() {
        confirm()
        deps.onResult('unchanged')
      },
      onError(error: SourceError) {
        deps.onResult('error')
        if (!freshness.failed(error)) return
        const { where, message, cure } = error
        const isServing = freshness.readiness().state !== 'starting'
        const meanwhile = isServing ? 'the last good one stays' : 'nothing is served yet'
        log.warn({ where, message, cure }, `the catalog cannot be read; ${meanwhile}`)
      },
    }
    return { abort, source, admitted, done: admitted.watch(unlessAborted(listeners, abort.signal), abort.signal) }
  }

  let following: ReturnType<typeof follow> | null = null
  return {
    start() {
      following = follow(null)
    },
    firstCatalog,
    readiness: freshness.readiness,
    status: () => ({
      nowMs: now(),
      admission: config().admission,
      suspects: following?.admitted.suspects() ?? [],
      source: following?.source.describe?.() ?? null,
      snapshot: null,
    }),
    accept: () => following?.admitted.accept() ?? 0,
    restart() {
      following?.abort.abort()
      following = follow(null)
    },
    async close() {
      following?.abort.abort()
      await following?.done
    },
  }
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

function sourceOf({ discovery }: Config, log: Logger): CatalogSource {
  switch (discovery.source) {
    case 'consul':
      return consulSource(discovery.consul, { log, random: Math.random })
    case 'static':
      return staticSource(discovery.static)
    default:
      return discovery.source satisfies never
  }
}
