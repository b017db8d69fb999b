import { describe, expect, test } from 'vitest'
import { entriesIn } from '../../src/doctor/registry-etcd.ts'
import { registeredIn } from '../../src/doctor/registry-eureka.ts'
import { answerJson, type Fields, instanceJson } from '../discovery/eureka/eureka-answers.ts'

describe('an answer of Eureka', () => {
  const beatAt = (ms: number, more: Fields = {}, leaseS: unknown = 90) =>
    instanceJson({ leaseInfo: { durationInSecs: leaseS, lastRenewalTimestamp: ms }, ...more })
  const now = 1_795_716_000_000
  const overdue = (...instances: readonly Fields[]) =>
    registeredIn(answerJson(instances))?.overdue.map(({ id, silentMs }) => [id, silentMs])

  test.each<[string, Fields[], [string, number][]]>([
    ['one alone says nothing of the time', [beatAt(now)], []],
    ['two leases and an eviction are waited for', [beatAt(now), beatAt(now - 270_000, { instanceId: 'b' })], []],
    ['and no more', [beatAt(now), beatAt(now - 270_001, { instanceId: 'b' })], [['b', 270_001]]],
    ['a shorter lease', [beatAt(now), beatAt(now - 100_000, { instanceId: 'b' }, 2)], [['b', 100_000]]],
    ['a lease that is none', [beatAt(now), beatAt(now - 100_000, { instanceId: 'b' }, 'x')], []],
    ['one that is DOWN', [beatAt(now), beatAt(1, { instanceId: 'b', status: 'DOWN' })], []],
    ['no beat told', [beatAt(now), beatAt(0, { instanceId: 'b' })], []],
    ['no lease at all', [beatAt(now), instanceJson({ instanceId: 'b', leaseInfo: undefined })], []],
  ])('who has missed his beats: %s', (_, instances, expected) => expect(overdue(...instances)).toEqual(expected))

  test('who has no vipAddress, and which applications go by another name', () => {
    const text = answerJson([
      instanceJson({ vipAddress: 'shop, Store' }),
      instanceJson({ instanceId: 'b', vipAddress: undefined }),
    ])
    expect(registeredIn(text)).toMatchObject({
      count: 2,
      unnamed: [{ app: 'WEB', id: 'b' }],
      aliases: [{ app: 'web', vips: ['shop', 'store'] }],
    })
    // One name of several that is its own is enough.
    expect(registeredIn(answerJson([instanceJson({ vipAddress: 'x,web' })]))?.aliases).toEqual([])
  })

  test('is read in XML as well, and an empty one in both', () => {
    const lease = (ms: number) =>
      `<leaseInfo><durationInSecs>90</durationInSecs><lastRenewalTimestamp>${ms}</lastRenewalTimestamp></leaseInfo>`
    const one = (id: string, ms: number) =>
      `<instance><instanceId>${id}</instanceId><status>UP</status>${lease(ms)}<vipAddress>web</vipAddress></instance>`
    const xml = `<applications><application><name>WEB</name>${one('a', now)}${one('b', now - 600_000)}</application></applications>`
    expect(registeredIn(xml)).toEqual({
      ...{ count: 2, unnamed: [], aliases: [] },
      overdue: [{ app: 'WEB', id: 'b', silentMs: 600_000 }],
    })
    for (const text of ['<applications/>', answerJson([])]) expect(registeredIn(text)?.count).toBe(0)
  })

  test.each(['', 'no', '{}', '[]', '<html>', 'null', '{"applications":7}'])('that is none: %j', (text) =>
    expect(registeredIn(text)).toBeNull(),
  )
})

describe('an answer of etcd', () => {
  const key = (text: string, lease?: string) => ({ key: Buffer.from(text).toString('base64'), lease })
  test('which keys hang on no lease', () => {
    const kvs = [key('/s/web/a', '7587'), key('/s/web/b'), key('/s/web/c', '0'), key('/s/stray'), { key: 7 }, null]
    expect(entriesIn({ kvs, count: '6' }, '/s')).toEqual({
      count: 6,
      permanent: [
        { service: 'web', id: 'b' },
        { service: 'web', id: 'c' },
      ],
    })
  })

  test('an empty one, and one that is none', () => {
    expect(entriesIn({ header: {} }, '/s')).toEqual({ count: 0, permanent: [] })
    for (const body of [{ kvs: 7 }, { count: 'x' }]) expect(entriesIn(body, '/s')).toBeNull()
  })
})
