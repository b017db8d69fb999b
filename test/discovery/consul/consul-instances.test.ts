import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareEndpoints } from '../../../src/balancer/endpoint.ts'
import {
  type DecodedInstances,
  decodeInstances,
  type InstanceRules,
} from '../../../src/discovery/consul/consul-instances.ts'

const rules: InstanceRules = { tag: null, includeWarning: true }

type Fields = Record<string, unknown>
type Check = { CheckID?: unknown; Name?: unknown; Status?: unknown }

/** One entry as Consul writes it; the fields given replace those of its service. */
function entry(
  service: Fields = {},
  checks: unknown = [],
  node: unknown = { Node: 'n1', Address: '10.0.0.1' },
): unknown {
  const whole = { ID: 'web-1', Service: 'web', Tags: [], Address: '', Port: 80, Weights: { Passing: 1, Warning: 1 } }
  return { Node: node, Service: { ...whole, ...service }, Checks: checks }
}

function check(name: string, status: string): Check {
  return { CheckID: `id-of-${name}`, Name: name, Status: status }
}

function decode(body: unknown, differently: Partial<InstanceRules> = {}): DecodedInstances & { kind: 'instances' } {
  const decoded = decodeInstances(body, { ...rules, ...differently })
  if (decoded.kind === 'unreadable') throw new Error(decoded.message)
  return decoded
}

/** `address:port*weight` of the endpoints, and the reasons of the absentees. */
function outcome(body: unknown, differently: Partial<InstanceRules> = {}): { in: string[]; out: string[] } {
  const { endpoints, absent } = decode(body, differently).service
  return { in: endpoints.map(({ id, weight }) => `${id}*${weight}`), out: absent.map(({ reason }) => reason) }
}

describe('where an instance is', () => {
  test.each([
    ['the service address, when there is one', entry({ Address: '10.0.0.9' }), '10.0.0.9:80'],
    ['the node address, when the service has none', entry({ Address: '' }), '10.0.0.1:80'],
    ['the node address, when the service address is null', entry({ Address: null }), '10.0.0.1:80'],
    ['IPv6, with brackets in the id', entry({ Address: 'FD00::5' }), '[fd00::5]:80'],
    ['IPv6 that was registered in brackets', entry({ Address: '[fd00::5]' }), '[fd00::5]:80'],
    ['a host name', entry({ Address: 'Web.Internal' }), 'web.internal:80'],
    ['the highest port', entry({ Port: 65_535 }), '10.0.0.1:65535'],
  ])('%s', (_, body, id) => {
    const { service, oddities } = decode([body])
    expect(service.endpoints.map((endpoint) => endpoint.id)).toEqual([id])
    expect(oddities).toEqual([])
  })

  test('IPv6 has no brackets in its address', () => {
    expect(decode([entry({ Address: '[FD00:0::5]' })]).service.endpoints).toEqual([
      { id: '[fd00::5]:80', instance: 'web-1', address: 'fd00::5', port: 80, weight: 1 },
    ])
  })

  test.each([
    ['without any address', entry({}, [], { Node: 'n1' }), 'has no address', 'no-address'],
    ['without a node either', entry({}, [], null), 'has no address', 'no-address'],
    ['with white space in its address', entry({ Address: '10.0.0.1 x' }), 'its address is not one', 'bad-address'],
    ['with a control character in it', entry({ Address: '10.0.0.1\r\nX: y' }), 'its address is not one', 'bad-address'],
    ['at any address at all', entry({ Address: '0.0.0.0' }), 'its address is not one', 'bad-address'],
    ['on port 0', entry({ Port: 0 }), 'has no port', 'bad-port'],
    ['without a port', entry({ Port: undefined }), 'has no port', 'bad-port'],
    ['on port 65536', entry({ Port: 65_536 }), 'its port is not one', 'bad-port'],
    ['on port -1', entry({ Port: -1 }), 'its port is not one', 'bad-port'],
    ['on port 80.5', entry({ Port: 80.5 }), 'its port is not one', 'bad-port'],
    ['on a port in words', entry({ Port: '80' }), 'its port is not one', 'bad-port'],
  ])('an instance %s is absent, and odd', (_, body, reason, kind) => {
    const { service, oddities } = decode([body])
    expect(service.endpoints).toEqual([])
    expect(service.absent).toMatchObject([{ instance: 'web-1', reason }])
    expect(oddities).toMatchObject([{ kind, subject: 'web-1' }])
  })
})

describe('how healthy an instance is', () => {
  const serviceMaintenance = { CheckID: '_service_maintenance:web-1', Name: 'Service Maintenance', Status: 'critical' }
  const nodeMaintenance = { CheckID: '_node_maintenance', Name: 'Node Maintenance', Status: 'critical' }

  test.each([
    ['expect an instance without checks to be in rotation', []],
    ['expect an instance whose checks are null to be in rotation', null],
    ['expect a passing check to keep it in rotation', [check('http', 'passing')]],
    ['expect all passing checks to keep it in rotation', [check('http', 'passing'), check('disk', 'passing')]],
    ['expect a warning to keep it in rotation', [check('http', 'warning'), check('disk', 'passing')]],
  ])('%s', (_, checks) => {
    expect(outcome([entry({}, checks)])).toEqual({ in: ['10.0.0.1:80*1'], out: [] })
  })

  test.each([
    ['a critical check of the service', [check('http', 'critical')], 'check "http" is critical'],
    [
      'a critical check of the node',
      [check('Serf Health Status', 'critical')],
      'check "Serf Health Status" is critical',
    ],
    ['one critical check among passing ones', [check('a', 'passing'), check('b', 'critical')], 'check "b" is critical'],
    [
      'a critical check rather than a warning one',
      [check('a', 'warning'), check('b', 'critical')],
      'check "b" is critical',
    ],
    [
      'several critical checks, the first by name',
      [check('b', 'critical'), check('a', 'critical')],
      'check "a" and 1 more are critical',
    ],
    ['a check without a name by its id', [{ CheckID: 'c7', Name: '', Status: 'critical' }], 'check "c7" is critical'],
    ['a check without either', [{ Status: 'critical' }], 'check "unnamed" is critical'],
    ['maintenance of the service', [serviceMaintenance], 'in maintenance mode'],
    ['maintenance of the node', [nodeMaintenance], 'its node is in maintenance mode'],
    [
      'maintenance rather than a critical check',
      [check('http', 'critical'), serviceMaintenance],
      'in maintenance mode',
    ],
    ['the node rather than the service', [nodeMaintenance, serviceMaintenance], 'its node is in maintenance mode'],
  ])('expect it absent for %s', (_, checks, reason) => {
    expect(outcome([entry({}, checks)])).toEqual({ in: [], out: [reason] })
  })

  test.each([
    ['a status nobody knows', [check('http', 'sleepy')], 'check "http" is critical'],
    ['a check without a status', [{ Name: 'http' }], 'check "http" is critical'],
    ['a check that is no object', [7], 'check "unreadable" is critical'],
    ['checks that are no list', 'none', 'its checks cannot be read'],
  ])('expect %s to count as critical, and to be odd', (_, checks, reason) => {
    const { service, oddities } = decode([entry({}, checks)])
    expect(service.endpoints).toEqual([])
    expect(service.absent.map((absentee) => absentee.reason)).toEqual([reason])
    expect(oddities).toMatchObject([{ kind: 'malformed-check', subject: 'web-1' }])
  })

  test('expect a warning instance absent when warnings are not wanted', () => {
    const body = [entry({}, [check('http', 'warning')])]
    expect(outcome(body, { includeWarning: false })).toEqual({ in: [], out: ['check "http" is warning'] })
  })

  test('expect an absentee to tell its place', () => {
    const { absent } = decode([entry({ Address: 'fd00::5' }, [check('http', 'critical')])]).service
    expect(absent).toEqual([{ instance: 'web-1', address: '[fd00::5]:80', reason: 'check "http" is critical' }])
  })
})

describe('how much an instance weighs', () => {
  const warns = [check('http', 'warning')]
  test.each([
    ['passing, its passing weight', { Passing: 10, Warning: 3 }, [], 10],
    ['warning, its warning weight', { Passing: 10, Warning: 3 }, warns, 3],
    ['without weights, 1', undefined, [], 1],
    ['with null for weights, 1', null, [], 1],
    ['without the weight in question, 1', { Passing: 10 }, warns, 1],
    ['the highest weight', { Passing: 65_535, Warning: 1 }, [], 65_535],
  ])('%s', (_, Weights, checks, weight) => {
    const { service, oddities } = decode([entry({ Weights }, checks)])
    expect(service.endpoints.map((endpoint) => endpoint.weight)).toEqual([weight])
    expect(oddities).toEqual([])
  })

  test.each([
    ['too high a weight is the highest', 70_000, 65_535],
    ['an endless weight is the highest', Number.POSITIVE_INFINITY, 65_535],
    ['a negative weight is the lowest', -3, 1],
    ['a fraction is rounded down', 2.9, 2],
    ['but not to nothing', 0.5, 1],
    ['what is no number is 1', '5', 1],
    ['what is not even that is 1', Number.NaN, 1],
    ['null is 1', null, 1],
  ])('%s, and odd', (_, Passing, weight) => {
    const { service, oddities } = decode([entry({ Weights: { Passing, Warning: 1 } })])
    expect(service.endpoints.map((endpoint) => endpoint.weight)).toEqual([weight])
    expect(oddities).toMatchObject([{ kind: 'bad-weight' }])
  })

  test('weights that are no object count as 1, and are odd', () => {
    const { service, oddities } = decode([entry({ Weights: 5.5 })])
    expect(service.endpoints.map((endpoint) => endpoint.weight)).toEqual([5])
    expect(oddities).toMatchObject([{ kind: 'bad-weight' }])
  })

  test.each([
    ['a passing instance of weight 0', { Passing: 0, Warning: 1 }, [], 'its weight is 0'],
    [
      'a warning instance of warning weight 0',
      { Passing: 1, Warning: 0 },
      warns,
      'check "http" is warning and its warning weight is 0',
    ],
  ])('%s is absent', (_, Weights, checks, reason) => {
    expect(outcome([entry({ Weights }, checks)])).toEqual({ in: [], out: [reason] })
  })
})

describe('which instances are wanted', () => {
  test.each([
    ['with the tag', { Tags: ['blue', 'v2'] }, { in: ['10.0.0.1:80*1'], out: [] }],
    ['with another tag', { Tags: ['green'] }, { in: [], out: ['lacks the tag "v2"'] }],
    ['with no tags', { Tags: [] }, { in: [], out: ['lacks the tag "v2"'] }],
    ['with null for tags', { Tags: null }, { in: [], out: ['lacks the tag "v2"'] }],
    ['with a text for tags', { Tags: 'v2' }, { in: [], out: ['lacks the tag "v2"'] }],
  ])('an instance %s, when v2 is wanted', (_, service, expected) => {
    expect(outcome([entry(service)], { tag: 'v2' })).toEqual(expected)
  })
})

describe('several instances at one address and port', () => {
  const at = (id: string, checks: Check[] = [], weight = 1, node = 'n1') =>
    entry({ ID: id, Weights: { Passing: weight, Warning: 1 } }, checks, { Node: node, Address: '10.0.0.1' })

  test('are one endpoint, which the first id stands for; the others say so, and are odd', () => {
    const { service, oddities } = decode([at('c', [], 3), at('a', [], 5), at('b', [], 4)])
    expect(service.endpoints).toEqual([{ id: '10.0.0.1:80', instance: 'a', address: '10.0.0.1', port: 80, weight: 5 }])
    expect(service.absent).toEqual([
      { instance: 'b', address: '10.0.0.1:80', reason: 'same address and port as "a"' },
      { instance: 'c', address: '10.0.0.1:80', reason: 'same address and port as "a"' },
    ])
    expect(oddities.map(({ kind, subject }) => `${kind} ${subject}`)).toEqual(['shared-address b', 'shared-address c'])
  })

  test('are in rotation if one of them is healthy', () => {
    const { service, oddities } = decode([at('a', [check('http', 'critical')]), at('b')])
    expect(service.endpoints).toMatchObject([{ id: '10.0.0.1:80', instance: 'b' }])
    expect(service.absent).toMatchObject([{ instance: 'a', reason: 'check "http" is critical' }])
    expect(oddities).toMatchObject([{ kind: 'shared-address', subject: 'a' }])
  })

  test('are absent if none of them is', () => {
    const sick = [check('http', 'critical')]
    expect(outcome([at('a', sick), at('b', sick)])).toEqual({
      in: [],
      out: ['check "http" is critical', 'check "http" is critical'],
    })
  })

  test('may even have one id, on two nodes: the first node stands for it', () => {
    const { service } = decode([at('a', [], 7, 'n2'), at('a', [], 5, 'n1')])
    expect(service.endpoints).toMatchObject([{ instance: 'a', weight: 5 }])
  })

  test('also in two spellings of one address', () => {
    const { service } = decode([entry({ ID: 'a', Address: 'FD00::5' }), entry({ ID: 'b', Address: 'fd00:0::5' })])
    expect(service.endpoints).toMatchObject([{ id: '[fd00::5]:80', instance: 'a' }])
  })

  test('but not on two ports', () => {
    expect(outcome([entry({ ID: 'a', Port: 81 }), entry({ ID: 'b', Port: 80 })]).in).toEqual([
      '10.0.0.1:80*1',
      '10.0.0.1:81*1',
    ])
  })
})

describe('answers that are not what they should be', () => {
  test.each([[null], [{}], ['<html>'], [7], [undefined]])('%j is unreadable', (body) => {
    expect(decodeInstances(body, rules)).toEqual({
      kind: 'unreadable',
      message: 'the list of instances is not an array',
    })
  })

  test.each([[null], [7], ['web'], [[]], [{}], [{ Service: null }], [{ Service: [] }]])(
    'an entry %j is skipped as an oddity, and the others count',
    (strange) => {
      const { service, oddities } = decode([strange, entry()])
      expect(service).toMatchObject({ endpoints: [{ id: '10.0.0.1:80' }], absent: [] })
      expect(oddities).toMatchObject([{ kind: 'malformed-entry' }])
    },
  )

  test('an empty answer empties the service', () => {
    expect(decode([]).service).toEqual({ endpoints: [], absent: [] })
  })

  test('foreign texts are bounded and printable wherever they end up', () => {
    const long = `evil\n\u001b[31m\u202e${'x'.repeat(100_000)}`
    const { service, oddities } = decode([
      entry({ ID: long, Port: 1 }, [{ Name: long, Status: 'critical' }]),
      entry({ ID: long, Port: 2 }, [{ Name: long, Status: long }]),
      entry({ ID: long, Address: long, Port: 3 }),
      entry({ ID: long, Port: long }),
      entry({ ID: long, Port: 4, Weights: { Passing: long } }),
    ])
    const texts = [...service.endpoints, ...service.absent, ...oddities].flatMap((item) => Object.values(item))
    for (const text of texts.map(String)) {
      expect(text.length).toBeLessThanOrEqual(300)
      expect(text).not.toMatch(/\p{C}/u)
    }
    expect(texts.length).toBeGreaterThan(20)
  })
})

describe('whatever the JSON', () => {
  const name = fc.constantFrom('a', 'b', 'c')
  const address = fc.constantFrom('', '10.0.0.1', '10.0.0.2', 'fd00::1', 'FD00:0::1', '0.0.0.0', 'x y')
  const status = fc.constantFrom('passing', 'warning', 'critical', 'odd')
  const checkId = fc.constantFrom('http', '_node_maintenance', '_service_maintenance:a')
  const oneCheck = fc.record({ CheckID: checkId, Name: name, Status: status })
  const plausible = fc.record({
    Node: fc.record({ Node: name, Address: address }),
    Service: fc.record({
      ID: name,
      Address: address,
      Port: fc.constantFrom(0, 80, 81, 70_000),
      Tags: fc.array(name, { maxLength: 2 }),
      Weights: fc.record({ Passing: fc.integer({ min: -1, max: 70_000 }), Warning: fc.integer({ min: 0, max: 3 }) }),
    }),
    Checks: fc.array(oneCheck, { maxLength: 3 }),
  })
  const anyEntry = fc.oneof({ weight: 4, arbitrary: plausible }, { weight: 1, arbitrary: fc.jsonValue() })
  const anyRules = fc.record({ tag: fc.constantFrom(null, 'a'), includeWarning: fc.boolean() })

  test('it never throws', () => {
    fc.assert(
      fc.property(fc.jsonValue(), anyRules, (body, given) => {
        const decoded = decodeInstances(body, given)
        expect(decoded.kind === 'instances').toBe(Array.isArray(body))
      }),
    )
    const deep = fc.record({
      Node: fc.jsonValue(),
      Service: fc.oneof(
        fc.jsonValue(),
        fc.record({ ID: fc.jsonValue(), Port: fc.jsonValue(), Weights: fc.jsonValue() }),
      ),
      Checks: fc.oneof(fc.jsonValue(), fc.array(fc.record({ CheckID: fc.jsonValue(), Status: fc.jsonValue() }))),
    })
    fc.assert(fc.property(fc.array(deep), anyRules, (body, given) => void decodeInstances(body, given)))
  })

  test('endpoints are ordered and unique, with ports and weights in range, and no instance is lost', () => {
    fc.assert(
      fc.property(fc.array(anyEntry, { maxLength: 12 }), anyRules, (body, given) => {
        const { service, oddities } = decode(body, given)
        const { endpoints, absent } = service
        expect(endpoints).toEqual([...endpoints].sort(compareEndpoints))
        expect(new Set(endpoints.map((endpoint) => endpoint.id)).size).toBe(endpoints.length)
        for (const { weight, port } of endpoints) {
          for (const number of [weight, port]) {
            expect(Number.isInteger(number)).toBe(true)
            expect(number).toBeGreaterThanOrEqual(1)
            expect(number).toBeLessThanOrEqual(65_535)
          }
        }
        const skipped = oddities.filter((oddity) => oddity.kind === 'malformed-entry').length
        expect(endpoints.length + absent.length + skipped).toBe(body.length)
      }),
    )
  })

  test('the order of the entries and of their checks means nothing', () => {
    const shuffled = fc
      .array(plausible, { maxLength: 8 })
      .chain((body) => fc.tuple(fc.constant(body), fc.shuffledSubarray(body, { minLength: body.length })))
    fc.assert(
      fc.property(shuffled, anyRules, ([body, otherwise], given) => {
        const reversed = otherwise.map((item) => ({ ...item, Checks: [...item.Checks].reverse() }))
        expect(decodeInstances(reversed, given)).toEqual(decodeInstances(body, given))
      }),
      { numRuns: 500 },
    )
  })
})
