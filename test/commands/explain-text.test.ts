import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isRequestsAnswer, requestsText } from '../../src/commands/explain-request-text.ts'
import { instancesNamed, isServiceAnswer, serviceText } from '../../src/commands/explain-service-text.ts'
import { columns } from '../../src/commands/terminal.ts'

const well = {
  endpoint: '10.0.0.5:8080',
  address: '10.0.0.5:8080',
  instance: 'web-1',
  node: 'n1',
  datacenter: null,
  tags: ['blue'],
  getsRequests: true,
  decidedBy: null,
  verdict: 'Gets requests, 50% of them.',
  causes: [],
  checks: [{ check: 'http', status: 'passing' }],
  moreChecks: 0,
  picks: 1200,
  share: 0.505,
  idealShare: 0.5,
  inFlight: 2,
}
const failing = {
  ...well,
  endpoint: '10.0.0.6:8080',
  address: '10.0.0.6:8080',
  instance: 'web-2',
  decidedBy: 'failing',
  verdict: 'Gets requests, 50% of them, but its last request failed; 5 in a row eject it.',
  causes: [
    {
      kind: 'failing',
      text: 'its last request failed; 5 in a row eject it',
      faults: [{ agoMs: 300, at: '2026-11-26T11:59:47.123Z', outcome: 'answered 503', request: 'r-1' }],
    },
    { kind: 'weight', text: 'its weight is 3' },
  ],
}
const out = {
  ...well,
  endpoint: null,
  address: '10.0.0.7:8080',
  instance: 'web-3',
  getsRequests: false,
  decidedBy: 'check',
  verdict: 'Gets no requests: check "http" is critical for 3 min: connection refused.',
  causes: [{ kind: 'check', text: 'check "http" is critical for 3 min: connection refused' }],
  checks: [
    { check: 'http', status: 'critical' },
    { check: 'Serf', status: 'passing' },
  ],
  moreChecks: 4,
}
const answer = {
  name: 'web',
  verdict: '2 of 3 instances get requests: 1 fails a check.',
  readAgoMs: 1_234,
  concerns: [{ kind: 'stale', text: 'the catalog was last confirmed 3 min ago: what follows may be out of date' }],
  instances: [well, failing, out],
}

describe('a service', () => {
  test('is told the worst first: verdict, what concerns all, who gets none, who has trouble, who is well', () => {
    expect(serviceText(answer, null)).toBe(`web: 2 of 3 instances get requests: 1 fails a check.
The registry was last read for it 1.2 s ago.
! The catalog was last confirmed 3 min ago: what follows may be out of date.

  ADDRESS        INSTANCE  REQUESTS  DUE  PICKS  IN FLIGHT
  10.0.0.7:8080  web-3         none    -      -          -
      Gets no requests: check "http" is critical for 3 min: connection refused.
      Node n1; tags blue; passing: Serf; 4 more checks.

  10.0.0.6:8080  web-2        50.5%  50%   1200          2
      Gets requests, 50% of them, but its last request failed; 5 in a row eject it.
          0.3 s ago  answered 503  r-1
      - Its weight is 3.
      Node n1; tags blue; passing: http.

  10.0.0.5:8080  web-1        50.5%  50%   1200          2

evenkeel explain --request ID tells where one of these requests went.
`)
  })

  test('of one instance that was asked for, all is told, even that it is well', () => {
    const text = serviceText(answer, instancesNamed(answer, 'web-1'))
    expect(text).toContain('      Gets requests, 50% of them.\n      Node n1; tags blue; passing: http.\n')
    expect(text).not.toContain('web-2')
  })

  test('an ejection of long ago is told of an instance alone, not below each of all', () => {
    const faults = [{ agoMs: 1, outcome: 'answered 503', request: 'r-1' }]
    const past = (agoMs: number) => ({
      ...well,
      causes: [{ kind: 'was-ejected', agoMs, text: 'it was ejected', faults }],
    })
    const textOf = (agoMs: number, count: number) =>
      serviceText({ ...answer, instances: Array(count).fill(past(agoMs)) }, null)
    expect(textOf(60_000, 2)).toContain('It was ejected.')
    expect(textOf(3_600_001, 2)).not.toMatch(/It was ejected|--request/)
    expect(textOf(3_600_001, 1)).toContain('It was ejected.')
  })

  test.each([
    ['its address', '10.0.0.7:8080', ['web-3']],
    ['its id', 'web-2', ['web-2']],
    ['neither', 'web', []],
  ])('an instance is named by %s', (_, wanted, instances) => {
    expect(instancesNamed(answer, wanted).map(({ instance }) => instance)).toEqual(instances)
  })

  test('what comes from the catalog is printable and stays on its line', () => {
    const evil = '\u001b]0;title\u0007\nFAKE LINE\u202e'
    const text = serviceText(
      {
        ...answer,
        name: evil,
        instances: [
          { ...out, instance: evil, address: evil, verdict: evil, tags: [evil], node: evil, causes: [{ text: evil }] },
        ],
      },
      null,
    )
    expect(text).not.toMatch(/[^\P{C}\n]/u)
    expect(text).not.toMatch(/^FAKE/m)
  })

  test('an answer of something else is not taken for one', () => {
    for (const body of [null, [], 'x', {}, { name: 'web' }, { name: 'web', verdict: 'x', instances: {} }]) {
      expect(isServiceAnswer(body)).toBe(false)
    }
    expect(isServiceAnswer(answer)).toBe(true)
  })
})

const attempt = {
  endpoint: '10.0.0.5:80',
  role: 'regular',
  startMs: 0.12,
  durationMs: 1.04,
  connectMs: null,
  firstByteMs: null,
  outcome: 'no connection: refused (ECONNREFUSED)',
  retried: 'connect-failed',
  candidates: ['10.0.0.5:80', '10.0.0.6:80'],
  candidateCount: 2,
  skipped: [
    { endpoint: '10.0.0.7:80', instance: 'web-3', why: 'check "http" is critical' },
    { endpoint: null, instance: null, why: 'could not be read: 500' },
  ],
  skippedCount: 2,
}
const request = {
  requestId: 'r-1',
  agoMs: 12_345,
  at: '2026-11-26T11:59:47.123Z',
  request: 'GET /web/x',
  service: 'web',
  status: 200,
  outcome: 'responded',
  durationMs: 5.25,
  traceId: 'abc',
  trail: 'C~R',
  attempts: 2,
  tries: [
    attempt,
    {
      ...attempt,
      endpoint: '10.0.0.6:80',
      role: 'probe',
      connectMs: 0.3,
      firstByteMs: 2,
      outcome: 'answered 200',
      retried: null,
      candidates: ['10.0.0.6:80'],
      candidateCount: 1,
      skipped: [],
    },
  ],
  standing: null,
}

describe('a request', () => {
  test('is told with its attempts, their timings, and who else could have been picked', () => {
    expect(requestsText({ requests: [request] })).toBe(`r-1: GET /web/x
  service web; status 200, responded; 5.3 ms, 2 attempts
  ended 12 s ago, at 2026-11-26T11:59:47.123Z
  trail C~R
  trace abc

  1. 10.0.0.5:80: no connection: refused (ECONNREFUSED)
     begun at 0.1 ms, no connection, no answer, over in 1 ms
     then another endpoint was tried, for connect-failed
     candidates: 10.0.0.5:80, 10.0.0.6:80
     - not 10.0.0.7:80 (web-3): check "http" is critical
     - could not be read: 500

  2. 10.0.0.6:80 (the one probe request of an ejected endpoint): answered 200
     begun at 0.1 ms, connected in 0.3 ms, first byte in 2 ms, over in 1 ms
     candidates: 10.0.0.6:80
     - and 2 more
`)
  })

  test('that found nobody says who there was', () => {
    const none = {
      ...request,
      service: 'web',
      status: 503,
      outcome: 'no-endpoints',
      traceId: null,
      trail: null,
      attempts: 0,
      tries: [],
    }
    expect(
      requestsText({ requests: [{ ...none, standing: { candidates: [], skipped: attempt.skipped } }] }),
    ).toBe(`r-1: GET /web/x
  service web; status 503, no-endpoints; 5.3 ms, 0 attempts
  ended 12 s ago, at 2026-11-26T11:59:47.123Z

  Nobody could be picked:
    - not 10.0.0.7:80 (web-3): check "http" is critical
    - could not be read: 500
`)
  })

  test('of very many attempts the first and the last ones are numbered as they were', () => {
    const text = requestsText({ requests: [{ ...request, attempts: 30, tries: [attempt, attempt, attempt, attempt] }] })
    expect(text.match(/^ {2}\d+\./gm)).toEqual(['  1.', '  2.', '  29.', '  30.'])
  })

  test('several with one id are told one after the other', () => {
    expect(requestsText({ requests: [request, request] }).match(/^r-1: /gm)).toHaveLength(2)
  })

  test('a request that was refused says why', () => {
    const refused = { ...request, service: null, status: 400, outcome: 'refused', tries: [], attempts: 0 }
    const text = requestsText({ requests: [{ ...refused, refusal: 'There is more than one Host.' }] })
    expect(text.split('\n').slice(1, 3)).toEqual([
      expect.stringContaining('  no service; status 400, refused;'),
      '  There is more than one Host.',
    ])
  })

  test('an answer of something else is not taken for one', () => {
    expect([isRequestsAnswer({ requests: [] }), isRequestsAnswer({}), isRequestsAnswer(null)]).toEqual([
      true,
      false,
      false,
    ])
  })
})

test('whatever the fields hold, nothing throws, and all of it is printable and fits', () => {
  const any = fc.anything({ maxDepth: 4, withNullPrototype: false })
  const anyOf = (keys: readonly string[]) => fc.record(Object.fromEntries(keys.map((key) => [key, any])))
  const instances = fc.array(fc.oneof(any, anyOf(Object.keys(well))))
  const requests = fc.array(fc.oneof(any, anyOf(Object.keys(request))))
  fc.assert(
    fc.property(instances, requests, any, (list, others, concerns) => {
      const texts = [
        serviceText({ name: 'web', verdict: 'x', instances: list, concerns }, null),
        requestsText({ requests: others }),
      ]
      for (const text of texts) expect(text).not.toMatch(/[^\P{C}\n]/u)
    }),
  )
  expect(
    Math.max(
      ...serviceText(answer, null)
        .split('\n')
        .map((line) => line.length),
    ),
  ).toBeLessThanOrEqual(columns)
})
