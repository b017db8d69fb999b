/** Catalogs in few words, for the tests of failover. */

import fc from 'fast-check'
import { type Catalog, type CatalogService, compareEndpoints, endpointId } from '../../../src/balancer/endpoint.ts'

/** Service → `address:port` of an endpoint, or `address:port reason` of an absentee. */
export type Brief = Readonly<Record<string, readonly string[]>>

export function serviceOf(entries: readonly string[]): CatalogService {
  const places = entries.map((entry) => {
    const [, address = '', port = '', reason = ''] = /^(\w+):(\d+) ?(.*)$/.exec(entry) ?? []
    return { id: endpointId(address, Number(port)), address, port: Number(port), reason }
  })
  const endpoints = places
    .filter(({ reason }) => reason === '')
    .map(({ id, address, port }) => ({ id, instance: id, address, port, weight: 1 }))
  const absent = places
    .filter(({ reason }) => reason !== '')
    .map(({ id, reason }) => ({ instance: id, address: id, reason }))
  return { endpoints: endpoints.sort(compareEndpoints), absent }
}

export function catalogOf(services: Brief): Catalog {
  return { services: new Map(Object.entries(services).map(([name, entries]) => [name, serviceOf(entries)])) }
}

/** Service → the id of each endpoint, then `address: reason` of each absentee. */
export function brief(catalog: Catalog): Record<string, string[]> {
  const entries = [...catalog.services].map(([name, { endpoints, absent }]) => [
    name,
    [...endpoints.map(({ id }) => id), ...absent.map(({ address, reason }) => `${address}: ${reason}`)],
  ])
  return Object.fromEntries(entries)
}

/** Small catalogs that often agree with each other. */
export const briefCatalogs: fc.Arbitrary<Brief> = fc.dictionary(
  fc.constantFrom('web', 'api', 'other'),
  fc.uniqueArray(fc.constantFrom('a:1', 'a:2', 'b:1', 'a:3 critical'), { maxLength: 3 }),
)
