import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { startProxy } from './harness.ts'
import { chunked, header, headerLines, type Message } from './messages.ts'
import { answering, ok } from './sockets.ts'

const inChunks = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(['ab', 'cd'], 'X-T: 1\r\n')}`
const old = (lines: readonly string[] = [], body = '', method = 'GET') =>
  `${[`${method} /s/ HTTP/1.0`, ...lines].join('\r\n')}\r\n\r\n${body}`
const keep = 'Connection: keep-alive'

describeEngines('a client that speaks HTTP/1.0', (engine) => {
  const closed: readonly { name: string; bytes: string; answer: string; body: string }[] = [
    { name: 'that asks for nothing', bytes: old(), answer: ok(), body: 'ok' },
    { name: 'that asks to close', bytes: old(['Connection: close']), answer: ok(), body: 'ok' },
    { name: 'with an answer in chunks', bytes: old(), answer: inChunks, body: 'abcd' },
    { name: 'that asks for keep-alive, with an answer in chunks', bytes: old([keep]), answer: inChunks, body: 'abcd' },
    { name: 'with a POST', bytes: old(['Content-Length: 3'], 'abc', 'POST'), answer: ok(), body: 'ok' },
  ]
  for (const { name, bytes, answer, body } of closed) {
    it(`${name} gets a plain body, and the end of it is the end of the connection`, async () => {
      const proxy = await startProxy(engine, { services: { s: [await answering(answer)] } })
      const client = await proxy.client()
      client.send(bytes)
      await client.untilOver()
      const response = await client.response()
      expect([response.status, response.body, header(response, 'transfer-encoding')]).toEqual([200, body, undefined])
      expect(headerLines(response, 'connection')).not.toContain('keep-alive')
      expect([client.error, client.received]).toEqual([null, ''])
    })
  }

  const kept: readonly { name: string; bytes: string; toHead?: boolean }[] = [
    { name: 'a GET', bytes: old([keep]) },
    { name: 'a GET in other case', bytes: old(['connection: Keep-Alive']) },
    { name: 'a HEAD', bytes: old([keep], '', 'HEAD'), toHead: true },
    { name: 'a POST', bytes: old([keep, 'Content-Length: 3'], 'abc', 'POST') },
  ]
  for (const { name, bytes, toHead = false } of kept) {
    it(`may use its connection again when it says so with ${name} and the length of the answer is known`, async () => {
      const origin = await answering((seen) => (seen.start.startsWith('HEAD') ? ok('ok').slice(0, -2) : ok()))
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const client = await proxy.client()
      client.send(bytes + bytes)
      for (let turn = 0; turn < 2; turn++) {
        const response = await client.response({ toHead })
        expect([response.status, header(response, 'connection')?.toLowerCase()]).toEqual([200, 'keep-alive'])
      }
      client.send(old())
      expect((await client.response()).body).toBe('ok')
      await client.untilOver()
    })
  }

  it('without a Host is served, and the endpoint gets one all the same', async () => {
    const origin = await answering(ok())
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    expect((await proxy.ask(old())).status).toBe(200)
    const [seen] = origin.requests()
    expect([seen?.start, header(seen as Message, 'host')]).toEqual(['GET / HTTP/1.1', origin.endpoint.id])
  })

  it('that asks for a service that is not there, or for nonsense, gets its error and a close', async () => {
    const proxy = await startProxy(engine, { services: {} })
    for (const [bytes, status] of [
      ['GET /nowhere/ HTTP/1.0\r\n\r\n', 404],
      ['GET / HTTP/1.0\r\n\r\n', 400],
      ['GET /s/\0 HTTP/1.0\r\n\r\n', 400],
    ] as const) {
      const client = await proxy.client()
      client.send(bytes)
      expect((await client.response()).status).toBe(status)
      await client.untilOver()
    }
  })

  it('gets a 204 and a 304 without a body, and its connection back', async () => {
    for (const status of ['204 No Content', '304 Not Modified']) {
      const proxy = await startProxy(engine, { services: { s: [await answering(`HTTP/1.1 ${status}\r\n\r\n`)] } })
      const client = await proxy.client()
      client.send(old())
      expect((await client.response()).status).toBe(Number(status.slice(0, 3)))
      await client.untilOver()
      expect([client.received, client.error]).toEqual(['', null])
    }
  })
})
