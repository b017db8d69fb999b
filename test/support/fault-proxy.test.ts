/** Does the fault proxy do to real sockets what it is told, at once, and leave nothing behind? The agent is a fake. */

import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { aclNotFound, emptyCatalog, endlessChunks, noLeader, truncatedJson } from './fault-answers.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { waitFor } from './wait.ts'

let agent: Server
let seenByAgent: string[]
/** Requests for /held, which the agent answers when the test says so. */
let waiting: ServerResponse[]
let proxy: FaultProxy
const clients: Client[] = []

beforeEach(async () => {
  seenByAgent = []
  waiting = []
  agent = createServer((req, res) => {
    req.resume().on('end', () => {
      seenByAgent.push(`${req.method} ${req.url}`)
      if (req.url === '/held') waiting.push(res)
      else res.end(`agent: ${req.url}`)
    })
  })
  agent.listen(0, '127.0.0.1')
  await once(agent, 'listening')
  proxy = await startFaultProxy((agent.address() as AddressInfo).port)
})

afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.destroy()
  await proxy.close()
  agent.closeAllConnections()
  await new Promise((resolve) => agent.close(resolve))
})

interface Client {
  readonly socket: Socket
  readonly received: () => string
  readonly isClosed: () => boolean
  ask(target: string): void
  until(pattern: RegExp): Promise<unknown>
  closed(): Promise<unknown>
}

async function client(): Promise<Client> {
  const socket = connect(proxy.port, '127.0.0.1')
  let received = ''
  let isClosed = false
  socket.setEncoding('latin1').on('data', (text) => {
    received += text
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    isClosed = true
  })
  await once(socket, 'connect')
  const made: Client = {
    socket,
    received: () => received,
    isClosed: () => isClosed,
    ask: (target) => void socket.write(`GET ${target} HTTP/1.1\r\nHost: agent\r\n\r\n`),
    until: (pattern) => waitFor(`${pattern} in ${JSON.stringify(received)}`, () => pattern.test(received)),
    closed: () => waitFor('the connection is closed', () => isClosed),
  }
  clients.push(made)
  return made
}

/** An answer has come and gone on a connection of its own: whatever was to happen before it, has happened. */
async function roundTrip(): Promise<void> {
  const probe = await client()
  probe.ask('/probe')
  await probe.until(/agent: \/probe/)
}

describe('it passes', () => {
  test('requests one after another on a connection, in whatever pieces they come, and bodies', async () => {
    const one = await client()
    one.ask('/first')
    await one.until(/agent: \/first$/)
    for (const piece of ['PUT /sec', 'ond HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n', '\r\nbo', 'dy']) {
      one.socket.write(piece)
      await new Promise(setImmediate)
    }
    await one.until(/agent: \/second$/)
    expect(seenByAgent).toEqual(['GET /first', 'PUT /second'])
    expect(proxy.requests).toBe(2)
    expect(proxy.connections).toBe(1)
    expect(proxy.replaced).toEqual([])
  })

  test('the end of a connection, both ways', async () => {
    const one = await client()
    one.ask('/held')
    await waitFor('it waits', () => waiting.length === 1)
    waiting[0]?.destroy()
    await one.closed()
    const two = await client()
    two.ask('/held')
    const held = await waitFor('it waits', () => waiting[1])
    two.socket.destroy()
    await waitFor('the agent hears of it', () => held.closed)
    await waitFor('it is forgotten', () => proxy.connections === 0)
  })
})

describe('it refuses', () => {
  test('new connections and ends the open ones, until it listens on the same port again', async () => {
    const one = await client()
    one.ask('/held')
    await waitFor('it waits', () => waiting.length === 1)
    await proxy.set({ kind: 'refuse' })
    await one.closed()
    await expect(client()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await proxy.set({ kind: 'refuse' })
    await proxy.set({ kind: 'pass' })
    await roundTrip()
  })

  test('and so do the faults that accept, after it: the port opens again', async () => {
    await proxy.set({ kind: 'refuse' })
    await proxy.set({ kind: 'replace', answer: noLeader })
    const one = await client()
    one.ask('/x')
    await one.until(/No cluster leader$/)
  })
})

describe('it hangs', () => {
  test('new connections and open ones, and lets all go on when that is over', async () => {
    const before = await client()
    before.ask('/held')
    await waitFor('it waits', () => waiting.length === 1)
    await proxy.set({ kind: 'hang' })
    waiting[0]?.end('late')
    const during = await client()
    during.ask('/during')
    await waitFor('both are seen', () => proxy.requests === 2)
    expect([before.received(), during.received()]).toEqual(['', ''])
    expect(seenByAgent).toEqual(['GET /held'])
    await proxy.set({ kind: 'pass' })
    await before.until(/late$/)
    await during.until(/agent: \/during$/)
  })

  test('for ever on the connections that were lost meanwhile', async () => {
    const lost = await client()
    lost.ask('/held')
    await waitFor('it waits', () => waiting.length === 1)
    await proxy.set({ kind: 'hang', isLost: true })
    await proxy.set({ kind: 'pass' })
    waiting[0]?.end('late')
    lost.ask('/more')
    await waitFor('the request is seen', () => proxy.requests === 2)
    await roundTrip()
    expect(lost.received()).toBe('')
    expect(lost.isClosed()).toBe(false)
    expect(seenByAgent).toEqual(['GET /held', 'GET /probe'])
  })
})

test('it delays each answer, and what is on its way when it stops goes on at once', async () => {
  await proxy.set({ kind: 'delay', ms: 30 })
  const one = await client()
  for (const target of ['/one', '/two']) {
    one.ask(target)
    await waitFor('the agent has it', () => seenByAgent.includes(`GET ${target}`))
    await one.until(new RegExp(`agent: ${target}$`))
  }
  await proxy.set({ kind: 'delay', ms: 3_600_000 })
  const answered = new Promise((resolve) => agent.once('request', (_, answer) => answer.once('finish', resolve)))
  one.ask('/three')
  await answered
  expect(one.received()).not.toContain('/three')
  await proxy.set({ kind: 'pass' })
  await one.until(/agent: \/three$/)
})

test.each([
  ['head', /^HTTP\/1\.1 200 OK\r\nDat$/],
  ['body', /\r\n\r\nagent: \/wh?$/],
] as const)(
  'it cuts a connection in the %s of an answer, and one that waits for its answer at once',
  async (part, got) => {
    const waits = await client()
    waits.ask('/held')
    await waitFor('it waits', () => waiting.length === 1)
    await proxy.set({ kind: 'cut', in: part, afterBytes: part === 'head' ? 20 : 10 })
    await waits.closed()
    expect(waits.received()).toBe('')
    const one = await client()
    one.ask('/what-is-long')
    await one.closed()
    expect(one.received()).toMatch(got)
  },
)

describe('it replaces', () => {
  test('the answers of new requests and of those that wait, and says which; the connections stay', async () => {
    const waits = await client()
    waits.ask('/held')
    await waitFor('it waits', () => waiting.length === 1)
    await proxy.set({ kind: 'replace', answer: aclNotFound })
    await waits.until(/^HTTP\/1\.1 403 Forbidden\r\n.*\r\n\r\nACL not found$/s)
    waits.ask('/again')
    await waits.until(/ACL not found.*ACL not found$/s)
    expect(proxy.replaced).toEqual([
      { method: 'GET', target: '/held' },
      { method: 'GET', target: '/again' },
    ])
    expect(seenByAgent).toEqual(['GET /held'])
    await proxy.set({ kind: 'pass' })
    waits.ask('/after')
    await waits.until(/agent: \/after$/)
  })

  test('only what it is told to: null passes', async () => {
    await proxy.set({ kind: 'replace', answer: (asked) => (asked.target === '/a' ? noLeader(asked) : null) })
    const one = await client()
    one.ask('/b')
    await one.until(/agent: \/b$/)
    one.ask('/a')
    await one.until(/No cluster leader$/)
    expect(proxy.replaced).toEqual([{ method: 'GET', target: '/a' }])
  })

  test.each([
    ['lower index', '/v1/health/service/web?index=77', '1'],
    ['higher index', '/v1/health/service/web?index=2000000', '2000001'],
    ['no index', '/v1/health/service/web?index=77', undefined],
  ] as const)('an empty catalog with %s', (kind, target, index) => {
    const text = emptyCatalog(kind)({ method: 'GET', target }).toString()
    expect(/X-Consul-Index: (\d+)/.exec(text)?.[1]).toBe(index)
    expect(text.endsWith('\r\n\r\n[]')).toBe(true)
    expect(emptyCatalog(kind)({ method: 'GET', target: '/v1/catalog/services' }).toString()).toMatch(/\r\n\r\n\{\}$/)
  })

  test.each(['/v1/catalog/services', '/v1/health/service/web'])(
    '%s by JSON that breaks off, and by half a body',
    (target) => {
      const [head = '', body = ''] = truncatedJson({ method: 'GET', target }).toString().split('\r\n\r\n')
      expect(head).toContain(`Content-Length: ${body.length}`)
      expect(() => JSON.parse(body)).toThrow(SyntaxError)
      expect(endlessChunks({ method: 'GET', target }).toString()).not.toContain('\r\n0\r\n')
    },
  )
})

test('it leaves nothing behind: neither connections that wait, nor held ones, nor its port', async () => {
  const one = await client()
  one.ask('/held')
  const two = await client()
  two.ask('/x')
  await two.until(/agent/)
  await waitFor('it waits', () => waiting.length === 1)
  await proxy.set({ kind: 'hang' })
  await proxy.close()
  await Promise.all([one.closed(), two.closed()])
  await waitFor('the agent is left alone', async () => {
    const count = await new Promise<number>((resolve) => agent.getConnections((_, open) => resolve(open)))
    return count === 0
  })
  await expect(client()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})
