/**
 * The day-long puzzle: two instances are registered with one virtual address, and one with a port that is closed. Their
 * checks pass, so Consul lists all three, and no request arrives anywhere. Who is to be told what, and where?
 */

import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type App, startApp } from '../../src/app.ts'
import { doctor } from '../../src/commands/doctor.ts'
import { explain } from '../../src/commands/explain.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createLog } from '../../src/log.ts'
import { type ConsulAgent, freePort, startConsul } from '../support/consul.ts'

/** Nothing listens there, as nothing listens on a virtual address that was never given to a machine. */
const virtual = '127.77.0.1'
let consul: ConsulAgent
let app: App
let port = 0
const places = { virtual: '', closed: '' }

beforeAll(async () => {
  const [virtualPort, closedPort] = [await freePort(), await freePort()]
  places.virtual = `${virtual}:${virtualPort}`
  places.closed = `127.0.0.1:${closedPort}`
  consul = await startConsul()
  const check = { TTL: '60m', Status: 'passing' } as const
  const register = (id: string, address: string, at: number) =>
    consul.register({ Name: 'accountservice', ID: id, Address: address, Port: at, Check: check })
  await register('accountservice-1', virtual, virtualPort)
  await register('accountservice-2', virtual, virtualPort)
  await register('accountservice-3', '127.0.0.1', closedPort)
  // Each fails a connect, which ejects nobody: what is asserted must not hang on who was asked how often.
  const set = ['outlier.enforce=false', 'listen.host=127.0.0.1']
  const loaded = loadConfig({ env: {}, flags: { port: '0', adminPort: '0', consul: consul.url, set } })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const { log, setLevel } = createLog({ level: 'silent', destination: { write: () => {} } })
  app = await startApp({ config: loaded.config, log, setLogLevel: setLevel, version: '0' })
  port = await app.ready
})
afterAll(async () => {
  await app?.close()
  await consul?.stop()
})

interface Answer {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly text: string
}

function get(at: number, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: at, path, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        text += piece
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

async function doctorSays(json: boolean): Promise<{ readonly code: number; readonly text: string }> {
  let text = ''
  const options = { kind: 'doctor', service: null, httpPath: null, watchMs: 0, json, file: null } as const
  const code = await doctor({ ...options, flags: { consul: consul.url } }, {}, (piece) => {
    text += piece
  })
  return { code, text }
}

describe('doctor', () => {
  test('names both mistakes, with the ids, the place and what to do', async () => {
    const { code, text } = await doctorSays(true)
    expect(code).toBe(1)
    const { findings } = JSON.parse(text)
    const at = (id: string, place: string, note: string | null) => ({ id, node: 'n1', place, note })
    expect(findings).toContainEqual(
      expect.objectContaining({
        kind: 'shared-address',
        severity: 'error',
        service: 'accountservice',
        where: `accountservice, ${places.virtual}`,
        instances: [at('accountservice-1', places.virtual, null), at('accountservice-2', places.virtual, null)],
        why: expect.stringContaining('virtual address'),
        cure: expect.stringContaining('its own address and port'),
      }),
    )
    expect(findings).toContainEqual(
      expect.objectContaining({
        kind: 'refused',
        severity: 'error',
        what: expect.stringContaining('Consul says passing'),
        instances: [
          at('accountservice-1', places.virtual, 'ECONNREFUSED'),
          at('accountservice-2', places.virtual, 'ECONNREFUSED'),
          at('accountservice-3', places.closed, 'ECONNREFUSED'),
        ],
        why: expect.stringContaining('every request with a 502'),
      }),
    )
  })

  test('says it in words as well, and sums up', async () => {
    const { text } = await doctorSays(false)
    expect(text).toContain(`2 instances have the same address and port (${places.virtual}) [shared-address]`)
    expect(text).toContain(`- accountservice-3 at ${places.closed} on n1: ECONNREFUSED`)
    expect(text).toMatch(/\ndoctor: \d findings in 1 of 1 service \(1 service left out by the config\)\n$/)
  })
})

test('a request gets a 502 that names the next hop and the error', async () => {
  const { status, headers, text } = await get(port, '/accountservice/accounts/10000')
  expect(status).toBe(502)
  const nextHop = /^evenkeel; error=connection_refused; next-hop="([^"]+)"/.exec(String(headers['proxy-status']))?.[1]
  expect([places.virtual, places.closed]).toContain(nextHop)
  expect(JSON.parse(text)).toMatchObject({ status: 502, service: 'accountservice' })
  expect(JSON.parse(text).detail).toContain(`No connection to ${nextHop} (ECONNREFUSED).`)
})

test('the admin listener says why no traffic flows: one counted once, and both with their faults', async () => {
  // Two attempts a request: each endpoint has met one by now, whichever came first.
  await get(port, '/accountservice/')
  const { text } = await get(app.adminPort, '/api/services/accountservice')
  const { endpoints, absent } = JSON.parse(text)
  expect(absent).toMatchObject([
    {
      instance: 'accountservice-2',
      address: places.virtual,
      why: 'same address and port as "accountservice-1"',
    },
  ])
  const byPlace = new Map(endpoints.map((each: { endpoint: string }) => [each.endpoint, each]))
  expect([...byPlace.keys()].sort()).toEqual([places.virtual, places.closed].sort())
  for (const endpoint of byPlace.values()) {
    expect(endpoint).toMatchObject({ inRotation: true })
    expect((endpoint as { faults: unknown[] }).faults).not.toEqual([])
    expect(endpoint).toMatchObject({
      faults: expect.arrayContaining([
        expect.objectContaining({ outcome: { kind: 'connect-failed', code: 'ECONNREFUSED' } }),
      ]),
    })
  }
})

test('explain says why no traffic flows, instance by instance', async () => {
  await get(port, '/accountservice/')
  let text = ''
  const about = { kind: 'service', service: 'accountservice', endpoint: null } as const
  const options = { kind: 'explain', about, admin: `127.0.0.1:${app.adminPort}`, tokenFile: null, json: false } as const
  const code = await explain(options, {}, (piece) => {
    text += piece
  })
  expect(code).toBe(0)
  const words = text.replace(/\s+/g, ' ')
  expect(words).toContain('1 is a second id of an address')
  expect(words).toContain(
    `${places.virtual} accountservice-2 none - - - Gets no requests: "accountservice-1" has the same address and port: they are one endpoint, counted once.`,
  )
  for (const place of [places.virtual, places.closed]) expect(words).toContain(place)
  expect(words).toContain('no connection: refused (ECONNREFUSED)')
  expect(words).toContain('Serf Health Status')
})
