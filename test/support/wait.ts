/** How does a test wait for something without sleeping for a fixed time? By asking again until a deadline. */

import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 5

/**
 * Asks `probe` every few milliseconds until it answers something other than `undefined` or `false`, and returns that.
 * @param what what is awaited, for the message of the error
 * @param probe may be asynchronous; what it throws ends the waiting
 * @param deadlineMs how long to go on asking
 * @throws when the deadline is over
 */
export async function waitFor<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = 10_000,
): Promise<T> {
  const until = performance.now() + deadlineMs
  for (;;) {
    const answer = await probe()
    if (answer !== undefined && answer !== false) return answer
    if (performance.now() > until) throw new Error(`waited ${deadlineMs} ms in vain: ${what}`)
    await sleep(POLL_MS)
  }
}
