import { describe, expect, test } from 'vitest'
import { oddity } from '../../src/discovery/oddity.ts'
import type { AnswerFacts, Facts, HttpProbe, InstanceFacts, Probe } from '../../src/doctor/facts.ts'
import { diagnose } from '../../src/doctor/findings.ts'
import { at, facts, instance, service, well } from './facts-fixture.ts'

/** What matters of each finding, in a line: severity, kind, service, and the ids of its instances. */
function told(given: Facts): string[] {
  return diagnose(given).map(({ severity, kind, service, instances }) => {
    const ids = instances.map(({ id }) => id).join(' ')
    return [severity, kind, service ?? '-', ids].join(' ').trim()
  })
}

const failed = (code: string): Probe => ({ kind: 'failed', code })
const late: Probe = { kind: 'timed-out', afterMs: 2000 }
const answered = (http: HttpProbe): Probe => ({ kind: 'connected', http })
const three = service('s', [instance('a1'), instance('a2'), instance('a3')])
const critical = { standing: 'critical', reason: 'check "http" is critical' } as const
const inMaintenance = { standing: 'out', reason: 'in maintenance mode' } as const

test('nothing is found in a fleet that nothing is wrong with', () => {
  expect(told(well)).toEqual([])
})

describe('connecting', () => {
  test.each<[string, Facts, string[]]>([
    [
      'one that refuses while it passes',
      facts([three], { probes: { a2: failed('ECONNREFUSED') } }),
      ['error refused s a2'],
    ],
    [
      'those that fail alike are one finding, those that fail otherwise another',
      facts([three], { probes: { a1: failed('ECONNREFUSED'), a2: late, a3: failed('ECONNREFUSED') } }),
      ['error refused s a1 a3', 'error timed-out s a2'],
    ],
    ['one that times out', facts([three], { probes: { a1: late } }), ['error timed-out s a1']],
    ['no route to its machine', facts([three], { probes: { a1: failed('EHOSTUNREACH') } }), ['error unroutable s a1']],
    ['no route to its network', facts([three], { probes: { a1: failed('ENETUNREACH') } }), ['error unroutable s a1']],
    ['a name that does not exist', facts([three], { probes: { a1: failed('ENOTFOUND') } }), ['error unresolved s a1']],
    [
      'a name that nobody answers for',
      facts([three], { probes: { a1: failed('EAI_AGAIN') } }),
      ['error unresolved s a1'],
    ],
    ['one that hangs up', facts([three], { probes: { a1: failed('ECONNRESET') } }), ['error reset s a1']],
    ['a code that has no words', facts([three], { probes: { a1: failed('EPERM') } }), ['error unreachable s a1']],
    [
      'what this machine lacks is said of it, and of no instance',
      facts([three], { probes: { a1: failed('EMFILE'), a2: failed('EADDRNOTAVAIL') } }),
      ['error local-limit -'],
    ],
    [
      'one that refuses and is critical is no more than a warning',
      facts([service('s', [instance('a1'), instance('a2', critical)])], { probes: { a2: failed('ECONNREFUSED') } }),
      ['warning refused s a2'],
    ],
    [
      'one that is critical and takes connections',
      facts([service('s', [instance('a1'), instance('a2', critical)])]),
      ['warning answers-though-critical s a2'],
    ],
    [
      'one that is critical, takes connections, and answers the GET with 503: they agree',
      facts([service('s', [instance('a1'), instance('a2', critical)])], {
        probes: { a2: answered({ kind: 'status', status: 503 }) },
      }),
      [],
    ],
    [
      'what is in maintenance may be up or down',
      facts([service('s', [instance('a1'), instance('a2', inMaintenance), instance('a3', inMaintenance)])], {
        probes: { a2: failed('ECONNREFUSED') },
      }),
      [],
    ],
  ])('%s', (_, given, expected) => expect(told(given)).toEqual(expected))

  test('says when no instance in rotation can be reached, and only then', () => {
    const whys = (...ids: string[]) =>
      diagnose(facts([three], { probes: Object.fromEntries(ids.map((id) => [id, failed('ECONNREFUSED')])) })).map(
        ({ why }) => why.includes('answers every request with a 502'),
      )
    expect([whys('a1'), whys('a1', 'a2'), whys('a1', 'a2', 'a3')]).toEqual([[false], [false], [true]])
  })

  test('tells of each instance its id, node, place and what was met', () => {
    const [finding] = diagnose(facts([three], { probes: { a2: failed('ECONNREFUSED') } }))
    expect(finding?.instances).toEqual([{ id: 'a2', node: 'n2', place: '192.0.2.1:8002', note: 'ECONNREFUSED' }])
    expect(finding?.what).toBe(
      '1 of its 3 instances refuses connections: Consul says passing, which is not so from here',
    )
  })
})

describe('a GET', () => {
  test.each<[string, HttpProbe, string[]]>([
    ['answered 200', { kind: 'status', status: 200 }, []],
    ['answered 404, by somebody who speaks HTTP', { kind: 'status', status: 404 }, []],
    ['answered 499', { kind: 'status', status: 499 }, []],
    ['answered 500', { kind: 'status', status: 500 }, ['error http-5xx s a1']],
    ['answered 599', { kind: 'status', status: 599 }, ['error http-5xx s a1']],
    ['answered in another protocol', { kind: 'no-http', detail: 'Expected HTTP/' }, ['error no-http s a1']],
    ['hung up on', { kind: 'broke-off', code: 'ECONNRESET' }, ['error no-http s a1']],
    ['not answered', { kind: 'silent', afterMs: 5000 }, ['warning http-silent s a1']],
  ])('%s', (_, http, expected) => expect(told(facts([three], { probes: { a1: answered(http) } }))).toEqual(expected))
})

describe('addresses', () => {
  const one = (address: string, more: Partial<InstanceFacts> = {}) =>
    service('s', [instance('a1'), at(address, 'a2', more)])
  const unreached = { probes: { a2: late } }
  const here = { agentIsHere: true, ownNode: 'n2' }
  test.each<[string, Facts, string[]]>([
    [
      'two ids at one address and port',
      facts([service('s', [instance('a1'), at('192.0.2.7', 'v1', { port: 80 }), at('192.0.2.7', 'v2', { port: 80 })])]),
      ['error shared-address s v1 v2'],
    ],
    [
      'two ids at one address, each with a port of its own',
      facts([service('s', [at('192.0.2.7', 'a1'), at('192.0.2.7', 'a2')])]),
      [],
    ],
    [
      'one id, registered with two agents',
      facts([service('s', [instance('a1', { node: 'n2' }), instance('a1', { node: 'n3' })])]),
      ['error shared-address s a1 a1'],
    ],
    [
      'one that is critical hides behind one that passes: who answers there is not known',
      facts([service('s', [instance('v1', { place: 'p:1' }), instance('v2', { place: 'p:1', ...critical })])]),
      ['error shared-address s v1 v2'],
    ],
    [
      'two services at one address and port may be one program',
      facts([service('a', [instance('a1')]), service('b', [instance('b1')])]),
      [],
    ],
    ['loopback, the agent elsewhere', facts([one('127.0.0.1')]), ['error loopback-address s a2']],
    ['loopback of IPv6, the agent elsewhere', facts([one('::1')]), ['error loopback-address s a2']],
    ['loopback, of this machine', facts([one('127.77.0.1')], here), ['warning loopback-address s a2']],
    [
      'loopback, the agent here, but the instance with another agent',
      facts([one('127.0.0.1', { node: 'n9' })], here),
      ['error loopback-address s a2'],
    ],
    [
      'loopback, the agent here, and it does not say of which node it is',
      facts([one('127.0.0.1')], { agentIsHere: true, ownNode: null }),
      ['warning loopback-address s a2'],
    ],
    ['link-local', facts([one('169.254.1.1')]), ['warning link-local-address s a2']],
    ['link-local of IPv6', facts([one('fe80::1%eth0')]), ['warning link-local-address s a2']],
    [
      'no place at all',
      facts([
        one('x', {
          address: null,
          stated: '0.0.0.0',
          place: '0.0.0.0:8002',
          standing: 'out',
          reason: 'its address is not one',
        }),
      ]),
      ['error no-place-address s a2'],
    ],
    ['multicast', facts([one('224.0.0.1')]), ['error no-place-address s a2']],
    [
      "docker's ingress range, unreachable",
      facts([one('10.0.0.5')], unreached),
      ['error timed-out s a2', 'warning docker-address s a2'],
    ],
    ["what looks like docker's ingress range, and works", facts([one('10.0.0.5')]), []],
    [
      "docker's bridge, another machine's, although something takes connections",
      facts([one('172.17.0.2')]),
      ['warning docker-address s a2'],
    ],
    ["docker's bridge, of this machine, and it works", facts([one('172.17.0.2')], here), []],
    [
      "docker's bridge, of this machine, unreachable",
      facts([one('172.17.0.2')], { ...here, ...unreached }),
      ['error timed-out s a2', 'warning docker-address s a2'],
    ],
  ])('%s', (_, given, expected) => expect(told(given)).toEqual(expected))

  test('a fixed list may name the loopback address of the machine that it is for, but each place only once', () => {
    const listed = service('s', [at('127.0.0.1', 'a1', { checks: null }), at('127.0.0.1', 'a2', { checks: null })])
    expect(told(facts([listed], { source: 'static' }))).toEqual([])
    const nowhere = service('s', [at('224.0.0.1', 'a1', { checks: null }), at('172.17.0.2', 'a2', { checks: null })])
    expect(told(facts([nowhere], { source: 'static' }))).toEqual(['error no-place-address s a1'])
    const twice = service(
      's',
      [listed.instances[0], listed.instances[0]].flatMap((each) => each ?? []),
    )
    expect(told(facts([twice], { source: 'static' }))).toEqual(['error shared-address s a1 a1'])
  })

  test('what cannot be used of a registration, unless it is told already', () => {
    const noPort = instance('a2', { port: null, place: '192.0.2.1', standing: 'out', reason: 'has no port' })
    const any = instance('a3', {
      address: null,
      stated: '::',
      place: '::',
      standing: 'out',
      reason: 'its address is not one',
    })
    const oddities = [oddity('bad-port', 'a2', 'has no port'), oddity('bad-address', 'a3', '"::" is not an address')]
    expect(told(facts([service('s', [instance('a1'), noPort, any], { oddities })]))).toEqual([
      'error no-place-address s a3',
      'warning bad-registration s a2',
    ])
  })
})

describe('checks', () => {
  const check = { service: 's', instance: 'a1', node: 'n2', check: 'beat' } as const
  const churning = (changes: number, more: object = {}) => ({
    churn: { watchedMs: 3000, checks: [{ ...check, changes, ...more }] },
  })
  test.each<[string, Facts, string[]]>([
    [
      'an instance without any',
      facts([service('s', [instance('a1', { checks: 0 }), instance('a2')])]),
      ['warning no-checks s a1'],
    ],
    [
      'a fixed list has none, and needs none',
      facts([service('s', [instance('a1', { checks: null })])], { source: 'static' }),
      [],
    ],
    ['one whose output changed once', facts([three], churning(1)), []],
    ['one whose output keeps changing', facts([three], churning(2)), ['warning churning-check s a1']],
    ['one of a node', facts([three], churning(5, { service: null, instance: '' })), ['warning churning-check - n2']],
    ['one of a service that was not looked at', facts([three], churning(5, { service: 'other' })), []],
    [
      'no instance in rotation',
      facts([service('s', [instance('a1', critical), instance('a2', inMaintenance)])], {
        probes: { a1: failed('ECONNREFUSED') },
      }),
      ['error none-in-rotation s a1 a2', 'warning refused s a1'],
    ],
    [
      'no instance in rotation, but another datacenter stands by',
      facts([service('s', [instance('a1', inMaintenance)], { standbys: ['dc2'] })]),
      ['warning none-in-rotation s a1'],
    ],
    ['no instance at all', facts([service('s', [])]), ['error none-in-rotation s']],
    [
      'none with the tag',
      facts([service('s', [], { untagged: { tag: 'blue', count: 2 } })]),
      ['error none-in-rotation s'],
    ],
    ['some without the tag', facts([service('s', [instance('a1')], { untagged: { tag: 'blue', count: 2 } })]), []],
  ])('%s', (_, given, expected) => expect(told(given)).toEqual(expected))
})

describe('names', () => {
  test.each<[name: string, expected: string[]]>([
    ['web', []],
    ['web.v2_x-Y~;=@', []],
    ['a/b', ['error bad-name']],
    ['..', ['error bad-name']],
    ['.', ['error bad-name']],
    ['', ['error bad-name']],
    ['a\\b', ['error bad-name']],
    ['a\nb', ['error bad-name']],
    ['x'.repeat(256), ['error bad-name']],
    ['\ud800', ['error bad-name']],
    ['my web', ['warning name-needs-encoding']],
    ['wéb', ['warning name-needs-encoding']],
    ['100%', ['warning name-needs-encoding']],
    ['a%20b', ['warning name-needs-encoding']],
    ['a?b', ['warning name-needs-encoding']],
    ['a#b', ['warning name-needs-encoding']],
  ])('%j', (name, expected) => {
    const found = diagnose(facts([service(name, [instance('a1')])]))
    expect(found.map(({ severity, kind }) => `${severity} ${kind}`)).toEqual(expected)
  })

  test('the path to write is told, base path and all', () => {
    const [finding] = diagnose(facts([service('my wéb', [instance('a1')])], { basePath: '/api' }))
    expect(finding?.what).toContain('/api/my%20w%C3%A9b/')
  })
})

describe('the source', () => {
  const answer = (more: Partial<AnswerFacts>): AnswerFacts => ({
    ...{ query: '/q', index: '7', knowsLeader: true, lastContactMs: 0, clockAheadMs: 0 },
    ...more,
  })
  const having = (...answers: Partial<AnswerFacts>[]) => facts([three], { answers: answers.map(answer) })
  const failure = { message: 'connect ECONNREFUSED', cure: 'start an agent' }
  const unreadService = (name: string) => ({ what: { kind: 'service', name }, failure }) as const
  test.each<[string, Facts, string[]]>([
    ['an answer of a server without a leader', having({}, { knowsLeader: false }), ['error no-leader -']],
    [
      'a header that is missing says nothing',
      having({ knowsLeader: null, lastContactMs: null, clockAheadMs: null }),
      [],
    ],
    ['a server that is 1 s behind', having({ lastContactMs: 1000 }), []],
    ['a server that is more behind', having({ lastContactMs: 1001 }), ['warning stale-server -']],
    ['no index', having({ index: null }), ['error index-missing -']],
    ['index 0', having({ index: '0' }), ['error index-missing -']],
    ['an index that is no number', having({ index: 'x' }), ['error index-missing -']],
    ['an index that grows', having({ index: '7' }, { index: '10' }), []],
    ['an index that goes backwards', having({ index: '10' }, { index: '9' }), ['warning index-backwards -']],
    ['a lower index of another question', having({ index: '10' }, { query: '/r', index: '9' }), []],
    ['a clock that is 2 s ahead', having({ clockAheadMs: 2000 }), []],
    ['a clock that is more ahead', having({ clockAheadMs: 2001 }), ['warning clock -']],
    ['a clock that is behind', having({ clockAheadMs: -90_000 }), ['warning clock -']],
    [
      'a list that cannot be read',
      facts([], { listed: null, unread: [{ what: { kind: 'list' }, failure }] }),
      ['error unreadable -'],
    ],
    [
      'checks that cannot be read',
      facts([three], { unread: [{ what: { kind: 'checks' }, failure }] }),
      ['error unreadable -'],
    ],
    ['a service that cannot be read', facts([three], { unread: [unreadService('x')] }), ['error unreadable x']],
    [
      'services that cannot be read for one reason',
      facts([three], { unread: ['x', 'y'].map(unreadService) }),
      ['error unreadable -'],
    ],
    ['an empty catalog', facts([]), ['error empty-catalog -']],
    ['a catalog of which all is left out', facts([], { listed: 2, excluded: 2 }), ['error empty-catalog -']],
    ['an empty list', facts([], { source: 'static' }), ['error empty-catalog -']],
    ['a service that is not listed', facts([], { listed: 5, only: 'x' }), ['error unknown-service x']],
    [
      'a service that the config leaves out',
      facts([{ ...three, isExcluded: true }], { only: 's' }),
      ['error excluded s'],
    ],
  ])('%s', (_, given, expected) => expect(told(given)).toEqual(expected))
})

test('what concerns no service comes first, then the services with the most errors, in each its errors', () => {
  const services = [
    service('a', [instance('a1', { checks: 0 })]),
    service('b', [instance('b2', { checks: 0 }), instance('b3')]),
    service('c', [instance('c4', { checks: 0 })]),
  ]
  const answers = [{ ...well.answers[0], clockAheadMs: 9000 } as AnswerFacts]
  expect(told(facts(services, { answers, probes: { b3: failed('ECONNREFUSED') } }))).toEqual([
    'warning clock -',
    'error refused b b3',
    'warning no-checks b b2',
    'warning no-checks a a1',
    'warning no-checks c c4',
  ])
})

test('an empty place in a fixed list is mended in the list', () => {
  const [finding] = diagnose(facts([service('s', [])], { source: 'static' }))
  expect(finding).toMatchObject({ kind: 'none-in-rotation', cure: 'name its instances in discovery.static.services' })
})
