import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Deadlines, lookEveryMs, type Timed } from '../../../src/proxy/engines/wire/deadlines.ts'

let now = 0

beforeEach(() => {
  now = 0
  vi.useFakeTimers()
})
afterEach(() => vi.useRealTimers())

/** Lets the time pass, look by look. */
function pass(ms: number): void {
  for (const end = now + ms; now < end; ) {
    now += lookEveryMs
    vi.advanceTimersByTime(lookEveryMs)
  }
}

function timed(dueMs: number): Timed & { readonly calls: number[] } {
  const calls: number[] = []
  return { dueMs, calls, onDue: () => calls.push(now) }
}

test('tells who is due at the first look behind the deadline, and nobody before (faked: the timers)', () => {
  const deadlines = new Deadlines(() => now)
  const soon = timed(2 * lookEveryMs - 1)
  const late = timed(1_000_000)
  deadlines.watch(soon)
  deadlines.watch(late)
  pass(lookEveryMs)
  expect(soon.calls).toEqual([])
  pass(lookEveryMs)
  expect([soon.calls, late.calls]).toEqual([[2 * lookEveryMs], []])
})

test('a deadline that is moved holds from then on; one that is lifted never comes', () => {
  const deadlines = new Deadlines(() => now)
  const moved = timed(lookEveryMs)
  const lifted = timed(lookEveryMs)
  deadlines.watch(moved)
  deadlines.watch(lifted)
  moved.dueMs = 4 * lookEveryMs
  lifted.dueMs = Number.POSITIVE_INFINITY
  pass(10 * lookEveryMs)
  expect([moved.calls[0], lifted.calls]).toEqual([4 * lookEveryMs, []])
})

test('with nobody to watch there is no timer, and the clock is right again for the next one', () => {
  const deadlines = new Deadlines(() => now)
  const first = timed(Number.POSITIVE_INFINITY)
  deadlines.watch(first)
  deadlines.forget(first)
  pass(lookEveryMs)
  expect(vi.getTimerCount()).toBe(0)
  now = 5_000
  const second = timed(0)
  deadlines.watch(second)
  expect(deadlines.nowMs).toBe(5_000)
  second.dueMs = deadlines.nowMs + lookEveryMs
  pass(lookEveryMs)
  expect(second.calls).toEqual([5_000 + lookEveryMs])
  deadlines.forget(second)
  pass(lookEveryMs)
})
