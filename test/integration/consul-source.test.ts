/** Does our source follow a real Consul agent, also through the agent's death, its locks and its certificates? */

import { afterEach, describe, expect, test } from 'vitest'
import { type Followed, followConsul } from '../discovery/follow.ts'
import { type ConsulAgent, startConsul } from '../support/consul.ts'
import { makeConsulTls } from '../support/consul-tls.ts'
import { waitFor } from '../support/wait.ts'
import { describeCatalogServer } from './catalog-server-suite.ts'

describeCatalogServer('a real Consul agent', startConsul)

describe('a real Consul agent of its own', () => {
  const cleanups: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })

  function follow(...args: Parameters<typeof followConsul>): Followed {
    const followed = followConsul(...args)
    cleanups.push(followed.stop)
    return followed
  }

  async function agent(...args: Parameters<typeof startConsul>): Promise<ConsulAgent> {
    const started = await startConsul(...args)
    cleanups.push(started.stop)
    return started
  }

  test('killed and started again with its data: the table is kept meanwhile, and followed again after', async () => {
    const consul = await agent({ persistent: true })
    for (const port of [8001, 8002]) await consul.register({ Name: 'web', ID: `web-${port}`, Port: port })
    await consul.register({ Name: 'api', Port: 9001 })
    // Enough for the replay of the log to take a while, and more than have a watch of their own.
    const others = Array.from({ length: 200 }, (_, at) => `z-other-${at}`)
    await Promise.all(others.map((name) => consul.registerExternal(name, 7000)))
    const both = ['127.0.0.1:8001*1', '127.0.0.1:8002*1']
    const followed = follow(consul.url)
    await followed.until('web', both)
    await followed.until('api', ['127.0.0.1:9001*1'])
    for (const name of others) await followed.until(name, ['10.9.9.9:7000*1'])
    const known = followed.catalogs.length

    await consul.kill('SIGKILL')
    await waitFor('its absence is told', () => followed.errors.some(({ message }) => /ECONNREFUSED/.test(message)))
    expect(followed.errors.at(-1)?.cure).toContain(`start a Consul agent at ${consul.url}`)
    expect(followed.catalogs).toHaveLength(known)

    await consul.start()
    const fresh = followed.fresh
    await waitFor('it is fresh again', () => followed.fresh > fresh)
    await followed.until('web', both)
    // The agent was asked while it replayed its log: nothing of what it said then may have been believed.
    for (const { services } of followed.catalogs.slice(known)) {
      expect([...services.keys()].sort()).toEqual(['api', 'web', ...others].sort())
      for (const { endpoints } of services.values()) expect(endpoints).not.toEqual([])
    }

    await consul.register({ Name: 'web', ID: 'web-8003', Port: 8003 })
    await consul.deregister('web-8001')
    await followed.until('web', ['127.0.0.1:8002*1', '127.0.0.1:8003*1'])
  })

  test('whose node is in maintenance: every instance of the node is absent, and says so', async () => {
    const consul = await agent()
    await consul.register({ Name: 'web', ID: 'web-1', Port: 8001 })
    const followed = follow(consul.url)
    await followed.until('web', ['127.0.0.1:8001*1'])
    await consul.nodeMaintenance(true)
    await followed.until('web', [])
    expect(followed.service('web')?.absent).toEqual([
      { instance: 'web-1', address: '127.0.0.1:8001', reason: 'its node is in maintenance mode' },
    ])
    await consul.nodeMaintenance(false)
    await followed.until('web', ['127.0.0.1:8001*1'])
  })

  test('that wants a token: with the right one it is followed, with a wrong one the cure is told, and never the token', async () => {
    const token = '7f4ad1c2-55e0-4f0c-9d6b-000000000001'
    const consul = await agent({ aclToken: token })
    await consul.register({ Name: 'web', ID: 'web-1', Port: 8001 })
    const right = follow(consul.url, { token })
    await right.until('web', ['127.0.0.1:8001*1'])

    const wrong = '7f4ad1c2-55e0-4f0c-9d6b-000000000002'
    const refused = follow(consul.url, { token: wrong })
    await waitFor('the refusal', () => refused.errors.length > 0)
    expect(refused.errors[0]).toMatchObject({
      where: 'GET /v1/catalog/services',
      message: expect.stringMatching(/^Consul answered 403: /),
      cure: expect.stringContaining('CONSUL_HTTP_TOKEN'),
    })
    expect(refused.catalogs).toEqual([])
    expect(JSON.stringify([refused.errors, refused.logged, right.errors, right.logged])).not.toContain(
      token.slice(0, 23),
    )
  })

  test('asked for a datacenter that there is not: the cure is told, and nothing is published', async () => {
    const consul = await agent()
    const followed = follow(consul.url, { datacenter: 'atlantis' })
    await waitFor('the refusal', () => followed.errors.length > 0)
    expect(followed.errors[0]?.message).toContain('No path to datacenter')
    expect(followed.errors[0]?.cure).toContain('discovery.consul.datacenter')
    expect(followed.catalogs).toEqual([])
  })

  test('that speaks TLS and wants a certificate: with both it is followed, without its CA the cure is told', async () => {
    const { url, hcl, ca, cert, key, remove } = await makeConsulTls()
    cleanups.push(remove)
    const consul = await agent({ hcl })
    await consul.register({ Name: 'web', ID: 'web-1', Port: 8001 })

    const trusted = follow(url, { tls: { ca, cert, key } })
    await trusted.until('web', ['127.0.0.1:8001*1'])
    await consul.deregister('web-1')
    await trusted.until('web', undefined)
    expect(trusted.errors).toEqual([])

    for (const tls of [
      { ca: null, cert, key },
      { ca, cert: null, key: null },
    ]) {
      const refused = follow(url, { tls })
      await waitFor('the refusal', () => refused.errors.length > 0)
      expect(refused.errors[0]?.cure).toContain('CONSUL_CACERT')
      expect(refused.catalogs).toEqual([])
    }
  })
})
