/** Does the source go on, whatever a Consul answers? Every server in here is a fake one, made to misbehave. */

import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ConsulOptions, type ConsulTiming, consulSource } from '../../../src/discovery/consul/consul-source.ts'
import { waitFor } from '../../support/wait.ts'
import { type FakeConsul, type FakeRequest, fakeConsul, instancesJson } from '../fake-consul.ts'
import { consulDefaults, type Followed, followConsul } from '../follow.ts'

let consul: FakeConsul
let followed: Followed

beforeEach(async () => {
  consul = await fakeConsul({ web: [80], api: [90] })
})
afterEach(async () => {
  await followed?.stop()
  await consul.close()
})

function follow(options: Partial<ConsulOptions> = {}, timing: Partial<ConsulTiming> = {}): void {
  // Little jitter, for a test that fails often is not to wait long.
  followed = followConsul(consul.url, options, { timing, random: () => 0.03 })
}

const MAX_WATCHES = consulDefaults.maxWatches
const ofWeb = (request: FakeRequest) => request.service === 'web'

/** Requests to one query since `from` left at least 25 ms apart on average: half of what the source promises. */
function expectNoSpin(of: (request: FakeRequest) => boolean, from: number): void {
  const times = consul.requests
    .slice(from)
    .filter(of)
    .map((request) => request.atMs)
  expect(times.length).toBeGreaterThan(5)
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan((times.length - 3) * 25)
}

describe('a fake Consul that behaves', () => {
  test('is followed, and the first catalog has every service', async () => {
    follow()
    await followed.until('web', ['10.0.0.1:80*1'])
    expect([...(followed.catalogs[0]?.services.keys() ?? [])]).toEqual(['api', 'web'])
    expect(followed.catalogs).toHaveLength(1)
    consul.set('web', [80, 81])
    await followed.until('web', ['10.0.0.1:80*1', '10.0.0.1:81*1'])
    consul.set('web', [])
    await followed.until('web', [])
    consul.set('web', null)
    await followed.until('web', undefined)
    consul.set('new', [70])
    await followed.until('new', ['10.0.0.1:70*1'])
    expect(followed.endpoints('api')).toEqual(['10.0.0.1:90*1'])
    expect(followed.errors).toEqual([])
  })

  test('without any service is an empty catalog', async () => {
    consul.set('web', null)
    consul.set('api', null)
    follow()
    await waitFor('the first catalog', () => followed.catalogs.length > 0)
    expect(followed.catalogs[0]?.services.size).toBe(0)
  })

  test('that answers again without a change is not published, but counts as fresh', async () => {
    follow()
    await followed.until('web', ['10.0.0.1:80*1'])
    const before = followed.fresh
    consul.index += 1
    consul.wake()
    await waitFor('it is fresh', () => followed.fresh >= before + 3)
    expect(followed.catalogs).toHaveLength(1)
  })

  test('is told who asks: token, namespace, datacenter, stale', async () => {
    follow({ token: 's3cret', namespace: 'team', datacenter: 'dc7', stale: true })
    await followed.until('web', ['10.0.0.1:80*1'])
    for (const { headers, query } of consul.requests) {
      expect(headers).toMatchObject({ 'x-consul-token': 's3cret', 'x-consul-namespace': 'team' })
      expect(Object.fromEntries(query)).toMatchObject({ dc: 'dc7', stale: '1' })
    }
  })

  test('is told nothing more than is set, and blocks for seconds as Consul reads them', async () => {
    follow({ stale: false })
    await waitFor('it blocks on both', () => consul.requests.filter((request) => request.index !== null).length >= 3)
    expect(consul.requests[0]?.headers).not.toHaveProperty('x-consul-token')
    const waits = new Set(consul.requests.map(({ query }) => query.toString().replace(/index=\d+/, 'index=N')))
    expect(waits).toEqual(new Set(['', 'index=N&wait=10s', 'index=N&wait=25s']))
  })

  test('whose service names need encoding', async () => {
    consul.set('naïve service? 100%&#', [60])
    follow()
    await followed.until('naïve service? 100%&#', ['10.0.0.1:60*1'])
  })

  test('at an IPv6 address', async () => {
    const six = await fakeConsul({ web: [80] }, '::1')
    const other = followConsul(six.url)
    await other.until('web', ['10.0.0.1:80*1'])
    await other.stop()
    await six.close()
  })
})

/** Ways to answer wrongly, and what is to be said of them. */
const wrongAnswers: [string, (answer: ServerResponse, socket: Socket) => void, RegExp][] = [
  ['400', (answer) => answer.writeHead(400).end('Invalid index'), /400: Invalid index/],
  ['403', (answer) => answer.writeHead(403).end('Permission denied'), /403: Permission denied/],
  ['404', (answer) => answer.writeHead(404).end(), /404/],
  ['429', (answer) => answer.writeHead(429).end('Your IP is issuing too many requests'), /429: Your IP/],
  ['500', (answer) => answer.writeHead(500).end('No cluster leader'), /500: No cluster leader/],
  ['a redirect', (answer) => answer.writeHead(301, { location: 'http://nowhere.invalid/' }).end(), /301/],
  ['no content', (answer) => answer.writeHead(204).end(), /not JSON/],
  [
    'HTML with status 200',
    (answer) => answer.writeHead(200, { 'content-type': 'text/html' }).end('<html>Hi'),
    /<html>Hi/,
  ],
  ['HTML that claims to be JSON', (answer) => answer.writeHead(200, json).end('<html>Hi'), /<html>Hi/],
  ['truncated JSON', (answer) => answer.writeHead(200, json).end('[{"Node":'), /not JSON/],
  ['JSON of another shape', (answer) => answer.writeHead(200, json).end('"hello"'), /is not an (array|object)/],
  ['an empty body', (answer) => answer.writeHead(200, json).end(), /not JSON/],
  ['a connection reset at once', (_, socket) => void socket.resetAndDestroy(), /ECONNRESET|hang up|broke off/],
  ['a connection closed at once', (_, socket) => void socket.end(), /hang up|broke off/],
  [
    'a connection reset in mid-body',
    (answer, socket) => {
      answer.writeHead(200, { ...json, 'content-length': '1000' })
      answer.write('[{"Node":', () => socket.resetAndDestroy())
    },
    /broke off|ECONNRESET|aborted/,
  ],
  [
    'a connection closed in mid-chunk',
    (answer, socket) => {
      answer.writeHead(200, json)
      answer.write('[{"Node":', () => socket.end())
    },
    /broke off|ECONNRESET|aborted/,
  ],
  ['no HTTP at all', (_, socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n'), /Parse Error/],
  [
    'a protocol nobody asked for',
    (_, socket) => void socket.write('HTTP/1.1 101 Go\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    /.+/,
  ],
]
const json = { 'content-type': 'application/json', 'x-consul-index': '700' }

describe.each(wrongAnswers)('a fake Consul that answers %s', (_, answerWrongly, message) => {
  test.each([
    ['for a service', ofWeb, 'GET /v1/health/service/web'],
    ['for the names', (request: FakeRequest) => request.service === null, 'GET /v1/catalog/services'],
    ['for everything', () => true, /^GET \/v1\//],
  ])('%s: the table is kept, the error told, and the watch goes on', async (_scope, concerns, where) => {
    follow()
    await followed.until('web', ['10.0.0.1:80*1'])
    consul.misbehave = (request, answer, socket) => (concerns(request) ? answerWrongly(answer, socket) : false)
    consul.index += 1
    consul.wake()
    await waitFor('an error', () => followed.errors.length > 0)
    const [error] = followed.errors
    expect(error).toMatchObject({
      where: typeof where === 'string' ? where : expect.stringMatching(where),
      message: expect.stringMatching(message),
      cure: expect.stringMatching(/\w/),
    })
    const asked = consul.requests.filter(concerns).length
    await waitFor('it is asked again', () => consul.requests.filter(concerns).length >= asked + 3)
    expect(followed.catalogs).toHaveLength(1)
    consul.misbehave = null
    consul.set('web', [81])
    consul.set('new', [70])
    await followed.until('web', ['10.0.0.1:81*1'])
    await followed.until('new', ['10.0.0.1:70*1'])
  })
})

describe('a fake Consul whose index is odd', () => {
  const answerWith = (headers: Record<string, string>): void => {
    let ports = [80]
    consul.misbehave = (request, answer) => {
      if (!ofWeb(request)) return false
      answer.writeHead(200, headers).end(instancesJson('web', ports))
      return true
    }
    changeWeb = (now) => {
      ports = now
    }
  }
  let changeWeb: (ports: number[]) => void = () => {}

  test.each([
    ['absent', {}],
    ['0', { 'x-consul-index': '0' }],
    ['no number', { 'x-consul-index': 'seven' }],
  ])('%s: changes are seen, without blocking and without spinning', async (_, headers) => {
    answerWith(headers)
    follow()
    await followed.until('web', ['10.0.0.1:80*1'])
    changeWeb([81])
    await followed.until('web', ['10.0.0.1:81*1'])
    const asked = consul.requests.filter(ofWeb)
    expect(asked.every((request) => request.index === null)).toBe(true)
    // Asked once a second: the second time saw the change.
    expect(asked.length).toBeLessThanOrEqual(3)
  })

  test('always the same, at once: changes are seen, without spinning', async () => {
    answerWith({ 'x-consul-index': '7' })
    follow()
    await followed.until('web', ['10.0.0.1:80*1'])
    await waitFor('it has been asked often', () => consul.requests.filter(ofWeb).length > 6)
    changeWeb([81])
    await followed.until('web', ['10.0.0.1:81*1'])
    expectNoSpin(ofWeb, 0)
  })

  test('growing at once: it does not spin', async () => {
    let index = 0
    consul.misbehave = (request, answer) => {
      if (!ofWeb(request)) return false
      index += 1
      answer.writeHead(200, { 'x-consul-index': `${index}` }).end(instancesJson('web', [80]))
      return true
    }
    follow()
    await waitFor('it has been asked often', () => consul.requests.filter(ofWeb).length > 15)
    expectNoSpin(ofWeb, 0)
  })

  test('falling at once: it does not spin', async () => {
    let index = 1_000_000
    consul.misbehave = (request, answer) => {
      if (!ofWeb(request)) return false
      index -= 1
      answer.writeHead(200, { 'x-consul-index': `${index}` }).end(instancesJson('web', [80]))
      return true
    }
    follow()
    await waitFor('it has been asked often', () => consul.requests.filter(ofWeb).length > 8)
    expectNoSpin(ofWeb, 0)
  })

  test('backwards for good, as after a loss of data: it starts from 0, and believes what is there now', async () => {
    follow({}, { catchUpMs: 300 })
    await followed.until('web', ['10.0.0.1:80*1'])
    await waitFor('it blocks', () => consul.requests.filter(ofWeb).some((request) => request.index === '100'))
    consul.index = 4
    consul.set('web', [81])
    await followed.until('web', ['10.0.0.1:81*1'])
    consul.set('web', [82])
    await followed.until('web', ['10.0.0.1:82*1'])
    const indices = consul.requests.filter(ofWeb).map((request) => request.index)
    expect(indices.slice(0, 4)).toEqual([null, null, '100', null])
    expect(indices).toContain('5')
    expect(followed.errors).toEqual([])
  })

  test('backwards while it replays its log: the empty and half-filled catalogs of that time are never published', async () => {
    follow()
    await followed.until('web', ['10.0.0.1:80*1'])
    consul.misbehave = (_, __, socket) => void socket.destroy()
    consul.index += 1
    consul.wake()
    await waitFor('it has gone', () => followed.errors.length > 0)
    let replayed = 20
    consul.misbehave = (request, answer) => {
      replayed += 1
      const body = ofWeb(request) ? instancesJson('web', []) : request.service === null ? '{"api":[]}' : '[]'
      answer.writeHead(200, { 'x-consul-index': `${replayed}` }).end(body)
    }
    await waitFor('it has been asked often while it replays', () => replayed >= 32)
    consul.misbehave = null
    consul.set('api', [91])
    await followed.until('api', ['10.0.0.1:91*1'])
    for (const { services } of followed.catalogs) {
      expect([...services.keys()]).toEqual(['api', 'web'])
      for (const { endpoints } of services.values()) expect(endpoints).toHaveLength(1)
    }
  })

  test('after an error it starts from 0, for the index may be of another time', async () => {
    follow()
    await followed.until('web', ['10.0.0.1:80*1'])
    await waitFor('it blocks', () => consul.requests.filter(ofWeb).some((request) => request.index === '100'))
    const before = consul.requests.filter(ofWeb).length
    consul.misbehave = (request, answer) => (ofWeb(request) ? void answer.writeHead(500).end() : false)
    consul.index += 1
    consul.wake()
    await waitFor('it has failed', () => followed.errors.length > 0)
    consul.misbehave = null
    await waitFor('it blocks again', () => consul.requests.filter(ofWeb).at(-1)?.index === '101')
    const after = consul.requests.filter(ofWeb).slice(before)
    expect(after.slice(1, -1).every((request) => request.index === null)).toBe(true)
  })
})

describe('a fake Consul that answers one query and fails another', () => {
  test('is not fresh before all of it can be read again, and then at once', async () => {
    follow({}, { namesWaitMs: 30, instancesWaitMs: 30 })
    await followed.until('web', ['10.0.0.1:80*1'])
    consul.misbehave = (request, answer) => (ofWeb(request) ? void answer.writeHead(500).end() : false)
    await waitFor('it has failed', () => followed.errors.length > 0)
    const { fresh } = followed
    consul.set('api', [91])
    await followed.until('api', ['10.0.0.1:91*1'])
    const asked = consul.requests.length
    await waitFor('it is asked many times', () => consul.requests.length >= asked + 20)
    expect(followed.fresh).toBe(fresh)
    consul.misbehave = null
    await waitFor('it is fresh', () => followed.fresh > fresh)
  })

  test('for good, of a service that leaves then: what is left is fresh', async () => {
    follow({}, { namesWaitMs: 30, instancesWaitMs: 30 })
    await followed.until('web', ['10.0.0.1:80*1'])
    consul.misbehave = (request, answer) => (ofWeb(request) ? void answer.writeHead(403).end() : false)
    await waitFor('it has failed', () => followed.errors.length > 0)
    const { fresh } = followed
    consul.set('web', null)
    await followed.until('web', undefined)
    await waitFor('it is fresh', () => followed.fresh > fresh)
  })
})

describe('a fake Consul that hangs', () => {
  test('and answers again, but not on the connections that it had: what was missed is read at once', async () => {
    follow({}, { namesWaitMs: 50, instancesWaitMs: 60_000, deadlineMs: 150 })
    await followed.until('web', ['10.0.0.1:80*1'])
    await waitFor('it blocks', () => consul.requests.filter(ofWeb).some(({ index }) => index !== null))
    consul.misbehave = () => true
    await waitFor('the silence is told', () => followed.errors.some(({ message }) => /no answer/.test(message)))
    // Nobody is woken: what waits for news of web waits in vain.
    consul.misbehave = (request, answer) => {
      if (!ofWeb(request)) return false
      answer.writeHead(200, { 'x-consul-index': '101' }).end(instancesJson('web', [81]))
      return true
    }
    await followed.until('web', ['10.0.0.1:81*1'])
  })

  const short = { namesWaitMs: 50, instancesWaitMs: 50, deadlineMs: 150 }

  test.each<[string, (answer: ServerResponse) => void]>([
    ['before the head', () => {}],
    ['after the head', (answer) => void answer.writeHead(200, json).flushHeaders()],
    ['in mid-body', (answer) => void answer.writeHead(200, json).write('[')],
  ])('%s: the deadline ends the request for good, and the watch goes on', async (_, hang) => {
    follow({}, short)
    await followed.until('web', ['10.0.0.1:80*1'])
    const hung: Socket[] = []
    consul.misbehave = (request, answer, socket) => {
      if (!ofWeb(request)) return false
      hung.push(socket)
      hang(answer)
      return true
    }
    consul.index += 1
    consul.wake()
    const said = () => followed.errors.some(({ where, message }) => where.endsWith('/web') && /no answer/.test(message))
    await waitFor('the deadline is told', said)
    await waitFor('its connection is gone', () => hung[0]?.destroyed === true)
    expect(followed.endpoints('web')).toEqual(['10.0.0.1:80*1'])
    consul.misbehave = null
    consul.set('web', [81])
    await followed.until('web', ['10.0.0.1:81*1'])
  })

  test('is left at once when the watch is aborted: no connection and no timer stay behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = timers()
    follow()
    await followed.until('web', ['10.0.0.1:80*1'])
    consul.misbehave = () => {}
    consul.index += 1
    consul.wake()
    await waitFor('it hangs', () => consul.connections > 0)
    await followed.stop()
    expect(timers()).toBeLessThanOrEqual(before)
    await waitFor('no connection is left', () => consul.connections === 0)
    const asked = consul.requests.length
    consul.misbehave = null
    consul.wake()
    expect(consul.requests.length).toBe(asked)
  })

  test('while services are read for the first time can be aborted: no watch begins after that', async () => {
    consul.misbehave = (request) => (request.service === null ? false : undefined)
    follow()
    await waitFor('both are asked for', () => consul.requests.filter(({ service }) => service !== null).length === 2)
    await followed.stop()
    const asked = consul.requests.length
    await waitFor('its connections are closed', () => consul.connections === 0)
    await new Promise(setImmediate)
    expect(consul.requests).toHaveLength(asked)
  })

  test('at the start can be aborted too, and nothing is told', async () => {
    consul.misbehave = () => {}
    follow()
    await waitFor('it hangs', () => consul.requests.length > 0)
    await followed.stop()
    expect(followed.catalogs).toEqual([])
    expect(followed.errors).toEqual([])
    await waitFor('no connection is left', () => consul.connections === 0)
  })
})

describe('a fake Consul that starts badly', () => {
  test('that denies one service: the others are served, and that one says why', async () => {
    consul.misbehave = (request, answer) => (ofWeb(request) ? void answer.writeHead(403).end('denied') : false)
    follow()
    await followed.until('api', ['10.0.0.1:90*1'])
    expect(followed.service('web')).toEqual({
      endpoints: [],
      absent: [{ instance: '', address: '', reason: 'could not be read: Consul answered 403: denied', unread: true }],
    })
    consul.misbehave = null
    await followed.until('web', ['10.0.0.1:80*1'])
  })

  test('that denies every service: nothing is published, for nothing is known', async () => {
    consul.misbehave = (request, answer) =>
      request.service !== null ? void answer.writeHead(403).end('denied') : false
    follow()
    await waitFor('many denials', () => consul.requests.length > 10)
    expect(followed.catalogs).toEqual([])
    consul.misbehave = null
    await followed.until('web', ['10.0.0.1:80*1'])
  })

  test('that has no leader yet: the first catalog is a whole one', async () => {
    consul.misbehave = (_, answer) => void answer.writeHead(500).end('No cluster leader')
    follow()
    await waitFor('some failures', () => consul.requests.length > 4)
    expect(followed.catalogs).toEqual([])
    consul.misbehave = null
    await waitFor('the first catalog', () => followed.catalogs.length > 0)
    expect([...(followed.catalogs[0]?.services.keys() ?? [])]).toEqual(['api', 'web'])
    expect(followed.endpoints('web')).toEqual(['10.0.0.1:80*1'])
  })
})

describe('a fake Consul with very many services', () => {
  const names = (count: number) => Array.from({ length: count }, (_, at) => `s${String(at).padStart(4, '0')}`)
  const lots = (count: number) => Object.fromEntries(names(count).map((name, at) => [name, [1000 + at]]))

  beforeEach(async () => {
    await consul.close()
    consul = await fakeConsul(lots(400))
  })

  test('has all of them in the first catalog, over a bounded number of connections', async () => {
    follow({}, { sweepRoundMs: 300, sweepSpacingMs: 1 })
    await waitFor('the first catalog', () => followed.catalogs.length > 0)
    expect(followed.catalogs[0]?.services.size).toBe(400)
    const watched = consul.requests.filter((request) => request.service !== null && request.index !== null)
    await waitFor('a round of the rest', () => consul.requests.length > 900)
    expect(new Set(watched.map((request) => request.service)).size).toBeLessThanOrEqual(MAX_WATCHES)
    expect(consul.mostConnections).toBeLessThanOrEqual(MAX_WATCHES + 2 + 16)
  })

  test('has all of them in the first catalog, though it grants fewer connections than there are watches', async () => {
    const granted = new Set<Socket>()
    consul.misbehave = (_request, _answer, socket) => {
      if (granted.has(socket)) return false
      if (granted.size >= MAX_WATCHES / 2) return void socket.destroy()
      granted.add(socket.once('close', () => granted.delete(socket)))
      return false
    }
    follow()
    await waitFor('the first catalog', () => followed.catalogs.length > 0)
    const unread = [...(followed.catalogs[0]?.services.values() ?? [])].filter(
      ({ endpoints }) => endpoints.length === 0,
    )
    expect(unread).toEqual([])
  })

  test('is followed beyond the watches too: changes, departures, newcomers, failures', async () => {
    follow({}, { sweepRoundMs: 300, sweepSpacingMs: 1 })
    await followed.until('s0399', ['10.0.0.1:1399*1'])
    consul.set('s0399', [2000])
    await followed.until('s0399', ['10.0.0.1:2000*1'])
    consul.misbehave = (request, answer) => (request.service === 's0398' ? void answer.writeHead(500).end('x') : false)
    const told = () => followed.errors.some(({ where }) => where.endsWith('/s0398'))
    await waitFor('its error is told', told)
    expect(followed.endpoints('s0398')).toEqual(['10.0.0.1:1398*1'])
    consul.misbehave = null
    consul.set('s0398', null)
    await followed.until('s0398', undefined)
    consul.set('z-new', [70])
    await followed.until('z-new', ['10.0.0.1:70*1'])
  })

  test('gives a watch that is free again to the next one', async () => {
    follow({}, { sweepRoundMs: 300, sweepSpacingMs: 1 })
    await followed.until('s0128', ['10.0.0.1:1128*1'])
    const blocksOn = (name: string) =>
      consul.requests.some((request) => request.service === name && request.index !== null)
    expect(blocksOn('s0128')).toBe(false)
    consul.set('s0000', null)
    await waitFor('it has a watch', () => blocksOn('s0128'))
    consul.set('s0128', [2000])
    await followed.until('s0128', ['10.0.0.1:2000*1'])
  })
})

describe('a fake Consul that does not tell of failing checks', () => {
  const swept = { maxWatches: 0 }
  const ofChecks = (request: FakeRequest) => request.about === 'checks'

  test('is told once to be in trouble, and is swept in haste meanwhile', async () => {
    consul.misbehave = (request, answer) => (ofChecks(request) ? void answer.writeHead(404).end('no such path') : false)
    follow(swept, { hurryMs: 30, sweepRoundMs: 3_600_000 })
    await followed.until('web', ['10.0.0.1:80*1'])
    const round = () => consul.requests.filter(ofWeb).length
    const before = round()
    await waitFor('it is read again and again', () => round() > before + 3)
    expect(followed.errors[0]).toMatchObject({
      where: 'GET /v1/health/state/any',
      message: expect.stringMatching(/404/),
    })
    consul.misbehave = null
    const asked = consul.requests.length
    await waitFor('it is asked again', () => consul.requests.slice(asked).some(ofChecks))
  })

  test('is asked for failing checks only, and only while there are services that are swept', async () => {
    follow(swept)
    await followed.until('web', ['10.0.0.1:80*1'])
    await waitFor('it is asked', () => consul.requests.some(ofChecks))
    expect(consul.requests.find(ofChecks)?.query.get('filter')).toBe('Status != "passing"')
    await followed.stop()
    const asked = consul.requests.length
    follow()
    await followed.until('web', ['10.0.0.1:80*1'])
    await waitFor('it blocks', () => consul.requests.slice(asked).filter(({ index }) => index !== null).length >= 3)
    expect(consul.requests.slice(asked).some(ofChecks)).toBe(false)
  })
})

describe('a catalog of a fake Consul whose index went backwards for good', () => {
  const patience = { catchUpMs: 100 }

  test('says so when names are gone', async () => {
    follow({}, patience)
    await followed.until('web', ['10.0.0.1:80*1'])
    consul.index = 3
    consul.set('web', null)
    await followed.until('web', undefined)
    expect(followed.rewound).toEqual([false, true])
    consul.set('new', [70])
    await followed.until('new', ['10.0.0.1:70*1'])
    expect(followed.rewound.at(-1)).toBe(false)
  })

  test.each([128, 0])(
    'says so when instances are gone, of services that are watched or swept (%i watches)',
    async (maxWatches) => {
      follow({ maxWatches }, { ...patience, hurryMs: 20 })
      await followed.until('web', ['10.0.0.1:80*1'])
      consul.index = 3
      consul.set('web', [])
      await followed.until('web', [])
      expect(followed.rewound).toEqual([false, true])
    },
  )

  test('is not told when nothing is gone, and the next change is an ordinary one', async () => {
    follow({}, patience)
    await followed.until('web', ['10.0.0.1:80*1'])
    await waitFor('it blocks', () => consul.requests.filter(ofWeb).some((request) => request.index === '100'))
    consul.index = 3
    consul.wake()
    const blocksAnew = (of: (request: FakeRequest) => boolean) =>
      consul.requests.filter(of).some((request) => request.index === '3')
    await waitFor('all of it is believed', () => blocksAnew(ofWeb) && blocksAnew(({ about }) => about === 'names'))
    consul.set('web', [80, 81])
    await followed.until('web', ['10.0.0.1:80*1', '10.0.0.1:81*1'])
    expect(followed.rewound).toEqual([false, false])
  })
})

describe('a fake Consul that is read again on demand', () => {
  const never = new AbortController().signal
  const reread = (services: readonly string[], signal = never) => followed.source.reread?.(services, signal)
  /** Answers without waking anything: only who asks anew can know of it. */
  const secretly = (ports: readonly number[], index: number) => {
    consul.misbehave = (request, answer) => {
      if (!ofWeb(request) || request.index !== null) return false
      return answer.writeHead(200, { 'x-consul-index': `${index}` }).end(instancesJson('web', ports))
    }
  }
  const start = async (maxWatches: number, timing: Partial<ConsulTiming> = {}) => {
    follow({ maxWatches }, timing)
    await followed.until('web', ['10.0.0.1:80*1'])
    await waitFor(
      'it blocks',
      () => consul.requests.filter(({ index }) => index !== null).length >= (maxWatches && 3) || 2,
    )
  }

  test.each([128, 0])('tells what it found before it is done (%i watches)', async (maxWatches) => {
    await start(maxWatches)
    secretly([81], 101)
    expect(await reread(['web', 'api'])).toBe(true)
    expect(followed.endpoints('web')).toEqual(['10.0.0.1:81*1'])
    expect(followed.rewound.at(-1)).toBe(false)
  })

  test('is fresh when nothing has changed', async () => {
    await start(128)
    const { fresh } = followed
    expect(await reread(['web'])).toBe(true)
    expect(followed.fresh).toBeGreaterThan(fresh)
    expect(followed.catalogs).toHaveLength(1)
  })

  test('asks nothing about a service that is not listed', async () => {
    await start(128)
    expect(await reread(['gone', 'gone'])).toBe(true)
    expect(consul.requests.some(({ service }) => service === 'gone')).toBe(false)
  })

  test.each<[string, (request: FakeRequest) => boolean]>([
    ['a service', ofWeb],
    ['the names', (request) => request.about === 'names'],
  ])('has not been when %s cannot be read', async (_, concerns) => {
    await start(128)
    consul.misbehave = (request, answer) => (concerns(request) ? void answer.writeHead(500).end('x') : false)
    expect(await reread(['web', 'api'])).toBe(false)
    expect(followed.endpoints('web')).toEqual(['10.0.0.1:80*1'])
  })

  test('asks the leader, so an answer that is older than what is known is believed, and told as a step back', async () => {
    await start(128)
    const before = consul.requests.length
    secretly([], 50)
    expect(await reread(['web'])).toBe(true)
    expect(followed.endpoints('web')).toEqual([])
    expect(followed.rewound.at(-1)).toBe(true)
    const asked = consul.requests.slice(before).filter(({ index }) => index === null)
    expect(asked.map(({ query }) => [query.get('consistent'), query.get('stale')])).toEqual([
      ['1', null],
      ['1', null],
    ])
  })

  test('has not been when nobody watches (any more), or when it is given up', async () => {
    const deps = { log: {} as never, random: Math.random }
    const idle = consulSource({ ...consulDefaults, address: consul.url }, deps)
    expect(await idle.reread?.([], never)).toBe(false)
    expect(idle.describe?.()).toMatchObject({ watched: 0, swept: 0, sweepRoundMs: null })
    await start(128)
    expect(await reread(['web'], AbortSignal.abort())).toBe(false)
    consul.misbehave = () => {}
    const asked = consul.requests.length
    const givenUp = new AbortController()
    const two = [reread(['web'], givenUp.signal), reread(['web'])]
    await waitFor('both ask', () => consul.requests.length >= asked + 2)
    givenUp.abort()
    expect(await two[0]).toBe(false)
    await followed.stop()
    expect(await two[1]).toBe(false)
    expect(await reread(['web'])).toBe(false)
  })

  test('is not asked more than four things at a time for it', async () => {
    for (let at = 0; at < 40; at += 1) consul.set(`s${at}`, [1000 + at])
    await start(0)
    let [open, most] = [0, 0]
    consul.misbehave = (request, answer) => {
      if (request.index !== null || request.service === null) return false
      open += 1
      most = Math.max(most, open)
      const body = instancesJson(request.service, [1])
      return setImmediate(() => {
        open -= 1
        answer.writeHead(200, { 'x-consul-index': `${consul.index}` }).end(body)
      })
    }
    expect(await reread(Array.from({ length: 40 }, (_, at) => `s${at}`))).toBe(true)
    expect(most).toBeLessThanOrEqual(4)
    expect(followed.endpoints('s39')).toEqual(['10.0.0.1:1*1'])
  })
})

describe('beside the catalog', () => {
  test('a listener that throws does not end the watch of a fake Consul', async () => {
    const seen: number[] = []
    const stop = new AbortController()
    const log = { error() {}, warn() {}, info() {}, debug() {} } as never
    const source = consulSource({ ...consulDefaults, address: consul.url }, { log, random: Math.random })
    const fail = () => {
      throw new Error('the listener is broken')
    }
    const ended = source.watch(
      {
        onCatalog(catalog) {
          seen.push(catalog.services.get('web')?.endpoints[0]?.port ?? 0)
          fail()
        },
        onFresh: fail,
        onError: fail,
      },
      stop.signal,
    )
    await waitFor('the first catalog', () => seen.length === 1)
    consul.misbehave = (_, answer) => void answer.writeHead(500).end()
    consul.index += 1
    consul.wake()
    await waitFor('some failures', () => consul.requests.length > 8)
    consul.misbehave = null
    consul.set('web', [81])
    await waitFor('the next catalog', () => seen.at(-1) === 81)
    stop.abort()
    await ended
  })

  test('the token is in no error and no log line, though a fake Consul repeats it', async () => {
    const token = 'b1gs3cr3t-0000-1111'
    const chatty = (answer: ServerResponse) => answer.end(`${'x'.repeat(110)}${token} is not allowed, ${token}`)
    consul.misbehave = (request, answer) => {
      if (request.service === null) return false
      if (ofWeb(request)) chatty(answer.writeHead(403))
      else chatty(answer.writeHead(200, { 'content-type': `text/${token}` }))
      return true
    }
    follow({ token })
    await waitFor('both errors', () => new Set(followed.errors.map(({ where }) => where)).size >= 2)
    const said = JSON.stringify([followed.errors, followed.logged])
    expect(said).not.toContain(token.slice(0, 6))
  })

  test('what is odd in the answers of a fake Consul is logged once, by name, and never crashes anything', async () => {
    consul.misbehave = (request, answer) => {
      if (!ofWeb(request)) return false
      consul.index += 1
      const odd = [
        null,
        { Service: { ID: 'web-9', Address: 'a b', Port: 80 } },
        ...JSON.parse(instancesJson('web', [0, 80, 80])),
      ]
      answer.writeHead(200, { 'x-consul-index': `${consul.index}` }).end(JSON.stringify(odd))
      return true
    }
    follow()
    await followed.until('web', ['10.0.0.1:80*1'])
    await waitFor('some more answers', () => consul.requests.filter(ofWeb).length > 5)
    const odd = followed.logged.map((line) => JSON.parse(line)).filter((line) => line.oddity !== undefined)
    expect(odd.map(({ service, instance, oddity }) => `${service} ${instance} ${oddity}`).sort()).toEqual([
      'web  malformed-entry',
      'web web-0 bad-port',
      'web web-80 shared-address',
      'web web-9 bad-address',
    ])
    expect(followed.catalogs).toHaveLength(1)
  })

  test('failures that read alike are not told by each of many loops', async () => {
    for (let at = 0; at < 60; at += 1) consul.set(`s${at}`, [1000 + at])
    follow()
    await followed.until('s59', ['10.0.0.1:1059*1'])
    consul.misbehave = (_, answer) => void answer.writeHead(500).end('No cluster leader')
    const before = consul.requests.length
    consul.index += 1
    consul.wake()
    await waitFor('all of them have failed', () => consul.requests.length > before + 124)
    expect(followed.errors.length).toBeGreaterThan(0)
    expect(followed.errors.length).toBeLessThan(10)
  })

  test('a watch that is aborted before it starts asks nothing of a fake Consul', async () => {
    const listeners = { onCatalog() {}, onFresh() {}, onError() {} }
    const deps = { log: {} as never, random: Math.random }
    await consulSource({ ...consulDefaults, address: consul.url }, deps).watch(listeners, AbortSignal.abort())
    expect(consul.requests).toEqual([])
  })

  test.each(['', '10.0.0.1:8500', 'ftp://10.0.0.1', 'unix:///run/consul.sock'])(
    '%j is no address of Consul',
    (address) => {
      const deps = { log: {} as never, random: Math.random }
      expect(() => consulSource({ ...consulDefaults, address }, deps)).toThrow('must be http://host:port')
    },
  )
})
