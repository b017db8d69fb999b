import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Catalog } from '../../../src/balancer/endpoint.ts'
import { mergeFailover } from '../../../src/discovery/consul/failover.ts'
import { failoverSource } from '../../../src/discovery/consul/failover-source.ts'
import type { CatalogSource, Reading, SourceError, SourceListeners, SourceView } from '../../../src/discovery/source.ts'
import { type Brief, brief, briefCatalogs, catalogOf } from './failover-catalogs.ts'

const order = new Map([
  ['web', ['dc2', 'dc3']],
  ['api', ['dc3']],
])
const error = { where: 'GET /v1/x', message: 'refused', cure: 'start it' }

/** A source that says what the test wants. */
interface Puppet extends CatalogSource {
  says(catalog: Brief, rewound?: boolean): void
  agrees(): void
  fails(): void
  /** What it was asked to read again; answered with `readable`. */
  readonly asked: string[][]
  readable: boolean
}

function puppet(more: Partial<CatalogSource> = {}): Puppet {
  let listeners: SourceListeners | null = null
  const asked: string[][] = []
  const made: Puppet = {
    watch: (given, signal) => {
      listeners = given
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
    },
    says: (catalog, rewound = false) => listeners?.onCatalog(catalogOf(catalog), { rewound }),
    agrees: () => listeners?.onFresh(),
    fails: () => listeners?.onError(error),
    asked,
    readable: true,
    async reread(services) {
      asked.push([...services])
      return made.readable
    },
    ...more,
  }
  return made
}

function setUp() {
  const [dc1, dc2, dc3] = [puppet(), puppet(), puppet()]
  const source = failoverSource(
    dc1,
    new Map([
      ['dc2', dc2],
      ['dc3', dc3],
    ]),
    order,
  )
  const catalogs: Catalog[] = []
  const told: (string | Reading | SourceError)[] = []
  const stop = new AbortController()
  const ended = source.watch(
    {
      onCatalog: (catalog, reading: Reading) => {
        catalogs.push(catalog)
        told.push(reading)
      },
      onFresh: () => told.push('fresh'),
      onError: (failure: SourceError) => told.push(failure),
    },
    stop.signal,
  )
  return { dc1, dc2, dc3, source, catalogs, told, stop, ended, last: () => brief(catalogs.at(-1) as Catalog) }
}

test('the first catalog waits for the primary only, whatever the standbys say', () => {
  const { dc1, dc2, told, last } = setUp()
  dc2.says({ web: ['b:1'] })
  expect(told).toEqual([])
  dc1.says({ web: [] })
  expect(last()).toEqual({ web: ['b:1'] })
  expect(told).toEqual([{ rewound: false }])
})

test('a standby serves while the primary has no endpoint, and stands by again afterwards', () => {
  const { dc1, dc2, dc3, last } = setUp()
  dc1.says({ web: ['a:1'] })
  dc3.says({ web: ['c:1'] })
  dc2.says({ web: ['b:1'] })
  const standby = ['b:1: stands by in datacenter "dc2"', 'c:1: stands by in datacenter "dc3"']
  expect(last()).toEqual({ web: ['a:1', ...standby] })
  dc1.says({ web: ['a:1 critical'] })
  expect(last()).toEqual({ web: ['b:1', 'a:1: critical', standby[1]] })
  dc2.says({})
  expect(last()).toEqual({ web: ['c:1', 'a:1: critical'] })
  dc1.says({ web: ['a:1'] })
  expect(last()).toEqual({ web: ['a:1', standby[1]] })
})

test('a standby that fails keeps its last catalog, and its error names its datacenter', () => {
  const { dc1, dc2, told, last } = setUp()
  dc1.says({ web: [] })
  dc2.says({ web: ['b:1'] })
  told.length = 0
  dc2.fails()
  expect(told).toEqual([{ ...error, where: 'datacenter "dc2": GET /v1/x', standby: 'dc2' }])
  dc1.says({ web: [], api: ['a:1'] })
  expect(last()).toEqual({ web: ['b:1'], api: ['a:1'] })
})

test('freshness is the primary’s: a standby only speaks where the catalog changes, and says that it is one', () => {
  const { dc1, dc2, told } = setUp()
  dc1.says({ web: [] })
  told.length = 0
  dc2.agrees()
  dc2.says({ other: ['b:1'] })
  expect(told).toEqual([])
  dc2.says({ web: ['b:1'] }, true)
  expect(told).toEqual([{ rewound: true, standby: 'dc2' }])
  dc1.agrees()
  dc1.says({ web: [] })
  dc1.fails()
  dc1.says({ web: ['a:1'] }, true)
  expect(told.slice(1)).toEqual(['fresh', 'fresh', error, { rewound: true }])
})

describe('reread', () => {
  test('asks the primary for all, and the standbys for what depends on them', async () => {
    const { dc1, dc2, dc3, source, stop } = setUp()
    expect(await source.reread?.(['web'], stop.signal)).toBe(false)
    dc1.says({ web: ['a:1'], api: [], other: [] })
    dc2.says({ web: ['b:1'] })
    dc3.says({ api: ['c:1'] })
    expect(await source.reread?.(['web', 'api', 'other'], stop.signal)).toBe(true)
    expect([dc1.asked, dc2.asked, dc3.asked]).toEqual([[['web', 'api', 'other']], [], [['api']]])
    dc1.says({ web: [], api: [] })
    expect(await source.reread?.(['web', 'api'], stop.signal)).toBe(true)
    expect([dc2.asked, dc3.asked]).toEqual([[['web']], [['api'], ['api']]])
  })

  test('is true when all that it asked could be read', async () => {
    const { dc1, dc2, source, stop } = setUp()
    dc1.says({ web: ['a:1'] })
    dc2.readable = false
    expect(await source.reread?.(['web'], stop.signal)).toBe(true)
    dc1.says({ web: [] })
    expect(await source.reread?.(['web'], stop.signal)).toBe(false)
    dc2.readable = true
    dc1.readable = false
    expect(await source.reread?.(['web'], stop.signal)).toBe(false)
  })
})

test('it is described as the primary is, with what the standbys cost added', () => {
  const view = (count: number): SourceView => ({
    watched: count,
    swept: 10 * count,
    sweepRoundMs: 100 * count,
    wakeups: { useful: 1000 * count, useless: 10_000 * count },
    noisiest: [{ service: `web-${count}`, useful: 1, useless: count }],
  })
  const standbys = new Map<string, CatalogSource>([
    ['dc2', puppet({ describe: () => view(2) })],
    ['dc3', puppet()],
  ])
  expect(failoverSource(puppet({ describe: () => view(1) }), standbys, order).describe?.()).toEqual({
    ...view(1),
    watched: 3,
    swept: 30,
    wakeups: { useful: 3000, useless: 30_000 },
  })
})

test('a primary that has nothing to tell or to ask makes a composite that has not either', () => {
  const mute: CatalogSource = { watch: async () => {} }
  expect(Object.keys(failoverSource(mute, new Map([['dc2', puppet()]]), order))).toEqual(['watch'])
})

test('it ends when all of its sources have, tells nothing afterwards, and does not reject', async () => {
  const { dc1, dc2, told, stop, ended, source } = setUp()
  dc1.says({ web: ['a:1'] })
  stop.abort()
  dc1.says({ web: [] })
  dc1.agrees()
  dc2.says({ web: ['b:1'] })
  dc2.fails()
  await ended
  expect(told).toEqual([{ rewound: false }])
  expect(await source.reread?.(['web'], stop.signal)).toBe(false)

  const broken: CatalogSource = { watch: () => Promise.reject(new Error('a defect')) }
  await failoverSource(broken, new Map([['dc2', broken]]), order).watch(
    { onCatalog: () => {}, onFresh: () => {}, onError: () => {} },
    stop.signal,
  )
})

test('whatever the order of the answers, the catalog is the merge of the last ones, and each differs from the one before', () => {
  const words = fc.record({ from: fc.constantFrom('dc1', 'dc2', 'dc3'), catalog: fc.option(briefCatalogs) })
  fc.assert(
    fc.property(fc.array(words, { maxLength: 12 }), (sequence) => {
      const { dc1, dc2, dc3, catalogs } = setUp()
      const puppets = { dc1, dc2, dc3 }
      const known = new Map<string, Catalog>()
      for (const { from, catalog } of sequence) {
        const source = puppets[from as keyof typeof puppets]
        if (catalog === null) source.fails()
        else {
          source.says(catalog)
          known.set(from, catalogOf(catalog))
        }
        const { dc1: primary, ...others } = Object.fromEntries(known)
        const expected = primary && mergeFailover(primary, new Map(Object.entries(others)), order)
        expect(catalogs.at(-1)).toEqual(expected)
      }
      for (const [at, catalog] of catalogs.entries()) expect(catalog).not.toEqual(catalogs[at - 1])
    }),
    { numRuns: 500 },
  )
})

test('what is said of instances is what every datacenter says that may serve them, each named', () => {
  const facts = (instance: string) => ({
    readMs: 7,
    instances: [{ instance, node: 'n', address: '', tags: [], checks: [], moreChecks: 0, lacksTag: null }],
    moreInstances: 1,
  })
  const speaking = (dc: string) =>
    puppet({ instances: (service) => (service === 'web' ? facts(`${service}-${dc}`) : null) })
  const standbys = new Map([
    ['dc2', speaking('dc2')],
    ['dc3', puppet()],
  ])
  const source = failoverSource(speaking('dc1'), standbys, order)
  const said = source.instances?.('web')
  expect(said?.instances.map(({ instance, datacenter }) => [instance, datacenter])).toEqual([
    ['web-dc1', undefined],
    ['web-dc2', 'dc2'],
  ])
  expect([said?.readMs, said?.moreInstances]).toEqual([7, 2])
  expect(source.instances?.('api')).toBeNull()
})
