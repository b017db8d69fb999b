/** What does the Swarm source do with an Engine that refuses, forgets, falls silent or changes? (A fake one, fake-engine.ts.) */

import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { placeOf } from '../../../src/discovery/swarm/engine-client.ts'
import { waitFor } from '../../support/wait.ts'
import type { Followed } from '../follow.ts'
import { attachment, type FakeEngine, labelled, manager, node, startFakeEngine, task } from './fake-engine.ts'
import { followSwarm } from './follow-swarm.ts'

let engine: FakeEngine
const followed: Followed[] = []
beforeEach(async () => {
  engine = await startFakeEngine()
})
afterEach(async () => {
  for (const each of followed.splice(0)) await each.stop()
  await engine.stop()
})

const quick = { pollMs: 20, busyPollMs: 20, settleMs: 1 }
/** Nothing is read but for events. */
const slow = { pollMs: 60_000, busyPollMs: 60_000, settleMs: 1 }

function follow(timing: object = quick, options: Parameters<typeof followSwarm>[1] = {}): Followed {
  const one = followSwarm(engine.host, options, { timing })
  followed.push(one)
  return one
}

const two = [task('web', 1, '10.77.1.3'), task('web', 2, '10.77.1.4')]

test('what changes is read at the next turn, and what does not is confirmed', async () => {
  const web = follow()
  await web.until('web', ['10.77.1.3:80*1'])
  engine.answers.set('/tasks', two)
  await web.until('web', ['10.77.1.3:80*1', '10.77.1.4:80*1'])
  const { fresh } = web
  await waitFor('it is confirmed', () => web.fresh > fresh + 2)
  expect(web.catalogs).toHaveLength(2)
  expect(web.errors).toEqual([])
})

test('an event is looked into at once', async () => {
  const web = follow(slow)
  await web.until('web', ['10.77.1.3:80*1'])
  await waitFor('the events are heard', () => engine.streams === 1)
  await waitFor(
    'what was missed before is read',
    () => engine.asked.filter((path) => path.includes('/tasks')).length > 1,
  )
  engine.answers.set('/tasks', two)
  engine.event()
  await web.until('web', ['10.77.1.3:80*1', '10.77.1.4:80*1'])
  await waitFor('that was of use', () => web.source.describe?.().wakeups.useful === 1)
})

test('without events all is seen nevertheless, and it is said once', async () => {
  engine.refusals.set('/events', { status: 403, message: 'Forbidden' })
  const web = follow()
  await web.until('web', ['10.77.1.3:80*1'])
  engine.answers.set('/tasks', two)
  await web.until('web', ['10.77.1.3:80*1', '10.77.1.4:80*1'])
  expect(web.errors).toEqual([])
  const lines = web.logged.filter((line) => line.includes('tells no events'))
  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain('/events')
})

test('a stream that ends is begun anew, and the Engine asked again who it is', async () => {
  const web = follow(slow)
  await web.until('web', ['10.77.1.3:80*1'])
  await waitFor('the events are heard', () => engine.streams === 1)
  engine.answers.set('/tasks', two)
  engine.endStreams()
  await web.until('web', ['10.77.1.3:80*1', '10.77.1.4:80*1'])
  expect(engine.asked.filter((path) => path.endsWith('/info'))).toHaveLength(2)
  expect(web.errors).toEqual([])
})

test('kept connections that the Engine has closed meanwhile are no failure', async () => {
  const web = follow()
  await web.until('web', ['10.77.1.3:80*1'])
  engine.forgetful = true
  const { fresh } = web
  await waitFor('it is confirmed', () => web.fresh > fresh + 3)
  expect(web.errors).toEqual([])
})

describe('the table stays, and why is said, when', () => {
  test.each<[string, (engine: FakeEngine) => void, string, RegExp, RegExp]>([
    [
      'a manager answers that it is none',
      ({ refusals }) => refusals.set('/tasks', { status: 503, message: 'This node is not a swarm manager.' }),
      'GET /tasks',
      /answered 503: This node is not a swarm manager/,
      /node\.role == manager/,
    ],
    [
      'there is no leader',
      ({ refusals }) =>
        refusals.set('/nodes', { status: 500, message: 'rpc error: The swarm does not have a leader.' }),
      'GET /nodes',
      /does not have a leader/,
      /more than half of its managers/,
    ],
    [
      'something in front of it refuses',
      ({ refusals }) => refusals.set('/services', { status: 403, message: '<html>Forbidden' }),
      'GET /services',
      /answered 403/,
      /must allow GET of .*\/services/,
    ],
    [
      'it does not answer in time',
      ({ silent }) => silent.add('/tasks'),
      'GET /tasks',
      /no answer of .* within/,
      /overloaded/,
    ],
    [
      'the answer is none',
      ({ answers }) => answers.set('/tasks', { not: 'a list' }),
      'GET /tasks',
      /the answer to \/tasks is no list/,
      /does a Docker Engine answer there/,
    ],
  ])('%s', async (_, spoil, where, message, cure) => {
    const web = follow({ ...quick, deadlineMs: 300 })
    await web.until('web', ['10.77.1.3:80*1'])
    spoil(engine)
    await waitFor('it is an error', () => web.errors.length > 0)
    expect(web.errors[0]).toMatchObject({ where })
    expect(web.errors[0]?.message).toMatch(message)
    expect(web.errors[0]?.cure).toMatch(cure)
    expect(web.catalogs).toHaveLength(1)
    engine.refusals.clear()
    engine.silent.clear()
    engine.answers.set('/tasks', two)
    await web.until('web', ['10.77.1.3:80*1', '10.77.1.4:80*1'])
    const { fresh } = web
    await waitFor('it is confirmed as a whole', () => web.fresh > fresh)
    expect(web.rewound).toEqual([false, false])
  })

  test('it has left its swarm: its own containers are not what was asked for', async () => {
    const web = follow()
    await web.until('web', ['10.77.1.3:80*1'])
    engine.answers.set('/info', { Swarm: { LocalNodeState: 'inactive' } })
    engine.endStreams()
    await waitFor('it is an error', () => web.errors.length > 0)
    expect(web.errors[0]?.message).toContain('has left its swarm')
    expect(web.catalogs).toHaveLength(1)
  })

  test('the socket is gone', async () => {
    const web = follow()
    await web.until('web', ['10.77.1.3:80*1'])
    await rm(engine.host.slice('unix://'.length))
    engine.cut()
    await waitFor('it is an error', () => web.errors.some(({ cure }) => cure.includes('/var/run/docker.sock')))
    expect(web.errors.at(-1)).toMatchObject({ away: true })
    expect(web.catalogs).toHaveLength(1)
  })
})

test.each([
  ['a worker', { LocalNodeState: 'active', ControlAvailable: false }, /is a worker of its swarm/],
  ['one that is locked', { LocalNodeState: 'locked' }, /\(locked\)/],
  ['one that is starting', { LocalNodeState: 'pending' }, /\(pending\)/],
  ['one that failed', { LocalNodeState: 'error', Error: 'certificate expired' }, /\(error\): certificate expired/],
])('%s is followed as soon as it is a manager', async (_, Swarm, message) => {
  engine.answers.set('/info', { Swarm })
  const web = follow()
  await waitFor('it is an error', () => web.errors.length > 0)
  expect(web.errors[0]?.message).toMatch(message)
  expect(web.catalogs).toEqual([])
  engine.answers.set('/info', manager())
  await web.until('web', ['10.77.1.3:80*1'])
})

test.each([
  ['another cluster', manager('c2', 99)],
  ['the same cluster with less in its log', manager('c1', 9)],
])('%s that has lost tasks has gone backwards', async (_, info) => {
  engine.answers.set('/tasks', two)
  const web = follow()
  await web.until('web', ['10.77.1.3:80*1', '10.77.1.4:80*1'])
  engine.answers.set('/info', info)
  engine.answers.set('/tasks', [])
  engine.endStreams()
  await web.until('web', [])
  expect(web.rewound.at(-1)).toBe(true)
})

test('a task that does not run is asked once what has failed before it', async () => {
  const failed = {
    DesiredState: 'shutdown',
    Status: { State: 'failed', Err: 'task: non-zero exit (1)', Timestamp: '1' },
  }
  // The fake one gives the same to both questions; only what is to run counts in the one, what has ended in the other.
  engine.answers.set('/tasks', [
    task('web', 1, '10.77.1.3', { Status: { State: 'starting' } }),
    task('web', 1, '10.77.1.2', { ID: 'old', ...failed }),
  ])
  const web = follow()
  await web.until('web', [])
  expect(web.service('web')?.absent).toEqual([
    {
      instance: 'web.1.t1',
      address: '10.77.1.3:80',
      reason: 'its task is starting (the one before it failed: task: non-zero exit (1))',
    },
  ])
  engine.answers.set('/nodes', [node('n1'), node('n2')])
  const { fresh } = web
  await waitFor('it is read again', () => web.fresh > fresh + 3)
  expect(engine.asked.filter((path) => path.includes('shutdown'))).toHaveLength(1)
})

test('a task whose container was unhealthy is not back for its last seconds: Swarm ends it, whatever it says now', async () => {
  engine.answers.set('/tasks', two)
  const web = follow()
  await web.until('web', ['10.77.1.3:80*1', '10.77.1.4:80*1'])
  engine.answers.set('/containers/json', [{ Id: 'c', Labels: { 'com.docker.swarm.task.id': 't2' } }])
  await web.until('web', ['10.77.1.3:80*1'])
  engine.answers.set('/containers/json', [])
  const { fresh } = web
  await waitFor('it is read again', () => web.fresh > fresh + 2)
  expect(web.endpoints('web')).toEqual(['10.77.1.3:80*1'])
  engine.answers.set('/tasks', [task('web', 1, '10.77.1.3'), task('web', 2, '10.77.1.5', { ID: 't3' })])
  await web.until('web', ['10.77.1.3:80*1', '10.77.1.5:80*1'])
})

test('reread reads all now; and is false when it fails', async () => {
  const web = follow(slow)
  await web.until('web', ['10.77.1.3:80*1'])
  engine.answers.set('/tasks', two)
  const { signal } = new AbortController()
  expect(await web.source.reread?.(['web'], signal)).toBe(true)
  expect(web.endpoints('web')).toEqual(['10.77.1.3:80*1', '10.77.1.4:80*1'])
  engine.refusals.set('/tasks', { status: 500, message: 'no' })
  expect(await web.source.reread?.(['web'], signal)).toBe(false)
  expect(await web.source.reread?.(['web'], AbortSignal.abort())).toBe(false)
})

test.each([
  [{ ApiVersion: '1.41', MinAPIVersion: '1.12' }, '1.41'],
  [{ ApiVersion: '1.30', MinAPIVersion: '1.12' }, '1.30'],
  [{ ApiVersion: '1.52', MinAPIVersion: '1.44' }, '1.44'],
  [{ ApiVersion: '1.52' }, '1.41'],
])('of an Engine that knows %j the version %s is asked', async (answer, version) => {
  engine.answers.set('/version', answer)
  const web = follow()
  await web.until('web', ['10.77.1.3:80*1'])
  expect(engine.asked).toContain(`/v${version}/info`)
})

test.each(['/var/run/docker.sock', 'unix://docker.sock', 'http://127.0.0.1:1', 'tcp://', 'tcp://a b:1'])(
  'the host %s is refused at once',
  (host) => {
    expect(() => followSwarm(host)).toThrow('must be unix:///path/of/docker.sock or tcp://host:port')
  },
)

test.each([
  ['unix:///run/docker.sock', false, { socketPath: '/run/docker.sock' }],
  ['tcp://manager', false, { host: 'manager', port: '2375' }],
  ['tcp://manager', true, { host: 'manager', port: '2376' }],
  ['tcp://manager:80', true, { host: 'manager', port: '80' }],
  ['tcp://[::1]:2377', false, { host: '::1', port: '2377' }],
])('the host %s (TLS: %s) is at %j', (host, hasTls, place) => {
  expect(placeOf(host, hasTls)).toEqual(place)
})

test('an Engine that is not one is told as such', async () => {
  engine.answers.set('/version', { hello: 'world' })
  const web = follow()
  await waitFor('it is an error', () => web.errors.length > 0)
  expect(web.errors[0]).toMatchObject({ where: 'GET /version', message: expect.stringContaining('no ApiVersion') })
})

test('what is odd is logged once; names are filtered', async () => {
  engine.answers.set('/services', [labelled('web', { 'evenkeel.port': '0' }), labelled('a/b'), labelled('other')])
  engine.answers.set('/nodes', [node('n1')])
  const web = follow(quick, { exclude: ['oth*'] })
  await web.until('web', [])
  engine.answers.set('/tasks', [task('web', 1, '10.77.1.3', { NetworksAttachments: [attachment('b', '10.77.2.2')] })])
  const { fresh } = web
  await waitFor('it is read again', () => web.fresh > fresh + 2)
  expect([...(web.catalogs.at(-1)?.services.keys() ?? [])]).toEqual(['web'])
  expect(web.logged.filter((line) => line.includes('odd entry in Docker'))).toHaveLength(2)
})
