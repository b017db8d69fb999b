/** What does the Eureka source do when its servers misbehave? They are made up here; a real one is in test/integration. */

import { afterEach, describe, expect, test } from 'vitest'
import { createEurekaSource } from '../../../src/discovery/eureka/eureka-source.ts'
import type { SourceListeners } from '../../../src/discovery/source.ts'
import { waitFor } from '../../support/wait.ts'
import type { Followed } from '../follow.ts'
import { type FakeAnswer, type FakeEureka, fakeEureka } from './fake-eureka.ts'
import { eurekaDefaults, followEureka } from './follow-eureka.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function fake(): Promise<FakeEureka> {
  const server = await fakeEureka()
  cleanups.push(server.close)
  return server
}

/** Polls as fast as the rate limit lets it. */
function follow(...[urls, options, deps]: Parameters<typeof followEureka>): Followed {
  const followed = followEureka(urls, { intervalMs: 20, ...options }, deps)
  cleanups.push(followed.stop)
  return followed
}

const lease = (seconds: number) => ({ leaseInfo: { durationInSecs: seconds } })
const fulls = ({ asked }: FakeEureka) => asked.filter((path) => path === '/apps').length

test('everything is read once, and then deltas that add up', async () => {
  const eureka = await fake()
  eureka.set('a', 8001)
  const followed = follow(eureka.url)
  await followed.until('web', ['10.0.0.1:8001*1'])
  eureka.set('b', 8002)
  await followed.until('web', ['10.0.0.1:8001*1', '10.0.0.1:8002*1'])
  eureka.delete('a')
  await followed.until('web', ['10.0.0.1:8002*1'])
  eureka.delete('b')
  await followed.until('web', undefined)
  const { fresh } = followed
  await waitFor('nothing new is good news', () => followed.fresh > fresh + 1)
  expect(fulls(eureka)).toBe(1)
  expect(followed.catalogs).toHaveLength(4)
  expect(followed.rewound).toEqual([false, false, false, false])
  expect(followed.source.describe?.()).toMatchObject({ watched: 0, swept: 0, sweepRoundMs: expect.any(Number) })
})

test('a registry with nothing in it is a catalog', async () => {
  const followed = follow((await fake()).url)
  await waitFor('the first catalog', () => followed.catalogs.length === 1)
  expect(followed.catalogs[0]?.services.size).toBe(0)
})

describe('everything is read again', () => {
  test('when the hash differs, and a loss that no delta explains is not believed before the lease is over', async () => {
    const eureka = await fake()
    eureka.set('a', 8001, lease(2))
    eureka.set('b', 8002)
    const followed = follow(eureka.url)
    await followed.until('web', ['10.0.0.1:8001*1', '10.0.0.1:8002*1'])
    eureka.delete('a', true)
    await waitFor('it is read again', () => fulls(eureka) > 1)
    eureka.set('c', 8003)
    await followed.until('web', ['10.0.0.1:8001*1', '10.0.0.1:8002*1', '10.0.0.1:8003*1'])
    const { fresh } = followed
    await followed.until('web', ['10.0.0.1:8002*1', '10.0.0.1:8003*1'])
    // Meanwhile it was not confirmed as a whole.
    expect(followed.fresh).toBe(fresh)
    expect(followed.rewound.indexOf(true)).toBe(followed.catalogs.length - 1)
    await waitFor('it is confirmed', () => followed.fresh > fresh)
  })

  test('now and then, for a hash counts instances and does not know them', async () => {
    const eureka = await fake()
    eureka.set('a', 8001)
    const followed = follow(eureka.url, {}, { timing: { fullEveryMs: 300 } })
    await followed.until('web', ['10.0.0.1:8001*1'])
    eureka.delete('a', true)
    eureka.set('b', 8002)
    // The delta with b in it leaves one too many, and so does not add up either: hide it, too.
    eureka.misbehave = (path, answer) =>
      path === '/apps' ? false : answer.end('{"applications":{"apps__hashcode":"UP_1_"}}')
    await followed.until('web', ['10.0.0.1:8001*1', '10.0.0.1:8002*1'])
  })

  test.each<[string, FakeAnswer]>([
    ['403', (_, answer) => answer.writeHead(403).end()],
    ['404', (_, answer) => answer.writeHead(404).end()],
    ['no hash', (_, answer) => answer.end('{"applications":{"application":[]}}')],
    ['no answer of Eureka', (_, answer) => answer.end('what?')],
  ])('each time when deltas are answered with %s', async (_, refuse) => {
    const eureka = await fake()
    eureka.misbehave = (path, ...rest) => path === '/apps/delta' && refuse(path, ...rest)
    eureka.set('a', 8001)
    const followed = follow(eureka.url)
    await followed.until('web', ['10.0.0.1:8001*1'])
    eureka.set('b', 8002)
    await followed.until('web', ['10.0.0.1:8001*1', '10.0.0.1:8002*1'])
    expect(followed.errors).toEqual([])
  })
})

test('a server that starts again with nothing in it empties no table, and is followed as it fills again', async () => {
  const eureka = await fake()
  for (const at of [1, 2]) eureka.set(`i-${at}`, 8000 + at)
  const followed = follow(eureka.url)
  const both = ['10.0.0.1:8001*1', '10.0.0.1:8002*1']
  await followed.until('web', both)
  eureka.forget()
  const before = eureka.asked.length
  await waitFor('it is asked again', () => eureka.asked.length > before + 4)
  expect(followed.service('web')?.endpoints.map(({ doubted }) => doubted)).toEqual([true, true])
  expect(followed.endpoints('web')).toEqual(both)
  eureka.set('i-1', 8001)
  eureka.set('i-2', 9002)
  await followed.until('web', ['10.0.0.1:8001*1', '10.0.0.1:9002*1'])
  const { fresh } = followed
  await waitFor('it is confirmed', () => followed.fresh > fresh)
  expect(followed.service('web')?.endpoints.map(({ doubted }) => doubted)).toEqual([undefined, undefined])
  expect(followed.rewound).not.toContain(true)
})

describe('an answer that is no good is told, and changes nothing:', () => {
  test.each<[string, FakeAnswer, object]>([
    ['500', (_, answer) => answer.writeHead(500).end('oops'), { message: 'Eureka answered 500: oops', away: true }],
    ['401', (_, answer) => answer.writeHead(401).end(), { cure: expect.stringContaining('discovery.eureka.password') }],
    [
      'a redirect',
      (_, answer) => answer.writeHead(302, { location: '/' }).end(),
      { cure: expect.stringContaining('redirects') },
    ],
    [
      'a page',
      (_, answer) => answer.setHeader('content-type', 'text/html').end('<html>hi'),
      { message: 'the answer (text/html) is neither JSON nor XML of Eureka: <html>hi' },
    ],
    [
      'XML with a document type',
      (_, answer) => answer.end('<?xml version="1.0"?><!DOCTYPE a>'),
      { message: expect.stringContaining('not the XML of Eureka') },
    ],
    ['JSON of something else', (_, answer) => answer.end('{}'), { message: 'the answer has no object "applications"' }],
    ['a cut connection', (_, answer) => answer.destroy(), { away: true, cure: expect.stringContaining('restarted') }],
    [
      'an answer that is cut off',
      (_, answer) => {
        answer.writeHead(200, { 'content-length': 1000 })
        answer.write('{', () => answer.destroy())
      },
      { away: true },
    ],
    ['silence', () => {}, { away: true, message: expect.stringContaining('no answer within') }],
    [
      'silence after the first byte',
      (_, answer) => answer.write('{'),
      { away: true, message: expect.stringContaining('no answer within') },
    ],
    [
      'an answer that trickles on',
      (_, answer) => {
        const drops = setInterval(() => answer.write(' '), 50)
        answer.on('close', () => clearInterval(drops))
      },
      { away: true, message: expect.stringContaining('no answer within') },
    ],
  ])('%s', async (_, misbehaviour, error) => {
    const eureka = await fake()
    eureka.set('a', 8001)
    const followed = follow(eureka.url, {}, { timing: { silenceMs: 200, deadlineMs: 600 } })
    await followed.until('web', ['10.0.0.1:8001*1'])
    eureka.misbehave = misbehaviour
    await waitFor('it is told', () => followed.errors.length > 0)
    expect(followed.errors[0]).toMatchObject({ where: expect.stringContaining(`GET ${eureka.url}/apps`), ...error })
    expect(followed.catalogs).toHaveLength(1)
    eureka.misbehave = null
    eureka.set('b', 8002)
    await followed.until('web', ['10.0.0.1:8001*1', '10.0.0.1:8002*1'])
  })

  test('more than 32 MiB', async () => {
    const eureka = await fake()
    const block = Buffer.alloc(1024 * 1024, ' ')
    eureka.misbehave = (_, answer) => {
      const more = (): void => {
        while (!answer.destroyed && answer.write(block));
        answer.once('drain', more)
      }
      more()
    }
    const followed = follow(eureka.url)
    await waitFor('it is told', () => followed.errors.length > 0)
    expect(followed.errors[0]?.message).toBe('the answer is larger than 33554432 bytes')
  })
})

describe('of two servers', () => {
  test('the second is asked from when the first fails, for everything at first, and the first again when that fails', async () => {
    const [one, two] = [await fake(), await fake()]
    for (const server of [one, two]) server.set('a', 8001)
    const followed = follow([one.url, two.url])
    await followed.until('web', ['10.0.0.1:8001*1'])
    expect(two.asked).toEqual([])
    one.misbehave = (_, answer) => answer.writeHead(500).end()
    two.set('b', 8002)
    await followed.until('web', ['10.0.0.1:8001*1', '10.0.0.1:8002*1'])
    expect(two.asked[0]).toBe('/apps')
    // One of them is away, which is to be mended; the registry is not.
    expect(followed.errors.map(({ where, away }) => [where, away])).toEqual([
      [expect.stringContaining(one.url), undefined],
    ])
    const asked = one.asked.length
    one.misbehave = null
    two.delete('b')
    await followed.until('web', ['10.0.0.1:8001*1'])
    expect(one.asked).toHaveLength(asked)
    two.misbehave = one.misbehave
    one.set('c', 8003)
    two.misbehave = (_, answer) => answer.destroy()
    await followed.until('web', ['10.0.0.1:8001*1', '10.0.0.1:8003*1'])
  })

  test('what the second has heard of the leaving is believed; what it has not heard of yet stays', async () => {
    const [one, two] = [await fake(), await fake()]
    for (const server of [one, two]) server.set('a', 8001)
    for (const id of ['deregistered', 'elsewhere']) one.set(id, 8002 + id.length)
    two.set('deregistered', 8014)
    const followed = follow([one.url, two.url])
    await waitFor('three', () => followed.endpoints('web')?.length === 3)
    two.delete('deregistered')
    one.misbehave = (_, answer) => answer.writeHead(500).end()
    await followed.until('web', ['10.0.0.1:8001*1', '10.0.0.1:8011*1'])
    expect(followed.rewound).toEqual([false, false])
  })

  test('both away: that is told of each', async () => {
    const [one, two] = [await fake(), await fake()]
    for (const server of [one, two]) server.misbehave = (_, answer) => answer.writeHead(503).end(server.url)
    const followed = follow([one.url, two.url])
    await waitFor('both', () => followed.errors.length >= 2)
    expect(followed.errors.slice(0, 2)).toMatchObject([
      { where: `GET ${one.url}/apps`, away: true },
      { where: `GET ${two.url}/apps`, away: true },
    ])
  })
})

describe('asked once more', () => {
  test('it reads everything now and tells it before it answers', async () => {
    const eureka = await fake()
    eureka.set('a', 8001)
    const followed = follow(eureka.url, { intervalMs: 1_000_000 })
    await followed.until('web', ['10.0.0.1:8001*1'])
    eureka.set('b', 8002)
    expect(await followed.source.reread?.(['web'], new AbortController().signal)).toBe(true)
    expect(followed.endpoints('web')).toEqual(['10.0.0.1:8001*1', '10.0.0.1:8002*1'])
    expect(eureka.asked).toEqual(['/apps', '/apps'])
  })

  test('it says so when it could not, when it is given up, and when nobody watches', async () => {
    const eureka = await fake()
    const followed = follow(eureka.url, { intervalMs: 1_000_000 })
    await waitFor('the first catalog', () => followed.catalogs.length === 1)
    const never = new AbortController().signal
    eureka.misbehave = (_, answer) => answer.writeHead(500).end()
    expect(await followed.source.reread?.([], never)).toBe(false)
    const stop = new AbortController()
    eureka.misbehave = () => stop.abort()
    expect(await followed.source.reread?.([], stop.signal)).toBe(false)
    await followed.stop()
    expect(await followed.source.reread?.([], never)).toBe(false)
  })
})

test('asked once more while a server is silent it can be given up at once: it does not wait for its turn', async () => {
  const eureka = await fake()
  eureka.misbehave = () => true
  const followed = follow(eureka.url)
  await waitFor('it is asked', () => eureka.asked.length === 1)
  const stop = new AbortController()
  const reread = followed.source.reread?.([], stop.signal)
  stop.abort()
  expect(await reread).toBe(false)
  // The request that is under way has not come to an end.
  expect(followed.errors).toEqual([])
})

test('aborted in the middle of an answer it ends at once, and leaves no connection', async () => {
  const eureka = await fake()
  eureka.misbehave = (_, answer) => answer.write('{')
  const followed = followEureka(eureka.url)
  await waitFor('it is asked', () => eureka.asked.length === 1)
  const reread = followed.source.reread?.([], new AbortController().signal)
  await followed.stop()
  expect(await reread).toBe(false)
  await waitFor('no connection is open', () => eureka.connections === 0)
  expect(followed.errors).toEqual([])
})

test('aborted before it begins it asks nothing', async () => {
  const eureka = await fake()
  const source = createEurekaSource({ ...eurekaDefaults, urls: [eureka.url] }, { log: silent(), random: Math.random })
  const listeners: SourceListeners = { onCatalog() {}, onFresh() {}, onError() {} }
  await source.watch(listeners, AbortSignal.abort())
  expect(eureka.asked).toEqual([])
})

test('credentials are sent, and shown nowhere, though an answer quotes them; a word of the catalog may be the password', async () => {
  const eureka = await fake()
  eureka.set('a', 8001)
  const given: unknown[] = []
  eureka.misbehave = (_, __, { headers }) => {
    given.push(headers.authorization, headers.accept)
    return false
  }
  const followed = follow(eureka.url, { user: 'ops', password: 'instance' })
  await followed.until('web', ['10.0.0.1:8001*1'])
  const basic = Buffer.from('ops:instance').toString('base64')
  expect(given.slice(0, 2)).toEqual([`Basic ${basic}`, 'application/json, application/xml;q=0.5'])

  const secret = 'top%20secret'
  const quoting = follow(eureka.url.replace('//', `//own:${secret}@`), { user: 'ops', password: 'x' })
  await quoting.until('web', ['10.0.0.1:8001*1'])
  for (const status of [401, 200]) {
    const { length } = quoting.errors
    eureka.misbehave = (_, answer, { headers }) =>
      answer
        .writeHead(status, { 'content-type': 'text/plain; of=top%20secret' })
        .end(`no: ${headers.authorization} is top secret`)
    await waitFor('it is told', () =>
      quoting.errors.slice(length).some(({ message }) => message.includes(`${status === 401 ? 401 : 'plain'}`)),
    )
  }
  const said = JSON.stringify([quoting.errors, quoting.logged])
  expect(said).toContain('no: Basic <credentials> is <password>')
  expect(said).not.toMatch(/secret|own:/)
  expect(said).not.toContain(Buffer.from('own:top secret').toString('base64'))
})

test('odd entries are logged once', async () => {
  const eureka = await fake()
  eureka.set('a', 0)
  const followed = follow(eureka.url)
  await followed.until('web', [])
  const { fresh } = followed
  await waitFor('it is confirmed', () => followed.fresh > fresh)
  eureka.set('a', 0, { status: 'UP', hostName: 'changed' })
  eureka.set('b', 8001)
  await followed.until('web', ['10.0.0.1:8001*1'])
  expect(followed.logged.filter((line) => line.includes('odd entry'))).toHaveLength(1)
})

test.each([
  ['no server', []],
  ['a URL of another kind', ['ftp://127.0.0.1']],
  ['no URL', ['127.0.0.1:8761']],
  ['a password that is not well encoded', ['http://a:%zz@127.0.0.1']],
])('%s cannot be followed, and the message shows no password', (_, urls) => {
  const make = () => createEurekaSource({ ...eurekaDefaults, urls }, { log: silent(), random: Math.random })
  expect(make).toThrow(TypeError)
  expect(make).not.toThrow(/zz/)
})

function silent() {
  return { error() {}, warn() {}, info() {} } as unknown as Parameters<typeof createEurekaSource>[1]['log']
}
