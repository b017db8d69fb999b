/**
 * Does `evenkeel run` keep its promises as a process: real registries, real signals, a service that registers itself nowhere,
 * and the proxy that sends requests to it?
 */

import { execFile } from 'node:child_process'
import { createServer, get, request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest'
import { startApp } from '../../src/app.ts'
import { configOf } from '../config/support.ts'
import { type ConsulAgent, freePort, startConsul } from '../support/consul.ts'
import { startEtcd } from '../support/etcd.ts'
import { etcdLacks } from '../support/etcd-binary.ts'
import { findEureka, startEureka } from '../support/eureka.ts'
import { listenOnLoopback } from '../support/loopback.ts'
import { waitFor } from '../support/wait.ts'
import { legacyService, startWrapped, type Wrapped } from '../support/wrapped.ts'

const lacksEtcd = await etcdLacks()
const lacksEureka = await findEureka().then(
  () => null,
  (error: Error) => error.message,
)
type Cleanups = (() => Promise<unknown>)[]

/** Whatever is put into the list is done after this test, the last one first: others run at the same time. */
function cleanupsOf({ onTestFinished }: Pick<TestContext, 'onTestFinished'>): Cleanups {
  const cleanups: Cleanups = []
  onTestFinished(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup()
  })
  return cleanups
}

/** The service under `evenkeel run`, at an address of this machine. `words` are its own. */
function wrapped(
  cleanups: Cleanups,
  name: string,
  port: number,
  args: readonly string[],
  words: readonly string[] = [],
): Wrapped {
  const common = ['--service', name, '--port', `${port}`, '--address', '127.0.0.1', '--drain', '100ms']
  const started = startWrapped([...common, ...args], [process.execPath, legacyService, `${port}`, ...words])
  cleanups.push(started.stop)
  return started
}

/** Stands before a Consul, and holds what is to be deregistered until it is released. */
async function gateTo(cleanups: Cleanups, consul: ConsulAgent) {
  let release = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const made = { url: '', held: 0, release }
  const server = createServer(async (incoming, answer) => {
    if (incoming.url?.includes('/deregister/')) {
      made.held += 1
      await gate
    }
    const { method = 'GET', headers, url = '/' } = incoming
    const passed = request(new URL(url, consul.url), { method, headers, agent: false }, (reply) => {
      answer.writeHead(reply.statusCode ?? 502)
      reply.pipe(answer)
    })
    passed.on('error', () => answer.destroy())
    incoming.pipe(passed)
  })
  made.url = `http://127.0.0.1:${await listenOnLoopback(server, cleanups)}`
  return made
}

/** The signals that have reached the service on this port. */
const signalsAt = (port: number) => fetch(`http://127.0.0.1:${port}/signals`).then((answer) => answer.text())
const put = (port: number, path: string) => fetch(`http://127.0.0.1:${port}${path}`, { method: 'PUT' }).catch(() => {})

describe('with a real Consul', { concurrent: true }, () => {
  let consul: ConsulAgent
  beforeAll(async () => {
    consul = await startConsul()
  })
  afterAll(() => consul?.stop())
  const toConsul = () => ['--set', `discovery.consul.address=${consul.url}`]
  const passing = (name: string) => `${consul.url}/v1/health/service/${name}?passing`
  const isPassing = async (name: string) => (await (await fetch(passing(name))).text()).trim() !== '[]'

  test('a command is registered once it answers, and has left before it sees SIGTERM; its exit code is ours', async (context) => {
    const cleanups = cleanupsOf(context)
    const port = await freePort()
    const gate = await gateTo(cleanups, consul)
    const args = ['--consul', gate.url, '--tag', 'v2', '--tag', 'eu', '--id', 'web-a', '--health', '/health']
    const run = wrapped(cleanups, 'web', port, args, ['patient', 'code=7', `ask=${passing('web')}`])
    await run.happened('started')
    expect(await isPassing('web')).toBe(false)
    // Passed on without a word to the registry.
    run.process.kill('SIGUSR2')
    await run.happened('listening')
    await run.said('registered')
    const { body } = await consul.get('/v1/health/service/web?passing')
    expect(body).toMatchObject([
      { Service: { ID: 'web-a', Address: '127.0.0.1', Port: port, Tags: ['v2', 'eu'], Service: 'web' } },
    ])
    run.process.kill('SIGTERM')
    await waitFor('it is to be deregistered', () => gate.held > 0)
    expect(await signalsAt(port)).toBe('SIGUSR2')
    gate.release()
    expect(await run.ended).toBe(7)
    // What the registry answered to the command itself when the signal reached it.
    expect(run.events.filter(({ event }) => event === 'signal')).toMatchObject([
      { signal: 'SIGUSR2' },
      { signal: 'SIGTERM', registry: '[]' },
    ])
    expect(run.complaints).toEqual([])
    const { msg, ...about } = run.logged.find((line) => line.msg === 'deregistered') ?? { msg: '' }
    expect(about).toMatchObject({ service: 'web', id: 'web-a', address: `127.0.0.1:${port}`, registry: gate.url })
  })

  test('Ctrl-C in a terminal reaches the command once, and after it was deregistered', async (context) => {
    const cleanups = cleanupsOf(context)
    const port = await freePort()
    const gate = await gateTo(cleanups, consul)
    const run = wrapped(cleanups, 'typed', port, ['--consul', gate.url], [`ask=${passing('typed')}`])
    await run.said('registered')
    const { pid } = run.process
    if (pid === undefined) throw new Error('it does not run')
    // As a terminal does: to all of the foreground's process group.
    process.kill(-pid, 'SIGINT')
    await waitFor('it is to be deregistered', () => gate.held > 0)
    expect(await signalsAt(port)).toBe('')
    gate.release()
    expect(await run.ended).toBe(0)
    expect(run.events.filter(({ event }) => event === 'signal')).toEqual([
      { event: 'signal', signal: 'SIGINT', registry: '[]' },
    ])
  })

  test.for([
    ['exits by itself', 9, (port: number) => put(port, '/crash')],
    ['is killed', 137, async (_: number, pid: number) => void process.kill(pid, 'SIGKILL')],
  ] as const)('a command that %s is deregistered, and its end is ours', async ([how, code, end], context) => {
    const cleanups = cleanupsOf(context)
    const name = how.replaceAll(' ', '-')
    const port = await freePort()
    const run = wrapped(cleanups, name, port, toConsul())
    await run.said('registered')
    expect(await isPassing(name)).toBe(true)
    await end(port, run.logged.find(({ pid }) => pid !== undefined)?.pid ?? 0)
    expect(await run.ended).toBe(code)
    expect((await consul.get(`/v1/health/service/${name}`)).body).toEqual([])
  })

  test('a command that ends while the proxies are given time to notice is not waited for any longer', async (context) => {
    const cleanups = cleanupsOf(context)
    const port = await freePort()
    const run = wrapped(cleanups, 'hasty', port, [...toConsul(), '--drain', '10m'])
    await run.said('registered')
    run.process.kill('SIGTERM')
    await run.said('deregistered')
    await put(port, '/crash')
    expect(await run.ended).toBe(9)
  })
})

test('Consul away at the start: the command runs, and is registered once there is one; away in the end: not for ever', {
  concurrent: true,
  timeout: 60_000,
}, async (context) => {
  const cleanups = cleanupsOf(context)
  const consul = await startConsul()
  cleanups.push(consul.stop)
  await consul.kill()
  const port = await freePort()
  const run = wrapped(cleanups, 'web', port, ['--set', `discovery.consul.address=${consul.url}`])
  await run.said('the registry could not be told')
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe(`served by ${port}`)
  await consul.start()
  await run.said('registered')
  // It is a new agent after that, which knows nobody; the next beat finds out.
  await consul.kill()
  await consul.start()
  await run.said('registered again')
  await consul.kill()
  run.process.kill('SIGTERM')
  expect(await run.ended).toBe(0)
  await run.said('could not be deregistered')
  expect(run.events.map(({ event }) => event)).toEqual(['started', 'listening', 'signal'])
})

test.skipIf(lacksEureka !== null)(
  'with a real Eureka: UP once it answers, gone before SIGTERM',
  { concurrent: true, timeout: 60_000 },
  async (context) => {
    const cleanups = cleanupsOf(context)
    const eureka = await startEureka()
    cleanups.push(eureka.stop)
    const port = await freePort()
    const app = `${eureka.url}/apps/WEB`
    const run = wrapped(
      cleanups,
      'web',
      port,
      ['--to', 'eureka', '--set', `discovery.eureka.urls=['${eureka.url}']`],
      [`ask=${app}`],
    )
    await run.said('registered')
    expect(await eureka.send('GET', `/apps/WEB/web-127.0.0.1-${port}`)).toContain('"status":"UP"')
    run.process.kill('SIGTERM')
    expect(await run.ended).toBe(0)
    expect(run.events.at(-1)?.registry).not.toContain('127.0.0.1')
  },
)

test.skipIf(lacksEtcd !== null)(
  'with the proxy that follows a real etcd: requests are answered, and none fails when one of two is stopped',
  { concurrent: true, timeout: 60_000 },
  async (context) => {
    const cleanups = cleanupsOf(context)
    const etcd = await startEtcd()
    cleanups.push(etcd.stop)
    const endpoints = `discovery.etcd.endpoints=['${etcd.url}']`
    const app = await startApp({
      config: configOf(`
listen: { host: 127.0.0.1, port: 0 }
admin: { port: 0 }
discovery: { source: etcd, etcd: { endpoints: ['${etcd.url}'] } }
retry: { attempts: 0 }
shutdown: { drainTimeout: 0s }
`),
      ...{ log: pino({ level: 'silent' }), setLogLevel: () => {}, version: '0' },
    })
    cleanups.push(() => app.close())
    const url = `http://127.0.0.1:${await app.ready}/web/`
    const ports = [await freePort(), await freePort()]
    const [first, second] = ports.map((port) => wrapped(cleanups, 'web', port, ['--to', 'etcd', '--set', endpoints]))
    if (first === undefined || second === undefined) throw new Error('there are two')

    const answers = new Map<string, number>()
    const counted = (text: string) => answers.get(text) ?? 0
    await waitFor(
      'both are routed to',
      async () => {
        const answer = await ask(url)
        answers.set(answer, counted(answer) + 1)
        return ports.every((port) => counted(`200 served by ${port}`) > 0)
      },
      20_000,
    )

    answers.clear()
    let isOver = false
    const client = async () => {
      while (!isOver) {
        const answer = await ask(url)
        answers.set(answer, counted(answer) + 1)
      }
    }
    const clients = Array.from({ length: 4 }, client)
    await waitFor('both serve', () => ports.every((port) => counted(`200 served by ${port}`) > 20))
    first.process.kill('SIGTERM')
    expect(await first.ended).toBe(0)
    const before = counted(`200 served by ${ports[1]}`)
    await waitFor('the other one serves on', () => counted(`200 served by ${ports[1]}`) > before + 50)
    isOver = true
    await Promise.all(clients)
    expect([...answers.keys()].sort()).toEqual(ports.map((port) => `200 served by ${port}`).sort())

    second.process.kill('SIGTERM')
    expect(await second.ended).toBe(0)
    await waitFor(
      'nobody is left',
      async () => (await ask(url)).startsWith('404') || (await ask(url)).startsWith('503'),
    )
  },
)

describe('as a program', { concurrent: true }, () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  test.each([
    ['a registry on this machine without --address', [], 1, 'means this machine itself; pass --address'],
    ['a wrong value of --set', ['--set', 'discovery.consul.tokn=x'], 2, 'unknown key, did you mean token?'],
    ['a command that is not there', ['--address', '127.0.0.1'], 127, 'cannot start "no-such-program": there is no'],
  ] as const)('%s is one line, and the exit code says what kind', async (_, args, code, line) => {
    const all = ['run', '--service', 'web', '--port', '1', ...args, '--', 'no-such-program']
    const { status, stdout, stderr } = await new Promise<{ status: unknown; stdout: string; stderr: string }>(
      (resolve) => {
        const options = { cwd: root, env: { PATH: process.env.PATH }, timeout: 15_000 }
        execFile(process.execPath, ['--import', 'tsx', 'src/main.ts', ...all], options, (error, stdout, stderr) =>
          resolve({ status: error?.code ?? 0, stdout, stderr }),
        )
      },
    )
    expect({ status, stdout }).toEqual({ status: code, stdout: '' })
    expect(stderr).toMatch(/^evenkeel: [^\n]*\n$/)
    expect(stderr).toContain(line)
  })
})

/** Status and body of a GET over a connection of its own. */
function ask(url: string): Promise<string> {
  return new Promise((resolve) => {
    const sent = get(url, { agent: false }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (piece: string) => {
        text += piece
      })
      answer.on('end', () => resolve(`${answer.statusCode} ${text}`))
      answer.on('error', (error) => resolve(`broken: ${error.message}`))
    })
    sent.on('error', (error) => resolve(`failed: ${error.message}`))
  })
}
