/** Does the whole program keep up with a large and restless catalog? The drills at a small size, without a word on times. */

import { expect, test } from 'vitest'
import { flips, flipsSmall } from '../drills/flips.ts'
import { scale, scaleSmall } from '../drills/scale.ts'

test('200 services of a real Consul: none is missing, every change is seen, and the connections are bounded', async () => {
  const { broken } = await scale(scaleSmall)
  expect(broken).toEqual([])
}, 90_000)

test('checks of many services flip all the time: no final state is missed, and no request fails', async () => {
  const { broken, figures } = await flips(flipsSmall)
  expect(broken).toEqual([])
  expect(figures['requests failed']).toMatch(/^0 of \d{3}/)
}, 90_000)
