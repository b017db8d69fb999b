import { describe, expect, test } from 'vitest'
import { decodeFacts, MAX_CHECKS, MAX_FACTS } from '../../../src/discovery/consul/consul-facts.ts'
import type { ServiceFacts } from '../../../src/discovery/facts.ts'

const anyTag = { tag: null, includeWarning: true }

/** An entry of a `health/service/:name` answer. */
function entry(checks: unknown, service: object = {}): object {
  return {
    Node: { Node: 'n1', Address: '10.0.0.1' },
    Service: { ID: 'web-1', Service: 'web', Address: '', Port: 80, Tags: ['blue'], ...service },
    Checks: checks,
  }
}

function check(id: string, status: string, more: object = {}): object {
  return { CheckID: id, Name: `${id} check`, Status: status, ServiceID: 'web-1', Output: `${id} says so`, ...more }
}

/** One reading after another, a second apart; the last one's facts. */
function read(...bodies: readonly unknown[]): ServiceFacts {
  let facts: ServiceFacts | null = null
  for (const [at, body] of bodies.entries()) facts = decodeFacts(body, anyTag, facts, (at + 1) * 1000)
  if (facts === null) throw new Error('nothing was read')
  return facts
}

const since = (facts: ServiceFacts) => facts.instances[0]?.checks.map(({ sinceMs, orLonger }) => [sinceMs, orLonger])

test('checks of a long-named service are told apart, and one of the node that becomes that of an instance is that', () => {
  const long = `service:${'x'.repeat(80)}`
  const own = (id: string, status: string, more: object = {}) =>
    check(id, status, { Name: 'alike', Output: '', ...more })
  const first = [own(`${long}:1`, 'critical'), own(`${long}:2`, 'passing'), own('disk', 'warning', { ServiceID: '' })]
  const later = [own(`${long}:1`, 'critical'), own(`${long}:2`, 'critical'), own('disk', 'warning')]
  const facts = read([entry(first)], [entry(later)])
  expect(since(facts)).toEqual([
    [1000, true],
    [2000, false],
    [1000, true],
  ])
  expect(facts.instances[0]?.checks.map(({ ofNode }) => ofNode)).toEqual([false, false, false])
})

describe('of an instance', () => {
  test('who and where it is, its tags, and its checks from bad to good', () => {
    const checks = [
      check('a', 'passing'),
      check('b', 'critical', { Output: 'connect: \n  connection refused\n' }),
      check('serfHealth', 'warning', { ServiceID: '' }),
    ]
    expect(read([entry(checks)])).toEqual({
      readMs: 1000,
      moreInstances: 0,
      instances: [
        {
          instance: 'web-1',
          node: 'n1',
          address: '10.0.0.1:80',
          tags: ['blue'],
          moreChecks: 0,
          lacksTag: null,
          checks: [
            expect.objectContaining({
              id: 'b',
              status: 'critical',
              output: 'connect: connection refused',
              ofNode: false,
            }),
            expect.objectContaining({ id: 'serfHealth', status: 'warning', ofNode: true }),
            expect.objectContaining({ id: 'a', name: 'a check', status: 'passing', output: '' }),
          ],
        },
      ],
    })
  })

  test.each([
    ['of the service', '_service_maintenance:web-1', 'service-maintenance'],
    ['of its node', '_node_maintenance', 'node-maintenance'],
  ])('maintenance %s, with the reason that was given', (_, id, status) => {
    const { instances } = read([entry([check(id, 'critical', { Output: '', Notes: 'new disk' })])])
    expect(instances[0]?.checks).toMatchObject([{ status, output: 'new disk' }])
  })

  test('the tag that it lacks', () => {
    const lacking = (tag: string) => decodeFacts([entry([])], { ...anyTag, tag }, null, 0).instances[0]?.lacksTag
    expect([lacking('blue'), lacking('green\u202e')]).toEqual([null, 'green?'])
  })
})

describe('since when a check is as it is', () => {
  const failing = [entry([check('a', 'critical')])]
  const passing = [entry([check('a', 'passing')])]

  test.each([
    ['since the first reading or longer, when it was so then', [failing, failing, failing], [[1000, true]]],
    ['since the reading that found it changed', [passing, failing, failing], [[2000, false]]],
    ['since it last changed', [failing, passing, failing], [[3000, false]]],
    ['since the reading that found it, when it is new', [[entry([])], failing, failing], [[2000, false]]],
    ['since the reading that found its instance', [[], failing, failing], [[2000, false]]],
    [
      'as before, whatever it says',
      [failing, [entry([check('a', 'critical', { Output: 'other words', Name: 'other name' })])]],
      [[1000, true]],
    ],
    [
      'anew, when its instance is at another address',
      [failing, [entry([check('a', 'critical')], { Port: 81 })]],
      [[2000, false]],
    ],
  ])('%s', (_, bodies, expected) => {
    expect(since(read(...bodies))).toEqual(expected)
  })

  test('two nodes that number their instances alike are not taken for one another', () => {
    const other = { ...entry([check('a', 'passing')]), Node: { Node: 'n2', Address: '10.0.0.1' } }
    const facts = read([entry([check('a', 'critical')]), other], [other, entry([check('a', 'critical')])])
    expect(facts.instances.map(({ node, checks }) => [node, checks[0]?.status, checks[0]?.sinceMs])).toEqual([
      ['n2', 'passing', 1000],
      ['n1', 'critical', 1000],
    ])
  })

  test('where nothing is new the facts are the same objects', () => {
    const [before, after] = [read(failing), read(failing)]
    expect(decodeFacts(failing, anyTag, before, 5000).instances[0]).toBe(before.instances[0])
    expect(after.instances[0]).not.toBe(before.instances[0])
  })
})

describe('whatever is registered, the memory is bounded and the text printable', () => {
  test('outputs, names, tags', () => {
    const long = 'x'.repeat(5000)
    const [instance] = read([
      entry([check(long, 'critical', { Name: `\u001b[2J${long}`, Output: `\u202e${long}` })], {
        Tags: Array.from({ length: 50 }, () => `\u0007${long}`),
      }),
    ]).instances
    expect(instance?.checks[0]?.id).toHaveLength(255)
    expect(instance?.checks[0]?.name).toMatch(/^\?\[2Jx{59}…$/)
    expect(instance?.checks[0]?.output).toMatch(/^\?x{298}…$/)
    expect(instance?.tags).toHaveLength(20)
    expect(instance?.tags[0]).toMatch(/^\?x{62}…$/)
  })

  test('of too many checks the worst are kept', () => {
    const checks = Array.from({ length: 100 }, (_, at) => check(`c${at}`, at === 77 ? 'critical' : 'passing'))
    const [instance] = read([entry(checks)]).instances
    expect(instance?.checks).toHaveLength(MAX_CHECKS)
    expect(instance?.checks[0]).toMatchObject({ id: 'c77', status: 'critical' })
    expect(instance?.moreChecks).toBe(100 - MAX_CHECKS)
  })

  test('of too many instances the first are kept', () => {
    const entries = Array.from({ length: MAX_FACTS + 7 }, (_, at) => entry([], { ID: `web-${at}` }))
    const facts = read(entries)
    expect([facts.instances.length, facts.moreInstances]).toEqual([MAX_FACTS, 7])
  })

  test.each([
    ['no list', {}],
    ['entries that are none', [null, 7, [], { Service: null }]],
    ['checks that are no list', [entry('none')]],
    ['checks that are none', [entry([null, 'x', { Status: 7, Output: {} }])]],
    ['tags that are none', [entry([], { Tags: [null, {}] })]],
  ])('%s', (_, body) => {
    expect(() => decodeFacts(body, anyTag, null, 0)).not.toThrow()
  })
})
