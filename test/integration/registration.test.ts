/** Is the proxy found in a real Consul, and does it stay there, whatever happens to the agent, until it is closed? */

import { Resolver } from 'node:dns/promises'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import type { AgentAddress } from '../../src/discovery/consul/agent-client.ts'
import {
  createRegistration,
  type Registration,
  type RegistrationOptions,
} from '../../src/discovery/consul/registration.ts'
import { registrationOptions } from '../discovery/consul/registration-options.ts'
import { type ConsulAgent, freePort, startConsul } from '../support/consul.ts'
import { makeConsulTls } from '../support/consul-tls.ts'
import { listenOnLoopback } from '../support/loopback.ts'
import { waitFor } from '../support/wait.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function agent(...args: Parameters<typeof startConsul>): Promise<ConsulAgent> {
  const started = await startConsul(...args)
  cleanups.push(started.stop)
  return started
}

/** A proxy's admin listener, as far as Consul sees it. */
async function adminListener() {
  const seen = { ready: true, checks: 0 }
  const server = createServer((request, response) => {
    if (request.url === '/readyz') seen.checks += 1
    response.writeHead(request.url === '/readyz' && seen.ready ? 200 : 503).end('fresh\n')
  })
  return { seen, port: await listenOnLoopback(server, cleanups) }
}

interface Made extends Registration {
  /** The lines of its log. */
  readonly logged: readonly { readonly level: number; readonly msg: string; readonly cure?: string }[]
}

function registration(
  consul: { readonly url: string; readonly token?: string; readonly tls?: AgentAddress['tls'] },
  adminPort: number,
  options: Partial<RegistrationOptions> = {},
): Made {
  const logged: Made['logged'][number][] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(JSON.parse(line)) })
  const made = createRegistration(
    { ...registrationOptions, checkIntervalMs: 1000, ...options },
    {
      address: consul.url,
      token: consul.token ?? null,
      namespace: null,
      tls: consul.tls ?? { ca: null, cert: null, key: null },
    },
    { port: 8080, adminHost: '0.0.0.0', adminPort },
    { log, random: Math.random, timing: { lookEveryMs: 200 } },
  )
  cleanups.push(made.close)
  return { ...made, logged }
}

interface Entry {
  readonly Service: { readonly ID: string; readonly Port: number; readonly Tags: readonly string[] }
  readonly Checks: readonly { readonly CheckID: string; readonly Status: string }[]
}

/** What the catalog says of the proxy: each instance's id and the status of its check. */
async function inCatalog(consul: ConsulAgent): Promise<string[]> {
  const { body } = await consul.get('/v1/health/service/evenkeel')
  return (body as Entry[]).map(({ Service, Checks }) => {
    const check = Checks.find(({ CheckID }) => CheckID === `${Service.ID}-ready`)
    return `${Service.ID} ${check?.Status ?? 'without a check'}`
  })
}

const until = (consul: ConsulAgent, expected: readonly string[], deadlineMs?: number) =>
  waitFor(
    `the catalog says ${JSON.stringify(expected)}`,
    async () => JSON.stringify(await inCatalog(consul)) === JSON.stringify(expected),
    deadlineMs,
  )

test('it is registered, gets traffic once the agent has seen it ready, is found by DNS, and is gone after close', async () => {
  const consul = await agent({ dns: true })
  const admin = await adminListener()
  admin.seen.ready = false
  const made = registration(consul, admin.port)
  const dns = new Resolver({ timeout: 2000, tries: 1 })
  dns.setServers([`127.0.0.1:${consul.ports.dns}`])
  const found = () => dns.resolveSrv('evenkeel.service.consul').catch(({ code }: { code: string }) => code)

  made.start()
  await until(consul, ['evenkeel-8080 critical'])
  await waitFor('the check has run', () => admin.seen.checks > 0)
  expect(await inCatalog(consul)).toEqual(['evenkeel-8080 critical'])
  expect(await found()).toBe('ENOTFOUND')
  await waitFor('the failing check is told, with its cure', () =>
    made.logged.some(({ msg, cure }) => /does not find/.test(msg) && /register.checkUrl/.test(cure ?? '')),
  )

  admin.seen.ready = true
  await until(consul, ['evenkeel-8080 passing'])
  const { body } = await consul.get('/v1/health/service/evenkeel?passing')
  expect((body as Entry[])[0]?.Service).toMatchObject({ ID: 'evenkeel-8080', Port: 8080, Tags: ['edge'] })
  await waitFor('its SRV record', async () => typeof (await found()) !== 'string')
  expect(await found()).toEqual([{ name: 'n1.node.dc1.consul', port: 8080, priority: 1, weight: 1 }])
  expect(await dns.resolve4('edge.evenkeel.service.consul')).toEqual(['127.0.0.1'])

  await made.close()
  expect(await inCatalog(consul)).toEqual([])
  expect(made.logged.at(-1)?.msg).toBe('deregistered from Consul')
  made.start()
  await made.close()
  expect(await inCatalog(consul)).toEqual([])
})

test('two proxies on one agent are two instances', async () => {
  const consul = await agent()
  const admin = await adminListener()
  registration(consul, admin.port).start()
  registration(consul, admin.port, { port: 8090, address: '10.1.2.3' }).start()
  await until(consul, ['evenkeel-8080 passing', 'evenkeel-8090 passing'])
})

test('an agent that is killed and comes back empty knows it again', async () => {
  const consul = await agent()
  const admin = await adminListener()
  const made = registration(consul, admin.port)
  made.start()
  await until(consul, ['evenkeel-8080 passing'])
  await consul.kill()
  await waitFor('its absence is told', () => made.logged.some(({ cure }) => /start a Consul agent/.test(cure ?? '')))
  await consul.start()
  await until(consul, ['evenkeel-8080 passing'])
  const warnings = made.logged.filter(({ level }) => level === 40).map(({ msg }) => msg)
  // One for each kind: a refused connection, perhaps a reset one.
  expect(warnings.filter((msg) => /could not be registered/.test(msg)).length).toBeLessThanOrEqual(3)
  expect(warnings).toContain('registered in Consul again: the agent did not know this proxy any more')
})

test.each<[string, (consul: ConsulAgent) => Promise<unknown>]>([
  ['deregistered by hand', (consul) => consul.deregister('evenkeel-8080')],
  [
    'without its check, which Consul would take for healthy',
    (consul) => consul.send('PUT', '/v1/agent/check/deregister/evenkeel-8080-ready'),
  ],
  [
    'overwritten by somebody',
    (consul) => consul.register({ Name: 'evenkeel', ID: 'evenkeel-8080', Port: 1, Tags: ['mine'] }),
  ],
])('%s, it is there again as it should be', async (_, disturb) => {
  const consul = await agent()
  const admin = await adminListener()
  const made = registration(consul, admin.port)
  made.start()
  await until(consul, ['evenkeel-8080 passing'])
  const lines = made.logged.length
  await disturb(consul)
  await waitFor('it is registered again', () =>
    made.logged.slice(lines).some(({ msg }) => /registered in Consul again/.test(msg)),
  )
  await until(consul, ['evenkeel-8080 passing'])
  const { body } = await consul.get('/v1/health/service/evenkeel')
  expect((body as Entry[])[0]?.Service).toMatchObject({ Port: 8080, Tags: ['edge'] })
})

test('an agent that is away at the start: told once, and registered when it comes', async () => {
  const port = await freePort()
  const admin = await adminListener()
  const made = registration({ url: `http://127.0.0.1:${port}` }, admin.port)
  made.start()
  await waitFor('its absence is told', () => made.logged.length > 0)
  const ports = { http: port, server: await freePort(), serfLan: await freePort(), serfWan: await freePort() }
  const consul = await agent({ ports })
  await until(consul, ['evenkeel-8080 passing'])
  expect(made.logged.filter(({ cure }) => /start a Consul agent/.test(cure ?? ''))).toHaveLength(1)
})

test('a token without the right to write: told once with its cure, and never the token', async () => {
  const master = '7f4ad1c2-55e0-4f0c-9d6b-000000000001'
  const consul = await agent({ aclToken: master })
  const admin = await adminListener()
  const policy = { Name: 'reader', Rules: 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }' }
  await consul.send('PUT', '/v1/acl/policy', policy)
  const created = await consul.send('PUT', '/v1/acl/token', { Policies: [{ Name: 'reader' }] })
  const token = (JSON.parse(created.text) as { SecretID: string }).SecretID
  const made = registration({ url: consul.url, token }, admin.port)
  made.start()
  await waitFor('the refusal is told', () => made.logged.length > 0)
  expect(made.logged[0]?.cure).toContain('service:write on "evenkeel"')

  // Mended while it runs: it needs no restart.
  const rules = 'service "evenkeel" { policy = "write" } node_prefix "" { policy = "read" }'
  const read = await consul.get('/v1/acl/policy/name/reader')
  const { ID } = read.body as { ID: string }
  await consul.send('PUT', `/v1/acl/policy/${ID}`, { ...policy, ID, Rules: rules })
  await until(consul, ['evenkeel-8080 passing'], 20_000)
  expect(made.logged.filter(({ cure }) => /service:write/.test(cure ?? ''))).toHaveLength(1)
  await made.close()
  expect(await inCatalog(consul)).toEqual([])
  expect(JSON.stringify(made.logged)).not.toContain(token)
}, 30_000)

test('an agent that speaks TLS and wants a certificate: registered with both, and without its CA the cure is told', async () => {
  const { url, hcl, ca, cert, key, remove } = await makeConsulTls()
  cleanups.push(remove)
  const consul = await agent({ hcl })
  const admin = await adminListener()
  const blind = registration({ url }, admin.port)
  blind.start()
  await waitFor('the distrust is told', () => blind.logged.some(({ cure }) => /CONSUL_CACERT/.test(cure ?? '')))
  registration({ url, tls: { ca, cert, key } }, admin.port).start()
  await until(consul, ['evenkeel-8080 passing'])
})

test('closed while the agent hangs: it resolves all the same, and says what is left behind', async () => {
  const consul = await agent()
  const admin = await adminListener()
  const made = registration(consul, admin.port)
  made.start()
  await until(consul, ['evenkeel-8080 passing'])
  process.kill(consul.pid ?? 0, 'SIGSTOP')
  try {
    await made.close()
  } finally {
    process.kill(consul.pid ?? 0, 'SIGCONT')
  }
  expect(made.logged.at(-1)?.msg).toMatch(/^could not be deregistered/)
})

test('closed while a registration is under way: nothing is registered after it (a link in front of the agent is slow)', async () => {
  const consul = await agent()
  const admin = await adminListener()
  const link = await slowLink(consul.port)
  const made = registration({ url: link.url }, admin.port)
  made.start()
  await waitFor('the registration has left', () => link.seen.length === 1)
  await made.close()
  await waitFor('the registration has arrived', () => link.delivered() === 2)
  expect(await inCatalog(consul)).toEqual([])
  expect(link.seen.map((head) => head.split('?')[0]?.split(' ')[1])).toEqual([
    '/v1/agent/service/register',
    '/v1/agent/service/deregister/evenkeel-8080',
  ])
})

/** A TCP link to the agent that is slow to pass on the first request, and remembers what was sent. */
async function slowLink(to: number) {
  const sockets = new Set<Socket>()
  const seen: string[] = []
  let delivered = 0
  const server = createTcpServer((client) => {
    const agent = connect(to, '127.0.0.1')
    for (const socket of [client, agent]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    agent.pipe(client)
    client.on('data', (piece) => {
      const first = seen.push(piece.toString('latin1')) === 1
      setTimeout(() => agent.write(piece, () => (delivered += 1)), first ? 300 : 0)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(async () => {
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    /** How many pieces have reached the agent. */
    delivered: () => delivered,
  }
}
