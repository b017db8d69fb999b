import { describe, expect, test } from 'vitest'
import type { EurekaEntry, EurekaInstance } from '../../../src/discovery/eureka/eureka-answer.ts'
import {
  type Deletions,
  type EurekaRegistry,
  emptyRegistry,
  hashOf,
  instancesOf,
  MAX_LOST,
  withDelta,
  withFull,
  withoutExpired,
} from '../../../src/discovery/eureka/eureka-registry.ts'

const nobody: Deletions = new Map()

function instance(key: string, fields: Partial<EurekaInstance> = {}): EurekaInstance {
  const port = { number: 80, enabled: true }
  const names = { key, app: 'WEB', id: key, hostName: key, ipAddr: '10.0.0.1', vipAddress: '' }
  return { ...names, status: 'UP', port, securePort: port, updatedMs: 1000, leaseMs: 90_000, ...fields }
}

const entry = (key: string, fields: Partial<EurekaInstance> = {}): EurekaEntry => ({
  instance: instance(key, fields),
  isDeleted: false,
})
const deletion = (key: string, updatedMs = 2000): EurekaEntry => ({
  instance: instance(key, { updatedMs }),
  isDeleted: true,
})
const full = (before: EurekaRegistry, entries: EurekaEntry[], deleted = nobody, nowMs = 0) =>
  withFull(before, entries, deleted, nowMs)
const keys = (registry: EurekaRegistry) => [...instancesOf(registry)].map(({ instance }) => instance.key).sort()

describe('the hash', () => {
  test.each<[string, string[], string]>([
    ['of nobody is empty', [], ''],
    ['counts', ['UP', 'UP'], 'UP_2_'],
    [
      'has the statuses in order',
      ['UP', 'STARTING', 'DOWN', 'UP', 'OUT_OF_SERVICE'],
      'DOWN_1_OUT_OF_SERVICE_1_STARTING_1_UP_2_',
    ],
  ])('%s', (_, statuses, hash) => {
    const entries = statuses.map((status, at) => entry(`${at}`, { status }))
    expect(hashOf(full(emptyRegistry, entries).instances)).toBe(hash)
  })
})

describe('a delta', () => {
  const before = full(emptyRegistry, [entry('a'), entry('b')])

  test('adds, changes and deletes', () => {
    const after = withDelta(before, [entry('c'), entry('a', { status: 'DOWN', updatedMs: 2000 }), deletion('b')])
    expect(keys(after)).toEqual(['a', 'c'])
    expect(hashOf(after.instances)).toBe('DOWN_1_UP_1_')
    expect(hashOf(before.instances)).toBe('UP_2_')
  })

  test.each<[string, EurekaEntry[]]>([
    ['that is empty', []],
    ['that repeats what is known', [entry('a'), entry('b')]],
    ['that deletes who is not known', [deletion('x')]],
    ['of an older cache', [entry('a', { status: 'DOWN', updatedMs: 999 }), deletion('b', 999)]],
  ])('%s changes nothing', (_, entries) => {
    expect(withDelta(before, entries)).toBe(before)
  })

  test('without times is believed', () => {
    const untimed = full(emptyRegistry, [entry('a', { updatedMs: 0 })])
    expect(keys(withDelta(untimed, [deletion('a', 0)]))).toEqual([])
  })
})

describe('a full answer', () => {
  const before = full(emptyRegistry, [entry('a'), entry('b'), entry('c', { status: 'DOWN' })])

  test('that says the same changes nothing', () => {
    expect(full(before, [entry('c', { status: 'DOWN' }), entry('b'), entry('a')])).toBe(before)
  })

  test('adds and changes', () => {
    const after = full(before, [entry('a', { status: 'DOWN' }), entry('b'), entry('d')])
    expect(hashOf(after.instances)).toBe('DOWN_1_UP_2_')
    expect(after.lost.size).toBe(0)
  })

  test('that lacks one of which a delta says that it was deleted: it is gone', () => {
    expect(keys(full(before, [entry('a')], new Map([['b', 2000]])))).toEqual(['a'])
  })

  test('that lacks one without a word: it is kept, but not counted, for as long as its lease', () => {
    const after = full(before, [entry('a')], nobody, 5000)
    expect(keys(after)).toEqual(['a', 'b'])
    expect(hashOf(after.instances)).toBe('UP_1_')
    expect(withoutExpired(after, 94_999)).toBe(after)
    expect(keys(withoutExpired(after, 95_000))).toEqual(['a'])
  })

  test('of an older cache than the delta: who is deleted stays so, but not who has come back since', () => {
    const deleted = new Map([
      ['a', 2000],
      ['b', 2000],
    ])
    expect(keys(full(before, [entry('a'), entry('b', { updatedMs: 2001 })], deleted))).toEqual(['b'])
  })

  test('that goes on lacking it does not make its time longer', () => {
    const first = full(before, [entry('a')], nobody, 5000)
    expect(full(first, [entry('a')], nobody, 50_000)).toBe(first)
  })

  test('that lacks one that was not up anyway: it is gone', () => {
    expect(keys(full(before, [entry('a'), entry('b')]))).toEqual(['a', 'b'])
  })
})

describe('one that was lost', () => {
  const lost = full(full(emptyRegistry, [entry('a'), entry('b')]), [], nobody, 0)

  test.each<[string, EurekaRegistry, string[]]>([
    ['is back with a delta', withDelta(lost, [entry('a', { updatedMs: 3000 })]), ['b']],
    ['is back with a full answer', full(lost, [entry('a', { updatedMs: 3000 })]), ['b']],
    ['is back, and down', withDelta(lost, [entry('a', { status: 'DOWN' })]), ['b']],
    ['is gone when a delta says so', withDelta(lost, [deletion('a')]), ['b']],
    ['is gone when one before a full answer says so', full(lost, [], new Map([['a', 2000]])), ['b']],
  ])('%s', (_, after, still) => {
    expect([...after.lost.keys()]).toEqual(still)
  })
})

test('a server that names others each time does not fill the memory with those that it named before', () => {
  const many = (name: string) => Array.from({ length: 20_000 }, (_, at) => entry(`${name}-${at}`))
  let registry = emptyRegistry
  for (const name of ['a', 'b', 'c', 'd', 'e']) registry = full(registry, many(name))
  expect(registry.instances.size).toBe(20_000)
  expect(registry.lost.size).toBe(MAX_LOST)
})
