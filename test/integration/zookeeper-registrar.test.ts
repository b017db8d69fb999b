/** Does a real ZooKeeper have who is registered, as long as somebody keeps it there? And does a session outlive a connection? */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Registrant, Registrar } from '../../src/discovery/registrar.ts'
import { type ClientOptions, zookeeperClient } from '../../src/discovery/zookeeper/zookeeper-client.ts'
import { createZookeeperRegistrar } from '../../src/discovery/zookeeper/zookeeper-registrar.ts'
import type { ZookeeperAccess } from '../../src/discovery/zookeeper/zookeeper-source.ts'
import { followZookeeper } from '../discovery/zookeeper/follow-zookeeper.ts'
import { freePort } from '../support/consul.ts'
import { startTcpWay } from '../support/tcp-way.ts'
import { waitFor } from '../support/wait.ts'
import { startZookeeper, type Zookeeper } from '../support/zookeeper.ts'
import { zookeeperLacks } from '../support/zookeeper-binary.ts'

const lacks = await zookeeperLacks()
const never = new AbortController().signal
const web: Registrant = { service: 'web', id: 'web-1', address: '10.0.0.1', port: 80, tags: ['v2'] }

describe.skipIf(lacks !== null)(`a real ZooKeeper${lacks === null ? '' : ` (skipped: ${lacks})`}`, () => {
  let whole: Zookeeper
  let roots = 0
  const cleanups: (() => Promise<void>)[] = []
  beforeAll(async () => {
    whole = await startZookeeper()
  }, 60_000)
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })
  afterAll(async () => whole?.stop())

  /** A part of it for one test. */
  async function part(): Promise<Zookeeper> {
    roots += 1
    const zk = whole.below(`/test${roots}`)
    await zk.put('', '')
    return zk
  }

  function registrar(connect: string, given: Partial<ZookeeperAccess> = {}, who: Registrant = web): Registrar {
    const access = { connect, path: '/services', auth: null, sessionTimeoutMs: 10_000, ...given }
    const made = createZookeeperRegistrar(access, who, { random: Math.random, timestamp: () => 1_700_000_000_000 })
    cleanups.push(made.close)
    return made
  }

  test("has Curator's record of an instance that is kept, switched off while it is not well, and gone when it leaves", async () => {
    const zk = await part()
    const session = await zk.session()
    const followed = followZookeeper(zk.connect)
    cleanups.push(followed.stop)
    const made = registrar(zk.connect)
    expect(made).toMatchObject({ where: zk.connect, beatMs: 10_000 / 3 })
    expect(await made.suspend(never)).toEqual({ kind: 'done', changed: false })
    expect(await made.keep(never)).toEqual({ kind: 'done', changed: true })
    expect(JSON.parse((await session.get('/services/web/web-1')) ?? '')).toEqual({
      ...{ name: 'web', id: 'web-1', address: '10.0.0.1', port: 80, sslPort: null, payload: null, uriSpec: null },
      ...{ registrationTimeUTC: 1_700_000_000_000, serviceType: 'DYNAMIC' },
    })
    await followed.until('web', ['10.0.0.1:80*1'])
    expect(await made.keep(never)).toEqual({ kind: 'done', changed: false })
    expect(await made.suspend(never)).toEqual({ kind: 'done', changed: true })
    await followed.until('web', [])
    expect(followed.service('web')?.absent).toMatchObject([
      { instance: 'web-1', reason: expect.stringMatching(/enabled: false/) },
    ])
    expect(await made.keep(never)).toEqual({ kind: 'done', changed: true })
    await followed.until('web', ['10.0.0.1:80*1'])
    expect(await made.remove(never)).toEqual({ kind: 'done', changed: true })
    expect(await session.get('/services/web/web-1')).toBeNull()
    expect(await made.remove(never)).toEqual({ kind: 'done', changed: false })
  })

  test('is told again of an instance whose node somebody deleted, or whose session has expired', async () => {
    const zk = await part()
    const session = await zk.session()
    const way = await startTcpWay(zk.servers[0]?.port ?? 0)
    cleanups.push(way.close)
    const made = registrar(`127.0.0.1:${way.port}${zk.root}`, { sessionTimeoutMs: 2000 })
    expect(await made.keep(never)).toEqual({ kind: 'done', changed: true })
    await session.delete('/services/web/web-1')
    expect(await made.keep(never)).toEqual({ kind: 'done', changed: true })
    const isThere = async () => (await session.get('/services/web/web-1')) !== null
    // Nobody keeps it, but its session is kept by itself: for longer than it lives.
    const until = performance.now() + 3000
    await waitFor('longer than a session lives', async () => {
      expect(await isThere()).toBe(true)
      return performance.now() > until
    })
    way.lose()
    await waitFor('the session expires', async () => !(await isThere()))
    expect(await made.keep(never)).toMatchObject({ kind: 'failed', where: `register ${zk.root}/services/web/web-1` })
    way.open()
    await waitFor('it is kept again', async () => (await made.keep(never)).kind === 'done')
    expect(await isThere()).toBe(true)
    expect(await made.keep(never)).toEqual({ kind: 'done', changed: false })
  }, 20_000)

  test('has an instance of a former life replaced, so that its session does not take the new one along', async () => {
    const zk = await part()
    const session = await zk.session()
    const before = registrar(zk.connect)
    await before.keep(never)
    // As one that was killed: without a word.
    await before.close()
    const after = registrar(zk.connect)
    expect(await after.keep(never)).toEqual({ kind: 'done', changed: true })
    expect(await before.keep(never)).toEqual({ kind: 'done', changed: true })
    expect(await after.keep(never)).toEqual({ kind: 'done', changed: true })
    await before.remove(never)
    expect(await session.get('/services/web/web-1')).toBeNull()
  })

  test('guards what somebody with a password registers, and tells who may not', async () => {
    const zk = await part()
    const owner = registrar(zk.connect, { auth: 'app:very-s3cret' })
    expect(await owner.keep(never)).toEqual({ kind: 'done', changed: true })
    const stranger = await zk.session()
    await expect(stranger.set('/services/web/web-1', '10.6.6.6:80')).rejects.toThrow('-102')
    expect(await stranger.get('/services/web/web-1')).toContain('10.0.0.1')
    const again = await zk.session('app:very-s3cret')
    await again.set('/services/web/web-1', 'else')
    expect(await owner.keep(never)).toEqual({ kind: 'done', changed: true })

    await again.put('/closed', '')
    const closed = await zk.session('app:very-s3cret')
    await closed.create('/closed/services', '', true)
    const refused = await registrar(zk.connect, { path: '/closed/services' }).keep(never)
    expect(refused).toMatchObject({
      kind: 'failed',
      failure: { speed: 'wrong', message: expect.stringMatching(/NoAuth|NoChildren/) },
    })
  })

  test('takes names that cannot be those of nodes', async () => {
    const zk = await part()
    const session = await zk.session()
    const made = registrar(zk.connect, {}, { ...web, id: 'a/b' })
    expect(await made.keep(never)).toEqual({ kind: 'done', changed: true })
    expect(JSON.parse((await session.get('/services/web/_a%2Fb')) ?? '')).toMatchObject({ id: '_a%2Fb' })
  })

  test('that is away is told with the cure, and a call ends soon when it is given up', async () => {
    const port = await freePort()
    const failed = await registrar(`127.0.0.1:${port}`).keep(never)
    expect(failed).toMatchObject({
      kind: 'failed',
      failure: { speed: 'away', cure: expect.stringMatching(/start ZooKeeper/) },
    })
    const zk = await part()
    const way = await startTcpWay(zk.servers[0]?.port ?? 0)
    cleanups.push(way.close)
    const made = registrar(`127.0.0.1:${way.port}${zk.root}`, { sessionTimeoutMs: 60_000 })
    await made.keep(never)
    way.lose()
    const stop = new AbortController()
    const asked = made.keep(stop.signal)
    stop.abort()
    expect(await asked).toMatchObject({ kind: 'failed' })
    way.open()
    // The session has outlived the connection, and so has the node.
    expect(await made.keep(never)).toEqual({ kind: 'done', changed: false })
  })

  test('goes on with a session over another connection, and begins a new one once somebody has ended it', async () => {
    const zk = await part()
    const { port } = zk.servers[0] ?? { port: 0 }
    const place = { address: '127.0.0.1', port }
    const options: ClientOptions = { servers: [place], auth: null, sessionTimeoutMs: 10_000, connectMs: 2000 }
    const client = zookeeperClient(options, () => 0)
    const join = async () => {
      const joined = await client.join({ onEvent() {}, onZxid() {}, onBug() {} }, never)
      if (joined.kind === 'failed') throw new Error(JSON.stringify(joined.mishap))
      cleanups.push(() => joined.connection.close(true))
      return joined
    }
    const first = await join()
    await first.connection.close(false)
    const second = await join()
    expect(second.connection.ticket.sessionId).toBe(first.connection.ticket.sessionId)
    // The one who knows the session's password is the session.
    const thief = await zk.session(undefined, second.connection.ticket)
    await thief.close()
    const third = await join()
    expect(third.connection.ticket.sessionId).not.toBe(first.connection.ticket.sessionId)
    expect(await third.connection.ask({ kind: 'exists', path: zk.root })).toEqual({ kind: 'done' })
    expect(third.isRewound).toBe(false)
  })
})
