import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Catalog } from '../../src/balancer/endpoint.ts'
import { mergedSource } from '../../src/discovery/merged-source.ts'
import type { CatalogSource, Reading, SourceError } from '../../src/discovery/source.ts'
import { type Puppet, puppetError, puppetSource } from './puppet-source.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** `{ web: [1, 2] }`: ports of one host. */
function catalogOf(brief: Readonly<Record<string, readonly number[]>>): Catalog {
  const services = Object.entries(brief).map(([name, ports]) => {
    const endpoints = ports.map((port) => {
      return { id: `10.0.0.1:${port}`, instance: `${name}-${port}`, address: '10.0.0.1', port, weight: 1 }
    })
    return [name, { endpoints, absent: [] }] as const
  })
  return { services: new Map(services) }
}

const unread = (name: string): Catalog => {
  const absent = [{ instance: '', address: '', reason: 'could not be read', unread: true as const }]
  return { services: new Map([[name, { endpoints: [], absent }]]) }
}

interface Following {
  readonly source: CatalogSource
  readonly consul: Puppet
  readonly eureka: Puppet
  /** What was told, in order. */
  readonly told: readonly (string | Reading | SourceError)[]
  /** The ports of each service in the last catalog that was told; null: none was. */
  ports(): Readonly<Record<string, readonly number[]>> | null
  readonly last: () => Catalog | undefined
  stop(): Promise<void>
}

function follow(before: Catalog | null = null, nowMs = () => Date.now()): Following {
  const [consul, eureka] = [puppetSource(), puppetSource()]
  const sources = new Map([
    ['consul', consul],
    ['eureka', eureka],
  ])
  const source = mergedSource(sources, { now: nowMs, before, patienceMs: 5000 })
  const told: (string | Reading | SourceError)[] = []
  const catalogs: Catalog[] = []
  const end = new AbortController()
  const ended = source.watch(
    {
      onCatalog: (catalog, reading) => {
        catalogs.push(catalog)
        told.push(reading)
      },
      onFresh: (agoMs) => void told.push(agoMs === undefined ? 'fresh' : `fresh, ${agoMs} ms ago`),
      onError: (error) => void told.push(error),
    },
    end.signal,
  )
  const last = () => catalogs.at(-1)
  return {
    ...{ source, consul, eureka, told, last },
    ports() {
      const catalog = last()
      if (catalog === undefined) return null
      return Object.fromEntries(
        [...catalog.services].map(([name, { endpoints }]) => [name, endpoints.map(({ port }) => port)]),
      )
    },
    async stop() {
      end.abort()
      await ended
    },
  }
}

describe('at the start', () => {
  test('the first catalog has what all say', () => {
    const { consul, eureka, told, ports } = follow()
    consul.says(catalogOf({ web: [1] }))
    expect(ports()).toBeNull()
    eureka.says(catalogOf({ web: [2], api: [3] }))
    expect(ports()).toEqual({ api: [3], web: [1, 2] })
    expect(told).toEqual([{ rewound: false, source: 'eureka', first: ['consul', 'eureka'] }])
  })

  test('one that does not answer keeps the others waiting for a moment only, and then the catalog is told as a part', () => {
    const { consul, told, ports } = follow()
    consul.says(catalogOf({ web: [1] }))
    vi.advanceTimersByTime(4999)
    expect(ports()).toBeNull()
    vi.advanceTimersByTime(1)
    expect(ports()).toEqual({ web: [1] })
    expect(told).toEqual([{ rewound: false, isPart: true, first: ['consul'] }])
  })

  test('when none has answered by then, the first that does is told at once', () => {
    const { eureka, told, ports } = follow()
    eureka.fails()
    vi.advanceTimersByTime(60_000)
    expect(told).toHaveLength(1)
    eureka.says(catalogOf({ web: [1] }))
    expect(ports()).toEqual({ web: [1] })
  })

  test('what was known of one stands in for its answer, whatever the others say', () => {
    const before = catalogOf({ web: [1, 2], api: [3] })
    const named: Catalog = {
      services: new Map(
        [...before.services].map(([name, { endpoints, absent }]) => [
          name,
          {
            endpoints: endpoints.map((each) => ({ ...each, sources: each.port === 1 ? ['consul'] : ['eureka'] })),
            absent,
          },
        ]),
      ),
    }
    const { consul, eureka, told, ports } = follow(named)
    expect(ports()).toBeNull()
    consul.says(catalogOf({ web: [7] }))
    expect(ports()).toEqual({ api: [3], web: [2, 7] })
    expect(told).toEqual([{ rewound: false, source: 'consul', isPart: true, first: ['consul'] }])
    eureka.says(catalogOf({ web: [2] }))
    expect(ports()).toEqual({ web: [2, 7] })
    expect(told.at(-1)).toEqual({ rewound: false, source: 'eureka', first: ['eureka'] })
  })

  test('a service that one could not read is as it was known to be', () => {
    const before = catalogOf({ web: [1] })
    const { consul, eureka, ports } = follow(before)
    eureka.says(catalogOf({}))
    consul.says(unread('web'), { isPart: true })
    expect(ports()).toEqual({ web: [1] })
  })
})

describe('afterwards', () => {
  function started() {
    const followed = follow()
    followed.consul.says(catalogOf({ web: [1] }))
    followed.eureka.says(catalogOf({ web: [2] }))
    return followed
  }

  test('one that fails takes nothing away, and neither does one that says less of its own', () => {
    const { consul, eureka, ports } = started()
    eureka.fails({ away: true })
    expect(ports()).toEqual({ web: [1, 2] })
    consul.says(catalogOf({}))
    expect(ports()).toEqual({ web: [2] })
  })

  test('an instance that moves is there all the time, and its sources are told', () => {
    const { consul, eureka, last } = started()
    const sources = () =>
      last()
        ?.services.get('web')
        ?.endpoints.map((each) => [each.port, each.sources])
    eureka.says(catalogOf({ web: [1, 2] }))
    expect(sources()).toEqual([
      [1, ['consul', 'eureka']],
      [2, ['eureka']],
    ])
    consul.says(catalogOf({}))
    expect(sources()).toEqual([
      [1, ['eureka']],
      [2, ['eureka']],
    ])
  })

  test('it is as old as the word of the one that has been silent the longest, whatever news others have', () => {
    const { consul, eureka, told } = started()
    vi.advanceTimersByTime(60_000)
    consul.agrees()
    expect(told.at(-1)).toBe('fresh, 60000 ms ago')
    vi.advanceTimersByTime(1000)
    consul.says(catalogOf({ web: [1, 5] }))
    expect(told.at(-1)).toEqual({ rewound: false, source: 'consul', agoMs: 61_000 })
    eureka.agrees()
    expect(told.at(-1)).toBe('fresh')
  })

  test('it is not confirmed while one fails, and is as soon as that is back, without a word of the others', () => {
    const { consul, eureka, told } = started()
    eureka.fails()
    const { length } = told
    consul.agrees()
    expect(told).toHaveLength(length)
    eureka.agrees()
    expect(told.slice(length)).toEqual(['fresh'])
  })

  test.each([
    ['throws', () => Promise.reject(new Error('a bug'))],
    ['ends', () => Promise.resolve()],
  ])('one whose watch %s is an error, and the others are followed', async (_, watch) => {
    const consul = puppetSource()
    const eureka: CatalogSource = { watch }
    const source = mergedSource(
      new Map<string, CatalogSource>([
        ['consul', consul],
        ['eureka', eureka],
      ]),
      {
        ...{ now: () => 0, before: null, patienceMs: 0 },
      },
    )
    const told: unknown[] = []
    const end = new AbortController()
    const ended = source.watch(
      {
        onCatalog: ({ services }) => void told.push([...services.keys()]),
        onFresh: () => void told.push('fresh'),
        onError: (error) => void told.push(error.source),
      },
      end.signal,
    )
    await vi.advanceTimersByTimeAsync(1)
    consul.says(catalogOf({ web: [1] }))
    consul.agrees()
    expect(told).toEqual(['eureka', ['web']])
    end.abort()
    await ended
  })

  test('what is told while one fails is told as a part, and not any more when it is back', () => {
    const { consul, eureka, told } = started()
    eureka.fails({ away: true })
    expect(told.at(-1)).toEqual({ ...puppetError, away: true, source: 'eureka' })
    consul.says(catalogOf({ web: [1, 5] }))
    expect(told.at(-1)).toEqual({ rewound: false, source: 'consul', isPart: true })
    eureka.says(catalogOf({ web: [2, 6] }))
    expect(told.at(-1)).toEqual({ rewound: false, source: 'eureka' })
  })

  test('a standby of one that fails makes nothing a part', () => {
    const { consul, eureka, told } = started()
    consul.fails({ standby: 'dc2' })
    consul.says(catalogOf({ web: [1, 4] }), { standby: 'dc2', isPart: true })
    eureka.says(catalogOf({ web: [2, 3] }))
    expect(told.at(-1)).toEqual({ rewound: false, source: 'eureka' })
  })

  test('that one has gone backwards is told of it', () => {
    const { eureka, told } = started()
    eureka.says(catalogOf({}), { rewound: true })
    expect(told.at(-1)).toEqual({ rewound: true, source: 'eureka' })
  })

  test('all are asked once more but those that are away, and it counts only if each could be read', async () => {
    const { source, consul, eureka } = started()
    const reread = () => source.reread?.(['web'], new AbortController().signal)
    expect(await reread()).toBe(true)
    consul.readable = false
    expect(await reread()).toBe(false)
    consul.fails({ away: true })
    expect(await reread()).toBe(true)
    expect(consul.asked).toEqual([['web'], ['web']])
    eureka.fails({ away: true })
    expect(await reread()).toBe(false)
  })

  test('operators are told how each of them is doing', () => {
    let nowMs = 0
    const followed = follow(null, () => nowMs)
    followed.consul.says(catalogOf({ web: [1], api: [1] }))
    nowMs = 700
    const parts = () => followed.source.describe?.().parts
    expect(parts()).toEqual([
      { source: 'consul', state: 'fresh', services: 2, confirmedAgoMs: 700 },
      { source: 'eureka', state: 'silent', services: 0, confirmedAgoMs: null },
    ])
    followed.consul.fails()
    expect(parts()?.[0]).toMatchObject({ state: 'stale', confirmedAgoMs: 700 })
  })

  test('it ends when it is stopped, and says nothing more', async () => {
    const { consul, eureka, told, stop } = started()
    const before = told.length
    const ended = stop()
    eureka.says(catalogOf({}))
    consul.agrees()
    await ended
    expect(consul.isWatched || eureka.isWatched).toBe(false)
    expect(told.length).toBe(before)
    expect(vi.getTimerCount()).toBe(0)
  })
})

test('this proxy itself is not routed to, whoever lists it', async () => {
  const push = puppetSource()
  const source = mergedSource(new Map([['push', push]]), { now: () => 0, before: null, own: 'evenkeel' })
  const told: unknown[] = []
  const end = new AbortController()
  const onCatalog = ({ services }: Catalog) => void told.push([...services.keys()])
  const ended = source.watch({ onCatalog, onFresh() {}, onError() {} }, end.signal)
  push.says(catalogOf({ evenkeel: [8080], web: [1] }))
  expect(told).toEqual([['web']])
  end.abort()
  await ended
})

test('a single source is told as it speaks', async () => {
  const etcd = puppetSource({ instances: () => ({ readMs: 5, instances: [], moreInstances: 2 }) })
  const source = mergedSource(new Map([['etcd', etcd]]), { now: () => 0, before: null })
  const told: unknown[] = []
  const end = new AbortController()
  const ended = source.watch(
    {
      onCatalog: ({ services }, reading) => void told.push([[...services.keys()], reading]),
      onFresh: () => void told.push('fresh'),
      onError: (error) => void told.push(error.source),
    },
    end.signal,
  )
  etcd.says(catalogOf({ web: [1] }))
  etcd.agrees()
  etcd.says(catalogOf({ web: [1] }))
  etcd.fails()
  expect(told).toEqual([[['web'], { rewound: false, source: 'etcd', first: ['etcd'] }], 'fresh', 'fresh', 'etcd'])
  expect(source.instances?.('web')).toEqual({ readMs: 5, instances: [], moreInstances: 2 })
  end.abort()
  await ended
})
