import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { type AgentAddress, agentClient } from '../../../src/discovery/consul/agent-client.ts'
import { listenOnLoopback } from '../../support/loopback.ts'

const token = '7f4ad1c2-55e0-4f0c-9d6b-000000000001'
const noTls = { ca: null, cert: null, key: null }
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

/** A little HTTP server in place of an agent. */
async function serverThat(answers: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answers)
  return `http://127.0.0.1:${await listenOnLoopback(server, cleanups)}`
}

const client = (address: string, more: Partial<AgentAddress> = {}) =>
  agentClient({ address, token, namespace: null, tls: noTls, ...more })
const never = new AbortController().signal
const get = { method: 'GET', path: '/v1/x', deadlineMs: 10_000 } as const

test('a request carries its method, path, JSON, token and namespace', async () => {
  const seen: unknown[] = []
  const url = await serverThat(async (request, response) => {
    let text = ''
    for await (const piece of request.setEncoding('utf8')) text += piece
    const { method, url: path, headers } = request
    seen.push([method, path, headers['x-consul-token'], headers['x-consul-namespace'], text])
    response.writeHead(404).end(`no such thing for ${token}`)
  })
  const agent = client(`${url}/`, { namespace: 'team' })
  expect(agent.where).toBe(url)
  const reply = await agent.send({ method: 'PUT', path: '/v1/a%2Fb', body: { Name: 'ü' }, deadlineMs: 10_000 }, never)
  expect(reply).toEqual({ kind: 'answered', status: 404, text: 'no such thing for <token>' })
  expect(seen).toEqual([['PUT', '/v1/a%2Fb', token, 'team', '{"Name":"ü"}']])
})

test('headers of the answer are handed over where they are wanted, and an answer may be as long as is wanted', async () => {
  const url = await serverThat((_, response) =>
    response.setHeader('X-Consul-Index', `7 ${token}`).end('x'.repeat(2_000_000)),
  )
  const wants = { wantedHeaders: ['x-consul-index', 'x-other'], maxAnswerBytes: 2_000_000 }
  const reply = await client(url).send({ ...get, ...wants }, never)
  expect(reply).toMatchObject({ headers: { 'x-consul-index': '7 <token>' } })
  const tooLong = { kind: 'failed', mishap: { message: 'the answer is larger than 1999999 bytes' } }
  expect(await client(url).send({ ...get, maxAnswerBytes: 1_999_999 }, never)).toMatchObject(tooLong)
})

describe('it fails, and never rejects, when', () => {
  test.each<[string, (request: IncomingMessage, response: ServerResponse) => void, object]>([
    ['nothing is answered', () => {}, { kind: 'deadline', afterMs: 50 }],
    [
      'the answer does not end',
      (_, response) => {
        response.writeHead(200)
        response.write('a')
      },
      { kind: 'deadline', afterMs: 50 },
    ],
    ['the connection is cut', (request) => request.socket.destroy(), { kind: 'network', code: 'ECONNRESET' }],
    [
      'the answer is cut off',
      (request, response) => {
        response.writeHead(200, { 'content-length': 10 })
        response.write('a')
        setImmediate(() => request.socket.destroy())
      },
      { kind: 'network', code: 'ECONNRESET' },
    ],
    [
      'the answer is too large',
      (_, response) => response.end('x'.repeat(1024 * 1024 + 1)),
      { kind: 'network', message: 'the answer is larger than 1048576 bytes' },
    ],
  ])('%s', async (_, answers, mishap) => {
    const url = await serverThat(answers)
    const deadlineMs = 'afterMs' in mishap ? 50 : 10_000
    expect(await client(url).send({ ...get, deadlineMs }, never)).toMatchObject({ kind: 'failed', mishap })
  })

  test('it is given up, before or meanwhile', async () => {
    const stop = new AbortController()
    const url = await serverThat(() => stop.abort())
    const given = { kind: 'failed', mishap: { kind: 'network', code: 'ABORT_ERR' } }
    expect(await client(url).send(get, stop.signal)).toMatchObject(given)
    expect(await client(url).send(get, stop.signal)).toMatchObject(given)
  })

  test('its namespace cannot stand in a header', async () => {
    const reply = await client('http://127.0.0.1:1', { namespace: 'a\nb' }).send(get, never)
    expect(reply).toMatchObject({ kind: 'failed', mishap: { kind: 'network', code: 'ERR_INVALID_CHAR' } })
  })
})

test('an address that is no http or https URL is refused at once', () => {
  expect(() => client('ftp://consul')).toThrow(TypeError)
  expect(() => client('consul:8500')).toThrow(TypeError)
})
