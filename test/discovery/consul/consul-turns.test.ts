import { expect, test } from 'vitest'
import { type Turns, turns } from '../../../src/discovery/consul/consul-turns.ts'

/** All that waits now, in order, as `level name`. */
async function drain(queue: Turns<string>): Promise<string[]> {
  const order: string[] = []
  const end = Symbol('nothing waits')
  for (;;) {
    const turn = await Promise.race([queue.next(), Promise.resolve().then(() => end)])
    if (turn === end || turn === null || typeof turn === 'symbol') return order
    order.push(`${turn.level} ${turn.name}`)
  }
}

test('those in doubt come first, then those never read, then the round; each in the order in which they came', async () => {
  const queue = turns<string>()
  queue.add('a', 'round')
  queue.add('b', 'unread')
  queue.add('c', 'doubted')
  queue.add('d', 'unread')
  queue.add('e', 'doubted')
  expect(await drain(queue)).toEqual(['doubted c', 'doubted e', 'unread b', 'unread d', 'round a'])
})

test('one that waits already is not added twice, but what is noted with it is the newest', async () => {
  const queue = turns<string>()
  queue.add('a', 'round', 'first')
  queue.add('a', 'round', 'second')
  expect(await queue.next()).toEqual({ name: 'a', level: 'round', note: 'second' })
  expect(await drain(queue)).toEqual([])
})

test('whoever asks while nothing waits is given the next one', async () => {
  const queue = turns<string>()
  const [first, second] = [queue.next(), queue.next()]
  queue.add('a', 'unread')
  queue.add('b', 'unread')
  expect((await first)?.name).toBe('a')
  expect((await second)?.name).toBe('b')
})

test('what is due later comes by itself, and sooner when it is added again', async () => {
  const queue = turns<string>()
  queue.addLater('a', 'doubted', 1)
  expect((await queue.next())?.name).toBe('a')
  queue.addLater('b', 'doubted', 3_600_000)
  queue.add('b', 'doubted')
  expect(await drain(queue)).toEqual(['doubted b'])
})

test('a round does not take the place of what is due later', async () => {
  const queue = turns<string>()
  queue.addLater('a', 'unread', 1)
  queue.add('a', 'round')
  expect(await queue.next()).toMatchObject({ level: 'round' })
  expect(await queue.next()).toMatchObject({ level: 'unread' })
})

test('one that is deleted does not come', async () => {
  const queue = turns<string>()
  queue.add('a', 'unread')
  queue.addLater('b', 'unread', 1)
  queue.delete('a')
  queue.delete('b')
  queue.add('c', 'round')
  expect(await drain(queue)).toEqual(['round c'])
})

test('once it is closed nothing comes any more, and nobody waits', async () => {
  const queue = turns<string>()
  const waiting = queue.next()
  queue.close()
  queue.add('a', 'unread')
  queue.addLater('b', 'unread', 1)
  expect(await waiting).toBeNull()
  expect(await queue.next()).toBeNull()
})
