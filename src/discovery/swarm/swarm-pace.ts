/** When is an Engine to be read again, if no event says so before? Pure. */

export interface PollTiming {
  /** How often all is read when nothing seems to happen; × 0.75 to 1.25, and more seldom when a reading takes long. */
  readonly pollMs: number
  /** How often while something happens; likewise. */
  readonly busyPollMs: number
}

/** In milliseconds. */
export interface Activity {
  /** How long the last reading took. */
  readonly tookMs: number
  /** How long ago the last event, and the last reading that brought something new. */
  readonly sinceEventMs: number
  readonly sinceNewsMs: number
  /** Some task is to run and does not yet. */
  readonly isUnsettled: boolean
}

/** How long something counts as happening after an event, and while a task is on its way after the last news. */
const EVENT_ECHO_MS = 2000
const UNSETTLED_MS = 15_000
/** One part in so many of the time is spent on reading: the Engine works for each, and so do we when something is new. */
const IDLE_SHARE = 20
const BUSY_SHARE = 4
const MAX_POLL_MS = 5000

/** @param random from 0 to less than 1 */
export function periodMs(activity: Activity, { pollMs, busyPollMs }: PollTiming, random: number): number {
  const { tookMs, sinceEventMs, sinceNewsMs, isUnsettled } = activity
  const isBusy = sinceEventMs < EVENT_ECHO_MS || (isUnsettled && sinceNewsMs < UNSETTLED_MS)
  const [least, share] = isBusy ? [busyPollMs, BUSY_SHARE] : [pollMs, IDLE_SHARE]
  return Math.max(least, Math.min(MAX_POLL_MS, tookMs * share)) * (0.75 + 0.5 * random)
}
