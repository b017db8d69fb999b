/** How soon is an Engine read again? */

import { expect, test } from 'vitest'
import { type Activity, periodMs } from '../../../src/discovery/swarm/swarm-pace.ts'

const timing = { pollMs: 1000, busyPollMs: 250 }
const quiet: Activity = { tookMs: 5, sinceEventMs: 60_000, sinceNewsMs: 60_000, isUnsettled: false }

test.each<[string, Partial<Activity>, number]>([
  ['once a second when nothing happens', {}, 1000],
  ['soon after an event', { sinceEventMs: 1999 }, 250],
  ['not for long after an event', { sinceEventMs: 2000 }, 1000],
  ['soon while a task is on its way', { isUnsettled: true, sinceNewsMs: 14_999 }, 250],
  ['not for ever while a task is on its way', { isUnsettled: true, sinceNewsMs: 15_000 }, 1000],
  ['more seldom when a reading takes long', { tookMs: 100 }, 2000],
  ['never more seldom than every five seconds', { tookMs: 9000 }, 5000],
  ['soon, but not all the time, when a reading takes long', { sinceEventMs: 0, tookMs: 200 }, 800],
])('%s', (_, activity, expected) => {
  expect(periodMs({ ...quiet, ...activity }, timing, 0.5)).toBe(expected)
  expect(periodMs({ ...quiet, ...activity }, timing, 0)).toBe(expected * 0.75)
})
