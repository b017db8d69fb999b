/** Which catalogs are there? Arbitrary valid ones, and large ones, for the tests of the snapshot. */

import fc from 'fast-check'
import { type Catalog, type CatalogService, compareEndpoints, endpointId } from '../../src/balancer/endpoint.ts'
import { normalAddress } from '../../src/discovery/address.ts'
import { isNameable } from '../../src/discovery/names.ts'
import { compareText, printable } from '../../src/discovery/untrusted-text.ts'

const text = fc.string({ unit: 'binary', maxLength: 40 }).map((each) => printable(each, 128))
const name = fc
  .oneof(
    fc.constantFrom('__proto__', 'constructor', 'toString', '10', '9', 'quotes-service', 'Ä b'),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  )
  .filter(isNameable)
const address = fc
  .oneof(fc.ipV4(), fc.ipV6(), fc.domain())
  .map(normalAddress)
  .filter((each) => each !== null)
const port = fc.integer({ min: 1, max: 65_535 })
const endpoint = fc
  .record({ instance: text, address, port, weight: port })
  .map((each) => ({ id: endpointId(each.address, each.port), ...each }))
const absentee = fc.record(
  { instance: text, address: text, reason: text, agentLost: fc.constant(true as const) },
  { requiredKeys: ['instance', 'address', 'reason'] },
)
const service: fc.Arbitrary<CatalogService> = fc.record({
  endpoints: fc
    .uniqueArray(endpoint, { selector: ({ id }) => id, maxLength: 4 })
    .map((list) => list.sort(compareEndpoints)),
  absent: fc.array(absentee, { maxLength: 3 }),
})

/** Any catalog that discovery could make. */
export const anyCatalog: fc.Arbitrary<Catalog> = fc
  .uniqueArray(fc.tuple(name, service), { selector: ([each]) => each, maxLength: 5 })
  .map((list) => ({ services: new Map(list.sort(([a], [b]) => compareText(a, b))) }))

/** `services` services of three endpoints each. */
export function largeCatalog(services: number): Catalog {
  const named = Array.from({ length: services }, (_, index): [string, CatalogService] => {
    const endpoints = [8080, 8081, 8082].map((each) => {
      const place = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`
      return { id: `${place}:${each}`, instance: `service-${index}-${each}`, address: place, port: each, weight: 1 }
    })
    return [`service-${String(index).padStart(5, '0')}`, { endpoints, absent: [] }]
  })
  return { services: new Map(named) }
}

/** One service, `quotes`, at these ports of 10.0.0.1. */
export function catalogOf(...ports: readonly number[]): Catalog {
  const endpoints = ports.map((each) => {
    return { id: `10.0.0.1:${each}`, instance: `quotes-${each}`, address: '10.0.0.1', port: each, weight: 1 }
  })
  const absent = [{ instance: 'quotes-9', address: '10.0.0.9:80', reason: 'in maintenance mode' }]
  return { services: new Map([['quotes', { endpoints, absent }]]) }
}
