/**
 * How are services followed that there is no connection left to watch? They are read in turn, without blocking: a round
 * is spread over several seconds, a few requests at a time. Names never read before do not wait for their turn.
 */

import { type LoopTools, pause, type Query, queryReader, type Reader } from './consul-loop.ts'
import { backoffMs } from './pace.ts'

/** Requests at a time. Together with the watches well below the 200 connections that an agent grants one address. */
const EAGER_PARALLEL = 12
const ROUND_PARALLEL = 4
/** After so many attempts a name never read waits for its turn like the others. */
const EAGER_ATTEMPTS = 3

interface Swept {
  readonly reader: Reader
  /** How often it was tried before its first success; null: it has been read. */
  tried: number | null
}

export interface Sweep {
  add(name: string): void
  delete(name: string): void
  /** Takes out the name that comes first; undefined: there is none. */
  shift(): string | undefined
  /** Reads until `signal` is aborted. Never rejects. */
  run(signal: AbortSignal): Promise<void>
}

/**
 * @param queryOf how one name is read
 * @param roundMs how long a round over all names takes
 * @param onBug told what a query throws, which is not supposed to
 */
export function sweep(
  queryOf: (name: string) => Query,
  roundMs: number,
  onBug: (error: unknown) => void,
  tools: LoopTools,
): Sweep {
  const names = new Map<string, Swept>()
  const added = bell()
  let failures = 0

  async function readOne(swept: Swept, signal: AbortSignal): Promise<void> {
    const reading = await swept.reader.read(null, signal)
    if (reading.kind === 'understood') {
      failures = 0
      swept.tried = null
    } else if (reading.kind === 'failed') {
      failures += 1
      if (swept.tried !== null) swept.tried += 1
      await pause(backoffMs(failures, reading.failure.speed, tools.random()), signal)
    }
  }

  /** @param spacingMs the least time between the starts of two reads */
  async function readAll(queue: readonly string[], parallel: number, spacingMs: number, signal: AbortSignal) {
    const startedAt = tools.now()
    let at = 0
    const worker = async () => {
      for (let name = queue[at]; name !== undefined && !signal.aborted; name = queue[at]) {
        const dueAt = startedAt + at * spacingMs
        at += 1
        await pause(dueAt - tools.now(), signal)
        const swept = names.get(name)
        if (!signal.aborted && swept !== undefined) await readOne(swept, signal).catch(onBug)
      }
    }
    await Promise.all(Array.from({ length: Math.min(parallel, queue.length) }, worker))
  }

  async function readNewcomers(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const unread = [...names].filter(([, { tried }]) => tried !== null && tried < EAGER_ATTEMPTS)
      if (unread.length === 0) await added.rung(signal)
      const queue = unread.map(([name]) => name)
      await readAll(queue, EAGER_PARALLEL, 0, signal)
    }
  }

  async function readRounds(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const queue = [...names.keys()]
      const endsAt = tools.now() + roundMs
      await readAll(queue, ROUND_PARALLEL, roundMs / Math.max(1, queue.length), signal)
      await pause(endsAt - tools.now(), signal)
    }
  }

  return {
    add(name) {
      names.set(name, { reader: queryReader(queryOf(name), tools), tried: 0 })
      added.ring()
    },
    delete(name) {
      names.delete(name)
    },
    shift() {
      const first = [...names.keys()].sort()[0]
      if (first !== undefined) names.delete(first)
      return first
    },
    async run(signal) {
      await Promise.all([readNewcomers(signal), readRounds(signal)])
    },
  }
}

/** Somebody waits for something that somebody else announces. */
function bell(): { ring(): void; rung(signal: AbortSignal): Promise<void> } {
  let listener: (() => void) | null = null
  return {
    ring: () => listener?.(),
    rung: (signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve()
        const done = () => {
          listener = null
          signal.removeEventListener('abort', done)
          resolve()
        }
        listener = done
        signal.addEventListener('abort', done)
      }),
  }
}
