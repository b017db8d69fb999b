/** Does serving outlive what happens around it: Consul's death and return, deploys, SIGTERM, SIGHUP? The drills at a small size. */

import { describe, expect, test } from 'vitest'
import { consulAway, consulAwaySmall } from '../drills/consul-away.ts'
import { deploy, deploySmall } from '../drills/deploy.ts'
import { drain, drainSmall } from '../drills/drain.ts'
import { reload, reloadSmall } from '../drills/reload.ts'

describe('serving from a real Consul catalog', () => {
  test('goes on while Consul is dead, says that it is stale, and follows Consul again once it is back', async () => {
    const { broken, figures } = await consulAway(consulAwaySmall)
    expect(broken).toEqual([])
    expect(figures['requests failed']).toMatch(/^0 of \d{3}/)
  }, 90_000)

  test('fails no request over instances that do not listen yet, and no GET in rolling deploys that stop each one as soon as it is deregistered', async () => {
    const { broken, figures } = await deploy(deploySmall)
    expect(broken).toEqual([])
    expect(figures['closed: GETs failed']).toMatch(/^0 of \d{3}/)
    expect(figures['killed, keep-alive: GETs failed']).toMatch(/^0 of \d{3}/)
  }, 120_000)

  test('ends after SIGTERM without failing a request, closes a WebSocket when the time is up, at once when told twice', async () => {
    const { broken, figures } = await drain(drainSmall)
    expect(broken).toEqual([])
    expect(figures['stop 1: requests failed']).toMatch(/^0 of \d{3}/)
  }, 60_000)

  test('takes a good config on SIGHUP, and nothing of a bad one', async () => {
    const { broken, figures } = await reload(reloadSmall)
    expect(broken).toEqual([])
    expect(figures).toHaveProperty('problems told of a bad config', 3)
  }, 60_000)
})
