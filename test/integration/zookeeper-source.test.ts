/** Does our source follow a real ZooKeeper, also through its death, its expired sessions and its ACLs? */

import { createHash } from 'node:crypto'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { Followed } from '../discovery/follow.ts'
import { followZookeeper } from '../discovery/zookeeper/follow-zookeeper.ts'
import { startTcpWay, type TcpWay } from '../support/tcp-way.ts'
import { waitFor } from '../support/wait.ts'
import { startZookeeper, startZookeeperShell, type Zookeeper } from '../support/zookeeper.ts'
import { zookeeperLacks } from '../support/zookeeper-binary.ts'

const lacks = await zookeeperLacks()

describe.skipIf(lacks !== null)(`a real ZooKeeper${lacks === null ? '' : ` (skipped: ${lacks})`}`, () => {
  const cleanups: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })

  function follow(...args: Parameters<typeof followZookeeper>): Followed {
    const followed = followZookeeper(...args)
    cleanups.push(followed.stop)
    return followed
  }

  /** One of a test's own, to do with as it likes. */
  async function zookeeper(count?: number): Promise<Zookeeper> {
    const started = await startZookeeper(count)
    cleanups.push(started.stop)
    return started
  }

  let shared: Promise<Zookeeper> | null = null
  let roots = 0
  afterAll(async () => (await shared)?.stop())

  /** A part of one that all tests have in common, as if it were all of it. */
  async function partOfOne(): Promise<Zookeeper> {
    shared ??= startZookeeper()
    const zk = await shared
    roots += 1
    return zk.below(`/test${roots}`)
  }

  async function way(port: number | undefined): Promise<TcpWay> {
    const started = await startTcpWay(port ?? 0)
    cleanups.push(started.close)
    return started
  }

  test('is followed: ways to write an instance, each that comes, changes and goes, and what cannot be used says why', async () => {
    const zk = await partOfOne()
    await zk.put('/services/web', '')
    await zk.put('/services/api/a', '10.0.1.1:90')
    await zk.put('/other/web/x', '10.9.9.9:1')
    const session = await zk.session()
    await session.create('/services/web/a', curator('10.0.0.1', 80))
    await session.create('/services/web/b', '10.0.0.2:81')
    await session.create('/services/web/10.0.0.3:82', '')
    const followed = follow(zk.connect)
    await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:81*1', '10.0.0.3:82*1'])
    expect([...(followed.catalogs[0]?.services.keys() ?? [])]).toEqual(['api', 'web'])
    expect(followed.catalogs).toHaveLength(1)

    await session.create('/services/web/d', '[fd00::5]:84')
    await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:81*1', '10.0.0.3:82*1', '[fd00::5]:84*1'])
    await session.set('/services/web/a', curator('10.0.0.1', 80, { enabled: false }))
    await followed.until('web', ['10.0.0.2:81*1', '10.0.0.3:82*1', '[fd00::5]:84*1'])
    expect(followed.service('web')?.absent).toMatchObject([
      { instance: 'a', reason: 'is switched off (enabled: false)' },
    ])
    await session.set('/services/web/b', 'out of order')
    await followed.until('web', ['10.0.0.3:82*1', '[fd00::5]:84*1'])
    await session.set('/services/web/b', '10.0.0.2:81')
    await followed.until('web', ['10.0.0.2:81*1', '10.0.0.3:82*1', '[fd00::5]:84*1'])
    await session.close()
    // The service is known as long as its node is there; then nobody knows it.
    await followed.until('web', [])
    await zk.delete('/services/web')
    await followed.until('web', undefined)
    await zk.put('/services/web/z', '10.0.0.9:80')
    await followed.until('web', ['10.0.0.9:80*1'])
    expect(followed.endpoints('api')).toEqual(['10.0.1.1:90*1'])
    expect(followed.errors).toEqual([])
    expect(followed.logged.filter((line) => line.includes('out of order'))).toHaveLength(1)
  })

  test('whose own command line client registers and dies without a word: the instance goes with its session', async () => {
    const zk = await partOfOne()
    await zk.put('/services/web', '')
    const followed = follow(zk.connect)
    await followed.until('web', [])
    const [quits, dies] = await Promise.all([1, 2].map(() => startZookeeperShell(zk.connect, 2000)))
    cleanups.push(async () => {
      await quits?.stop('kill')
      await dies?.stop('kill')
    })
    quits?.type('create -e /services/web/quits 10.0.0.1:80')
    dies?.type('create -e /services/web/dies 10.0.0.2:80')
    await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:80*1'], 20_000)
    await quits?.stop('quit')
    await followed.until('web', ['10.0.0.2:80*1'])
    await dies?.stop('kill')
    await followed.until('web', [])
    expect(followed.errors).toEqual([])
  }, 40_000)

  test('killed and started again: with its data the table is kept and followed again; without, it is told as gone backwards', async () => {
    const zk = await zookeeper()
    for (const at of [1, 2]) await zk.put(`/services/web/${at}`, `10.0.0.${at}:80`)
    const followed = follow(zk.connect)
    await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:80*1'])

    await zk.servers[0]?.kill()
    await waitFor('its absence is told', () => followed.errors.some(({ message }) => /ECONNREFUSED/.test(message)))
    expect(followed.errors.at(-1)).toMatchObject({
      away: true,
      cure: expect.stringContaining(`start ZooKeeper at ${zk.connect}`),
    })
    const told = followed.errors.length
    await waitFor('it is told again and again', () => followed.errors.length > told + 1)
    expect(followed.catalogs).toHaveLength(1)

    const { fresh } = followed
    zk.servers[0]?.start()
    await waitFor('it is fresh again', () => followed.fresh > fresh)
    expect(followed.catalogs).toHaveLength(1)
    await zk.put('/services/web/3', '10.0.0.3:80')
    await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:80*1', '10.0.0.3:80*1'])
    expect(followed.rewound).toEqual([false, false])

    await zk.servers[0]?.kill()
    await zk.servers[0]?.wipe()
    zk.servers[0]?.start()
    await followed.until('web', undefined, 20_000)
    expect(followed.errors.map(({ message }) => message)).toContainEqual(expect.stringContaining('knows less'))
    expect(followed.rewound).toEqual([false, false, true])
    await zk.put('/services/web/1', '10.0.0.1:80')
    await followed.until('web', ['10.0.0.1:80*1'])
    expect(followed.rewound).toEqual([false, false, true, false])
  }, 40_000)

  test('behind something that forgets connections without a word: the silence is found out, a session that has expired meanwhile begins anew, and no change is missed', async () => {
    const zk = await zookeeper()
    for (const at of [1, 2]) await zk.put(`/services/web/${at}`, `10.0.0.${at}:80`)
    const there = await way(zk.servers[0]?.port)
    const followed = follow(`127.0.0.1:${there.port}`, { sessionTimeoutMs: 1000 }, { timing: { confirmMs: 200 } })
    await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:80*1'])
    await waitFor('it is confirmed', () => followed.fresh > 1)

    // For longer than the session lives: another one that is as long, and as silent, says when it is over.
    there.lose()
    await zk.put('/services/web/3', '10.0.0.3:80')
    await zk.delete('/services/web/1')
    await zk.put('/services/web/2', '10.0.0.2:82')
    await waitFor('its silence is told', () => followed.errors.some(({ message }) => /no answer/.test(message)))
    const { fresh, errors } = followed
    const told = errors.length
    await waitFor('and told again', () => errors.length > told + 1)
    expect(followed.fresh).toBe(fresh)
    there.open()
    await followed.until('web', ['10.0.0.2:82*1', '10.0.0.3:80*1'])
    await zk.delete('/services/web/3')
    await followed.until('web', ['10.0.0.2:82*1'])
    expect(followed.rewound).not.toContain(true)
  }, 30_000)

  test('that stands still longer than a session lives: nothing is believed meanwhile, and all is read again after', async () => {
    const zk = await zookeeper()
    await zk.put('/services/web', '')
    const owner = await zk.session()
    await owner.create('/services/web/1', '10.0.0.1:80')
    const followed = follow(zk.connect, { sessionTimeoutMs: 1000 }, { timing: { connectMs: 300, confirmMs: 100 } })
    await followed.until('web', ['10.0.0.1:80*1'])
    const [server] = zk.servers
    server?.signal('SIGSTOP')
    await waitFor('its silence is told', () => followed.errors.length > 1)
    const { fresh } = followed
    expect(followed.endpoints('web')).toEqual(['10.0.0.1:80*1'])
    server?.signal('SIGCONT')
    await waitFor('it is fresh again', () => followed.fresh > fresh)
    await zk.put('/services/web/2', '10.0.0.2:80')
    await waitFor('the new one', () => followed.endpoints('web')?.includes('10.0.0.2:80*1'))
    expect(followed.rewound).not.toContain(true)
  }, 30_000)

  test('of three servers, the followed one killed: another is followed, and without most of them the table stays', async () => {
    const zk = await zookeeper(3)
    await zk.put('/services/web/1', '10.0.0.1:80')
    // By this chance the first one is asked first.
    const followed = follow(zk.connect, {}, { random: () => 0 })
    await followed.until('web', ['10.0.0.1:80*1'])
    await zk.servers[0]?.kill()
    await zk.ready()
    await zk.put('/services/web/2', '10.0.0.2:80')
    await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:80*1'], 20_000)

    const { length } = followed.catalogs
    await zk.servers[1]?.kill()
    const leaderless = () => followed.errors.some(({ cure }) => /have a leader/.test(cure))
    await waitFor('there is no leader', leaderless, 30_000)
    expect(followed.catalogs).toHaveLength(length)
    zk.servers[1]?.start()
    await zk.ready()
    await zk.delete('/services/web/1')
    await followed.until('web', ['10.0.0.2:80*1'], 20_000)
    expect(followed.rewound).not.toContain(true)
  }, 90_000)

  test('with ACLs: who may read all reads it; of what may not be read the rest is followed, and the cure is told', async () => {
    const zk = await partOfOne()
    await zk.put('/services/web/1', '10.0.0.1:80')
    await zk.put('/services/web/2', '10.0.0.2:80')
    await zk.put('/services/api/1', '10.0.1.1:80')
    await zk.put('/closed/web/1', '10.0.2.1:80')
    const shell = await startZookeeperShell(zk.connect, 10_000)
    cleanups.push(() => shell.stop('kill'))
    const rights = `digest:proxy:${createHash('sha1').update('proxy:very-s3cret').digest('base64')}:ra`
    for (const path of ['/services/web/2', '/services/api', '/closed', '/done']) {
      if (path === '/done') shell.type('create /done')
      else shell.type(`setAcl ${path} ${rights}`)
    }
    const session = await zk.session()
    await waitFor('all rights are set', async () => (await session.get('/done')) !== null, 20_000)

    const right = follow(zk.connect, { auth: 'proxy:very-s3cret' })
    await right.until('web', ['10.0.0.1:80*1', '10.0.0.2:80*1'])
    await right.until('api', ['10.0.1.1:80*1'])

    for (const auth of [null, 'proxy:very-wr0ng']) {
      const wrong = follow(zk.connect, { auth, exclude: ['api'] }, { timing: { confirmMs: 50 } })
      await wrong.until('web', ['10.0.0.1:80*1'])
      expect(wrong.service('web')?.absent).toMatchObject([{ instance: '2', reason: 'may not be read (NoAuth)' }])
      const told = wrong.errors.length
      expect(told).toBeGreaterThan(0)
      expect(wrong.errors.at(-1)).toMatchObject({
        where: `read ${zk.root}/services/web/2`,
        cure: expect.stringContaining('discovery.zookeeper.auth'),
      })
      await waitFor('it is told again', () => wrong.errors.length > told)
      expect(wrong.fresh).toBe(0)

      const nothing = follow(zk.connect, { auth, path: '/closed' })
      await waitFor('the refusal is told', () => nothing.errors.length > 0)
      expect(nothing.errors[0]).toMatchObject({ message: expect.stringContaining('NoAuth') })
      expect(nothing.catalogs).toEqual([])
      const texts = JSON.stringify([wrong, nothing].map(({ errors, logged }) => [errors, logged]))
      expect(texts).not.toMatch(/very-s3cret|very-wr0ng/)
    }
    expect(right.errors).toEqual([])

    // No watch tells that a node may be read now.
    const later = follow(zk.connect, { exclude: ['api'] }, { timing: { confirmMs: 50 } })
    await later.until('web', ['10.0.0.1:80*1'])
    shell.type('addauth digest proxy:very-s3cret')
    shell.type('setAcl /services/web/2 world:anyone:r')
    await later.until('web', ['10.0.0.1:80*1', '10.0.0.2:80*1'])
    const { fresh } = later
    await waitFor('it is fresh', () => later.fresh > fresh)
  }, 60_000)

  test('without the path tells so until it is there; that it is deleted later is an answer', async () => {
    const zk = await partOfOne()
    const followed = follow(zk.connect, {}, { timing: { confirmMs: 50 } })
    await waitFor('its absence is told', () => followed.errors.length > 1)
    expect(followed.errors[0]).toMatchObject({
      where: `read ${zk.root}/services`,
      message: `there is no node ${zk.root}/services in ZooKeeper`,
      cure: expect.stringContaining('check discovery.zookeeper.path'),
    })
    expect(followed.catalogs).toEqual([])
    await zk.put('/services/web/1', '10.0.0.1:80')
    await followed.until('web', ['10.0.0.1:80*1'])
    const told = followed.errors.length
    for (const path of ['/web/1', '/web', '']) await zk.delete(`/services${path}`)
    await followed.until('web', undefined)
    const { fresh } = followed
    await waitFor('it is confirmed', () => followed.fresh > fresh)
    await zk.put('/services/web/2', '10.0.0.2:80')
    await followed.until('web', ['10.0.0.2:80*1'])
    expect(followed.errors).toHaveLength(told)
    expect(followed.rewound).not.toContain(true)
  })

  test('in which a node goes and comes back all the time is followed to its last word', async () => {
    const zk = await partOfOne()
    await zk.put('/services/web', '')
    const session = await zk.session()
    const followed = follow(zk.connect)
    await followed.until('web', [])
    for (let round = 1; round <= 100; round += 1) {
      const place = `10.0.0.${round}:80`
      await session.create('/services/web/a', `10.9.9.9:${round}`)
      await session.set('/services/web/a', place)
      await session.create('/services/api', '')
      await session.delete('/services/api')
      if (round % 25 === 0) await followed.until('web', [`${place}*1`])
      await session.delete('/services/web/a')
    }
    await followed.until('web', [])
    expect(followed.endpoints('api')).toBeUndefined()
    expect(followed.errors).toEqual([])
  })

  test('asked once more says what is so, and is not asked by who has given up', async () => {
    const zk = await zookeeper()
    await zk.put('/services/web/1', '10.0.0.1:80')
    const followed = follow(zk.connect)
    await followed.until('web', ['10.0.0.1:80*1'])
    await zk.put('/services/web/2', '10.0.0.2:80')
    expect(await followed.source.reread?.(['web', 'unknown'], new AbortController().signal)).toBe(true)
    expect(followed.endpoints('web')).toEqual(['10.0.0.1:80*1', '10.0.0.2:80*1'])
    expect(await followed.source.reread?.(['web'], AbortSignal.abort())).toBe(false)
    await zk.servers[0]?.kill()
    expect(await followed.source.reread?.(['web'], new AbortController().signal)).toBe(false)
  })
})

function curator(address: string, port: number, more: object = {}): string {
  const record = { name: 'web', id: 'a', address, port, sslPort: null, payload: null, registrationTimeUTC: 1 }
  return JSON.stringify({ ...record, serviceType: 'DYNAMIC', uriSpec: null, enabled: true, ...more })
}
