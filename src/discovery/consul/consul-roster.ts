/** Who has a watch of its own, and who is swept? As many as may be are watched: those that have the most traffic. */

import type { Reader } from './consul-loop.ts'
import { byTraffic, chooseSwaps, type Traffic, trafficSince } from './consul-ranking.ts'
import type { Sweep } from './consul-sweep.ts'

/** Services that change places in one look: each costs two readings. */
const MAX_SWAPS = 16

export interface Roster {
  readonly watched: number
  add(names: readonly string[]): void
  delete(names: readonly string[]): void
  /**
   * Gives away the watches that are free, once no service is left that is still to be read. To be called when that is so: a watch
   * keeps its connection, and an agent that grants few at the moment would leave nothing to read the others with.
   */
  fill(): void
  /** Looks at the traffic, and lets the busiest take the place of the quietest. */
  reassign(): void
  /** Who has a watch. */
  names(): readonly string[]
  /** Ends every watch. */
  close(): void
}

/**
 * @param maxWatches 0 or more
 * @param readerOf the reader of a listed service. It stays the same wherever the service is, so that a move forgets nothing
 * @param startWatch follows a service until the signal is aborted, beginning with a reading of it
 * @param traffic how many requests each service has had since some start
 */
export function roster(
  maxWatches: number,
  swept: Sweep,
  readerOf: (name: string) => Reader,
  startWatch: (name: string, stop: AbortController) => void,
  traffic: () => Traffic,
): Roster {
  const watches = new Map<string, AbortController>()
  let counts: Traffic = new Map(traffic())
  /** Since the look before the last one. */
  let recent: Traffic = counts

  function watch(name: string): void {
    swept.delete(name)
    const stop = new AbortController()
    watches.set(name, stop)
    startWatch(name, stop)
  }

  function unwatch(name: string): void {
    watches.get(name)?.abort()
    watches.delete(name)
  }

  function fill(): void {
    const free = maxWatches - watches.size
    if (free <= 0 || swept.size === 0 || swept.untried > 0) return
    for (const name of byTraffic(swept.names(), recent).slice(0, free)) watch(name)
  }

  return {
    get watched() {
      return watches.size
    },
    add(names) {
      for (const name of names) swept.add(name, readerOf(name))
    },
    fill,
    delete(names) {
      for (const name of names) {
        unwatch(name)
        swept.delete(name)
      }
      fill()
    },
    reassign() {
      const all = [...watches.keys(), ...swept.names()]
      const now = traffic()
      recent = trafficSince(all, now, counts)
      counts = new Map(all.map((name) => [name, now.get(name) ?? 0]))
      for (const { demoted, promoted } of chooseSwaps(watches.keys(), swept.names(), recent, MAX_SWAPS)) {
        unwatch(demoted)
        // It is read once more, and at once: what its watch was about to hear is not lost.
        swept.add(demoted, readerOf(demoted))
        watch(promoted)
      }
    },
    names: () => [...watches.keys()],
    close() {
      for (const name of [...watches.keys()]) unwatch(name)
    },
  }
}
