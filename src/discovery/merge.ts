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
      const all = [...catalogs]
      const [only, second] = all
      const names =
        only !== undefined && second === undefined
          ? only[1].services.keys()
          : [...new Set(all.flatMap(([, { services }]) => [...services.keys()]))].sort(compareText)
      const after: typeof before = new Map()
      const services = new Map<string, CatalogService>()
      for (const name of names) {
        let record = before.get(name)
        if (record === undefined || !isOf(record.parts, name, all)) {
          const parts = all.flatMap(([source, catalog]): Part[] => {
            const service = catalog.services.get(name)
            return service === undefined ? [] : [{ source, service }]
          })
          record = { parts, merged: mergeService(parts) }
        }
        after.set(name, record)
        services.set(name, record.merged)
      }
      before = after
      return { services }
    },
  }
}

/** Are these the parts of the service of this name? Asked of each service for each news: it allocates nothing. */
function isOf(parts: readonly Part[], name: string, catalogs: readonly (readonly [string, Catalog])[]): boolean {
  let at = 0
  for (const [source, { services }] of catalogs) {
    const service = services.get(name)
    if (service === undefined) continue
    const part = parts[at]
    if (part === undefined || part.source !== source || part.service !== service) return false
    at += 1
  }
  return at === parts.length
}

/**
 * What a merged catalog has of one source, as that one would say it; null: nothing at all. What names no source, as in a
 * snapshot of an earlier version, is anybody's; what is doubted no source has named of late.
 */
export function partOf({ services }: Catalog, source: string): Catalog | null {
  const isOurs = ({ sources }: Endpoint | AbsentInstance) => sources?.includes(source) ?? true
  const ours = new Map<string, CatalogService>()
  for (const [name, { endpoints, absent }] of services) {
    const named = endpoints.filter((each) => each.doubted !== true && isOurs(each))
    const ownEndpoints = named.map(({ sources, ...said }): Endpoint => said)
    const ownAbsent = absent.filter(isOurs).map(({ sources, ...said }): AbsentInstance => said)
    if (ownEndpoints.length + ownAbsent.length > 0) ours.set(name, { endpoints: ownEndpoints, absent: ownAbsent })
  }
  return ours.size === 0 ? null : { services: ours }
}
