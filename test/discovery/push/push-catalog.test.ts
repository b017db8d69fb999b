/** What is pushed, as a source, with the clock in hand: when is who told, who is gone, and what if nothing ran for a while? */

import { setImmediate as turn } from 'node:timers/promises'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createPushCatalog, type PushCatalog, type PushOptions } from '../../../src/discovery/push/push-catalog.ts'
import type { Registration } from '../../../src/discovery/push/push-entry.ts'
import { waitFor } from '../../support/wait.ts'
import { type Followed, followSource } from '../follow.ts'

const by = { from: '10.0.0.7', how: 'token' } as const
let nowMs = 0
let sleepers: { readonly untilMs: number; readonly wake: () => void }[] = []
let lines: { readonly level: number; readonly msg: string; readonly [field: string]: unknown }[] = []
let options: PushOptions
let pushed: PushCatalog
const followed: Followed[] = []

function create(): PushCatalog {
  return createPushCatalog(() => options, {
    log: pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) }),
    now: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { untilMs: nowMs + ms, wake: () => resolve(null) }
        sleepers.push(sleeper)
        signal.addEventListener('abort', () => {
          sleepers = sleepers.filter((each) => each !== sleeper)
          reject(new Error('aborted'))
        })
      }),
  })
}

beforeEach(() => {
  nowMs = 0
  sleepers = []
  lines = []
  options = { maxInstances: 100_000, maxTtlMs: 3_600_000 }
  pushed = create()
})
afterEach(async () => {
  for (const each of followed.splice(0)) await each.stop()
  pushed.close()
})

function follow(): Followed {
  const started = followSource(pushed.source)
  followed.push(started)
  return started
}

/** Lets time pass, a timer at a time. */
async function pass(ms: number): Promise<void> {
  const endMs = nowMs + ms
  for (;;) {
    await turn()
    const due = sleepers.reduce((min, { untilMs }) => Math.min(min, untilMs), Number.POSITIVE_INFINITY)
    if (due > endMs) break
    nowMs = Math.max(nowMs, due)
    wakeAll()
  }
  nowMs = endMs
  await turn()
}

function wakeAll(): void {
  const woken = sleepers.filter(({ untilMs }) => untilMs <= nowMs)
  sleepers = sleepers.filter(({ untilMs }) => untilMs > nowMs)
  for (const { wake } of woken) wake()
}

function said(service: string, id: string, port = 80, ttlMs = 30_000): Registration {
  return { service, id, address: '10.0.0.1', port, weight: 1, tags: [], ttlMs }
}

const texts = () => lines.filter(({ level }) => level > 20).map(({ msg }) => msg)

test('whoever watches has the catalog at once, and what is pushed before the answer', async () => {
  const { catalogs, endpoints } = follow()
  expect(catalogs).toHaveLength(1)
  expect(catalogs[0]?.services.size).toBe(0)
  expect(await pushed.put(said('web', 'a'), by)).toBe('new')
  expect(endpoints('web')).toEqual(['10.0.0.1:80*1'])
  expect(await pushed.put(said('web', 'a', 81), by)).toBe('changed')
  expect(endpoints('web')).toEqual(['10.0.0.1:81*1'])
  expect(await pushed.remove('web', 'a', by)).toBe(true)
  expect(endpoints('web')).toEqual([])
  expect(await pushed.remove('web', 'a', by)).toBe(false)
})

test('many at once make one catalog', async () => {
  const { catalogs, endpoints } = follow()
  await Promise.all(Array.from({ length: 1000 }, (_, at) => pushed.put(said('web', `${at}`, at + 1), by)))
  expect(catalogs).toHaveLength(2)
  expect(endpoints('web')).toHaveLength(1000)
})

test('what comes and goes in a moment is told to nobody, and answered all the same', async () => {
  const { catalogs } = follow()
  options = { ...options, maxInstances: 1 }
  await pushed.put(said('web', 'a'), by)
  const away = pushed.remove('web', 'a', by)
  const back = pushed.put(said('web', 'a'), by)
  expect(await Promise.all([away, back])).toEqual([true, 'new'])
  expect(catalogs).toHaveLength(2)
})

test('nobody watches: it is taken, answered, and told to whoever watches next', async () => {
  expect(await pushed.put(said('web', 'a'), by)).toBe('new')
  expect(await pushed.put(said('web', 'b', 81), by)).toBe('new')
  expect(await pushed.remove('web', 'b', by)).toBe(true)
  const first = follow()
  expect(first.endpoints('web')).toEqual(['10.0.0.1:80*1'])
  // A config that is read again: one watch ends while the next begins.
  const waiting = pushed.put(said('web', 'c', 82), by)
  const ended = first.stop()
  const second = follow()
  expect(await waiting).toBe('new')
  await ended
  expect(second.endpoints('web')).toEqual(['10.0.0.1:80*1', '10.0.0.1:82*1'])
  expect(await pushed.remove('web', 'c', by)).toBe(true)
  expect(second.endpoints('web')).toEqual(['10.0.0.1:80*1'])
  await second.stop()
  expect(await pushed.put(said('web', 'd', 83), by)).toBe('new')
})

test('who renews stays, who does not is gone, and one line says so', async () => {
  const { service } = follow()
  await pushed.put(said('web', 'a', 80, 1000), by)
  await pushed.put(said('web', 'b', 81, 1000), by)
  for (let at = 0; at < 10; at += 1) {
    await pass(400)
    expect(await pushed.put(said('web', 'a', 80, 1000), by)).toBe('renewed')
  }
  await waitFor('the second one is gone', () => service('web')?.endpoints.length === 1)
  expect(service('web')).toMatchObject({
    endpoints: [{ instance: 'a' }],
    absent: [{ instance: 'b', reason: 'has not been renewed for 1s' }],
  })
  expect(texts()).toEqual([
    'an instance was pushed',
    'an instance was pushed',
    'a pushed instance was not renewed and is gone',
  ])
  expect(lines.find(({ level }) => level === 40)).toMatchObject({
    service: 'web',
    instance: 'b',
    from: '10.0.0.7',
    ttl: '1s',
  })
})

test('a renewal tells nobody; the catalog is confirmed every ten seconds by itself', async () => {
  const watched = follow()
  await pushed.put(said('web', 'a'), by)
  for (let at = 0; at < 100; at += 1) {
    await pass(299)
    await pushed.put(said('web', 'a'), by)
  }
  expect(watched.catalogs).toHaveLength(2)
  expect(watched.fresh).toBe(2)
})

test('there is one timer, however many there are, and none when there is nothing to wait for', async () => {
  expect(sleepers).toHaveLength(0)
  await Promise.all(Array.from({ length: 100 }, (_, at) => pushed.put(said('web', `${at}`, at + 1, 1000 + at), by)))
  expect(sleepers).toHaveLength(1)
  await pass(120_000)
  expect(pushed.all()).toEqual([])
  expect(sleepers).toHaveLength(0)
  await pushed.put(said('web', 'a'), by)
  expect(sleepers).toHaveLength(1)
  pushed.close()
  expect(sleepers).toHaveLength(0)
})

describe('when this process did not run for a while', () => {
  test('nobody is gone by that, and everybody has the time that was left', async () => {
    for (let at = 0; at < 50; at += 1) await pushed.put(said('web', `${at}`, at + 1, 10_000), by)
    await pass(5000)
    nowMs += 3_600_000
    wakeAll()
    await pass(4000)
    expect(pushed.all()).toHaveLength(50)
    await pass(1600)
    expect(pushed.all()).toHaveLength(0)
    expect(texts()).toContain('this process did not run for a while: what is pushed holds as much longer')
  })

  test('who renews as the first thing afterwards does not get the pause as well', async () => {
    await pushed.put(said('web', 'a', 80, 10_000), by)
    await pushed.put(said('web', 'b', 81, 10_000), by)
    await pass(5000)
    nowMs += 3_600_000
    await pushed.put(said('web', 'a', 80, 10_000), by)
    wakeAll()
    await pass(6000)
    expect(pushed.all().map(({ id }) => id)).toEqual(['a'])
    await pass(4600)
    expect(pushed.all()).toEqual([])
  })

  test('who is in line is heard before anybody is judged', async () => {
    await pushed.put(said('web', 'a', 80, 1000), by)
    await pass(900)
    // Its time ended in the pause, and its renewal has arrived, but is not read yet.
    nowMs += 5000
    wakeAll()
    await turn()
    expect(pushed.all()).toHaveLength(1)
    await pushed.put(said('web', 'a', 80, 1000), by)
    await pass(900)
    expect(pushed.all()).toHaveLength(1)
  })

  test.each([90, 300, 2000])('pauses of %i ms again and again keep nobody for ever', async (pauseMs) => {
    await pushed.put(said('web', 'a', 80, 2000), by)
    for (let at = 0; at < 40; at += 1) {
      await pass(200)
      nowMs += pauseMs
      wakeAll()
    }
    expect(pushed.all()).toEqual([])
  })
})

describe('what an earlier process knew', () => {
  test('is there at once, for one time to live', async () => {
    await pass(10_000)
    pushed.restore([said('api', 'a', 80, 5000), said('web', 'a', 81, 30_000)])
    const { endpoints } = follow()
    expect(endpoints('api')).toEqual(['10.0.0.1:80*1'])
    expect(pushed.source.instances?.('api')?.instances).toMatchObject([{ instance: 'a', node: '' }])
    await pass(4500)
    expect(await pushed.put(said('api', 'a', 80, 5000), by)).toBe('renewed')
    await pass(1000)
    expect(endpoints('api')).toEqual(['10.0.0.1:80*1'])
    await pass(25_000)
    expect(pushed.all()).toEqual([])
    const gone = lines.filter(({ msg }) => msg === 'a pushed instance was not renewed and is gone')
    expect(gone.map(({ service, from }) => [service, from])).toEqual([
      ['api', '10.0.0.7'],
      ['web', 'the snapshot'],
    ])
  })

  test('does not replace what has been pushed since, nor go over the limits', async () => {
    options = { maxInstances: 2, maxTtlMs: 5000 }
    await pushed.put(said('web', 'a', 99), by)
    pushed.restore([said('web', 'a', 80), said('web', 'b', 81, 3_600_000), said('web', 'c', 82)])
    expect(pushed.all().map(({ id, port, ttlMs }) => [id, port, ttlMs])).toEqual([
      ['a', 99, 30_000],
      ['b', 81, 5000],
    ])
    expect(texts().at(-1)).toBe('more than discovery.push.maxInstances: they are left out')
  })
})

test('whoever keeps it is told of what changes, and of no renewal', async () => {
  let changes = 0
  pushed.onChange(() => {
    changes += 1
  })
  const change = async (work: () => unknown): Promise<number> => {
    const before = changes
    await work()
    return changes - before
  }
  for (const watch of [() => {}, follow]) {
    watch()
    const name = watch === follow ? 'web' : 'api'
    expect(await change(() => pushed.put(said(name, 'a', 80, 2000), by))).toBe(1)
    expect(await change(() => pushed.put(said(name, 'a', 80, 2000), by))).toBe(0)
    expect(await change(() => pushed.put({ ...said(name, 'a', 80, 2000), tags: ['v2'] }, by))).toBe(1)
    expect(await change(() => pushed.put(said(name, 'b', 81), by))).toBe(1)
    expect(await change(() => pushed.remove(name, 'b', by))).toBe(1)
    const expired = async () => {
      await pass(2600)
      await waitFor('it is gone', () => !pushed.all().some(({ service, id }) => service === name && id === 'a'))
      if (watch === follow) await waitFor('it was told', () => followed[0]?.endpoints(name)?.length === 0)
    }
    expect(await change(expired)).toBe(1)
    expect(await change(() => pass(70_000))).toBe(0)
  }
})

test('a look that fails is not the last one', async () => {
  await pushed.put(said('web', 'a', 80, 2000), by)
  let isBroken = true
  pushed.onChange(() => {
    if (isBroken) throw new Error('the disk is no more')
  })
  await pass(3000)
  expect(texts().at(-1)).toBe('what is pushed could not be looked at')
  isBroken = false
  await pushed.put(said('web', 'b', 81, 2000), by)
  await pass(3000)
  expect(pushed.all()).toEqual([])
  expect(texts().at(-1)).toBe('a pushed instance was not renewed and is gone')
})

test('a whole fleet that is gone at once is some lines, and a number', async () => {
  await Promise.all(Array.from({ length: 500 }, (_, at) => pushed.put(said('web', `${at}`, at + 1), by)))
  lines = []
  await pass(31_000)
  expect(lines).toHaveLength(21)
  expect(lines.at(-1)).toMatchObject({ instances: 480, msg: 'more pushed instances were not renewed and are gone' })
})

test('who is turned away is logged now and then', async () => {
  options = { ...options, maxInstances: 1 }
  await pushed.put(said('web', 'a'), by)
  for (let at = 0; at < 100; at += 1) expect(await pushed.put(said('web', 'b', 81), by)).toBe('full')
  nowMs += 10_000
  await pushed.put(said('web', 'b', 81), by)
  expect(texts().filter((text) => text.startsWith('an instance was not taken'))).toHaveLength(2)
  expect(lines.at(-1)).toMatchObject({ count: 100, service: 'web', instance: 'b' })
})

test('what is known of each, for operators', async () => {
  await pushed.put({ ...said('web', 'a'), tags: ['v1'] }, by)
  expect(pushed.source.instances?.('web')).toEqual({
    readMs: 0,
    instances: [
      {
        ...{ instance: 'a', node: '10.0.0.7', address: '10.0.0.1:80', tags: ['v1'] },
        ...{ checks: [], moreChecks: 0, lacksTag: null },
      },
    ],
    moreInstances: 0,
  })
  expect(pushed.source.instances?.('api')).toBeNull()
  expect(pushed.source.describe?.()).toMatchObject({ watched: 1 })
})
