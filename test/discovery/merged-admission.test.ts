/** Several sources, merged and then admitted: whose loss is doubted, and whose word counts? */

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { AbsentInstance, Catalog } from '../../src/balancer/endpoint.ts'
import type { Vitals } from '../../src/balancer/view.ts'
import type { Baseline } from '../../src/discovery/admission.ts'
import { admitting } from '../../src/discovery/admitting.ts'
import { mergedSource } from '../../src/discovery/merged-source.ts'
import { puppetSource } from './puppet-source.ts'

const holdMs = 30_000

const ends: (() => Promise<void>)[] = []
beforeEach(() => void vi.useFakeTimers())
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
  vi.useRealTimers()
})

type Brief = Readonly<Record<string, readonly number[]>>

/** `{ web: [1, 2] }`: ports of one host. */
function catalogOf(brief: Brief, absent: readonly AbsentInstance[] = [], sources?: readonly string[]): Catalog {
  const services = Object.entries(brief).map(([name, ports]) => {
    const endpoints = ports.map((port) => ({
      ...{ id: `10.0.0.1:${port}`, instance: `${name}-${port}`, address: '10.0.0.1', port, weight: 1 },
      ...(sources === undefined ? {} : { sources }),
    }))
    return [name, { endpoints, absent }] as const
  })
  return { services: new Map(services) }
}

const critical = (port: number) => ({ instance: `web-${port}`, address: `10.0.0.1:${port}`, reason: 'critical' })

function admit(baseline: Baseline = { catalog: null, isJudge: true }) {
  const [consul, etcd] = [puppetSource(), puppetSource()]
  const sources = new Map([
    ['consul', consul],
    ['etcd', etcd],
  ])
  const source = mergedSource(sources, { now: () => Date.now(), before: baseline.catalog })
  const vitals: Vitals = { goodAnswers: 0, faultsInRow: 0, state: 'healthy' }
  let good = 0
  const admitted = admitting(source, {
    options: () => ({ enabled: true, holdMs }),
    now: () => Date.now(),
    // Whoever is in rotation answers well, or nobody is asked.
    vitals: () => ({ ...vitals, goodAnswers: good }),
    baseline,
    onBug: (error) => {
      throw error
    },
  })
  let table: Catalog | null = null
  const end = new AbortController()
  const ended = admitted.watch(
    {
      onCatalog: (catalog) => {
        table = catalog
      },
      onFresh() {},
      onError() {},
      onDecisions() {},
    },
    end.signal,
  )
  ends.push(async () => {
    end.abort()
    await ended
  })
  return {
    ...{ consul, etcd, suspects: admitted.suspects },
    table: () => table,
    held: () => admitted.suspects().map(({ endpoint, doubt }) => `${endpoint.port} ${doubt}`),
    ports: () => table?.services.get('web')?.endpoints.map(({ port }) => port) ?? [],
    answerRequests: () => {
      good += 1
    },
  }
}

test('what one source lets go of is gone, though another cannot read that service', () => {
  const { consul, etcd, ports } = admit()
  const unread = [{ instance: '', address: '', reason: 'could not be read', unread: true as const }]
  consul.says(catalogOf({ web: [] }, unread), { isPart: true })
  etcd.says(catalogOf({ web: [1] }))
  expect(ports()).toEqual([1])
  etcd.says(catalogOf({ web: [] }, [critical(1)]))
  expect(ports()).toEqual([])
})

test('a registry that has lost all is not believed because another says that its own instances there are critical', () => {
  const { consul, etcd, ports, held, answerRequests } = admit()
  consul.says(catalogOf({ web: [] }, [critical(1), critical(2)]))
  etcd.says(catalogOf({ web: [1, 2] }))
  etcd.says(catalogOf({}), { rewound: true })
  expect(held()).toEqual(['1 index-backwards', '2 index-backwards'])
  answerRequests()
  vi.advanceTimersByTime(2 * holdMs)
  expect(ports()).toEqual([1, 2])
})

test('a loss is not confirmed by a read of the others while its registry is away', async () => {
  const { consul, etcd, ports } = admit()
  consul.says(catalogOf({ api: [9] }))
  etcd.says(catalogOf({ web: [1, 2] }))
  etcd.says(catalogOf({}))
  vi.advanceTimersByTime(1)
  etcd.fails({ away: true })
  await vi.advanceTimersByTimeAsync(holdMs - 1000)
  expect(consul.asked.length).toBeGreaterThan(2)
  expect(ports()).toEqual([1, 2])
})

test('what a registry says right after an outage is held, though it is told along with the answer of another', () => {
  const { consul, etcd, held } = admit({ catalog: catalogOf({ web: [1, 2] }, [], ['consul']), isJudge: true })
  consul.fails({ away: true })
  consul.says(catalogOf({ web: [] }, [critical(1), critical(2)]))
  expect(held()).toEqual([])
  etcd.says(catalogOf({ api: [9] }))
  expect(held()).toEqual(['1 loss-after-outage', '2 loss-after-outage'])
})

test('a registry that has lost all is doubted, however much of each service others name', () => {
  const { consul, etcd, ports, held } = admit()
  consul.says(catalogOf({ web: [1, 2], api: [3], jobs: [4] }))
  etcd.says(catalogOf({ web: [11, 12, 13], api: [13, 14], jobs: [14, 15] }))
  consul.says(catalogOf({}))
  expect(held()).toEqual(['3 many-services', '4 many-services', '1 many-services', '2 many-services'])
  expect(ports()).toEqual([1, 11, 12, 13, 2])
})

test('one instance of several leaves at once, and so does one that has moved', () => {
  const { consul, etcd, ports, held } = admit()
  consul.says(catalogOf({ web: [1, 2] }))
  etcd.says(catalogOf({ web: [2, 11] }))
  consul.says(catalogOf({ web: [2] }))
  consul.says(catalogOf({}))
  expect([held(), ports()]).toEqual([[], [11, 2]])
})

test('who is held at a reload stays held as before, until the source that has lost it is asked for something else', () => {
  const before = admit()
  before.consul.says(catalogOf({ web: [1, 2, 3] }))
  before.etcd.says(catalogOf({ web: [7] }))
  before.consul.says(catalogOf({ web: [1, 2] }), { rewound: true })
  const held = before.held()
  expect(held).toEqual(['3 index-backwards'])
  const catalog = before.table()
  const reload = (believed: readonly string[]) => {
    const world = admit({ catalog, isJudge: true, believed, suspects: before.suspects() })
    world.etcd.says(catalogOf({ web: [7, 8] }))
    world.consul.says(catalogOf({ web: [1, 2] }))
    return world
  }
  const same = reload(['etcd'])
  expect([same.held(), same.ports()]).toEqual([held, [1, 2, 3, 7, 8]])
  vi.advanceTimersByTime(holdMs)
  expect(same.ports()).toEqual([1, 2, 7, 8])
  expect(reload(['consul']).ports()).toEqual([1, 2, 7, 8])
})

describe('of several sources, one of which is asked for another catalog', () => {
  function reloaded() {
    const [ofConsul, ofEtcd] = [catalogOf({ web: [1, 2] }, [], ['consul']), catalogOf({ api: [3, 4] }, [], ['etcd'])]
    const catalog = { services: new Map([...ofEtcd.services, ...ofConsul.services]) }
    return admit({ catalog, isJudge: true, believed: ['etcd'] })
  }

  test('only that one is believed, whoever answers first', () => {
    for (const order of ['consul', 'etcd'] as const) {
      const world = reloaded()
      const answer = (name: 'consul' | 'etcd') => world[name].says(catalogOf({}))
      answer(order)
      answer(order === 'consul' ? 'etcd' : 'consul')
      expect(world.held()).toEqual(['1 service-emptied', '2 service-emptied'])
    }
  })

  test('and that one only once', () => {
    const { etcd, held } = reloaded()
    etcd.says(catalogOf({ api: [3, 4, 5] }))
    etcd.says(catalogOf({}))
    expect(held().map((each) => Number.parseInt(each, 10))).toEqual([3, 4, 5])
  })
})
