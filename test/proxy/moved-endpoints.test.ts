/** What does a request meet while endpoints join and leave? Exchanges are mocked. */

import { describe, expect, it } from 'vitest'
import type { Endpoint } from '../../src/balancer/endpoint.ts'
import type { Outcome } from '../../src/balancer/outcome.ts'
import { a, answered, b, c, fakeExchange, world } from './handler-world.ts'

const refused: Outcome = { kind: 'connect-failed', code: 'ECONNREFUSED' }
const newcomers = ['d', 'e', 'f', 'g'].map(
  (name): Endpoint => ({ id: `${name}:1`, instance: name, address: name, port: 1, weight: 1 }),
)
const isNew = (to: Endpoint) => newcomers.some(({ id }) => id === to.id)

/** As many requests as make everybody's turn come, each with what became of it. */
async function requests(
  { run }: ReturnType<typeof world>,
  outcomeOf: (to: Endpoint) => Outcome | null,
  request: Parameters<typeof fakeExchange>[1] = {},
) {
  const records: string[] = []
  for (let request_ = 0; request_ < 8; request_++) {
    const { status, attempts } = await run(
      fakeExchange((to, plan) => outcomeOf(to) ?? answered(200)(to, plan), request),
    )
    records.push(`${status} after ${attempts}`)
  }
  return records
}

const post = { method: 'POST', hasBody: true }

describe('endpoints that joined less than 5 s ago and refuse', () => {
  for (const [what, outcome] of [
    ['refuse', refused],
    ['do not accept in time', { kind: 'timed-out', phase: 'connect' }],
  ] as const) {
    it(`${what}: any request goes on to the next one until somebody takes it, whatever retry.attempts says`, async () => {
      const w = world({ attempts: 0 })
      w.use([a, ...newcomers])
      const records = await requests(w, (to) => (isNew(to) ? outcome : null), post)
      expect(new Set(records.map((record) => record.split(' ')[0]))).toEqual(new Set(['200']))
      expect(records.join()).toMatch(/after [2-5]/)
    })
  }

  it('are ejected for none of it; once they are 5 s old they are', async () => {
    const w = world({ attempts: 0 })
    w.use([a, b, c, ...newcomers])
    await requests(w, (to) => (isNew(to) ? refused : null))
    expect(w.states()).toEqual(Array(7).fill('healthy'))
    w.clock.nowMs = 5_000
    await requests(w, (to) => (isNew(to) ? refused : null))
    expect(w.states()).toEqual([...Array(3).fill('healthy'), ...Array(4).fill('ejected')])
  })

  it('alone in their pool, each is tried once and the client is told 502', async () => {
    const w = world({ attempts: 0 })
    w.use(newcomers)
    expect(await requests(w, () => refused, post)).toEqual(Array(8).fill('502 after 4'))
    expect(w.states()).toEqual(Array(4).fill('healthy'))
  })

  it('fail with an answer: that is theirs, and counts', async () => {
    const w = world({ attempts: 0 })
    w.use([a, b, c, ...newcomers])
    const reset: Outcome = { kind: 'broke-off', afterHeaders: false, code: 'ECONNRESET' }
    const records = await requests(w, (to) => (isNew(to) ? reset : null))
    expect(records).toContain('502 after 1')
  })

  it('a lack of the proxy’s own is counted as ever', async () => {
    const w = world({ attempts: 1 })
    w.use(newcomers)
    const records = await requests(w, () => ({ kind: 'connect-failed', code: 'EADDRNOTAVAIL' }))
    expect(records).toEqual(Array(8).fill('503 after 2'))
  })
})

describe('endpoints of the first catalog', () => {
  it('have not just joined: a refusal uses up an attempt and is held against them', async () => {
    const w = world({ attempts: 0 })
    expect(await requests(w, (to) => (to === a ? refused : null), post)).toContain('502 after 1')
    expect(w.states()).toEqual(['ejected', 'healthy', 'healthy'])
  })
})

describe('an endpoint that leaves while a request connects to it', () => {
  const leaving = (w: ReturnType<typeof world>, waitMs: number) => (to: Endpoint) => {
    if (to.id !== 'a:1') return null
    w.use([b, c])
    w.clock.nowMs += waitMs
    return refused
  }

  it('refused within 5 s of its leaving: goes elsewhere, whatever retry.attempts says', async () => {
    const w = world({ attempts: 0 })
    const records = await requests(w, leaving(w, 4_999), post)
    expect(records).toContain('200 after 2')
    expect(records.filter((record) => !record.startsWith('200'))).toEqual([])
  })

  it('refused later than that: counted as ever', async () => {
    const w = world({ attempts: 0 })
    expect(await requests(w, leaving(w, 5_000), post)).toContain('502 after 1')
  })

  it('the last one of its service: the client is told what its only attempt met', async () => {
    const w = world({ attempts: 0 })
    w.use([a])
    const record = await w.run(
      fakeExchange(() => {
        w.use([])
        return refused
      }, post),
    )
    expect([record.status, record.attempts]).toEqual([502, 1])
  })
})

describe('a service that is empty', () => {
  it('says when to ask again: after as long as it took the last time, less what has passed', async () => {
    const w = world()
    const retryAfter = async () => {
      const exchange = fakeExchange(() => refused)
      await w.run(exchange)
      const headers = exchange.replies[0]?.headers ?? []
      return headers[headers.indexOf('Retry-After') + 1]
    }
    w.use([])
    expect(await retryAfter()).toBe('5')
    w.clock.nowMs += 20_000
    w.use([a])
    w.use([])
    expect(await retryAfter()).toBe('20')
    w.clock.nowMs += 12_500
    expect(await retryAfter()).toBe('8')
    w.clock.nowMs += 27_500
    expect(await retryAfter()).toBe('40')
  })
})
