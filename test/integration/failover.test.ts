/** Does a service move to another datacenter and back, over two real Consul agents that are joined? */

import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import { consulSource } from '../../src/discovery/consul/consul-source.ts'
import { planFailover } from '../../src/discovery/consul/failover.ts'
import { failoverSource } from '../../src/discovery/consul/failover-source.ts'
import { consulDefaults, type Followed, followSource } from '../discovery/follow.ts'
import { type ConsulAgent, startConsul } from '../support/consul.ts'
import { waitFor } from '../support/wait.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function twoDatacenters(): Promise<readonly [dc1: ConsulAgent, dc2: ConsulAgent]> {
  const agents = await Promise.all(['dc1', 'dc2'].map((datacenter) => startConsul({ datacenter })))
  for (const { stop } of agents) cleanups.push(stop)
  const [dc1, dc2] = agents as [ConsulAgent, ConsulAgent]
  await dc1.joinWan(dc2)
  return [dc1, dc2]
}

/** As the composition root does it: everything is asked of the agent of dc1. */
function followFrom(agent: ConsulAgent): Followed {
  const options = { ...consulDefaults, address: agent.url }
  const deps = { log: pino({ level: 'silent' }), random: Math.random, timing: { namesWaitMs: 500 } }
  const { order, include } = planFailover(new Map([['web', ['dc2']]]), options, options.datacenter)
  const standbys = [...include].map(
    ([datacenter, names]) =>
      [datacenter, consulSource({ ...options, datacenter, include: names, exclude: [] }, deps)] as const,
  )
  const followed = followSource(failoverSource(consulSource(options, deps), new Map(standbys), order))
  cleanups.push(followed.stop)
  return followed
}

test('the endpoints of another datacenter serve while there are none at home; its death hurts nobody', async () => {
  const [dc1, dc2] = await twoDatacenters()
  for (const port of [8001, 8002]) await dc1.register({ Name: 'web', ID: `web-${port}`, Port: port })
  for (const port of [9001, 9002]) await dc2.register({ Name: 'web', ID: `web-${port}`, Port: port })
  await dc1.register({ Name: 'api', Port: 8100 })
  await dc2.register({ Name: 'api', Port: 9100 })
  const home = ['127.0.0.1:8001*1', '127.0.0.1:8002*1']
  const away = ['127.0.0.1:9001*1', '127.0.0.1:9002*1']
  const followed = followFrom(dc1)
  const standsBy = () =>
    followed
      .service('web')
      ?.absent.filter(({ reason }) => reason === 'stands by in datacenter "dc2"')
      .map(({ address }) => address)
  await followed.until('web', home)
  await waitFor('the others stand by', () => standsBy()?.join() === '127.0.0.1:9001,127.0.0.1:9002')

  for (const port of [8001, 8002]) await dc1.deregister(`web-${port}`)
  await followed.until('web', away)
  expect(standsBy()).toEqual([])
  await dc2.deregister('web-9002')
  await followed.until('web', ['127.0.0.1:9001*1'])

  await dc1.register({ Name: 'web', ID: 'web-8001', Port: 8001 })
  await followed.until('web', ['127.0.0.1:8001*1'])
  expect(standsBy()).toEqual(['127.0.0.1:9001'])
  expect(followed.endpoints('api')).toEqual(['127.0.0.1:8100*1'])

  await dc2.kill()
  await waitFor('its absence is told', () => followed.errors.some((error) => error.standby === 'dc2'), 15_000)
  await dc1.register({ Name: 'web', ID: 'web-8002', Port: 8002 })
  await followed.until('web', home)
  // What was known of it last stays, and would serve: requests find out what is dead.
  expect(standsBy()).toEqual(['127.0.0.1:9001'])
  const fresh = followed.fresh
  await waitFor('the primary goes on being fresh', () => followed.fresh > fresh, 15_000)
  expect(followed.errors.every((error) => error.standby === 'dc2')).toBe(true)
}, 60_000)

test('a datacenter that there is not: its error is told, and the first one is served all the same', async () => {
  const dc1 = await startConsul()
  cleanups.push(dc1.stop)
  await dc1.register({ Name: 'web', ID: 'web-8001', Port: 8001 })
  const followed = followFrom(dc1)
  await followed.until('web', ['127.0.0.1:8001*1'])
  await waitFor('the error', () => followed.errors.length > 0)
  expect(followed.errors[0]).toMatchObject({ standby: 'dc2', where: expect.stringMatching(/^datacenter "dc2": GET /) })
  expect(followed.errors[0]?.cure).toContain('datacenter')
})
