/** What does the source do when the one who answers is no ZooKeeper, or not as it should be? All servers here are fakes. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createZookeeperSource } from '../../../src/discovery/zookeeper/zookeeper-source.ts'
import { waitFor } from '../../support/wait.ts'
import type { Followed } from '../follow.ts'
import { answer, type FakeZookeeper, hello, type Instead, requestTypes, startFakeZookeeper } from './fake-zookeeper.ts'
import { followZookeeper, zookeeperDefaults } from './follow-zookeeper.ts'

let fake: FakeZookeeper
const cleanups: (() => Promise<void>)[] = []
beforeEach(async () => {
  fake = await startFakeZookeeper()
  cleanups.push(() => fake.close())
  for (const path of ['', '/web']) fake.nodes.set(`/services${path}`, '')
  fake.nodes.set('/services/web/1', '10.0.0.1:80')
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function follow(...args: Parameters<typeof followZookeeper>): Followed {
  const followed = followZookeeper(...args)
  cleanups.push(followed.stop)
  return followed
}

const event = answer(
  -1,
  -1n,
  0,
  Buffer.from(`0000000400000003${'0000000d'}${Buffer.from('/services/web').toString('hex')}`, 'hex'),
)

describe('a first answer', () => {
  test.each<[string, Instead, RegExp, RegExp]>([
    [
      "of HTTP's",
      Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
      /not ZooKeeper's protocol/,
      /check discovery.zookeeper.connect/,
    ],
    ["of TLS's", Buffer.from('15030300020228', 'hex'), /not ZooKeeper's protocol/, /without TLS/],
    ['that is too long', Buffer.from('7fffffff', 'hex'), /length of 2147483647/, /connect/],
    ['of a length below 0', Buffer.from('ffffffff', 'hex'), /length of -1/, /connect/],
    ['that is empty', Buffer.from('00000000', 'hex'), /ends 4 bytes too early/, /connect/],
    ['that it only reads', hello(10_000, true), /only reads/, /most servers/],
    ['that never comes', 'silence', /no answer .* within 0.2 s/, /overloaded/],
    ['that is none', 'cut', /without an answer/, /have a leader/],
  ])(
    '%s is told with the cure, again and again',
    async (_, instead, message, cure) => {
      fake.onHello = () => instead
      const followed = follow(fake.connect, {}, { timing: { connectMs: instead === 'silence' ? 200 : 5000 } })
      await waitFor('it is told', () => followed.errors.length > 0)
      expect(followed.errors[0]?.message).toMatch(message)
      expect(followed.errors[0]?.cure).toMatch(cure)
      await waitFor('it is asked again', () => fake.seen.length > 1)
      expect(followed.catalogs).toEqual([])
      fake.onHello = () => null
      await followed.until('web', ['10.0.0.1:80*1'], 20_000)
    },
    30_000,
  )
})

describe('a later answer', () => {
  test.each<[string, Instead, RegExp]>([
    ['to what was not asked', answer(4711, 5n, 0), /answers what was not asked/],
    ['that ends too early', Buffer.from('0000000400000001', 'hex'), /too early/],
    ['that is a refusal for no reason known', answer(1, 5n, -4711), /error -4711/],
    ['that the session has expired', answer(1, 5n, -112), /SessionExpired/],
    ['that there is too much to do', answer(1, 5n, -127), /ThrottledOp/],
    ['that is the end', 'cut', /closed the connection/],
  ])('%s ends the connection, and all is read anew over the next one', async (_, instead, message) => {
    let isFirst = true
    fake.onRequest = ({ type }) => {
      if (type !== requestTypes.children || !isFirst) return null
      isFirst = false
      return instead
    }
    const followed = follow(fake.connect)
    await followed.until('web', ['10.0.0.1:80*1'])
    expect(followed.errors).toHaveLength(1)
    expect(followed.errors[0]?.message).toMatch(message)
  })

  test('that never comes is found out, and the next server is asked', async () => {
    const other = await startFakeZookeeper()
    cleanups.push(() => other.close())
    for (const [path, data] of fake.nodes) other.nodes.set(path, data)
    fake.onHello = () => hello(300)
    const followed = follow(`${fake.connect},${other.connect}`, {}, { random: () => 0 })
    await followed.until('web', ['10.0.0.1:80*1'])
    const { fresh } = followed
    // It takes everything, and says nothing any more.
    fake.onRequest = () => 'silence'
    await waitFor('the other one is asked', () => other.requests.length > 0)
    expect(followed.errors[0]?.message).toMatch(/no answer of .* within 0.2 s/)
    await waitFor('it is fresh', () => followed.fresh > fresh)
    expect(followed.catalogs).toHaveLength(1)
  })
})

test('whatever is pushed at it before and behind, the session goes on or ends, and nothing is thrown', async () => {
  const followed = follow(fake.connect)
  await followed.until('web', ['10.0.0.1:80*1'])
  const before = fake.requests.length
  fake.push(event)
  await waitFor('an event has it read again', () => fake.requests.length > before)
  for (const bytes of ['ffffffff', '7fffffff', '00000001ff', '00000014ffffffff']) {
    const { fresh } = followed
    fake.push(Buffer.concat([event, Buffer.from(bytes, 'hex'), Buffer.alloc(40)]))
    const connections = fake.seen.length
    await waitFor('it comes back', () => fake.seen.length > connections && followed.fresh > fresh)
  }
  expect(followed.logged.filter((line) => line.includes('starts anew'))).toEqual([])
  expect(followed.catalogs).toHaveLength(1)
})

test('what was read over a connection that broke before all was read is told over the next one', async () => {
  const followed = follow(fake.connect)
  await followed.until('web', ['10.0.0.1:80*1'])
  // Before the other one, so that it is read before it.
  for (const path of ['/web/1', '/web']) fake.nodes.delete(`/services${path}`)
  fake.nodes.set('/services/api', '')
  fake.nodes.set('/services/api/1', '10.0.1.1:80')
  fake.nodes.set('/services/web', '')
  fake.nodes.set('/services/web/1', '10.0.0.1:80')
  let isBroken = false
  fake.onRequest = ({ path }) => {
    if (isBroken || path !== '/services/web/1') return null
    isBroken = true
    return Buffer.from('ffffffff', 'hex')
  }
  fake.push(Buffer.from('ffffffff', 'hex'))
  await followed.until('api', ['10.0.1.1:80*1'])
  expect(isBroken).toBe(true)
  expect(followed.catalogs).toHaveLength(2)
})

test('a server is told what was seen already, and takes its leave of the session', async () => {
  const followed = follow(fake.connect)
  await followed.until('web', ['10.0.0.1:80*1'])
  fake.push(Buffer.from('ffffffff', 'hex'))
  await waitFor('it comes back', () => fake.seen.length > 1)
  expect(fake.seen).toEqual([0n, 5n])
  await followed.stop()
  await waitFor('the session is closed', () => fake.requests.at(-1)?.type === requestTypes.close)
})

test('a quiet connection is pinged, and its catalog confirmed by an answer of the leader', async () => {
  fake.onHello = () => hello(300)
  const followed = follow(fake.connect, {}, { timing: { confirmMs: 400 } })
  await followed.until('web', ['10.0.0.1:80*1'])
  await waitFor('it is confirmed twice', () => followed.fresh > 1)
  const types = new Set(fake.requests.map(({ type }) => type))
  expect(types).toContain(requestTypes.ping)
  expect(types).toContain(requestTypes.sync)
})

test('without a server to ask is not made', () => {
  const deps = { log: undefined as never, random: Math.random }
  expect(() => createZookeeperSource({ ...zookeeperDefaults, connect: ':1' }, deps)).toThrow(TypeError)
})
