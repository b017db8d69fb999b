import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Catalog, CatalogService, Endpoint } from '../../src/balancer/endpoint.ts'
import { createMerger, mergeService, partOf } from '../../src/discovery/merge.ts'
import { anyCatalog } from './catalogs.ts'

function at(port: number, more: Partial<Endpoint> = {}): Endpoint {
  return { id: `10.0.0.1:${port}`, instance: `web-${port}`, address: '10.0.0.1', port, weight: 1, ...more }
}

const service = (endpoints: readonly Endpoint[], absent: CatalogService['absent'] = []): CatalogService => {
  return { endpoints, absent }
}

const out = (port: number, reason: string) => ({ instance: `web-${port}`, address: `10.0.0.1:${port}`, reason })

const both = (consul: CatalogService, eureka: CatalogService) =>
  mergeService([
    { source: 'consul', service: consul },
    { source: 'eureka', service: eureka },
  ])

describe('one service of two sources', () => {
  test('has each place once, with everybody who names it', () => {
    const { endpoints } = both(service([at(1), at(3)]), service([at(1), at(2)]))
    expect(endpoints.map(({ port, sources }) => [port, sources])).toEqual([
      [1, ['consul', 'eureka']],
      [2, ['eureka']],
      [3, ['consul']],
    ])
  })

  test('takes the weight and the instance of the first that names a place', () => {
    const { endpoints } = both(
      service([at(1, { weight: 3, instance: 'a' })]),
      service([at(1, { weight: 9, instance: 'b' }), at(2, { weight: 7 })]),
    )
    expect(endpoints.map(({ weight, instance }) => [weight, instance])).toEqual([
      [3, 'a'],
      [7, 'web-2'],
    ])
  })

  test('has the routes that any source claims for a place', () => {
    const claims = [{ host: '', path: '/a', strip: '', prepend: '', share: null, refused: null }]
    const { endpoints } = both(service([at(1), at(2, { claims })]), service([at(1, { claims }), at(2)]))
    expect(endpoints.map((each) => each.claims)).toEqual([claims, claims])
  })

  test('has the routes too that are claimed by who says that the place, or the instance, is out', () => {
    const claims = [{ host: '', path: '/a', strip: '', prepend: '', share: null, refused: null }]
    const claimed = (port: number) => ({ ...out(port, 'down'), claims })
    const { endpoints, absent } = both(service([], [claimed(1), claimed(2)]), service([at(1)], [out(2, 'down')]))
    expect(endpoints).toEqual([{ ...at(1), claims, sources: ['eureka'] }])
    expect(absent).toEqual([{ ...claimed(2), sources: ['consul', 'eureka'] }])
  })

  test('doubts a place only if all who name it do', () => {
    const doubted = true as const
    const { endpoints } = both(
      service([at(1, { doubted }), at(2, { doubted }), at(3)]),
      service([at(1), at(2, { doubted }), at(3, { doubted }), at(4, { doubted })]),
    )
    expect(endpoints.map(({ port, doubted: isDoubted }) => [port, isDoubted])).toEqual([
      [1, undefined],
      [2, true],
      [3, undefined],
      [4, true],
    ])
  })

  test('keeps a place in that one says is out and another says is in', () => {
    const { endpoints, absent } = both(service([], [out(1, 'its status is DOWN'), out(2, 'down')]), service([at(1)]))
    expect(endpoints.map(({ port }) => port)).toEqual([1])
    expect(absent).toEqual([{ ...out(2, 'down'), sources: ['consul'] }])
  })

  test('still tells of a second instance at a place that the same source names', () => {
    const twin = { ...out(1, 'same address and port as "web-1"'), instance: 'web-0' }
    expect(both(service([at(1)], [twin]), service([])).absent).toEqual([{ ...twin, sources: ['consul'] }])
  })

  test('tells once what both say of an instance that is out', () => {
    expect(both(service([], [out(1, 'down')]), service([], [out(1, 'down'), out(1, 'gone')])).absent).toEqual([
      { ...out(1, 'down'), sources: ['consul', 'eureka'] },
      { ...out(1, 'gone'), sources: ['eureka'] },
    ])
  })
})

describe('whole catalogs', () => {
  const catalogs = fc.array(anyCatalog, { minLength: 1, maxLength: 4 })
  const named = (list: readonly Catalog[]) => new Map(list.map((catalog, index) => [`source-${index}`, catalog]))

  test('what each source says is in the whole, and nothing else is', () => {
    fc.assert(
      fc.property(catalogs, (list) => {
        const merged = createMerger().merge(named(list))
        const places = (all: readonly Catalog[]) =>
          new Set(
            all.flatMap(({ services }) =>
              [...services].flatMap(([name, { endpoints }]) => endpoints.map(({ id }) => `${name} ${id}`)),
            ),
          )
        expect(places([merged])).toEqual(places(list))
        expect([...merged.services.keys()].sort()).toEqual(
          [...new Set(list.flatMap(({ services }) => [...services.keys()]))].sort(),
        )
      }),
    )
  })

  test('the part of a source has the places that it named, and no other source can take them away', () => {
    fc.assert(
      fc.property(catalogs, fc.nat(), anyCatalog, (list, pick, other) => {
        const index = pick % list.length
        const own = list[index] as Catalog
        const idsOf = (catalog: Catalog | null) =>
          new Map(
            [...(catalog?.services ?? [])].flatMap(([name, { endpoints }]) =>
              endpoints.length === 0 ? [] : [[name, endpoints.map(({ id }) => id)]],
            ),
          )
        const merger = createMerger()
        merger.merge(named(list))
        const changed = list.map((catalog, at) => (at === index ? catalog : other))
        expect(idsOf(partOf(merger.merge(named(changed)), `source-${index}`))).toEqual(idsOf(own))
      }),
    )
  })

  test('a service of which nobody says anything new is the same object', () => {
    fc.assert(
      fc.property(anyCatalog, anyCatalog, anyCatalog, (a, b, c) => {
        const merger = createMerger()
        const before = merger.merge(named([a, b]))
        const after = merger.merge(named([a, c]))
        for (const name of a.services.keys()) {
          if (!b.services.has(name) && !c.services.has(name))
            expect(after.services.get(name)).toBe(before.services.get(name))
        }
      }),
    )
  })
})

test('what names no source is anybody’s', () => {
  const catalog = { services: new Map([['web', service([at(1), at(2, { sources: ['etcd'] })], [out(3, 'down')])]]) }
  expect(partOf(catalog, 'consul')?.services.get('web')).toEqual(service([at(1)], [out(3, 'down')]))
  expect(partOf(catalog, 'etcd')?.services.get('web')?.endpoints).toEqual([at(1), at(2)])
  expect(partOf({ services: new Map([['web', service([at(2, { sources: ['etcd'] })])]]) }, 'consul')).toBeNull()
})
