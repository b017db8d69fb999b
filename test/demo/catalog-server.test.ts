import { connect, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type CatalogServer, type CatalogServerOptions, startCatalogServer } from '../../src/demo/catalog-server.ts'
import { waitFor } from '../support/wait.ts'

let catalog: CatalogServer
beforeEach(async () => {
  catalog = await startCatalogServer()
})
afterEach(() => catalog.close())

async function startOver(options: CatalogServerOptions): Promise<void> {
  await catalog.close()
  catalog = await startCatalogServer(options)
}

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: unknown
}

async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const sent = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(catalog.url + path, { method, ...(sent === undefined ? {} : { body: sent }) })
  const text = await response.text()
  const isJson = response.headers.get('content-type') === 'application/json'
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : null }
}

const get = (path: string) => ask('GET', path)
const register = (body: object) => ask('PUT', '/v1/agent/service/register', body)
const indexOf = async (path: string) => Number((await get(path)).headers.get('x-consul-index'))

describe('answers', () => {
  test('carry the index, the leader and the last contact, as Consul names them', async () => {
    const { headers, json } = await get('/v1/catalog/services')
    expect(json).toEqual({ consul: [] })
    expect(Number(headers.get('x-consul-index'))).toBeGreaterThan(0)
    expect([headers.get('x-consul-knownleader'), headers.get('x-consul-lastcontact')]).toEqual(['true', '0'])
  })

  test.each([
    ['/v1/status/leader', '127.0.0.1:8300'],
    ['/v1/status/peers', ['127.0.0.1:8300']],
    ['/v1/agent/services', {}],
    ['/v1/agent/checks', {}],
    ['/v1/agent/self', expect.objectContaining({ Config: expect.objectContaining({ Datacenter: 'dc1' }) })],
    ['/v1/catalog/nodes', [expect.objectContaining({ Address: '127.0.0.1' })]],
    ['/v1/health/state/any', [expect.objectContaining({ CheckID: 'serfHealth', Status: 'passing' })]],
    ['/v1/health/checks/consul', []],
    ['/v1/health/service/consul?passing', [expect.objectContaining({ Checks: [expect.anything()] })]],
  ])('of an empty catalog: %s', async (path, json) => {
    expect((await get(path)).json).toEqual(json)
  })

  test('are indented when asked to be pretty', async () => {
    expect((await get('/v1/catalog/services?pretty')).text).toBe('{\n    "consul": []\n}\n')
  })

  test('of health can be narrowed by tags, which all must be there, in any case', async () => {
    await register({ ID: '1', Name: 'a', Tags: ['x', 'Y'] })
    await register({ ID: '2', Name: 'a', Tags: ['x'] })
    const ids = async (query: string) => {
      const { json } = await get(`/v1/health/service/a?${query}`)
      return (json as { Service: { ID: string } }[]).map(({ Service }) => Service.ID)
    }
    expect(await ids('tag=x')).toEqual(['1', '2'])
    expect(await ids('tag=x&tag=y')).toEqual(['1'])
    expect(await ids('tag=z')).toEqual([])
  })

  test('find names with a slash, a space or a percent sign in them', async () => {
    for (const name of ['a/b', 'a b', '100%', 'ü']) {
      await register({ Name: name, Port: 1 })
      const { json } = await get(`/v1/catalog/service/${encodeURIComponent(name)}`)
      expect(json).toMatchObject([{ ServiceName: name }])
      expect((await ask('PUT', `/v1/agent/service/deregister/${encodeURIComponent(name)}`)).status).toBe(200)
    }
    expect((await get('/v1/catalog/services')).json).toEqual({ consul: [] })
  })
})

describe('bad input is answered with one line and changes nothing', () => {
  const big = JSON.stringify({ Name: 'big', Meta: { k: 'x'.repeat(600_000) } })
  test.each<[string, string, string | undefined, number, string]>([
    ['PUT', '/v1/agent/service/register', undefined, 400, 'Request decode failed: EOF'],
    ['PUT', '/v1/agent/service/register', '{bad', 400, 'Request decode failed: '],
    ['PUT', '/v1/agent/service/register', '[]', 400, 'Request decode failed: json: cannot unmarshal array'],
    ['PUT', '/v1/agent/service/register', big, 413, 'Request body too large, max size: 524288 bytes'],
    ['PUT', '/v1/agent/service/deregister/', undefined, 500, 'ServiceID missing'],
    ['PUT', '/v1/agent/check/pass/nope', undefined, 500, 'CheckID "nope" does not have associated TTL'],
    ['PUT', '/v1/agent/check/pass/no%0Ape', undefined, 500, 'CheckID "no pe" does not have associated TTL'],
    ['PUT', '/v1/agent/check/update/nope', '{"Status":"odd"}', 400, "Invalid check status: 'odd'"],
    ['PUT', '/v1/agent/service/maintenance/?enable=true', undefined, 400, 'Missing service ID'],
    ['PUT', '/v1/agent/service/maintenance/a', undefined, 400, 'Missing value for enable'],
    ['PUT', '/v1/agent/service/maintenance/a?enable=x', undefined, 400, 'Invalid value for enable: "x"'],
    ['PUT', '/v1/agent/service/maintenance/no?enable=1', undefined, 404, 'No service registered with ID "no"'],
    ['GET', '/v1/health/service/', undefined, 400, 'Missing service name'],
    ['GET', '/v1/catalog/service/', undefined, 400, 'Missing service name'],
    ['GET', '/v1/health/state/', undefined, 400, 'Missing check state'],
    ['GET', '/v1/health/service/a?index=x', undefined, 400, 'Invalid index'],
    ['GET', '/v1/health/service/a?index=-1', undefined, 400, 'Invalid index'],
    ['GET', '/v1/health/service/a?index=1e3', undefined, 400, 'Invalid index'],
    ['GET', '/v1/health/service/a?index=18446744073709551616', undefined, 400, 'Invalid index'],
    ['GET', '/v1/health/service/a?wait=1', undefined, 400, 'Invalid wait time'],
    ['GET', '/v1/health/service/a?wait=soon&index=1', undefined, 400, 'Invalid wait time'],
    ['GET', '/v1/health/service/a?passing=perhaps', undefined, 400, 'Invalid value for ?passing'],
    ['GET', '/v1/health/service/a?filter=x', undefined, 400, "the demo's catalog does not know ?filter"],
    ['GET', '/v1/catalog/services?dc=mars', undefined, 500, 'No path to datacenter'],
    ['GET', '/v1/catalog/services?stale&consistent', undefined, 400, 'Cannot specify ?stale with ?consistent'],
    ['GET', '/v1/health/service/%zz', undefined, 400, '400 Bad Request'],
    ['GET', '/v1/kv/a', undefined, 404, 'Invalid URL path'],
    ['GET', '/v1/agent/service/register', undefined, 405, 'method GET not allowed'],
    ['POST', '/v1/catalog/services', '{}', 405, 'method POST not allowed'],
  ])('%s %s', async (method, path, body, status, line) => {
    await register({ Name: 'a' })
    const before = await get('/v1/agent/services')
    const answer = await ask(method, path, body)
    expect([answer.status, answer.text.slice(0, line.length)]).toEqual([status, line])
    expect(answer.text).not.toMatch(/\n/)
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect((await get('/v1/agent/services')).text).toBe(before.text)
  })

  test('the wrong method is told the right one', async () => {
    expect((await ask('POST', '/v1/catalog/services')).headers.get('allow')).toBe('OPTIONS,GET')
    expect((await ask('OPTIONS', '/v1/agent/service/register')).headers.get('allow')).toBe('OPTIONS,PUT')
  })

  test('a body that never ends is cut off, and the server goes on', async () => {
    const socket = connect({ host: '127.0.0.1', port: catalog.port })
    const head = 'PUT /v1/agent/service/register HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n'
    socket.write(head)
    let text = ''
    socket.on('data', (piece) => {
      text += piece
    })
    socket.on('error', () => {})
    const pump = setInterval(() => socket.write(Buffer.alloc(256 * 1024, 'x')), 5)
    await waitFor('the connection is over', () => socket.destroyed || socket.readableEnded)
    clearInterval(pump)
    socket.destroy()
    expect(text).toMatch(/^HTTP\/1\.1 413 /)
    expect((await get('/v1/status/leader')).status).toBe(200)
  })

  test('a full catalog refuses one service more, and takes it when there is room', async () => {
    await startOver({ maxServices: 2 })
    await register({ Name: 'a' })
    await register({ Name: 'b' })
    const refused = await register({ Name: 'c' })
    expect([refused.status, refused.text]).toEqual([429, expect.stringMatching(/full: 2 services.*deregister/)])
    await ask('PUT', '/v1/agent/service/deregister/a')
    expect((await register({ Name: 'c' })).status).toBe(200)
  })
})

describe('a blocking query', () => {
  test('answers at once when its index is behind, or 0, or absent', async () => {
    await register({ Name: 'a' })
    for (const query of ['index=1&wait=10m', 'index=0&wait=10m', 'wait=10m', 'index=']) {
      expect((await get(`/v1/health/service/a?${query}`)).json).toHaveLength(1)
    }
  })

  test('answers the same under the same index when its time is up', async () => {
    const index = await indexOf('/v1/catalog/services')
    const answer = await get(`/v1/catalog/services?index=${index}&wait=20ms`)
    expect([answer.json, Number(answer.headers.get('x-consul-index'))]).toEqual([{ consul: [] }, index])
  })

  test('of a name that nobody has wakes on any registration, as long as no service ever went', async () => {
    const index = await indexOf('/v1/health/service/nobody')
    const waiting = get(`/v1/health/service/nobody?index=${index}&wait=30s`)
    await register({ Name: 'somebody-else' })
    const answer = await waiting
    expect(answer.json).toEqual([])
    expect(Number(answer.headers.get('x-consul-index'))).toBeGreaterThan(index)
  })

  test('sees a TTL check run out without anybody asking', async () => {
    await register({ Name: 'a', Check: { TTL: '30ms', Status: 'passing' } })
    const waiting = await get('/v1/health/service/a?index=1')
    const index = Number(waiting.headers.get('x-consul-index'))
    const { json } = await get(`/v1/health/service/a?passing&index=${index}&wait=30s`)
    expect(json).toEqual([])
  })

  test('is refused when too many wait already; whoever leaves makes room', async () => {
    await startOver({ maxWaiting: 2 })
    const index = await indexOf('/v1/catalog/services')
    const path = `/v1/catalog/services?index=${index}&wait=60s`
    const sockets: Socket[] = [1, 2].map(() => connect({ host: '127.0.0.1', port: catalog.port }))
    for (const socket of sockets) socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    const short = `/v1/catalog/services?index=${index}&wait=1ms`
    const refused = await waitFor('the third is refused', async () => {
      const answer = await get(short)
      return answer.status === 429 && answer
    })
    expect(refused.text).toMatch(/2 queries wait/)
    sockets[0]?.destroy()
    await waitFor('there is room again', async () => (await get(short)).status === 200)
    sockets[1]?.destroy()
  })

  test('does not outlive the server: close cuts it, and connections that idle or dawdle too', async () => {
    const index = await indexOf('/v1/catalog/services')
    const ends = ['', 'GET / HT', `GET /v1/catalog/services?index=${index} HTTP/1.1\r\nHost: x\r\n\r\n`].map((sent) => {
      const socket = connect({ host: '127.0.0.1', port: catalog.port })
      return new Promise<string>((resolve) => {
        socket.on('connect', () => socket.write(sent))
        socket.on('error', () => {})
        socket.on('close', () => resolve('closed'))
      })
    })
    await get('/v1/status/leader')
    await catalog.close()
    expect(await Promise.all(ends)).toEqual(['closed', 'closed', 'closed'])
    await expect(get('/v1/status/leader')).rejects.toThrow()
    await catalog.close()
  })
})

describe('starting', () => {
  test('on a taken port is an error that names it', async () => {
    await expect(startCatalogServer({ port: catalog.port })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      port: catalog.port,
    })
  })

  const hasIPv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

  test.skipIf(!hasIPv6)('on IPv6 gives a URL that can be used', async () => {
    await startOver({ host: '::1' })
    expect(catalog.url).toBe(`http://[::1]:${catalog.port}`)
    expect((await get('/v1/status/leader')).status).toBe(200)
  })
})
