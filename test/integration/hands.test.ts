/**
 * Does a person's word hold against everything: a real Consul, real instances, traffic, the real command in a process of
 * its own?
 */

import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { failed, failuresOf, startLoad } from '../drills/load.ts'
import { type Origin, repository } from '../drills/origins.ts'
import { type ProxyProcess, plainEnvironment } from '../drills/proxy-process.ts'
import { type Scope, scoped } from '../drills/scope.ts'
import { checkIdOf, service, startServingWorld } from '../drills/world.ts'
import { waitFor } from '../support/wait.ts'

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** `evenkeel …` as an operator types it, against this proxy. */
function evenkeel(proxy: ProxyProcess, ...args: string[]): Promise<Ran> {
  const all = ['--import', 'tsx', 'src/main.ts', ...args, '--admin', `http://127.0.0.1:${proxy.adminPort}`]
  return new Promise((resolve) => {
    execFile(process.execPath, all, { cwd: repository, env: plainEnvironment() }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

async function stateOf(proxy: ProxyProcess, { endpoint }: Origin): Promise<string | undefined> {
  return (await proxy.endpoints(service)).find((each) => each.endpoint === endpoint)?.state
}

/** Lines are gathered before they are written. */
function logged(proxy: ProxyProcess, msg: string) {
  return waitFor(`the log says: ${msg}`, () => proxy.logged(msg).length > 0 && proxy.logged(msg))
}

/** So many requests one after the other; how many of them each instance had. */
async function shares(scope: Scope, proxy: ProxyProcess, total: number): Promise<Record<string, number>> {
  const streams = [{ method: 'GET', perSecond: 1_000, path: `/${service}/` }] as const
  const shots = await startLoad(scope, { port: proxy.port, connections: 1, streams, total }).finished
  expect(failuresOf(shots)).toEqual([])
  const counts: Record<string, number> = {}
  for (const { servedBy } of shots) counts[servedBy ?? 'nobody'] = (counts[servedBy ?? 'nobody'] ?? 0) + 1
  return counts
}

async function startAll(scope: Scope, set: readonly string[] = [], config?: string) {
  const world = await startServingWorld(scope, ['a', 'b', 'c'])
  const [a, b, c] = world.origins as readonly [Origin, Origin, Origin]
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-hands-'))
  scope.onEnd(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'evenkeel.yaml')
  await writeFile(file, config ?? '')
  const proxy = await world.startProxy(set, world.origins, file)
  return { ...world, a, b, c, proxy, folder, file }
}

describe('an endpoint that is drained by hand', () => {
  test(
    'gets no request more and fails none, whatever Consul says, until it is undrained and the shares are even',
    () =>
      scoped(async (scope) => {
        const { consul, register, a, b, c, proxy } = await startAll(scope)
        for (const origin of [a, b, c]) await origin.behave({ delayMs: 20 })
        const load = startLoad(scope, {
          port: proxy.port,
          connections: 20,
          streams: [
            { method: 'GET', perSecond: 200, path: `/${service}/` },
            { method: 'POST', perSecond: 100, path: `/${service}/`, body: 'x'.repeat(2_000) },
          ],
        })
        await load.more(200)
        expect(await b.count()).toBeGreaterThan(20)

        const drained = await evenkeel(proxy, 'drain', service, b.endpoint, '--by', 'anna')
        expect(drained).toMatchObject({ code: 0, err: '' })
        expect(drained.out).toContain(`${b.endpoint} of ${service} is drained: no request goes to it`)
        const inFlight = async () =>
          (await proxy.endpoints(service)).find(({ endpoint }) => endpoint === b.endpoint)?.inFlight
        await waitFor('what was in flight has finished', async () => (await inFlight()) === 0)
        const before = await b.count()
        const staysAway = async (why: string) => {
          await load.more(200)
          expect(await b.count(), why).toBe(before)
        }
        await staysAway('drained')
        expect(await proxy.metric('evenkeel_endpoints', { service, state: 'drained' })).toBe(1)
        expect(await logged(proxy, 'an endpoint was drained by hand')).toMatchObject([
          { level: 'warn', service, endpoint: b.endpoint, by: 'anna', from: '127.0.0.1', how: 'loopback' },
        ])

        await consul.deregister(b.name)
        await proxy.untilEndpoints(service, [a.endpoint, c.endpoint])
        expect(JSON.parse((await proxy.admin(`/api/services/${service}`)).text).drainedAway).toMatchObject([
          { endpoint: b.endpoint, by: 'anna (127.0.0.1)' },
        ])
        await register(b)
        await waitFor('it is back and still drained', async () => (await stateOf(proxy, b)) === 'drained')
        await staysAway('registered anew')

        await consul.setCheck(checkIdOf(b), 'fail')
        await proxy.untilEndpoints(service, [a.endpoint, c.endpoint])
        await consul.setCheck(checkIdOf(b), 'pass')
        await waitFor('it passes and is still drained', async () => (await stateOf(proxy, b)) === 'drained')
        await staysAway('its check passes again')

        expect(await evenkeel(proxy, 'drain', service, b.endpoint)).toMatchObject({
          code: 0,
          out: expect.stringContaining('is drained, as before.\n  - it was drained already, by anna (127.0.0.1), '),
        })
        const shots = await load.stop()
        expect(failuresOf(shots.filter(failed))).toEqual([])

        expect(await evenkeel(proxy, 'undrain', service, b.endpoint)).toEqual({
          code: 0,
          out: `${b.endpoint} of ${service} is no longer drained.\n`,
          err: '',
        })
        expect(await shares(scope, proxy, 60)).toEqual({ a: 20, b: 20, c: 20 })
        expect(await proxy.metric('evenkeel_endpoints', { service, state: 'drained' })).toBe(0)
      }),
    90_000,
  )

  test(
    'stays drained over a SIGHUP that starts the source anew, and the token it brings holds at once',
    () =>
      scoped(async (scope) => {
        const { consul, a, b, c, proxy, folder, file } = await startAll(scope)
        expect((await evenkeel(proxy, 'drain', service, b.endpoint)).code).toBe(0)
        const secret = 'correct-horse-battery'
        await writeFile(file, `admin: { token: ${secret} }\ndiscovery: { consul: { stale: false } }\n`)
        proxy.signal('SIGHUP')
        const config = async () => JSON.parse((await proxy.admin('/api/config')).text)
        await waitFor('the new config holds', async () => (await config()).discovery.consul.stale === false)
        await consul.deregister(c.name)
        await proxy.untilEndpoints(service, [a.endpoint, b.endpoint])
        expect(await stateOf(proxy, b), 'by the word of the new source').toBe('drained')
        expect(await shares(scope, proxy, 20)).toEqual({ a: 20 })

        const right = join(folder, 'right')
        const wrong = join(folder, 'wrong')
        await Promise.all([writeFile(right, `${secret}\n`), writeFile(wrong, `${secret}x\n`)])
        expect(await evenkeel(proxy, 'undrain', service, b.endpoint, '--token-file', wrong)).toEqual({
          code: 1,
          out: '',
          err: expect.stringMatching(/^evenkeel: cannot undrain .* \(401\)\n$/),
        })
        expect(await stateOf(proxy, b)).toBe('drained')
        expect(await evenkeel(proxy, 'undrain', service, b.endpoint, '--token-file', right)).toMatchObject({ code: 0 })
        expect(await stateOf(proxy, b)).toBe('healthy')
        expect(await logged(proxy, 'an endpoint is no longer drained')).toMatchObject([{ how: 'token' }])
        expect(await logged(proxy, 'somebody who may not tried to change something')).toHaveLength(1)
        expect((await proxy.admin('/api/config')).text).not.toContain(secret)
        expect(JSON.stringify(proxy.log)).not.toContain(secret)
      }),
    60_000,
  )

  test(
    'with all others leaves 503 that says so, and its kept connections are closed',
    () =>
      scoped(async (scope) => {
        const { a, b, c, proxy } = await startAll(scope, ['upstream.keepAlive=true'])
        const say = async (action: string, { endpoint }: Origin) => {
          const path = `/api/services/${service}/endpoints/${encodeURIComponent(endpoint)}/${action}`
          const response = await fetch(`http://127.0.0.1:${proxy.adminPort}${path}`, { method: 'POST' })
          return { status: response.status, body: (await response.json()) as { notes: readonly string[] } }
        }
        const kept = () => proxy.metric('evenkeel_upstream_connections')
        expect(await shares(scope, proxy, 3)).toEqual({ a: 1, b: 1, c: 1 })
        expect(await kept()).toBe(3)
        await say('drain', b)
        await waitFor('only the connections to the others are kept', async () => (await kept()) === 2)

        await say('drain', a)
        expect((await say('drain', c)).body.notes).toEqual([
          'no endpoint of the service is left: requests are answered 503 now',
        ])
        const answer = await fetch(`http://127.0.0.1:${proxy.port}/${service}/`)
        expect([answer.status, answer.headers.get('proxy-status')]).toEqual([
          503,
          expect.stringContaining('no endpoint of it is in rotation'),
        ])
        await answer.text()
        await say('undrain', c)
        expect(await shares(scope, proxy, 4)).toEqual({ c: 4 })
      }),
    60_000,
  )
})

test(
  'eject and restore by hand, from the command line',
  () =>
    scoped(async (scope) => {
      const { a, proxy } = await startAll(scope, ['outlier.baseEjectionTime=5m'])
      const ejected = await evenkeel(proxy, 'eject', service, a.endpoint, '--json')
      expect(JSON.parse(ejected.out)).toMatchObject({ result: 'done', endpoint: a.endpoint, state: 'ejected' })
      expect(await shares(scope, proxy, 10)).toEqual({ b: 5, c: 5 })
      expect(await proxy.metric('evenkeel_ejections_total', { service, reason: 'by-hand' })).toBe(1)
      expect(await evenkeel(proxy, 'restore', service, a.endpoint)).toMatchObject({ code: 0 })
      expect(await shares(scope, proxy, 9)).toEqual({ a: 3, b: 3, c: 3 })
      expect(await evenkeel(proxy, 'eject', service, 'a')).toEqual({
        code: 1,
        out: '',
        err: `evenkeel: cannot eject a of ${service}: An endpoint is named by its address and port: ${a.endpoint}. (404)\n`,
      })
    }),
  60_000,
)
