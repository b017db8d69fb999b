import { describe, expect, test } from 'vitest'
import { oddity } from '../../src/discovery/oddity.ts'
import type {
  DnsFacts,
  EurekaFacts,
  Facts,
  InstanceFacts,
  Probe,
  RegistryFacts,
  ServiceFacts,
  SourceName,
} from '../../src/doctor/facts.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import { diagnose } from '../../src/doctor/findings.ts'
import { othersOf } from '../../src/doctor/findings-several.ts'
import { wordsOf } from '../../src/doctor/source-words.ts'
import { at, facts, instance, service } from './facts-fixture.ts'

/** What matters of each finding, in a line: severity, kind, service, and the ids of its instances. */
function told(findings: readonly Finding[]): string[] {
  return findings.map(({ severity, kind, service, instances }) =>
    [severity, kind, service ?? '-', ...instances.map(({ id }) => id)].join(' '),
  )
}

const bare = { node: '', checks: null } as const
const one = (id: string, more: Partial<InstanceFacts> = {}) => instance(id, { ...bare, ...more })
const out = (id: string, reason: string) => one(id, { standing: 'out', reason })
const failed = (code: string): Probe => ({ kind: 'failed', code })

function of(
  source: SourceName,
  services: readonly ServiceFacts[],
  more: Parameters<typeof facts>[1] & { readonly registry?: RegistryFacts } = {},
): Facts {
  return facts(services, { source, answers: [], ...more })
}

describe('Eureka', () => {
  const nothing = { count: 1, overdue: [], unnamed: [], aliases: [] }
  const eureka = (
    services: readonly ServiceFacts[],
    registered: Partial<NonNullable<EurekaFacts['registered']>> | null = {},
    more: Partial<EurekaFacts> = {},
    rest: Parameters<typeof facts>[1] = {},
  ) => {
    const read = registered === null ? null : { ...nothing, ...registered }
    return of('eureka', services, {
      registry: { kind: 'eureka', name: 'app', address: 'host-name', registered: read, ...more },
      ...rest,
    })
  }
  const web = service('web', [one('a1'), one('a2')])

  test.each<[string, Facts, string[]]>([
    ['nothing is wrong', eureka([web]), []],
    ['beside its catalog it could not be read', eureka([web], null), []],
    [
      'all are out, and the reasons are told',
      eureka([service('web', [out('a1', 'its status is STARTING'), out('a2', 'its status is UNKNOWN')])]),
      ['error none-in-rotation web a1 a2'],
    ],
    [
      'some have only a secure port',
      eureka([service('web', [one('a1'), out('a2', 'only its secure port is enabled')])]),
      ['warning secure-port-only web a2'],
    ],
    [
      'some have missed their beats',
      eureka([web], { overdue: [{ app: 'WEB', id: 'a2', silentMs: 600_000 }] }),
      ['warning missed-beats - WEB/a2'],
    ],
    [
      'others than the one that is asked for have missed their beats',
      eureka([web], { overdue: [{ app: 'OTHER', id: 'a2', silentMs: 600_000 }] }, {}, { only: 'web' }),
      [],
    ],
    [
      'by application, the vipAddress is another name',
      eureka([web], { aliases: [{ app: 'web', vips: ['shop'] }] }),
      ['warning other-vip web'],
    ],
    ['that of one that is not looked at', eureka([web], { aliases: [{ app: 'api', vips: ['shop'] }] }), []],
    [
      'by vipAddress, that is as it should be, but one without any is not',
      eureka(
        [web],
        { aliases: [{ app: 'web', vips: ['shop'] }], unnamed: [{ app: 'WEB', id: 'a3' }] },
        { name: 'vip' },
      ),
      ['warning no-vip - WEB/a3'],
    ],
    ['by application none is needed', eureka([web], { unnamed: [{ app: 'WEB', id: 'a3' }] }), []],
    ['it is empty', eureka([]), ['error empty-catalog -']],
  ])('%s', (_, given, expected) => expect(told(diagnose(given))).toEqual(expected))

  test('a host name that does not resolve has a cure of its own, unless the IP address is taken already', () => {
    const cures = (address: EurekaFacts['address']) =>
      diagnose(eureka([web], {}, { address }, { probes: { a1: failed('ENOTFOUND') } })).map(({ kind, cure }) => [
        kind,
        cure.includes('discovery.eureka.address: ip'),
      ])
    expect([cures('host-name'), cures('ip')]).toEqual([[['unresolved', true]], [['unresolved', false]]])
  })

  test('that a server was restarted comes first to mind when its registry is empty', () => {
    expect(diagnose(eureka([]))[0]?.cure).toContain('restarted')
  })
})

describe('entries of etcd and ZooKeeper', () => {
  const web = service('web', [one('a1'), one('a2')])
  const entries = (
    source: 'etcd' | 'zookeeper',
    services: readonly ServiceFacts[],
    count: number | null,
    ...ids: string[]
  ) =>
    of(source, services, {
      registry: { kind: 'entries', path: '/s/', count, permanent: ids.map((id) => ({ service: 'web', id })) },
    })

  test.each<[string, Facts, string[]]>([
    ['all go with their instances', entries('etcd', [web], 2), []],
    ['one stays', entries('etcd', [web], 2, 'a2', 'a9'), ['warning permanent-entry web a2']],
    ['a node stays', entries('zookeeper', [web], null, 'a1', 'a2'), ['warning permanent-entry web a1 a2']],
    ['there is none', entries('etcd', [], 0), ['error empty-catalog -']],
    ['there is none of ZooKeeper', entries('zookeeper', [], null), ['error empty-catalog -']],
  ])('%s', (_, given, expected) => expect(told(diagnose(given))).toEqual(expected))

  test('the words are those of the registry', () => {
    const whats = [entries('etcd', [web], 2, 'a2'), entries('zookeeper', [web], null, 'a2'), entries('etcd', [], 5)]
      .flatMap((given) => diagnose(given))
      .map(({ what }) => what)
    expect(whats).toEqual([
      '1 of its 2 instances hangs on no lease: the key stays when the instance dies',
      '1 of its 2 instances hangs on no session: the node stays when the instance dies',
      'no key below the prefix names an instance (/s/): 5 there are something else',
    ])
  })

  test('what is strange and belongs to no service', () => {
    const strays = [
      oddity('malformed-entry', '/s/k', 'the key "/s/k" was skipped'),
      oddity('bad-name', '..', 'not routable'),
    ]
    const found = diagnose(of('etcd', [web], { strays }))
    expect(told(found)).toEqual(['error bad-name -', 'warning bad-entries -'])
    expect(found.map(({ details }) => details)).toEqual([['..: not routable'], ['the key "/s/k" was skipped']])
  })

  test('what the source warns of is told, unless it has failed and speaks of that', () => {
    const warnings = ['something is odd']
    expect(told(diagnose(of('swarm', [web], { warnings })))).toEqual(['warning source-warning -'])
    const unread = [{ what: { kind: 'server' }, failure: { message: 'm', cure: 'c' } }] as const
    expect(told(diagnose(of('eureka', [web], { warnings, unread })))).toEqual(['warning unreadable -'])
  })
})

describe('Docker Swarm', () => {
  const swarm = (
    services: readonly ServiceFacts[],
    network: string | null = 'web-net',
    more: Parameters<typeof facts>[1] = {},
  ) => of('swarm', services, { registry: { kind: 'swarm', network, label: 'evenkeel.port' }, ...more })
  const apart = out('t2', 'has no address on the network "web-net"; it is on "other"')

  test.each<[string, Facts, string[]]>([
    ['one task is not on the network', swarm([service('web', [one('t1'), apart])]), ['warning no-network web t2']],
    [
      'a task that is on its way is no such case',
      swarm([service('web', [one('t1'), out('t2', 'its state is preparing')])]),
      [],
    ],
    [
      'an unhealthy one that does not answer either',
      swarm([service('web', [one('t1'), one('t2', { standing: 'critical', reason: 'unhealthy' })])], 'n', {
        probes: { t2: failed('ECONNREFUSED') },
      }),
      ['warning refused web t2'],
    ],
    ['nobody has the label', swarm([]), ['error empty-catalog -']],
    ['no task runs', swarm([service('web', [])]), ['error none-in-rotation web']],
  ])('%s', (_, given, expected) => expect(told(diagnose(given))).toEqual(expected))

  test('the label is named, and so is what a task can be reached on', () => {
    expect(diagnose(swarm([]))[0]).toMatchObject({ what: 'no service has the label "evenkeel.port"' })
    const unreached = diagnose(swarm([service('web', [one('t1')])], 'n', { probes: { t1: failed('EHOSTUNREACH') } }))
    expect(unreached[0]?.cure).toContain('discovery.swarm.network')
    const unnamed = diagnose(swarm([service('web', [out('t2', 'it is on several networks: a, b')])], null))
    expect(unnamed.map(({ kind }) => kind)).toContain('no-network')
  })

  test('the error of the source is told with its cure: it is no manager', () => {
    const failure = { message: 'this node is not a swarm manager', cure: 'ask a manager' }
    const [finding] = diagnose(of('swarm', [], { listed: null, unread: [{ what: { kind: 'list' }, failure }] }))
    expect(finding).toMatchObject({ kind: 'unreadable', severity: 'error', cure: 'ask a manager' })
  })
})

describe('DNS', () => {
  const said = (more: Partial<DnsFacts['names'][number]> = {}): DnsFacts['names'][number] => ({
    ...{ service: 'web', question: 'A web.test', absent: [], empty: [], answering: ['r1'], ttlMs: 5000 },
    ...more,
  })
  const failing = { resolver: 'r2', failed: 3, asked: 4, failure: { message: 'r2 is silent', cure: 'start it' } }
  const dns = (
    names: DnsFacts['names'],
    more: Parameters<typeof facts>[1] & { failing?: DnsFacts['failing'] } = {},
  ) => {
    const { failing = [], ...rest } = more
    const nobody = names.every(({ answering }) => answering.length === 0)
    return of('dns', [service('web', nobody ? [] : [one('web.test')])], {
      registry: { kind: 'dns', failing, names },
      ...rest,
    })
  }
  const unread = [{ what: { kind: 'service', name: 'web' }, failure: { message: 'm', cure: 'c' } }] as const

  test.each<[string, Facts, string[]]>([
    ['a name that is well', dns([said()]), []],
    ['one that does not exist', dns([said({ answering: [], absent: ['r1'] })]), ['error no-such-name web']],
    ['one without such a record', dns([said({ answering: [], empty: ['r1'] })]), ['error no-such-name web']],
    ['resolvers that differ', dns([said({ absent: ['r2'] })]), ['error resolvers-differ web']],
    ['a time to live of 0', dns([said({ ttlMs: 0 })]), ['warning short-ttl web']],
    ['none told', dns([said({ ttlMs: null })]), []],
    ['a resolver that fails', dns([said()], { failing: [failing] }), ['warning resolver-failing -']],
    [
      'the only one',
      { ...dns([said({ answering: [] })], { failing: [failing], unread }), services: [] },
      ['error resolver-failing -', 'error unreadable web'],
    ],
  ])('%s', (_, given, expected) => expect(told(diagnose(given))).toEqual(expected))
})

test('a file: its problems are one finding, a line each', () => {
  const problems = [
    { place: 'line 3', message: 'services.web[0]: has no port' },
    { place: '', message: 'is empty' },
  ]
  const found = diagnose(of('file', [], { listed: null, registry: { kind: 'file', problems } }))
  expect(told(found)).toEqual(['error bad-file -'])
  expect(found[0]?.details).toEqual(['line 3: services.web[0]: has no port', 'is empty'])
})

test('what was pushed and cannot be judged is a warning', () => {
  const unread = [{ what: { kind: 'proxy' }, failure: { message: 'm', cure: 'c' } }] as const
  expect(told(diagnose(of('push', [], { listed: null, unread })))).toEqual(['warning unreadable -'])
})

test('in a list that is kept for the proxy, its own loopback address is meant; in a registry it may not be', () => {
  const own = service('s', [at('127.0.0.1', 'a1', bare)])
  const found = (source: SourceName, agentIsHere: boolean) => told(diagnose(of(source, [own], { agentIsHere })))
  for (const source of ['file', 'push', 'static'] as const) expect(found(source, false)).toEqual([])
  expect(found('etcd', false)).toEqual(['error loopback-address s a1'])
  expect(found('etcd', true)).toEqual(['warning loopback-address s a1'])
})

describe('several sources', () => {
  /** The facts of each, as the command puts them together. */
  function together(...all: readonly Facts[]): readonly Finding[] {
    return diagnose(...all.map((each) => ({ ...each, others: othersOf(all, each.source) })))
  }
  const web = (...ids: string[]) =>
    service(
      'web',
      ids.map((id) => one(id)),
    )

  test.each<[string, readonly Facts[], string[]]>([
    ['that agree', [of('consul', [web('a1', 'a2')]), of('eureka', [web('a1', 'a2')])], []],
    [
      'of which one has more',
      [of('consul', [web('a1', 'a2')]), of('eureka', [web('a1')])],
      ['warning half-moved web a2'],
    ],
    [
      'that have nothing in common',
      [of('consul', [web('a1')]), of('eureka', [web('a2')]), of('file', [])],
      ['warning empty-catalog -', 'warning half-moved web a1 a2'],
    ],
    ['with services of their own', [of('consul', [web('a1')]), of('eureka', [service('api', [one('b2')])])], []],
    [
      'one place, two names',
      [of('consul', [web('a1')]), of('eureka', [service('shop', [one('b9', { place: '192.0.2.1:8001' })])])],
      ['warning two-names web a1'],
    ],
    [
      'one place, and both names in both: one program is two services',
      [
        of('consul', [web('a1'), service('shop', [one('a1')])]),
        of('eureka', [web('a1'), service('shop', [one('a1')])]),
      ],
      [],
    ],
    ['one is empty', [of('consul', [web('a1')]), of('eureka', [])], ['warning empty-catalog -']],
    ['all are', [of('etcd', []), of('eureka', [])], ['error empty-catalog -', 'error empty-catalog -']],
    [
      'what is out in one is in rotation in the other',
      [of('consul', [web('a1')]), of('eureka', [service('web', [out('a1', 'its status is DOWN')])])],
      ['warning none-in-rotation web a1'],
    ],
    [
      'what is out in both is out',
      [
        of('etcd', [service('web', [out('a1', 'its weight is 0')])]),
        of('eureka', [service('web', [out('a1', 'its status is DOWN')])]),
      ],
      ['error none-in-rotation web a1', 'error none-in-rotation web a1'],
    ],
    [
      'what only one lists, when it is asked for',
      [of('consul', [web('a1')], { only: 'web' }), of('eureka', [], { only: 'web', listed: 3 })],
      [],
    ],
    [
      'what none lists, when it is asked for',
      [of('etcd', [], { only: 'web', listed: 2 }), of('eureka', [], { only: 'web', listed: 3 })],
      ['error unknown-service web', 'error unknown-service web'],
    ],
  ])('%s', (_, all, expected) => expect(told(together(...all)).sort()).toEqual(expected))

  test('what the others say of an endpoint stands beside it, and each endpoint is told once', () => {
    const all = [
      of('consul', [web('a1', 'a2', 'a3')]),
      of('etcd', [web('a1', 'a2')]),
      of('eureka', [service('web', [one('a1'), out('a2', 'its status is DOWN')])]),
    ]
    const [finding] = together(...all)
    expect(finding?.instances.map(({ id, note }) => [id, note])).toEqual([
      ['a2', 'in consul and etcd, out in eureka: its status is DOWN'],
      ['a3', 'in consul, not in etcd, not in eureka'],
    ])
    expect(finding?.what).toContain('3 endpoints in consul, 2 endpoints in etcd, 1 endpoint in eureka')
  })

  test('each finding says of which source it is, but for those that are about several, and about this machine', () => {
    const all = [
      of('consul', [web('a1', 'a2')], { probes: { a1: failed('EMFILE') } }),
      of('etcd', [web('a2')], { probes: { a2: failed('ECONNREFUSED') } }),
    ]
    expect(together(...all).map(({ kind, source }) => [kind, source])).toEqual([
      ['local-limit', undefined],
      ['refused', 'etcd'],
      ['half-moved', undefined],
    ])
  })

  test('that one cannot be read is told, and the others are judged', () => {
    const unread = [{ what: { kind: 'list' }, failure: { message: 'm', cure: 'c' } }] as const
    const found = together(of('consul', [], { listed: null, unread }), of('etcd', [web('a1')]))
    expect(told(found)).toEqual(['error unreadable -'])
    expect(found[0]?.why).toContain('the other sources')
  })

  test('a service that another one has is not said to be lost when all of it is unreachable in this one', () => {
    const all = [of('consul', [web('a1')], { probes: { a1: failed('ECONNREFUSED') } }), of('etcd', [web('a2')])]
    const why = (findings: readonly Finding[]) => findings.find(({ kind }) => kind === 'refused')?.why
    expect(why(together(...all))).not.toContain('every request')
    expect(why(together(...all.slice(0, 1)))).toContain('every request')
  })
})

test('no words of Consul are said of another source', () => {
  const sources = ['eureka', 'etcd', 'zookeeper', 'swarm', 'dns', 'file', 'push', 'static'] as const
  const silent = ['tagCure']
  const said = sources.flatMap((source) =>
    Object.entries(wordsOf({ source }))
      .filter(([key]) => !silent.includes(key))
      .filter(([, text]) => /consul:|Consul's|Consul says|discovery\.consul|\bACL\b|\bagent\b/.test(text))
      .map(([key]) => `${source}.${key}`),
  )
  expect(said).toEqual([])
})
