import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { request, startProxy } from './harness.ts'
import { header, headerLines, type Message } from './messages.ts'
import { answering, ok } from './sockets.ts'

const pathOf = (message: Message) => message.start.split(' ')[1]

describeEngines('forwarding a request', (engine) => {
  it('carries method, path, query and body as they are, without the service name', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'REPORT']) {
      await proxy.ask(request(`/s/a//b/%41;x=1?q=%2e.&r=a/../b`, ['Content-Length: 3'], 'xyz', method))
    }
    expect(origin.requests().map(({ start, body }) => `${start} ${body}`)).toEqual(
      ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'REPORT'].map(
        (method) => `${method} /a//b/%41;x=1?q=%2e.&r=a/../b HTTP/1.1 xyz`,
      ),
    )
  })

  it('a method that nobody has heard of', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask(request('/s/', [], '', 'BREW'))
    const known = engine.cannot['method-names-open'] === undefined
    expect([response.status, origin.requests().length]).toEqual(known ? [200, 1] : [400, 0])
  })

  it('keeps the service name where the prefix is not stripped, and below a base path', async () => {
    const origin = await answering(ok())
    const kept = await startProxy(engine, { services: { s: [origin] }, stripPrefix: false })
    const based = await startProxy(engine, { services: { s: [origin] }, basePath: '/api' })
    await kept.ask(request('/s/a?b'))
    await based.ask(request('/api/s/a?b'))
    await based.ask(request('/api/s?b'))
    const requests = origin.requests()
    expect(requests.map(pathOf)).toEqual(['/s/a?b', '/a?b', '/?b'])
    expect(requests.map((message) => header(message, 'x-forwarded-prefix'))).toEqual([undefined, '/api/s', '/api/s'])
  })

  it('takes a target in absolute form for its path', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    await proxy.ask(request('http://example.test/s/a?b'))
    expect(origin.requests().map(pathOf)).toEqual(['/a?b'])
  })

  it('keeps the case and the order of header names, and every value of a repeated one', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    await proxy.ask(
      request('/s/', ['aCCept: */*', 'X-Two: 1', 'x-one: \xe9', 'X-Two: 2', 'x-two: 3', 'Cookie: a=1', 'Cookie: b=2']),
    )
    const [seen] = origin.requests()
    const ours = (seen?.headers ?? []).filter(([name]) => /^(accept|x-one|x-two|cookie)$/i.test(name))
    const inPlace = ['aCCept: */*', 'X-Two: 1', 'x-one: \xe9', 'X-Two: 2', 'x-two: 3', 'Cookie: a=1', 'Cookie: b=2']
    // Equal names stand together, under the first spelling; nothing is lost, and only cookies are joined.
    const together = ['aCCept: */*', 'X-Two: 1', 'X-Two: 2', 'X-Two: 3', 'x-one: \xe9', 'Cookie: a=1; b=2']
    expect(ours.map(([name, value]) => `${name}: ${value}`)).toEqual(
      engine.cannot['duplicates-in-place'] === undefined ? inPlace : together,
    )
  })

  it('carries headers named like properties that every object has', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const names = ['constructor', 'toString', 'hasOwnProperty', '__proto__']
    const response = await proxy.ask(
      request(
        '/s/',
        names.map((name) => `${name}: yes`),
      ),
    )
    expect(response.status).toBe(200)
    const [seen] = origin.requests()
    expect(names.map((name) => (seen === undefined ? undefined : header(seen, name)))).toEqual(names.map(() => 'yes'))
  })

  it('keeps Host as the client sent it', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    await proxy.ask('GET /s/ HTTP/1.1\r\nhOsT: shop.example:8443\r\n\r\n')
    await proxy.ask('GET /s/ HTTP/1.0\r\n\r\n')
    expect(origin.requests().map((message) => headerLines(message, 'host'))).toEqual([
      ['shop.example:8443'],
      [origin.endpoint.id],
    ])
  })

  it('adds no body framing to a request without a body', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS']) {
      await proxy.ask(request('/s/', [], '', method), { toHead: method === 'HEAD' })
    }
    await proxy.ask(request('/s/', [], '', 'POST'))
    const seen = origin.requests()
    expect(seen.map((message) => header(message, 'transfer-encoding'))).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ])
    expect(seen.map((message) => header(message, 'content-length') ?? '0')).toEqual(['0', '0', '0', '0', '0'])
  })

  it('removes hop-by-hop headers and those that Connection names, and never its own', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    await proxy.ask(
      request('/s/', [
        'Connection: keep-alive, X-Private, x-forwarded-for, x-request-id, via, host, content-type',
        'Connection: X-Too',
        'Keep-Alive: timeout=5',
        'Proxy-Connection: keep-alive',
        'Proxy-Authorization: Basic eA==',
        'TE: trailers',
        'X-Private: 1',
        'X-Too: 2',
        'Content-Type: text/plain',
        'X-Kept: 3',
      ]),
    )
    const [seen] = origin.requests()
    if (seen === undefined) throw new Error('no request arrived')
    for (const gone of ['keep-alive', 'proxy-connection', 'proxy-authorization', 'te', 'x-private', 'x-too']) {
      expect(headerLines(seen, gone), gone).toEqual([])
    }
    expect(headerLines(seen, 'connection')).toEqual(['close'])
    expect(headerLines(seen, 'x-kept')).toEqual(['3'])
    expect(headerLines(seen, 'content-type')).toEqual(['text/plain'])
    expect(headerLines(seen, 'x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(headerLines(seen, 'x-request-id')).toEqual(['made-1'])
    expect(headerLines(seen, 'host')).toEqual(['example.test'])
    expect(headerLines(seen, 'via')).toEqual(['1.1 evenkeel'])
  })

  it('says who asked, and believes no client that says so itself', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const lies = [
      'X-Forwarded-For: 1.2.3.4',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: evil.example',
      'X-Forwarded-Port: 1',
      'X-Forwarded-Prefix: /evil',
      'X-Real-IP: 1.2.3.4',
      'Forwarded: for=1.2.3.4',
      'X_Forwarded_For: 1.2.3.4',
      'x-forwarded_proto: https',
    ]
    await proxy.ask(request('/s/a', lies))
    const [seen] = origin.requests()
    const told = (seen?.headers ?? []).filter(([name]) => /^(x[-_]forwarded|forwarded|x[-_]real)/i.test(name))
    expect(Object.fromEntries(told)).toEqual({
      'X-Forwarded-For': '127.0.0.1',
      'X-Forwarded-Proto': 'http',
      'X-Forwarded-Host': 'example.test',
      'X-Forwarded-Port': String(proxy.port),
      'X-Forwarded-Prefix': '/s',
    })
    expect(told).toHaveLength(5)
    expect((await proxy.record()).clientIp).toBe('127.0.0.1')
  })

  it('believes a trusted proxy, and adds to what it says', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] }, trustedProxies: ['127.0.0.1', '10.0.0.7'] })
    await proxy.ask(
      request('/s/a', [
        'X-Forwarded-For: 6.6.6.6, 203.0.113.9',
        'X-Forwarded-For: 10.0.0.7',
        'X-Forwarded-Proto: https',
        'X-Forwarded-Host: shop.example',
        'X-Forwarded-Port: 443',
        'X-Forwarded-Prefix: /outer',
      ]),
    )
    const [seen] = origin.requests()
    const told = (seen?.headers ?? []).filter(([name]) => /^x-forwarded/i.test(name))
    expect(Object.fromEntries(told)).toEqual({
      'X-Forwarded-For': '6.6.6.6, 203.0.113.9, 10.0.0.7, 127.0.0.1',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'shop.example',
      'X-Forwarded-Port': '443',
      'X-Forwarded-Prefix': '/outer/s',
    })
    expect((await proxy.record()).clientIp).toBe('203.0.113.9')
  })

  it('keeps a sane request id, makes one otherwise, and returns it', async () => {
    const origin = await answering(ok('ok', 'X-Request-Id: not-this\r\n'))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const given = await proxy.ask(request('/s/', ['X-Request-Id: abc-123']))
    const absent = await proxy.ask(request('/s/'))
    const insane = await proxy.ask(request('/s/', [`X-Request-Id: ${'x'.repeat(129)}`]))
    const spaced = await proxy.ask(request('/s/', ['X-Request-Id: a b']))
    const ids = ['abc-123', 'made-1', 'made-2', 'made-3']
    expect([given, absent, insane, spaced].map((message) => headerLines(message, 'x-request-id'))).toEqual(
      ids.map((id) => [id]),
    )
    expect(origin.requests().map((message) => headerLines(message, 'x-request-id'))).toEqual(ids.map((id) => [id]))
    expect(proxy.records.map(({ requestId }) => requestId)).toEqual(ids)
  })

  it('adds itself to Via', async () => {
    const origin = await answering(ok('ok', 'Via: 1.0 inner\r\n'))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask(request('/s/', ['Via: 1.1 outer']))
    expect(headerLines(response, 'via')).toEqual(['1.0 inner', '1.1 evenkeel'])
    expect(headerLines(origin.requests()[0] as Message, 'via')).toEqual(['1.1 outer', '1.1 evenkeel'])
  })
})
