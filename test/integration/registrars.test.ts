/** Is an instance kept in each real registry: not well when it is not, there again when it was forgotten, and gone in the end? */

import { createServer } from 'node:http'
import { describe, expect, type TestContext, test } from 'vitest'
import { createConsulRegistrar } from '../../src/discovery/consul/consul-registrar.ts'
import { createEtcdRegistrar } from '../../src/discovery/etcd/etcd-registrar.ts'
import { createEurekaRegistrar } from '../../src/discovery/eureka/eureka-registrar.ts'
import type { Registered, Registrant, Registrar } from '../../src/discovery/registrar.ts'
import { freePort, startConsul } from '../support/consul.ts'
import { startEtcd } from '../support/etcd.ts'
import { etcdLacks } from '../support/etcd-binary.ts'
import { findEureka, startEureka } from '../support/eureka.ts'
import { listenOnLoopback } from '../support/loopback.ts'
import { waitFor } from '../support/wait.ts'

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

const never = new AbortController().signal
const registrant: Registrant = { service: 'web', id: 'web-1', address: '10.0.0.5', port: 8080, tags: ['v2', 'eu'] }
const noTls = { ca: null, cert: null, key: null }
const done = (changed: boolean): Registered => ({ kind: 'done', changed })
const cureOf = (came: Registered) => (came.kind === 'failed' ? came.failure.cure : 'none is needed')

/** One registry, as the story below needs it. */
interface World {
  readonly registrar: Registrar
  /** What the registry says of the instance, in a word; null: it is not there. */
  found(): Promise<string | null>
  /** Somebody else takes it out. */
  forget(): Promise<unknown>
  /** It is killed, and comes back without what it knew. */
  restart(): Promise<unknown>
  /** How an instance is found that is not well; null: it is not there. */
  readonly suspended: string | null
}

async function ofConsul(cleanups: Cleanups): Promise<World> {
  const consul = await startConsul()
  cleanups.push(consul.stop)
  return {
    registrar: createConsulRegistrar(registrant, { address: consul.url, token: null, namespace: null, tls: noTls }),
    async found() {
      const { body } = await consul.get('/v1/health/service/web')
      const [entry] = body as { Service: Record<string, unknown>; Checks: { CheckID: string; Status: string }[] }[]
      if (entry === undefined) return null
      expect(entry.Service).toMatchObject({ ID: 'web-1', Address: '10.0.0.5', Port: 8080, Tags: ['v2', 'eu'] })
      return entry.Checks.find(({ CheckID }) => CheckID === 'web-1@10.0.0.5:8080')?.Status ?? 'without a check'
    },
    forget: () => consul.deregister('web-1'),
    async restart() {
      await consul.kill()
      await consul.start()
    },
    suspended: 'critical',
  }
}

async function ofEtcd(cleanups: Cleanups): Promise<World> {
  const etcd = await startEtcd()
  cleanups.push(etcd.stop)
  const [member] = etcd.members
  return {
    registrar: createEtcdRegistrar(registrant, {
      endpoints: [`http://127.0.0.1:${await freePort()}`, etcd.url],
      ...{ prefix: '/services', user: null, password: null, tls: noTls },
    }),
    async found() {
      const { kvs = [] } = await etcd.post('/v3/kv/range', { key: base64('/services/web/web-1') })
      const [kv] = kvs as { value: string; lease: string }[]
      if (kv === undefined) return null
      expect(JSON.parse(Buffer.from(kv.value, 'base64').toString())).toEqual({
        ...{ address: '10.0.0.5', port: 8080, tags: ['v2', 'eu'] },
      })
      expect(kv.lease).toMatch(/^[1-9]\d+$/)
      return 'there'
    },
    forget: () => etcd.delete('/services/web/web-1'),
    async restart() {
      await member?.kill()
      await member?.wipe()
      member?.start()
      await etcd.ready()
    },
    suspended: null,
  }
}

async function ofEureka(cleanups: Cleanups): Promise<World> {
  const eureka = await startEureka()
  cleanups.push(eureka.stop)
  return {
    registrar: createEurekaRegistrar(
      registrant,
      { urls: [`http://127.0.0.1:${await freePort()}/eureka`, eureka.url], user: null, password: null, tls: noTls },
      { now: Date.now },
    ),
    async found() {
      // Of one instance a server answers from its registry, not from its cache.
      const text = await eureka.send('GET', '/apps/WEB/web-1').catch(() => null)
      if (text === null) return null
      const { instance } = JSON.parse(text)
      expect(instance).toMatchObject({
        ...{ app: 'WEB', hostName: '10.0.0.5', ipAddr: '10.0.0.5', vipAddress: 'web' },
        ...{ port: { $: 8080, '@enabled': 'true' }, securePort: { '@enabled': 'false' }, metadata: { tags: 'v2,eu' } },
        leaseInfo: { renewalIntervalInSecs: 30, durationInSecs: 90 },
      })
      return instance.status
    },
    forget: () => eureka.send('DELETE', '/apps/WEB/web-1'),
    async restart() {
      await eureka.stop()
      await eureka.start()
    },
    suspended: 'DOWN',
  }
}

describe.each([
  ['Consul', ofConsul, 'passing', null],
  ['etcd', ofEtcd, 'there', lacksEtcd],
  ['Eureka', ofEureka, 'UP', lacksEureka],
] as const)('a real %s', { concurrent: true }, (_, start, well, lacks) => {
  test.skipIf(lacks !== null)(
    'keeps an instance until it is removed, whatever becomes of it meanwhile',
    async (context) => {
      const { registrar, found, forget, restart, suspended } = await start(cleanupsOf(context))
      // Nothing to suspend yet, and nothing to remove.
      expect(await registrar.remove(never)).toMatchObject({ kind: 'done' })
      expect(await found()).toBeNull()

      expect(await registrar.keep(never)).toEqual(done(true))
      expect(await found()).toBe(well)
      expect(await registrar.keep(never)).toEqual(done(false))

      expect(await registrar.suspend(never)).toEqual(done(true))
      expect(await found()).toBe(suspended)
      expect(await registrar.suspend(never)).toEqual(done(false))
      expect(await registrar.keep(never)).toEqual(done(true))
      expect(await found()).toBe(well)

      await forget()
      expect(await found()).toBeNull()
      expect(await registrar.keep(never)).toEqual(done(true))
      expect(await found()).toBe(well)

      await restart()
      expect(await found()).toBeNull()
      expect(await registrar.keep(never)).toEqual(done(true))
      expect(await found()).toBe(well)

      expect(await registrar.remove(never)).toEqual(done(true))
      expect(await found()).toBeNull()
      expect(await registrar.remove(never)).toMatchObject({ kind: 'done' })
      // There again, and taken away behind its back: that is as good as done.
      await registrar.keep(never)
      await forget()
      expect(await registrar.remove(never)).toMatchObject({ kind: 'done' })
      await registrar.close()
    },
    120_000,
  )
})

describe('who may not write is told so, with the cure', { concurrent: true }, () => {
  test('of Consul', async ({ onTestFinished }) => {
    const consul = await startConsul({ aclToken: 'secret-of-root' })
    onTestFinished(consul.stop)
    const access = { address: consul.url, namespace: null, tls: noTls }
    const came = await createConsulRegistrar(registrant, { ...access, token: null }).keep(never)
    expect(came).toMatchObject({ kind: 'failed', failure: { speed: 'wrong' } })
    expect(cureOf(came)).toBe(
      'check discovery.consul.token (CONSUL_HTTP_TOKEN): to register, its policy must allow service:write on "web"',
    )
    const allowed = createConsulRegistrar(registrant, { ...access, token: 'secret-of-root' })
    expect(await allowed.keep(never)).toEqual(done(true))
    expect(await allowed.keep(never)).toEqual(done(false))
    expect(await allowed.remove(never)).toEqual(done(true))
  })

  test.skipIf(lacksEtcd !== null)('of etcd', async ({ onTestFinished }) => {
    const etcd = await startEtcd()
    onTestFinished(etcd.stop)
    await etcd.requireUsers('secret')
    await etcd.addReader('reader', 'r-secret', '/services/')
    const of = (user: string, password: string) =>
      createEtcdRegistrar(registrant, { endpoints: [etcd.url], prefix: '/services', user, password, tls: noTls })
    expect(cureOf(await of('reader', 'r-secret').keep(never))).toBe(
      'to register, a role of discovery.etcd.user must allow reading and writing the keys below the prefix',
    )
    expect(cureOf(await of('reader', 'wrong').keep(never))).toBe('check discovery.etcd.user and password')
    const perm = { permType: 'READWRITE', key: base64('/services/'), range_end: base64('/services0') }
    await etcd.post('/v3/auth/role/add', { name: 'writer' })
    await etcd.post('/v3/auth/role/grant', { name: 'writer', perm })
    await etcd.post('/v3/auth/user/grant', { user: 'reader', role: 'writer' })
    const allowed = of('reader', 'r-secret')
    expect(await allowed.keep(never)).toEqual(done(true))
    expect(await allowed.remove(never)).toEqual(done(true))
  })

  test.skipIf(lacksEureka !== null)(
    'of Eureka',
    async ({ onTestFinished }) => {
      const eureka = await startEureka({ credentials: 'anna:secret' })
      onTestFinished(eureka.stop)
      const of = (password: string) =>
        createEurekaRegistrar(registrant, { urls: [eureka.url], user: 'anna', password, tls: noTls }, { now: Date.now })
      const refused = await of('wrong').keep(never)
      expect(refused).toMatchObject({ kind: 'failed', where: eureka.url })
      expect(cureOf(refused)).toBe('check discovery.eureka.user and discovery.eureka.password')
      const allowed = of('secret')
      expect(await allowed.keep(never)).toEqual(done(true))
      expect(await allowed.remove(never)).toEqual(done(true))
    },
    60_000,
  )
})

test('an operator takes an instance out of service in Eureka: our beats and our statuses do not undo it', {
  concurrent: true,
  timeout: 60_000,
}, async ({ skip, onTestFinished }) => {
  if (lacksEureka !== null) skip(lacksEureka)
  const eureka = await startEureka()
  onTestFinished(eureka.stop)
  const access = { urls: [eureka.url], user: null, password: null, tls: noTls }
  const registrar = createEurekaRegistrar(registrant, access, { now: Date.now })
  const status = async () => JSON.parse(await eureka.send('GET', '/apps/WEB/web-1')).instance.status
  await registrar.keep(never)
  await eureka.send('PUT', '/apps/WEB/web-1/status?value=OUT_OF_SERVICE')
  await registrar.keep(never)
  await registrar.suspend(never)
  await registrar.keep(never)
  expect(await status()).toBe('OUT_OF_SERVICE')
  await eureka.send('DELETE', '/apps/WEB/web-1/status?value=UP')
  await registrar.keep(never)
  expect(await status()).toBe('UP')
})

test('Consul: who has our id elsewhere is not kept alive by our beats, and we see that it has taken it', async ({
  onTestFinished,
}) => {
  const consul = await startConsul()
  onTestFinished(consul.stop)
  const access = { address: consul.url, token: null, namespace: null, tls: noTls }
  const registrar = createConsulRegistrar(registrant, access)
  const other = createConsulRegistrar({ ...registrant, port: 8081 }, access)
  expect(await registrar.keep(never)).toEqual(done(true))
  expect(await other.keep(never)).toEqual(done(true))
  expect(await registrar.keep(never)).toEqual(done(true))
  const { body } = await consul.get('/v1/health/service/web')
  expect(body).toMatchObject([{ Service: { ID: 'web-1', Port: 8080 } }])
})

test.skipIf(lacksEtcd !== null)(
  'a lease that ran out (we slept, or were cut off): the key is written anew',
  { concurrent: true },
  async ({ onTestFinished }) => {
    const etcd = await startEtcd()
    onTestFinished(etcd.stop)
    const options = { endpoints: [etcd.url], prefix: '/services', user: null, password: null, tls: noTls }
    const registrar = createEtcdRegistrar(registrant, options, { ttlMs: 1000 })
    const isThere = async () => 'kvs' in (await etcd.post('/v3/kv/range', { key: base64('/services/web/web-1') }))
    expect(await registrar.keep(never)).toEqual(done(true))
    await waitFor('the lease has ended', async () => !(await isThere()))
    expect(await registrar.keep(never)).toEqual(done(true))
    expect(await isThere()).toBe(true)
    // Beats that come in time keep it, and wake nobody who watches.
    const revision = async () => {
      const { header } = await etcd.post('/v3/kv/range', { key: base64('any') })
      return (header as { revision: string }).revision
    }
    const before = await revision()
    for (let beats = 0; beats < 5; beats += 1) expect(await registrar.keep(never)).toEqual(done(false))
    expect(await revision()).toBe(before)
    await registrar.remove(never)
  },
)

test('a registry that is away, mute or none: a failure with a cure, soon, and at once when it is given up', {
  concurrent: true,
}, async (context) => {
  const cleanups = cleanupsOf(context)
  const port = await freePort()
  const mute = await listenOnLoopback(
    createServer(() => {}),
    cleanups,
  )
  const other = await listenOnLoopback(
    createServer((_, answer) => answer.writeHead(404).end('not here')),
    cleanups,
  )
  const made = (at: number): readonly Registrar[] => [
    createConsulRegistrar(
      registrant,
      { address: `http://127.0.0.1:${at}`, token: 't', namespace: null, tls: noTls },
      { deadlineMs: 100 },
    ),
    createEtcdRegistrar(
      registrant,
      { endpoints: [`http://127.0.0.1:${at}`], prefix: '/services', user: null, password: null, tls: noTls },
      { deadlineMs: 100 },
    ),
    createEurekaRegistrar(
      registrant,
      { urls: [`http://anna:secret@127.0.0.1:${at}/eureka`], user: null, password: null, tls: noTls },
      { now: Date.now, timing: { deadlineMs: 100 } },
    ),
  ]
  for (const at of [port, mute, other]) {
    for (const registrar of made(at)) {
      const came = await registrar.keep(never)
      expect(came).toMatchObject({ kind: 'failed', failure: { cure: expect.stringMatching(/./) } })
      expect(JSON.stringify(came)).not.toMatch(/secret/)
      expect(registrar.where).not.toMatch(/secret/)
    }
  }
  for (const registrar of made(mute)) {
    const given = new AbortController()
    const coming = registrar.keep(given.signal)
    given.abort()
    expect(await coming).toMatchObject({ kind: 'failed' })
  }
})

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}
