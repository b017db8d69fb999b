/** Who waits for whom when the source is asked again? The readers are scripted. */

import { expect, test } from 'vitest'
import type { Heard, Reader } from '../../../src/discovery/consul/consul-loop.ts'
import { REREAD_PARALLEL, rereading } from '../../../src/discovery/consul/consul-reread.ts'

const understood: Heard = { kind: 'understood', news: false, index: '1' }
const never = new AbortController().signal

test('an outage after another is caught up with once: what waits to be read is not read for each of them', async () => {
  const names = Array.from({ length: 20 }, (_, at) => `s${at}`)
  const reads: string[] = []
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const readerOf = (name: string): Reader => ({
    async read() {
      reads.push(name)
      await released
      return understood
    },
  })
  const again = rereading(new Map(names.map((name) => [name, readerOf(name)])), never)
  const outages = [again.catchUp(names, never), again.catchUp(names, never), again.catchUp(names, never)]
  const confirmed = again.confirm(readerOf('names'), ['s0'], never)
  release()
  expect(await Promise.all(outages)).toEqual([false, false, true])
  expect(await confirmed).toBe(true)
  expect(reads).toHaveLength(REREAD_PARALLEL + names.length + 2)
})
