import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Deadlines, lookEveryMs, Timed } from '../../../src/proxy/engines/wire/deadlines.ts'

let now = 0

beforeEach(() => {
  now = 0
  vi.useFakeTimers()
})
afterEach(() => vi.useRealTimers())

/** Lets the time pass, look by look (faked: the timer and the clock). */
function pass(ms: number): void {
  for (const end = now + ms; now < end; ) {
    now += lookEveryMs
    vi.advanceTimersByTime(lookEveryMs)
  }
}

class Waiter extends Timed {
  readonly calls: number[] = []
  readonly #then: () => void

  constructor(then = () => {}) {
    super()
    this.#then = then
  }

  onDue(): void {
    this.calls.push(now)
    this.#then()
  }
}

test('tells who is due at the first look behind the deadline, and nobody before', () => {
  const deadlines = new Deadlines(() => now, fail)
  const soon = new Waiter()
  const late = new Waiter()
  deadlines.watch(soon, 2 * lookEveryMs - 1)
  deadlines.watch(late, 1_000_000)
  pass(lookEveryMs)
  expect(soon.calls).toEqual([])
  pass(lookEveryMs)
  expect([soon.calls, late.calls]).toEqual([[2 * lookEveryMs], []])
})

test('whatever is moved where, and whenever: each is told within one look of its deadline, and never before', () => {
  const step = fc.record({ who: fc.nat(4), dueIn: fc.nat(10_000), wait: fc.nat(2_000) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      now = 0
      const deadlines = new Deadlines(() => now, fail)
      const waiters = Array.from({ length: 5 }, () => {
        const waiter: Waiter = new Waiter(() => {
          expect(now).toBeGreaterThanOrEqual(waiter.dueMs)
          expect(now - waiter.dueMs).toBeLessThanOrEqual(lookEveryMs)
          deadlines.move(waiter, Number.POSITIVE_INFINITY)
        })
        deadlines.watch(waiter)
        return waiter
      })
      for (const { who, dueIn, wait } of steps) {
        deadlines.move(waiters[who] as Waiter, now + dueIn)
        pass(wait)
      }
      pass(12_000)
      expect(waiters.every(({ dueMs }) => dueMs === Number.POSITIVE_INFINITY)).toBe(true)
      for (const waiter of waiters) deadlines.forget(waiter)
      pass(lookEveryMs)
      expect(vi.getTimerCount()).toBe(0)
    }),
    { numRuns: 60 },
  )
})

test('a timer that comes late tells all that became due meanwhile', () => {
  const deadlines = new Deadlines(() => now, fail)
  const waiters = [100, 1_000, 5_000, 20_000].map((dueMs) => {
    const waiter = new Waiter()
    deadlines.watch(waiter, dueMs)
    return waiter
  })
  now = 10_000
  vi.advanceTimersByTime(lookEveryMs)
  // After a standstill: behind what has come meanwhile.
  vi.advanceTimersByTime(1)
  expect(waiters.map(({ calls }) => calls.length > 0)).toEqual([true, true, true, false])
})

test('one who is forgotten by another in the same look is not told', () => {
  const deadlines = new Deadlines(() => now, fail)
  const second = new Waiter()
  const first = new Waiter(() => deadlines.forget(second))
  deadlines.watch(first, 10)
  deadlines.watch(second, 10)
  pass(lookEveryMs)
  expect([first.calls.length, second.calls.length]).toEqual([1, 0])
})

test('with nobody to watch there is no timer, and the clock is right again for the next one', () => {
  const deadlines = new Deadlines(() => now, fail)
  const first = new Waiter()
  deadlines.watch(first)
  deadlines.forget(first)
  deadlines.forget(first)
  pass(lookEveryMs)
  expect(vi.getTimerCount()).toBe(0)
  now = 5_000
  const second = new Waiter()
  deadlines.watch(second)
  expect(deadlines.nowMs).toBe(5_000)
  deadlines.move(second, deadlines.nowMs + lookEveryMs)
  pass(lookEveryMs)
  expect(second.calls).toEqual([5_000 + lookEveryMs])
})

function fail(error: Error): void {
  throw error
}
