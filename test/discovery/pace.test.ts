import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  afterAnswer,
  type Bucket,
  backoffMs,
  freshIndex,
  fullBucket,
  type IndexState,
  REQUEST_RATE,
  refundForNews,
  takeToken,
} from '../../src/discovery/pace.ts'

describe('the token bucket', () => {
  /** Makes requests as soon as they are allowed; returns when each of them left. */
  function timesOf(requests: number, newsEachTime: boolean): number[] {
    let now = 1000
    let bucket: Bucket = fullBucket(REQUEST_RATE, now)
    return Array.from({ length: requests }, () => {
      const turn = takeToken(bucket, REQUEST_RATE, now)
      bucket = newsEachTime ? refundForNews(turn.bucket, REQUEST_RATE) : turn.bucket
      now += turn.waitMs
      return now - 1000
    })
  }

  test('lets two requests through at once, then one every 50 ms', () => {
    expect(timesOf(5, false)).toEqual([0, 0, 50, 100, 150])
  })

  test('lets one through every 25 ms if each of them brought news', () => {
    expect(timesOf(6, true)).toEqual([0, 0, 0, 25, 50, 75])
  })

  test('fills up again in time, but not beyond its size', () => {
    const empty = { tokens: 0, atMs: 0 }
    expect(takeToken(empty, REQUEST_RATE, 50).waitMs).toBe(0)
    expect(takeToken(empty, REQUEST_RATE, 60_000).bucket.tokens).toBe(1)
    expect(refundForNews({ tokens: 1.8, atMs: 0 }, REQUEST_RATE).tokens).toBe(2)
  })

  test('is not confused by a clock that stands still', () => {
    expect(takeToken({ tokens: 1, atMs: 100 }, REQUEST_RATE, 90)).toEqual({
      bucket: { tokens: 0, atMs: 90 },
      waitMs: 0,
    })
  })

  test('whatever the pauses, no second sees more than 22 requests', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 30, maxLength: 120 }), (pauses) => {
        let now = 0
        let bucket = fullBucket(REQUEST_RATE, now)
        const times = pauses.map((pause) => {
          now += pause
          const turn = takeToken(bucket, REQUEST_RATE, now)
          bucket = turn.bucket
          now += turn.waitMs
          return now
        })
        for (const start of times) {
          expect(times.filter((time) => time >= start && time < start + 999).length).toBeLessThanOrEqual(22)
        }
      }),
    )
  })
})

describe('backoffMs', () => {
  test.each([
    ['the first failure waits up to 100 ms', 1, 'away', 100],
    ['the second up to 200 ms', 2, 'away', 200],
    ['the fourth up to 800 ms', 4, 'away', 800],
    ['a Consul that is away is asked again within 1.5 s', 5, 'away', 1500],
    ['for as long as it takes', 1_000_000, 'away', 1500],
    ['what is wrong is asked again within 10 s', 20, 'wrong', 10_000],
    ['what is busy too', 20, 'busy', 10_000],
  ] as const)('%s', (_, failures, speed, bound) => {
    expect(backoffMs(failures, speed, 0)).toBe(0)
    expect(backoffMs(failures, speed, 0.5)).toBe(bound / 2)
    expect(backoffMs(failures, speed, 0.999_999)).toBeCloseTo(bound, 0)
  })
})

describe('afterAnswer', () => {
  const waitMs = 55_000
  const at = (index: string | null, early = 0): IndexState => ({ index, early })
  const biggest = '18446744073709551615'

  test.each([
    ['the first answer gives an index to block on', freshIndex, '7', 3, at('7'), 0],
    ['a greater index is blocked on at once', at('7'), '9', 3, at('9'), 0],
    ['an index of 64 bits keeps all its digits', at('7'), biggest, 3, at(biggest), 0],
    ['the same index after the whole wait is blocked on again', at('7'), '7', 56_000, at('7'), 0],
    ['a smaller index starts from 0', at('7'), '5', 3, at(null, 1), 0],
    ['no index at all: asked without blocking, once a second', at('7'), null, 3, at(null), 1000],
    ['index 0 is none', at('7'), '0', 3, at(null), 1000],
    ['a negative index is none', at('7'), '-1', 3, at(null), 1000],
    ['an index in words is none', at('7'), 'many', 3, at(null), 1000],
    ['an empty index is none', at('7'), '', 3, at(null), 1000],
    ['an index of more than 64 bits is none', at('7'), '18446744073709551616', 3, at(null), 1000],
    ['a fraction is none', at('7'), '7.5', 3, at(null), 1000],
    ['the same index too early is let pass a few times', at('7', 2), '7', 3, at('7', 3), 0],
    ['then it slows the asking down', at('7', 3), '7', 3, at('7', 4), 100],
    ['more and more', at('7', 5), '7', 3, at('7', 6), 400],
    ['down to once a second', at('7', 50), '7', 3, at('7', 51), 1000],
    ['a whole wait forgives', at('7', 50), '7', 50_000, at('7'), 0],
    ['a greater index forgives', at('7', 50), '8', 3, at('8'), 0],
    ['an index that shrinks again and again slows it down too', at('7', 5), '5', 3, at(null, 6), 400],
    ['and is not forgiven by the answer that follows', at(null, 6), '7', 3, at('7', 6), 0],
  ])('%s', (_, state, header, tookMs, next, pauseMs) => {
    expect(afterAnswer(state, header, tookMs, waitMs)).toEqual({ state: next, pauseMs })
  })
})
