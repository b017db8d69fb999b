/** Does the source follow more services than it has watches for, on a real Consul agent, whatever changes about them? */

import { connect, createServer, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Followed, followConsul } from '../discovery/follow.ts'
import { type ConsulAgent, freePort, startConsul } from '../support/consul.ts'
import { type Fixture, fillCatalog } from '../support/consul-fixture.ts'
import { waitFor } from '../support/wait.ts'

const maxWatches = 20
const size = { services: 200, instances: 3, nodes: 12 }
/** Nothing may be seen only because its turn came: it never does. */
const timing = { sweepRoundMs: 3_600_000, hurryMs: 200 }

let consul: ConsulAgent
let fixture: Fixture
let relay: Relay
let followed: Followed

beforeAll(async () => {
  consul = await startConsul()
  fixture = await fillCatalog(consul, size)
  relay = await startRelay(consul.port)
}, 60_000)
afterEach(() => followed?.stop())
afterAll(async () => {
  await relay?.close()
  await consul?.stop()
})

const first = () => fixture.names[0] as string
const last = () => fixture.names.at(-1) as string
/** As `until` wants them: those of the instances given, all with weight 1 unless said otherwise. */
const ends = (name: string, ...at: readonly number[]) => at.map((one) => `${fixture.endpoint(name, one)}*1`)

async function follow(...[options, deps]: [Parameters<typeof followConsul>[1]?, Parameters<typeof followConsul>[2]?]) {
  followed = followConsul(relay.url, { maxWatches, ...options }, { timing, ...deps })
  await followed.until(last(), ends(last(), 0, 1, 2))
}

describe('of 200 services on a real Consul agent, with 20 watches', () => {
  test('none is missing in the first catalog, and the connections are bounded', async () => {
    await follow()
    const services = [...(followed.catalogs[0]?.services ?? [])]
    expect(services.map(([name]) => name)).toEqual(fixture.names)
    for (const [, { endpoints }] of services) expect(endpoints).toHaveLength(3)
    await waitFor('it watches', () => followed.source.describe?.().watched === maxWatches)
    expect(followed.source.describe?.()).toMatchObject({ watched: 20, swept: 180 })
    expect(relay.most).toBeLessThanOrEqual(maxWatches + 2 + 16)
    expect(followed.errors).toEqual([])
  })

  /** Each changes something about a service, and back again. */
  const changes: [string, (name: string) => Promise<void>, (name: string) => readonly string[] | undefined, Undo][] = [
    [
      'a check fails',
      (name) => fixture.setCheck(name, 1, 'critical'),
      (name) => ends(name, 0, 2),
      (name) => fixture.setCheck(name, 1, 'passing'),
    ],
    [
      'an instance is added',
      (name) => fixture.register(name, 3),
      (name) => ends(name, 0, 1, 2, 3),
      (name) => fixture.deregister(name, 3),
    ],
    [
      'an instance is removed',
      (name) => fixture.deregister(name, 0),
      (name) => ends(name, 1, 2),
      (name) => fixture.register(name, 0),
    ],
    [
      'a weight is changed',
      (name) => fixture.register(name, 1, { Weights: { Passing: 7, Warning: 1 } }),
      (name) => [`${fixture.endpoint(name, 0)}*1`, `${fixture.endpoint(name, 1)}*7`, `${fixture.endpoint(name, 2)}*1`],
      (name) => fixture.register(name, 1),
    ],
    [
      'a port is changed',
      (name) => fixture.register(name, 2, { Port: 6999 }),
      (name) => [`${fixture.endpoint(name, 0).replace(/\d+$/, '6999')}*1`, ...ends(name, 0, 1)],
      (name) => fixture.register(name, 2),
    ],
    [
      'its node fails',
      (name) => fixture.setNodeCheck(fixture.nodeOf(name, 0), 'disk', 'critical'),
      (name) => ends(name, 1, 2),
      (name) => fixture.deleteNodeCheck(fixture.nodeOf(name, 0), 'disk'),
    ],
    [
      'its node goes into maintenance',
      (name) => fixture.setNodeCheck(fixture.nodeOf(name, 2), '_node_maintenance', 'critical'),
      (name) => ends(name, 0, 1),
      (name) => fixture.deleteNodeCheck(fixture.nodeOf(name, 2), '_node_maintenance'),
    ],
    [
      'it leaves altogether',
      async (name) => {
        for (const at of [0, 1, 2]) await fixture.deregister(name, at)
      },
      () => undefined,
      async (name) => {
        for (const at of [0, 1, 2]) await fixture.register(name, at)
      },
    ],
  ]
  type Undo = (name: string) => Promise<void>

  test.each(changes)('%s: it is seen, of a watched service and of a swept one, and so is its end', async (...row) => {
    const [, change, expected, undo] = row
    await follow()
    for (const name of [last(), first()]) {
      await change(name)
      await followed.until(name, expected(name))
      await undo(name)
      await followed.until(name, ends(name, 0, 1, 2))
    }
    expect(followed.errors).toEqual([])
    expect(relay.most).toBeLessThanOrEqual(maxWatches + 2 + 16)
  })

  test('a swept one whose checks flip back and forth ends as it is', async () => {
    await follow()
    for (let times = 0; times < 30; times += 1) {
      for (const at of [0, 1, 2]) await fixture.setCheck(last(), at, times % 2 === 0 ? 'critical' : 'passing')
    }
    await fixture.setCheck(last(), 1, 'critical')
    await followed.until(last(), ends(last(), 0, 2))
    for (const at of [0, 1, 2]) await fixture.setCheck(last(), at, 'passing')
    await followed.until(last(), ends(last(), 0, 1, 2))
  })

  test('without any watch all are swept, and a flip is seen', async () => {
    await follow({ maxWatches: 0 })
    expect(followed.source.describe?.()).toMatchObject({ watched: 0, swept: 200 })
    await fixture.setCheck(first(), 0, 'critical')
    await followed.until(first(), ends(first(), 1, 2))
    await fixture.setCheck(first(), 0, 'passing')
    await followed.until(first(), ends(first(), 0, 1, 2))
  })

  test('those with the most traffic are given the watches, and no change is lost on the way', async () => {
    const traffic = new Map<string, number>()
    const isWatched = (name: string) => (traffic.get(name) ?? 0) > 0
    await follow({}, { timing: { ...timing, reassignMs: 20 }, traffic: () => traffic })
    // Every look finds others to be busy, and checks fail and pass all the while.
    for (let round = 0; round < 12; round += 1) {
      const busy = fixture.names.slice(round * 10, round * 10 + 10)
      for (const name of busy) traffic.set(name, (traffic.get(name) ?? 0) + 100)
      const status = round % 2 === 0 ? 'critical' : 'passing'
      await Promise.all(busy.map((name) => fixture.setCheck(name, 0, 'critical')))
      await Promise.all(fixture.names.slice(0, 10).map((name) => fixture.setCheck(name, 1, status)))
    }
    for (const [at, name] of fixture.names.entries()) {
      // Of the first ten every check has been set to pass last, but for the first one.
      await followed.until(name, isWatched(name) ? ends(name, 1, 2) : ends(name, 0, 1, 2))
      if (at < 120) await fixture.setCheck(name, 0, 'passing')
    }
    for (const name of fixture.names) await followed.until(name, ends(name, 0, 1, 2))
    expect(followed.source.describe?.().watched).toBe(maxWatches)
    expect(relay.most).toBeLessThanOrEqual(maxWatches + 2 + 16)
    expect(followed.errors).toEqual([])
  })

  test('a watched and a swept one are read again on demand, and what is found is told before that resolves', async () => {
    await follow()
    const signal = new AbortController().signal
    for (const name of [first(), last()]) {
      await fixture.setCheck(name, 0, 'critical')
      expect(await followed.source.reread?.([name], signal)).toBe(true)
      expect(followed.endpoints(name)).toEqual(ends(name, 1, 2))
      await fixture.setCheck(name, 0, 'passing')
      expect(await followed.source.reread?.([name, 'no-such-service'], signal)).toBe(true)
      expect(followed.endpoints(name)).toEqual(ends(name, 0, 1, 2))
    }
    const { fresh } = followed
    expect(await followed.source.reread?.(fixture.names, signal)).toBe(true)
    expect(followed.fresh).toBeGreaterThan(fresh)
    expect(relay.most).toBeLessThanOrEqual(maxWatches + 2 + 16)
  })

  test('the one whose check says something else all the time is named as the noisiest', async () => {
    await follow()
    for (let at = 0; at < 5; at += 1) {
      const before = followed.source.describe?.().wakeups.useless ?? 0
      await fixture.setCheck(first(), 0, 'passing', `round ${at}`)
      await waitFor('it wakes', () => (followed.source.describe?.().wakeups.useless ?? 0) > before)
    }
    expect(followed.source.describe?.().noisiest[0]).toMatchObject({ service: first(), useful: 0 })
    expect(followed.catalogs).toHaveLength(1)
  })
})

interface Relay {
  readonly url: string
  /** The most connections that were open at the same time. */
  readonly most: number
  close(): Promise<void>
}

/** Passes every connection on to the agent, and counts them. */
async function startRelay(to: number): Promise<Relay> {
  const sockets = new Set<Socket>()
  let most = 0
  const server = createServer((from) => {
    const on = connect(to, '127.0.0.1')
    sockets.add(from)
    most = Math.max(most, sockets.size)
    from.pipe(on).pipe(from)
    const end = () => {
      sockets.delete(from)
      from.destroy()
      on.destroy()
    }
    for (const socket of [from, on]) socket.on('close', end).on('error', end)
  })
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${port}`,
    get most() {
      return most
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
