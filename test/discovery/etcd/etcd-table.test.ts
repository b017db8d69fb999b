/** Does the table hold what etcd has, however it was told? */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Catalog } from '../../../src/balancer/endpoint.ts'
import type { EtcdEvent, KeyValue } from '../../../src/discovery/etcd/etcd-messages.ts'
import { etcdTable, MAX_KEYS } from '../../../src/discovery/etcd/etcd-table.ts'
import type { Oddity } from '../../../src/discovery/oddity.ts'

const rules = { prefix: 's', include: ['*'], exclude: [], tag: null }

function make() {
  const odd: string[] = []
  const report = (service: string, oddities: readonly Oddity[]) =>
    void odd.push(...oddities.map(({ kind }) => `${service}: ${kind}`))
  return { table: etcdTable(rules, report), odd }
}

function keyOf(name: string): string {
  return Buffer.from(`s/${name}`).toString('base64')
}

function kv(name: string, value: string, at: number): KeyValue {
  return { key: keyOf(name), value, modRevision: BigInt(at) }
}

function put(name: string, value: string, at: number): EtcdEvent {
  return { kind: 'put', of: kv(name, value, at) }
}

function gone(name: string, at: number): EtcdEvent {
  return { kind: 'delete', key: keyOf(name), modRevision: BigInt(at) }
}

function shown(catalog: Catalog | null): Record<string, string[]> | null {
  if (catalog === null) return null
  return Object.fromEntries([...catalog.services].map(([name, { endpoints }]) => [name, endpoints.map(({ id }) => id)]))
}

test('there is no catalog before all has been read, and then there is, be it empty', () => {
  const { table } = make()
  expect(table.catalog()).toBe(null)
  expect(table.replace([], 5n)).toEqual({ kind: 'taken', news: true })
  expect(shown(table.catalog())).toEqual({})
  expect(table.revision).toBe(5n)
})

test('events change the services that they are about, and the others stay the same objects', () => {
  const { table } = make()
  table.replace([kv('web/1', 'a:1', 2), kv('api/1', 'a:9', 3)], 4n)
  const api = table.catalog()?.services.get('api')
  expect(table.apply([put('web/2', 'b:2', 5), gone('web/1', 5)])).toEqual({ kind: 'taken', news: true })
  expect(shown(table.catalog())).toEqual({ api: ['a:9'], web: ['b:2'] })
  expect(table.catalog()?.services.get('api')).toBe(api)
  table.apply([gone('web/2', 6)])
  expect(shown(table.catalog())).toEqual({ api: ['a:9'] })
  expect(table.size).toBe(1)
})

test('what is as old as what is known, or older, changes nothing', () => {
  const { table } = make()
  table.replace([kv('web/1', 'a:1', 2)], 10n)
  expect(table.apply([gone('web/1', 10), put('web/2', 'b:2', 9)])).toEqual({ kind: 'taken', news: false })
  expect(table.revision).toBe(10n)
  expect(shown(table.catalog())).toEqual({ web: ['a:1'] })
})

test('a key that is written with the same value is no news, and neither is one that names no instance', () => {
  const { table, odd } = make()
  table.replace([kv('web/1', 'a:1', 2)], 2n)
  expect(table.apply([put('web/1', 'a:1', 3), put('loose', 'x', 4)])).toEqual({ kind: 'taken', news: false })
  expect(table.revision).toBe(4n)
  expect(table.size).toBe(2)
  expect(odd).toEqual([': malformed-entry'])
  expect(table.replace([kv('web/1', 'a:1', 3)], 9n)).toEqual({ kind: 'taken', news: false })
  expect(table.size).toBe(1)
})

test('a reading of a lower revision is taken in too: it is for others to doubt it', () => {
  const { table } = make()
  table.replace([kv('web/1', 'a:1', 2)], 10n)
  expect(table.replace([], 3n)).toEqual({ kind: 'taken', news: true })
  expect(table.revision).toBe(3n)
})

test('more keys than could be instances are not kept, and what was known stays', () => {
  const { table } = make()
  table.replace([kv('web/1', 'a:1', 2)], 2n)
  const many = Array.from({ length: MAX_KEYS + 1 }, (_, at) => kv(`web/${at}`, 'a:1', 3))
  expect(table.replace(many, 3n)).toEqual({ kind: 'full' })
  expect(table.apply(many.map((of) => ({ kind: 'put', of })))).toEqual({ kind: 'full' })
  expect(table.apply([put(`web/${'x'.repeat(33 * 1024 * 1024)}`, 'a:1', 3)])).toEqual({ kind: 'full' })
  expect(shown(table.catalog())).toEqual({ web: ['a:1'] })
  expect(table.revision).toBe(2n)
})

test('events lead to the same catalog as a reading of what they left', () => {
  const names = fc.constantFrom('web/1', 'web/2', 'web/3', 'api/1', 'api/2', 'loose')
  const values = fc.constantFrom('a:1', 'b:1', 'c:1', 'nowhere')
  const change = fc.record({ name: names, value: fc.option(values), sameTransaction: fc.boolean() })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), fc.nat(60), (changes, readAt) => {
      const { table: told } = make()
      const model = new Map<string, KeyValue>()
      told.replace([], 1n)
      let revision = 1
      let message: EtcdEvent[] = []
      for (const [at, { name, value, sameTransaction }] of changes.entries()) {
        const isIn = message.some((each) => (each.kind === 'put' ? each.of.key : each.key) === keyOf(name))
        if (message.length === 0 || !sameTransaction || isIn) {
          // A reading that comes before the watch tells what it has read already.
          if (at >= readAt) told.replace([...model.values()], BigInt(revision))
          told.apply(message)
          message = []
          revision += 1
        }
        message.push(value === null ? gone(name, revision) : put(name, value, revision))
        if (value === null) model.delete(name)
        else model.set(name, kv(name, value, revision))
      }
      told.apply(message)
      const { table: fresh } = make()
      fresh.replace([...model.values()], BigInt(revision))
      expect(told.catalog()).toEqual(fresh.catalog())
      expect(told.size).toBe(model.size)
    }),
    { numRuns: 300 },
  )
})
