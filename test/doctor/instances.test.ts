import { describe, expect, test } from 'vitest'
import { listedInstances, readInstances } from '../../src/doctor/instances.ts'

const rules = { tag: null, includeWarning: true }
const serf = { CheckID: 'serfHealth', Name: 'Serf Health Status', Status: 'passing' }
const http = { CheckID: 'service:w', Name: 'http', Status: 'passing' }

function entry(service: object = {}, checks: unknown = [serf, http], node: object = {}) {
  return {
    Node: { Node: 'n2', Address: '192.0.2.9', ...node },
    Service: { ID: 'w', Service: 'web', Address: '192.0.2.1', Port: 80, ...service },
    Checks: checks,
  }
}

function read(given: unknown, with_: Partial<typeof rules> | { tag: string } = {}) {
  return readInstances([given], { ...rules, ...with_ }, 1000)
}

test('an instance with all that it has', () => {
  expect(readInstances([entry()], rules, 1000)).toEqual({
    instances: [
      {
        ...{ id: 'w', node: 'n2', stated: '192.0.2.1', address: '192.0.2.1', port: 80, place: '192.0.2.1:80' },
        ...{ standing: 'routed', reason: null, checks: 1, connectTimeoutMs: 1000 },
      },
    ],
    untagged: null,
    oddities: [],
  })
})

test('two at one address and port stay two, each judged by itself', () => {
  const both = readInstances([entry({ ID: 'w1' }), entry({ ID: 'w2' })], rules, 1000)
  expect(both?.instances.map(({ id, standing, place }) => [id, standing, place])).toEqual([
    ['w1', 'routed', '192.0.2.1:80'],
    ['w2', 'routed', '192.0.2.1:80'],
  ])
})

describe('it stands', () => {
  const maintenance = { CheckID: '_service_maintenance:w', Name: 'Service Maintenance Mode', Status: 'critical' }
  test.each<[string, unknown, Partial<typeof rules>, object]>([
    ['routed while it passes', entry(), {}, { standing: 'routed', reason: null }],
    ['routed without any check', entry({}, null), {}, { standing: 'routed', checks: 0 }],
    ['routed with only its node looked after', entry({}, [serf]), {}, { standing: 'routed', checks: 0 }],
    ["routed with its node's own check", entry({}, [serf, { ...http, CheckID: 'disk' }]), {}, { checks: 1 }],
    [
      'critical with a check that fails',
      entry({}, [serf, { ...http, Status: 'critical' }]),
      {},
      { standing: 'critical', reason: 'check "http" is critical' },
    ],
    ['critical when its agent is lost', entry({}, [{ ...serf, Status: 'critical' }]), {}, { standing: 'critical' }],
    ['critical with a check that cannot be read', entry({}, [{ ...http, Status: 7 }]), {}, { standing: 'critical' }],
    ['routed while a check warns', entry({}, [{ ...http, Status: 'warning' }]), {}, { standing: 'routed' }],
    [
      'out while a check warns, where that is not wanted',
      entry({}, [{ ...http, Status: 'warning' }]),
      { includeWarning: false },
      { standing: 'out' },
    ],
    [
      'out in maintenance, whatever else fails',
      entry({}, [maintenance, { ...http, Status: 'critical' }]),
      {},
      { standing: 'out', reason: 'in maintenance mode' },
    ],
    [
      'out without a port',
      entry({ Port: 0 }),
      {},
      { standing: 'out', port: null, place: '192.0.2.1', reason: 'has no port' },
    ],
    [
      'out with an address that is none',
      entry({ Address: '0.0.0.0' }),
      {},
      { standing: 'out', address: null, stated: '0.0.0.0', place: '0.0.0.0:80' },
    ],
    [
      "routed at its node's address, if it has none",
      entry({ Address: '' }),
      {},
      { address: '192.0.2.9', place: '192.0.2.9:80' },
    ],
    [
      'routed at an address of IPv6',
      entry({ Address: '[FD00:0::5]' }),
      {},
      { address: 'fd00::5', place: '[fd00::5]:80' },
    ],
  ])('%s', (_, given, more, expected) => expect(read(given, more)?.instances).toMatchObject([expected]))
})

test('those without the tag that the config wants are counted, and nothing else is said of them', () => {
  const given = [
    entry({ ID: 'a', Tags: ['blue'] }),
    entry({ ID: 'b', Tags: ['green'], Port: 0 }),
    entry({ ID: 'c', Tags: null }),
  ]
  const found = readInstances(given, { ...rules, tag: 'blue' }, 1000)
  expect(found?.instances.map(({ id }) => id)).toEqual(['a'])
  expect(found?.untagged).toEqual({ tag: 'blue', count: 2 })
  expect(found?.oddities).toEqual([])
})

test('texts are made printable', () => {
  const [found] = read(entry({ ID: 'a\nb\u202e' }, [], { Node: 'n\x1b[2J' }))?.instances ?? []
  expect([found?.id, found?.node]).toEqual(['a?b?', 'n?[2J'])
})

test.each([[null], [{}], ['x'], [7]])('%j is no list of instances', (body) => {
  expect(readInstances(body, rules, 1000)).toBe(null)
})

test.each([[null], [7], [{}], [{ Service: null }], [[]]])('an entry %j is no instance, and that is told', (strange) => {
  expect(read(strange)).toMatchObject({ instances: [], oddities: [{ kind: 'malformed-entry' }] })
})

test('a fixed list', () => {
  const known = { node: '', standing: 'routed', reason: null, checks: null, connectTimeoutMs: 9 }
  expect(listedInstances(['Web-1:80', '[::1]:81'], 9)).toEqual([
    { ...known, id: 'web-1:80', stated: 'Web-1:80', address: 'web-1', port: 80, place: 'web-1:80' },
    { ...known, id: '[::1]:81', stated: '[::1]:81', address: '::1', port: 81, place: '[::1]:81' },
  ])
})
