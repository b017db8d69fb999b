/** Who serves a route? */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AbsentInstance, Catalog, CatalogService, Endpoint, RouteClaim } from '../../src/balancer/endpoint.ts'
import { MAX_ROUTES, weightsOf, withRoutes } from '../../src/proxy/route-catalog.ts'

function claim(place: string, more: Partial<RouteClaim> = {}): RouteClaim {
  const slash = place.indexOf('/')
  const usual = { strip: '', prepend: '', share: null, refused: null }
  return { host: place.slice(0, slash), path: place.slice(slash), ...usual, ...more }
}

function endpoint(name: string, claims: readonly RouteClaim[] = [], more: Partial<Endpoint> = {}): Endpoint {
  return { id: `${name}:1`, instance: name, address: name, port: 1, weight: 1, claims, ...more }
}

function catalog(services: Record<string, readonly Endpoint[] | CatalogService>): Catalog {
  return {
    services: new Map(
      Object.entries(services).map(([name, of]) => [name, 'endpoints' in of ? of : { endpoints: of, absent: [] }]),
    ),
  }
}

function out(name: string, claims: readonly RouteClaim[], reason = 'in maintenance mode'): AbsentInstance {
  return { instance: name, address: `${name}:1`, reason, claims }
}

/** The routes, each with `id*weight` of its endpoints and its absentees' reasons. */
function routes(of: Catalog) {
  const { catalog: made, routes: list } = withRoutes(of)
  return Object.fromEntries(
    list.map(({ name }) => {
      const { endpoints = [], absent = [] } = made.services.get(name) ?? {}
      return [name, [...endpoints.map(({ id, weight }) => `${id}*${weight}`), ...absent.map(({ reason }) => reason)]]
    }),
  )
}

test('a route has exactly the instances that claim it, of whichever services', () => {
  const of = catalog({
    one: [endpoint('a', [claim('/x'), claim('h/y')]), endpoint('b')],
    two: [endpoint('c', [claim('/x')], { weight: 3 })],
  })
  expect(routes(of)).toEqual({ '/x': ['a:1*1', 'c:1*3'], 'h/y': ['a:1*1'] })
  const { catalog: made, owners } = withRoutes(of)
  expect([...made.services.keys()]).toEqual(['one', 'two', '/x', 'h/y'])
  expect(made.services.get('one')).toBe(of.services.get('one'))
  expect([...owners]).toEqual([['h/y', 'one']])
})

test('without claims it is the same catalog', () => {
  const of = catalog({ one: [endpoint('a')] })
  expect(withRoutes(of)).toEqual({ catalog: of, routes: [], owners: new Map(), leftOut: 0 })
  expect(withRoutes(of).catalog).toBe(of)
})

test('one place in two services is one endpoint', () => {
  expect(routes(catalog({ one: [endpoint('a', [claim('/x')])], two: [endpoint('a', [claim('/x')])] }))).toEqual({
    '/x': ['a:1*1'],
  })
})

test('whose presence is in doubt is so on its routes', () => {
  const of = catalog({ one: [endpoint('a', [claim('/x')], { doubted: true })] })
  expect(withRoutes(of).catalog.services.get('/x')?.endpoints).toEqual([
    { id: 'a:1', instance: 'a', address: 'a', port: 1, weight: 1, doubted: true },
  ])
})

describe('a route stays and is known to have nobody', () => {
  test('when all who claim it are out of rotation', () => {
    const of = catalog({ one: { endpoints: [endpoint('a')], absent: [out('b', [claim('/x')])] } })
    expect(routes(of)).toEqual({ '/x': ['in maintenance mode'] })
  })

  test('when what they ask for cannot be done', () => {
    const of = catalog({ one: [endpoint('a', [claim('/x', { refused: 'no' })]), endpoint('b', [claim('/y')])] })
    expect(routes(of)).toEqual({ '/x': ['no'], '/y': ['b:1*1'] })
  })
})

test('an instance of another service at the same place is no absentee', () => {
  const of = catalog({
    one: [endpoint('a', [claim('/x')])],
    two: { endpoints: [], absent: [out('a', [claim('/x')])] },
  })
  expect(routes(of)).toEqual({ '/x': ['a:1*1'] })
})

test('endpoints that want the path otherwise are told apart, others are not', () => {
  const made = withRoutes(
    catalog({
      one: [
        endpoint('a', [claim('/x', { strip: '/x' }), claim('/y', { strip: '/y' })]),
        endpoint('b', [claim('/x'), claim('/y', { strip: '/y' })]),
        endpoint('c', [claim('/x', { strip: '/x' })]),
      ],
    }),
  )
  const [x, y] = made.routes
  const [cut, asItIs] = [
    { strip: '/x', prepend: '' },
    { strip: '', prepend: '' },
  ]
  expect(x?.ways).toEqual([cut, asItIs])
  expect(Object.fromEntries(x?.wayOf ?? [])).toEqual({ 'a:1': cut, 'b:1': asItIs, 'c:1': cut })
  expect(y).toMatchObject({ ways: [{ strip: '/y', prepend: '' }], wayOf: null })
})

test('more ways than any deployment has: whoever comes later is out, with the reason', () => {
  const endpoints = Array.from({ length: 18 }, (_, at) => endpoint(`e${at}`, [claim('/x', { strip: `/${at}` })]))
  const made = withRoutes(catalog({ one: endpoints }))
  expect(made.routes[0]?.ways).toHaveLength(16)
  expect(made.catalog.services.get('/x')?.endpoints).toHaveLength(16)
  expect(made.catalog.services.get('/x')?.absent.map(({ reason }) => reason)).toEqual(
    Array.from({ length: 2 }, () => 'its tag has other options than those of 16 others'),
  )
})

test('more routes than there may be: the first come, and the others are counted', () => {
  const claims = (from: number) => Array.from({ length: 60 }, (_, at) => claim(`/${from + at}`))
  const endpoints = Array.from({ length: 200 }, (_, at) => endpoint(`e${at}`, claims(at * 60)))
  const { routes: list, leftOut } = withRoutes(catalog({ one: endpoints }))
  expect([list.length, leftOut]).toEqual([MAX_ROUTES, 2_000])
})

describe('fixed shares, by the rule of fabio', () => {
  test.each([
    ['nobody has one: the weights of the catalog hold', [null, null], null],
    ['one has 5 %, the other the rest', [0.05, null], [1, 19]],
    ['one has 10 %, two share the rest', [0.1, null, null], [2, 9, 9]],
    ['all have one, together less than the whole', [0.1, 0.3], [1, 3]],
    ['together more than the whole', [1, 3], [1, 3]],
    ['the whole and nothing', [1, null], [1, 0]],
    ['nothing is left, though the sum is not exact', [0.9, 0.1, null], [9, 1, 0]],
    ['however little it is, it is something', [0.000_001, null], [1, 10_000]],
    ['however much it is', [1e6, 1e6], [1, 1]],
  ])('%s: %j', (_, shares, weights) => {
    expect(weightsOf(shares)).toEqual(weights)
  })

  test('who gets nothing is out, with the reason', () => {
    const of = catalog({ one: [endpoint('a', [claim('/x', { share: 1 })]), endpoint('b', [claim('/x')])] })
    expect(routes(of)).toEqual({ '/x': ['a:1*1', 'the weight= of the others leaves it nothing'] })
  })

  test('whatever they are, weights are whole numbers that a pool can have, and not all nothing', () => {
    const share = fc.option(fc.double({ min: 1e-12, max: 1e6, noNaN: true }), { nil: null })
    fc.assert(
      fc.property(fc.array(share, { minLength: 1, maxLength: 12 }), (shares) => {
        const weights = weightsOf(shares)
        expect(weights === null).toBe(shares.every((each) => each === null))
        for (const weight of weights ?? []) {
          expect(Number.isInteger(weight) && weight >= 0 && weight <= 65_535).toBe(true)
        }
        expect(Math.max(...(weights ?? [1]))).toBeGreaterThan(0)
        for (const [at, share] of shares.entries()) if (share !== null) expect(weights?.[at]).toBeGreaterThan(0)
      }),
    )
  })
})
