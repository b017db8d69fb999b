import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { post, request, startProxy } from './harness.ts'
import { chunked, header, headerLines, type Message } from './messages.ts'
import { answering, ok, startOrigin } from './sockets.ts'

const pathOf = (message: Message) => message.start.split(' ')[1]

describeEngines('forwarding a response', (engine) => {
  it('carries status, reason, headers in order and case, and every Set-Cookie', async () => {
    const fields = [
      'Date: Thu, 01 Jan 2026 00:00:00 GMT',
      'sEt-Cookie: a=1',
      'X-B: \xe9',
      'Set-Cookie: b=2, c',
      'X-A:',
      'ETag: W/"x"',
    ]
    const origin = await answering(`HTTP/1.1 418 I'm a Teapot\r\n${fields.join('\r\n')}\r\nContent-Length: 2\r\n\r\nhi`)
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask(request('/s/'))
    expect(response.start).toBe("HTTP/1.1 418 I'm a Teapot")
    expect(response.body).toBe('hi')
    expect(response.headers.slice(0, 7)).toEqual([
      ['Date', 'Thu, 01 Jan 2026 00:00:00 GMT'],
      ['sEt-Cookie', 'a=1'],
      ['X-B', '\xe9'],
      ['Set-Cookie', 'b=2, c'],
      ['X-A', ''],
      ['ETag', 'W/"x"'],
      ['Content-Length', '2'],
    ])
  })

  it('removes hop-by-hop headers and those that Connection names', async () => {
    const origin = await answering(
      ok(
        'ok',
        'Connection: close, X-Private, content-length\r\nKeep-Alive: timeout=9\r\nX-Private: 1\r\nUpgrade: h2c\r\nProxy-Authenticate: Basic\r\n',
      ),
    )
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask(request('/s/'))
    expect(headerLines(response, 'x-private')).toEqual([])
    expect(headerLines(response, 'upgrade')).toEqual([])
    expect(headerLines(response, 'proxy-authenticate')).toEqual([])
    expect(header(response, 'keep-alive')).not.toBe('timeout=9')
    expect(headerLines(response, 'connection')).not.toContain('close')
    expect(response.body).toBe('ok')
  })

  it('keeps the place of every duplicate, and the bytes of every value', async () => {
    const fields = ['X-Two: 1', 'x-one: a  b', 'X-Two: 2', 'Vary: a', 'x-two: 3', 'vary: b', 'X-Raw: \x80\xff', '1: 2']
    const origin = await answering(ok('ok', `${fields.join('\r\n')}\r\n`))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const { headers } = await proxy.ask(request('/s/'))
    const theirs = headers.filter(([name]) => /^(x-two|x-one|vary|x-raw|1)$/i.test(name))
    expect(theirs.map(([name, value]) => `${name}: ${value}`)).toEqual(fields)
  })

  it('removes what Connection names, and never what the proxy sets or what frames the body', async () => {
    const origin = await answering(
      ok(
        'ok',
        'Connection: via, x-request-id, date, content-length, content-type, x-gone\r\nX-Gone: 1\r\nContent-Type: a/b\r\n',
      ),
    )
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask(request('/s/'))
    expect(
      ['x-gone', 'via', 'x-request-id', 'content-type', 'content-length'].map((name) => headerLines(response, name)),
    ).toEqual([[], ['1.1 evenkeel'], ['made-1'], ['a/b'], ['2']])
    expect(headerLines(response, 'date')).toHaveLength(1)
  })

  it('gives an answer without a Date one, and keeps the one that is there', async () => {
    const date = 'Thu, 01 Jan 2026 00:00:00 GMT'
    const origin = await answering((seen) => (seen.start.includes('/with') ? ok('ok', `Date: ${date}\r\n`) : ok()))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    expect(headerLines(await proxy.ask(request('/s/with')), 'date')).toEqual([date])
    const [made, more] = headerLines(await proxy.ask(request('/s/')), 'date')
    expect([Math.abs(Date.parse(made ?? '') - Date.now()) < 5_000, more]).toEqual([true, undefined])
  })

  it('relays HEAD, 204, 205 and 304 without a body, and the connection lives on', async () => {
    const answers: Record<string, string> = {
      '/head': 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n',
      '/chunked-head': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      '/204': 'HTTP/1.1 204 No Content\r\n\r\n',
      '/304': 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: "x"\r\n\r\n',
      '/205': 'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n',
    }
    const origin = await answering((message) => answers[pathOf(message) ?? ''] ?? ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    const seen: string[] = []
    for (const path of ['/head', '/chunked-head', '/204', '/304', '/205', '/last']) {
      const toHead = path.endsWith('head')
      client.send(request(`/s${path}`, [], '', toHead ? 'HEAD' : 'GET'))
      const response = await client.response({ toHead })
      seen.push(`${response.status} ${header(response, 'content-length') ?? '-'}`)
    }
    expect(seen).toEqual(['200 1000', '200 -', '204 -', '304 1000', '205 0', '200 2'])
  })

  it('never announces a body on a 204, whatever the endpoint says', async () => {
    const origin = await answering('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n')
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask(request('/s/'))
    expect([response.status, header(response, 'content-length'), header(response, 'transfer-encoding')]).toEqual([
      204,
      undefined,
      undefined,
    ])
  })

  it('serves HTTP/1.0 clients: no chunks, and an end that is the end of the connection', async () => {
    const origin = await answering(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(['ab', 'cd'])}`)
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send('GET /s/ HTTP/1.0\r\nHost: a\r\n\r\n')
    const response = await client.response()
    expect(header(response, 'transfer-encoding')).toBeUndefined()
    expect(response.body).toBe('abcd')
    expect(client.error).toBeNull()
    expect(headerLines(origin.requests()[0] as Message, 'via')).toEqual(['1.0 evenkeel'])
    expect((await proxy.record()).protocol).toBe('HTTP/1.0')
  })

  it('serves an HTTP/1.0 client with Connection: keep-alive more than once', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    for (let turn = 0; turn < 2; turn++) {
      client.send('GET /s/ HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n')
      const response = await client.response()
      expect([response.body, header(response, 'connection')]).toEqual(['ok', 'keep-alive'])
    }
  })

  it('relays an HTTP/1.0 endpoint whose body ends with its connection', async () => {
    const origin = await startOrigin(async (connection) => {
      await connection.request()
      connection.end('HTTP/1.0 200 OK\r\n\r\nall of it')
    })
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    for (let turn = 0; turn < 2; turn++) {
      client.send(request('/s/'))
      expect((await client.response()).body).toBe('all of it')
    }
  })

  it('writes the access record of a forwarded request', async () => {
    const origin = await answering(ok('12345', 'X: y\r\n'))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    await proxy.ask(post('/s/a%20b?secret', 'abc'))
    expect(await proxy.record()).toMatchObject({
      method: 'POST',
      path: '/s/a%20b',
      query: '?secret',
      service: 's',
      endpoint: origin.endpoint.id,
      status: 200,
      outcome: 'responded',
      attempts: 1,
      bytesIn: 3,
      bytesOut: 5,
      protocol: 'HTTP/1.1',
    })
  })
})
