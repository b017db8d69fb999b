import { describe, expect, it } from 'vitest'
import { type Outcome, outcomeKinds } from '../../src/balancer/outcome.ts'
import { isReplayable, RetryBudget, retryReason } from '../../src/proxy/retry.ts'

describe('which requests may be sent again although an endpoint may have had them', () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']) {
    it(`${method} without a body`, () => expect(isReplayable(method, false)).toBe(true))
    it(`not ${method} with a body, which is gone once it was sent`, () =>
      expect(isReplayable(method, true)).toBe(false))
  }
  for (const method of ['POST', 'PATCH', 'CONNECT', 'LOCK', 'get', '']) {
    it(`not ${method === '' ? 'an empty method' : method}`, () => expect(isReplayable(method, false)).toBe(false))
  }
})

describe('why another endpoint may be tried', () => {
  const rows: { name: string; outcome: Outcome; replayable: string | null; other: string | null }[] = [
    {
      name: 'a failed connect',
      outcome: { kind: 'connect-failed', code: 'ECONNREFUSED' },
      replayable: 'connect-failed',
      other: 'connect-failed',
    },
    {
      name: 'a connect that took too long',
      outcome: { kind: 'timed-out', phase: 'connect' },
      replayable: 'connect-failed',
      other: 'connect-failed',
    },
    {
      name: 'an answer that took too long',
      outcome: { kind: 'timed-out', phase: 'response' },
      replayable: null,
      other: null,
    },
    { name: 'a body that stalled', outcome: { kind: 'timed-out', phase: 'idle' }, replayable: null, other: null },
    {
      name: 'a connection that died before the head',
      outcome: { kind: 'broke-off', afterHeaders: false, code: 'E' },
      replayable: 'broke-off',
      other: null,
    },
    {
      name: 'a connection that died after the head',
      outcome: { kind: 'broke-off', afterHeaders: true, code: 'E' },
      replayable: null,
      other: null,
    },
    {
      name: 'an answer that was passed on',
      outcome: { kind: 'responded', status: 503, relayed: true },
      replayable: null,
      other: null,
    },
    {
      name: 'an answer that was thrown away',
      outcome: { kind: 'responded', status: 503, relayed: false },
      replayable: 'status',
      other: 'status',
    },
    {
      name: 'an answer that is not HTTP',
      outcome: { kind: 'bad-response', afterHeaders: false, detail: '' },
      replayable: null,
      other: null,
    },
    { name: 'a bad request', outcome: { kind: 'bad-request', status: 400, detail: '' }, replayable: null, other: null },
    { name: 'a client that left', outcome: { kind: 'client-left' }, replayable: null, other: null },
  ]
  for (const { name, outcome, replayable, other } of rows) {
    it(`${name}: ${replayable ?? 'never'}, or ${other ?? 'never'} if it must not be sent twice`, () => {
      expect([retryReason(outcome, true), retryReason(outcome, false)]).toEqual([replayable, other])
    })
  }

  it('every kind of outcome has a row above', () => {
    expect(new Set(rows.map(({ outcome }) => outcome.kind))).toEqual(new Set(outcomeKinds))
  })
})

describe('the retry budget of a service', () => {
  it('always allows three at once, and no more when there is no share', () => {
    const budget = new RetryBudget()
    for (let request = 0; request < 50; request++) budget.enter(0)
    expect(Array.from({ length: 5 }, () => budget.take(0))).toEqual([true, true, true, false, false])
    budget.leave(true)
    expect([budget.take(0), budget.take(0)]).toEqual([true, false])
  })

  it('allows its share of what is in flight at any time', () => {
    const budget = new RetryBudget()
    for (let request = 0; request < 1_000; request++) budget.enter(0.2)
    for (let retry = 0; retry < 200; retry++) expect(budget.take(0.2)).toBe(true)
  })

  it('gives a service that goes on failing its share in the long run, and not more', () => {
    const budget = new RetryBudget()
    const share = 0.2
    const requests = 20_000
    // A request that never ends, so that the budget is never idle, and ten that are retries or want to be.
    for (let held = 0; held < 10; held++) budget.enter(share)
    for (let held = 0; held < 3; held++) budget.take(share)
    let retries = 0
    for (let request = 0; request < requests; request++) {
      budget.enter(share)
      const isRetry = budget.take(share)
      if (isRetry) retries++
      budget.leave(isRetry)
    }
    expect(retries).toBeGreaterThanOrEqual(requests * share)
    expect(retries).toBeLessThan(requests * share + 200)
  })

  it('knows when nobody uses it', () => {
    const budget = new RetryBudget()
    expect(budget.idle).toBe(true)
    budget.enter(0.2)
    expect(budget.idle).toBe(false)
    budget.leave(false)
    expect(budget.idle).toBe(true)
  })
})
