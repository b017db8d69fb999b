/** Does every instance get its exact share: over many connections, with and without upstream keep-alive, while others flap? */

import { collectFindings, type Findings, spread, tally, tallyText } from './findings.ts'
import { failuresOf, startLoad } from './load.ts'
import type { ProxyProcess } from './proxy-process.ts'
import { type Scope, scoped } from './scope.ts'
import { service, startServingWorld, type World } from './world.ts'

export interface EvenSize {
  readonly requests: number
  readonly connections: number
  readonly perSecond: number
  readonly flapsPerSecond: number
}

export const evenSmall: EvenSize = { requests: 600, connections: 50, perSecond: 600, flapsPerSecond: 10 }
export const evenFull: EvenSize = { requests: 3_000, connections: 50, perSecond: 600, flapsPerSecond: 10 }

const names = ['a', 'b', 'c']

export function even(size: EvenSize): Promise<Findings> {
  return scoped(async (scope) => {
    const findings = collectFindings()
    const world = await startServingWorld(scope, names)

    /** One volley, counted by the clients and by the instances themselves. */
    async function volley(title: string, proxy: ProxyProcess): Promise<void> {
      const before = await countsOf(world)
      const load = startLoad(scope, {
        port: proxy.port,
        connections: size.connections,
        streams: [{ method: 'GET', perSecond: size.perSecond, path: `/${service}/` }],
        total: size.requests,
      })
      const shots = await load.finished
      const after = await countsOf(world)
      const own = new Map(names.map((name) => [name, (after.get(name) ?? 0) - (before.get(name) ?? 0)]))
      const seen = tally(shots.map(({ servedBy }) => servedBy ?? 'nobody'))
      findings.figure(title, tallyText(own))
      findings.promise(`${title}: no request fails`, failuresOf(shots).length === 0, failuresOf(shots))
      findings.promise(`${title}: equal shares, ± 1, by the clients' count`, spread(seen, names) <= 1, tallyText(seen))
      findings.promise(`${title}: equal shares, ± 1, by the instances' count`, spread(own, names) <= 1, tallyText(own))
      const connections = new Set(shots.map(({ clientPort }) => clientPort)).size
      findings.promise(`${title}: ${size.connections} connections`, connections === size.connections, connections)
    }

    for (const keepAlive of [false, true]) {
      const how = keepAlive ? 'keep-alive on' : 'keep-alive off'
      const proxy = await world.startProxy([`upstream.keepAlive=${keepAlive}`])
      await volley(how, proxy)
      const flaps = await whileAnotherFlaps(scope, world, proxy, size.flapsPerSecond, () =>
        volley(`${how}, another service flaps`, proxy),
      )
      findings.figure(`flaps seen, ${how}`, flaps)
      findings.promise(`${how}: the proxy followed the flaps`, flaps > 0, flaps)
      proxy.signal('SIGKILL')
      await proxy.exited
    }
    return findings.done()
  })
}

async function countsOf({ origins }: World): Promise<ReadonlyMap<string, number>> {
  return new Map(await Promise.all(origins.map(async (origin) => [origin.name, await origin.count()] as const)))
}

/** @returns how many changes of the catalog the proxy applied meanwhile */
async function whileAnotherFlaps(
  scope: Scope,
  { consul }: World,
  proxy: ProxyProcess,
  perSecond: number,
  work: () => Promise<void>,
): Promise<number> {
  await consul.register({
    Name: 'flapper',
    ID: 'flapper-1',
    Port: 9,
    Check: { CheckID: 'flap', TTL: '60m', Status: 'passing' },
  })
  await proxy.untilEndpoints('flapper', ['127.0.0.1:9'])
  const applied = () => proxy.metric('evenkeel_catalog_updates_total', { result: 'applied' })
  const before = await applied()
  let passes = true
  let last: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    passes = !passes
    last = consul.setCheck('flap', passes ? 'pass' : 'fail').catch(() => {})
  }, 1_000 / perSecond)
  scope.onEnd(() => clearInterval(timer))
  await work()
  clearInterval(timer)
  await last
  const flaps = (await applied()) - before
  await consul.deregister('flapper-1')
  return flaps
}
