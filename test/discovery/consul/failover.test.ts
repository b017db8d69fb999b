import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Catalog, CatalogService } from '../../../src/balancer/endpoint.ts'
import { mergeFailover, planFailover, reachedDatacenters } from '../../../src/discovery/consul/failover.ts'
import { matchesAny } from '../../../src/discovery/glob.ts'
import { type Brief, brief, briefCatalogs, catalogOf, serviceOf } from './failover-catalogs.ts'

const order = new Map([['web', ['dc2', 'dc3']]])
const standbysOf = (standbys: Readonly<Record<string, Brief>>) =>
  new Map(Object.entries(standbys).map(([datacenter, catalog]) => [datacenter, catalogOf(catalog)]))
const standsBy = (address: string, datacenter: string) => `${address}: stands by in datacenter "${datacenter}"`

describe('mergeFailover', () => {
  test.each<[string, Brief, Readonly<Record<string, Brief>>, Readonly<Record<string, readonly string[]>>]>([
    ['a service is served at home', { web: ['a:1'] }, {}, { web: ['a:1'] }],
    ['a service without a list is left alone', { api: [] }, { dc2: { api: ['b:1'] } }, { api: [] }],
    [
      'while home has an endpoint, the others stand by',
      { web: ['a:1', 'a:2 critical'] },
      { dc2: { web: ['b:1', 'b:2 critical'] }, dc3: { web: ['c:1'] } },
      { web: ['a:1', 'a:2: critical', standsBy('b:1', 'dc2'), standsBy('c:1', 'dc3')] },
    ],
    [
      'without an endpoint at home, the first of the list serves, and the absentees of home stay',
      { web: ['a:1 critical'] },
      { dc2: { web: ['b:1', 'b:2'] }, dc3: { web: ['c:1'] } },
      { web: ['b:1', 'b:2', 'a:1: critical', standsBy('c:1', 'dc3')] },
    ],
    [
      'a service that home does not list is served by the first of the list',
      { api: ['a:9'] },
      { dc2: { web: ['b:1'] } },
      { api: ['a:9'], web: ['b:1'] },
    ],
    [
      'a datacenter without an endpoint is passed over, and why is told',
      { web: [] },
      { dc2: { web: ['b:1 critical'] }, dc3: { web: ['c:1'] } },
      { web: ['c:1', 'b:1: in datacenter "dc2": critical'] },
    ],
    ['a datacenter that has not answered is passed over', { web: [] }, { dc3: { web: ['c:1'] } }, { web: ['c:1'] }],
    [
      'no datacenter has an endpoint: the service is known, and empty',
      { web: ['a:1 critical'] },
      { dc2: { web: ['b:1 critical'] }, dc3: {} },
      { web: ['a:1: critical', 'b:1: in datacenter "dc2": critical'] },
    ],
    [
      'home does not list it, and the others have no endpoint: it is known all the same',
      {},
      { dc2: { web: ['b:1 critical'] } },
      { web: ['b:1: in datacenter "dc2": critical'] },
    ],
    ['nobody lists it: it is not known', {}, { dc2: { api: ['b:1'] } }, {}],
    ['a datacenter that the list does not name does not serve', { web: [] }, { dc4: { web: ['d:1'] } }, { web: [] }],
    [
      'the same address in two datacenters is in rotation and nothing else',
      { web: ['a:1'] },
      { dc2: { web: ['a:1', 'b:1'] } },
      { web: ['a:1', standsBy('b:1', 'dc2')] },
    ],
  ])('%s', (_, primary, standbys, expected) => {
    expect(brief(mergeFailover(catalogOf(primary), standbysOf(standbys), order))).toEqual(expected)
  })

  test('the node of an absentee of another datacenter is as lost there', () => {
    const lost: CatalogService = {
      endpoints: [],
      absent: [{ instance: 'b', address: 'b:1', reason: 'its agent is not heard of', agentLost: true }],
    }
    const merged = mergeFailover(catalogOf({}), new Map([['dc2', { services: new Map([['web', lost]]) }]]), order)
    expect(merged.services.get('web')?.absent).toEqual([
      { ...lost.absent[0], reason: 'in datacenter "dc2": its agent is not heard of' },
    ])
  })

  test('services stay in the order of their names', () => {
    const merged = mergeFailover(catalogOf({ api: [], zoo: [] }), standbysOf({ dc2: { web: ['b:1'] } }), order)
    expect([...merged.services.keys()]).toEqual(['api', 'web', 'zoo'])
  })

  const orders = fc.dictionary(fc.constantFrom('web', 'api'), fc.array(fc.constantFrom('dc2', 'dc3'), { maxLength: 3 }))
  const worlds = fc.tuple(briefCatalogs, fc.dictionary(fc.constantFrom('dc2', 'dc3'), briefCatalogs), orders)

  test('one datacenter serves, the first that can; whatever else is listed anywhere has a reason', () => {
    fc.assert(
      fc.property(worlds, ([primary, others, lists]) => {
        const [home, standbys, named] = [catalogOf(primary), standbysOf(others), new Map(Object.entries(lists))]
        const merged = mergeFailover(home, standbys, named)
        for (const name of ['web', 'api', 'other']) {
          const catalogs = [home, ...(named.get(name) ?? []).map((datacenter) => standbys.get(datacenter))]
          const places = catalogs.flatMap((catalog) => catalog?.services.get(name) ?? [])
          const service = merged.services.get(name)
          const endpoints = places.find((place) => place.endpoints.length > 0)?.endpoints ?? []
          expect(service?.endpoints).toEqual(places.length === 0 ? undefined : endpoints)
          const accounted = [...endpoints.map(({ id }) => id), ...(service?.absent ?? []).map(({ address }) => address)]
          for (const { id } of places.flatMap((place) => place.endpoints)) expect(accounted).toContain(id)
        }
      }),
      { numRuns: 500 },
    )
  })
})

test.each<[string, Brief, Readonly<Record<string, Brief>>, readonly string[]]>([
  ['none while home serves', { web: ['a:1'] }, { dc2: { web: ['b:1'] } }, []],
  ['those up to the one that serves', { web: [] }, { dc2: { web: ['b:1'] }, dc3: { web: ['c:1'] } }, ['dc2']],
  ['all when none does', {}, {}, ['dc2', 'dc3']],
])('a service depends on the standbys: %s', (_, primary, standbys, expected) => {
  expect(reachedDatacenters('web', catalogOf(primary), standbysOf(standbys), order)).toEqual(expected)
  expect(reachedDatacenters('api', catalogOf(primary), standbysOf(standbys), order)).toEqual([])
})

describe('planFailover', () => {
  const all = { include: ['*'], exclude: ['consul'] }

  test('each datacenter follows the services that name it, and only those', () => {
    const wanted = new Map([
      ['web', ['dc2', 'dc3', 'dc2']],
      ['api', ['dc3']],
      ['odd*', ['dc3']],
      ['plain', []],
    ])
    const { order, include } = planFailover(wanted, all, null)
    expect(order).toEqual(
      new Map([
        ['web', ['dc2', 'dc3']],
        ['api', ['dc3']],
        ['odd*', ['dc3']],
      ]),
    )
    expect(include).toEqual(
      new Map([
        ['dc2', ['web']],
        ['dc3', ['web', 'api', 'odd\\*']],
      ]),
    )
    const names = ['web', 'api', 'odd*', 'odder', 'plain']
    expect(names.filter((name) => matchesAny(include.get('dc3') ?? [], name))).toEqual(['web', 'api', 'odd*'])
  })

  test.each([
    ['a service that is not included', { include: ['api'], exclude: [] }],
    ['a service that is excluded', { include: ['*'], exclude: ['w*'] }],
  ])('%s has no standby', (_, rules) => {
    const plan = planFailover(new Map([['web', ['dc2']]]), rules, null)
    expect(plan).toEqual({ order: new Map(), include: new Map() })
  })

  test('the first datacenter is nobody’s standby', () => {
    const plan = planFailover(
      new Map([
        ['web', ['dc1', 'dc2']],
        ['api', ['dc1']],
      ]),
      all,
      'dc1',
    )
    expect(plan).toEqual({ order: new Map([['web', ['dc2']]]), include: new Map([['dc2', ['web']]]) })
  })
})

test('the catalogs of these tests are written and read alike', () => {
  const written: Brief = { web: ['a:1', 'a:2 critical'] }
  expect(brief(catalogOf(written))).toEqual({ web: ['a:1', 'a:2: critical'] })
  expect(serviceOf(['a:1']).endpoints[0]).toMatchObject({ id: 'a:1', address: 'a', port: 1 })
  const empty: Catalog = { services: new Map() }
  expect(catalogOf({})).toEqual(empty)
})
