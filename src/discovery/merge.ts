/**
 * What do several sources say together? Pure: each one's catalog in, one catalog out, and what a catalog has of one.
 *
 * An address and port that several sources name is one endpoint, which remembers them all; the first of them, in the order
 * of the config, has the word on its weight and its instance. Who says that a place is there outweighs who says that it is
 * out: an instance that moves is registered in the new registry while the old one's checks of it already fail.
 */

import {
  type AbsentInstance,
  type Catalog,
  type CatalogService,
  compareEndpoints,
  type Endpoint,
  type EndpointId,
} from '../balancer/endpoint.ts'
import { compareText } from './untrusted-text.ts'

/** What one source says of one service. */
export interface Part {
  readonly source: string
  readonly service: CatalogService
}

/** @param parts one or more, of different sources, the one with the first word first */
export function mergeService(parts: readonly Part[]): CatalogService {
  const endpoints = new Map<EndpointId, Endpoint>()
  for (const { source, service } of parts) {
    for (const said of service.endpoints) {
      const known = endpoints.get(said.id)
      const { doubted, ...first } = known ?? said
      const sources = [...(known?.sources ?? []), source]
      // Whom one source is sure of is not in doubt.
      const isDoubted = doubted === true && said.doubted === true
      const claims = first.claims ?? said.claims
      endpoints.set(said.id, {
        ...{ ...first, sources },
        ...(isDoubted ? { doubted } : {}),
        ...(claims === undefined ? {} : { claims }),
      })
    }
  }
  const absent = new Map<string, AbsentInstance>()
  for (const { source, service } of parts) {
    for (const said of service.absent) {
      // Another one's word; the same source's is about a second instance there.
      const place = endpoints.get(said.address)
      if (place?.sources?.includes(source) === false) {
        // It is in by another one's word, and so it is on the routes that only this one knows of.
        if (said.claims !== undefined) endpoints.set(place.id, { claims: said.claims, ...place })
        continue
      }
      const key = JSON.stringify([said.instance, said.address, said.reason, said.agentLost, said.unread])
      const known = absent.get(key)
      absent.set(key, { ...known, ...said, sources: [...(known?.sources ?? []), source] })
    }
  }
  return { endpoints: [...endpoints.values()].sort(compareEndpoints), absent: [...absent.values()] }
}

export interface Merger {
  /** @param catalogs by source, in the order of their word; services come out ordered by name */
  merge(catalogs: ReadonlyMap<string, Catalog>): Catalog
}

/** Merges again and again: a service of which nobody says anything else is the same object as the last time. */
export function createMerger(): Merger {
  let before = new Map<string, { readonly parts: readonly Part[]; readonly merged: CatalogService }>()
  return {
    merge(catalogs) {
      const parts = new Map<string, Part[]>()
      for (const [source, { services }] of catalogs) {
        for (const [name, service] of services) {
          const known = parts.get(name)
          if (known === undefined) parts.set(name, [{ source, service }])
          else known.push({ source, service })
        }
      }
      const names = catalogs.size === 1 ? [...parts.keys()] : [...parts.keys()].sort(compareText)
      const after: typeof before = new Map()
      const services = new Map<string, CatalogService>()
      for (const name of names) {
        const own = parts.get(name) as Part[]
        const known = before.get(name)
        const merged = known !== undefined && sameParts(known.parts, own) ? known.merged : mergeService(own)
        after.set(name, { parts: own, merged })
        services.set(name, merged)
      }
      before = after
      return { services }
    },
  }
}

function sameParts(a: readonly Part[], b: readonly Part[]): boolean {
  return (
    a.length === b.length && a.every(({ source, service }, at) => b[at]?.source === source && b[at].service === service)
  )
}

/**
 * What a merged catalog has of one source, as that one would say it; null: nothing at all. What names no source, as in a
 * snapshot of an earlier version, is anybody's.
 */
export function partOf({ services }: Catalog, source: string): Catalog | null {
  const isOurs = ({ sources }: Endpoint | AbsentInstance) => sources?.includes(source) ?? true
  const ours = new Map<string, CatalogService>()
  for (const [name, { endpoints, absent }] of services) {
    const ownEndpoints = endpoints.filter(isOurs).map(({ doubted, sources, ...said }): Endpoint => said)
    const ownAbsent = absent.filter(isOurs).map(({ sources, ...said }): AbsentInstance => said)
    if (ownEndpoints.length + ownAbsent.length > 0) ours.set(name, { endpoints: ownEndpoints, absent: ownAbsent })
  }
  return ours.size === 0 ? null : { services: ours }
}
