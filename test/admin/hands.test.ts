/** What do people say to a real listener over a real balancer, what are they told, and what is written down? */

import { type Logger, pino } from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { createHandLog, createRefusalLog } from '../../src/admin/hand-log.ts'
import type { AdminDeps } from '../../src/admin/server.ts'
import { maxDrains } from '../../src/balancer/drains.ts'
import { endpointsOf, newWorld, service, type World } from '../balancer/world.ts'
import { closeAll, open, raw, start } from './server-setup.ts'

afterEach(closeAll)

interface Line {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

/** A logger, and what was logged. */
function recorder(): { readonly log: Logger; readonly lines: Line[] } {
  const lines: Line[] = []
  const formatters = { level: (level: string) => ({ level }) }
  const log = pino(
    { base: null, timestamp: false, formatters },
    { write: (line: string) => lines.push(JSON.parse(line)) },
  )
  return { log, lines }
}

async function startHands(world: World, deps: Partial<AdminDeps> = {}) {
  const { balancer } = world
  const { log, lines } = recorder()
  const hands = {
    hands: balancer,
    viewService: balancer.viewService,
    services: () => [...balancer.traffic().keys()],
    onHand: createHandLog(log),
  }
  const onRefused = createRefusalLog(log, () => world.nowMs)
  const { get, port } = await start({ view: balancer.view, hands, onRefused, ...deps })
  const send = async (path: string, init: RequestInit = {}) => {
    const response = await get(path, { method: 'POST', ...init })
    return { response, status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const say = (action: string, endpoint = 'A:80', body?: string, headers: Record<string, string> = {}) =>
    send(`/api/services/${service}/endpoints/${encodeURIComponent(endpoint)}/${action}`, {
      headers,
      ...(body === undefined ? {} : { body }),
    })
  return { world, balancer, lines, get, port, send, say }
}

const anna = JSON.stringify({ by: 'anna' })

describe('a person says', () => {
  it('drain: who it was, and what is true now', async () => {
    const { say, world } = await startHands(newWorld('ABC'))
    world.pickOf('A')
    expect(await say('drain', 'A:80', anna)).toMatchObject({
      status: 200,
      body: {
        result: 'done',
        service,
        endpoint: 'A:80',
        state: 'drained',
        by: 'anna (127.0.0.1)',
        notes: ['in flight on it, and left to finish: 1'],
      },
    })
    expect(world.viewOf('A')).toMatchObject({ state: 'drained', drained: { by: 'anna (127.0.0.1)' } })
    expect(world.serve(4)).not.toContain('A')
  })

  it('nothing of who they are: their address', async () => {
    const { say } = await startHands(newWorld('AB'))
    expect((await say('drain')).body).toMatchObject({ by: '127.0.0.1' })
    expect((await say('eject', 'B:80', '{}')).body).toMatchObject({ by: '127.0.0.1' })
    expect((await say('undrain', 'A:80', '{"by": " "}')).body).toMatchObject({ by: '127.0.0.1' })
    expect((await say('restore', 'B:80', '{"by": null}')).body).toMatchObject({ by: '127.0.0.1' })
  })

  it.each<[string, string, string, string, Record<string, unknown>]>([
    ['', 'undrain', 'A', 'ABC', { result: 'unchanged', state: 'healthy', notes: [] }],
    [
      'drainA +3s',
      'drain',
      'A',
      'ABC',
      { result: 'unchanged', state: 'drained', notes: ['it was drained already, by anna, 3.0 s ago'] },
    ],
    [
      'drainA +300s',
      'drain',
      'A',
      'ABC',
      { result: 'unchanged', notes: ['it was drained already, by anna, 5 min ago'] },
    ],
    [
      'drainB',
      'drain',
      'A',
      'AB',
      { result: 'done', notes: ['no endpoint of the service is left: requests are answered 503 now'] },
    ],
    [
      'ejectB',
      'drain',
      'A',
      'AB',
      {
        result: 'done',
        notes: ['every endpoint that is not drained is ejected: requests go to them all the same (fail open)'],
      },
    ],
    ['drainA', 'undrain', 'A', 'ABC', { result: 'done', state: 'healthy', notes: [] }],
    [
      'ejectA drainA +10s',
      'undrain',
      'A',
      'ABC',
      { result: 'done', state: 'ejected', notes: ['it is ejected by hand; a probe request decides in 20 s'] },
    ],
    [
      'ejectA drainA +40s',
      'undrain',
      'A',
      'ABC',
      { result: 'done', state: 'ejected', notes: ['it is ejected by hand; the next request is its probe'] },
    ],
    [
      '',
      'eject',
      'A',
      'ABC',
      { result: 'done', state: 'ejected', notes: ['it is ejected by hand; a probe request decides in 30 s'] },
    ],
    [
      '',
      'eject',
      'A',
      'A',
      {
        result: 'done',
        notes: [
          'it is ejected by hand; a probe request decides in 30 s',
          'every endpoint that is not drained is ejected: requests go to them all the same (fail open); drain it to keep them away',
        ],
      },
    ],
    [
      'A500*5',
      'eject',
      'A',
      'ABC',
      {
        result: 'unchanged',
        notes: [
          'a second word does not make it longer: drain keeps it out for good',
          'it is ejected for consecutive-faults; a probe request decides in 30 s',
        ],
      },
    ],
    ['A500*5', 'restore', 'A', 'ABC', { result: 'done', state: 'healthy', notes: [] }],
    ['', 'restore', 'A', 'ABC', { result: 'unchanged', notes: [] }],
    [
      'ejectA drainA',
      'restore',
      'A',
      'ABC',
      {
        result: 'done',
        state: 'drained',
        notes: ['it is drained by anna: no request comes until it is undrained'],
      },
    ],
  ])('after "%s" %s %s, of %s', async (script, action, name, pool, expected) => {
    const world = newWorld(pool)
    if (script !== '') world.play(script)
    const { say } = await startHands(world)
    const { status, body } = await say(action, `${name}:80`)
    expect([status, body]).toEqual([200, expect.objectContaining(expected)])
  })

  it('drain and undrain of one that the catalog has lost', async () => {
    const { say, world, get } = await startHands(newWorld('AB'))
    await say('drain', 'B:80', anna)
    world.use('A')
    world.play('+5s')
    expect((await say('drain', 'B:80')).body).toMatchObject({ result: 'unchanged', state: 'drained' })
    const shown = await (await get(`/api/services/${service}`)).json()
    expect(shown).toMatchObject({ drainedAway: [{ endpoint: 'B:80', by: 'anna (127.0.0.1)', agoMs: 5_000 }] })
    expect((await say('undrain', 'B:80')).body).toMatchObject({ result: 'done', state: null })
    expect((await say('undrain', 'B:80')).status).toBe(404)
  })

  it('names with slashes and IPv6 addresses, percent-encoded', async () => {
    const world = newWorld('A')
    const id = '[fd00::5]:8080'
    const six = { id, instance: 'six', address: 'fd00::5', port: 8080, weight: 1 }
    world.balancer.update({ services: new Map([['a/b c', { endpoints: [six], absent: [] }]]) })
    const { send } = await startHands(world)
    const path = `/api/services/${encodeURIComponent('a/b c')}/endpoints/${encodeURIComponent(id)}/drain`
    expect(await send(path)).toMatchObject({ status: 200, body: { service: 'a/b c', endpoint: id, state: 'drained' } })
  })
})

describe('what goes wrong is said, and changes nothing', () => {
  const absent = [{ instance: 'instance-C', address: 'C:80', reason: 'check "http" is critical' }]

  it.each([
    ['an unknown endpoint', 'drain', 'Z:80', 'The service has no such endpoint. There are A:80, B:80.'],
    ['an instance for an endpoint', 'drain', 'instance-B', 'An endpoint is named by its address and port: B:80.'],
    [
      'one that the catalog keeps out',
      'eject',
      'C:80',
      'The catalog keeps it out of rotation: check "http" is critical. There is nothing to eject.',
    ],
  ])('%s is 404', async (_name, action, endpoint, detail) => {
    const world = newWorld('')
    world.balancer.update({ services: new Map([[service, { endpoints: endpointsOf('AB'), absent }]]) })
    const { say } = await startHands(world)
    expect(await say(action, endpoint)).toMatchObject({ status: 404, body: { detail, service, endpoint } })
  })

  it('an unknown service is 404, with those that there are', async () => {
    const { send, lines } = await startHands(newWorld('A'))
    const { response, status, body } = await send(`/api/services/nobody/endpoints/A:80/drain`)
    expect([status, body.detail]).toEqual([404, `No such service in the routing table. There is ${service}.`])
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(lines).toMatchObject([{ service: 'nobody', result: 'unknown-service' }])
  })

  it('of very many names the first are listed, and how many there are', async () => {
    const world = newWorld('A')
    world.use(Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`host-${index}`, 1])))
    const { say } = await startHands(world)
    const { body } = await say('drain')
    expect(String(body.detail).length).toBeLessThan(600)
    expect(body.detail).toMatch(/, … 200 in all\.$/)
  })

  it.each([
    ['no JSON', '{by: anna}'],
    ['a list', '["anna"]'],
    ['null', 'null'],
    ['a text', '"anna"'],
    ['another key', '{"who": "anna"}'],
    ['a number for a name', '{"by": 7}'],
    ['an object for a name', '{"by": {"name": "anna"}}'],
  ])('a body that is %s is 400, with the cure', async (_name, body) => {
    const { say, world, lines } = await startHands(newWorld('AB'))
    const answer = await say('drain', 'A:80', body)
    expect(answer.status).toBe(400)
    expect(answer.body.detail).toMatch(/ Send \{"by": "your name"\}, or nothing\. Nothing was changed\.$/)
    expect([world.events, lines]).toEqual([[], []])
  })

  it('a body of more than 1 KiB is 413', async () => {
    const { say, world } = await startHands(newWorld('AB'))
    const fits = JSON.stringify({ by: 'x'.repeat(1024 - '{"by":""}'.length) })
    expect((await say('drain', 'A:80', `${fits} `)).status).toBe(413)
    expect((await say('drain', 'A:80', ' '.repeat(50_000))).status).toBe(413)
    expect(world.events).toEqual([])
    expect((await say('drain', 'A:80', fits)).status).toBe(200)
  })

  it('a body that never comes whole', async () => {
    const { port, get, world } = await startHands(newWorld('AB'))
    const path = `/api/services/${service}/endpoints/A:80/drain`
    const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\n\r\n`
    const socket = await open(port, `${head}{"by":`)
    socket.resetAndDestroy()
    expect((await get('/livez')).status).toBe(200)
    expect(world.events).toEqual([])
  })

  it.each([
    ['an unknown word', `/api/services/${service}/endpoints/A:80/kill`, 404],
    ['bad percent-encoding', `/api/services/${service}/endpoints/%zz/drain`, 400],
    ['a path that is longer', `/api/services/${service}/endpoints/A:80/drain/now`, 405],
  ])('%s', async (_name, path, status) => {
    const { send, world } = await startHands(newWorld('AB'))
    expect((await send(path)).status).toBe(status)
    expect(world.events).toEqual([])
  })

  it('a GET, which a link could make', async () => {
    const { get, world } = await startHands(newWorld('AB'))
    const response = await get(`/api/services/${service}/endpoints/A:80/drain`)
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
    expect(world.events).toEqual([])
  })

  it('more drains than there may be: 409', async () => {
    const world = newWorld('A')
    const ids = Array.from({ length: maxDrains + 1 }, (_, index) => `host-${index}`)
    world.use(Object.fromEntries(ids.map((id) => [id, 1])))
    for (const id of ids.slice(1)) world.balancer.drain(service, `${id}:80`, 'a script')
    const { say } = await startHands(world)
    const { status, body } = await say('drain', 'host-0:80')
    expect([status, body.detail]).toEqual([409, expect.stringContaining('Undrain those that need not be')])
  })
})

describe('the name that somebody claims', () => {
  it.each([
    ['line breaks and colours', 'anna\n{"level":"error"}\u001b[31m', 'anna?{"level":"error"}?[31m'],
    ['right-to-left marks', 'an\u202ena', 'an?na'],
    ['too many letters', 'x'.repeat(200), `${'x'.repeat(63)}…`],
  ])('has no %s', async (_name, by, expected) => {
    const { say, lines } = await startHands(newWorld('AB'))
    const { body } = await say('drain', 'A:80', JSON.stringify({ by }))
    expect(body.by).toBe(`${expected} (127.0.0.1)`)
    expect(lines).toMatchObject([{ by: expected }])
  })
})

describe('what is written down', () => {
  it('is one line for each word: on what, whose, from where, and what made it good enough', async () => {
    const { say, lines } = await startHands(newWorld('AB'), { token: () => 'secret-1' })
    await say('drain', 'A:80', anna)
    await say('drain', 'A:80')
    await say('undrain', 'A:80', anna, { authorization: 'Bearer secret-1' })
    await say('eject', 'A:80', anna)
    await say('restore', 'A:80', anna)
    const common = { service, endpoint: 'A:80', from: '127.0.0.1' }
    const byAnna = { ...common, by: 'anna', how: 'loopback', result: 'done' }
    expect(lines).toEqual([
      { ...byAnna, level: 'warn', action: 'drain', msg: 'an endpoint was drained by hand' },
      {
        ...common,
        ...{ level: 'info', action: 'drain', by: null, how: 'loopback', result: 'unchanged' },
        msg: 'a word on an endpoint changed nothing',
      },
      { ...byAnna, level: 'info', action: 'undrain', how: 'token', msg: 'an endpoint is no longer drained' },
      { ...byAnna, level: 'warn', action: 'eject', msg: 'an endpoint was ejected by hand' },
      { ...byAnna, level: 'info', action: 'restore', msg: 'an endpoint was restored by hand' },
    ])
  })

  it('of those who may not: one line a second at the most, without what they sent', async () => {
    const world = newWorld('AB')
    const { say, lines } = await startHands(world, { token: () => 'secret-1' })
    const guess = (text: string) => say('drain', 'A:80', undefined, { authorization: `Bearer ${text}` })
    for (let attempt = 0; attempt < 5; attempt++) await guess(`guess-${attempt}`)
    world.play('+999ms')
    await guess('guess-5')
    expect(lines).toHaveLength(1)
    world.play('+1ms')
    await guess('guess-6')
    expect(lines).toMatchObject([
      { level: 'warn', from: '127.0.0.1', count: 1, msg: 'somebody who may not tried to change something' },
      { level: 'warn', from: '127.0.0.1', count: 6 },
    ])
    expect(JSON.stringify(lines)).not.toMatch(/guess|secret/)
    expect(world.events).toEqual([])
  })
})

describe('the token', () => {
  it('that is right opens, one that is wrong is 401 with what to send, also for POST /api/catalog/accept', async () => {
    let token: string | null = 'secret-1'
    let accepted = 0
    const acceptCatalog = () => ++accepted
    const { say, send, world } = await startHands(newWorld('AB'), { token: () => token, acceptCatalog })
    const paths = [`/api/services/${service}/endpoints/A:80/drain`, '/api/catalog/accept']
    for (const path of paths) {
      const { response, status, body } = await send(path, { headers: { authorization: 'Bearer secret-2' } })
      expect([status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
      expect(body.detail).toContain('admin.token')
      expect(JSON.stringify(body)).not.toContain('secret')
    }
    expect([world.events, accepted]).toEqual([[], 0])
    for (const path of paths) {
      expect((await send(path, { headers: { authorization: 'Bearer secret-1' } })).status).toBe(200)
    }
    expect([world.events, accepted]).toEqual([['A drained by 127.0.0.1'], 1])
    token = 'secret-2'
    expect((await say('undrain', 'A:80', undefined, { authorization: 'Bearer secret-1' })).status).toBe(401)
    expect((await say('undrain', 'A:80', undefined, { authorization: 'Bearer secret-2' })).status).toBe(200)
  })

  it('does not open to a name that was rebound to this machine', async () => {
    const { port, world } = await startHands(newWorld('AB'), { token: () => 'secret-1' })
    const path = `/api/services/${service}/endpoints/A:80/drain`
    const lines = ['host: evil.example', 'authorization: Bearer secret-1', 'connection: close']
    const answer = await raw(port, `POST ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    expect([answer.split(' ')[1], world.events]).toEqual(['403', []])
  })
})
