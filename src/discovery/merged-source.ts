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
import { printable } from './untrusted-text.ts'

export interface MergedDeps {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** What is routed by now, perhaps of an earlier process; null: nothing. */
  readonly before: Catalog | null
  /** How long a source that has never answered may keep the others waiting, in milliseconds. */
  readonly patienceMs?: number
  /** The name of this proxy itself, which is nobody's to route to, whoever lists it. Absent: it has none. */
  readonly own?: string
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
  /** When it last stood by all that it says; null: it never has. */
  confirmedAtMs: number | null
}

/**
 * Follows `sources` (one or more, by name, in the order of their word) as one. Endpoints, readings and errors name the
 * source that they are of. To be watched once at a time, as the sources that it is made of.
 */
export function mergedSource(sources: ReadonlyMap<string, CatalogSource>, deps: MergedDeps): CatalogSource {
  const { now, before, patienceMs = PATIENCE_MS, own } = deps
  let all = [...sources].map(newlyFollowed)

  function newlyFollowed([name, source]: readonly [string, CatalogSource]): Followed {
    const catalog = before === null ? null : partOf(before, name)
    return {
      ...{ name, source, catalog },
      ...{ hasAnswered: false, isLacking: true, isAway: false, confirmedAtMs: null },
    }
  }

  async function watch(listeners: SourceListeners, signal: AbortSignal): Promise<void> {
    const merger = createMerger()
    all = [...sources].map(newlyFollowed)
    let published: Catalog | null = null
    let isPatient = true
    /** Of which sources the first answer is still to be told. */
    let first: string[] = []

    const isDue = () =>
      all.some(({ hasAnswered }) => hasAnswered) && (!isPatient || all.every(({ catalog }) => catalog !== null))

    /** @returns whether it was told. */
    function publish(reading: Reading): boolean {
      if (published === null && !isDue()) return true
      const known = all.flatMap(({ name, catalog }): [string, Catalog][] => (catalog === null ? [] : [[name, catalog]]))
      const next = merger.merge(new Map(known))
      const firstOf = first
      first = []
      if (published !== null && sameCatalog(published, next)) return false
      published = next
      const agoMs = confirmedAgoMs()
      listeners.onCatalog(next, {
        ...reading,
        ...(firstOf.length === 0 ? {} : { first: firstOf }),
        ...(agoMs === null ? { isPart: true } : agoMs === 0 ? {} : { agoMs }),
      })
      return true
    }

    /** The catalog is as old as the one that confirmed it the longest ago; null: it cannot be said to be confirmed. */
    function confirmedAgoMs(): number | null {
      if (all.some(({ isLacking }) => isLacking)) return null
      const nowMs = now()
      return Math.round(Math.max(...all.map(({ confirmedAtMs }) => nowMs - (confirmedAtMs ?? nowMs))))
    }

    function confirm(followed: Followed): void {
      followed.confirmedAtMs = now()
      followed.isLacking = false
      followed.isAway = false
    }

    function tellFresh(): void {
      const agoMs = confirmedAgoMs()
      if (published === null || agoMs === null) return
      if (agoMs === 0) listeners.onFresh()
      else listeners.onFresh(agoMs)
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
          followed.catalog = withUnreadAs(followed.catalog, without(own, catalog))
          if (!followed.hasAnswered) first.push(name)
          followed.hasAnswered = true
          if (reading.standby === undefined && reading.isPart === undefined) confirm(followed)
          else if (reading.standby === undefined) followed.isLacking = true
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
            followed.isAway = error.away === true
          }
          listeners.onError({ ...error, source: name })
        },
      }
    }

    async function follow(followed: Followed): Promise<void> {
      const heard = listenersOf(followed)
      let why = 'it ended'
      try {
        await followed.source.watch(heard, signal)
      } catch (error) {
        why = printable(error instanceof Error ? error.message : String(error), 300)
      }
      // It could not be made, or has a bug: no answer will tell of it any more.
      heard.onError({
        where: `discovery.source ${followed.name}`,
        message: `it is not followed: ${why}`,
        cure: `mend discovery.${followed.name}, and start again`,
      })
    }

    await Promise.all(all.map(follow))
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

function without(name: string | undefined, catalog: Catalog): Catalog {
  if (name === undefined || !catalog.services.has(name)) return catalog
  return { services: new Map([...catalog.services].filter(([each]) => each !== name)) }
}
