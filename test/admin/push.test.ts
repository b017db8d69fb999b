/** What do services say over HTTP, to a real listener over what is really kept, and what are they told? */

import { pino } from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { createRefusalLog } from '../../src/admin/hand-log.ts'
import type { AdminDeps } from '../../src/admin/server.ts'
import { createPushCatalog, type PushCatalog } from '../../src/discovery/push/push-catalog.ts'
import { type Followed, followSource } from '../discovery/follow.ts'
import { closeAll, open, raw, start } from './server-setup.ts'

const stops: (() => unknown)[] = []
afterEach(async () => {
  await closeAll()
  for (const stop of stops.splice(0)) await stop()
})

interface Line {
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

interface Options extends Partial<AdminDeps> {
  readonly sources?: readonly string[]
  readonly ownName?: string
  readonly host?: string
}

async function startPush({ sources = ['push'], ownName, host, ...deps }: Options = {}) {
  const lines: Line[] = []
  const log = pino({ base: null }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const pushed: PushCatalog = createPushCatalog(() => ({ maxInstances: 3, maxTtlMs: 3_600_000 }), { log })
  const followed: Followed = followSource(pushed.source)
  stops.push(
    () => followed.stop(),
    () => pushed.close(),
  )
  const push = { pushed, sources: () => sources, ownName: () => ownName ?? null }
  const onRefused = createRefusalLog(log, () => 0)
  const { get, port } = await start({ push, onRefused, ...deps }, host)
  const send = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }
    const response = await get(`/api/catalog/${path}`, { method, headers, ...sent })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) }
  }
  const put = (path: string, body?: unknown, headers?: Record<string, string>) => send('PUT', path, body, headers)
  const remove = (path: string, headers?: Record<string, string>) => send('DELETE', path, undefined, headers)
  return { lines, followed, get, port, send, put, remove }
}

const web = { address: '10.0.0.5', port: 8080 }

describe('a service', () => {
  it('comes, renews, changes and goes, and is in the catalog when it hears so', async () => {
    const { put, remove, followed, lines } = await startPush()
    expect(await put('web/web-1', { ...web, ttl: '10s', weight: 2, tags: ['v1'] })).toMatchObject({
      status: 201,
      body: { result: 'new', service: 'web', id: 'web-1', endpoint: '10.0.0.5:8080', ttl: '10s', expiresInMs: 10_000 },
    })
    expect(followed.endpoints('web')).toEqual(['10.0.0.5:8080*2'])
    const renewed = await put('web/web-1', { ...web, ttl: '10s', weight: 2, tags: ['v1'] })
    expect(renewed).toMatchObject({ status: 200, body: { result: 'renewed', expiresInMs: 10_000 } })
    expect(await put('web/web-1', web)).toMatchObject({ status: 200, body: { result: 'changed', ttl: '30s' } })
    expect(followed.endpoints('web')).toEqual(['10.0.0.5:8080*1'])
    const gone = await remove('web/web-1')
    expect([gone.status, gone.body, gone.headers.get('content-length')]).toEqual([204, null, null])
    expect(followed.endpoints('web')).toEqual([])
    const again = await remove('web/web-1')
    expect(again).toMatchObject({ status: 404, body: { service: 'web', id: 'web-1' } })
    expect(again.body.detail).toContain('it never was, it has been removed, or it was not renewed in time')
    expect(lines.map(({ msg }) => msg)).toEqual([
      'an instance was pushed',
      'a pushed instance has changed',
      'a pushed instance was removed',
    ])
    for (const line of lines) expect(line).toMatchObject({ from: '127.0.0.1', how: 'loopback', instance: 'web-1' })
  })

  it('that gives no address has the one that it comes from', async () => {
    const { put } = await startPush()
    expect(await put('web/web-1', { port: 8080 })).toMatchObject({ body: { endpoint: '127.0.0.1:8080' } })
  })

  it('that is passed on has to give one: who passes it on would be it', async () => {
    const { put } = await startPush({ token: () => 'secret-secret' })
    const headers = { authorization: 'Bearer secret-secret', 'x-forwarded-for': '10.0.0.99' }
    const refused = await put('web/web-1', { port: 8080 }, headers)
    expect(refused).toMatchObject({ status: 400 })
    expect(refused.body.detail).toMatch(
      /^Address is missing.* A proxy passes this on, so the address that it comes from/,
    )
    expect(await put('web/web-1', web, headers)).toMatchObject({ status: 201 })
  })

  it('has its name and id decoded once', async () => {
    const { put, remove, followed } = await startPush()
    expect(await put('a%2525b/%C3%A4%20%3F', web)).toMatchObject({ status: 201, body: { service: 'a%25b', id: 'ä ?' } })
    expect(followed.endpoints('a%25b')).toHaveLength(1)
    expect(await remove('a%2525b/%C3%A4%20%3F?why=x')).toMatchObject({ status: 204 })
  })

  it('keeps no connection: its next beat comes later than idle ones are kept', async () => {
    const { port } = await startPush()
    const body = JSON.stringify(web)
    const answer = await raw(
      port,
      `PUT /api/catalog/web/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 201 .*\r\nConnection: close\r\n/s)
  })

  it.each([
    [401, 'Authorization: Bearer wrong'],
    [403, 'X-Forwarded-For: 10.0.0.1'],
  ])('keeps none either when it is refused with %i, for it comes again', async (status, header) => {
    const { port } = await startPush()
    const answer = await raw(port, `PUT /api/catalog/web/a HTTP/1.1\r\nHost: localhost\r\n${header}\r\n\r\n`)
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} .*\r\nConnection: close\r\n`, 's'))
  })
})

describe('is refused, with the cure, and changes nothing:', () => {
  it.each<[string, string, unknown, number, string]>([
    ['a body that is wrong', 'web/a', { adress: 'x', port: 0 }, 400, '"adress" is no key of it'],
    ['no body', 'web/a', undefined, 400, 'Port is missing: an integer from 1 to 65535'],
    ['no JSON', 'web/a', '{', 400, 'The body is not JSON. Nothing was changed. A body is like { "address"'],
    ['a service that cannot be routed', 'a%2Fb/a', web, 400, `The service's name "a/b" must be printable`],
    ['a service with a backslash', 'a%5Cb/a', web, 400, `and without a backslash`],
    ['a service of dots', '%2E%2E%2F/a', web, 400, 'name "../" must be'],
    ['an id that is empty', 'web/', web, 400, 'The id "" must be'],
    ['an id with a line break', 'web/a%0Ab', web, 400, 'The id "a\\nb" must be'],
    ['what is no percent-encoding', 'web/%zz', web, 400, 'not valid percent-encoding'],
    ['bytes that are no UTF-8', 'web/%ff', web, 400, 'not valid percent-encoding'],
    ['the proxy itself', 'evenkeel/a', web, 400, 'by register.name: requests would go round in a circle'],
    ['a body that is too long', 'web/a', `{"port":1${' '.repeat(4096)}}`, 413, 'The body may have 4096 bytes'],
  ])('%s', async (_, path, body, status, words) => {
    const { put, followed, lines } = await startPush({ ownName: 'evenkeel' })
    const refused = await put(path, body)
    expect(refused.status).toBe(status)
    expect(refused.headers.get('content-type')).toBe('application/problem+json')
    expect(refused.body.detail).toContain(words)
    expect(followed.catalogs).toHaveLength(1)
    expect(lines).toEqual([])
  })

  it('every problem at once, each by itself too', async () => {
    const { put } = await startPush()
    const refused = await put('a%2Fb/', { port: 'x', weight: -1, ttl: '1d', nonsense: 1 })
    expect(refused.body.problems).toHaveLength(6)
    for (const problem of refused.body.problems)
      expect(refused.body.detail.toLowerCase()).toContain(problem.toLowerCase())
  })

  it.each(['PUT', 'DELETE'])('%s where nothing that is pushed is routed: 409', async (method) => {
    const { send } = await startPush({ sources: ['consul', 'dns'] })
    const refused = await send(method, 'web/a', method === 'PUT' ? web : undefined)
    expect(refused.status).toBe(409)
    expect(refused.body.detail).toContain('discovery.source is consul, dns, so nothing that is pushed would be routed.')
    expect(refused.body.detail).toContain('Set discovery.source: [consul, dns, push].')
  })

  it('one more than there may be: 507; who is there may renew', async () => {
    const { put, remove } = await startPush()
    for (const id of ['a', 'b', 'c']) expect((await put(`web/${id}`, web)).status).toBe(201)
    const refused = await put('web/d', web)
    expect(refused).toMatchObject({ status: 507, body: { title: 'Insufficient Storage', maxInstances: 3 } })
    expect(refused.body.detail).toContain('or raise discovery.push.maxInstances')
    expect((await put('web/a', web)).status).toBe(200)
    expect((await remove('web/b')).status).toBe(204)
    expect((await put('web/d', web)).status).toBe(201)
  })

  it.each(['GET', 'HEAD', 'POST', 'PATCH', 'OPTIONS'])('%s: 405, and what is allowed', async (method) => {
    const { get } = await startPush()
    const response = await get('/api/catalog/web/a', { method })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'PUT, DELETE'])
    await response.text()
  })
})

describe('who may', () => {
  const token = 'correct-horse-battery-staple'

  it.each<[string, Record<string, string>, number]>([
    ['a wrong token', { authorization: 'Bearer wrong' }, 401],
    ['a page of another site', { origin: 'http://evil.example' }, 403],
    ['somebody who is passed on', { via: '1.1 nginx' }, 403],
  ])('%s may not, neither in nor out', async (_, headers, status) => {
    const { put, remove, followed, lines } = await startPush({ token: () => token })
    expect((await put('web/a', web)).status).toBe(201)
    expect((await put('web/b', { ...web, port: 1 }, headers)).status).toBe(status)
    expect((await remove('web/a', headers)).status).toBe(status)
    expect(followed.endpoints('web')).toEqual(['10.0.0.5:8080*1'])
    expect(lines.at(-1)).toMatchObject({ from: '127.0.0.1', msg: 'somebody who may not tried to change something' })
  })

  it('the token is good, and the log says that it was it', async () => {
    const { put, lines } = await startPush({ token: () => token })
    expect((await put('web/a', web, { authorization: `Bearer ${token}` })).status).toBe(201)
    expect(lines).toMatchObject([{ how: 'token' }])
    expect(JSON.stringify(lines)).not.toContain(token)
  })

  it('half a body is nobody’s word', async () => {
    const { port, followed, put } = await startPush()
    const head = 'PUT /api/catalog/web/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\n\r\n'
    const socket = await open(port, `${head}{"port":8080}`)
    socket.destroy()
    expect((await put('web/b', web)).status).toBe(201)
    expect(followed.service('web')?.endpoints).toMatchObject([{ instance: 'b' }])
  })
})
