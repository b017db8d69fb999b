/**
 * Does an operator learn from one command why each instance gets requests, or none? A real Consul agent, real instances,
 * the whole proxy, and the command.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from '../../src/app.ts'
import { explain } from '../../src/commands/explain.ts'
import { columns } from '../../src/commands/terminal.ts'
import { readCommandLine } from '../../src/commands/usage.ts'
import { configOf } from '../config/support.ts'
import { type ConsulAgent, freePort, startConsul } from '../support/consul.ts'
import { listenOnLoopback } from '../support/loopback.ts'
import { waitFor } from '../support/wait.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const cleanups: (() => Promise<unknown>)[] = []
let consul: ConsulAgent
let app: App
let port = 0

/** An instance that answers with this status. */
const origin = (status: number) =>
  listenOnLoopback(
    createServer((_, response) => response.writeHead(status).end()),
    cleanups,
  )

async function register(id: string, at: number, tags: readonly string[] = ['blue'], name = 'web'): Promise<void> {
  const check = { CheckID: `${id}-beat`, Name: 'heartbeat', TTL: '60m', Status: 'passing' } as const
  await consul.register({ Name: name, ID: id, Address: '127.0.0.1', Port: at, Tags: tags, Check: check })
}

/** What `evenkeel explain …` writes, and its exit code. */
async function evenkeel(...args: readonly string[]): Promise<{
  readonly text: string
  readonly complaint: string
  readonly code: number
}> {
  const line = readCommandLine(['explain', ...args, '--admin', `127.0.0.1:${app.adminPort}`])
  if (line.kind !== 'explain') throw new Error(JSON.stringify(line))
  let [text, complaint] = ['', '']
  const write = (piece: string) => {
    text += piece
  }
  const complain = (piece: string) => {
    complaint += piece
  }
  const code = await explain(line, {}, write, complain)
  return { text, complaint, code }
}

async function answer(service: string) {
  const response = await fetch(`http://127.0.0.1:${app.adminPort}/api/services/${service}`)
  return (await response.json()) as { instances: Instance[]; verdict: string }
}
interface Instance {
  readonly instance: string
  readonly verdict: string
  readonly getsRequests: boolean
  readonly causes: readonly { readonly kind: string; readonly agoMs: number; readonly faults?: readonly object[] }[]
}

const places = new Map<string, number>()

beforeAll(async () => {
  // An agent else passes a changed output on only after five minutes, if the status is the same.
  consul = await startConsul({ hcl: ['check_update_interval = "0s"'] })
  cleanups.push(() => consul.stop())
  for (const id of ['well', 'also-well', 'ill', 'idle', 'green']) places.set(id, await origin(200))
  places.set('sick', await origin(503))
  for (const [id, at] of places) await register(id, at, id === 'green' ? ['green'] : ['blue'])
  await register('twin', places.get('well') ?? 0)
  await consul.register({ Name: 'apart', Port: 1, Address: '127.0.0.1' })
  const config = configOf(`
    listen: { host: 127.0.0.1, port: 0 }
    admin: { port: 0 }
    accessLog: { enabled: false }
    outlier: { consecutiveFaults: 3 }
    discovery: { consul: { address: '${consul.url}', tag: blue, exclude: [consul, 'apa*'] } }
  `)
  app = await startApp({ config, log: pino({ level: 'silent' }), setLogLevel() {}, version: '0' })
  cleanups.push(() => app.close())
  port = await app.ready

  await consul.setCheck('ill-beat', 'fail', 'disk is full\nno space left \u001b[31mon device')
  await consul.maintenance('idle', true, 'new kernel')
  const isOut = async (id: string) =>
    (await answer('web')).instances.some(({ instance, getsRequests }) => instance === id && !getsRequests)
  await waitFor('both are out', async () => (await isOut('ill')) && (await isOut('idle')))
  await waitFor('the sick one is ejected', async () => {
    const { status } = await fetch(`http://127.0.0.1:${port}/web/`, { headers: { 'x-request-id': 'seen-by-client' } })
    return status < 600 && (await isOut('sick'))
  })
}, 60_000)
afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

test('the answer has every instance that Consul knows, each with its verdict', async () => {
  const { instances, verdict } = await answer('web')
  const verdicts = Object.fromEntries(instances.map((each) => [each.instance, each.verdict]))
  const s = String.raw`\d+(\.\d)? s`
  expect(verdict).toMatch(/^2 of 7 instances get requests: /)
  expect(verdicts).toEqual({
    'also-well': 'Gets requests, 50% of them.',
    // Of two at one address the first by id stands for it.
    twin: 'Gets requests, 50% of them, but "well" has the same address and port: this one stands for all of them.',
    well: 'Gets no requests: "twin" has the same address and port: they are one endpoint, counted once.',
    green: 'Gets no requests: it lacks the tag "blue", which discovery.consul.tag asks for.',
    ill: expect.stringMatching(
      RegExp(
        `^Gets no requests: check "heartbeat" is critical for ${s}: disk is full no space left \\?\\[31mon device\\.$`,
      ),
    ),
    idle: expect.stringMatching(RegExp(`^Gets no requests: it is in maintenance mode for ${s}: new kernel\\.$`)),
    sick: expect.stringMatching(
      RegExp(`^Gets no requests: ejected ${s} ago for 30 s, because 3 requests in a row failed \\(outlier`),
    ),
  })
  expect(instances.find(({ instance }) => instance === 'sick')?.causes).toMatchObject([
    {
      kind: 'ejection',
      inRow: 3,
      faults: Array.from({ length: 3 }, () => ({ outcome: 'answered 503', status: 503, request: 'seen-by-client' })),
    },
  ])
})

test('the command tells it, the worst first, in printable lines of a terminal', async () => {
  const { text, code } = await evenkeel('web')
  expect(code).toBe(0)
  const lines = text.split('\n')
  expect(lines[0]).toMatch(/^web: 2 of 7 instances get requests: /)
  expect(lines.filter((line) => line.length > columns)).toEqual([])
  expect(text).not.toMatch(/[^\P{C}\n]/u)
  expect(text).toContain('ago  answered 503  seen-by-client\n')
  expect(text.indexOf('also-well')).toBeGreaterThan(text.indexOf('idle'))
})

test('--endpoint tells of one, by its address or its id, and of one that there is not what there is', async () => {
  const sick = `127.0.0.1:${places.get('sick')}`
  for (const wanted of [sick, 'sick']) {
    const { text, code } = await evenkeel('web', '--endpoint', wanted)
    expect(code).toBe(0)
    expect(text).toContain(sick)
    expect(text).not.toContain('idle')
  }
  const none = await evenkeel('web', '--endpoint', '127.0.0.1:1')
  expect(none).toMatchObject({ code: 1, text: '' })
  expect(none.complaint).toMatch(/^evenkeel: web has no endpoint 127\.0\.0\.1:1: there are 127\.0\.0\.1:/)
})

test('--json is the answer as it came', async () => {
  const { text, code } = await evenkeel('web', '--json')
  expect(code).toBe(0)
  expect(JSON.parse(text)).toMatchObject({ name: 'web', endpoints: [{}, {}, {}], instances: Array(7).fill({}) })
})

test('--json with --endpoint is of that one alone; and of one that there is not, a complaint', async () => {
  const { text } = await evenkeel('web', '--json', '--endpoint', 'sick')
  const only = { name: 'web', endpoints: [{ instance: 'sick' }], absent: [], instances: [{ instance: 'sick' }] }
  expect(JSON.parse(text)).toMatchObject(only)
  const none = await evenkeel('web', '--json', '--endpoint', 'nobody')
  expect(none).toMatchObject({ code: 1, text: '' })
  expect(none.complaint).toContain('web has no endpoint nobody')
})

test.each([
  [
    'was misspelt',
    'wbe',
    'Consul does not list it, nor did it in the last ten minutes. Did you mean web? There are web.',
  ],
  ['is excluded', 'apart', 'discovery.consul.exclude leaves it out by "apa*".'],
])('a service that %s', async (_, name, words) => {
  const { complaint, code } = await evenkeel(name)
  expect(code).toBe(1)
  expect(complaint.replaceAll('\n', ' ')).toContain(words)
})

test('a check that passes again, and since when it does', async () => {
  await register('late', await origin(200), ['blue'], 'other')
  const late = async () => (await answer('other')).instances?.[0]
  await waitFor('it is there', late)
  await consul.setCheck('late-beat', 'fail', 'first')
  await waitFor('it is out', async () => (await late())?.getsRequests === false)
  await consul.setCheck('late-beat', 'fail', 'second')
  const said = await waitFor('the new words', async () => {
    const each = await late()
    return each?.verdict.includes('second') && each
  })
  expect(said.causes).toMatchObject([{ kind: 'check', orLonger: false }])
  await consul.setCheck('late-beat', 'pass')
  await waitFor('it is back', async () => (await late())?.verdict === 'Gets requests, 100% of them.')
})

test('the program itself: what it prints, and its exit code', async () => {
  const program = async (...args: readonly string[]) => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts', 'explain', ...args], { cwd: root })
    let [text, complaint] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
    })
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      complaint += piece
    })
    const [code] = await once(child, 'close')
    return { text, complaint, code }
  }
  const told = await program('web', '--admin', `127.0.0.1:${app.adminPort}`)
  expect(told).toEqual({ code: 0, complaint: '', text: expect.stringMatching(/^web: 2 of 7 instances get requests: /) })

  const nobody = await freePort()
  const { text, complaint, code } = await program('web', '--admin', `127.0.0.1:${nobody}`)
  expect([code, text]).toEqual([1, ''])
  expect(complaint.replaceAll('\n', ' ')).toContain(
    `no answer from http://127.0.0.1:${nobody}: ECONNREFUSED; is the proxy`,
  )
})
