import { expect, it } from 'vitest'
import { describeEngines, type EngineUnderTest } from './engines.ts'
import { request, type Proxy as StartedProxy, startProxy } from './harness.ts'
import { hidden, insertions, omissions, shown } from './refused.ts'
import { answering, type Origin, ok, startOrigin } from './sockets.ts'

const inChunks = (body: string) => request('/s/', ['Transfer-Encoding: chunked'], body, 'POST')

/** An endpoint that never answers: whatever the client gets is the proxy's own. */
async function silent(engine: EngineUnderTest): Promise<{ origin: Origin; proxy: StartedProxy }> {
  const origin = await startOrigin()
  const proxy = await startProxy(engine, { services: { s: [origin] } })
  return { origin, proxy }
}

/** Whatever the endpoint was told before the fault was seen, it is no request that is complete. */
async function expectRefusedBody(proxy: StartedProxy, body: string, status: number | readonly number[] = 400) {
  const client = await proxy.client()
  client.send(inChunks(body) + hidden)
  const response = await client.response()
  expect([status].flat(), shown(body)).toContain(response.status)
  await client.untilOver()
  expect([client.received, client.error], shown(body)).toEqual(['', null])
  client.socket.destroy()
}

async function expectNothingComplete({ origin }: { origin: Origin }): Promise<void> {
  for (const connection of origin.connections) await connection.untilOver()
  expect(origin.completeRequests()).toEqual([])
  expect(origin.connections.every(({ received }) => !received.startsWith('GET /hidden'))).toBe(true)
}

describeEngines('chunk framing with a stray byte', (engine) => {
  const body = '3;a="b c"\r\nabc\r\n0;x\r\nX-T: a b\r\n\r\n'
  for (const [name, byte] of Object.entries({
    'bare CR': '\r',
    'bare LF': '\n',
    NUL: '\0',
    DEL: '\x7f',
    ESC: '\x1b',
  })) {
    it(`a ${name} at any place is refused and closed, and the endpoint sees no complete request`, async () => {
      const setup = await silent(engine)
      const broken = insertions(body, byte).filter((bytes) => !bytes.startsWith(body))
      expect(broken.length).toBeGreaterThan(30)
      await Promise.all(broken.map((bytes) => expectRefusedBody(setup.proxy, bytes)))
      await expectNothingComplete(setup)
    })
  }

  for (const [name, byte] of Object.entries({ CR: '\r', LF: '\n' })) {
    it(`a missing ${name}, whichever it is, is refused and closed, and the endpoint sees no complete request`, async () => {
      const setup = await silent(engine)
      const broken = omissions(body, byte)
      expect(broken).toHaveLength(5)
      await Promise.all(broken.map((bytes) => expectRefusedBody(setup.proxy, bytes)))
      await expectNothingComplete(setup)
    })
  }
})

describeEngines('chunk framing that is not', (engine) => {
  const cases: readonly { name: string; body: string }[] = [
    ...['0x0', '0X3', '+0', '-0', '-1', ' 0', '0 0', '3,', '3.0', 'g', '3g', '０', '0_3', "'3'", '3h', '3\t;x'].map(
      (size) => ({ name: `a size of ${JSON.stringify(size)}`, body: `${size}\r\nabc\r\n0\r\n\r\n` }),
    ),
    ...['10000000000000003', `1${'0'.repeat(40)}`, 'f'.repeat(300)].map((size) => ({
      name: `a size that overflows, ${size.slice(0, 20)}`,
      body: `${size}\r\nabc\r\n0\r\n\r\n`,
    })),
    { name: 'an extension without a size', body: ';a=b\r\nabc\r\n0\r\n\r\n' },
    { name: 'a size of a second chunk with a sign', body: '3\r\nabc\r\n+3\r\nabc\r\n0\r\n\r\n' },
    { name: 'a last chunk that is signed', body: '3\r\nabc\r\n-0\r\n\r\n' },
    { name: 'data that is one byte short of its size', body: '4\r\nabc\r\n0\r\n\r\n' },
    { name: 'data that is one byte longer than its size', body: '2\r\nabc\r\n0\r\n\r\n' },
    { name: 'two CRLF behind the data', body: '3\r\nabc\r\n\r\n0\r\n\r\n' },
    { name: 'a LF CR behind the data', body: '3\r\nabc\n\r0\r\n\r\n' },
    { name: 'a request where the last chunk should be', body: `3\r\nabc\r\n${hidden}` },
    { name: 'a trailer whose name is no token', body: '0\r\nX(: a\r\n\r\n' },
    { name: 'a trailer with a space before its colon', body: '0\r\nX : a\r\n\r\n' },
    { name: 'a trailer without a name', body: '0\r\n: a\r\n\r\n' },
    { name: 'a first trailer that is folded', body: '0\r\n X: a\r\n\r\n' },
    { name: 'a request line for a trailer', body: '0\r\nGET /s/hidden HTTP/1.1\r\nHost: example.test\r\n\r\n' },
  ]
  for (const { name, body } of cases) {
    it(`${name}: 400 and closed, and the endpoint sees no complete request`, async () => {
      const setup = await silent(engine)
      await expectRefusedBody(setup.proxy, body)
      await expectNothingComplete(setup)
    })
  }

  for (const size of ['20000000000000', '8000000000000000', 'ffffffffffffffff']) {
    const reason = engine.cannot['sizes-in-53-bits']
    if (reason === undefined) {
      it(`a size beyond what can be counted, ${size}: 400 and closed, and the endpoint sees no complete request`, async () => {
        const setup = await silent(engine)
        await expectRefusedBody(setup.proxy, `${size}\r\nabc\r\n0\r\n\r\n`)
        await expectNothingComplete(setup)
      })
      continue
    }
    it(`a size beyond what can be counted, ${size}, never completes a request (${reason})`, async () => {
      const setup = await silent(engine)
      const client = await setup.proxy.client()
      client.send(inChunks(`${size}\r\nabc\r\n0\r\n\r\n${hidden}`))
      await (await setup.origin.connection()).until('abc')
      client.reset()
      await setup.proxy.record()
      await expectNothingComplete({ origin: setup.origin })
    })
  }

  it('that breaks after good chunks have been passed on ends the request at the endpoint too', async () => {
    const { origin, proxy } = await silent(engine)
    const client = await proxy.client()
    client.send(inChunks('3\r\nabc\r\n'))
    const connection = await origin.connection()
    await connection.until('abc')
    client.send(`nonsense\r\n${hidden}`)
    expect((await client.response()).status).toBe(400)
    await client.untilOver()
    await connection.untilOver()
    expect(origin.completeRequests()).toEqual([])
    expect(await proxy.record()).toMatchObject({ status: 400, outcome: 'bad-request' })
  })
})

describeEngines('chunk extensions', (engine) => {
  const small = ['3;a', '3;a=b', '3;a="b;c"', '3;a="\\"\\\\"', '3;a=b;c=d;e', '3;;', '3;a="\xe9"']
  it('that are small are dropped, and the endpoint sees plain chunks', async () => {
    const origin = await answering((message) => ok(message.body))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const statuses: number[] = []
    for (const line of small) {
      const response = await proxy.ask(inChunks(`${line}\r\nabc\r\n0;last\r\n\r\n`))
      statuses.push(response.status)
      // What is no extension by the letter may be refused as well.
      if (response.status === 200) expect(response.body).toBe('abc')
      else expect(response.status).toBe(400)
    }
    expect(statuses.slice(0, 3)).toEqual([200, 200, 200])
    expect(origin.completeRequests().every(({ body }) => body === 'abc')).toBe(true)
  })

  it('of 900 bytes in all pass', async () => {
    const origin = await answering((message) => ok(message.body))
    const proxy = await startProxy(engine, { services: { s: [origin] } })
    const body = `1;${'x'.repeat(88)}\r\na\r\n`.repeat(10)
    expect((await proxy.ask(inChunks(`${body}0\r\n\r\n`))).body).toBe('a'.repeat(10))
  })

  const long: readonly { name: string; body: string }[] = [
    { name: 'in one chunk', body: `3;${'x'.repeat(1_100)}\r\nabc\r\n0\r\n\r\n` },
    { name: 'in the last chunk', body: `3\r\nabc\r\n0;${'x'.repeat(1_100)}\r\n\r\n` },
    { name: 'in many small ones', body: `${`1;${'x'.repeat(10)}\r\na\r\n`.repeat(120)}0\r\n\r\n` },
    { name: 'in a quoted string', body: `3;a="${'x'.repeat(1_100)}"\r\nabc\r\n0\r\n\r\n` },
  ]
  const reason = engine.cannot['chunk-extensions-in-all']
  for (const { name, body } of long) {
    if (reason !== undefined) {
      it(`of more than 1 KiB in all, ${name}, are dropped (${reason})`, async () => {
        const origin = await answering((message) => ok(message.body))
        const proxy = await startProxy(engine, { services: { s: [origin] } })
        expect((await proxy.ask(inChunks(body))).body).toMatch(/^(abc|a{120})$/)
      })
      continue
    }
    it(`of more than 1 KiB in all, ${name}: 400 and closed, and the endpoint sees no complete request`, async () => {
      const setup = await silent(engine)
      await expectRefusedBody(setup.proxy, body)
      await expectNothingComplete(setup)
    })
  }

  it('that never end are refused long before they fill the memory', async () => {
    const setup = await silent(engine)
    await expectRefusedBody(setup.proxy, `3;${'x'.repeat(200_000)}`, [400, 413, 431])
    await expectNothingComplete(setup)
  })
})

describeEngines('trailers that must not be trailers', (engine) => {
  const forbidden = [
    'Content-Length: 3',
    'Transfer-Encoding: chunked',
    'Host: evil.test',
    'Connection: close',
    'Trailer: X',
    'Authorization: Basic x',
    'Content-Type: text/html',
    'Content-Encoding: gzip',
    'Cookie: a=b',
    'Expect: 100-continue',
    'X-Forwarded-For: 6.6.6.6',
    'X-Request-Id: liar',
    'Via: 1.1 liar',
    'TE: trailers',
    'Upgrade: h2c',
  ]
  const reason = engine.cannot['forbidden-trailers-refused']
  for (const trailer of forbidden) {
    const body = `3\r\nabc\r\n0\r\nX-Fine: 1\r\n${trailer}\r\n\r\n`
    if (reason !== undefined) {
      it(`${trailer} never reaches the endpoint (${reason})`, async () => {
        const origin = await answering(ok())
        const proxy = await startProxy(engine, { services: { s: [origin] } })
        const { status } = await proxy.ask(inChunks(body))
        const seen = origin.completeRequests().map(({ trailers }) => trailers)
        // The parser itself refuses some.
        expect([status, seen]).toEqual(status === 200 ? [200, [[['X-Fine', '1']]]] : [400, []])
      })
      continue
    }
    it(`${trailer}: 400 and closed, and the endpoint sees no complete request`, async () => {
      const setup = await silent(engine)
      await expectRefusedBody(setup.proxy, body)
      await expectNothingComplete(setup)
    })
  }

  it('that are too long are refused', async () => {
    const setup = await silent(engine)
    await expectRefusedBody(setup.proxy, `0\r\nX: ${'y'.repeat(60_000)}\r\n\r\n`, [400, 413, 431])
    await expectNothingComplete(setup)
  })

  const many = `0\r\n${Array.from({ length: 200 }, (_, index) => `X-${index}: y\r\n`).join('')}\r\n`
  const uncounted = engine.cannot['trailers-counted']
  if (uncounted === undefined) {
    it('that are more than headers may be are refused', async () => {
      const setup = await silent(engine)
      await expectRefusedBody(setup.proxy, many, [400, 413, 431])
      await expectNothingComplete(setup)
    })
  } else {
    it(`that are more than headers may be are all passed on (${uncounted})`, async () => {
      const origin = await answering(ok())
      const proxy = await startProxy(engine, { services: { s: [origin] } })
      expect((await proxy.ask(inChunks(many))).status).toBe(200)
      expect(origin.requests()[0]?.trailers).toHaveLength(200)
    })
  }
})
