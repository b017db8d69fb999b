/**
 * How are the sources of a config followed as one? Each by itself: what one says replaces what it said before, and nothing
 * else. So a source that fails takes nothing away that it or another one knows; the catalog is then not confirmed, and
 * grows old, until all of them have answered. It is one source or several, and the rules are the same.
 *
 * At the start a source that does not answer keeps the others waiting for a moment only. What an earlier catalog had of it
 * stands in for its answer until it has one.
 */

import { type Catalog, sameCatalog } from '../balancer/endpoint.ts'
import { withUnreadAs } from './doubt.ts'
import type { ServiceFacts } from './facts.ts'
import { createMerger, partOf } from './merge.ts'
import { type CatalogSource, nothingRead, type Reading, type SourceListeners, type SourceView } from './source.ts'

export interface MergedDeps {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** What is routed by now, perhaps of an earlier process; null: nothing. */
  readonly before: Catalog | null
  /** How long a source that has never answered may keep the others waiting, in milliseconds. */
  readonly patienceMs?: number
}

const PATIENCE_MS = 5000

/** What is known of one source. */
interface Followed {
  readonly name: string
  readonly source: CatalogSource
  /** Its last answer, or what stands in for it; null: nothing. */
  catalog: Catalog | null
  hasAnswered: boolean
  /** It has failed since, or not all of its last answer could be read. */
  isLacking: boolean
  isAway: boolean
  /** It has stood by all that it says since all of them last had. */
  hasConfirmed: boolean
  confirmedAtMs: number | null
}

/**
 * Follows `sources` (one or more, by name, in the order of their word) as one. Endpoints, readings and errors name the
 * source that they are of. To be watched once at a time, as the sources that it is made of.
 */
export function mergedSource(sources: ReadonlyMap<string, CatalogSource>, deps: MergedDeps): CatalogSource {
  const { now, before, patienceMs = PATIENCE_MS } = deps
  let all = [...sources].map(newlyFollowed)

  function newlyFollowed([name, source]: readonly [string, CatalogSource]): Followed {
    const catalog = before === null ? null : partOf(before, name)
    return {
      ...{ name, source, catalog },
      ...{ hasAnswered: false, isLacking: true, isAway: false, hasConfirmed: false, confirmedAtMs: null },
    }
  }

  async function watch(listeners: SourceListeners, signal: AbortSignal): Promise<void> {
    const merger = createMerger()
    all = [...sources].map(newlyFollowed)
    let published: Catalog | null = null
    let isPatient = true

    const isDue = () =>
      all.some(({ hasAnswered }) => hasAnswered) && (!isPatient || all.every(({ catalog }) => catalog !== null))

    /** @returns whether it was told. */
    function publish(reading: Reading): boolean {
      if (published === null && !isDue()) return true
      const known = all.flatMap(({ name, catalog }): [string, Catalog][] => (catalog === null ? [] : [[name, catalog]]))
      const next = merger.merge(new Map(known))
      if (published !== null && sameCatalog(published, next)) return false
      published = next
      const isPart = all.some(({ isLacking }) => isLacking)
      listeners.onCatalog(next, isPart ? { ...reading, isPart } : reading)
      return true
    }

    function confirm(followed: Followed): void {
      followed.confirmedAtMs = now()
      followed.isLacking = false
      followed.isAway = false
      followed.hasConfirmed = true
    }

    /** The catalog is as old as the one that confirmed it the longest ago. */
    function tellFresh(): void {
      if (published === null || !all.every(({ hasConfirmed }) => hasConfirmed)) return
      for (const followed of all) followed.hasConfirmed = false
      listeners.onFresh()
    }

    const patience = setTimeout(() => {
      isPatient = false
      if (published === null && isDue()) publish({ rewound: false })
    }, patienceMs)

    function listenersOf(followed: Followed): SourceListeners {
      const { name } = followed
      return {
        onCatalog(catalog, reading) {
          if (signal.aborted) return
          followed.catalog = withUnreadAs(followed.catalog, catalog)
          followed.hasAnswered = true
          if (reading.isPart === undefined && reading.standby === undefined) confirm(followed)
          else if (reading.isPart !== undefined) followed.isLacking = true
          if (!publish({ ...reading, source: name })) tellFresh()
        },
        onFresh() {
          if (signal.aborted) return
          confirm(followed)
          tellFresh()
        },
        onError(error) {
          if (signal.aborted) return
          if (error.standby === undefined) {
            followed.isLacking = true
            followed.hasConfirmed = false
            followed.isAway = error.away === true
          }
          listeners.onError({ ...error, source: name })
        },
      }
    }

    await Promise.allSettled(all.map((followed) => followed.source.watch(listenersOf(followed), signal)))
    clearTimeout(patience)
  }

  /** Who is away has said nothing new that could be confirmed. */
  async function reread(services: readonly string[], signal: AbortSignal): Promise<boolean> {
    const asked = all.filter(({ hasAnswered, isAway }) => hasAnswered && !isAway)
    const answers = await Promise.all(asked.map(({ source }) => source.reread?.(services, signal) ?? true))
    return asked.length > 0 && answers.every((wasRead) => wasRead)
  }

  function instances(service: string): ServiceFacts | null {
    let told: ServiceFacts | null = null
    for (const { source } of all) {
      const theirs: ServiceFacts | null = source.instances?.(service) ?? null
      if (theirs === null || told === null) {
        told ??= theirs
        continue
      }
      told = {
        readMs: Math.min(told.readMs, theirs.readMs),
        instances: [...told.instances, ...theirs.instances],
        moreInstances: told.moreInstances + theirs.moreInstances,
      }
    }
    return told
  }

  function describe(): SourceView {
    const views = all.map(({ source }) => source.describe?.() ?? nothingRead)
    const sum = (number: (view: SourceView) => number) => views.reduce((total, view) => total + number(view), 0)
    return {
      watched: sum(({ watched }) => watched),
      swept: sum(({ swept }) => swept),
      sweepRoundMs: views.find(({ sweepRoundMs }) => sweepRoundMs !== null)?.sweepRoundMs ?? null,
      wakeups: { useful: sum(({ wakeups }) => wakeups.useful), useless: sum(({ wakeups }) => wakeups.useless) },
      noisiest: views.flatMap(({ noisiest }) => noisiest).slice(0, 10),
      parts: all.map(({ name, catalog, hasAnswered, isLacking, confirmedAtMs }) => ({
        source: name,
        state: hasAnswered ? (isLacking ? 'stale' : 'fresh') : 'silent',
        services: catalog?.services.size ?? 0,
        confirmedAgoMs: confirmedAtMs === null ? null : Math.round(now() - confirmedAtMs),
      })),
    }
  }

  return { watch, reread, instances, describe }
}
