/** What do fabio's tags of an instance become in the catalog? */

import { expect, test } from 'vitest'
import { sameService } from '../../../src/balancer/endpoint.ts'
import { decodeInstances, type InstanceRules } from '../../../src/discovery/consul/consul-instances.ts'

const on: InstanceRules = { tag: null, includeWarning: true, fabioTags: true }

/** An instance on port 80 + `at`, as Consul writes it. */
function entry(at: number, tags: unknown, status = 'passing', port = 80 + at): unknown {
  const service = { ID: `web-${at}`, Service: 'web', Tags: tags, Address: '10.0.0.1', Port: port }
  return { Node: { Node: 'n1' }, Service: service, Checks: [{ CheckID: 'c', Name: 'c', Status: status }] }
}

function decode(rules: InstanceRules, ...body: unknown[]) {
  const decoded = decodeInstances(body, rules)
  if (decoded.kind === 'unreadable') throw new Error(decoded.message)
  return decoded
}

/** The claimed paths, by instance. */
function claimed(rules: InstanceRules, ...body: unknown[]) {
  const { endpoints, absent } = decode(rules, ...body).service
  return Object.fromEntries(
    [...endpoints, ...absent].map(({ instance, claims }) => [instance, claims?.map((c) => c.path)]),
  )
}

test('each instance has the claims of its own tags, in rotation or not', () => {
  const body = [entry(1, ['blue', 'urlprefix-/a']), entry(2, ['urlprefix-/b'], 'critical'), entry(3, null)]
  expect(claimed(on, ...body)).toEqual({ 'web-1': ['/a'], 'web-2': ['/b'], 'web-3': undefined })
})

test('unless they are asked for tags are only tags', () => {
  const { service, oddities } = decode({ tag: null, includeWarning: true }, entry(1, ['urlprefix-/a proto=https']))
  expect([service.endpoints[0]?.claims, oddities]).toEqual([undefined, []])
})

test('an instance that lacks the tag that is wanted claims nothing', () => {
  const rules = { ...on, tag: 'blue' }
  expect(claimed(rules, entry(1, ['urlprefix-/a']), entry(2, ['urlprefix-/a', 'blue']))).toEqual({
    'web-1': undefined,
    'web-2': ['/a'],
  })
})

test('instances at one address are one endpoint with the claims of all, in whatever order they come', () => {
  const [a, b] = [entry(1, ['urlprefix-/a'], 'passing', 80), entry(2, ['urlprefix-/b'], 'passing', 80)]
  expect(claimed(on, a, b)).toMatchObject({ 'web-1': ['/a', '/b'] })
  expect(decode(on, a, b)).toEqual(decode(on, b, a))
})

test('what is not understood is an oddity by its tag: of many instances with the same one it is told once', () => {
  const { oddities } = decode(on, entry(1, ['urlprefix-/a proto=tcp2']), entry(2, ['urlprefix-/a proto=tcp2']))
  expect(new Set(oddities.map(({ kind, subject }) => `${kind} ${subject}`))).toEqual(
    new Set(['bad-route-tag urlprefix-/a proto=tcp2']),
  )
})

test('a tag that changes is another catalog; the order of tags is not', () => {
  const of = (...tags: string[]) => decode(on, entry(1, tags)).service
  expect(sameService(of('urlprefix-/a', 'urlprefix-/b'), of('urlprefix-/b', 'urlprefix-/a', 'blue'))).toBe(true)
  expect(sameService(of('urlprefix-/a'), of('urlprefix-/b'))).toBe(false)
  expect(sameService(of('urlprefix-/a'), of('urlprefix-/a strip=/a'))).toBe(false)
  expect(sameService(of('urlprefix-/a'), of())).toBe(false)
  const absent = (...tags: string[]) => decode(on, entry(1, tags, 'critical')).service
  expect(sameService(absent('urlprefix-/a'), absent('urlprefix-/b'))).toBe(false)
})
