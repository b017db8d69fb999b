import { describe, expect, test } from 'vitest'
import type { CatalogService } from '../../../src/balancer/endpoint.ts'
import { decodeAnswer, type EurekaInstance } from '../../../src/discovery/eureka/eureka-answer.ts'
import { catalogOf, type EurekaRules, type RegistryCatalog } from '../../../src/discovery/eureka/eureka-instances.ts'
import type { EurekaRegistry } from '../../../src/discovery/eureka/eureka-registry.ts'
import { answerJson, type Fields, instanceJson } from './eureka-answers.ts'

const rules: EurekaRules = { name: 'app', address: 'ip', securePort: false, include: ['*'], exclude: [] }

function instance(fields: Fields = {}): EurekaInstance {
  const decoded = decodeAnswer(answerJson([instanceJson(fields)], '', fields.app ?? 'WEB'))
  const entry = decoded.kind === 'answer' ? decoded.entries[0] : undefined
  if (entry === undefined) throw new Error(JSON.stringify(decoded))
  return entry.instance
}

function catalog(instances: readonly EurekaInstance[], differently: Partial<EurekaRules> = {}): RegistryCatalog {
  return catalogOf(registry(instances), { ...rules, ...differently })
}

function registry(instances: readonly EurekaInstance[], lost: readonly EurekaInstance[] = []): EurekaRegistry {
  return {
    instances: new Map(instances.map((instance) => [instance.key, instance])),
    lost: new Map(lost.map((instance) => [instance.key, { instance, untilMs: 0 }])),
  }
}

/** The ids of a service's endpoints, and the reasons of its absentees. */
function outcome(service: CatalogService | undefined): { in: string[]; out: string[] } {
  return { in: service?.endpoints.map(({ id }) => id) ?? [], out: service?.absent.map(({ reason }) => reason) ?? [] }
}

describe('how a service is called', () => {
  test.each<[string, Fields, Partial<EurekaRules>, string[]]>([
    ['by its application, in lower case', { app: 'ACCOUNT-SERVICE' }, {}, ['account-service']],
    ['by its vipAddress', {}, { name: 'vip' }, ['web.vip']],
    ['by each of several', { vipAddress: 'B.internal, a,,A' }, { name: 'vip' }, ['a', 'b.internal']],
    ['by none of none', { vipAddress: '' }, { name: 'vip' }, []],
    ['only what is included', { vipAddress: 'a,b' }, { name: 'vip', include: ['a'] }, ['a']],
    ['but what is excluded', { vipAddress: 'a,b' }, { name: 'vip', exclude: ['a'] }, ['b']],
    ['not by a name that cannot stand in a path', { vipAddress: 'a/b,..,c' }, { name: 'vip' }, ['c']],
    ['not by what is not printable', { vipAddress: 'a\u0000' }, { name: 'vip' }, []],
    [
      'by sixteen names at most',
      { vipAddress: Array.from({ length: 20 }, (_, at) => at).join() },
      { name: 'vip' },
      Array.from({ length: 16 }, (_, at) => `${at}`).sort(),
    ],
  ])('%s', (_, fields, differently, names) => {
    expect([...catalog([instance(fields)], differently).catalog.services.keys()]).toEqual(names)
  })

  test('a name that cannot be routed to is told', () => {
    const { oddities } = catalog([instance({ vipAddress: 'a/b' })], { name: 'vip' })
    expect(oddities.get('')).toMatchObject([{ kind: 'bad-name', subject: 'a/b' }])
  })
})

describe('where an instance is', () => {
  test.each<[string, Fields, Partial<EurekaRules>, string]>([
    ['at its IP address', {}, {}, '10.0.0.1:80'],
    ['at its host name, as Eureka’s clients have it', {}, { address: 'host-name' }, 'web-1.internal:80'],
    ['at its host name when it has no IP address', { ipAddr: '' }, {}, 'web-1.internal:80'],
    ['at its IP address when it has no host name', { hostName: '' }, { address: 'host-name' }, '10.0.0.1:80'],
    ['IPv6 in brackets', { ipAddr: 'FD00::5' }, {}, '[fd00::5]:80'],
    [
      'at its secure port when the plain one is disabled, if that is wanted',
      { port: { $: 80, '@enabled': 'false' }, securePort: { $: 8443, '@enabled': 'true' } },
      { securePort: true },
      '10.0.0.1:8443',
    ],
    [
      'at its plain port when both are enabled, even so',
      { securePort: { $: 8443, '@enabled': 'true' } },
      { securePort: true },
      '10.0.0.1:80',
    ],
  ])('%s', (_, fields, differently, id) => {
    const { catalog: found, oddities } = catalog([instance(fields)], differently)
    expect(outcome(found.services.get('web'))).toEqual({ in: [id], out: [] })
    expect(found.services.get('web')?.endpoints[0]).toMatchObject({ instance: 'web-1', weight: 1 })
    expect(oddities.size).toBe(0)
  })
})

describe('an instance is absent', () => {
  test.each<[string, Fields, Partial<EurekaRules>, string, string | null]>([
    ['while it is STARTING', { status: 'STARTING' }, {}, 'its status is STARTING', null],
    ['while it is DOWN', { status: 'DOWN' }, {}, 'its status is DOWN', null],
    ['while it is OUT_OF_SERVICE', { status: 'OUT_OF_SERVICE' }, {}, 'its status is OUT_OF_SERVICE', null],
    ['while it is UNKNOWN', { status: 'UNKNOWN' }, {}, 'its status is UNKNOWN', null],
    ['while it is up in other letters', { status: 'up' }, {}, 'its status is up', null],
    ['and its status cannot forge a line', { status: 'A\nB' }, {}, 'its status is A?B', null],
    ['whose port is disabled', { port: { $: 80, '@enabled': 'false' } }, {}, 'its port is disabled', null],
    [
      'that is reached over TLS only',
      { port: { $: 80, '@enabled': 'false' }, securePort: { $: 443, '@enabled': 'true' } },
      {},
      'only its secure port is enabled',
      null,
    ],
    ['whose port is none', { port: { $: 0, '@enabled': 'true' } }, {}, 'has no port', 'bad-port'],
    ['without an address', { hostName: '', ipAddr: '' }, {}, 'has no address', 'no-address'],
    ['with an address that is none', { ipAddr: '10.0.0.1 x' }, {}, 'its address is not one', 'bad-address'],
    ['at any address at all', { ipAddr: '0.0.0.0' }, {}, 'its address is not one', 'bad-address'],
  ])('%s', (_, fields, differently, reason, kind) => {
    const { catalog: found, oddities } = catalog([instance(fields)], differently)
    expect(outcome(found.services.get('web'))).toEqual({ in: [], out: [reason] })
    expect(oddities.get('web')?.map((oddity) => oddity.kind) ?? []).toEqual(kind === null ? [] : [kind])
  })

  test('at the same address and port as another, which counts once', () => {
    const found = catalog([instance({ instanceId: 'b' }), instance({ instanceId: 'a' })]).catalog.services.get('web')
    expect(found?.endpoints.map((endpoint) => endpoint.instance)).toEqual(['a'])
    expect(found?.absent).toEqual([{ instance: 'b', address: '10.0.0.1:80', reason: 'same address and port as "a"' }])
  })
})

test('what the server has lost stays, and is doubted, unless somebody it knows is at the same place', () => {
  const lost = [
    instance({ instanceId: 'a', ipAddr: '10.0.0.2' }),
    instance({ instanceId: 'b' }),
    instance({ instanceId: 'z', app: 'API' }),
  ]
  const { services } = catalogOf(registry([instance({ instanceId: 'c' })], lost), rules).catalog
  const endpoints = (name: string) => services.get(name)?.endpoints.map((e) => [e.id, e.instance, e.doubted])
  expect(endpoints('web')).toEqual([
    ['10.0.0.1:80', 'c', undefined],
    ['10.0.0.2:80', 'a', true],
  ])
  expect(endpoints('api')).toEqual([['10.0.0.1:80', 'z', true]])
})

test('an old registration of a place that is up again takes nothing away', () => {
  const web = [instance({ instanceId: 'old', status: 'DOWN' }), instance({ instanceId: 'new' })]
  expect(outcome(catalog(web).catalog.services.get('web'))).toEqual({
    in: ['10.0.0.1:80'],
    out: ['its status is DOWN'],
  })
})

test('the order of the instances does not matter', () => {
  const all = [
    ...[1, 2, 3].map((at) => instance({ instanceId: `i-${at}`, ipAddr: `10.0.0.${4 - at}` })),
    ...['z', 'a'].map((app) => instance({ app })),
    instance({ instanceId: 'i-9', ipAddr: '10.0.0.2' }),
    instance({ instanceId: 'i-8', status: 'DOWN' }),
  ]
  const names = (list: EurekaInstance[]) => JSON.stringify([...catalog(list).catalog.services])
  expect(names([...all].reverse())).toBe(names(all))
})
