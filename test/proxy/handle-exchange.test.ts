import { describe, expect, it } from 'vitest'
import type { Outcome } from '../../src/balancer/outcome.ts'
import type { AttemptPlan } from '../../src/proxy/exchange.ts'
import type { RequestRecord } from '../../src/proxy/observer.ts'
import { waitFor } from '../support/wait.ts'
import { answered, fakeExchange, world } from './handler-world.ts'

describe('the story of one request, with an exchange that is mocked', () => {
  it('hands the engine everything that it needs', async () => {
    const { run } = world()
    const plans: AttemptPlan[] = []
    await run(
      fakeExchange((to, plan) => {
        plans.push(plan)
        return answered(200)(to, plan)
      }),
    )
    expect(plans).toMatchObject([
      { target: '/x?y', deadlines: { connectMs: 1, responseMs: 2, idleMs: 3 }, keepAlive: false, bodyLimit: 7 },
    ])
    expect(plans[0]?.requestHeaders).toContain('X-Forwarded-For')
    expect(plans[0]?.responseHeaders(['A', '1'])).toEqual(['A', '1', 'X-Request-Id', 'made', 'Via', '1.1 evenkeel'])
  })

  it('a lack of the proxy’s own (no file descriptor, no port) ejects no endpoint, and the client is told 503', async () => {
    const { run, states } = world()
    for (const code of ['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS']) {
      const exchange = fakeExchange(() => ({ kind: 'connect-failed', code }))
      const record = await run(exchange)
      expect([record.status, record.attempts, exchange.replies[0]?.status]).toEqual([503, 3, 503])
    }
    expect(states()).toEqual(['healthy', 'healthy', 'healthy'])
  })

  it('a lack of the proxy’s own is told for each attempt, with the endpoint; a refusal by an endpoint is none', async () => {
    const told: string[] = []
    const { run } = world({ observer: { onLocalError: (code, endpoint) => told.push(`${code} ${endpoint}`) } })
    await run(fakeExchange(() => ({ kind: 'connect-failed', code: 'ECONNREFUSED' })))
    expect(told).toEqual([])
    await run(fakeExchange(() => ({ kind: 'connect-failed', code: 'EMFILE' })))
    expect(told.map((line) => line.split(' ')[0])).toEqual(['EMFILE', 'EMFILE', 'EMFILE'])
    expect(new Set(told).size).toBe(3)
  })

  it('OPTIONS with an asterisk asks the proxy itself, and no endpoint', async () => {
    const { run } = world()
    const exchange = fakeExchange(answered(200), { method: 'OPTIONS', target: '*' })
    const record = await run(exchange)
    expect([record.status, record.outcome, record.service, record.attempts]).toEqual([204, 'answered', null, 0])
    expect(exchange.replies[0]?.headers).toContain('Allow')
  })

  it('each attempt is on another endpoint, and every pick is reported', async () => {
    const { run, inFlight } = world()
    const seen: string[] = []
    const exchange = fakeExchange((to) => {
      seen.push(to.id)
      return { kind: 'connect-failed', code: 'ECONNREFUSED' }
    })
    const record = await run(exchange)
    expect([seen, record.status, inFlight()]).toEqual([['a:1', 'b:1', 'c:1'], 502, 0])
  })

  it('an answer that is tried elsewhere while the client leaves leaves no pick behind', async () => {
    const { run, inFlight } = world({ statuses: [503] })
    const exchange = fakeExchange((_to, plan, self) => {
      const relayed = plan.onHead(503)
      self.clientLeft = true
      return { kind: 'responded', status: 503, relayed }
    })
    await run(exchange)
    expect(inFlight()).toBe(0)
  })

  it('the last answer is passed on when there is nothing else to try', async () => {
    const { run } = world({ statuses: [503] })
    const record = await run(fakeExchange(answered(503)))
    expect([record.status, record.attempts, record.outcome]).toEqual([503, 3, 'responded'])
  })

  const ends: {
    name: string
    outcome: Outcome
    answered?: boolean
    status: number
    cuts: number
    replies: number[]
  }[] = [
    {
      name: 'timed out before the head',
      outcome: { kind: 'timed-out', phase: 'response' },
      status: 504,
      cuts: 0,
      replies: [504],
    },
    {
      name: 'timed out in the body',
      outcome: { kind: 'timed-out', phase: 'idle' },
      answered: true,
      status: 499,
      cuts: 1,
      replies: [],
    },
    {
      name: 'broke off in the body',
      outcome: { kind: 'broke-off', afterHeaders: true, code: 'E' },
      status: 499,
      cuts: 1,
      replies: [],
    },
    { name: 'the client left', outcome: { kind: 'client-left' }, status: 499, cuts: 1, replies: [] },
    {
      name: 'the body was bad',
      outcome: { kind: 'bad-request', status: 413, detail: 'd' },
      status: 413,
      cuts: 0,
      replies: [413],
    },
    {
      name: 'not HTTP',
      outcome: { kind: 'bad-response', afterHeaders: false, detail: 'd' },
      status: 502,
      cuts: 0,
      replies: [502],
    },
  ]
  for (const { name, outcome, answered = false, status, cuts, replies } of ends) {
    it(`${name}: ${replies.length === 0 ? 'cut' : `answered ${replies[0]}`}`, async () => {
      const { run, inFlight } = world()
      const exchange = fakeExchange((_to, _plan, self) => {
        self.answered = answered
        return outcome
      })
      const record = await run(exchange)
      expect([exchange.cuts, exchange.replies.map((reply) => reply.status), inFlight()]).toEqual([cuts, replies, 0])
      expect(record.status).toBe(status)
    })
  }

  it('a status that reached the client is what is recorded, although the body broke off', async () => {
    const { run } = world()
    const exchange = fakeExchange((_to, plan) => {
      plan.onHead(200)
      return { kind: 'broke-off', afterHeaders: true, code: 'E' }
    })
    expect(await run(exchange)).toMatchObject({ status: 200, outcome: 'broke-off' })
    expect(exchange.cuts).toBe(1)
  })

  it('an observer that throws fails no request', async () => {
    const records: RequestRecord[] = []
    const fail = (): never => {
      throw new Error('observer')
    }
    const { handler, defects } = world({
      observer: {
        onRequestStart: fail,
        onAttempt: fail,
        onLocalError: fail,
        onRetry: fail,
        onRequestEnd: (record) => {
          records.push(record)
          fail()
        },
      },
    })
    let attempts = 0
    handler.onExchange(
      fakeExchange((to, plan) =>
        attempts++ === 0 ? { kind: 'connect-failed', code: 'EMFILE' } : answered(200)(to, plan),
      ),
    )
    const record = await waitFor('the end of the request', () => records[0])
    expect([record.status, record.attempts, defects]).toEqual([200, 2, []])
  })

  it('a defect of an engine cuts that one client, is told, and leaves nothing in flight', async () => {
    const { handler, defects, inFlight } = world()
    const exchange = fakeExchange(() => {
      throw new Error('defect')
    })
    handler.onExchange(exchange)
    await waitFor('the defect to be told', () => defects.length === 1)
    expect([exchange.cuts, inFlight()]).toEqual([1, 0])
  })

  it('bytes that never became an exchange are recorded without a service', () => {
    const { handler, records } = world()
    const reply = handler.onRefusal({ status: 400, detail: 'd', clientAddress: '192.0.2.7' })
    expect([reply.status, reply.close]).toEqual([400, true])
    expect(records).toMatchObject([
      {
        status: 400,
        outcome: 'refused',
        service: null,
        endpoint: null,
        attempts: 0,
        clientIp: '192.0.2.7',
        requestId: 'made',
      },
    ])
  })

  it('records a target without its query, and the query by itself', async () => {
    const { run } = world()
    expect(await run(fakeExchange(answered(200)))).toMatchObject({ path: '/s/x', query: '?y' })
    expect(await run(fakeExchange(answered(200), { target: '/other?z' }))).toMatchObject({
      path: '/other',
      query: '?z',
      service: null,
      status: 404,
    })
  })
})
