/**
 * When has everything happened that will happen by itself? Client, proxy and origin share one event loop, and the
 * loopback delivers within the write: when nothing has stirred for some turns of the loop, nothing is under way.
 */

import { setTimeout as sleep } from 'node:timers/promises'

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

export async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left--) await turn()
}

/** The longest silence seen within a chain of events was 6 turns, between a client's last byte and the origin's first. */
const silentTurns = 24

/** Listens to one run: client, proxies and origins. */
export class Silence {
  #stirs = 0

  /** To be called at every event of any of them. */
  readonly stir = (): void => {
    this.#stirs++
  }

  /** Waits until nothing has stirred for a while, counted in turns of the loop and not in time. */
  async come(silence = silentTurns): Promise<void> {
    let seen = this.#stirs
    for (let silent = 0; silent < silence; ) {
      await turn()
      silent = this.#stirs === seen ? silent + 1 : 0
      seen = this.#stirs
    }
  }
}

/** Asks every turn, and later every millisecond, until `probe` says yes; false when it has not by the deadline. */
export async function until(probe: () => boolean, deadlineMs: number): Promise<boolean> {
  for (let left = 200; left > 0; left--) {
    if (probe()) return true
    await turn()
  }
  const endMs = performance.now() + deadlineMs
  while (!probe()) {
    if (performance.now() > endMs) return false
    await sleep(1)
  }
  return true
}
