/** Do several sources that are read as one agree? Pure: the facts of each in, what only shows between them out. */

import { compareText } from '../discovery/untrusted-text.ts'
import type { Facts, InstanceFacts, OtherSources, SourceName } from './facts.ts'
import { count, type Finding, foundInstance, shownName } from './finding.ts'

/** What the others have, seen from one of the sources; null when there are no others. */
export function othersOf(all: readonly Pick<Facts, 'source' | 'services'>[], own: SourceName): OtherSources | null {
  if (all.length < 2) return null
  const others = all.filter(({ source }) => source !== own)
  // The first one's word counts.
  const routed = new Map<string, SourceName>()
  for (const { source, services } of others) {
    for (const { name, instances } of services) {
      if (!routed.has(name) && instances.some(isRouted)) routed.set(name, source)
    }
  }
  return { routed, listed: new Set(others.flatMap(({ services }) => services.map(({ name }) => name))) }
}

export function severalFindings(all: readonly Facts[]): readonly Finding[] {
  return [...halfMoved(all), ...twoNames(all)]
}

function isRouted({ standing }: InstanceFacts): boolean {
  return standing === 'routed'
}

/** By service and source, the instances by their places; only those sources that have any of it in rotation. */
function placesOf(
  all: readonly Facts[],
): ReadonlyMap<string, ReadonlyMap<SourceName, ReadonlyMap<string, InstanceFacts>>> {
  const byService = new Map<string, Map<SourceName, ReadonlyMap<string, InstanceFacts>>>()
  for (const { source, services } of all) {
    for (const { name, instances } of services) {
      if (!instances.some(isRouted)) continue
      const ofService = byService.get(name) ?? new Map<SourceName, ReadonlyMap<string, InstanceFacts>>()
      byService.set(name, ofService)
      const inOrder = [...instances].sort((a, b) => Number(isRouted(a)) - Number(isRouted(b)))
      ofService.set(source, new Map(inOrder.map((each) => [each.place, each])))
    }
  }
  return byService
}

function halfMoved(all: readonly Facts[]): readonly Finding[] {
  const inOrder = [...placesOf(all)].sort(([a], [b]) => compareText(a, b))
  return inOrder.flatMap(([name, bySource]): Finding[] => {
    if (bySource.size < 2) return []
    const sources = [...bySource]
    const routedAt = (place: string) =>
      sources.flatMap(([source, places]) => {
        const instance = places.get(place)
        return instance !== undefined && isRouted(instance) ? [{ source, instance }] : []
      })
    const places = [...new Set(sources.flatMap(([, ofSource]) => [...ofSource.keys()]))]
    const alone = places.flatMap((place) => {
      const holders = routedAt(place)
      const [first] = holders
      if (first === undefined || holders.length === sources.length) return []
      const held = holders.map(({ source }) => source)
      const others = sources.flatMap(([source, ofSource]) => {
        const reason = ofSource.get(place)?.reason ?? null
        if (held.includes(source)) return []
        return [reason === null ? `not in ${source}` : `out in ${source}: ${reason}`]
      })
      return [foundInstance(first.instance, `in ${held.join(' and ')}, ${others.join(', ')}`)]
    })
    if (alone.length === 0) return []
    const each = sources.map(([source, ofSource]) => {
      return `${count([...ofSource.values()].filter(isRouted).length, 'endpoint')} in ${source}`
    })
    return [
      {
        kind: 'half-moved',
        severity: 'warning',
        service: shownName(name),
        instances: alone,
        where: shownName(name),
        what: `several sources have it, with different endpoints: ${each.join(', ')}`,
        why: 'requests go to all of them together. Half-way through a move that is as it should be; afterwards it is not: what only one source knows is gone when that source is switched off',
        cure: 'go on with the move: register what is missing in the source that is to stay, deregister in the other what is gone; then take the other one out of discovery.source',
      },
    ]
  })
}

/** One finding for each two names that share places, however many. */
function twoNames(all: readonly Facts[]): readonly Finding[] {
  const byPlace = new Map<
    string,
    { readonly source: SourceName; readonly name: string; readonly instance: InstanceFacts }[]
  >()
  for (const { source, services } of all) {
    for (const { name, instances } of services) {
      for (const instance of instances.filter(isRouted)) {
        if (instance.address === null || instance.port === null) continue
        byPlace.set(instance.place, [...(byPlace.get(instance.place) ?? []), { source, name, instance }])
      }
    }
  }
  const pairs = new Map<
    string,
    { readonly names: readonly [Named, Named]; readonly instances: Map<string, InstanceFacts> }
  >()
  for (const [place, holders] of byPlace) {
    for (const [at, a] of holders.entries()) {
      for (const b of holders.slice(at + 1)) {
        // Two services of one source may be one program; so may those of two that both know both.
        const isKnown = (source: SourceName, name: string) =>
          holders.some((c) => c.source === source && c.name === name)
        const isShared = isKnown(b.source, a.name) || isKnown(a.source, b.name)
        if (a.source === b.source || a.name === b.name || isShared) continue
        const key = JSON.stringify([a.source, a.name, b.source, b.name])
        const pair = pairs.get(key) ?? { names: [a, b], instances: new Map() }
        pairs.set(key, pair)
        pair.instances.set(place, a.instance)
      }
    }
  }
  return [...pairs.values()].map(({ names: [a, b], instances }) => ({
    kind: 'two-names',
    severity: 'warning',
    service: shownName(a.name),
    instances: [...instances.values()].map((each) => foundInstance(each)),
    where: shownName(a.name),
    what: `${count(instances.size, 'endpoint')} of it in ${a.source} ${instances.size === 1 ? 'is' : 'are'} called ${JSON.stringify(shownName(b.name))} in ${b.source}`,
    why: 'to the proxy they are two services: neither has the endpoints that only the other names, and what is ejected or drained in one goes on in the other. A move from one source to the other would leave clients of the old name with 404',
    cure: 'register it under one name in both; if two programs do share the port, there is nothing to mend',
  }))
}

interface Named {
  readonly source: SourceName
  readonly name: string
}
