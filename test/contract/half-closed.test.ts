import { expect, it } from 'vitest'
import { waitFor } from '../support/wait.ts'
import { describeEngines } from './engines.ts'
import { post, request, startProxy } from './harness.ts'
import { chunked, type Message } from './messages.ts'
import { answering, ok, type RawClient, refusingEndpoint, startOrigin } from './sockets.ts'

/** The next final response: interim ones ask whether the client is still there, and none may come in HTTP/1.0. */
async function finalResponse(client: RawClient): Promise<Message> {
  for (;;) {
    const response = await client.response()
    if (response.status >= 200) return response
  }
}

const inChunks = request('/s/', ['Transfer-Encoding: chunked'], chunked(['ab', 'c']), 'POST')
const oldGet = 'GET /s/ HTTP/1.0\r\nHost: a\r\n\r\n'
const oldPost = 'POST /s/ HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc'

describeEngines('a client that has said all it has to say and closes its side', (engine) => {
  const reason = engine.cannot['half-closed-client-answered']
  const requests: readonly { name: string; bytes: string }[] = [
    { name: 'a GET', bytes: request('/s/') },
    { name: 'a GET that asks to close', bytes: request('/s/', ['Connection: close']) },
    { name: 'a POST of known length', bytes: post('/s/', 'abc') },
    { name: 'a POST in chunks', bytes: inChunks },
    { name: 'a GET in HTTP/1.0', bytes: oldGet },
    { name: 'a POST in HTTP/1.0', bytes: oldPost },
  ]
  const newRequests = requests.filter(({ bytes }) => !bytes.includes('HTTP/1.0'))
  if (reason !== undefined) {
    for (const { name, bytes } of requests) {
      it(`behind ${name} is answered or taken for gone, and never half (${reason})`, async () => {
        const proxy = await startProxy(engine, { services: { s: [await answering(ok('whole'))] } })
        const client = await proxy.client()
        client.end(bytes)
        await client.untilClosed()
        if (client.received !== '') expect((await client.response()).body).toBe('whole')
      })
    }
  } else {
    for (const { name, bytes } of requests) {
      it(`behind ${name} gets its answer, and then the connection is closed`, async () => {
        const origin = await answering((seen) => ok(`whole ${seen.body}`))
        const proxy = await startProxy(engine, { services: { s: [origin] } })
        const client = await proxy.client()
        client.end(bytes)
        expect((await finalResponse(client)).body).toBe(bytes.includes('POST') ? 'whole abc' : 'whole ')
        await client.untilClosed()
        expect([client.received, client.error]).toEqual(['', null])
        expect(await proxy.record()).toMatchObject({ status: 200, outcome: 'responded' })
      })

      it(`behind ${name} gets an answer that takes a while`, async () => {
        const origin = await startOrigin()
        const proxy = await startProxy(engine, { services: { s: [origin] } })
        const client = await proxy.client()
        client.end(bytes)
        const connection = await origin.connection()
        await connection.request()
        const start = performance.now()
        await waitFor('a while', () => performance.now() - start > 300)
        expect([connection.over, client.over]).toEqual([false, false])
        connection.end(ok('late'))
        expect((await finalResponse(client)).body).toBe('late')
        await client.untilClosed()
        expect(client.error).toBeNull()
      })
    }

    for (const [name, bytes] of [
      ['HTTP/1.1', request('/s/')],
      ['HTTP/1.0', oldGet],
    ] as const) {
      it(`gets a large answer whole, ${name}`, async () => {
        const body = 'x'.repeat(8 * 1024 * 1024)
        const proxy = await startProxy(engine, { services: { s: [await answering(ok(body))] } })
        const client = await proxy.client()
        client.end(bytes)
        expect((await finalResponse(client)).body.length).toBe(body.length)
        await client.untilClosed()
        expect(client.error).toBeNull()
      })

      it(`gets an answer in pieces, chunked and closed by its end, ${name}`, async () => {
        const framings = [
          ['Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n', '3\r\ndef\r\n0\r\n\r\n'],
          ['', 'abc', 'def'],
        ]
        for (const [turn, [field, first, last]] of framings.entries()) {
          const origin = await startOrigin()
          const proxy = await startProxy(engine, { services: { s: [origin] } })
          const client = await proxy.client()
          client.end(bytes)
          const connection = await origin.connection()
          await connection.request()
          connection.send(`HTTP/1.1 200 OK\r\n${field}\r\n${first}`)
          await client.until('abc')
          connection.end(last)
          expect((await finalResponse(client)).body, `framing ${turn}`).toBe('abcdef')
        }
      })
    }

    it('gets an answer in chunks that pauses for longer than anybody is patient', async () => {
      const answers = [
        ['3\r\nabc\r\n', '3\r\ndef\r\n0\r\n\r\n'],
        ['6\r\nabcdef\r\n', '0\r\nX-T: y\r\n\r\n'],
        ['6\r\nabc', 'def\r\n0\r\n\r\n'],
        ['', '6\r\nabcdef\r\n0\r\n\r\n'],
      ]
      const origin = await startOrigin()
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const run = async ([first = '', last = '']: readonly string[]): Promise<void> => {
        const client = await proxy.client()
        const turn = origin.connections.length
        client.end(request('/s/'))
        const connection = await origin.connection(turn)
        await connection.request()
        connection.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${first}`)
        pausing.push(async () => {
          connection.end(last)
          expect((await finalResponse(client)).body).toBe('abcdef')
        })
      }
      const pausing: (() => Promise<void>)[] = []
      for (const answer of answers) await run(answer)
      const start = performance.now()
      await waitFor('a pause', () => performance.now() - start > 2_300)
      await Promise.all(pausing.map((goOn) => goOn()))
    })

    it('behind pipelined requests gets every answer', async () => {
      const origin = await answering((seen) => ok(`${seen.start.split(' ')[1]} ${seen.body}`))
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const client = await proxy.client()
      client.end(request('/s/1') + post('/s/2', 'two') + request('/nowhere') + request('/s/4'))
      const seen: string[] = []
      for (let turn = 0; turn < 4; turn++) {
        const { status, body } = await finalResponse(client)
        seen.push(status === 200 ? body : String(status))
      }
      expect(seen).toEqual(['/1 ', '/2 two', '404', '/4 '])
      await client.untilClosed()
    })

    it('gets the answer of another endpoint when the first refuses, and the proxy’s own when all do', async () => {
      const [dead, good] = [await refusingEndpoint(), await answering((seen) => ok(seen.body))]
      const proxy = await startProxy(engine, { services: { s: [dead, good], dead: [dead] } })
      for (let turn = 0; turn < 2; turn++) {
        const client = await proxy.client()
        client.end(post('/s/', 'abc'))
        expect((await finalResponse(client)).body).toBe('abc')
      }
      const client = await proxy.client()
      client.end(post('/dead/', 'abc'))
      expect((await finalResponse(client)).status).toBe(502)
      await client.untilClosed()
    })

    it('sees a cut when the endpoint breaks off in the body, never a complete answer', async () => {
      const origin = await startOrigin(async (connection) => {
        await connection.request()
        connection.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
      })
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const client = await proxy.client()
      client.end(request('/s/'))
      await client.untilClosed()
      expect([client.error, client.ended]).toEqual(['ECONNRESET', false])
    })

    it('is never told of interim answers in HTTP/1.0', async () => {
      const origin = await startOrigin()
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const client = await proxy.client()
      client.end(oldGet)
      const connection = await origin.connection()
      await connection.request()
      connection.send('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
      const start = performance.now()
      await waitFor('a while', () => performance.now() - start > 100)
      connection.end(ok())
      expect((await client.response()).status).toBe(200)
    })
  }

  for (const [name, leave] of [
    ['closes', (client: RawClient) => client.socket.destroy()],
    ['resets', (client: RawClient) => client.reset()],
  ] as const) {
    it(`and then ${name} the rest of it: the endpoint is told, and it is logged as 499`, async () => {
      const origin = await startOrigin()
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      for (const [turn, { bytes }] of newRequests.entries()) {
        const client = await proxy.client()
        client.send(bytes)
        await new Promise<void>((resolve) => client.socket.end(() => resolve()))
        await (await origin.connection(turn)).head()
        leave(client)
      }
      for (const connection of origin.connections) await connection.untilOver()
      await proxy.record(newRequests.length - 1)
      expect(proxy.records.map(({ status, outcome }) => `${status} ${outcome}`)).toEqual(
        newRequests.map(() => '499 client-left'),
      )
    })

    it(`and ${name} all of it right behind its request: it is logged as 499, and no endpoint is blamed`, async () => {
      const origin = await startOrigin()
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const count = newRequests.length * 5
      const clients = await Promise.all(Array.from({ length: count }, () => proxy.client()))
      for (const [turn, client] of clients.entries()) {
        client.socket.write(newRequests[turn % newRequests.length]?.bytes ?? '', () => leave(client))
      }
      await proxy.record(count - 1)
      expect(new Set(proxy.records.map(({ status, outcome }) => `${status} ${outcome}`))).toEqual(
        new Set(['499 client-left']),
      )
      for (const connection of origin.connections) await connection.untilOver()
    })
  }

  const unfinished: readonly { name: string; bytes: string }[] = [
    { name: 'nothing at all', bytes: '' },
    { name: 'an empty line', bytes: '\r\n' },
    { name: 'half a request line', bytes: 'GET /s/' },
    { name: 'half a head', bytes: 'GET /s/ HTTP/1.1\r\nHost: example.test\r\n' },
    { name: 'half a body of known length', bytes: request('/s/', ['Content-Length: 10'], 'abc', 'POST') },
    { name: 'half a body in chunks', bytes: request('/s/', ['Transfer-Encoding: chunked'], '3\r\nabc\r\n', 'POST') },
    { name: 'half a chunk', bytes: request('/s/', ['Transfer-Encoding: chunked'], '30\r\nabc', 'POST') },
    { name: 'half of the trailers', bytes: request('/s/', ['Transfer-Encoding: chunked'], '0\r\nX: y\r\n', 'POST') },
  ]
  for (const { name, bytes } of unfinished) {
    it(`behind ${name}: the connection is closed, and no endpoint sees a complete request`, async () => {
      const origin = await startOrigin()
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      const client = await proxy.client()
      client.end(bytes)
      await client.untilClosed()
      if (client.received !== '') expect((await client.response()).status).toBe(400)
      for (const connection of origin.connections) await connection.untilOver()
      expect(origin.completeRequests()).toEqual([])
    })
  }
})
