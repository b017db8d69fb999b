import { describe, expect, test } from 'vitest'
import { type ExplainInput, explainService } from '../../src/admin/explain.ts'
import type { EjectionView, EndpointView, FaultView } from '../../src/balancer/view.ts'
import type { CheckFacts, InstanceFacts } from '../../src/discovery/facts.ts'
import { defaults as outlier } from '../balancer/world.ts'
import { endpointView, plainCatalog, serviceView, suspect } from './fixtures.ts'

const nowMs = 100_000
const epochMs = Date.UTC(2026, 10, 26, 12)

function explain(fields: Partial<ExplainInput> & { readonly facts?: ExplainInput['facts'] }) {
  return explainService({
    service: serviceView('web', { endpoints: [endpointView(80)] }),
    facts: null,
    catalog: { ...plainCatalog, nowMs },
    readiness: { state: 'fresh', ageMs: 10 },
    outlier,
    slowStartMs: null,
    epochMs,
    ...fields,
  })
}

function factsOf(...instances: readonly InstanceFacts[]): NonNullable<ExplainInput['facts']> {
  return { readMs: nowMs - 3_000, instances, moreInstances: 0 }
}

function instanceFacts(port: number, fields: Partial<InstanceFacts> = {}): InstanceFacts {
  const address = `10.0.0.1:${port}`
  return { instance: `i-${port}`, node: 'n1', address, tags: [], checks: [], moreChecks: 0, lacksTag: null, ...fields }
}

function check(status: CheckFacts['status'], fields: Partial<CheckFacts> = {}): CheckFacts {
  const from = { sinceMs: nowMs - 180_000, orLonger: false }
  return { id: 'c1', name: 'http', status, output: 'connection refused', ofNode: false, ...from, ...fields }
}

const absent = (port: number, reason: string) => ({ instance: `i-${port}`, address: `10.0.0.1:${port}`, reason })

/** The only instance, which is an endpoint. */
function one(view: Partial<EndpointView>, input: Partial<ExplainInput> = {}) {
  const others = [endpointView(81, { idealShare: 0.5 })]
  const service = serviceView('web', { endpoints: [endpointView(80, { idealShare: 0.5, ...view }), ...others] })
  const [instance] = explain({ service, ...input }).instances
  if (instance === undefined) throw new Error('no instance')
  return instance
}

/** The only instance, which the catalog keeps out. */
function out(reason: string, facts: Partial<InstanceFacts> = {}) {
  const service = serviceView('web', { absent: [absent(80, reason)] })
  const [instance, ...others] = explain({ service, facts: factsOf(instanceFacts(80, facts)) }).instances
  if (instance === undefined || others.length > 0) throw new Error('not one instance')
  return instance
}

const fault = (agoMs: number, outcome: FaultView['outcome'], request: string | null = null) => ({
  agoMs,
  outcome,
  request,
})
const refused = { kind: 'connect-failed', code: 'ECONNREFUSED' } as const

function ejected(fields: Partial<EjectionView> = {}, forMs = 18_000): Partial<EndpointView> {
  const lastEjection = {
    reason: 'consecutive-faults',
    agoMs: 12_000,
    forMs: 30_000,
    by: null,
    faults: [],
    ...fields,
  } as const
  return { state: 'ejected', reason: lastEjection.reason, ejectedForMs: forMs, idealShare: 0, lastEjection }
}

describe('an instance that the catalog keeps out says which word of Consul does it', () => {
  test.each<[string, string, Partial<InstanceFacts>, string]>([
    [
      'a check, what it said and since when',
      'check "http" is critical',
      { checks: [check('critical')] },
      'Gets no requests: check "http" is critical for 3 min: connection refused.',
    ],
    [
      'a check of the node, that was so when the proxy first looked',
      'check "http" is critical',
      { checks: [check('critical', { ofNode: true, orLonger: true, output: '' })] },
      'Gets no requests: check "http" of its node n1 is critical for at least 3 min.',
    ],
    [
      'maintenance, with its reason, rather than the check that fails as well',
      'in maintenance mode',
      { checks: [check('service-maintenance', { output: 'new disk' }), check('critical')] },
      'Gets no requests: it is in maintenance mode for 3 min: new disk.',
    ],
    [
      'maintenance of its node',
      'its node is in maintenance mode',
      { checks: [check('node-maintenance', { output: '' })] },
      'Gets no requests: its node n1 is in maintenance mode for 3 min.',
    ],
    [
      'the tag that it lacks, rather than the check that fails as well',
      'lacks the tag "blue"',
      { lacksTag: 'blue', checks: [check('critical')] },
      'Gets no requests: it lacks the tag "blue", which discovery.consul.tag asks for.',
    ],
    ['what it lacks', 'has no port', {}, 'Gets no requests: it has no port.'],
    [
      'a warning weight of 0, not only the check',
      'check "http" is warning and its warning weight is 0',
      { checks: [check('warning')] },
      'Gets no requests: check "http" is warning and its warning weight is 0.',
    ],
    [
      'a check that warns, and the setting by which that keeps it out',
      'check "http" is warning',
      { checks: [check('warning', { output: 'disk 91%' })] },
      'Gets no requests: check "http" is warning for 3 min, and discovery.consul.includeWarning is false: disk 91%.',
    ],
    [
      'another datacenter that is preferred',
      'stands by in datacenter "dc2"',
      { datacenter: 'dc2' },
      'Gets no requests: it stands by in datacenter "dc2".',
    ],
    [
      'a check of a standby datacenter',
      'in datacenter "dc2": check "http" is critical',
      { datacenter: 'dc2', checks: [check('critical')] },
      'Gets no requests: check "http" is critical for 3 min: connection refused.',
    ],
  ])('%s', (_, reason, facts, verdict) => {
    expect(out(reason, facts)).toMatchObject({ endpoint: null, getsRequests: false, verdict })
  })

  test('every cause is there, in the order in which they come to bear', () => {
    const { causes } = out('lacks the tag "blue"', { lacksTag: 'blue', checks: [check('critical')] })
    expect(causes.map(({ kind }) => kind)).toEqual(['check', 'tag'])
    expect(causes[0]).toEqual({
      kind: 'check',
      text: 'check "http" is critical for 3 min: connection refused',
      check: 'http',
      id: 'c1',
      status: 'critical',
      output: 'connection refused',
      ofNode: false,
      agoMs: 180_000,
      at: '2026-11-26T11:57:00.000Z',
      orLonger: false,
    })
  })

  test('without facts, the clause of the catalog is all there is', () => {
    const service = serviceView('web', { absent: [absent(80, 'check "http" is critical')] })
    expect(explain({ service }).instances).toMatchObject([
      { verdict: 'Gets no requests: check "http" is critical.', causes: [{ kind: 'catalog' }], node: null, checks: [] },
    ])
  })
})

describe('one address for two ids', () => {
  const service = serviceView('web', {
    endpoints: [endpointView(80)],
    absent: [{ instance: 'b', address: '10.0.0.1:80', reason: 'same address and port as "i-80"' }],
  })
  const facts = factsOf(instanceFacts(80), instanceFacts(80, { instance: 'b' }))

  test('the one is told of the other', () => {
    const { instances, verdict } = explain({ service, facts })
    expect(verdict).toBe('1 of 2 instances gets requests: 1 is a second id of an address.')
    expect(instances.map((each) => [each.instance, each.verdict])).toEqual([
      ['i-80', 'Gets requests, 100% of them, but "b" has the same address and port: this one stands for all of them.'],
      ['b', 'Gets no requests: "i-80" has the same address and port: they are one endpoint, counted once.'],
    ])
  })

  test('the same id on two nodes: the one that is well stands for the endpoint', () => {
    const twice = factsOf(
      instanceFacts(80, { node: 'sick', checks: [check('critical')] }),
      instanceFacts(80, { node: 'well' }),
    )
    const again = serviceView('web', {
      endpoints: [endpointView(80)],
      absent: [absent(80, 'check "http" is critical')],
    })
    const { instances } = explain({ service: again, facts: twice })
    expect(instances.map(({ node, getsRequests }) => [node, getsRequests])).toEqual([
      ['well', true],
      ['sick', false],
    ])
  })

  test('of thousands at one address the answer does not grow with their square', () => {
    const many = Array.from({ length: 3_000 }, (_, at) => ({
      ...absent(80, 'same address and port as "i-80"'),
      instance: `x-${at}`,
    }))
    const answer = explain({ service: serviceView('web', { endpoints: [endpointView(80)], absent: many }) })
    expect(answer.instances).toHaveLength(3_001)
    expect(JSON.stringify(answer).length).toBeLessThan(3_000_000)
  })
})

describe('an endpoint that is out for its health', () => {
  test('says which rule, since when, until when, and which requests tripped it', () => {
    const faults = [
      fault(13_000, { kind: 'responded', status: 503, relayed: true }, 'r-1'),
      fault(12_000, { kind: 'timed-out', phase: 'response' }),
    ]
    const instance = one({ ...ejected({ faults }), consecutiveFaults: 2, ejections: 1 })
    expect(instance.verdict).toBe(
      'Gets no requests: ejected 12 s ago for 30 s, because 2 requests in a row failed (outlier.consecutiveFaults); one probe request may go in 18 s.',
    )
    expect(instance.causes).toMatchObject([
      {
        kind: 'ejection',
        rule: 'consecutive-faults',
        inRow: 2,
        at: '2026-11-26T11:59:48.000Z',
        until: '2026-11-26T12:00:18.000Z',
        nextProbeInMs: 18_000,
        faults: [
          { at: '2026-11-26T11:59:47.000Z', outcome: 'answered 503', status: 503, request: 'r-1' },
          { outcome: 'it did not begin to answer in time', status: null, request: null },
        ],
      },
    ])
  })

  test.each<[string, Partial<EndpointView>, string]>([
    [
      'failed connects',
      ejected({ reason: 'consecutive-connect-faults' }),
      'because 2 connects in a row failed (outlier.consecutiveConnectFaults)',
    ],
    [
      'a share of faults',
      ejected({ reason: 'fault-rate' }),
      'because at least 50% of 20 or more requests in 10 s failed (outlier.faultRate)',
    ],
    [
      'a probe',
      ejected({ reason: 'probe-failed' }),
      'ejected again 12 s ago for 30 s, because its probe request failed',
    ],
    ['a person', ejected({ reason: 'by-hand', by: 'anna' }), 'because anna said so'],
    ['its time being up', ejected({}, 0), 'the next request to it is its probe'],
    ['its probe', { ...ejected(), state: 'probing', ejectedForMs: null }, 'its probe request is on its way'],
  ])('by %s', (_, view, words) => {
    expect(one(view).verdict).toContain(words)
  })

  test('by a person for good: who and since when, before its health', () => {
    const drained = { by: 'anna', agoMs: 300_000 }
    const instance = one({ ...ejected(), state: 'drained', drained })
    expect(instance.verdict).toBe('Gets no requests: drained by anna 5 min ago, until somebody undrains it.')
    expect(instance.causes.map(({ kind }) => kind)).toEqual(['ejection', 'drain'])
  })

  test.each([
    ['as many as there were, though more trip the rule by now', 3, '3 requests in a row failed'],
    ['as many as are set where more are not remembered', 10, '12 requests in a row failed'],
    ['as many as are set where none are known', 0, '12 requests in a row failed'],
  ])('faults in a row: %s', (_, known, words) => {
    const faults = Array.from({ length: known }, () => fault(1_000, refused))
    expect(one(ejected({ faults }), { outlier: { ...outlier, consecutiveFaults: 12 } }).verdict).toContain(words)
  })

  test.each([
    [
      'fails a check',
      'check "http" is critical',
      'healthy',
      ' But "i-80" has the same address and port: requests go there all the same.',
    ],
    ['fails a check, and the one that stands for it is ejected', 'check "http" is critical', 'ejected', ''],
  ] as const)('an instance that %s at an address that stays in the table', (_, reason, state, words) => {
    const view = state === 'ejected' ? ejected() : {}
    const there = { instance: 'b', address: '10.0.0.1:80', reason }
    const service = serviceView('web', { endpoints: [endpointView(80, view), endpointView(81)], absent: [there] })
    const facts = factsOf(instanceFacts(80), instanceFacts(80, { instance: 'b', checks: [check('critical')] }))
    const b = explain({ service, facts }).instances.find(({ instance }) => instance === 'b')
    expect(b).toMatchObject({ getsRequests: false, decidedBy: 'check' })
    expect(b?.verdict).toBe(`Gets no requests: check "http" is critical for 3 min: connection refused.${words}`)
  })

  test('a drained one that the catalog keeps out has both, and is not said to be unknown', () => {
    const drainedAway = [{ endpoint: '10.0.0.1:80', by: 'anna', agoMs: 60_000 }]
    const service = serviceView('web', { absent: [absent(80, 'check "http" is critical')], drainedAway })
    const facts = factsOf(instanceFacts(80, { checks: [check('critical')] }))
    const { instances, concerns } = explain({ service, facts })
    expect(instances).toMatchObject([
      { decidedBy: 'check', causes: [{ kind: 'check' }, { kind: 'drain', by: 'anna' }] },
    ])
    expect(concerns).toEqual([])
  })

  test.each([
    [1, 'Its one instance gets requests, although it fails.'],
    [3, 'All 3 instances get requests, although 3 fail.'],
  ])('the first sentence does not call %s well that fail', (count, words) => {
    const pool = { size: count, ejected: 0, failing: count, unheard: 0 }
    const lastWithheld = { due: 'consecutive-faults', reason: 'correlated', agoMs: 4_000, pool } as const
    const ill = { reason: 'consecutive-faults', withheld: 'correlated', consecutiveFaults: 7, lastWithheld } as const
    const endpoints = Array.from({ length: count }, (_, at) => endpointView(80 + at, ill))
    const { verdict, instances } = explain({ service: serviceView('web', { endpoints }) })
    expect(verdict).toBe(words)
    expect(instances[0]?.verdict).toContain('because 7 requests in a row failed')
  })

  test('gets requests all the same when all are out', () => {
    const panic = { picks: 7, agoMs: 300 }
    const endpoints = [
      endpointView(80, ejected()),
      endpointView(81, { state: 'drained', drained: { by: 'x', agoMs: 1 } }),
    ]
    const { instances, verdict, concerns } = explain({ service: serviceView('web', { endpoints, panic }) })
    expect(instances[0]).toMatchObject({
      inRotation: false,
      getsRequests: true,
      verdict:
        'Gets requests although it is ejected: all endpoints that may be tried are ejected, so requests go to them all the same: 7 so far, the last one 0.3 s ago.',
    })
    expect(verdict).toBe('1 of 2 instances gets requests, although 1 is ejected; of the others 1 is drained.')
    expect(concerns).toMatchObject([{ kind: 'panic', now: true, picks: 7 }])
  })
})

describe('an endpoint that gets requests says', () => {
  const pool = { size: 2, ejected: 1, failing: 1, unheard: 0 }
  const withheld = (
    reason: 'cap' | 'correlated' | 'shadow',
    state: Partial<typeof pool> = {},
  ): Partial<EndpointView> => ({
    withheld: reason,
    reason: 'consecutive-faults',
    lastWithheld: { due: 'consecutive-faults', reason, agoMs: 4_000, pool: { ...pool, ...state } },
    faults: [fault(4_000, refused)],
  })

  test.each<[string, Partial<EndpointView>, string]>([
    ['nothing but its share', {}, 'Gets requests, 50% of them.'],
    [
      'that its ejection is withheld by the cap, with the numbers',
      withheld('cap'),
      'its ejection has been due for 4.0 s, because 5 requests in a row failed (outlier.consecutiveFaults), and is withheld: 1 of 2 are ejected already, and 50% in whole endpoints is the most (outlier.maxEjectedShare).',
    ],
    [
      'that it is alone',
      withheld('cap', { size: 1 }),
      'nobody else is left to take its requests, and a lone endpoint is never ejected.',
    ],
    [
      'that all fail together',
      withheld('correlated', { size: 3, failing: 2 }),
      '2 of 3 endpoints fail together, so it is the request',
    ],
    ['that rules only look on', withheld('shadow'), 'nobody is ejected while outlier.enforce is false.'],
    [
      'how many requests in a row failed',
      { consecutiveFaults: 3, faults: [fault(1, refused)] },
      'but its last 3 requests failed; 5 in a row eject it.',
    ],
    ['that it warms up', { warmth: 0.25 }, 'but it joined of late: its share is 25% of the full one'],
    [
      'nothing of an ejection that is over',
      { lastEjection: ejected().lastEjection ?? null },
      'Gets requests, 50% of them.',
    ],
  ])('%s', (_, view, words) => {
    const { verdict, getsRequests } = one(view)
    expect(verdict).toContain(words)
    expect(getsRequests).toBe(true)
  })

  test('of an ejection that is over in its causes', () => {
    const { causes } = one({ lastEjection: ejected().lastEjection ?? null })
    expect(causes).toMatchObject([{ kind: 'was-ejected', text: expect.stringContaining('; that is over') }])
  })

  test('that the catalog leaves it out, and why that is not believed', () => {
    const catalog = { ...plainCatalog, nowMs, suspects: [suspect('web', 80, { sinceMs: nowMs - 4_000 })] }
    const facts = factsOf(instanceFacts(80, { checks: [check('critical')] }))
    const instance = one({}, { catalog, facts })
    expect(instance.verdict).toBe(
      'Gets requests, 50% of them, but it is held: an answer names no endpoint of this service any more; decided in 6.0 s at the latest.',
    )
    expect(instance.causes.map(({ kind }) => kind)).toEqual(['check', 'admission'])
  })

  test('that its check warns, and what it weighs beside the others', () => {
    const heavy = { ...endpointView(81), endpoint: { ...endpointView(81).endpoint, weight: 3 } }
    const service = serviceView('web', { endpoints: [endpointView(80, { idealShare: 0.25 }), heavy] })
    const facts = factsOf(instanceFacts(80, { checks: [check('warning', { output: 'disk 91%' })] }))
    const [instance] = explain({ service, facts }).instances
    expect(instance?.verdict).toBe('Gets requests, 25% of them, but check "http" is warning for 3 min: disk 91%.')
    expect(instance?.causes).toMatchObject([{ kind: 'check' }, { kind: 'weight', weight: 1 }])
  })

  test('what it was picked for, beside its due', () => {
    const service = serviceView('web', {
      endpoints: [
        endpointView(80, { picks: 100, recentPicks: 30, idealShare: 0.5, inFlight: 2 }),
        endpointView(81, { recentPicks: 10, idealShare: 0.5 }),
      ],
    })
    expect(explain({ service }).instances).toMatchObject([
      { picks: 100, recentPicks: 30, share: 0.75, idealShare: 0.5, inFlight: 2, weight: 1, warmth: 1 },
      { share: 0.25 },
    ])
    expect(explain({}).instances).toMatchObject([{ share: null }])
  })
})

describe('the service as a whole', () => {
  test.each<[string, Partial<ExplainInput>, string]>([
    ['all is well', {}, 'Its one instance gets requests.'],
    [
      'several are',
      { service: serviceView('web', { endpoints: [endpointView(80), endpointView(81)] }) },
      'All 2 instances get requests.',
    ],
    ['there are none', { service: serviceView('web') }, 'It has no instances.'],
    [
      'it has left',
      { service: serviceView('web', { inCatalog: false }) },
      'It has left the catalog and gets no requests.',
    ],
    [
      'some are out, the commonest reason first',
      {
        service: serviceView('web', {
          endpoints: [endpointView(80), endpointView(81, ejected())],
          absent: [absent(82, 'has no port'), absent(83, 'its weight is 0')],
        }),
      },
      '1 of 4 instances gets requests: 2 are left out by the catalog, 1 is ejected.',
    ],
    [
      'all of several are out',
      { service: serviceView('web', { absent: [absent(82, 'has no port'), absent(83, 'has no port')] }) },
      'None of 2 instances gets requests: 2 are left out by the catalog.',
    ],
    [
      'the only one is out',
      { service: serviceView('web', { absent: [absent(82, 'has no port')] }) },
      'Its one instance gets no requests: it is left out by the catalog.',
    ],
  ])('%s', (_, input, verdict) => {
    expect(explain(input).verdict).toBe(verdict)
  })

  test.each<[string, Partial<ExplainInput>, object]>([
    [
      'a catalog that is old',
      { readiness: { state: 'stale', ageMs: 180_000 } },
      { kind: 'stale', text: expect.stringContaining('3 min ago') },
    ],
    [
      'a snapshot',
      { catalog: { ...plainCatalog, nowMs, snapshot: { path: '/x', found: 'read', inUse: true } } },
      { kind: 'snapshot' },
    ],
    [
      'that it could not be read',
      {
        service: serviceView('web', {
          absent: [{ instance: '', address: '', reason: 'could not be read: 500', unread: true }],
        }),
      },
      { kind: 'unread', text: 'could not be read: 500' },
    ],
    [
      'answers that are not believed',
      { catalog: { ...plainCatalog, nowMs, suspects: [suspect('web', 80), suspect('other', 80)] } },
      { kind: 'admission', held: 1, kept: 0 },
    ],
    [
      'panic that is over',
      { service: serviceView('web', { endpoints: [endpointView(80)], panic: { picks: 2, agoMs: 5_000 } }) },
      { kind: 'panic', now: false },
    ],
    [
      'a drain of an endpoint that is not there',
      { service: serviceView('web', { drainedAway: [{ endpoint: '10.0.0.7:80', by: 'anna', agoMs: 60_000 }] }) },
      {
        kind: 'drained-away',
        endpoint: '10.0.0.7:80',
        text: expect.stringContaining('10.0.0.7:80 was drained by anna 60 s ago'),
      },
    ],
    [
      'why the catalog is old, and the cure',
      {
        readiness: { state: 'stale', ageMs: 61_000 },
        catalog: {
          ...plainCatalog,
          nowMs,
          failure: { where: 'GET /v1/x', message: 'ECONNREFUSED', cure: 'start it', agoMs: 9 },
        },
      },
      {
        kind: 'stale',
        text: 'the catalog was last confirmed 61 s ago, and may be out of date. GET /v1/x: ECONNREFUSED; start it',
      },
    ],
    [
      'the datacenter that serves instead',
      { facts: factsOf(instanceFacts(80, { datacenter: 'dc2' })) },
      { kind: 'failover', datacenter: 'dc2' },
    ],
    [
      'sources that do not name the same',
      {
        service: serviceView('web', {
          endpoints: [80, 81, 82].map((port) => {
            const view = endpointView(port)
            const sources = port === 82 ? ['consul', 'eureka'] : ['eureka']
            return { ...view, endpoint: { ...view.endpoint, sources } }
          }),
        }),
      },
      {
        kind: 'sources',
        text: 'not all sources of the catalog name the same endpoints of it: 2 by eureka alone, 1 by consul and eureka',
      },
    ],
    [
      'instances whose checks are not kept',
      { facts: { ...factsOf(), moreInstances: 9 } },
      { kind: 'more-instances', count: 9 },
    ],
  ])('tells of %s', (_, input, concern) => {
    expect(explain(input).concerns).toMatchObject([concern])
  })

  test('a standby is not said to be left out', () => {
    const service = serviceView('web', {
      endpoints: [endpointView(80)],
      absent: [absent(81, 'stands by in datacenter "dc2"')],
    })
    const { verdict } = explain({
      service,
      facts: factsOf(instanceFacts(80), instanceFacts(81, { datacenter: 'dc2' })),
    })
    expect(verdict).toBe('1 of 2 instances gets requests: 1 stands by in another datacenter.')
  })

  test('a standby datacenter that cannot be read is a matter of who has instances there', () => {
    const failed = { where: 'GET /v1/x', message: '500', cure: 'is it there?', agoMs: 9 }
    const catalog = { ...plainCatalog, nowMs, standbyFailures: new Map([['dc2', failed]]) }
    expect(explain({ catalog }).concerns).toEqual([])
    const facts = factsOf(instanceFacts(80, { datacenter: 'dc2' }))
    const text =
      'datacenter "dc2" cannot be read, and what is known of it may be out of date. GET /v1/x: 500; is it there?'
    expect(explain({ catalog, facts }).concerns).toMatchObject([{ kind: 'failover' }, { kind: 'standby-stale', text }])
  })

  test('an instance that only the reading knows is told as well', () => {
    const { instances } = explain({ facts: factsOf(instanceFacts(80), instanceFacts(81)) })
    expect(instances[1]).toMatchObject({
      instance: 'i-81',
      verdict: 'Gets no requests: the table does not have it yet.',
    })
  })

  test('how long ago it was read', () => {
    expect([explain({ facts: factsOf() }).readAgoMs, explain({}).readAgoMs]).toEqual([3_000, null])
  })
})
