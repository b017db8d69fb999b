/** What is known of the services behind routes, while the catalog and the config change? */

import { expect, test } from 'vitest'
import type { HandResult } from '../../src/balancer/balancer.ts'
import type { Catalog, RouteClaim } from '../../src/balancer/endpoint.ts'
import type { Vitals } from '../../src/balancer/view.ts'
import { createTagRoutes } from '../../src/proxy/tag-routes.ts'

const claim = (path: string): RouteClaim => ({ host: '', path, strip: '', prepend: '', share: null, refused: null })

/** One endpoint `a:1` of service `one`, with claims on these paths. */
function catalogOf(...paths: string[]): Catalog {
  const endpoint = { id: 'a:1', instance: 'a', address: 'a', port: 1, weight: 1, claims: paths.map(claim) }
  return { services: new Map([['one', { endpoints: [endpoint], absent: [] }]]) }
}

function world() {
  const state = { isOn: true, vitals: new Map<string, Vitals>(), traffic: new Map<string, number>() }
  const leftOut: number[] = []
  const said: string[] = []
  const say = (words: string): HandResult => {
    said.push(words)
    return words.includes('/x') ? 'unchanged' : 'done'
  }
  const routes = createTagRoutes({
    isOn: () => state.isOn,
    balancer: {
      vitals: (service) => state.vitals.get(service) ?? null,
      traffic: () => state.traffic,
      drain: (service, endpoint, by) => say(`${by} drains ${endpoint} of ${service}`),
      undrain: (service, endpoint, by) => say(`${by} undrains ${endpoint} of ${service}`),
      eject: (service, endpoint, by) => say(`${by} ejects ${endpoint} of ${service}`),
      restore: (service, endpoint) => say(`${endpoint} of ${service} is restored`),
    },
    onLeftOut: (count) => void leftOut.push(count),
  })
  return { state, routes, leftOut, said }
}

test('turned off there is no route, at once, and the catalog passes as it is', () => {
  const { state, routes } = world()
  const catalog = catalogOf('/x')
  expect([...routes.take(catalog).services.keys()]).toEqual(['one', '/x'])
  expect(routes.table()?.find('', '/x')?.name).toBe('/x')
  expect(routes.settingsOf('/x')).toBe('one')
  state.isOn = false
  expect(routes.table()).toBeNull()
  expect(routes.take(catalog)).toBe(catalog)
  expect(routes.settingsOf('/x')).toBe('/x')
  state.isOn = true
  expect(routes.take(catalogOf()).services.size).toBe(1)
  expect(routes.table()).toBeNull()
})

test('what requests on a route have shown counts for the endpoint of its service', () => {
  const { state, routes } = world()
  const good: Vitals = { goodAnswers: 2, faultsInRow: 0, state: 'healthy' }
  state.vitals = new Map([
    ['one', good],
    ['/x', { ...good, goodAnswers: 5 }],
    ['/y', { goodAnswers: 1, faultsInRow: 3, state: 'ejected' }],
  ])
  routes.take(catalogOf('/x', '/z'))
  expect(routes.vitals('one', 'a:1')).toEqual({ goodAnswers: 7, faultsInRow: 0, state: 'healthy' })
  routes.take(catalogOf('/x', '/y'))
  expect(routes.vitals('one', 'a:1')).toEqual({ goodAnswers: 8, faultsInRow: 3, state: 'ejected' })
  expect(routes.vitals('/x', 'a:1')).toEqual({ ...good, goodAnswers: 5 })
  expect(routes.vitals('two', 'a:1')).toBeNull()
})

test('requests on a route count for the services behind it: those with the most are watched the closest', () => {
  const { state, routes } = world()
  state.traffic = new Map([
    ['one', 1],
    ['/x', 10],
    ['/y', 100],
  ])
  expect(routes.traffic()).toBe(state.traffic)
  routes.take(catalogOf('/x', '/y', '/z'))
  expect(routes.traffic().get('one')).toBe(111)
})

test('what a person says of an endpoint of a service is said of it on its routes, too', () => {
  const { routes, said } = world()
  routes.take(catalogOf('/x', '/y'))
  expect(routes.hands.drain('one', 'a:1', 'me')).toBe('done')
  expect(said.splice(0)).toEqual(['me drains a:1 of one', 'me drains a:1 of /x', 'me drains a:1 of /y'])
  routes.hands.restore('one', 'b:1')
  routes.hands.undrain('/y', 'a:1', 'me')
  expect(said.splice(0)).toEqual(['b:1 of one is restored', 'me undrains a:1 of /y'])
})

test('too many routes are told of when their number changes', () => {
  const { routes, leftOut } = world()
  const many = (count: number) => catalogOf(...Array.from({ length: count }, (_, at) => `/${at}`))
  for (const count of [10_003, 10_003, 10_001, 1]) routes.take(many(count))
  expect(leftOut).toEqual([3, 1, 0])
})
