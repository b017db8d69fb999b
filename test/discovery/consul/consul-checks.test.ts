import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type AilingChecks,
  checksOfInstances,
  decodeAilingChecks,
} from '../../../src/discovery/consul/consul-checks.ts'

type Check = Readonly<Record<string, unknown>>

function check(node: string, id: string, status: string, service = '', more: Check = {}): Check {
  return { Node: node, CheckID: id, Name: id, Status: status, ServiceName: service, ...more }
}

function ailing(...checks: unknown[]): AilingChecks {
  const decoded = decodeAilingChecks(checks)
  if (decoded.kind === 'unreadable') throw new Error(decoded.message)
  return decoded.checks
}

/** An answer about a service: node → the checks of its instance there, the node's own among them. */
function instances(nodes: Readonly<Record<string, readonly Check[]>>): unknown {
  return Object.entries(nodes).map(([node, checks]) => ({ Node: { Node: node }, Service: {}, Checks: checks }))
}

const bad = check('n1', 'http', 'critical', 'web')

describe('what is known of a service agrees with the list of failing checks', () => {
  test.each<[string, readonly Check[], Readonly<Record<string, readonly Check[]>>]>([
    ['nothing fails', [], { n1: [check('n1', 'http', 'passing', 'web')] }],
    ['it has no check at all', [], { n1: [] }],
    ['it has no instance', [], {}],
    ['a check of it fails', [bad], { n1: [bad] }],
    ['only what the check says is another', [{ ...bad, Output: 'a' }], { n1: [{ ...bad, Output: 'b' }] }],
    ['a check of another service fails', [check('n1', 'http', 'critical', 'api')], { n1: [] }],
    ['a check of a node fails that it is not on', [check('n2', 'serf', 'critical')], { n1: [] }],
    ['a check of its node fails', [check('n1', 'serf', 'critical')], { n1: [check('n1', 'serf', 'critical')] }],
    [
      'several fail, told in another order',
      [check('n2', 'b', 'warning', 'web'), bad],
      { n1: [bad], n2: [check('n2', 'b', 'warning', 'web')] },
    ],
    ['a server that knows no filter lists what passes too', [check('n1', 'http', 'passing', 'web')], { n1: [] }],
  ])('when %s', (_, checks, nodes) => {
    const read = checksOfInstances(instances(nodes))
    expect(ailing(...checks).of('web', read.nodes)).toBe(read.ailing)
  })
})

describe('it does not agree', () => {
  test.each<[string, readonly Check[], Readonly<Record<string, readonly Check[]>>]>([
    ['when a check of it begins to fail', [bad], { n1: [check('n1', 'http', 'passing', 'web')] }],
    ['when one passes again', [], { n1: [bad] }],
    ['when one goes from warning to critical', [bad], { n1: [{ ...bad, Status: 'warning' }] }],
    ['when a failing one has another name', [bad], { n1: [{ ...bad, Name: 'other' }] }],
    ['when its node begins to fail', [check('n1', 'serf', 'critical')], { n1: [], n2: [] }],
    ['when its node goes into maintenance', [check('n2', '_node_maintenance', 'critical')], { n1: [], n2: [] }],
    ['when its node passes again', [], { n1: [check('n1', 'serf', 'critical')] }],
    ['when the same check fails on another node', [check('n2', 'http', 'critical', 'web')], { n1: [bad], n2: [] }],
    ['when a second one fails', [bad, check('n1', 'b', 'critical', 'web')], { n1: [bad] }],
  ])('%s', (_, checks, nodes) => {
    const read = checksOfInstances(instances(nodes))
    expect(ailing(...checks).of('web', read.nodes)).not.toBe(read.ailing)
  })
})

test.each([null, {}, 'hello', 7, undefined])('%j is no list of checks', (body) => {
  expect(decodeAilingChecks(body)).toEqual({ kind: 'unreadable', message: 'the list of checks is not an array' })
  expect(checksOfInstances(body)).toEqual({ nodes: [], ailing: '' })
})

test('whatever stands in the lists, nothing throws', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), (body) => {
      const checks = ailing(...body)
      expect(checks.of('web', ['n1'])).toBeTypeOf('string')
      expect(checksOfInstances(body).ailing).toBeTypeOf('string')
    }),
  )
})

test('property: an instance list and a list of failing checks that are made of the same checks always agree', () => {
  const status = fc.constantFrom('passing', 'warning', 'critical')
  const one = fc.record({
    node: fc.constantFrom('n1', 'n2', 'n3'),
    id: fc.constantFrom('a', 'b'),
    service: fc.constantFrom('web', 'api', ''),
    status,
  })
  // A check is one of its node: there are no two of the same id.
  const distinct = fc.uniqueArray(one, { selector: ({ node, id }) => `${node} ${id}` })
  fc.assert(
    fc.property(distinct, fc.uniqueArray(fc.constantFrom('n1', 'n2', 'n3')), (list, others) => {
      const checks = list.map(({ node, id, status, service }) => check(node, id, status, service))
      const nodes = new Set([...others, ...checks.filter((c) => c.ServiceName === 'web').map((c) => String(c.Node))])
      const of = (node: string) => checks.filter((c) => c.Node === node && ['web', ''].includes(String(c.ServiceName)))
      const read = checksOfInstances(instances(Object.fromEntries([...nodes].map((node) => [node, of(node)]))))
      const listed = checks.filter((c) => c.Status !== 'passing').reverse()
      expect(ailing(...listed).of('web', read.nodes)).toBe(read.ailing)
    }),
  )
})
