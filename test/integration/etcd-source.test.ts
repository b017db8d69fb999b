/** Does our source follow a real etcd, also through its death, its compactions, its users and its certificates? */

import { describe, expect, type TestContext, test } from 'vitest'
import { followEtcd } from '../discovery/etcd/follow-etcd.ts'
import type { Followed } from '../discovery/follow.ts'
import { type EtcdCluster, startEtcd } from '../support/etcd.ts'
import { etcdLacks } from '../support/etcd-binary.ts'
import { makeEtcdTls } from '../support/etcd-tls.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { waitFor } from '../support/wait.ts'

const lacks = await etcdLacks()

/** What this test follows and starts, until it has finished: others run at the same time. */
function world({ onTestFinished }: Pick<TestContext, 'onTestFinished'>) {
  return {
    follow(...args: Parameters<typeof followEtcd>): Followed {
      const followed = followEtcd(...args)
      onTestFinished(followed.stop)
      return followed
    },
    async cluster(...args: Parameters<typeof startEtcd>): Promise<EtcdCluster> {
      const started = await startEtcd(...args)
      onTestFinished(started.stop)
      return started
    },
  }
}

describe.skipIf(lacks !== null)(
  `a real etcd${lacks === null ? '' : ` (skipped: ${lacks})`}`,
  { concurrent: true },
  () => {
    test('is followed: three ways to write an instance, each put and each delete, and what cannot be used says why', async (context) => {
      const { follow, cluster } = world(context)
      const etcd = await cluster()
      await etcd.put('/services/web/a', '10.0.0.1:80')
      await etcd.put('/services/web/b', '{"address":"10.0.0.2","port":81,"weight":3,"tags":["v2"]}')
      await etcd.put('/services/web/10.0.0.3:82', '{"Op":0,"Addr":"10.0.0.3:82","Metadata":null}')
      await etcd.put('/services/api/a', '10.0.1.1:90')
      await etcd.put('/servicesless/web/x', '10.9.9.9:1')
      await etcd.put('/other', 'nothing of ours')
      const followed = follow([etcd.url])
      await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:81*3', '10.0.0.3:82*1'])
      expect([...(followed.catalogs[0]?.services.keys() ?? [])]).toEqual(['api', 'web'])
      expect(followed.catalogs).toHaveLength(1)

      await etcd.put('/services/web/d', '[fd00::5]:84')
      await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:81*3', '10.0.0.3:82*1', '[fd00::5]:84*1'])
      await etcd.put('/services/web/a', 'out of order')
      await followed.until('web', ['10.0.0.2:81*3', '10.0.0.3:82*1', '[fd00::5]:84*1'])
      expect(followed.service('web')?.absent).toMatchObject([
        { instance: 'a', reason: expect.stringContaining('port') },
      ])
      // One transaction, several keys.
      await etcd.post('/v3/kv/deleterange', { key: base64('/services/web/'), range_end: base64('/services/web0') })
      await followed.until('web', undefined)
      expect(followed.endpoints('api')).toEqual(['10.0.1.1:90*1'])
      expect(followed.errors).toEqual([])
      expect(followed.source.describe?.()).toMatchObject({ watched: 1, wakeups: { useful: 3 } })
    })

    test('whose lease expires: the instance is gone, without anybody deleting it', async (context) => {
      const { follow, cluster } = world(context)
      const etcd = await cluster()
      const lease = await etcd.lease(1)
      await etcd.put('/services/web/a', '10.0.0.1:80', lease)
      await etcd.put('/services/web/b', '10.0.0.2:80')
      const followed = follow([etcd.url])
      await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:80*1'])
      await followed.until('web', ['10.0.0.2:80*1'])
      expect(followed.errors).toEqual([])
    })

    test('with more keys than one answer holds is read as of one revision, though they change between the answers', async (context) => {
      const { follow, cluster } = world(context)
      const etcd = await cluster()
      for (let at = 1; at <= 25; at += 1) await etcd.put(`/services/web/a${at}`, `10.0.0.${at}:80`)
      // Each of them moves from one end of the range to the other and back: who reads page by page loses it, or has it twice.
      const move = async (from: string, to: string) => {
        for (let at = 1; at <= 25; at += 1) {
          const key = (side: string) => base64(`/services/web/${side}${at}`)
          const success = [
            { request_delete_range: { key: key(from) } },
            { request_put: { key: key(to), value: base64(`10.0.0.${at}:80`) } },
          ]
          await etcd.post('/v3/kv/txn', { success })
        }
      }
      let readings = 0
      let isOver = false
      const moving = (async () => {
        while (readings < 4) await move('a', 'z').then(() => move('z', 'a'))
      })().finally(() => {
        isOver = true
      })
      for (; !isOver; readings += 1) {
        const followed = follow([etcd.url], {}, { timing: { pageKeys: 2 } })
        await waitFor('the first catalog', () => followed.catalogs.length > 0)
        expect(followed.endpoints('web')).toHaveLength(25)
        expect(followed.service('web')?.absent).toEqual([])
        expect(followed.errors).toEqual([])
        await followed.stop()
      }
      await moving
    })

    test('killed and started again with its data: the table is kept meanwhile, and followed again after', async (context) => {
      const { follow, cluster } = world(context)
      const etcd = await cluster()
      for (const at of [1, 2]) await etcd.put(`/services/web/${at}`, `10.0.0.${at}:80`)
      const followed = follow([etcd.url])
      await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:80*1'])

      await etcd.members[0]?.kill()
      await waitFor('its absence is told', () => followed.errors.some(({ message }) => /ECONNREFUSED/.test(message)))
      expect(followed.errors.at(-1)).toMatchObject({
        away: true,
        cure: expect.stringContaining(`start etcd at ${etcd.url}`),
      })
      expect(followed.catalogs).toHaveLength(1)

      const { fresh } = followed
      etcd.members[0]?.start()
      await waitFor('it is fresh again', () => followed.fresh > fresh)
      expect(followed.catalogs).toHaveLength(1)
      await etcd.put('/services/web/3', '10.0.0.3:80')
      await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:80*1', '10.0.0.3:80*1'])
      expect(followed.rewound).toEqual([false, false])
    })

    test('that lost its data is told as one that has gone backwards, whether or not its cluster has the same id', async (context) => {
      const { follow, cluster } = world(context)
      const etcd = await cluster()
      for (const at of [1, 2, 3]) await etcd.put(`/services/web/${at}`, `10.0.0.${at}:80`)
      const followed = follow([etcd.url])
      await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:80*1', '10.0.0.3:80*1'])
      const [member] = etcd.members
      await member?.kill()
      await member?.wipe()
      member?.start()
      await followed.until('web', undefined)
      expect(followed.rewound).toEqual([false, true])
      await etcd.put('/services/web/1', '10.0.0.1:80')
      await followed.until('web', ['10.0.0.1:80*1'])
      expect(followed.rewound).toEqual([false, true, false])
    })

    test('compacted while nobody watched is read anew, without an error', async (context) => {
      const { follow, cluster } = world(context)
      const etcd = await cluster()
      await etcd.put('/services/web/1', '10.0.0.1:80')
      const followed = follow([etcd.url])
      await followed.until('web', ['10.0.0.1:80*1'])
      await etcd.members[0]?.kill()
      await waitFor('its absence is told', () => followed.errors.length > 0)
      etcd.members[0]?.start()
      await etcd.ready()
      for (const at of [2, 3, 4]) await etcd.put(`/services/web/${at}`, `10.0.0.${at}:80`)
      await etcd.delete('/services/web/1')
      await etcd.compact()
      await followed.until('web', ['10.0.0.2:80*1', '10.0.0.3:80*1', '10.0.0.4:80*1'])
    })

    test('behind something that forgets connections without a word: the silence is found out, and a change is not missed', async (context) => {
      const { follow, cluster } = world(context)
      const etcd = await cluster()
      await etcd.put('/services/web/1', '10.0.0.1:80')
      const way = await startFaultProxy(Number(new URL(etcd.url).port))
      context.onTestFinished(way.close)
      const followed = follow([way.url], {}, { timing: { confirmMs: 200, catchUpMs: 200, deadlineMs: 1500 } })
      await followed.until('web', ['10.0.0.1:80*1'])
      await waitFor('it is confirmed', () => followed.fresh > 0)

      // As long as nothing goes through, nothing is believed; the way is open again before the watch is given up.
      await way.set({ kind: 'hang', isLost: true })
      await etcd.put('/services/web/2', '10.0.0.2:80')
      await way.set({ kind: 'pass' })
      await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:80*1'])

      await way.set({ kind: 'hang' })
      const told = followed.errors.length
      await waitFor('no answer is told', () =>
        followed.errors.slice(told).some(({ message }) => /no answer/.test(message)),
      )
      await etcd.delete('/services/web/1')
      await way.set({ kind: 'pass' })
      await followed.until('web', ['10.0.0.2:80*1'])

      await way.set({ kind: 'cut', in: 'body', afterBytes: 40 })
      await etcd.put('/services/web/3', '10.0.0.3:80')
      await waitFor('it broke off', () => followed.errors.some(({ message }) => /aborted|ECONNRESET/.test(message)))
      await way.set({ kind: 'pass' })
      await followed.until('web', ['10.0.0.2:80*1', '10.0.0.3:80*1'])
      expect(followed.rewound).not.toContain(true)
    })

    test('of three members, the followed one killed: the next one is followed, and without most of them the table stays', async (context) => {
      const { follow, cluster } = world(context)
      const etcd = await cluster({ members: 3 })
      const urls = etcd.members.map(({ url }) => url)
      await etcd.put('/services/web/1', '10.0.0.1:80')
      const followed = follow(urls)
      await followed.until('web', ['10.0.0.1:80*1'])
      await etcd.members[0]?.kill()
      await etcd.ready()
      await etcd.put('/services/web/2', '10.0.0.2:80')
      await followed.until('web', ['10.0.0.1:80*1', '10.0.0.2:80*1'])

      const { length } = followed.catalogs
      await etcd.members[1]?.kill()
      await waitFor('there is no leader', () => followed.errors.some(({ cure }) => /no leader/.test(cure)), 30_000)
      expect(followed.catalogs).toHaveLength(length)
      etcd.members[1]?.start()
      await etcd.ready()
      await etcd.delete('/services/web/1')
      await followed.until('web', ['10.0.0.2:80*1'], 20_000)
      expect(followed.rewound).not.toContain(true)
    }, 90_000)

    test('that wants users: the right one reads, and goes on when its token has expired; a wrong one is told the cure', async (context) => {
      const { follow, cluster } = world(context)
      const etcd = await cluster({ args: ['--auth-token-ttl', '1'] })
      await etcd.put('/services/web/1', '10.0.0.1:80')
      await etcd.addReader('proxy', 'very-s3cret', '/services/')
      await etcd.addReader('guest', 'guest-s3cret', '/elsewhere/')
      await etcd.requireUsers('root-s3cret')
      const timing = { confirmMs: 3000 }
      const right = follow([etcd.url], { user: 'proxy', password: 'very-s3cret' }, { timing })
      await right.until('web', ['10.0.0.1:80*1'])
      // Longer apart than a token lives: each is refused at first.
      await waitFor('two confirmations', () => right.fresh >= 2, 15_000)

      const none = follow([etcd.url])
      const wrong = follow([etcd.url], { user: 'proxy', password: 'very-wr0ng' })
      const guest = follow([etcd.url], { user: 'guest', password: 'guest-s3cret' })
      for (const [followed, cure] of [
        [none, 'set discovery.etcd.user'],
        [wrong, 'check discovery.etcd.user and password'],
        [guest, 'must allow reading'],
      ] as const) {
        await waitFor(cure, () => followed.errors.length > 0)
        expect(followed.errors[0]?.cure).toContain(cure)
        expect(followed.catalogs).toEqual([])
      }
      expect(right.errors).toEqual([])
      const told = [right, none, wrong, guest].map(({ errors, logged }) => [errors, logged])
      expect(JSON.stringify(told)).not.toMatch(/very-s3cret|very-wr0ng|guest-s3cret/)
    }, 40_000)

    test('without users does not mind that somebody logs in, and minds it from when it has them', async (context) => {
      const { follow, cluster } = world(context)
      const etcd = await cluster()
      await etcd.put('/services/web/1', '10.0.0.1:80')
      const followed = follow([etcd.url], { user: 'proxy', password: 'very-s3cret' }, { timing: { confirmMs: 50 } })
      await followed.until('web', ['10.0.0.1:80*1'])
      await etcd.addReader('proxy', 'very-s3cret', '/services/')
      await etcd.requireUsers('root-s3cret')
      const { fresh } = followed
      await waitFor('it is confirmed by a user', () => followed.fresh > fresh + 1)
      expect(followed.errors).toEqual([])
    })

    test('that speaks TLS and wants a certificate: with both it is followed, without one of them the cure is told', async (context) => {
      const { follow, cluster } = world(context)
      const tls = await makeEtcdTls()
      context.onTestFinished(tls.remove)
      const etcd = await cluster({ tls })
      await etcd.put('/services/web/1', '10.0.0.1:80')
      const trusted = follow([etcd.url], { tls })
      await trusted.until('web', ['10.0.0.1:80*1'])
      await etcd.delete('/services/web/1')
      await trusted.until('web', undefined)
      expect(trusted.errors).toEqual([])
      for (const given of [
        { ca: null, cert: tls.cert, key: tls.key },
        { ca: tls.ca, cert: null, key: null },
      ]) {
        const refused = follow([etcd.url], { tls: given })
        await waitFor('the refusal', () => refused.errors.length > 0)
        expect(refused.errors[0]?.cure).toContain('discovery.etcd.tls')
        expect(refused.catalogs).toEqual([])
      }
    })

    test('asked once more says what is so, and is not asked by who has given up', async (context) => {
      const { follow, cluster } = world(context)
      const etcd = await cluster()
      await etcd.put('/services/web/1', '10.0.0.1:80')
      const followed = follow([etcd.url])
      await followed.until('web', ['10.0.0.1:80*1'])
      await etcd.put('/services/web/2', '10.0.0.2:80')
      expect(await followed.source.reread?.(['web'], new AbortController().signal)).toBe(true)
      expect(followed.endpoints('web')).toEqual(['10.0.0.1:80*1', '10.0.0.2:80*1'])
      expect(await followed.source.reread?.(['web'], AbortSignal.abort())).toBe(false)
      await etcd.delete('/services/web/1')
      await followed.until('web', ['10.0.0.2:80*1'])
      await etcd.members[0]?.kill()
      expect(await followed.source.reread?.(['web'], new AbortController().signal)).toBe(false)
    })
  },
)

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}
