/** Is it still so? Asks once more, now, so that an answer can be confirmed; beside the loops, and through the same readers. */

import { setMaxListeners } from 'node:events'
import type { Reader } from './consul-loop.ts'

/** Requests at a time. */
export const REREAD_PARALLEL = 4

/**
 * @param names reads the list of services
 * @param readers of the services that are listed; changes with what `names` reads
 * @param flush tells what has been read; false: the catalog is not known yet
 * @param ended aborted when the watch ends
 * @returns see `CatalogSource.reread`
 */
export function rereader(
  names: Reader,
  readers: ReadonlyMap<string, Reader>,
  flush: () => boolean,
  ended: AbortSignal,
): (services: readonly string[], signal: AbortSignal) => Promise<boolean> {
  const inTurn = atMost(REREAD_PARALLEL)

  return async (services, signal) => {
    const stop = new AbortController()
    setMaxListeners(0, stop.signal)
    const abort = () => stop.abort()
    for (const either of [signal, ended]) {
      if (either.aborted) return false
      either.addEventListener('abort', abort)
    }
    const read = (reader: Reader): Promise<boolean> =>
      inTurn(async () => !stop.signal.aborted && (await reader.read('consistent', stop.signal)).kind === 'understood')
    try {
      if (!(await read(names))) return false
      const all = await Promise.all(
        [...new Set(services)].map(async (name) => {
          const reader = readers.get(name)
          // One that is not listed has been read: it is not there. So has one that leaves meanwhile.
          return reader === undefined || (await read(reader)) || readers.get(name) !== reader
        }),
      )
      return flush() && all.every(Boolean) && !stop.signal.aborted
    } finally {
      for (const either of [signal, ended]) either.removeEventListener('abort', abort)
    }
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
