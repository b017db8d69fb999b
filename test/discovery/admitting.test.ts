/** Does admission ask again, keep the time and tell the right listeners? The source is a fake that the test speaks for. */

import { afterEach, describe, expect, test } from 'vitest'
import type { Catalog } from '../../src/balancer/endpoint.ts'
import type { Vitals } from '../../src/balancer/view.ts'
import type { Decision } from '../../src/discovery/admission.ts'
import { admitting } from '../../src/discovery/admitting.ts'
import type { CatalogSource, SourceListeners } from '../../src/discovery/source.ts'
import { waitFor } from '../support/wait.ts'
import { absent, answerOf } from './admission-world.ts'

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

function admit(holdMs: number, baseline: Catalog | null = null, isJudge = true) {
  let speak: SourceListeners | null = null
  const rereads: (readonly string[])[] = []
  let onReread: () => boolean = () => true
  let clockMs = 1_000
  const vitals = new Map<string, Vitals>()
  const options = { enabled: true, holdMs }
  const source: CatalogSource = {
    watch: (listeners, signal) => {
      speak = listeners
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    },
    reread: async (services) => {
      rereads.push(services)
      return onReread()
    },
  }
  const admitted = admitting(source, {
    options: () => options,
    now: () => clockMs,
    vitals: (service, endpoint) => vitals.get(`${service} ${endpoint}`) ?? null,
    baseline: { catalog: baseline, isJudge },
    onBug: (error) => {
      throw error
    },
  })
  const catalogs: { readonly catalog: Catalog; readonly isConfirmed: boolean }[] = []
  const decisions: Decision[] = []
  let fresh = 0
  const abort = new AbortController()
  const done = admitted.watch(
    {
      onCatalog: (catalog, isConfirmed) => void catalogs.push({ catalog, isConfirmed }),
      onFresh: () => {
        fresh += 1
      },
      onError: () => {},
      onDecisions: (news) => void decisions.push(...news),
    },
    abort.signal,
  )
  stops.push(async () => {
    abort.abort()
    await done
  })
  return {
    options,
    catalogs,
    decisions,
    rereads,
    vitals,
    suspects: admitted.suspects,
    accept: admitted.accept,
    baselineServes: admitted.baselineServes,
    fresh: () => fresh,
    pass: (ms: number) => {
      clockMs += ms
    },
    onReread: (action: () => boolean) => {
      onReread = action
    },
    answer: (catalog: Catalog, rewound = false) => speak?.onCatalog(catalog, { rewound }),
    /** As one of several sources. */
    answerAs: (source: string, catalog: Catalog) => speak?.onCatalog(catalog, { rewound: false, source }),
    failAs: (source: string) => speak?.onError({ where: '', message: '', cure: '', away: true, source }),
    standbyRewound: (catalog: Catalog) => speak?.onCatalog(catalog, { rewound: true, standby: 'dc2' }),
    confirm: () => speak?.onFresh(),
    fail: (away: boolean) => speak?.onError({ where: '', message: '', cure: '', ...(away ? { away } : {}) }),
    stop: abort,
    last: () =>
      [...(catalogs.at(-1)?.catalog.services ?? [])].map(([name, { endpoints }]) => `${name}:${endpoints.length}`),
  }
}

describe('suspects', () => {
  test('are gone when the time is up, without a further word of the source', async () => {
    const world = admit(10_000)
    world.answer(answerOf({ web: 'AB', api: 'C' }))
    world.answer(answerOf({ api: 'C' }))
    expect(world.last()).toEqual(['api:1', 'web:2'])
    world.pass(10_000)
    await waitFor('they are gone', () => world.last().length === 1)
    expect(world.catalogs.at(-1)?.isConfirmed).toBe(false)
    expect(world.suspects()).toEqual([])
  })

  test('are asked for again after a while, and gone when they fail as well', async () => {
    const world = admit(10_000)
    world.answer(answerOf({ web: 'AB' }))
    world.answer(answerOf({}))
    world.vitals.set('web A:80', { goodAnswers: 0, faultsInRow: 2, state: 'healthy' })
    world.pass(1_000)
    await waitFor('the failing one is gone', () => world.last().join() === 'web:1')
    expect(world.rereads).toEqual([['web']])
    expect(world.decisions.map(({ kind }) => kind)).toEqual(['held', 'held', 'confirmed'])
  })

  test('are not confirmed by a read that fails, and asked for again later', async () => {
    const world = admit(10_000)
    world.answer(answerOf({ web: 'AB' }))
    world.answer(answerOf({}))
    world.vitals.set('web A:80', { goodAnswers: 0, faultsInRow: 2, state: 'healthy' })
    world.onReread(() => false)
    world.pass(1_000)
    await waitFor('it is asked', () => world.rereads.length === 1)
    world.onReread(() => true)
    world.pass(2_000)
    await waitFor('the failing one is gone', () => world.last().join() === 'web:1')
    expect(world.rereads).toHaveLength(2)
  })

  test('come back when the read finds them', async () => {
    const world = admit(10_000)
    world.answer(answerOf({ web: 'AB' }))
    world.answer(answerOf({}))
    world.onReread(() => {
      world.answer(answerOf({ web: 'AB' }))
      return true
    })
    world.pass(1_000)
    await waitFor('they are back', () => world.suspects().length === 0)
    expect(world.last()).toEqual(['web:2'])
    expect(world.decisions.map(({ kind }) => kind)).toEqual(['held', 'held', 'returned', 'returned'])
  })

  test('are looked at no more once the watch is over', async () => {
    const world = admit(10_000)
    world.answer(answerOf({ web: 'AB' }))
    world.answer(answerOf({}))
    world.stop.abort()
    const { length } = world.catalogs
    world.pass(60_000)
    world.accept()
    expect(world.suspects()).toEqual([])
    expect(world.rereads).toEqual([])
    expect(world.catalogs.length).toBe(length + 1)
  })

  test('are gone when admission is turned off meanwhile', async () => {
    const world = admit(10_000)
    world.answer(answerOf({ web: 'AB' }))
    world.answer(answerOf({}))
    world.options.enabled = false
    await waitFor('they are gone', () => world.last().length === 0)
    expect(world.decisions.at(-1)?.kind).toBe('accepted')
  })
})

test('accepting the catalog applies it at once, and says how many are gone', () => {
  const world = admit(10_000)
  world.answer(answerOf({ web: 'AB' }))
  world.answer(answerOf({}))
  expect(world.accept()).toBe(2)
  expect(world.last()).toEqual([])
  expect(world.accept()).toBe(0)
})

test('that nothing changed is passed on', () => {
  const world = admit(10_000)
  world.answer(answerOf({ web: 'AB' }))
  world.confirm()
  expect(world.fresh()).toBe(1)
})

test.each([
  ['was away', true, 2],
  ['failed for one service only', false, 0],
])('after the source %s, critical instances are held: %s', (_, away, held) => {
  const world = admit(10_000)
  const critical = ['A', 'B'].map((letter) => ({ instance: letter, address: `${letter}:80`, reason: 'critical' }))
  world.answer(answerOf({ web: 'AB' }))
  world.fail(away)
  world.answer(answerOf({ web: '' }, { web: critical }))
  expect(world.suspects()).toHaveLength(held)
  const later = admit(10_000)
  later.answer(answerOf({ web: 'AB' }))
  later.fail(away)
  later.pass(10_000)
  later.answer(answerOf({ web: '' }, { web: critical }))
  expect(later.suspects()).toEqual([])
})

test.each([
  ['eureka', 0],
  ['consul', 2],
])('after %s was away, what consul says of its instances is held: %s', (source, held) => {
  const world = admit(10_000)
  const critical = ['A', 'B'].map((letter) => ({ instance: letter, address: `${letter}:80`, reason: 'critical' }))
  world.answer(answerOf({ web: 'AB' }))
  world.failAs(source)
  world.answerAs('consul', answerOf({ web: '' }, { web: critical }))
  expect(world.suspects()).toHaveLength(held)
})

test('the first answer after a snapshot is judged by it', () => {
  const world = admit(10_000, answerOf({ web: 'AB', api: 'C' }))
  world.answer(answerOf({}))
  expect(world.last()).toEqual(['api:1', 'web:2'])
})

test('a standby datacenter that lost its data does not put the word of the first one in doubt', () => {
  const world = admit(10_000)
  world.answer(answerOf({ web: 'AB' }))
  world.standbyRewound(answerOf({ api: 'C', web: 'AB' }))
  world.answer(answerOf({ api: 'C', web: 'B' }, { web: [absent('A')] }))
  expect(world.last()).toEqual(['api:1', 'web:1'])
  expect(world.suspects()).toEqual([])
})

test('an old snapshot judges the first answer only once it has been served', () => {
  const believed = admit(10_000, answerOf({ web: 'AB', api: 'C' }), false)
  believed.answer(answerOf({ web: 'D' }))
  expect(believed.last()).toEqual(['web:1'])
  const served = admit(10_000, answerOf({ web: 'AB', api: 'C' }), false)
  served.baselineServes()
  served.answer(answerOf({}))
  expect(served.last()).toEqual(['api:1', 'web:2'])
})
