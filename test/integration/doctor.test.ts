/** Does the doctor find what is wrong with a real catalog and real sockets, and nothing in one that is well? */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type DoctorOptions, doctor } from '../../src/commands/doctor.ts'
import { fullEndpoint } from '../contract/full-endpoint.ts'
import { type ConsulAgent, freePort, startConsul } from '../support/consul.ts'
import { listenOnLoopback } from '../support/loopback.ts'

const ttl = { TTL: '60m', Status: 'passing' } as const
let consul: ConsulAgent
/** Answers 200, and 500 below /bad. */
let origin = 0
const cleanups: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  // By default an agent holds a changed output back for five minutes.
  consul = await startConsul({ hcl: ['check_update_interval = "0s"'] })
  const server = createServer((request, response) => {
    response.writeHead(request.url?.startsWith('/bad') ? 500 : 200).end()
  })
  origin = await listenOnLoopback(server, cleanups)
})
afterEach(async () => {
  const { body } = await consul.get('/v1/agent/services')
  for (const id of Object.keys(body as object)) await consul.deregister(id)
})
afterAll(async () => {
  for (const cleanup of cleanups) await cleanup()
  await consul?.stop()
})

interface Found {
  readonly kind: string
  readonly service: string | null
  readonly instances: readonly { readonly id: string; readonly place: string; readonly note: string | null }[]
}

async function ask(more: Partial<DoctorOptions> & { set?: readonly string[]; env?: NodeJS.ProcessEnv } = {}) {
  const { set = [], env = {}, ...given } = more
  let text = ''
  const options = { kind: 'doctor', service: null, httpPath: null, watchMs: 0, json: true, file: null } as const
  const flags = { consul: consul.url, set }
  const code = await doctor({ ...options, flags, ...given }, env, (piece) => {
    text += piece
  })
  const { findings, ...scope } = JSON.parse(text) as { findings: Found[]; services: number; instances: number }
  return { code, findings, scope }
}

/** Loopback is all that a test may connect to, and is told each time. */
function kinds(findings: readonly Found[]): string[] {
  return findings
    .filter(({ kind }) => kind !== 'loopback-address')
    .map(({ kind, service, instances }) => [kind, service ?? '-', ...instances.map(({ id }) => id)].join(' '))
}

describe('against a real Consul', () => {
  test('what is registered and what answers is compared, whatever Consul says of it', async () => {
    const { port: full } = await fullEndpoint()
    const closed = await freePort()
    const register = (name: string, id: string, port: number, more: object = { Check: ttl }) =>
      consul.register({ Name: name, ID: id, Address: '127.0.0.1', Port: port, ...more })
    await register('well', 'well-1', origin)
    await register('lie', 'lie-1', closed)
    await register('stuck', 'stuck-1', full)
    await register('unchecked', 'unchecked-1', origin, {})
    await register('doubted', 'doubted-1', origin, { Check: { ...ttl, Status: 'critical' } })
    await register('a/b', 'ab-1', origin)
    await register('my wéb', 'web-1', origin)
    await register('portless', 'portless-1', 0)
    const { code, findings, scope } = await ask({ set: ['upstream.connectTimeout=300ms'] })
    expect(code).toBe(1)
    expect(kinds(findings).sort()).toEqual(
      [
        'refused lie lie-1',
        'timed-out stuck stuck-1',
        'no-checks unchecked unchecked-1',
        'none-in-rotation doubted doubted-1',
        'answers-though-critical doubted doubted-1',
        'bad-name a/b',
        'name-needs-encoding my wéb',
        'none-in-rotation portless portless-1',
        'bad-registration portless portless-1',
      ].sort(),
    )
    expect(scope).toMatchObject({ services: 8, excluded: 1, from: consul.url })
    expect(findings.find(({ kind }) => kind === 'refused')?.instances[0]?.place).toBe(`127.0.0.1:${closed}`)
  })

  test('a GET is sent where it is asked for, to the path that is asked for', async () => {
    await consul.register({ Name: 'web', ID: 'web-1', Address: '127.0.0.1', Port: origin, Check: ttl })
    expect(kinds((await ask({ httpPath: '/' })).findings)).toEqual([])
    expect(kinds((await ask({ httpPath: '/bad' })).findings)).toEqual(['http-5xx web web-1'])
    expect(kinds((await ask({ httpPath: null })).findings)).toEqual([])
  })

  test('a relay at a virtual address, with nobody behind it, is seen by a GET; that it is one place, without', async () => {
    const relay = createTcpServer((socket) => socket.destroy())
    relay.listen(0, '127.77.0.1')
    await once(relay, 'listening')
    const { port } = relay.address() as AddressInfo
    try {
      for (const id of ['web-1', 'web-2']) {
        await consul.register({ Name: 'web', ID: id, Address: '127.77.0.1', Port: port, Check: ttl })
      }
      expect(kinds((await ask()).findings)).toEqual(['shared-address web web-1 web-2'])
      expect(kinds((await ask({ httpPath: '/' })).findings)).toEqual([
        'no-http web web-1 web-2',
        'shared-address web web-1 web-2',
      ])
    } finally {
      relay.close()
      await once(relay, 'close')
    }
  })

  test('a check whose output changes all the time is told, one that has news is not', async () => {
    for (const id of ['noisy', 'quiet']) {
      await consul.register({ Name: id, ID: id, Address: '127.0.0.1', Port: origin, Check: ttl })
    }
    let beats = 0
    let last = Promise.resolve()
    const beat = setInterval(() => {
      last = consul.setCheck('service:noisy', 'pass', `beat ${beats++}`)
    }, 100)
    try {
      const { findings } = await ask({ watchMs: 2000 })
      expect(kinds(findings)).toEqual(['churning-check noisy noisy'])
    } finally {
      clearInterval(beat)
      await last
    }
  })

  test('only the service that is asked for is looked at; one that is left out or is not there is told', async () => {
    await consul.register({ Name: 'web', ID: 'web-1', Address: '127.0.0.1', Port: origin, Check: ttl })
    await consul.register({ Name: 'other', ID: 'other-1', Address: '127.0.0.1', Port: await freePort(), Check: ttl })
    const web = await ask({ service: 'web' })
    expect([kinds(web.findings), web.scope.services, web.scope.instances]).toEqual([[], 1, 1])
    expect(kinds((await ask({ service: 'wbe' })).findings)).toEqual(['unknown-service wbe'])
    const left = await ask({ service: 'web', set: ['discovery.consul.exclude=[we*]'] })
    expect(kinds(left.findings)).toEqual(['excluded web'])
  })

  test('a catalog without a service that is routed is told', async () => {
    expect(kinds((await ask()).findings)).toEqual(['empty-catalog -'])
  })

  test('an agent that is not there is one finding', async () => {
    const { code, findings } = await ask({ flags: { consul: `http://127.0.0.1:${await freePort()}` } })
    expect([code, kinds(findings)]).toEqual([1, ['unreadable -']])
  })

  test('nothing is written', async () => {
    await consul.register({ Name: 'web', ID: 'web-1', Address: '127.0.0.1', Port: origin, Check: ttl })
    const state = async () => {
      const [services, checks] = [await consul.get('/v1/agent/services'), await consul.get('/v1/agent/checks')]
      return [services.body, checks.body]
    }
    const before = await state()
    await ask({ httpPath: '/', watchMs: 600 })
    expect(await state()).toEqual(before)
  })
})

test('where access is controlled, the token decides what is seen, and is never shown', async () => {
  const [token, wrong] = ['7f4ad1c2-55e0-4f0c-9d6b-000000000001', '7f4ad1c2-55e0-4f0c-9d6b-000000000002']
  const guarded = await startConsul({ aclToken: token })
  try {
    await guarded.register({ Name: 'web', ID: 'web-1', Address: '127.0.0.1', Port: origin, Check: ttl })
    const flags = { consul: guarded.url }
    const seen = await ask({ flags, env: { CONSUL_HTTP_TOKEN: token } })
    expect([kinds(seen.findings), seen.scope.instances]).toEqual([[], 1])
    expect(kinds((await ask({ flags })).findings)).toEqual(['empty-catalog -'])
    const refused = await ask({ flags, env: { CONSUL_HTTP_TOKEN: wrong } })
    expect(kinds(refused.findings)).toEqual(['unreadable -'])
    expect(JSON.stringify(refused.findings)).toContain('ACL not found')
    expect(JSON.stringify(refused.findings)).not.toContain(wrong)
  } finally {
    await guarded.stop()
  }
})

describe('with a fixed list', () => {
  test('nothing is wrong, and exit code and last line say so', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'evenkeel-doctor-'))
    try {
      const file = join(folder, 'evenkeel.yaml')
      await writeFile(file, `discovery: { source: static, static: { services: { web: ['127.0.0.1:${origin}'] } } }\n`)
      const root = fileURLToPath(new URL('../..', import.meta.url))
      const args = ['--import', 'tsx', 'src/main.ts', 'doctor', '--http', '--config', file]
      const child = spawn(process.execPath, args, { cwd: root, env: { PATH: process.env.PATH } })
      let text = ''
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => (text += piece))
      const code = await new Promise((resolve) => child.once('close', resolve))
      expect([code, text]).toEqual([0, 'doctor: nothing wrong found in 1 service, 1 instance\n'])
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('a config with a problem is a finding, and a flag that is wrong is wrong usage', async () => {
    const wrong = await ask({ flags: {}, env: { EVENKEEL_LISTEN_PORT: 'x' } })
    expect([wrong.code, kinds(wrong.findings)]).toEqual([1, ['config -']])
    const options = { kind: 'doctor', service: null, httpPath: null, watchMs: 0, json: true, file: null } as const
    expect(await doctor({ ...options, flags: { set: ['listen.prot=1'] } }, {}, () => {})).toBe(2)
  })
})
