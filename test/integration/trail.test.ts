/**
 * Do the trail of a request, its log line, its trace and its exemplar tell the same story? The whole program in this
 * process, over sockets, and what it keeps alive under hostile heads.
 */

import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, connect, createServer as createRawServer } from 'node:net'
import { pino } from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { startApp } from '../../src/app.ts'
import { readExposition } from '../admin/exposition.ts'
import { configOf } from '../config/support.ts'
import { refusingEndpoint } from '../contract/sockets.ts'
import { liveBytes } from '../support/heap.ts'
import { listenOnLoopback } from '../support/loopback.ts'
import { waitFor } from '../support/wait.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`

async function origin() {
  const heads: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    heads.push(request.headers)
    request.resume()
    response.end('ok')
  })
  return { place: `127.0.0.1:${await listenOnLoopback(server, cleanups)}`, heads }
}

/** Answers whatever ends like a head, and keeps nothing of it. */
async function undemandingOrigin(): Promise<string> {
  const server = createRawServer((socket) => {
    cleanups.push(async () => socket.destroy())
    let last = ''
    socket.on('error', () => {})
    socket.on('data', (piece: Buffer) => {
      last = last.slice(-3) + piece.toString('latin1', Math.max(0, piece.length - 4))
      if (last.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(async () => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function start(services: Readonly<Record<string, readonly string[]>>, more = '') {
  const lines: Record<string, unknown>[] = []
  const config = configOf(`
listen: { host: 127.0.0.1, port: 0 }
admin: { port: 0 }
discovery: { source: static, static: { services: ${JSON.stringify(services)} } }
shutdown: { drainTimeout: 0s }
${more}`)
  const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const app = await startApp({ config, log, setLogLevel: () => {}, version: 'test' })
  cleanups.push(() => app.close())
  const port = await app.ready
  const admin = `http://127.0.0.1:${app.adminPort}`
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    access: (requestId: string) =>
      waitFor('the access log', () => lines.find((line) => line.msg === 'request' && line.requestId === requestId)),
    requests: async (requestId: string) => {
      const response = await fetch(`${admin}/api/requests/${encodeURIComponent(requestId)}`)
      return (await response.json()) as { requests: Record<string, unknown>[] }
    },
    openMetrics: async () => {
      const response = await fetch(`${admin}/metrics`, { headers: { Accept: 'application/openmetrics-text' } })
      return readExposition(await response.text(), 'openmetrics')
    },
  }
}

it('a request that the proxy refused says why, as its client was told', async () => {
  const { url, requests } = await start({ quotes: [(await origin()).place] })
  const response = await fetch(`${url}/%zz/`, { headers: { 'x-request-id': 'odd' } })
  const { detail } = (await response.json()) as { detail: string }
  expect(response.status).toBe(400)
  const { requests: found } = await requests('odd')
  expect(found).toMatchObject([{ status: 400, outcome: 'refused', refusal: detail, tries: [] }])
})

describe('one request that was refused by one endpoint and answered by another', () => {
  it('is told alike by the trail, the access log, the endpoint and the exemplar', async () => {
    const good = await origin()
    const { id: refusing } = await refusingEndpoint()
    const { url, access, requests, openMetrics } = await start({ quotes: [refusing, good.place] })
    // Whoever's turn it is first: of two requests one meets the endpoint that refuses.
    for (const id of ['r/1', 'r/2']) await fetch(`${url}/quotes/a?b`, { headers: { 'x-request-id': id, traceparent } })
    const lines = await Promise.all(['r/1', 'r/2'].map(access))
    const id = lines.find(({ attempts }) => attempts === 2)?.requestId as string
    const line = await access(id)
    expect(line).toMatchObject({ trail: '2/2:cf>200', traceId, attempts: 2 })
    const { requests: found } = await requests(id)
    expect(found).toMatchObject([
      {
        ...{ requestId: id, request: 'GET /quotes/a', service: 'quotes', status: 200, outcome: 'responded' },
        ...{ traceId, trail: '2/2:cf>200' },
        tries: [
          {
            endpoint: refusing,
            outcome: 'no connection: refused (ECONNREFUSED)',
            retried: 'connect-failed',
            candidateCount: 2,
          },
          {
            ...{ endpoint: good.place, outcome: 'answered 200', retried: null, candidates: [good.place] },
            skipped: [{ endpoint: refusing, why: 'tried already by this request' }],
          },
        ],
      },
    ])
    expect(good.heads.map((head) => head.traceparent)).toEqual([traceparent, traceparent])
    const buckets = (await openMetrics()).all('evenkeel_request_duration_seconds_bucket')
    const exemplars = buckets.flatMap(({ exemplar }) => (exemplar === null ? [] : [exemplar.labels]))
    expect(exemplars.length).toBeGreaterThan(0)
    expect(new Set(exemplars.map((labels) => labels.trace_id))).toEqual(new Set([traceId]))
  })

  it('gets a trace where the config says so, the same everywhere', async () => {
    const good = await origin()
    const { url, access, requests } = await start({ quotes: [good.place] }, 'tracing: { enabled: true, sample: 0% }')
    await fetch(`${url}/quotes/`, { headers: { 'x-request-id': 'r' } })
    const made = /^00-([0-9a-f]{32})-[0-9a-f]{16}-00$/.exec(String(good.heads[0]?.traceparent))?.[1]
    expect(made).toBeDefined()
    expect((await access('r')).traceId).toBe(made)
    expect((await requests('r')).requests[0]?.traceId).toBe(made)
  })

  it('says who there was when nobody was', async () => {
    const { url, access, requests } = await start({ quotes: [] })
    await fetch(`${url}/quotes/`, { headers: { 'x-request-id': 'r' } })
    expect(await access('r')).toMatchObject({ trail: '0/0:none', outcome: 'no-endpoints' })
    const standing = { candidates: [], candidateCount: 0, skipped: [], skippedCount: 0 }
    expect((await requests('r')).requests).toMatchObject([{ trail: '0/0:none', tries: [], standing }])
  })
})

describe('what the last requests keep alive', () => {
  it('does not grow with the heads that clients send', async () => {
    const place = await undemandingOrigin()
    const name = 'a-service-with-a-long-name'
    const quiet = 'accessLog: { enabled: false }\nupstream: { keepAlive: true }'
    const { port, requests } = await start({ [name]: [place] }, quiet)
    let sent = 0
    const head = () => {
      const id = String(++sent).padStart(128, 'i')
      const odd = `traceparent: ${traceparent.replace('4736', String(sent).padStart(4, '0'))}\r\n`
      const rest = `X-Request-Id: ${id}\r\n${odd}X-Rest: ${'r'.repeat(9_000)}\r\n\r\n`
      return `${'M'.repeat(31)} /${name}/${'p'.repeat(5_000)}?${'q'.repeat(2_000)} HTTP/1.1\r\nHost: h\r\n${rest}`
    }
    const ask = async (count: number) => {
      const client = connect({ host: '127.0.0.1', port, noDelay: true })
      cleanups.push(async () => client.destroy())
      await once(client, 'connect')
      for (let i = 0; i < count; i++) {
        client.write(head())
        const [answer] = (await once(client, 'data')) as [Buffer]
        expect(answer.toString('latin1', 0, 15)).toBe('HTTP/1.1 200 OK')
      }
    }
    await ask(200)
    const before = liveBytes()
    await Promise.all([ask(1_000), ask(1_000), ask(1_000), ask(1_000)])
    const grown = liveBytes() - before
    const { requests: found } = await requests('200'.padStart(128, 'i'))
    expect(found).toMatchObject([{ service: name, status: 200, trail: '1/1:200' }])
    // Their heads had 64 MB.
    expect(grown).toBeLessThan(8 * 2 ** 20)
  }, 60_000)
})
