/** What does the doctor make of an agent's answers, odd ones too? A little HTTP server stands in for the agent. */

import { createServer, type ServerResponse } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import type { ConsulOptions } from '../../src/discovery/consul/consul-source.ts'
import { catalogReader, type ReadingOptions } from '../../src/doctor/reading.ts'
import { freePort } from '../support/consul.ts'
import { listenOnLoopback } from '../support/loopback.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

const consulOptions: ConsulOptions = {
  ...{
    address: '',
    token: null,
    datacenter: null,
    namespace: null,
    stale: true,
    include: ['*'],
    exclude: [],
    tag: null,
  },
  ...{ includeWarning: true, maxWatches: 128, tls: { ca: null, cert: null, key: null } },
}

type Answer = (response: ServerResponse, path: string) => void

/** An agent that answers what is told for a path (its end, without the query), and 404 else. */
async function reader(
  answers: Readonly<Record<string, Answer>>,
  { consul = {}, ...more }: Partial<Omit<ReadingOptions, 'consul'>> & { consul?: Partial<ConsulOptions> } = {},
) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const { url = '', headers } = request
    asked.push([url, headers['x-consul-token'] ?? ''].join(' ').trim())
    const path = url.replace(/\?.*/, '').replace('/v1/', '')
    const answer = answers[path]
    if (answer === undefined) response.writeHead(404).end()
    else answer(response, path)
  })
  const address = `http://127.0.0.1:${await listenOnLoopback(server, cleanups)}`
  const options = { ...consulOptions, address, ...consul }
  const made = catalogReader({
    consul: options,
    ...{ rules: { include: ['*'], exclude: ['consul'] }, only: null, connectTimeoutMs: () => 1000, standbys: () => [] },
    ...more,
  })
  return { ...made, asked, address }
}

function json(body: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return (response) => {
    for (const [name, value] of Object.entries({ 'x-consul-index': '7', ...headers })) response.setHeader(name, value)
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  }
}

const web = [
  { Node: { Node: 'n1' }, Service: { ID: 'w1', Service: 'web', Address: '192.0.2.1', Port: 80 }, Checks: [] },
]

describe('a reading', () => {
  test('where no service can be read, not all of them are asked for', async () => {
    const names = Array.from({ length: 100 }, (_, at) => `s-${at}`)
    const { read, asked } = await reader({
      'catalog/services': json(Object.fromEntries(names.map((name) => [name, []]))),
    })
    const { unread, services } = await read()
    expect([unread.length, services.length]).toEqual([100, 0])
    expect(asked.filter((path) => path.includes('health/service/')).length).toBeLessThan(40)
  })

  test('asks for the list and for each routed service, and tells what is left out', async () => {
    const { read, asked } = await reader(
      {
        'catalog/services': json({ consul: [], web: [], 'my wéb': [], 'a/b': [], '..': [] }),
        'health/service/web': json(web),
        'health/service/my%20w%C3%A9b': json([]),
        'agent/self': json({ Config: { NodeName: 'n1', Datacenter: 'dc 2' } }),
      },
      { consul: { datacenter: 'dc 2', token: 'secret' } },
    )
    const reading = await read()
    expect(reading).toMatchObject({ listed: 5, excluded: 1, unread: [], agentIsHere: true, ownNode: 'n1' })
    expect(reading.services.map(({ name, instances }) => [name, instances.map(({ id }) => id)])).toEqual([
      ['..', []],
      ['a/b', []],
      ['my wéb', []],
      ['web', ['w1']],
    ])
    // What cannot be routed is not asked for: `..` would even be another question.
    expect([...asked].sort()).toEqual([
      '/v1/agent/self secret',
      '/v1/catalog/services?dc=dc%202&stale secret',
      '/v1/health/service/my%20w%C3%A9b?dc=dc%202&stale secret',
      '/v1/health/service/web?dc=dc%202&stale secret',
    ])
  })

  test('of one service asks for that one, even where the config leaves it out', async () => {
    const { read, asked } = await reader(
      { 'catalog/services': json({ consul: [], web: [] }), 'health/service/consul': json([]) },
      { only: 'consul', consul: { stale: false } },
    )
    expect((await read()).services).toMatchObject([{ name: 'consul', isExcluded: true }])
    expect([...asked].sort()).toEqual(['/v1/agent/self', '/v1/catalog/services', '/v1/health/service/consul'])
  })

  test.each<[string, unknown, string | null, object]>([
    ['an agent that may not be asked', null, 'dc1', { ownNode: null, agentIsHere: true }],
    [
      'an agent of this datacenter',
      { Config: { NodeName: 'n1', Datacenter: 'dc1' } },
      'dc1',
      { ownNode: 'n1', agentIsHere: true },
    ],
    [
      'an agent of whatever datacenter',
      { Config: { NodeName: 'n1', Datacenter: 'dc1' } },
      null,
      { ownNode: 'n1', agentIsHere: true },
    ],
    [
      'an agent of another datacenter',
      { Config: { NodeName: 'n1', Datacenter: 'dc1' } },
      'dc2',
      { ownNode: null, agentIsHere: false },
    ],
  ])('knows whether it is of this machine, from %s', async (_, self, datacenter, expected) => {
    const own: Readonly<Record<string, Answer>> = self === null ? {} : { 'agent/self': json(self) }
    const { read } = await reader({ 'catalog/services': json({}), ...own }, { consul: { datacenter } })
    expect(await read()).toMatchObject(expected)
  })

  test('of hundreds of services prints no warning of Node’s about a leak', async () => {
    const names = Array.from({ length: 300 }, (_, n) => `s${n}`)
    const services = Object.fromEntries(names.map((name) => [`health/service/${name}`, json([])]))
    const { read } = await reader({
      'catalog/services': json(Object.fromEntries(names.map((name) => [name, []]))),
      ...services,
    })
    const warnings: Error[] = []
    const onWarning = (warning: Error) => void warnings.push(warning)
    process.on('warning', onWarning)
    try {
      expect((await read()).services).toHaveLength(300)
      // Warnings come a tick later.
      await new Promise((resolve) => setImmediate(resolve))
      expect(warnings).toEqual([])
    } finally {
      process.off('warning', onWarning)
    }
  })

  test('goes on when one service cannot be read, and tells why', async () => {
    const { read } = await reader({
      'catalog/services': json({ a: [], b: [], web: [] }),
      'health/service/a': (response) => response.writeHead(500).end('rpc error'),
      'health/service/b': json({ not: 'a list' }),
      'health/service/web': json(web),
    })
    const { services, unread } = await read()
    expect(services.map(({ name }) => name)).toEqual(['web'])
    expect(unread).toMatchObject([
      { what: { kind: 'service', name: 'a' }, failure: { message: 'Consul answered 500: rpc error' } },
      { what: { kind: 'service', name: 'b' }, failure: { message: 'the list of instances is not an array' } },
    ])
  })

  test('never shows the token that an answer quotes', async () => {
    const { read } = await reader(
      { 'catalog/services': (response) => response.writeHead(403).end('ACL not found: s3cret') },
      { consul: { token: 's3cret' } },
    )
    const { unread } = await read()
    expect(JSON.stringify(unread)).toContain('ACL not found: <token>')
    expect(JSON.stringify(unread)).not.toContain('s3cret')
  })

  test.each<[string, Answer, string]>([
    [
      'is refused',
      (response) => response.writeHead(403).end('Permission denied'),
      'Consul answered 403: Permission denied',
    ],
    [
      'is HTML',
      (response) => response.setHeader('content-type', 'text/html').end('<p>'),
      'the answer (text/html) is not JSON: <p>',
    ],
    ['is no object', json([]), 'the list of services is not an object'],
    ['does not come', () => {}, 'no answer within 0 s'],
  ])('whose list %s has nothing else', async (_, answer, message) => {
    const { read } = await reader({ 'catalog/services': answer }, { deadlineMs: 100 })
    expect(await read()).toMatchObject({
      listed: null,
      services: [],
      unread: [{ what: { kind: 'list' }, failure: { message } }],
    })
  })

  test('of an agent that is not there', async () => {
    const { read } = await reader({}, { consul: { address: `http://127.0.0.1:${await freePort()}` } })
    expect(await read()).toMatchObject({
      listed: null,
      unread: [{ failure: { message: expect.stringContaining('ECONNREFUSED') } }],
    })
  })
})

describe('the head of an answer tells', () => {
  const inMs = (ms: number) => new Date(Date.now() + ms).toUTCString()
  const headOf = async (headers: Readonly<Record<string, string>>) => {
    const { read } = await reader({ 'catalog/services': json({}, headers) })
    return (await read()).answers[0]
  }

  test('index, leader and last contact', async () => {
    expect(await headOf({ 'x-consul-knownleader': 'true', 'x-consul-lastcontact': '12' })).toMatchObject({
      ...{ query: '/v1/catalog/services?stale', index: '7', knowsLeader: true, lastContactMs: 12, clockAheadMs: 0 },
    })
    expect(await headOf({ 'x-consul-knownleader': 'false' })).toMatchObject({ knowsLeader: false, lastContactMs: null })
    expect(await headOf({ 'x-consul-lastcontact': 'x' })).toMatchObject({ knowsLeader: null, lastContactMs: null })
  })

  test('a clock, as far as it is certain to differ', async () => {
    const ahead = (await headOf({ date: inMs(3_600_000) }))?.clockAheadMs ?? 0
    const behind = (await headOf({ date: inMs(-3_600_000) }))?.clockAheadMs ?? 0
    // Whole seconds, and the time that the answer took: in favour of the clock.
    expect([Math.round(ahead / 60_000), Math.round(behind / 60_000)]).toEqual([60, -60])
    expect((await headOf({ date: 'yesterday' }))?.clockAheadMs).toBe(null)
  })
})

describe('watching checks', () => {
  const beat = (Output: string) => [
    { Node: 'n1', CheckID: 'c', Name: 'beat', ServiceID: 'w1', ServiceName: 'web', Status: 'passing', Output },
  ]

  test('counts what changes, reading after reading', async () => {
    let reads = 0
    const { watchChecks } = await reader({ 'health/state/any': (...args) => json(beat(`${reads++}`))(...args) })
    const { checks, unread, answers } = await watchChecks(1200)
    expect(unread).toEqual([])
    expect(reads).toBeGreaterThanOrEqual(3)
    expect(answers).toHaveLength(reads)
    expect(checks).toMatchObject([{ check: 'beat', changes: reads - 1 }])
  })

  test('for no time asks nothing', async () => {
    const { watchChecks, asked } = await reader({})
    expect(await watchChecks(0)).toEqual({ watchedMs: 0, checks: [], unread: [], answers: [] })
    expect(asked).toEqual([])
  })

  test('of one service asks for its own', async () => {
    const { watchChecks, asked } = await reader({ 'health/checks/web': json([]) }, { only: 'web' })
    expect((await watchChecks(1)).unread).toEqual([])
    expect(asked[0]).toBe('/v1/health/checks/web?stale')
  })

  test('ends with the first answer that fails, and tells', async () => {
    const { watchChecks } = await reader({})
    expect((await watchChecks(60_000)).unread).toMatchObject([{ what: { kind: 'checks' } }])
  })
})
