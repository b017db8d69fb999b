import { afterEach, describe, expect, it } from 'vitest'
import { describeRequests } from '../../src/admin/describe-request.ts'
import { createRequestTrail } from '../../src/admin/request-trail.ts'
import type { Standing } from '../../src/balancer/balancer.ts'
import type { AbsentInstance } from '../../src/balancer/endpoint.ts'
import type { OutOfRotation } from '../../src/balancer/view.ts'
import type { RequestRecord, Try } from '../../src/proxy/observer.ts'
import { endpointView, record } from './fixtures.ts'
import { closeAll, start } from './server-setup.ts'

afterEach(closeAll)

const id = (port: number) => `10.0.0.1:${port}`
const critical: AbsentInstance = { instance: 'gone', address: '10.0.0.9:80', reason: 'check "http" is critical' }

function standingOf(ports: readonly number[], out: readonly OutOfRotation[] = [], absent = [critical]): Standing {
  return { service: { endpoints: ports.map((port) => endpointView(port).endpoint), absent }, out }
}

function attempt(port: number, standing: Standing, fields: Partial<Try> = {}): Try {
  return {
    endpoint: id(port),
    role: 'regular',
    standing,
    startMs: 0,
    durationMs: 2,
    connectMs: 0.5,
    firstByteMs: 1.5,
    outcome: { kind: 'responded', status: 200, relayed: true },
    retried: null,
    ...fields,
  }
}

function described(fields: Partial<RequestRecord>) {
  const trail = createRequestTrail({ now: () => 0 })
  trail.onRequestEnd(record(fields))
  const [detail] = describeRequests(trail.find('r-1'), Date.UTC(2026, 0, 2)).requests
  if (detail === undefined) throw new Error('it was not found')
  return detail
}

const triesOf = (...tries: readonly Try[]) => described({ tries }).tries

describe('a request, described', () => {
  it('has every field, and of two attempts the first as one that the second could not have', () => {
    const standing = standingOf([1, 2, 3], [{ endpoint: id(3), state: 'ejected', reason: 'consecutive-faults' }])
    const refused = { kind: 'connect-failed', code: 'ECONNREFUSED' } as const
    const first = attempt(1, standing, {
      outcome: refused,
      retried: 'connect-failed',
      connectMs: null,
      firstByteMs: null,
    })
    const second = attempt(2, standing, { startMs: 2.25, durationMs: 1.00049 })
    const ejected = { endpoint: id(3), instance: 'i-3', why: 'ejected for consecutive-faults' }
    const absent = { endpoint: '10.0.0.9:80', instance: 'gone', why: 'check "http" is critical' }
    expect(described({ tries: [first, second], attempts: 2, traceId: 'c'.repeat(32) })).toEqual({
      requestId: 'r-1',
      agoMs: 0,
      at: '2026-01-02T00:00:00.000Z',
      request: 'GET /quotes/api',
      service: 'quotes',
      status: 200,
      outcome: 'responded',
      refusal: null,
      durationMs: 12,
      traceId: 'c'.repeat(32),
      trail: '2/4e1a1:cf>200',
      attempts: 2,
      tries: [
        {
          endpoint: id(1),
          role: 'regular',
          startMs: 0,
          durationMs: 2,
          connectMs: null,
          firstByteMs: null,
          outcome: 'no connection: refused (ECONNREFUSED)',
          kind: 'connect-failed',
          status: null,
          retried: 'connect-failed',
          candidates: [id(1), id(2)],
          candidateCount: 2,
          skipped: [ejected, absent],
          skippedCount: 2,
        },
        {
          endpoint: id(2),
          role: 'regular',
          startMs: 2.25,
          durationMs: 1,
          connectMs: 0.5,
          firstByteMs: 1.5,
          outcome: 'answered 200',
          kind: 'responded',
          status: 200,
          retried: null,
          candidates: [id(2)],
          candidateCount: 1,
          skipped: [{ endpoint: id(1), instance: 'i-1', why: 'tried already by this request' }, ejected, absent],
          skippedCount: 3,
        },
      ],
      standing: null,
    })
  })

  it.each<[state: OutOfRotation['state'], why: string]>([
    ['ejected', 'ejected for fault-rate'],
    ['probing', 'ejected for fault-rate; its one probe is under way'],
    ['drained', 'drained by hand'],
  ])('names who was %s', (state, why) => {
    const reason = state === 'drained' ? null : 'fault-rate'
    const [only] = triesOf(attempt(1, standingOf([1, 2], [{ endpoint: id(2), state, reason }], [])))
    expect(only).toMatchObject({ candidates: [id(1)], skipped: [{ endpoint: id(2), instance: 'i-2', why }] })
  })

  it('counts the endpoint of a probe among those that could be picked', () => {
    const standing = standingOf([1, 2], [{ endpoint: id(2), state: 'ejected', reason: 'fault-rate' }], [])
    expect(triesOf(attempt(2, standing, { role: 'probe' }))[0]).toMatchObject({
      candidates: [id(1), id(2)],
      skipped: [],
    })
  })

  it('of a panic, health keeps nobody back, a person does', () => {
    const reason = 'fault-rate'
    const standing = standingOf(
      [1, 2, 3],
      [
        { endpoint: id(1), state: 'ejected', reason },
        { endpoint: id(2), state: 'probing', reason },
        { endpoint: id(3), state: 'drained', reason: null },
      ],
      [],
    )
    const [, second] = triesOf(attempt(2, standing, { role: 'panic' }), attempt(1, standing, { role: 'panic' }))
    expect(second).toMatchObject({
      candidates: [id(1)],
      skipped: [
        { endpoint: id(2), why: 'tried already by this request' },
        { endpoint: id(3), why: 'drained by hand' },
      ],
    })
  })

  it('says who there was when there was nobody to try', () => {
    const unread: AbsentInstance = { instance: '', address: '', reason: 'no answer about it yet', unread: true }
    const standing = standingOf([], [], [critical, unread])
    expect(described({ standing, outcome: 'no-endpoints', status: 503, attempts: 0 })).toMatchObject({
      trail: '0/1a1:none',
      tries: [],
      standing: {
        candidates: [],
        skipped: [
          { endpoint: '10.0.0.9:80', instance: 'gone', why: 'check "http" is critical' },
          { endpoint: null, instance: null, why: 'no answer about it yet' },
        ],
      },
    })
  })

  it.each<[Try['outcome'], string]>([
    [{ kind: 'responded', status: 503, relayed: false }, 'answered 503, thrown away for a retry'],
    [{ kind: 'timed-out', phase: 'response' }, 'it did not begin to answer in time'],
    [
      { kind: 'broke-off', afterHeaders: false, code: 'ECONNRESET', stale: true },
      'broke off before it answered: reset (ECONNRESET), on a connection that was kept',
    ],
    [{ kind: 'broke-off', afterHeaders: true, code: 'EPIPE' }, 'broke off in its answer: closed (EPIPE)'],
    [{ kind: 'bad-response', afterHeaders: false, detail: 'no HTTP' }, 'its answer is no valid HTTP: no HTTP'],
    [{ kind: 'bad-request', status: 413, detail: 'too long' }, "the client's request was bad: too long"],
    [{ kind: 'client-left' }, 'the client left'],
  ])('%j in words', (outcome, words) => {
    expect(triesOf(attempt(1, standingOf([1]), { outcome }))[0]?.outcome).toBe(words)
  })

  it('names a hundred of thousands, counts them all, and stays small when many attempts saw them', () => {
    const ports = Array.from({ length: 3_000 }, (_, index) => index + 1)
    const out = ports
      .slice(1_000)
      .map((port): OutOfRotation => ({ endpoint: id(port), state: 'drained', reason: null }))
    const standing = standingOf(ports, out, [])
    const tries = triesOf(...Array.from({ length: 20 }, (_, index) => attempt(index + 1, standing)))
    expect(tries[0]).toMatchObject({ candidateCount: 1_000, skippedCount: 2_000 })
    expect([tries[0]?.candidates.length, tries[0]?.skipped.length]).toEqual([100, 100])
    expect(tries[19]).toMatchObject({ candidateCount: 981, skippedCount: 2_019 })

    const trail = createRequestTrail({ now: () => 0 })
    for (let i = 0; i < 20; i++) trail.onRequestEnd(record({ tries: new Array(20).fill(attempt(1, standing)) }))
    const { requests } = describeRequests(trail.find('r-1'), 0)
    expect(requests.length).toBe(20)
    expect(JSON.stringify(requests, null, 2).length).toBeLessThan(2_000_000)
    expect(requests[19]?.tries[19]).toMatchObject({ candidates: [], candidateCount: 1_000, skippedCount: 2_000 })
  })

  it('says so when who could have been picked is no longer kept', () => {
    const trail = createRequestTrail({ now: () => 0, places: 1 })
    trail.onRequestEnd(record({ tries: [attempt(1, standingOf([1, 2]))] }))
    const [detail] = describeRequests(trail.find('r-1'), 0).requests
    expect(detail).toMatchObject({
      trail: '2/3a1:200',
      tries: [{ endpoint: id(1), candidates: [], outcome: 'answered 200' }],
    })
    expect(detail?.tries[0]?.skipped[0]?.why).toMatch(/no longer kept/)
  })
})

describe('GET /api/requests/{id}', () => {
  it('answers by the id, percent-encoded or not', async () => {
    const trail = createRequestTrail({ now: () => 0 })
    for (const requestId of ['a/b?c#%', 'plain', 'plain']) trail.onRequestEnd(record({ requestId }))
    const { get } = await start({ trail })
    const odd = await get(`/api/requests/${encodeURIComponent('a/b?c#%')}`)
    expect([odd.status, odd.headers.get('content-type')]).toEqual([200, 'application/json'])
    expect(((await odd.json()) as { requests: unknown[] }).requests).toMatchObject([{ requestId: 'a/b?c#%' }])
    expect(((await (await get('/api/requests/plain?x')).json()) as { requests: unknown[] }).requests).toHaveLength(2)
  })

  it('says what is kept when there is none of this id', async () => {
    const trail = createRequestTrail({ now: () => 0 })
    const { get } = await start({ trail })
    const empty = await get('/api/requests/nobody')
    expect(empty.status).toBe(404)
    expect(await empty.json()).toMatchObject({
      detail: 'No request with this id is kept. The last 10000 that ended are kept: none has ended yet.',
      requestId: 'nobody',
      kept: { requests: 0, since: null },
    })
    trail.onRequestEnd(record({ requestId: 'r' }))
    expect(await (await get('/api/requests/nobody')).json()).toMatchObject({
      detail: expect.stringMatching(/^No request .* 10000 .*: 1 now, and the first of them ended at 20\d\d-.*Z\.$/),
      kept: { requests: 1, since: expect.stringMatching(/Z$/) },
    })
  })

  it('refuses what is no encoding', async () => {
    const { get } = await start()
    expect((await get('/api/requests/%zz')).status).toBe(400)
  })
})
