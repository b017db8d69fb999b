/** When a snapshot is written: an injected clock, and a disk that is faked and keeps what it is given. */

import { setImmediate as turn } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Catalog } from '../../src/balancer/endpoint.ts'
import { encodeSnapshot } from '../../src/discovery/snapshot.ts'
import { TooLarge } from '../../src/discovery/snapshot-disk.ts'
import { openSnapshot, type SnapshotFile } from '../../src/discovery/snapshot-file.ts'
import { catalogOf } from './catalogs.ts'

/** Milliseconds since 1970 at the start of the clock. */
const startMs = Date.UTC(2026, 0, 31)
let nowMs: number
let sleepers: { readonly untilMs: number; readonly wake: () => void }[]
/** What was written, and when. */
let written: { readonly atMs: number; readonly text: string }[]
let failure: Error | null
/** How long a write takes: while there is something here, it waits for it. */
let slow: Promise<void> | null
let said: string[]
let file: SnapshotFile

beforeEach(() => {
  nowMs = 0
  sleepers = []
  written = []
  failure = null
  slow = null
  said = []
  file = openSnapshot('/catalog.json', {
    now: () => nowMs,
    epochNow: () => startMs + nowMs,
    onError: ({ where, message, cure }) => said.push(`${where}: ${message}; ${cure}`),
    onRecovered: () => said.push('recovered'),
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { untilMs: nowMs + ms, wake: () => resolve(null) }
        sleepers.push(sleeper)
        signal.addEventListener('abort', () => {
          sleepers = sleepers.filter((each) => each !== sleeper)
          reject(new Error('aborted'))
        })
      }),
    disk: {
      look: async () => ({ kind: 'absent' }),
      removeLeftovers: async () => {},
      replace: async (_, pieces) => {
        written.push({ atMs: nowMs, text: [...pieces].join('') })
        await slow
        if (failure !== null) throw failure
        return { kind: 'written', mark: '' }
      },
    },
  })
})

/** Lets time pass, a piece at a time, with all that is due in it. */
async function pass(ms: number): Promise<void> {
  const endMs = nowMs + ms
  for (;;) {
    await turn()
    const due = sleepers.reduce((min, { untilMs }) => Math.min(min, untilMs), Number.POSITIVE_INFINITY)
    if (due > endMs) break
    nowMs = Math.max(nowMs, due)
    const woken = sleepers.filter(({ untilMs }) => untilMs <= nowMs)
    sleepers = sleepers.filter(({ untilMs }) => untilMs > nowMs)
    for (const { wake } of woken) wake()
  }
  nowMs = endMs
}

function write(catalog: Catalog): void {
  file.write(catalog, startMs + nowMs)
}

const text = (catalog: Catalog, atMs: number) => encodeSnapshot(catalog, startMs + atMs)
const times = () => written.map(({ atMs }) => atMs)
const noSpace = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
const noAccess = Object.assign(new Error('EACCES: permission denied, open'), { code: 'EACCES' })

describe('a catalog', () => {
  test('is written at once, and the next a second later', async () => {
    write(catalogOf(1))
    await pass(10)
    write(catalogOf(2))
    await pass(5_000)
    expect(written).toEqual([
      { atMs: 0, text: text(catalogOf(1), 0) },
      { atMs: 1_000, text: text(catalogOf(2), 10) },
    ])
  })

  test('of many within a second is the last', async () => {
    for (let port = 1; port <= 500; port++) {
      write(catalogOf(port))
      await pass(10)
    }
    await pass(5_000)
    expect(times()).toEqual([0, 1_000, 2_000, 3_000, 4_000, 5_000])
    expect(written.at(-1)?.text).toBe(text(catalogOf(500), 4_990))
  })

  test('that comes while one is written follows a second after its end', async () => {
    let finish = () => {}
    slow = new Promise((resolve) => {
      finish = resolve
    })
    write(catalogOf(1))
    await pass(3_000)
    write(catalogOf(2))
    write(catalogOf(3))
    file.confirmed(startMs + 3_001)
    await pass(3_000)
    expect(times()).toEqual([0])
    finish()
    await pass(1_500)
    expect(times()).toEqual([0, 7_000])
    expect(written.at(-1)?.text).toBe(text(catalogOf(3), 3_001))
  })

  test('that is the very same again counts as a confirmation', async () => {
    const catalog = catalogOf(1)
    for (let count = 0; count < 10; count++) {
      write(catalog)
      await pass(1_000)
    }
    expect(times()).toEqual([0])
  })
})

describe('a confirmation', () => {
  test('renews the time once a minute', async () => {
    write(catalogOf(1))
    for (let second = 0; second < 150; second++) {
      await pass(1_000)
      file.confirmed(startMs + nowMs)
    }
    expect(written).toEqual([
      { atMs: 0, text: text(catalogOf(1), 0) },
      { atMs: 60_000, text: text(catalogOf(1), 59_000) },
      { atMs: 120_000, text: text(catalogOf(1), 119_000) },
    ])
  })

  test('that waits does not hold up a new catalog', async () => {
    write(catalogOf(1))
    await pass(5_000)
    file.confirmed(startMs + nowMs)
    write(catalogOf(2))
    await pass(120_000)
    expect(times()).toEqual([0, 5_000])
  })

  test('without a catalog is nothing', async () => {
    file.confirmed(startMs)
    await pass(120_000)
    await file.close()
    expect(written).toEqual([])
  })
})

describe('closing', () => {
  test('writes the catalog that waits, without delay, and then nothing more', async () => {
    write(catalogOf(1))
    await pass(10)
    write(catalogOf(2))
    await Promise.all([file.close(), file.close()])
    write(catalogOf(3))
    file.confirmed(startMs + nowMs)
    await pass(120_000)
    expect(times()).toEqual([0, 10])
    expect(sleepers).toEqual([])
  })

  test('writes the last confirmation', async () => {
    write(catalogOf(1))
    await pass(10)
    file.confirmed(startMs + 10)
    await file.close()
    expect(written.at(-1)?.text).toBe(text(catalogOf(1), 10))
  })

  test('writes nothing if there is nothing new', async () => {
    write(catalogOf(1))
    await pass(10)
    await file.close()
    expect(times()).toEqual([0])
  })

  test('waits for a write that goes on, and then writes what came meanwhile', async () => {
    let finish = () => {}
    slow = new Promise((resolve) => {
      finish = resolve
    })
    write(catalogOf(1))
    await pass(10)
    write(catalogOf(2))
    let closed = false
    const closing = file.close().then(() => {
      closed = true
    })
    await pass(10)
    expect([closed, written.length]).toEqual([false, 1])
    finish()
    await closing
    expect(written.at(-1)?.text).toBe(text(catalogOf(2), 10))
  })

  test('tells of a write that fails, and ends all the same', async () => {
    failure = noSpace
    write(catalogOf(1))
    await file.close()
    await pass(120_000)
    expect(times()).toEqual([0])
    expect(said).toHaveLength(1)
  })
})

describe('a failure', () => {
  test('is tried again every ten seconds with what is newest, told once a kind, and told when it is over', async () => {
    failure = noSpace
    write(catalogOf(1))
    await pass(15_000)
    write(catalogOf(2))
    failure = noAccess
    await pass(10_000)
    failure = noSpace
    await pass(10_000)
    failure = null
    await pass(10_000)
    expect(times()).toEqual([0, 10_000, 20_000, 30_000, 40_000])
    expect(written.at(-1)?.text).toBe(text(catalogOf(2), 15_000))
    expect(said).toEqual([
      '/catalog.json: no snapshot is written: ENOSPC: no space left on device, write; make room on its file system',
      '/catalog.json: no snapshot is written: EACCES: permission denied, open; let the user of this process read and write the file and its directory',
      'recovered',
    ])
    failure = noSpace
    write(catalogOf(3))
    await pass(1_000)
    expect(said).toHaveLength(4)
  })

  test('of a catalog that is too large is not tried again until another comes', async () => {
    failure = new TooLarge('the catalog takes more than 64 MiB')
    write(catalogOf(1))
    await pass(600_000)
    expect(times()).toEqual([0])
    failure = null
    write(catalogOf(2))
    await pass(1_000)
    expect(times()).toEqual([0, 600_000])
    expect(said).toEqual([expect.stringContaining('discovery.consul.include'), 'recovered'])
  })
})
