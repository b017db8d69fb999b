import { expect, it } from 'vitest'
import { describeEngines } from './engines.ts'
import { post, request, startProxy } from './harness.ts'
import { chunked, header, type Message } from './messages.ts'
import { hidden } from './refused.ts'
import { answering, ok, type RawClient, startOrigin } from './sockets.ts'

const echo = (seen: Message) => ok(`${seen.start.split(' ')[1]} ${seen.body}`)

/** A body of known length, one in chunks with a trailer, and none: each followed at once by the next. */
const pipeline =
  post('/s/1', 'one') +
  request('/s/2', ['Transfer-Encoding: chunked'], chunked(['t', 'wo'], 'X-T: y\r\n'), 'PUT') +
  request('/s/3')
const answers = ['/1 one', '/2 two', '/3 ']

async function bodiesOf(client: RawClient, count: number): Promise<string[]> {
  const bodies: string[] = []
  for (let turn = 0; turn < count; turn++) bodies.push((await client.response()).body)
  return bodies
}

describeEngines('pipelined requests', (engine) => {
  it('in one piece are answered in order, each with its own body', async () => {
    const origin = await answering(echo)
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(pipeline)
    expect(await bodiesOf(client, 3)).toEqual(answers)
    expect(origin.requests().map(({ body, trailers }) => [body, trailers.length])).toEqual([
      ['one', 0],
      ['two', 1],
      ['', 0],
    ])
  })

  for (const keepAlive of [false, true]) {
    it(`byte by byte are answered in order, upstream keep-alive ${keepAlive ? 'on' : 'off'}`, async () => {
      const origin = await answering(echo)
      const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive } })
      const client = await proxy.client()
      await client.sendSlowly([...pipeline])
      expect(await bodiesOf(client, 3)).toEqual(answers)
      expect(origin.requests()).toHaveLength(3)
    })
  }

  it('cut in two at every place are answered in order', async () => {
    const origin = await answering(echo)
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const places = Array.from({ length: pipeline.length - 1 }, (_, at) => at + 1)
    const runs = places.map(async (at) => {
      const client = await proxy.client()
      await client.sendSlowly([pipeline.slice(0, at), pipeline.slice(at)])
      expect(await bodiesOf(client, 3), `cut at ${at}`).toEqual(answers)
      client.socket.destroy()
    })
    await Promise.all(runs)
    expect(origin.requests()).toHaveLength(3 * places.length)
  })

  it('whose answers come cut in two at every place are answered in order', async () => {
    const answer = `HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(['abc', 'de'], 'X-T: y\r\n')}`
    let turn = 0
    const origin = await startOrigin(async (connection) => {
      await connection.request()
      const at = ++turn
      await connection.sendSlowly([answer.slice(0, at), answer.slice(at)])
      connection.end()
    })
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    for (let sent = 1; sent < answer.length; sent++) client.send(request('/s/'))
    for (let at = 1; at < answer.length; at++) {
      const response = await client.response()
      expect([response.body, response.trailers, header(response, 'x-a')], `cut at ${at}`).toEqual([
        'abcde',
        [['X-T', 'y']],
        'b',
      ])
    }
  })

  it('behind one that asks to close are never served', async () => {
    const origin = await answering(echo)
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const closing = [
      request('/s/1', ['Connection: close']),
      request('/s/1', ['Connection: X-Y, Close']),
      'GET /s/1 HTTP/1.0\r\nHost: a\r\n\r\n',
      post('/s/1', 'abc', ['Connection: close']),
    ]
    for (const bytes of closing) {
      const client = await proxy.client()
      client.send(bytes + hidden)
      const response = await client.response()
      expect(response.status).toBe(200)
      await client.untilOver()
      expect([client.received, client.error]).toEqual(['', null])
    }
    expect(origin.requests().map(({ start }) => start.split(' ')[1])).toEqual(closing.map(() => '/1'))
  })

  it('behind one whose answer is cut are never served', async () => {
    const origin = await startOrigin(async (connection) => {
      await connection.request()
      connection.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
    })
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/1') + hidden)
    await client.untilClosed()
    expect(client.error).toBe('ECONNRESET')
    await proxy.record()
    expect(origin.connections).toHaveLength(1)
  })

  it('behind one that the endpoint fails are served all the same', async () => {
    const origin = await startOrigin(async (connection) => {
      const seen = await connection.request()
      if (seen.start.includes('/bad')) connection.reset()
      else connection.end(ok('good'))
    })
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(post('/s/bad', 'abc') + request('/s/good'))
    expect((await client.response()).status).toBe(502)
    expect((await client.response()).body).toBe('good')
  })

  it('behind a body that the endpoint answers early are served, or the connection is closed', async () => {
    const origin = await startOrigin(async (connection) => {
      const head = await connection.head()
      connection.end(ok(head.startsWith('POST') ? 'early' : 'next'))
    })
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const client = await proxy.client()
    client.send(request('/s/', ['Content-Length: 10'], 'abc', 'POST'))
    const early = await client.response()
    expect(early.body).toBe('early')
    client.send(`defghij${request('/s/')}`)
    if (header(early, 'connection') === 'close') await client.untilOver()
    else expect((await client.response()).body).toBe('next')
  })

  it('more than anybody reads at once are all answered in order', async () => {
    const origin = await answering(echo)
    const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive: true } })
    const client = await proxy.client()
    const count = 200
    const body = 'x'.repeat(1_000)
    client.send(Array.from({ length: count }, (_, turn) => post(`/s/${turn}`, body)).join(''))
    for (let turn = 0; turn < count; turn++) expect((await client.response()).body).toBe(`/${turn} ${body}`)
  })
})
