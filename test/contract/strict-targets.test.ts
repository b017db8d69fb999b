import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { request, startProxy } from './harness.ts'
import { header, headerLines } from './messages.ts'
import { expectProblem } from './problem.ts'
import { expectRefused, hidden, host, itRefuses, raw, refusingProxy } from './refused.ts'
import { answering, ok } from './sockets.ts'

const get = 'GET /s/ HTTP/1.1'

describeEngines('a Host that is not one', (engine) => {
  itRefuses(engine, [
    { name: 'no Host with other headers', bytes: raw(['X: y', 'X-Host: a'], '', get) },
    { name: 'two equal Hosts in different case', bytes: raw([host, 'hOST: example.test'], '', get) },
    { name: 'two Hosts, one of them empty', bytes: raw(['Host:', host], '', get) },
    { name: 'two Hosts in HTTP/1.0', bytes: raw([host, host], '', 'GET /s/ HTTP/1.0') },
    ...[
      'u:p@example.test',
      'example.test@evil.test',
      'example.test/',
      'example.test, other.test',
      'example.test other.test',
      'example.test:80:80',
      'example.test:8o',
      'example.test:-1',
      'example.test:123456',
      '[::1]x',
      '[::1',
      '::1',
      '[]',
      '[::1%eth0]',
      '//example.test',
      'http://example.test/',
      '<a>',
      '"a"',
      'a|b',
      'a^b',
      '\xc3\xa9.test',
      'a\tb',
    ].map((value) => ({ name: `a Host of ${JSON.stringify(value)}`, bytes: raw([`Host: ${value}`], '', get) })),
    { name: 'a malformed Host in HTTP/1.0', bytes: raw(['Host: a/b'], '', 'GET /s/ HTTP/1.0') },
  ])

  it('what may be a Host is passed on as it is', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const hosts = ['a', 'A.B', 'a:8080', 'a:', '127.0.0.1:80', '[::1]', '[fe80::1]:80', 'a_b', 'xn--e1afmkfd', 'a.']
    for (const value of hosts) expect((await proxy.ask(raw([`Host: ${value}`], '', get))).status, value).toBe(200)
    expect(origin.requests().map((message) => header(message, 'host'))).toEqual(hosts)
  })
})

describeEngines('a Host that contradicts the target', (engine) => {
  itRefuses(
    engine,
    [
      ['http://other.test/s/', 'example.test'],
      ['http://example.test:81/s/', 'example.test'],
      ['http://example.test/s/', 'example.test:81'],
      ['http://example.test./s/', 'example.test'],
      ['http://example.test/s/', ''],
      ['http://user@example.test/s/', 'example.test'],
      ['http://user@example.test/s/', 'user@example.test'],
      ['http:///s/', ''],
      ['http:///s/', 'example.test'],
      ['http://example.test\\@other.test/s/', 'other.test'],
      ['http://example.test?x=/s/', 'other.test'],
    ].map(([target, value]) => ({
      name: `${target} and Host: ${value}`,
      bytes: raw([`Host: ${value}`], '', `GET ${target} HTTP/1.1`),
    })),
  )

  it('in other case they are the same, and Host is passed on as it came', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask(raw(['Host: exAMPLE.test:80'], '', 'GET HTTP://Example.TEST:80/s/a HTTP/1.1'))
    expect(response.status).toBe(200)
    const [seen] = origin.requests()
    expect([seen?.start, headerLines(seen ?? { headers: [] }, 'host')]).toEqual([
      'GET /a HTTP/1.1',
      ['exAMPLE.test:80'],
    ])
  })
})

describeEngines('a target that is not one', (engine) => {
  const odd: readonly { name: string; target: string; mayStay?: boolean }[] = [
    { name: 'a fragment', target: '/s/a#b' },
    { name: 'an empty fragment', target: '/s/#' },
    { name: 'a fragment in the query', target: '/s/?a#b' },
    { name: 'a fragment in absolute form', target: 'http://example.test/s/#x' },
    { name: 'Latin-1 that is not encoded', target: '/s/\xe9' },
    { name: 'UTF-8 that is not encoded', target: '/s/\xc3\xa9' },
    { name: 'bytes above ASCII in the query', target: '/s/?\xff' },
    { name: 'a dot in raw overlong UTF-8', target: '/s/\xc0\xae\xc0\xae/' },
    { name: 'a slash in raw overlong UTF-8', target: '/s/..\xe0\x80\xaf' },
    { name: 'an encoded NUL of two bytes', target: '/s/\xc0\x80' },
    { name: 'GET with an asterisk', target: '*' },
    { name: 'a path without a slash', target: 's/', mayStay: true },
    { name: 'an authority', target: 'example.test:80', mayStay: true },
    { name: 'another scheme', target: 'gopher://example.test/s/', mayStay: true },
    { name: 'a question mark alone', target: '?', mayStay: true },
    { name: 'an asterisk and more', target: '*/s/', mayStay: true },
  ]
  for (const { name, target, mayStay = false } of odd) {
    const closes = engine.cannot['odd-targets-close'] === undefined && !mayStay
    it(`${name}: 400, nothing forwarded, ${closes ? 'closed, nothing behind it served' : 'and the next request is the one behind it'}`, async () => {
      const { origin, proxy } = await refusingProxy(engine)
      const bytes = request(target)
      if (closes) {
        await expectRefused(proxy, bytes, 400)
        expect(origin.connections).toHaveLength(0)
        return
      }
      const client = await proxy.client()
      client.send(bytes + hidden)
      expect((await client.response()).status).toBe(400)
      // Its framing was never in doubt: what follows is a request of its own, or nothing when the parser gave up.
      await Promise.race([client.until('200 OK'), client.untilOver()])
      expect(origin.requests().every(({ start }) => start === 'GET /hidden HTTP/1.1')).toBe(true)
      expect(origin.connections.length).toBeLessThan(2)
    })
  }

  for (const [name, byte] of Object.entries({ CR: '\r', LF: '\n', NUL: '\0', DEL: '\x7f', ESC: '\x1b', tab: '\t' })) {
    it(`a ${name} anywhere in it is refused and closed`, async () => {
      const { origin, proxy } = await refusingProxy(engine)
      const targets = ['/', '/s', '/s/a', '/s/a?b', '/s/a?b=c'].map((start) => `${start}${byte}x`)
      await Promise.all(targets.map((target) => expectRefused(proxy, request(target), [400, 505])))
      expect(origin.connections).toHaveLength(0)
    })
  }

  for (const method of ['POST', 'HEAD', 'PUT', 'DELETE', 'TRACE']) {
    it(`${method} with an asterisk is 400, and no endpoint hears of it`, async () => {
      const { origin, proxy } = await refusingProxy(engine)
      const response = await proxy.ask(request('*', [], '', method), { toHead: method === 'HEAD' })
      expect(response.status).toBe(400)
      expect(origin.connections).toHaveLength(0)
    })
  }
})

describeEngines('encoded CR and LF', (engine) => {
  it('stay encoded in a query, and in the value of a header', async () => {
    const origin = await answering((message) => ok('ok', `Location: ${message.start.split(' ')[1]}\r\n`))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const response = await proxy.ask(request('/s/a?b=%0d%0aSet-Cookie:%20x=1', ['X-Value: a%0d%0aX-Evil: 1']))
    expect(header(response, 'location')).toBe('/a?b=%0d%0aSet-Cookie:%20x=1')
    expect(headerLines(response, 'set-cookie')).toEqual([])
    const [seen] = origin.requests()
    expect([seen?.start, header(seen ?? { headers: [] }, 'x-value')]).toEqual([
      'GET /a?b=%0d%0aSet-Cookie:%20x=1 HTTP/1.1',
      'a%0d%0aX-Evil: 1',
    ])
  })

  it('in a path or a service name are 400, and the answer has no header that they spell', async () => {
    const { origin, proxy } = await refusingProxy(engine)
    for (const target of ['/s/%0d%0aX-Evil:%201', '/s/a%0aX-Evil:1', '/s%0d%0aX-Evil:1/', '/%0d%0a%0d%0a/']) {
      const response = await proxy.ask(request(target))
      expectProblem(response, 400)
      expect(headerLines(response, 'x-evil')).toEqual([])
    }
    expect(origin.connections).toHaveLength(0)
  })
})

describeEngines('OPTIONS with an asterisk', (engine) => {
  const bodies: readonly { name: string; fields: readonly string[]; body: string }[] = [
    { name: 'without a body', fields: [], body: '' },
    { name: 'with a body of known length', fields: ['Content-Length: 3'], body: 'abc' },
    { name: 'with a body in chunks', fields: ['Transfer-Encoding: chunked'], body: '3\r\nabc\r\n0\r\n\r\n' },
  ]
  for (const { name, fields, body } of bodies) {
    it(`${name} is answered by the proxy itself, and the connection is as good as before`, async () => {
      const { origin, proxy } = await refusingProxy(engine)
      const client = await proxy.client()
      client.send(request('*', fields, body, 'OPTIONS') + request('/s/next'))
      const own = await client.response()
      expect([own.status >= 200 && own.status < 300, own.body]).toEqual([true, ''])
      expect((await client.response()).status).toBe(200)
      expect(origin.requests().map(({ start }) => start)).toEqual(['GET /next HTTP/1.1'])
    })
  }

  it('is answered in its turn, behind requests that are still under way', async () => {
    const { origin, proxy } = await refusingProxy(engine)
    const client = await proxy.client()
    client.send(request('/s/first') + request('*', [], '', 'OPTIONS') + request('/s/last'))
    expect((await client.response()).body).toBe('ok')
    expect((await client.response()).body).toBe('')
    expect((await client.response()).body).toBe('ok')
    expect(origin.requests()).toHaveLength(2)
  })

  it('without a Host is refused as any request', async () => {
    const { proxy } = await refusingProxy(engine)
    await expectRefused(proxy, 'OPTIONS * HTTP/1.1\r\n\r\n', 400)
  })
})

describeEngines('CONNECT', (engine) => {
  for (const authority of ['example.test:443', '127.0.0.1:80', '[::1]:443']) {
    it(`to ${authority} is 405 and closed, and what follows is served by nobody`, async () => {
      const { origin, proxy } = await refusingProxy(engine)
      await expectRefused(proxy, `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`, 405)
      expect(origin.connections).toHaveLength(0)
    })
  }
})
