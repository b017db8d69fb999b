/** Which of several answers to the same query is taken in? The requests are scripted. */

import { expect, test } from 'vitest'
import { type Answer, type How, queryReader } from '../../../src/discovery/consul/consul-loop.ts'

const never = new AbortController().signal

function reader() {
  const asked: ((index: string) => void)[] = []
  const accepted: unknown[] = []
  let outdated = 0
  const made = queryReader(
    {
      ask: () =>
        new Promise<Answer>((resolve) => {
          asked.push((index) => resolve({ kind: 'answered', body: index, index }))
        }),
      accept: (body) => {
        accepted.push(body)
        return { kind: 'understood', news: true }
      },
      failed: () => {},
      outdated: () => {
        outdated += 1
      },
    },
    { catchUpMs: 0, now: () => 0, random: () => 0 },
  )
  return { made, asked, accepted, outdated: () => outdated }
}

test.each<[string, How]>([
  ['of any server', null],
  ['of the leader', 'consistent'],
])('an answer %s that was overtaken by a newer one brings nothing back, and casts no doubt', async (_, how) => {
  const { made, asked, accepted, outdated } = reader()
  const slow = made.read(how, never)
  const fast = made.read(null, never)
  asked[1]?.('101')
  expect((await fast).kind).toBe('understood')
  asked[0]?.('100')
  expect((await slow).kind).toBe('old')
  expect(accepted).toEqual(['101'])
  expect(outdated()).toBe(0)
})

test('one that was asked for after the newer answer came is as old as it says', async () => {
  const { made, asked, accepted, outdated } = reader()
  const before = made.read(null, never)
  asked[0]?.('101')
  await before
  const after = made.read(null, never)
  asked[1]?.('100')
  expect((await after).kind).toBe('old')
  expect(outdated()).toBe(1)
  const leader = made.read('consistent', never)
  asked[2]?.('100')
  expect((await leader).kind).toBe('understood')
  expect(accepted).toEqual(['101', '100'])
})
