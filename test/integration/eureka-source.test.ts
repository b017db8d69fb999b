/** Does our source follow a real Eureka server, in which Netflix's own client registers, also through the server's death? */

import { createServer, request } from 'node:http'
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest'
import { followEureka } from '../discovery/eureka/follow-eureka.ts'
import type { Followed } from '../discovery/follow.ts'
import { freePort } from '../support/consul.ts'
import { type EurekaServerProcess, findEureka, startEureka, startEurekaClient } from '../support/eureka.ts'
import { listenOnLoopback } from '../support/loopback.ts'
import { waitFor } from '../support/wait.ts'

const missing = await findEureka().then(
  () => null,
  (error: Error) => error.message,
)

/** What this test follows and starts, until it has finished: others run at the same time. */
function world({ onTestFinished }: Pick<TestContext, 'onTestFinished'>) {
  return {
    follow(...args: Parameters<typeof followEureka>): Followed {
      const followed = followEureka(...args)
      onTestFinished(followed.stop)
      return followed
    },
    async client(...args: Parameters<typeof startEurekaClient>) {
      const started = await startEurekaClient(...args)
      onTestFinished(started.kill)
      return started
    },
  }
}

function reasons(followed: Followed, service: string): unknown {
  return followed.service(service)?.absent.map(({ instance, reason }) => [instance, reason])
}

describe.skipIf(missing !== null)(
  `a real Eureka server${missing === null ? '' : `: ${missing}`}`,
  { concurrent: true },
  () => {
    let eureka: EurekaServerProcess
    beforeAll(async () => {
      eureka = await startEureka()
    }, 120_000)
    afterAll(() => eureka?.stop())

    test("Netflix's client registers, goes down, comes up again, takes its leave, and is evicted after it died", async (context) => {
      const { client, follow } = world(context)
      const followed = follow(eureka.url)
      const netflix = await client(eureka.url, 1, 2)
      await netflix.register('WEB', 'web-1', 8001)
      await netflix.register('WEB', 'web-2', 8002)
      const both = ['127.0.0.1:8001*1', '127.0.0.1:8002*1']
      await followed.until('web', both)
      await netflix.status('web-1', 'DOWN')
      await followed.until('web', ['127.0.0.1:8002*1'])
      expect(reasons(followed, 'web')).toEqual([['web-1', 'its status is DOWN']])
      await netflix.status('web-1', 'UP')
      await followed.until('web', both)
      await netflix.shutdown('web-2')
      await followed.until('web', ['127.0.0.1:8001*1'])
      await waitFor('web-2 is not even absent', () => followed.service('web')?.absent.length === 0)
      await netflix.kill()
      await followed.until('web', undefined, 20_000)
      expect(followed.errors).toEqual([])
      // Each leaving was said: nothing of it looks like a loss.
      expect(followed.rewound).not.toContain(true)
    }, 40_000)

    test('every status but UP is absent, with its name; a person may take one out', async (context) => {
      const { follow } = world(context)
      const followed = follow(eureka.url, { name: 'vip' })
      for (const [at, status] of ['UP', 'STARTING', 'DOWN', 'OUT_OF_SERVICE', 'UNKNOWN'].entries()) {
        await eureka.register('STATES', `s-${at}`, 7000 + at, { status, vipAddress: 'States.internal,other' })
      }
      await waitFor('all are seen', () => (followed.service('other')?.absent.length ?? 0) === 4)
      await followed.until('states.internal', ['127.0.0.1:7000*1'])
      expect(reasons(followed, 'states.internal')).toEqual([
        ['s-1', 'its status is STARTING'],
        ['s-2', 'its status is DOWN'],
        ['s-3', 'its status is OUT_OF_SERVICE'],
        ['s-4', 'its status is UNKNOWN'],
      ])
      await eureka.send('PUT', '/apps/STATES/s-0/status?value=OUT_OF_SERVICE')
      await followed.until('states.internal', [])
      await eureka.send('DELETE', '/apps/STATES/s-0/status?value=UP')
      await followed.until('states.internal', ['127.0.0.1:7000*1'])
      for (let at = 0; at < 5; at += 1) await eureka.send('DELETE', `/apps/STATES/s-${at}`)
      await followed.until('states.internal', undefined)
    })

    test('its XML is read as its JSON is', async (context) => {
      const { follow } = world(context)
      // Eureka answers in XML whoever does not ask for JSON.
      const xmlOnly = createServer((incoming, answer) => {
        const { accept: _, ...headers } = incoming.headers
        request(`http://127.0.0.1:${eureka.port}${incoming.url}`, { headers }, (response) => {
          types.add(`${response.headers['content-type']}`)
          answer.writeHead(response.statusCode ?? 0, { 'content-type': response.headers['content-type'] })
          response.pipe(answer)
        }).end()
      })
      const types = new Set<string>()
      const cleanups: (() => Promise<void>)[] = []
      const port = await listenOnLoopback(xmlOnly, cleanups)
      for (const cleanup of cleanups) context.onTestFinished(cleanup)
      await eureka.register('XML', 'x&<1>', 8001, { metadata: { plain: 'ü]]>', 'management.port': '<&>' } })
      await eureka.register('XML', 'x-2', 8002, { status: 'DOWN', port: { $: 8002, '@enabled': 'false' } })
      const json = follow(eureka.url)
      const xml = follow(`http://127.0.0.1:${port}/eureka`)
      for (const followed of [json, xml]) {
        await followed.until('xml', ['127.0.0.1:8001*1'])
        await waitFor('the other instance is known', () => followed.service('xml')?.absent.length === 1)
      }
      // Other tests have services of theirs in this registry.
      expect(xml.service('xml')).toEqual(json.service('xml'))
      expect(xml.service('xml')?.endpoints[0]?.instance).toBe('x&<1>')
      await eureka.send('DELETE', `/apps/XML/${encodeURIComponent('x&<1>')}`)
      await xml.until('xml', [])
      expect([...types]).toEqual(['application/xml'])
      expect(xml.errors).toEqual([])
      await eureka.send('DELETE', '/apps/XML/x-2')
    })

    test('of several servers the next is asked when one does not answer; the catalog is as fresh as ever', async (context) => {
      const { follow } = world(context)
      const dead = `http://127.0.0.1:${await freePort()}/eureka`
      await eureka.register('NEXT', 'web-9', 8009)
      const followed = follow([dead, eureka.url])
      await followed.until('next', ['127.0.0.1:8009*1'])
      const { fresh } = followed
      await waitFor('it is confirmed', () => followed.fresh > fresh)
      expect(followed.errors).toEqual([
        { where: `GET ${dead}/apps`, message: expect.stringContaining('ECONNREFUSED'), cure: expect.any(String) },
      ])
      await eureka.send('DELETE', '/apps/NEXT/web-9')
    })

    test('stopped and started again with nothing in it: who beats stays in the table, and who does not leaves with its lease', async (context) => {
      const { client, follow } = world(context)
      const eureka = await startEureka()
      context.onTestFinished(eureka.stop)
      const netflix = await client(eureka.url, 1, 60)
      await netflix.register('WEB', 'web-1', 8001)
      await netflix.register('API', 'api-1', 9001)
      const leaseInfo = { renewalIntervalInSecs: 1, durationInSecs: 6 }
      await eureka.register('GHOST', 'ghost-1', 8009, { leaseInfo })
      const followed = follow(eureka.url)
      await followed.until('ghost', ['127.0.0.1:8009*1'])
      await followed.until('api', ['127.0.0.1:9001*1'])
      const known = followed.catalogs.length

      await eureka.stop()
      const refusal = await waitFor('its absence is told', () =>
        followed.errors.find(({ message }) => message.includes('ECONNREFUSED')),
      )
      expect(refusal).toMatchObject({ away: true, cure: expect.stringContaining('start a Eureka server') })
      expect(followed.catalogs).toHaveLength(known)

      await eureka.start()
      await followed.until('ghost', undefined, 60_000)
      const { fresh } = followed
      await waitFor('it is confirmed as a whole: who beats has registered again', () => followed.fresh > fresh, 30_000)
      await netflix.register('LATE', 'late-1', 9002)
      await followed.until('late', ['127.0.0.1:9002*1'])
      for (const { services } of followed.catalogs.slice(known)) {
        expect(services.get('web')?.endpoints).toHaveLength(1)
        expect(services.get('api')?.endpoints).toHaveLength(1)
      }
      const left = followed.catalogs.findIndex(({ services }, at) => at >= known && !services.has('ghost'))
      expect(followed.rewound[left]).toBe(true)
      await netflix.shutdown('api-1')
      await followed.until('api', undefined)
    }, 150_000)
  },
)

describe.skipIf(missing !== null)(
  'a real Eureka server that wants a password and hands out no deltas',
  { concurrent: true },
  () => {
    const [user, password] = ['ops', 'p@ss:w/rd']
    let eureka: EurekaServerProcess
    beforeAll(async () => {
      const properties = ['eureka.server.disable-delta=true']
      eureka = await startEureka({ credentials: `${user}:${password}`, properties })
      await eureka.register('WEB', 'web-1', 8001)
    }, 120_000)
    afterAll(() => eureka?.stop())

    test('is followed with the right one, be it in the URL', async (context) => {
      const { follow } = world(context)
      const inUrl = eureka.url.replace('//', `//${user}:${encodeURIComponent(password)}@`)
      const both = [follow(eureka.url, { user, password }), follow(inUrl)]
      for (const followed of both) await followed.until('web', ['127.0.0.1:8001*1'])
      await eureka.register('WEB', 'web-2', 8002)
      for (const followed of both) await followed.until('web', ['127.0.0.1:8001*1', '127.0.0.1:8002*1'])
      await eureka.send('DELETE', '/apps/WEB/web-2')
      for (const { errors } of both) expect(errors).toEqual([])
    })

    test('tells the cure to who has another, and never shows it', async (context) => {
      const { follow } = world(context)
      const wrong = 'quite-another'
      const followed = follow(eureka.url, { user, password: wrong })
      await waitFor('the refusal', () => followed.errors.length > 0)
      expect(followed.errors[0]).toEqual({
        where: `GET ${eureka.url}/apps`,
        message: expect.stringMatching(/^Eureka answered 401: /),
        cure: expect.stringContaining('discovery.eureka.password'),
      })
      expect(followed.catalogs).toEqual([])
      const said = JSON.stringify([followed.errors, followed.logged])
      expect(said).not.toContain(wrong)
      expect(said).not.toContain(Buffer.from(`${user}:${wrong}`).toString('base64'))
    })
  },
)
