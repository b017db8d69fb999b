/** How does a source wait, and how does it go on whatever happens in it? */

import { setTimeout as timer } from 'node:timers/promises'
import { backoffMs } from './pace.ts'

/**
 * Runs `work` again and again until `signal` is aborted, so that not even a bug of ours ends a watch: what it throws
 * goes to `onBug`, and it starts anew a while later.
 * @param random from 0 to less than 1
 */
export async function supervise(
  work: () => Promise<void>,
  onBug: (error: unknown) => void,
  random: () => number,
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      await work()
    } catch (error) {
      onBug(error)
    }
    await pause(backoffMs(failures, 'wrong', random()), signal)
  }
}

/** Waits `ms`, or until `signal` is aborted; never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return
  // It rejects when aborted, and then there is nothing left to wait for.
  await timer(ms, undefined, { signal }).catch(() => {})
}
