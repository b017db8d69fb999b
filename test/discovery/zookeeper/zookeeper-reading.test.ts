/** Is what is known in the end what is there, whatever happens in between, and in whatever order it is heard of? */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ZookeeperMishap } from '../../../src/discovery/zookeeper/zookeeper-failure.ts'
import { type Reading, startReading } from '../../../src/discovery/zookeeper/zookeeper-reading.ts'
import { zookeeperTable } from '../../../src/discovery/zookeeper/zookeeper-table.ts'
import { type ModelServer, modelServer } from './model.ts'

const BASE = '/services'

interface Follower {
  reading: Reading
  readonly table: ReturnType<typeof zookeeperTable>
  readonly said: string[]
  /** What was known when there was news last. */
  told: Record<string, string[]>
  readonly refused: Set<string>
  readonly mishaps: ZookeeperMishap[]
  readonly clock: { ms: number }
  /** Over a new connection, with what is known already. */
  connect(): void
}

function follow(server: ModelServer, window = 3): Follower {
  const table = zookeeperTable({ include: ['*'], exclude: ['not-*'] }, () => {})
  const clock = { ms: 0 }
  /** As the watch keeps it: over connections that break before all has been read. */
  let isNews = false
  const follower: Follower = {
    reading: undefined as unknown as Reading,
    table,
    said: [],
    told: {},
    refused: new Set(),
    mishaps: [],
    clock,
    connect() {
      follower.reading?.stop()
      const reader = {
        onRead(news: boolean) {
          follower.said.push(news ? 'news' : 'same')
          isNews ||= news
          if (!isNews || !table.isWhole) return
          follower.told = known(follower)
          isNews = false
        },
        onMissing: () => void follower.said.push('missing'),
        onRefused: (path: string) => void follower.refused.add(path),
        onAllowed: (path: string) => void follower.refused.delete(path),
        onFailed: (mishap: ZookeeperMishap) => void follower.mishaps.push(mishap),
      }
      const connection = server.connect((path) => own.event(path))
      const options = { base: BASE, window, patienceMs: 500 }
      const own = startReading(connection, table, options, reader, () => clock.ms)
      follower.reading = own
    },
  }
  follower.connect()
  return follower
}

function drain(server: ModelServer): void {
  while (server.answer() || server.deliver(false)) {}
}

/** service → the ids of its endpoints. */
function known({ table }: Follower): Record<string, string[]> {
  const services = [...(table.catalog()?.services ?? [])]
  return Object.fromEntries(services.map(([name, { endpoints }]) => [name, endpoints.map(({ id }) => id)]))
}

function there({ nodes }: ModelServer): Record<string, string[]> {
  const found: Record<string, string[]> = {}
  for (const [path, data] of nodes) {
    const [, , service, id] = path.split('/')
    if (service === undefined || service.startsWith('not-')) continue
    found[service] ??= []
    if (id !== undefined) found[service] = [...new Set([...found[service], data])].sort()
  }
  return found
}

type Step =
  | { kind: 'put' | 'delete'; path: string; port: number }
  | { kind: 'answer' }
  | { kind: 'deliver'; overtaking: boolean }
  | { kind: 'reconnect' }

const paths = [BASE, `${BASE}/a`, `${BASE}/a/1`, `${BASE}/a/2`, `${BASE}/b`, `${BASE}/b/1`, `${BASE}/not-c`]
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('put' as const),
      path: fc.constantFrom(...paths),
      port: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('delete' as const),
      path: fc.constantFrom(...paths),
      port: fc.constant(1),
    }),
  },
  { weight: 6, arbitrary: fc.constant({ kind: 'answer' as const }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('deliver' as const), overtaking: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'reconnect' as const }) },
)

test('no change is lost, however changes, readings and events fall between each other', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100, size: 'max' }), fc.integer({ min: 1, max: 4 }), (steps, window) => {
      const server = modelServer()
      server.put(BASE, '')
      const follower = follow(server, window)
      drain(server)
      for (const each of steps) {
        if (each.kind === 'put') server.put(each.path, `10.0.0.1:${each.port}`)
        else if (each.kind === 'delete') server.delete(each.path)
        else if (each.kind === 'answer') server.answer()
        else if (each.kind === 'deliver') server.deliver(each.overtaking)
        else follower.connect()
      }
      drain(server)
      expect(known(follower)).toEqual(there(server))
      expect(follower.told).toEqual(there(server))
      expect(follower.reading.isSettled).toBe(true)
      expect(follower.table.isWhole || !server.nodes.has(BASE)).toBe(true)
      expect(follower.mishaps).toEqual([])
    }),
    { numRuns: 500 },
  )
})

describe('what is read', () => {
  test('is told when all of a service is there, not in halves', () => {
    const server = modelServer()
    for (const path of ['', '/a']) server.put(`${BASE}${path}`, '')
    for (let id = 1; id <= 5; id += 1) server.put(`${BASE}/a/${id}`, `10.0.0.${id}:80`)
    const follower = follow(server)
    while (follower.table.catalog() === null) {
      expect(follower.said).not.toContain('news')
      if (!server.answer() && !server.deliver(false)) throw new Error('nothing comes any more')
    }
    expect(known(follower).a).toHaveLength(5)
    // Another one in its place: at no time is there none of them.
    server.put(`${BASE}/a/6`, '10.0.0.6:80')
    server.delete(`${BASE}/a/1`)
    while (server.answer() || server.deliver(false)) expect(known(follower).a).toHaveLength(5)
    expect(known(follower).a).not.toContain('10.0.0.1:80')
  })

  test('is told all the same when a service changes without end', () => {
    const server = modelServer()
    for (const path of ['', '/a']) server.put(`${BASE}${path}`, '')
    for (const id of [1, 2]) server.put(`${BASE}/a/${id}`, '10.0.0.1:80')
    const follower = follow(server)
    drain(server)
    follower.said.length = 0
    for (let turn = 1; turn <= 20; turn += 1) {
      // One of them is always being read.
      server.put(`${BASE}/a/${(turn % 2) + 1}`, `10.0.0.1:${turn}`)
      follower.clock.ms += 100
      server.deliver(false)
      server.answer()
      if (turn > 1) server.deliver(false)
    }
    expect(follower.said.filter((word) => word === 'news').length).toBeGreaterThan(1)
  })

  test('is asked for a few at a time', () => {
    const server = modelServer()
    server.put(BASE, '')
    for (let id = 1; id <= 100; id += 1) server.put(`${BASE}/${id}`, '')
    follow(server, 7)
    server.answer()
    server.deliver(false)
    expect(server.requests).toBe(1 + 7)
  })

  test('may not be: the rest is followed, what was known stays, and it is tried again when asked to', () => {
    const server = modelServer()
    for (const path of ['', '/a', '/b']) server.put(`${BASE}${path}`, '')
    server.put(`${BASE}/a/1`, '10.0.0.1:80')
    server.put(`${BASE}/a/2`, '10.0.0.2:80')
    const follower = follow(server)
    drain(server)
    for (const path of ['/a/1', '/b']) server.closed.add(`${BASE}${path}`)
    follower.connect()
    drain(server)
    expect([...follower.refused].sort()).toEqual([`${BASE}/a/1`, `${BASE}/b`])
    expect(known(follower)).toEqual({ a: ['10.0.0.1:80', '10.0.0.2:80'], b: [] })
    const nothing = follow(server)
    drain(server)
    expect(nothing.table.catalog()?.services.get('b')?.absent).toEqual([
      { instance: '', address: '', reason: 'could not be read: its node may not be read (NoAuth)', unread: true },
    ])
    expect(nothing.table.catalog()?.services.get('a')?.absent).toMatchObject([{ instance: '1' }])
    follower.connect()
    drain(server)
    server.put(`${BASE}/a/2`, '10.0.0.3:80')
    drain(server)
    expect(known(follower).a).toEqual(['10.0.0.1:80', '10.0.0.3:80'])
    server.closed.clear()
    server.put(`${BASE}/a/1`, '10.0.0.4:80')
    drain(server)
    expect(known(follower).a).toContain('10.0.0.1:80')
    follower.reading.retryRefused()
    drain(server)
    expect(follower.refused).toEqual(new Set())
    expect(known(follower).a).toEqual(['10.0.0.3:80', '10.0.0.4:80'])
    server.closed.add(`${BASE}/b`)
    server.put(`${BASE}/b/1`, '10.0.0.5:80')
    drain(server)
    expect(follower.refused).toEqual(new Set([`${BASE}/b`]))
    server.delete(`${BASE}/b`)
    drain(server)
    follower.reading.retryRefused()
    expect(follower.refused).toEqual(new Set())
  })

  test('below no path is nothing to be told; below one that was deleted it is that there is nothing', () => {
    const server = modelServer()
    const follower = follow(server)
    drain(server)
    expect(follower.said).toEqual(['missing'])
    follower.reading.retryRefused()
    expect(follower.said).toEqual(['missing', 'missing'])
    expect(follower.table.catalog()).toBeNull()
    server.put(BASE, '')
    server.put(`${BASE}/a`, '')
    drain(server)
    expect(known(follower)).toEqual({ a: [] })
    server.delete(BASE)
    drain(server)
    expect(known(follower)).toEqual({})
    expect(follower.said.filter((word) => word === 'missing')).toHaveLength(2)
  })

  test('is more than is taken: that is told, and nothing more is asked', () => {
    const server = modelServer()
    server.put(BASE, '')
    for (let id = 1; id <= 100_001; id += 1) server.put(`${BASE}/s${id}`, '')
    const follower = follow(server)
    server.answer()
    server.deliver(false)
    expect(follower.mishaps).toEqual([{ kind: 'full', most: 100_000 }])
    expect(server.requests).toBe(1)
  })
})
