/** When is a swept service read? The readers are scripted, and so is the query over all checks. */

import { afterEach, describe, expect, test } from 'vitest'
import type { AilingChecks } from '../../../src/discovery/consul/consul-checks.ts'
import type { Heard, Reader } from '../../../src/discovery/consul/consul-loop.ts'
import {
  SWEEP_PARALLEL,
  type Sweep,
  type SweepTiming,
  sweep,
  sweepTiming,
} from '../../../src/discovery/consul/consul-sweep.ts'
import { waitFor } from '../../support/wait.ts'

const understood: Heard = { kind: 'understood', news: false, index: '1' }
const failed: Heard = { kind: 'failed', failure: { speed: 'away', message: '', cure: '' } }
/** Nothing is read because its turn has come. */
const never = 3_600_000

let stop = new AbortController()
let ended: Promise<void> = Promise.resolve()
afterEach(async () => {
  stop.abort()
  await ended
})

interface Swept {
  readonly all: Sweep
  /** How often each has been read. */
  readonly reads: Map<string, number>
  /** What its reading finds about its checks, the first, the second, …; one that is not set passes. */
  readonly found: Map<string, (times: number) => string>
  /** What comes of a reading; one that is not set is understood. */
  readonly heard: Map<string, Heard>
  readonly again: string[]
  most: number
}

function start(names: readonly string[], timing: Partial<SweepTiming> = {}): Swept {
  stop = new AbortController()
  let open = 0
  const again: string[] = []
  const tools = { now: () => performance.now(), random: () => 0, catchUpMs: 100 }
  const slow = { ...sweepTiming, sweepRoundMs: never, doubtMs: 1, ...timing }
  const all = sweep(
    slow,
    (name) => again.push(name),
    () => {},
    () => {},
    tools,
  )
  const swept: Swept = { all, reads: new Map(), found: new Map(), heard: new Map(), again, most: 0 }
  const readerOf = (name: string): Reader => ({
    async read() {
      open += 1
      swept.most = Math.max(swept.most, open)
      const times = (swept.reads.get(name) ?? 0) + 1
      swept.reads.set(name, times)
      const heard = swept.heard.get(name) ?? understood
      const ailing = swept.found.get(name)?.(times) ?? ''
      await new Promise(setImmediate)
      open -= 1
      if (heard.kind === 'understood') all.hold(name, () => ({ nodes: [], ailing }))
      return heard
    },
  })
  for (const name of names) all.add(name, readerOf(name))
  ended = all.run(stop.signal)
  return swept
}

const says = (...failing: readonly string[]): AilingChecks => ({
  of: (service) => (failing.includes(service) ? 'critical' : ''),
})
const many = (count: number) => Array.from({ length: count }, (_, at) => `s${at}`)
const readOnce = ({ all, reads }: Swept) => [...all.names()].every((name) => (reads.get(name) ?? 0) >= 1)

describe('a swept service', () => {
  test('is read when it comes, a few at a time, and then not any more', async () => {
    const swept = start(many(100))
    await waitFor('all are read', () => readOnce(swept))
    expect(swept.most).toBe(SWEEP_PARALLEL)
    expect([...swept.reads.values()].every((times) => times === 1)).toBe(true)
    expect(swept.again).toEqual([])
  })

  test('is read again when it disagrees with the query over all checks, and no other one is', async () => {
    const swept = start(['a', 'b'])
    await waitFor('all are read', () => readOnce(swept))
    expect(swept.all.compare(says())).toBe(false)
    swept.found.set('b', () => 'critical')
    expect(swept.all.compare(says('b'))).toBe(true)
    await waitFor('it is read', () => swept.reads.get('b') === 2)
    expect(swept.all.compare(says('b'))).toBe(false)
    expect(swept.reads.get('a')).toBe(1)
    expect(swept.again).toEqual(['b'])
  })

  test('is read again when what is missed in between would make no difference to the query', async () => {
    const swept = start(['a'])
    // It passes and is read by chance, and fails again, all between two answers.
    swept.found.set('a', (times) => (times === 2 ? '' : 'critical'))
    await waitFor('it is read', () => readOnce(swept))
    swept.all.compare(says('a'))
    swept.all.hurry()
    await waitFor('it is read by chance, and until both agree', () => swept.reads.get('a') === 3)
    expect(swept.all.compare(says('a'))).toBe(false)
  })

  test('that goes on to disagree is read a few times, and then let be until something is new', async () => {
    const swept = start(['a'])
    await waitFor('it is read', () => readOnce(swept))
    swept.all.compare(says('a'))
    await waitFor('it is read again and again', () => swept.reads.get('a') === 7)
    for (let times = 0; times < 20; times += 1) expect(swept.all.compare(says('a'))).toBe(false)
    await new Promise(setImmediate)
    expect(swept.reads.get('a')).toBe(7)
    expect(swept.all.compare(says())).toBe(false)
    expect(swept.all.compare(says('a'))).toBe(true)
    await waitFor('it is read once more', () => (swept.reads.get('a') ?? 0) > 7)
  })

  test('is compared with the newest answer also when it is read later than that', async () => {
    const swept = start([])
    swept.all.compare(says('late'))
    let reads = 0
    swept.all.add('late', {
      async read() {
        reads += 1
        swept.all.hold('late', () => ({ nodes: [], ailing: reads < 3 ? '' : 'critical' }))
        return understood
      },
    })
    await waitFor('it is read until both agree', () => reads === 3)
  })

  test.each<[string, Heard]>([
    ['fails', failed],
    ['is old', { kind: 'old' }],
  ])('whose reading %s is read again', async (_, heard) => {
    const swept = start(['a'])
    swept.heard.set('a', heard)
    await waitFor('it is read twice', () => (swept.reads.get('a') ?? 0) >= 2)
    swept.heard.delete('a')
    const before = swept.reads.get('a') ?? 0
    await waitFor('and once more', () => (swept.reads.get('a') ?? 0) > before)
  })

  test('that leaves is not read any more', async () => {
    const swept = start(['a', 'b'])
    await waitFor('all are read', () => readOnce(swept))
    swept.all.delete('a')
    swept.all.compare(says('a', 'b'))
    await waitFor('the other one is', () => (swept.reads.get('b') ?? 0) > 1)
    expect(swept.reads.get('a')).toBe(1)
    expect([...swept.all.names()]).toEqual(['b'])
  })
})

describe('a round', () => {
  test('that is hurried reads all, at once, and its time is told', async () => {
    const swept = start(many(50), { hurryMs: never })
    await waitFor('all are read', () => readOnce(swept))
    expect(swept.all.roundMs).toBeNull()
    swept.all.hurry()
    await waitFor('it is over', () => swept.all.roundMs !== null)
    expect([...swept.reads.values()].every((times) => times === 2)).toBe(true)
  })

  test('that is wanted while one goes on comes after it, and not more than one', async () => {
    const swept = start(many(50), { hurryMs: 1 })
    await waitFor('all are read', () => readOnce(swept))
    swept.all.hurry()
    await waitFor('it has begun', () => swept.reads.get('s0') === 2)
    for (let times = 0; times < 10; times += 1) swept.all.hurry()
    await waitFor('all are read twice more', () => [...swept.reads.values()].every((times) => times === 3))
  })

  test('comes again and again while nothing tells of failing checks', async () => {
    const swept = start(['a'], { hurryMs: 1 })
    swept.all.setBlind(true)
    await waitFor('it is read often', () => (swept.reads.get('a') ?? 0) > 5)
    swept.all.setBlind(false)
  })

  test('comes slowly by itself', async () => {
    const swept = start(many(10), { sweepRoundMs: 20, sweepSpacingMs: 1 })
    await waitFor('there have been some', () => (swept.reads.get('s9') ?? 0) > 3)
  })
})
