/** Is it still so? Asks once more, now, so that an answer can be confirmed; beside the loops, and through the same readers. */

import { setMaxListeners } from 'node:events'
import type { How, Reader } from './consul-loop.ts'

/** Requests at a time. */
export const REREAD_PARALLEL = 4

export interface Rereading {
  /**
   * Reads the list of services and then these, in Consul's consistent mode. False: not all could be read, or a signal was
   * aborted.
   */
  confirm(names: Reader, services: readonly string[], signal: AbortSignal): Promise<boolean>
  /**
   * Reads these as any server has them. Their watches are not begun anew for it: a blocking request that is given up
   * holds its connection at the agent until its wait is over, and an agent grants only so many. What an earlier call has
   * not read yet is left to the later one, or a Consul that is slow and comes and goes would be owed ever more readings.
   */
  catchUp(services: readonly string[], signal: AbortSignal): Promise<boolean>
}

/**
 * @param readers of the services that are listed
 * @param ended aborted when the watch ends
 */
export function rereading(readers: ReadonlyMap<string, Reader>, ended: AbortSignal): Rereading {
  const inTurn = atMost(REREAD_PARALLEL)
  let catchUps = 0

  /** One that is not listed has been read: it is not there. So has one that leaves meanwhile. */
  async function readServices(
    services: readonly string[],
    how: How,
    signal: AbortSignal,
    isWanted = () => true,
  ): Promise<boolean> {
    const all = await Promise.all(
      [...new Set(services)].map(async (name) => {
        const reader = readers.get(name)
        return reader === undefined || (await read(reader, how, signal, isWanted)) || readers.get(name) !== reader
      }),
    )
    return all.every(Boolean) && !signal.aborted
  }

  function read(reader: Reader, how: How, signal: AbortSignal, isWanted = () => true): Promise<boolean> {
    return inTurn(async () => isWanted() && !signal.aborted && (await reader.read(how, signal)).kind === 'understood')
  }

  async function untilEither(signal: AbortSignal, work: (stop: AbortSignal) => Promise<boolean>): Promise<boolean> {
    const stop = new AbortController()
    setMaxListeners(0, stop.signal)
    const abort = () => stop.abort()
    for (const either of [signal, ended]) {
      if (either.aborted) return false
      either.addEventListener('abort', abort)
    }
    try {
      return await work(stop.signal)
    } finally {
      for (const either of [signal, ended]) either.removeEventListener('abort', abort)
    }
  }

  return {
    confirm: (names, services, signal) =>
      untilEither(
        signal,
        async (stop) => (await read(names, 'consistent', stop)) && (await readServices(services, 'consistent', stop)),
      ),
    catchUp(services, signal) {
      catchUps += 1
      const own = catchUps
      return untilEither(signal, (stop) => readServices(services, null, stop, () => own === catchUps))
    },
  }
}

/** Runs no more than so many jobs at the same time; the others wait, in order. */
function atMost(most: number): <T>(job: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (job) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      return await job()
    } finally {
      // The slot is handed on.
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}
