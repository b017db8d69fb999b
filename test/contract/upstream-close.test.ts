import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { post, request, startProxy } from './harness.ts'
import { chunked } from './messages.ts'
import { type OriginConnection, ok, startOrigin } from './sockets.ts'

const large = 'x'.repeat(4 * 1024 * 1024)
const answers: readonly { name: string; bytes: string; body: string; end: boolean }[] = [
  { name: 'of known length', bytes: ok('whole'), body: 'whole', end: false },
  {
    name: 'in chunks',
    bytes: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(['who', 'le'])}`,
    body: 'whole',
    end: false,
  },
  { name: 'that ends with its connection', bytes: 'HTTP/1.1 200 OK\r\n\r\nwhole', body: 'whole', end: true },
  { name: 'of many megabytes', bytes: ok(large), body: large, end: false },
]

describeEngines('a connection that is not kept, behind an answer', (engine) => {
  for (const { name, bytes, body, end } of answers) {
    for (const close of ['fin', 'rst'] as const) {
      it(`${name}, with upstream.close ${close}: the client gets the whole of it, the endpoint ${close === 'rst' && !end ? 'a reset' : 'no reset'}`, async () => {
        const origin = await startOrigin(async (connection) => {
          await connection.request()
          connection.send(bytes)
          if (end) connection.end()
        })
        const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { close } })
        for (const [turn, ask] of [request('/s/'), post('/s/', 'abc')].entries()) {
          expect((await proxy.ask(ask)).body === body).toBe(true)
          const connection = await origin.connection(turn)
          await connection.untilOver()
          if (close === 'rst' && !end) expect(connection.error).toBe('ECONNRESET')
          if (close === 'fin') expect([connection.ended, connection.error]).toEqual([true, null])
        }
      })
    }
  }

  it('with upstream.close rst and an endpoint that closes at once: the client gets the whole answer', async () => {
    const closing = async (connection: OriginConnection): Promise<void> => {
      await connection.request()
      connection.end(ok(large))
    }
    const origin = await startOrigin(closing)
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { close: 'rst' } })
    const client = await proxy.client()
    for (let turn = 0; turn < 5; turn++) {
      client.send(request('/s/'))
      expect((await client.response()).body.length).toBe(large.length)
    }
  })

  it('with upstream.close rst, kept connections are kept', async () => {
    const origin = await startOrigin(async (connection) => {
      for (;;) {
        await connection.request()
        connection.send(ok())
      }
    })
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive: true, close: 'rst' } })
    for (let turn = 0; turn < 3; turn++) expect((await proxy.ask(request('/s/'))).body).toBe('ok')
    expect(origin.connections).toHaveLength(1)
    expect(origin.connections[0]?.over).toBe(false)
  })
})
