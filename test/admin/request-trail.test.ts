import { describe, expect, it } from 'vitest'
import { createRequestTrail } from '../../src/admin/request-trail.ts'
import type { Standing } from '../../src/balancer/balancer.ts'
import type { Outcome } from '../../src/balancer/outcome.ts'
import type { Try } from '../../src/proxy/observer.ts'
import { endpointView, record } from './fixtures.ts'

const refused: Outcome = { kind: 'connect-failed', code: 'ECONNREFUSED' }

function standingOf(size: number): Standing {
  return {
    service: { endpoints: Array.from({ length: size }, (_, index) => endpointView(index + 1).endpoint), absent: [] },
    out: [],
  }
}

function attempt(standing: Standing, outcome: Outcome = { kind: 'responded', status: 200, relayed: true }): Try {
  const times = { startMs: 0, durationMs: 1, connectMs: null, firstByteMs: null }
  return { endpoint: '10.0.0.1:1', role: 'regular', standing, outcome, retried: null, ...times }
}

function setUp(options: { requests?: number; places?: number } = {}) {
  const clock = { nowMs: 0 }
  const trail = createRequestTrail({ now: () => clock.nowMs, ...options })
  return { trail, clock }
}

describe('what is kept of a request', () => {
  it('says why it was refused, and not of the next one in its place', () => {
    const { trail } = setUp({ requests: 1 })
    trail.onRequestEnd(record({ requestId: 'r-1', outcome: 'refused', refusal: 'Host is missing.', attempts: 0 }))
    expect(trail.find('r-1')).toMatchObject([{ refusal: 'Host is missing.' }])
    trail.onRequestEnd(record({ requestId: 'r-2' }))
    expect(trail.find('r-2')).toMatchObject([{ refusal: null }])
  })

  it('is all that tells of it, and how long ago it ended', () => {
    const { trail, clock } = setUp()
    const tries = [attempt(standingOf(2))]
    clock.nowMs = 1_000
    trail.onRequestEnd(record({ requestId: 'r-7', tries, traceId: 'a'.repeat(32), status: 201, durationMs: 3.5 }))
    clock.nowMs = 1_250
    expect(trail.find('r-7')).toEqual([
      {
        requestId: 'r-7',
        agoMs: 250,
        durationMs: 3.5,
        request: 'GET /quotes/api',
        service: 'quotes',
        status: 201,
        outcome: 'responded',
        refusal: null,
        traceId: 'a'.repeat(32),
        attempts: 1,
        tries,
        standing: null,
        standingKept: true,
        trail: '2/2:200',
      },
    ])
  })

  it.each([
    ['no query', { path: '/a', query: '?token=s3cret' }, 'GET /a'],
    ['a path of just the room that there is', { path: `/${'x'.repeat(195)}` }, `GET /${'x'.repeat(195)}`],
    ['the beginning of a longer one', { path: `/${'x'.repeat(196)}` }, `GET /${'x'.repeat(195)}…`],
    ['the beginning of a method that fills the room', { method: 'M'.repeat(300) }, `${'M'.repeat(200)}…`],
    ['what is not printable as a question mark', { path: '/\x1b[2J\n\xe9' }, 'GET /?[2J??'],
    ['nothing of bytes that were no request', { method: '', path: '', outcome: 'refused', service: null }, ''],
  ] as const)('of its target, %s', (_, fields, expected) => {
    const { trail } = setUp()
    trail.onRequestEnd(record({ requestId: 'before', path: `/${'y'.repeat(250)}` }))
    trail.onRequestEnd(record({ requestId: 'r', ...fields }))
    trail.onRequestEnd(record({ requestId: 'behind', path: `/${'z'.repeat(250)}` }))
    expect(trail.find('r').map(({ request }) => request)).toEqual([expected])
  })

  it('is both ends of more than twenty attempts, with their number and the code of all', () => {
    const { trail } = setUp()
    const found = standingOf(1)
    const tries = Array.from({ length: 30 }, (_, index) => ({ ...attempt(found, refused), startMs: index }))
    trail.onRequestEnd(record({ tries, attempts: 30, outcome: 'connect-failed' }))
    const [entry] = trail.find('r-1')
    expect(entry?.tries.map(({ startMs }) => startMs)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
    ])
    expect(entry).toMatchObject({ attempts: 30, trail: `1/1:${'cf>'.repeat(10)}+10${'>cf'.repeat(10)}` })
  })
})

describe('looking up', () => {
  it('answers the newest of one id first, twenty at the most, and nothing of another', () => {
    const { trail } = setUp()
    for (let i = 0; i < 30; i++) {
      trail.onRequestEnd(record({ requestId: 'same', status: 200 + i }))
      trail.onRequestEnd(record({ requestId: `other-${i}` }))
    }
    expect(trail.find('same').map(({ status }) => status)).toEqual(Array.from({ length: 20 }, (_, i) => 229 - i))
    expect(trail.find('sam')).toEqual([])
    expect(trail.find('')).toEqual([])
    // U+0173 ends in the byte of an s.
    expect(trail.find('\u0173ame')).toEqual([])
  })

  it('knows the last ones and no others, and says how many and since when', () => {
    const { trail, clock } = setUp({ requests: 3 })
    expect(trail.kept()).toEqual({ requests: 0, forMs: null })
    for (let i = 1; i <= 8; i++) {
      clock.nowMs = i * 100
      trail.onRequestEnd(record({ requestId: `r-${i}` }))
      expect(trail.kept()).toEqual({ requests: Math.min(i, 3), forMs: Math.min(i - 1, 2) * 100 })
      for (let j = 1; j <= 8; j++) expect(trail.find(`r-${j}`).length, `${j} of ${i}`).toBe(j <= i && j > i - 3 ? 1 : 0)
    }
  })
})

describe('what it keeps alive', () => {
  it('is bounded: the oldest requests forget who could have been picked, and keep what it came to', () => {
    const { trail } = setUp({ requests: 10, places: 50 })
    // 12 places each: one for the standing, one for the list, and ten endpoints.
    for (let i = 0; i < 6; i++) {
      const tries = [attempt(standingOf(10), refused), attempt(standingOf(0))]
      trail.onRequestEnd(record({ requestId: `r-${i}`, tries, attempts: 2 }))
    }
    const entries = [0, 1, 2, 3, 4, 5].flatMap((i) => trail.find(`r-${i}`))
    expect(entries.map(({ standingKept }) => standingKept)).toEqual([false, false, false, true, true, true])
    expect(entries.map(({ tries }) => tries[0]?.standing.service.endpoints.length)).toEqual([0, 0, 0, 10, 10, 10])
    expect(entries.map((entry) => entry.trail)).toEqual(new Array(6).fill('10/10:cf>200'))
    expect(entries.map(({ tries }) => tries.length)).toEqual(new Array(6).fill(2))
  })

  it('counts what requests share once, and nothing that has been written over', () => {
    const { trail } = setUp({ requests: 10, places: 50 })
    const all = (name: string) =>
      Array.from({ length: 10 }, (_, i) => trail.find(`${name}-${990 + i}`)[0]?.standingKept)
    const [one, other] = [standingOf(20), standingOf(20)]
    for (let i = 0; i < 1_000; i++) {
      trail.onRequestEnd(record({ requestId: `a-${i}`, tries: [attempt(one), attempt(one)], standing: one }))
    }
    expect(all('a')).toEqual(new Array(10).fill(true))
    // The same list in another state each time: that is one place more each.
    for (let i = 0; i < 1_000; i++) {
      trail.onRequestEnd(record({ requestId: `b-${i}`, tries: [attempt({ ...other })] }))
    }
    expect(all('b')).toEqual(new Array(10).fill(true))
    // Another list each time, of four places with its standing: ten of them are forty.
    for (let i = 0; i < 1_000; i++) {
      trail.onRequestEnd(record({ requestId: `c-${i}`, tries: [attempt(standingOf(2))] }))
    }
    expect(all('c')).toEqual(new Array(10).fill(true))
  })

  it('forgets even the newest when that alone is too much', () => {
    const { trail } = setUp({ requests: 10, places: 50 })
    const tooMany = standingOf(60)
    trail.onRequestEnd(record({ requestId: 'none', outcome: 'no-endpoints', standing: tooMany, attempts: 0 }))
    expect(trail.find('none')[0]).toMatchObject({ standingKept: false, standing: null, trail: '60/60:none' })
    trail.onRequestEnd(record({ requestId: 'next', tries: [attempt(standingOf(3))] }))
    expect(trail.find('next')[0]?.standingKept).toBe(true)
  })
})
