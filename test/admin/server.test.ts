import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { ReadinessState } from '../../src/admin/readiness.ts'
import { type AdminDeps, type AdminServer, createAdminServer } from '../../src/admin/server.ts'
import { endpointView, serviceView, tableView } from './fixtures.ts'

const running: AdminServer[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()))
})

const view = tableView(
  serviceView('quotes', {
    endpoints: [
      endpointView(80, { picks: 12, inFlight: 2 }),
      endpointView(81, {
        state: 'ejected',
        reason: 'consecutive-faults',
        ejectedForMs: 1500,
        consecutiveFaults: 5,
        ejections: 1,
      }),
    ],
    absent: [{ instance: 'q-3', address: '10.0.0.9:80', reason: 'check "http" is critical' }],
    pickSpread: 1,
  }),
  serviceView('a/b c'),
)

async function start(deps: Partial<AdminDeps> = {}, host = '127.0.0.1') {
  const server = createAdminServer({
    version: '1.2.3',
    metrics: {
      render: (accept) => Promise.resolve({ contentType: 'text/plain; version=0.0.4', body: `# ${accept}\n` }),
    },
    view: () => view,
    readiness: () => ({ state: 'fresh', ageMs: 1234 }),
    config: () => ({ listen: { port: 8080 }, token: '[redacted]' }),
    ...deps,
  })
  running.push(server)
  const port = await server.listen(host, 0)
  const url = `http://127.0.0.1:${port}`
  return { server, port, url, get: (path: string, init?: RequestInit) => fetch(url + path, init) }
}

/** Sends bytes as they are; resolves with all that came back when the other side closed. */
function raw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      received += chunk
    })
    socket.on('close', () => resolve(received))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
  })
}

/** Connects, sends these bytes, and keeps the connection. */
async function open(port: number, bytes: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'connect')
  socket.write(bytes)
  return socket
}

describe('what it answers', () => {
  it('gives metrics in the type that was asked for', async () => {
    const response = await (await start()).get('/metrics', { headers: { accept: 'application/openmetrics-text' } })
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4')
    expect(await response.text()).toBe('# application/openmetrics-text\n')
  })

  it('is alive as soon as it listens', async () => {
    const response = await (await start({ readiness: () => ({ state: 'starting', ageMs: null }) })).get('/livez')
    expect([response.status, await response.text()]).toEqual([200, 'ok\n'])
  })

  it.each<[ReadinessState, number | null, number, string]>([
    ['fresh', 1234, 200, 'fresh\ncatalog confirmed 1.2 s ago\n'],
    ['stale', 90_000, 200, 'stale\ncatalog confirmed 90.0 s ago\n'],
    ['starting', null, 503, 'starting\ncatalog never confirmed\n'],
    ['draining', 10, 503, 'draining\ncatalog confirmed 0.0 s ago\n'],
  ])('%s (%s ms) is %s on /readyz', async (state, ageMs, status, body) => {
    const response = await (await start({ readiness: () => ({ state, ageMs }) })).get('/readyz')
    expect([response.status, await response.text()]).toEqual([status, body])
  })

  it('lists the services', async () => {
    const response = await (await start()).get('/api/services?any=query')
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.json()).toEqual([
      {
        name: 'quotes',
        inCatalog: true,
        endpoints: { healthy: 1, ejected: 1, probing: 0, total: 2 },
        absent: 1,
        inFlight: 2,
        pickSpread: 1,
      },
      {
        name: 'a/b c',
        inCatalog: true,
        endpoints: { healthy: 0, ejected: 0, probing: 0, total: 0 },
        absent: 0,
        inFlight: 0,
        pickSpread: 0,
      },
    ])
  })

  it('tells of every endpoint of a service, in rotation or not, and why', async () => {
    const response = await (await start()).get('/api/services/quotes')
    expect(await response.json()).toMatchObject({
      name: 'quotes',
      endpoints: [
        { endpoint: '10.0.0.1:80', state: 'healthy', inRotation: true, why: null, picks: 12, inFlight: 2 },
        {
          endpoint: '10.0.0.1:81',
          state: 'ejected',
          inRotation: false,
          why: 'ejected for consecutive-faults; the next probe may go in 1.5 s',
          reason: 'consecutive-faults',
          consecutiveFaults: 5,
          ejections: 1,
        },
      ],
      absent: [{ instance: 'q-3', address: '10.0.0.9:80', why: 'check "http" is critical' }],
    })
  })

  it('decodes the name of a service', async () => {
    const response = await (await start()).get('/api/services/a%2Fb%20c')
    expect(await response.json()).toMatchObject({ name: 'a/b c' })
  })

  it.each([
    ['an unknown service', '/api/services/nobody', 404],
    ['no name', '/api/services/', 404],
    ['a name that is no percent-encoding', '/api/services/%zz', 400],
    ['an unknown path', '/nothing', 404],
    ['a path that only begins like one', '/metricsx', 404],
  ])('says what is wrong with %s', async (_, path, status) => {
    const response = await (await start()).get(path)
    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toMatchObject({ type: 'about:blank', status, detail: expect.any(String) })
  })

  it('lists what exists to whoever asks for what does not', async () => {
    const response = await (await start()).get('/health')
    expect(await response.json()).toMatchObject({ routes: expect.arrayContaining(['/metrics', '/readyz']) })
  })

  it('shows the configuration that it is given', async () => {
    expect(await (await (await start()).get('/api/config')).json()).toEqual({
      listen: { port: 8080 },
      token: '[redacted]',
    })
  })

  it('has a page for people, with a policy that lets nothing run', async () => {
    const response = await (await start()).get('/')
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const policy = response.headers.get('content-security-policy') ?? ''
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-/)
    expect(policy).not.toMatch(/script|unsafe/)
    expect(await response.text()).toContain('quotes')
  })

  it('answers HEAD as GET, without the body', async () => {
    const { get } = await start()
    const [head, full] = [await get('/api/services', { method: 'HEAD' }), await get('/api/services')]
    expect(head.status).toBe(200)
    expect(head.headers.get('content-length')).toBe(full.headers.get('content-length'))
    expect(await head.text()).toBe('')
    await full.text()
  })

  it.each(['/livez', '/metrics', '/nothing', '/'])('sets the security headers on %s', async (path) => {
    const { headers } = await (await start()).get(path)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('content-security-policy')).toMatch(/default-src 'none'/)
    expect(headers.get('cache-control')).toBe('no-store')
  })
})

describe('what it refuses', () => {
  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('only reads: %s is 405', async (method) => {
    const response = await (await start()).get('/api/config', { method })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('GET, HEAD')
    await response.text()
  })

  it('answers no foreign host name on loopback', async () => {
    const { port } = await start()
    const refused = await raw(port, 'GET /api/config HTTP/1.1\r\nHost: evil.example:8081\r\nConnection: close\r\n\r\n')
    expect(refused).toMatch(/^HTTP\/1\.1 403 /)
    expect(refused).not.toContain('8080')
    const allowed = await raw(port, 'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    expect(allowed).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('answers any host name when it is bound to every address', async () => {
    const { port } = await start({}, '0.0.0.0')
    const answer = await raw(port, 'GET /livez HTTP/1.1\r\nHost: proxy.internal\r\nConnection: close\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  })

  it.each([
    ['no HTTP at all', '\x16\x03\x01\x02\x00\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['two lengths', 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', /^HTTP\/1\.1 400 /],
    [
      'a head that is too large',
      `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(9000)}\r\n\r\n`,
      /^HTTP\/1\.1 431 /,
    ],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
    [
      'a path of nonsense',
      'GET /%%%/../..//\\ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      /^HTTP\/1\.1 404 /,
    ],
    ['an asterisk', 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 405 /],
    ['a tunnel', 'CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n', /^$/],
    [
      'the absolute form, which is right',
      'GET http://localhost/livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      /^HTTP\/1\.1 200 /,
    ],
    [
      'an upgrade, by answering in HTTP',
      'GET /livez HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade, close\r\n\r\n',
      /^HTTP\/1\.1 200 /,
    ],
  ])('survives %s', async (_, bytes, expected) => {
    const { port, get } = await start()
    expect(await raw(port, bytes)).toMatch(expected)
    expect((await get('/livez')).status).toBe(200)
  })

  it('says 500 and tells the log when a source throws', async () => {
    const errors: unknown[] = []
    const failure = new Error('no table')
    const { get } = await start({
      view: () => {
        throw failure
      },
      onError: (error) => errors.push(error),
    })
    const response = await get('/api/services')
    expect(response.status).toBe(500)
    expect(await response.text()).not.toContain('no table')
    expect(errors).toEqual([failure])
  })

  it('rejects when the port is taken', async () => {
    const { port } = await start()
    const second = createAdminServer({
      version: '',
      metrics: { render: () => Promise.reject(new Error('unused')) },
      view: () => view,
      readiness: () => ({ state: 'fresh', ageMs: 0 }),
      config: () => null,
    })
    running.push(second)
    await expect(second.listen('127.0.0.1', port)).rejects.toThrow('EADDRINUSE')
  })
})

describe('how it closes', () => {
  it('ends idle keep-alive connections, and half a request, without waiting for their timeouts', async () => {
    const { server, port, get } = await start()
    await (await get('/livez')).text()
    const sockets = await Promise.all(['GET /livez HTTP/1.1\r\nHost: loc', ''].map((bytes) => open(port, bytes)))
    const ended = sockets.map((socket) => once(socket, 'close'))
    await server.close()
    await Promise.all(ended)
    await expect(get('/livez')).rejects.toThrow()
  })

  it('lets an answer under way finish, and keeps its connection no longer', async () => {
    let release = () => {}
    const started = new Promise<void>((resolve) => {
      release = resolve
    })
    let finish: (value: { contentType: string; body: string }) => void = () => {}
    const { server, get } = await start({
      metrics: {
        render: () => {
          release()
          return new Promise((resolve) => {
            finish = resolve
          })
        },
      },
    })
    const pending = get('/metrics')
    await started
    const closed = server.close()
    finish({ contentType: 'text/plain', body: 'late\n' })
    const response = await pending
    expect(response.headers.get('connection')).toBe('close')
    expect(await response.text()).toBe('late\n')
    await closed
  })

  it('may be closed twice, and without ever having listened', async () => {
    const { server } = await start()
    await Promise.all([server.close(), server.close()])
    await server.close()
  })
})
