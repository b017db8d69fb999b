import { expect, test } from 'vitest'
import type { AbsentInstance, Catalog, CatalogService, Endpoint } from '../../src/balancer/endpoint.ts'
import { oddity } from '../../src/discovery/oddity.ts'
import { type CatalogRules, catalogFacts } from '../../src/doctor/catalog-facts.ts'
import type { SourceName } from '../../src/doctor/facts.ts'

const endpoint = (instance: string, port: number): Endpoint => {
  return { id: `192.0.2.1:${port}`, instance, address: '192.0.2.1', port, weight: 1 }
}
const absent = (instance: string, address: string, reason: string): AbsentInstance => ({ instance, address, reason })
const catalog = (services: Readonly<Record<string, Partial<CatalogService>>>): Catalog => ({
  services: new Map(Object.entries(services).map(([name, of]) => [name, { endpoints: [], absent: [], ...of }])),
})
const rules = (more: Partial<CatalogRules> = {}): CatalogRules => ({
  ...{ source: 'eureka', names: { include: ['*'], exclude: [] }, only: null, connectTimeoutMs: () => 2000 },
  ...more,
})
const read = (of: Catalog, more: Partial<CatalogRules> = {}) => catalogFacts(of, new Map(), rules(more))

test('endpoints are routed, at their places', () => {
  const { services, listed, excluded } = read(catalog({ web: { endpoints: [endpoint('a', 80)] } }))
  expect([listed, excluded]).toEqual([1, 0])
  expect(services[0]?.instances).toEqual([
    {
      ...{ id: 'a', node: '', stated: '192.0.2.1', address: '192.0.2.1', port: 80, place: '192.0.2.1:80' },
      ...{ standing: 'routed', reason: null, checks: null, connectTimeoutMs: 2000 },
    },
  ])
})

test.each<[string, SourceName, string, string, object]>([
  ['an ill one is worth a try', 'eureka', '192.0.2.2:80', 'its status is DOWN', { standing: 'critical', port: 80 }],
  ['one that a person took out is not', 'eureka', '192.0.2.2:80', 'its status is OUT_OF_SERVICE', { standing: 'out' }],
  ['DOWN is a word of Eureka', 'etcd', '192.0.2.2:80', 'its status is DOWN', { standing: 'out' }],
  ['so is unhealthy one of Docker', 'swarm', '192.0.2.2:80', 'its container is unhealthy', { standing: 'critical' }],
  [
    'one that shares a place is where the other one is',
    'etcd',
    '192.0.2.1:80',
    'same address and port as "a"',
    { standing: 'routed', reason: null, place: '192.0.2.1:80' },
  ],
  ['no port', 'etcd', '192.0.2.2', 'has no port', { address: '192.0.2.2', port: null, place: '192.0.2.2' }],
  ['IPv6', 'etcd', '[fd00::1]:80', 'its weight is 0', { address: 'fd00::1', port: 80, place: '[fd00::1]:80' }],
  ['no place', 'eureka', '0.0.0.0:80', 'its address is not one', { address: null, stated: '0.0.0.0', port: 80 }],
  ['nothing', 'zookeeper', '', 'its data is empty', { address: null, stated: '', port: null, place: '' }],
])('of those that are out: %s', (_, source, address, reason, expected) => {
  const of = catalog({ web: { endpoints: [endpoint('a', 80)], absent: [absent('b', address, reason)] } })
  const [service] = read(of, { source }).services
  expect(service?.instances.find(({ id }) => id === 'b')).toMatchObject(expected)
})

test('names that the config leaves out are counted, and looked at when they are asked for', () => {
  const of = catalog({ web: {}, api: {} })
  const names = { include: ['*'], exclude: ['a*'] }
  expect(read(of, { names })).toMatchObject({ listed: 2, excluded: 1, services: [{ name: 'web', isExcluded: false }] })
  expect(read(of, { names, only: 'api' }).services).toMatchObject([{ name: 'api', isExcluded: true }])
  expect(read(of, { only: 'other' }).services).toEqual([])
})

test('a service of which there is no answer is unread, and no service without instances', () => {
  const silence = { ...absent('', '', 'could not be read: SERVFAIL'), unread: true as const }
  const { services, unread } = read(catalog({ web: { absent: [silence] } }))
  expect(services).toEqual([])
  expect(unread).toMatchObject([{ what: { kind: 'service', name: 'web' }, failure: { message: silence.reason } }])
})

test('what the source found odd belongs to its service', () => {
  const odd = oddity('bad-port', 'a', 'has no port')
  const { services } = catalogFacts(catalog({ web: {}, api: {} }), new Map([['web', [odd]]]), rules())
  expect(services.map(({ name, oddities }) => [name, oddities])).toEqual([
    ['web', [odd]],
    ['api', []],
  ])
})
