import { expect, it } from 'vitest'
import { describeEngines, type Limitation } from './engines.ts'
import { post, request, startProxy } from './harness.ts'
import { chunked, header, headerLines } from './messages.ts'
import { expectProblem } from './problem.ts'
import { insertions, omissions, shown } from './refused.ts'
import { answering, type Origin, ok, type RawClient, startOrigin } from './sockets.ts'

/** An endpoint that gives its connections these bytes, in turn, and closes. */
function sayingInTurn(answers: readonly string[]): Promise<Origin> {
  let next = 0
  return startOrigin(async (connection) => {
    await connection.head()
    connection.end(answers[next++] ?? '')
  })
}

/** Waits until the connection is over, or an answer of the proxy's own has come. */
function endOrProblem(client: RawClient): Promise<unknown> {
  return Promise.race([client.untilOver(), client.until('"status":502')])
}

const length0 = 'Content-Length: 0'
const answer = (lines: readonly string[], body = '', start = 'HTTP/1.1 200 OK') =>
  `${[start, ...lines].join('\r\n')}\r\n\r\n${body}`

describeEngines('a malformed answer', (engine) => {
  const malformed: readonly { name: string; bytes: string; needs?: Limitation }[] = [
    ...['HTTP/1.2 200 OK', 'HTTP/2.0 200 OK', 'HTTP/0.9 200 OK', 'HTTP/3 200 OK'].map((start) => ({
      name: `an unknown version, ${start}`,
      bytes: answer([length0], '', start),
    })),
    ...['http/1.1 200 OK', 'ICY 200 OK', '200 OK', 'HTTP/1.1  200 OK', 'HTTP/1.1\t200 OK', ' HTTP/1.1 200 OK'].map(
      (start) => ({ name: `a malformed status line, ${JSON.stringify(start)}`, bytes: answer([length0], '', start) }),
    ),
    ...['20', '2', '2000', '2OO', '-200', '+200', '0x200', '099', '000', '2 0'].map((status) => ({
      name: `a status of ${status}`,
      bytes: answer([length0], '', `HTTP/1.1 ${status} Odd`),
    })),
    { name: 'a header line for a status line', bytes: answer([length0], '', 'X: y') },
    ...['a\0b', 'a\x01b', 'a\x7fb', 'a\rb', 'a\nb'].map((reason) => ({
      name: `a reason of ${JSON.stringify(reason)}`,
      bytes: answer([length0], '', `HTTP/1.1 200 ${reason}`),
    })),
    { name: 'a folded header', bytes: answer(['X: a', ' b', length0]) },
    { name: 'a header folded with a tab', bytes: answer(['X: a', '\tb', length0]) },
    { name: 'a first header that is folded', bytes: answer([' X: a', length0]) },
    { name: 'a folded Transfer-Encoding', bytes: answer(['Transfer-Encoding:', ' chunked'], chunked(['abc'])) },
    { name: 'a header without a colon', bytes: answer(['X', length0]) },
    { name: 'a header without a name', bytes: answer([': x', length0]) },
    { name: 'a header whose name is no token', bytes: answer(['X(Y): x', length0]) },
    { name: 'a header name with a high byte', bytes: answer(['X\xe9: x', length0]) },
    { name: 'a space before the colon of a length', bytes: answer(['Content-Length : 3'], 'abc') },
    { name: 'a control character in a value', bytes: answer(['X: a\x01b', length0]) },
    { name: 'a vertical tab in a value', bytes: answer(['X: a\vb', length0]) },
    { name: 'a bare CR before a header that it would add', bytes: answer(['X: a\rSet-Cookie: evil=1', length0]) },
    { name: 'a bare LF before a header that it would add', bytes: answer(['X: a\nSet-Cookie: evil=1', length0]) },
    { name: 'two equal Content-Lengths', bytes: answer(['Content-Length: 3', 'Content-Length: 3'], 'abc') },
    ...['-3', '0x3', '3, 3', '3 3', '3;', '3.0', '', '"3"', '3\v', '18446744073709551619'].map((value) => ({
      name: `a Content-Length of ${JSON.stringify(value)}`,
      bytes: answer([`Content-Length: ${value}`], 'abc'),
    })),
    {
      name: 'a Content-Length with leading zeros that somebody reads as octal',
      bytes: answer(['Content-Length: 010'], 'x'.repeat(10)),
      needs: 'leading-zeros-refused',
    },
    ...[
      'chunked, chunked',
      'identity',
      'chunked;q=1',
      'xchunked',
      '"chunked"',
      ',chunked',
      '',
      'chunked\v',
      'gzip',
    ].map((value) => ({
      name: `a Transfer-Encoding of ${JSON.stringify(value)}`,
      bytes: answer([`Transfer-Encoding: ${value}`], chunked(['abc'])),
    })),
    {
      name: 'two Transfer-Encodings',
      bytes: answer(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunked(['abc'])),
    },
    {
      name: 'a Transfer-Encoding in HTTP/1.0',
      bytes: answer(['Transfer-Encoding: chunked'], chunked(['abc']), 'HTTP/1.0 200 OK'),
    },
    {
      name: 'both lengths on a 304',
      bytes: answer(['Content-Length: 3', 'Transfer-Encoding: chunked'], '', 'HTTP/1.1 304 Not Modified'),
    },
    {
      name: 'too many header fields',
      bytes: answer([...Array(5_000).fill('X: y'), length0]),
      needs: 'many-fields-refused',
    },
    { name: 'a header name that never ends', bytes: `HTTP/1.1 200 OK\r\n${'X'.repeat(200_000)}` },
    { name: 'a reason that never ends', bytes: `HTTP/1.1 200 ${'x'.repeat(200_000)}` },
    { name: 'a 101 without an Upgrade', bytes: answer([], '', 'HTTP/1.1 101 Switching Protocols') },
    { name: 'an interim answer that is malformed', bytes: `HTTP/1.1 103 Early Hints\r\nX : a\r\n\r\n${ok()}` },
    { name: 'an interim answer and then nothing', bytes: 'HTTP/1.1 103 Early Hints\r\n\r\n' },
    { name: 'an interim answer and then nonsense', bytes: 'HTTP/1.1 100 Continue\r\n\r\nnonsense\r\n\r\n' },
    { name: 'an end in the status line', bytes: 'HTTP/1.1 20' },
    { name: 'an end behind the status line', bytes: 'HTTP/1.1 200 OK\r\n' },
    { name: 'an end before the last LF of the head', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r' },
  ]
  for (const { name, bytes, needs } of malformed) {
    const reason = needs === undefined ? undefined : engine.cannot[needs]
    if (reason !== undefined) {
      it(`with ${name} is passed on in a form that can be read in one way, or the client is cut (${reason})`, async () => {
        const proxy = await startProxy(engine, { services: { s: [await sayingInTurn([bytes])] } })
        const client = await proxy.client()
        client.send(post('/s/', 'abc'))
        const record = await proxy.record()
        if (record.outcome === 'responded') return expect((await client.response()).status).toBe(200)
        await client.untilClosed()
        expect([client.error, client.ended, record.outcome]).toEqual(['ECONNRESET', false, 'broke-off'])
      })
      continue
    }
    it(`with ${name}: 502, and nothing of it reaches the client`, async () => {
      const proxy = await startProxy(engine, { services: { s: [await sayingInTurn([bytes])] } })
      const client = await proxy.client()
      client.send(post('/s/', 'abc'))
      // Interim answers that were good have been passed on.
      let response = await client.response()
      while (response.status < 200) response = await client.response()
      expectProblem(response, 502)
      expect(headerLines(response, 'set-cookie')).toEqual([])
      expect((await proxy.record()).outcome).toMatch(/bad-response|broke-off/)
    })
  }

  it('with a stray byte anywhere in its head: 502, and nothing of it reaches the client', async () => {
    const head = 'HTTP/1.1 200 OK\r\nX-One: two three\r\nContent-Length: 0\r\n\r\n'
    const broken = ['\r', '\n', '\0', '\x01', '\x7f']
      .flatMap((byte) => insertions(head, byte).slice(1))
      .filter((bytes) => !bytes.startsWith(head))
      .concat(omissions(head, '\r'), omissions(head, '\n').slice(0, -1))
    const proxy = await startProxy(engine, { services: { s: [await sayingInTurn(broken)] } })
    for (const bytes of broken) {
      const response = await proxy.ask(post('/s/', 'abc'))
      expect(response.status, shown(bytes)).toBe(502)
    }
  })
})

describeEngines('an answer whose body breaks its framing', (engine) => {
  const body = '3;a\r\nabc\r\n5\r\ndefgh\r\n0\r\nX-T: a b\r\n\r\n'
  const sizes = ['+3', '-3', '0x3', ' 3', '3 3', 'g', '3,', '3.0', '', '10000000000000003', 'f'.repeat(300)]
  const broken: readonly { name: string; bodies: readonly string[] }[] = [
    { name: 'a size that is none', bodies: sizes.map((size) => `${size}\r\nabc\r\n0\r\n\r\n`) },
    { name: 'a second size that is none', bodies: sizes.map((size) => `3\r\nabc\r\n${size}\r\nabc\r\n0\r\n\r\n`) },
    { name: 'a stray CR', bodies: insertions(body, '\r') },
    { name: 'a stray LF', bodies: insertions(body, '\n').filter((bytes) => !bytes.startsWith(body)) },
    { name: 'a NUL', bodies: insertions(body, '\0') },
    { name: 'a missing CR', bodies: omissions(body, '\r') },
    { name: 'a missing LF', bodies: omissions(body, '\n').slice(0, -1) },
    { name: 'data without its CRLF', bodies: ['3\r\nabc0\r\n\r\n', '3\r\nabcX\r\n0\r\n\r\n'] },
    { name: 'an end', bodies: Array.from(body, (_, at) => body.slice(0, at)) },
    { name: 'an extension that never ends', bodies: [`3;${'x'.repeat(200_000)}`] },
    { name: 'trailers that never end', bodies: [`0\r\n${'X: y\r\n'.repeat(50_000)}`] },
    { name: 'a trailer that is folded', bodies: ['0\r\nX: a\r\n b\r\n\r\n', '0\r\n X: a\r\n\r\n'] },
    { name: 'a trailer that is none', bodies: ['0\r\nnonsense\r\n\r\n', '0\r\nX : a\r\n\r\n', '0\r\nX: \0\r\n\r\n'] },
  ]
  for (const version of ['1.1', '1.0']) {
    for (const { name, bodies } of broken) {
      it(`with ${name}, anywhere: an HTTP/${version} client gets a 502 or is cut, and nothing looks complete`, async () => {
        const answers = bodies.map((text) => answer(['Transfer-Encoding: chunked'], text))
        const proxy = await startProxy(engine, { services: { s: [await sayingInTurn(answers)] } })
        await Promise.all(
          answers.map(async (_, turn) => {
            const client = await proxy.client()
            client.send(`POST /s/${turn} HTTP/${version}\r\nHost: a\r\nContent-Length: 0\r\n\r\n`)
            await endOrProblem(client)
            if (client.received.startsWith('HTTP/1.1 502')) return
            expect(await client.untilCut(), client.received).toBe(true)
            expect(client.received).not.toContain('\r\n0\r\n')
          }),
        )
        expect(proxy.records.filter(({ outcome }) => outcome === 'responded')).toEqual([])
      })
    }
  }

  it('with a length that is not reached, wherever it ends: the client is cut, and nothing looks complete', async () => {
    const whole = answer(['Content-Length: 10'], '0123456789')
    const ends = Array.from({ length: 10 }, (_, at) => whole.slice(0, whole.length - 10 + at))
    const proxy = await startProxy(engine, { services: { s: [await sayingInTurn(ends)] } })
    await Promise.all(
      ends.map(async () => {
        const client = await proxy.client()
        client.send(request('/s/'))
        await endOrProblem(client)
        if (!client.received.startsWith('HTTP/1.1 502')) expect(await client.untilCut()).toBe(true)
      }),
    )
  })
})

describeEngines('an answer that is odd and can be read in one way', (engine) => {
  const fine: readonly { name: string; bytes: string; body: string }[] = [
    { name: 'no reason', bytes: answer(['Content-Length: 2'], 'ok', 'HTTP/1.1 200 '), body: 'ok' },
    {
      name: 'a long reason',
      bytes: answer(['Content-Length: 2'], 'ok', `HTTP/1.1 200 ${'a '.repeat(500)}`),
      body: 'ok',
    },
    { name: 'a status that nobody knows', bytes: answer(['Content-Length: 2'], 'ok', 'HTTP/1.1 599 Odd'), body: 'ok' },
    {
      name: 'sizes in capitals, with zeros and extensions',
      bytes: answer(['Transfer-Encoding: Chunked'], '00A;x=y\r\n0123456789\r\n000\r\n\r\n'),
      body: '0123456789',
    },
    {
      name: 'an HTTP/1.0 answer with a length',
      bytes: answer(['Content-Length: 2'], 'ok', 'HTTP/1.0 200 OK'),
      body: 'ok',
    },
    { name: 'an end for a length, and nothing before it', bytes: answer([]), body: '' },
  ]
  for (const { name, bytes, body } of fine) {
    it(`with ${name} is passed on whole`, async () => {
      const proxy = await startProxy(engine, { services: { s: [await sayingInTurn([bytes])] } })
      const response = await proxy.ask(request('/s/'))
      expect([response.status, response.body]).toEqual([Number(bytes.slice(9, 12)), body])
    })
  }

  it('to HEAD, with a body all the same: the body reaches nobody', async () => {
    const origin = await answering((seen) => (seen.start.startsWith('HEAD') ? ok('POISON') : ok('fine')))
    for (const keepAlive of [false, true]) {
      const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive } })
      const client = await proxy.client()
      client.send(request('/s/', [], '', 'HEAD'))
      expect(header(await client.response({ toHead: true }), 'content-length')).toBe('6')
      client.send(request('/s/'))
      expect((await client.response()).body).toBe('fine')
    }
  })

  it('of 204 or 304, with a body all the same: the body reaches nobody', async () => {
    for (const start of ['HTTP/1.1 204 No Content', 'HTTP/1.1 304 Not Modified']) {
      const origin = await answering((seen) =>
        seen.start.includes('/odd') ? answer(['Content-Length: 6'], 'POISON', start) : ok('fine'),
      )
      const proxy = await startProxy(engine, { services: { s: [origin] }, upstream: { keepAlive: true } })
      const client = await proxy.client()
      client.send(request('/s/odd') + request('/s/'))
      expect((await client.response()).body).toBe('')
      expect((await client.response()).body).toBe('fine')
    }
  })
})
