import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { CheckRecord } from '../../src/demo/catalog-records.ts'
import { type CheckResult, type CheckRunner, createCheckRunner } from '../../src/demo/check-runner.ts'
import { type CheckProbe, parseRegistration } from '../../src/demo/registration.ts'
import { waitFor } from '../support/wait.ts'

const servers: Server[] = []
const runners: CheckRunner[] = []
afterEach(() => {
  for (const runner of runners.splice(0)) runner.close()
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function record(check: object): CheckRecord {
  const [definition] = parseRegistration({ Name: 'a', Check: { CheckID: 'c', ...check } }).checks
  if (definition === undefined) throw new Error('no check')
  const type = definition.probe.kind satisfies CheckProbe['kind']
  const { status } = definition
  const at = { createIndex: 1, modifyIndex: 1 }
  return { checkId: 'c', serviceId: 'a', definition, type, status, output: '', syncedOutput: '', ...at }
}

/** Starts the check; the list grows with each result. */
function run(check: object): { results: CheckResult[]; runner: CheckRunner } {
  const results: CheckResult[] = []
  const runner = createCheckRunner((_checkId, _definition, result) => results.push(result))
  runners.push(runner)
  runner.start(record(check))
  return { results, runner }
}

async function firstResult(check: object): Promise<CheckResult> {
  const { results } = run(check)
  return waitFor('the check has run', () => results[0])
}

describe('an HTTP check', () => {
  test.each([
    [200, 'passing'],
    [204, 'passing'],
    [429, 'warning'],
    [302, 'critical'],
    [404, 'critical'],
    [503, 'critical'],
  ])('of a service that answers %i is %s', async (code, status) => {
    const port = await serve((_request, response) => response.writeHead(code).end(code === 204 ? '' : 'said'))
    const result = await firstResult({ HTTP: `http://127.0.0.1:${port}/h`, Interval: '1s' })
    expect(result.status).toBe(status)
    expect(result.output).toContain(`HTTP GET http://127.0.0.1:${port}/h: ${code} `)
  })

  test('sends the method, headers and body that it was given', async () => {
    let seen = ''
    const port = await serve((request, response) => {
      request.setEncoding('utf8')
      request.on('data', (piece) => {
        seen = `${request.method} ${request.headers['x-a']} ${request.headers['user-agent']} ${piece}`
      })
      request.on('end', () => response.end())
    })
    const check = {
      HTTP: `http://127.0.0.1:${port}/`,
      Interval: '1s',
      Method: 'PUT',
      Header: { 'X-A': ['1'] },
      Body: 'b',
    }
    expect((await firstResult(check)).status).toBe('passing')
    expect(seen).toBe('PUT 1 Consul Health Check b')
  })

  test('of a service that does not answer is critical when its timeout is over', async () => {
    const port = await serve(() => {})
    const result = await firstResult({ HTTP: `http://127.0.0.1:${port}/`, Interval: '1s', Timeout: '30ms' })
    expect(result).toEqual({ status: 'critical', output: 'no answer within 30 ms' })
  })

  test('of a service that answers without end is read no further than Consul does', async () => {
    const port = await serve((_request, response) => response.end('x'.repeat(100_000)))
    const result = await firstResult({ HTTP: `http://127.0.0.1:${port}/`, Interval: '1s' })
    expect([result.status, result.output.length]).toEqual(['passing', 4096])
  })

  test.each(['not a url', 'ftp://127.0.0.1/', 'http://127.0.0.1:1/'])(
    'of %j is critical and breaks nothing',
    async (HTTP) => {
      expect((await firstResult({ HTTP, Interval: '1s' })).status).toBe('critical')
    },
  )

  test('runs again and again, until it is stopped', async () => {
    let count = 0
    const port = await serve((_request, response) => {
      count++
      response.end()
    })
    const { results, runner } = run({ HTTP: `http://127.0.0.1:${port}/`, Interval: '1s' })
    await waitFor('it ran twice', () => results.length === 2)
    runner.stop('c')
    runner.stop('never-was')
    expect(count).toBe(2)
  })

  test('that is stopped in the middle says nothing any more', async () => {
    let asked = false
    const port = await serve(() => {
      asked = true
    })
    const { results, runner } = run({ HTTP: `http://127.0.0.1:${port}/`, Interval: '1s' })
    await waitFor('it asks', () => asked)
    runner.close()
    await waitFor('its connection is gone', async () => {
      const [server] = servers
      return new Promise<boolean>((resolve) => server?.getConnections((_error, open) => resolve(open === 0)))
    })
    expect(results).toEqual([])
  })
})

describe('a TCP check', () => {
  test('is passing when somebody accepts, critical when nobody does or the address is none', async () => {
    const port = await serve(() => {})
    const status = async (TCP: string) => (await firstResult({ TCP, Interval: '1s' })).status
    expect(await status(`127.0.0.1:${port}`)).toBe('passing')
    expect(await status('127.0.0.1:1')).toBe('critical')
    expect(await status('nonsense')).toBe('critical')
    expect(await status('127.0.0.1:99999')).toBe('critical')
  })
})
