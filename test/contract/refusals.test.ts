import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { post, request, startProxy } from './harness.ts'
import { header } from './messages.ts'
import { expectProblem } from './problem.ts'
import { answering, ok } from './sockets.ts'

describeEngines('targets', (engine) => {
  const unsafe = [
    '/s/..',
    '/s/../t',
    '/s/a/../../t',
    '/s/%2e%2e/t',
    '/s/%2E./t',
    '/s/.%2e/t',
    '/s/a/%2e%2e/%2e%2e/t',
    '/s/..%2ft',
    '/s/..%2Ft',
    '/s/..%5ct',
    '/s/%2e%2e%2f%2e%2e%2ft',
    '/s/a%2f..%2f..',
    '/s/a%5cb%2f..%2f..%2ft',
    '/s/a%2fb%5c..%5c..%5ct',
    '/s/./../t',
    '/s//../t',
    '/s/..;/t',
    '/s/a/..;x=1/..;/t',
    '/s/%2e%2e;/t',
    '/s/\\..\\t',
    '/s\\t',
    '/s/a\\b',
    '/s/%00',
    '/s/a%00b',
    '/s/%0d%0aX:y',
    '/s/%7f',
    '/s/%',
    '/s/%4',
    '/s/%zz',
    '/s/%u002e',
    '/s/%c0%ae%c0%ae/t',
    '/s/%e0%80%af',
    '/s/%f0%80%80%af',
    '/',
    '//',
    '//s/a',
    '/./s/',
    '/../s/',
    '/%2e%2e/s/',
    '/%2fs/',
    '/a%2fb/',
    '/%00/',
    '/%/',
    '/%ff/',
    '/?a',
    's/a',
    'example.test/s/',
    '/s/a#b',
    '/s#',
    'ftp://example.test/s/',
    'http://other.test/s/',
    'http://example.test@evil.test/s/',
    'https:///s/a',
  ]
  it('that could be read in two ways, or leave their service, are 400, and no endpoint hears of them', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin], t: [origin] } })
    for (const target of unsafe) {
      const response = await proxy.ask(request(target))
      expect(`${target} ${response.status}`).toBe(`${target} 400`)
      expectProblem(response, 400)
    }
    expect(origin.connections).toHaveLength(0)
    expect(proxy.records.every(({ outcome }) => outcome === 'refused')).toBe(true)
  })

  it('that are refused leave the connection as good as before', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(post('/s/..', 'GET /s/ HTTP/1.1\r\n\r\n') + request('/s/fine'))
    expectProblem(await client.response(), 400)
    expect((await client.response()).status).toBe(200)
    expect(origin.requests().map(({ start }) => start)).toEqual(['GET /fine HTTP/1.1'])
  })

  it('with characters that must be encoded are 400 and closed', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    for (const target of ['/s/a b', '/s/\xe9', '/s/\x01', '/s/a\tb', '/s/\0']) {
      const response = await proxy.ask(request(target))
      expect(`${target} ${response.status}`).toBe(`${target} 400`)
    }
    expect(origin.connections).toHaveLength(0)
  })

  it('that look odd and are not unsafe go through as they are', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin], 'a b': [origin] } })
    const odd = [
      '/s',
      '/s?x',
      '/s/',
      '/s//',
      '/s/a//b',
      '/s/a/../b',
      '/s/...',
      '/s/..a',
      '/s/a..',
      '/s/.',
      '/s/%2f',
      '/s/a%2fb',
      '/s/%252e%252e/',
      '/s/%c3%a9',
      '/s/%e9',
      '/s/a;b=c',
      '/s/!$&\'()*+,=:@~|^`{}[]<>"',
      '/s/?/../..',
      '/%73/x',
      '/a%20b/x',
    ]
    for (const target of odd) expect(`${target} ${(await proxy.ask(request(target))).status}`).toBe(`${target} 200`)
    expect(origin.requests().map(({ start }) => start.split(' ')[1])).toEqual([
      '/',
      '/?x',
      '/',
      '//',
      '/a//b',
      '/a/../b',
      '/...',
      '/..a',
      '/a..',
      '/.',
      '/%2f',
      '/a%2fb',
      '/%252e%252e/',
      '/%c3%a9',
      '/%e9',
      '/a;b=c',
      '/!$&\'()*+,=:@~|^`{}[]<>"',
      '/?/../..',
      '/x',
      '/x',
    ])
  })

  it('of CONNECT are 405 and closed, in their turn', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(`${request('/s/')}CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n${request('/s/')}`)
    expect((await client.response()).status).toBe(200)
    const refused = await client.response()
    expectProblem(refused, 405)
    expect(header(refused, 'allow')).toContain('GET')
    await client.untilOver()
    expect(client.received).toBe('')
    expect(origin.requests()).toHaveLength(1)
  })
})
