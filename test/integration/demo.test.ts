/** Does the demo do what its greeting promises? The whole of it in a process of its own, as a newcomer starts it. */

import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { runDemo } from '../../src/commands/demo.ts'
import { waitFor } from '../support/wait.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const endings: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of endings.splice(0)) await end()
})

interface Account {
  readonly servedBy: string
  readonly quote: { readonly quote: string; readonly ipAddress: string }
}

/** A demo in this process, whose prompt is typed at through `type`. */
async function startHere() {
  const input = new PassThrough()
  const out = new PassThrough()
  const err = new PassThrough()
  let shown = ''
  out.setEncoding('utf8').on('data', (piece) => {
    shown += piece
  })
  const never = new Promise<never>(() => {})
  const exitCode = runDemo({ port: 0, adminPort: 0 }, { input, out, err, ended: never })
  endings.push(() => {
    input.end()
    return exitCode
  })
  const proxy = await waitFor('the greeting', () => /proxy +(http:\S+)/.exec(shown)?.[1])
  const admin = /admin +(http:\S+)\//.exec(shown)?.[1] ?? ''
  const get = (path: string) => fetch(proxy + path)
  return {
    proxy,
    exitCode,
    get,
    shown: () => shown,
    account: async () => (await (await get('/accountservice/accounts/10000')).json()) as Account,
    /** Types a line and waits for what is said then. */
    async type(line: string, answer: RegExp) {
      const before = shown.length
      input.write(`${line}\n`)
      await waitFor(`an answer to ${line}`, () => answer.test(shown.slice(before)))
    },
    /** The endpoints of a service in rotation, as the admin listener sees them. */
    async inRotation(service: string): Promise<unknown[]> {
      const response = await fetch(`${admin}/api/services/${service}`)
      const { endpoints } = (await response.json()) as { endpoints: { state: string }[] }
      return endpoints.filter(({ state }) => state === 'healthy')
    },
  }
}

type Demo = Awaited<ReturnType<typeof startHere>>

/** Who answers `count` requests, and how often; each answer must be 200. */
async function shares(demo: Demo, count: number): Promise<Map<string, number>> {
  const byAddress = new Map<string, number>()
  for (let request = 0; request < count; request++) {
    const response = await demo.get('/accountservice/accounts/10000')
    expect(response.status).toBe(200)
    const { servedBy } = (await response.json()) as Account
    byAddress.set(servedBy, (byAddress.get(servedBy) ?? 0) + 1)
  }
  return byAddress
}

describe('the demo', () => {
  test('answers its curl line, over all instances in turn, with a quote that came through the proxy', async () => {
    const demo = await startHere()
    await waitFor('all are in rotation', async () => (await demo.inRotation('accountservice')).length === 3)
    const counts = await shares(demo, 30)
    expect([...counts.values()]).toEqual([10, 10, 10])
    const { servedBy, quote, ...rest } = (await demo.account()) as Account & Record<string, unknown>
    expect(rest).toEqual({ id: '10000', name: 'Person_0' })
    expect([servedBy, quote.ipAddress]).toEqual([expect.stringMatching(/^127\./), expect.stringMatching(/^127\./)])
    expect(quote.quote).not.toMatch(/^Fallback/)
    expect((await demo.get('/accountservice/accounts/99')).status).toBe(404)
  })

  test('kill: no GET fails, not even in the moments before the catalog knows', async () => {
    const demo = await startHere()
    let stop = false
    const statuses = new Set<number>()
    const load = [1, 2, 3, 4].map(async () => {
      while (!stop) statuses.add((await demo.get('/accountservice/accounts/10001')).status)
    })
    await demo.type('kill accountservice', /accountservice-1 was killed/)
    await demo.type('kill quotes-service', /quotes-service-1 was killed/)
    await waitFor('the dead one is out', async () => (await demo.inRotation('accountservice')).length === 2)
    stop = true
    await Promise.all(load)
    expect([...statuses]).toEqual([200])
    await demo.type('heal', /quotes-service-1 runs well again/)
    await waitFor('all are back', async () => (await demo.inRotation('accountservice')).length === 3)
  })

  test('sick: the one that answers 500 is ejected, and its siblings share evenly', async () => {
    const demo = await startHere()
    await waitFor('all are in rotation', async () => (await demo.inRotation('accountservice')).length === 3)
    await demo.type('sick accountservice', /accountservice-1 answers 500 now/)
    await waitFor('it is ejected', async () => {
      await demo.get('/accountservice/accounts/10002')
      return demo.shown().includes('an endpoint was ejected')
    })
    expect([...(await shares(demo, 20)).values()]).toEqual([10, 10])
    await demo.type('list', /accountservice-1 +\S+ +sick/)
  })

  test('scale: up and down, and requests go to all there are and only to them', async () => {
    const demo = await startHere()
    for (const count of [5, 1, 4]) {
      await demo.type(`scale accountservice ${count}`, new RegExp(`accountservice runs ${count} instances? now`))
      await waitFor('the proxy knows', async () => (await demo.inRotation('accountservice')).length === count)
      expect([...(await shares(demo, count * 3)).values()]).toEqual(Array.from({ length: count }, () => 3))
    }
    await demo.type('scale quotes-service 0', /quotes-service runs 0 instances now/)
    await waitFor('an account has the fallback quote', async () =>
      (await demo.account()).quote.quote.startsWith('Fallback'),
    )
  })

  test('quit: it closes and exits 0, and nothing listens any more', async () => {
    const demo = await startHere()
    await demo.type('quit', /closing/)
    expect(await demo.exitCode).toBe(0)
    await expect(demo.get('/')).rejects.toThrow()
  })
})

/** The demo as a process of its own, without a terminal. */
function spawnDemo(...args: string[]) {
  const command = ['--import', 'tsx', 'src/main.ts', 'demo', ...args]
  const child: ChildProcess = spawn(process.execPath, command, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stdout?.on('data', (piece) => {
    out += piece
  })
  child.stderr?.on('data', (piece) => {
    err += piece
  })
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve))
  endings.push(() => {
    child.kill('SIGKILL')
    return exited
  })
  return { child, exited, out: () => out, err: () => err }
}

describe('as a program without a terminal', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    'it just runs, until %s ends it with exit code 0',
    async (signal) => {
      const demo = spawnDemo('--port', '0', '--admin-port', '0')
      const url = await waitFor('its curl line', () => /curl (http:\S+\/accounts\/10000)/.exec(demo.out())?.[1], 30_000)
      expect(await (await fetch(url)).json()).toMatchObject({ id: '10000', name: 'Person_0' })
      demo.child.kill(signal)
      expect(await demo.exited).toBe(0)
      expect([demo.out(), demo.err()]).toEqual([expect.stringMatching(/closing.*\n$/), ''])
    },
    60_000,
  )

  test.each(['--port', '--admin-port'])(
    'a taken %s is one line that says so and what to do, and exit 1',
    async (flag) => {
      const holder = createServer().listen(0, '127.0.0.1')
      await new Promise((resolve) => holder.once('listening', resolve))
      endings.push(() => new Promise((resolve) => holder.close(resolve)))
      const { port } = holder.address() as AddressInfo
      const other = flag === '--port' ? '--admin-port' : '--port'
      const demo = spawnDemo(flag, String(port), other, '0')
      expect(await demo.exited).toBe(1)
      const line = `evenkeel: port ${port} is taken: end what listens there, or use ${flag} 0 for any free one\n`
      expect([demo.out(), demo.err()]).toEqual(['', line])
    },
  )
})
