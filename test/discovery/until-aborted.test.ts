import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { withEither } from '../../src/discovery/until-aborted.ts'
import { liveBytes } from '../support/heap.ts'

test('work is given up with the first of several signals, also with one that was aborted before', async () => {
  const [one, other] = [new AbortController(), new AbortController()]
  const given = withEither([one.signal, other.signal], async (either) => {
    expect(either.aborted).toBe(false)
    other.abort()
    return either.aborted
  })
  expect(await given).toBe(true)
  expect(await withEither([one.signal, AbortSignal.abort()], async (either) => either.aborted)).toBe(true)
})

test('a signal that lives on keeps nothing of it, whether the work succeeds or fails', async () => {
  const { signal } = new AbortController()
  const before = liveBytes()
  for (let at = 0; at < 5000; at += 1) {
    const work = async () => {
      if (at % 2 === 0) throw new Error('failed')
    }
    await withEither([signal, new AbortController().signal], work).catch(() => {})
  }
  expect(getEventListeners(signal, 'abort')).toEqual([])
  expect(liveBytes() - before).toBeLessThan(2_000_000)
})
