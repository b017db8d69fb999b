import { afterEach, describe, expect, it } from 'vitest'
import { closeAll, open, raw, start } from './server-setup.ts'

afterEach(closeAll)

describe('what it refuses', () => {
  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('only reads: %s is 405', async (method) => {
    const response = await (await start()).get('/api/config', { method })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe(method === 'POST' ? 'GET, HEAD' : 'GET, HEAD, POST')
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
    await expect(start({}, '127.0.0.1', port)).rejects.toThrow('EADDRINUSE')
  })
})

describe('how it closes', () => {
  it('ends idle keep-alive connections, and half a request, without waiting for their timeouts', async () => {
    const { server, port, get } = await start()
    await (await get('/livez')).text()
    const sockets = await Promise.all(['GET /livez HTTP/1.1\r\nHost: loc', ''].map((bytes) => open(port, bytes)))
    const ended = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
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
