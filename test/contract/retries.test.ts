import { expect, it } from 'vitest'
import { waitFor } from '../support/wait.ts'
import { describeEngines } from './engines.ts'
import { fullEndpoint } from './full-endpoint.ts'
import { post, request, startProxy } from './harness.ts'
import { chunked, header } from './messages.ts'
import { answering, ok, refusingEndpoint, startOrigin } from './sockets.ts'
import { switched, switching } from './switching.ts'

describeEngines('a request that no endpoint has had yet', (engine) => {
  const whole: readonly { name: string; bytes: string; body: string; trailers?: number }[] = [
    { name: 'a POST', bytes: post('/s/', 'abc'), body: 'abc' },
    {
      name: 'a POST in chunks with trailers',
      bytes: request('/s/', ['Transfer-Encoding: chunked'], chunked(['ab', 'c'], 'X-T: y\r\n'), 'POST'),
      body: 'abc',
      trailers: 1,
    },
    {
      name: 'a PATCH of a megabyte',
      bytes: request('/s/', ['Content-Length: 1048576'], 'x'.repeat(1_048_576), 'PATCH'),
      body: 'x'.repeat(1_048_576),
    },
    { name: 'an empty POST', bytes: post('/s/', ''), body: '' },
  ]
  for (const { name, bytes, body, trailers = 0 } of whole) {
    it(`${name} goes to the next when one refuses the connection, and arrives whole and once`, async () => {
      const good = await answering((seen) => ok(String(seen.body.length)))
      const dead = [await refusingEndpoint(), await refusingEndpoint()]
      const proxy = await startProxy(engine, { services: { s: [...dead, good] } })
      for (let turn = 0; turn < 3; turn++) {
        const client = await proxy.client()
        client.send(bytes + request('/s/next'))
        expect((await client.response()).body).toBe(String(body.length))
        expect((await client.response()).status).toBe(200)
        client.socket.destroy()
      }
      const seen = good.requests().filter(({ start }) => !start.includes('/next'))
      expect(seen.map((message) => [message.body === body, message.trailers.length])).toEqual(
        Array(3).fill([true, trailers]),
      )
      expect(new Set(proxy.retries.map(({ reason }) => reason))).toEqual(new Set(['connect-failed']))
    })
  }

  it('whose body is still coming goes to the next one, and the rest of it too', async () => {
    const full = await fullEndpoint()
    const good = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [full, good] }, upstream: { connectTimeoutMs: 300 } })
    for (let turn = 0; turn < 2; turn++) {
      const client = await proxy.client()
      client.send(request('/s/', ['Content-Length: 6'], 'abc', 'POST'))
      const connection = await good.connection(turn)
      await connection.until('abc')
      client.send('def')
      expect((await connection.request()).body).toBe('abcdef')
      connection.end(ok())
      expect((await client.response()).status).toBe(200)
    }
    expect(proxy.attempts.map(({ outcome }) => outcome)).toContain('timed-out')
  })

  it('to switch protocols goes to the next one, with the bytes that came behind it', async () => {
    const good = await startOrigin()
    const proxy = await startProxy(engine, { services: { s: [await refusingEndpoint(), good] } })
    for (let turn = 0; turn < 2; turn++) {
      const client = await proxy.client()
      client.send(`${switching()}early`)
      const connection = await good.connection(turn)
      await connection.request()
      connection.send(switched)
      expect((await client.response()).status).toBe(101)
      await connection.until('early')
      client.reset()
      await connection.untilOver()
    }
  })
})

describeEngines('a request that an endpoint has had', (engine) => {
  const never: readonly { name: string; bytes: string }[] = [
    { name: 'a POST', bytes: post('/s/', 'abc') },
    { name: 'a POST without a body', bytes: request('/s/', [], '', 'POST') },
    { name: 'a PUT with a body', bytes: request('/s/', ['Content-Length: 3'], 'abc', 'PUT') },
    { name: 'a PATCH', bytes: request('/s/', ['Transfer-Encoding: chunked'], chunked(['abc']), 'PATCH') },
  ]
  for (const { name, bytes } of never) {
    it(`${name} is sent once, whatever becomes of it`, async () => {
      const dying = await startOrigin(async (connection) => {
        await connection.request()
        connection.reset()
      })
      const proxy = await startProxy(engine, { services: { s: [dying, dying, dying] } })
      expect((await proxy.ask(bytes)).status).toBe(502)
      expect(dying.requests()).toHaveLength(1)
    })
  }

  for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE', 'PUT']) {
    it(`a ${method} without a body goes to another one when the first breaks off, and the client sees one answer`, async () => {
      const dying = await startOrigin(async (connection) => {
        await connection.request()
        connection.send('HTTP/1.1 103 Early Hints\r\n')
        connection.reset()
      })
      const good = await answering((seen) => ok('good').slice(0, seen.start.startsWith('HEAD') ? -4 : undefined))
      const proxy = await startProxy(engine, { services: { s: [dying, good] } })
      for (let turn = 0; turn < 4; turn++) {
        const response = await proxy.ask(request('/s/', [], '', method), { toHead: method === 'HEAD' })
        expect([response.status, header(response, 'content-length')]).toEqual([200, '4'])
      }
      expect(dying.requests().length).toBe(proxy.retries.length)
      expect(proxy.retries.length).toBeGreaterThan(0)
    })
  }

  it('is not sent again once a byte of its answer is with the client', async () => {
    const dying = await startOrigin(async (connection) => {
      await connection.request()
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
      await waitFor('the client to have it', () => seen)
      connection.reset()
    })
    let seen = false
    const proxy = await startProxy(engine, { services: { s: [dying, dying] } })
    const client = await proxy.client()
    client.send(request('/s/'))
    await client.until('abc')
    seen = true
    expect(await client.untilCut()).toBe(true)
    expect(dying.requests()).toHaveLength(1)
  })
})
