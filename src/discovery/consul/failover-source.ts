/**
 * How are several datacenters followed as one catalog? By a source of its own for each: the primary's answers decide
 * when there is a catalog at all and how old it is, the standbys' only fill in (see failover.ts). A standby that is away
 * or fails changes nothing: its last catalog stays.
 */

import { type Catalog, sameCatalog } from '../../balancer/endpoint.ts'
import type { ServiceFacts } from '../facts.ts'
import { type CatalogSource, nothingRead, type Reading, type SourceListeners, type SourceView } from '../source.ts'
import { type FailoverOrder, mergeFailover, reachedDatacenters } from './failover.ts'

/**
 * A source of the primary's catalog with the standbys' endpoints where it has none. Readings and errors of
 * a standby name it. To be watched once at a time, as the sources that it is made of.
 * @param standbys by datacenter; one that no service names is followed in vain
 */
export function failoverSource(
  primary: CatalogSource,
  standbys: ReadonlyMap<string, CatalogSource>,
  order: FailoverOrder,
): CatalogSource {
  let primaryCatalog: Catalog | null = null
  const standbyCatalogs = new Map<string, Catalog>()

  async function watch(listeners: SourceListeners, signal: AbortSignal): Promise<void> {
    let published: Catalog | null = null

    /** @returns whether it was told. */
    function publish(reading: Reading): boolean {
      if (primaryCatalog === null) return false
      const next = mergeFailover(primaryCatalog, standbyCatalogs, order)
      if (published !== null && sameCatalog(published, next)) return false
      published = next
      listeners.onCatalog(next, reading)
      return true
    }

    const watches = [...standbys].map(([standby, source]) =>
      source.watch(
        {
          onCatalog(catalog, reading) {
            if (signal.aborted) return
            standbyCatalogs.set(standby, catalog)
            publish({ ...reading, standby })
          },
          onFresh() {},
          onError(error) {
            if (signal.aborted) return
            const where = `datacenter ${JSON.stringify(standby)}: ${error.where}`
            listeners.onError({ ...error, where, standby })
          },
        },
        signal,
      ),
    )
    const followed = primary.watch(
      {
        onCatalog(catalog, reading) {
          if (signal.aborted) return
          primaryCatalog = catalog
          // What it says may be news that does not show: it agreed all the same.
          if (!publish(reading) && reading.isPart === undefined) listeners.onFresh()
        },
        onFresh() {
          if (!signal.aborted) listeners.onFresh()
        },
        onError(error) {
          if (!signal.aborted) listeners.onError(error)
        },
      },
      signal,
    )
    await Promise.allSettled([followed, ...watches])
    primaryCatalog = null
    standbyCatalogs.clear()
  }

  async function reread(services: readonly string[], signal: AbortSignal): Promise<boolean> {
    if (primaryCatalog === null || primary.reread === undefined) return false
    const concerned = new Map<string, string[]>()
    for (const name of services) {
      for (const datacenter of reachedDatacenters(name, primaryCatalog, standbyCatalogs, order)) {
        concerned.set(datacenter, [...(concerned.get(datacenter) ?? []), name])
      }
    }
    const answers = await Promise.all([
      primary.reread(services, signal),
      ...[...concerned].map(([datacenter, names]) => standbys.get(datacenter)?.reread?.(names, signal) ?? true),
    ])
    return answers.every((read) => read)
  }

  /** Of all datacenters that may serve it, in their order. */
  function instances(service: string): ServiceFacts | null {
    let all = primary.instances?.(service) ?? null
    for (const datacenter of order.get(service) ?? []) {
      const theirs = standbys.get(datacenter)?.instances?.(service) ?? null
      if (theirs === null) continue
      all = {
        readMs: all?.readMs ?? theirs.readMs,
        instances: [...(all?.instances ?? []), ...theirs.instances.map((each) => ({ ...each, datacenter }))],
        moreInstances: (all?.moreInstances ?? 0) + theirs.moreInstances,
      }
    }
    return all
  }

  function describe(): SourceView {
    const own = primary.describe?.() ?? nothingRead
    const views = [own, ...[...standbys.values()].map((source) => source.describe?.() ?? nothingRead)]
    const sum = (number: (view: SourceView) => number) => views.reduce((total, view) => total + number(view), 0)
    return {
      ...own,
      watched: sum(({ watched }) => watched),
      swept: sum(({ swept }) => swept),
      wakeups: { useful: sum(({ wakeups }) => wakeups.useful), useless: sum(({ wakeups }) => wakeups.useless) },
    }
  }

  return {
    watch,
    ...(primary.reread === undefined ? {} : { reread }),
    ...(primary.instances === undefined ? {} : { instances }),
    ...(primary.describe === undefined ? {} : { describe }),
  }
}
