/**
 * What if checks of very many services fail and pass all the time? Every one of them must end up in the table as it is in
 * Consul, and requests to a service that has no part in it must not notice.
 */

import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Fixture, fillCatalog } from '../support/consul-fixture.ts'
import { waitFor } from '../support/wait.ts'
import { clockMs, collectFindings, type Findings, percentile } from './findings.ts'
import { failuresOf, type Load, startLoad } from './load.ts'
import type { Origin } from './origins.ts'
import type { ProxyProcess } from './proxy-process.ts'
import { type Scope, scoped } from './scope.ts'
import { service, startServingWorld } from './world.ts'

export interface FlipsSize {
  /** More than there are watches, so that some are swept. */
  readonly services: number
  readonly flipsPerSecond: number
  readonly seconds: number
  readonly perSecond: number
}

export const flipsSmall: FlipsSize = { services: 150, flipsPerSecond: 50, seconds: 3, perSecond: 200 }
export const flipsFull: FlipsSize = { services: 1_000, flipsPerSecond: 100, seconds: 30, perSecond: 300 }

const instances = 3
/** How far apart the services are that flip one after another; with their number it has no common divisor. */
const stride = 37

export function flips({ services, flipsPerSecond, seconds, perSecond }: FlipsSize): Promise<Findings> {
  return scoped(async (scope) => {
    const findings = collectFindings()
    const world = await startServingWorld(scope, ['a', 'b', 'c'])
    const fixture = await fillCatalog(world.consul, { services, instances, nodes: 50 })
    const proxy = await world.startProxy()
    const load = startLoad(scope, {
      port: proxy.port,
      connections: 20,
      streams: [{ method: 'GET', perSecond, path: `/${service}/` }],
    })
    // Code that has just begun to run is slow, and so are the first connections.
    await load.more(perSecond * Math.min(5, seconds))

    // What becomes slower here too is the machine's doing, on which Consul has more to do as well.
    const straight = startStraight(scope, world.origins[0] as Origin)
    const quiet = await latencies(load, () => sleep((seconds * 1_000) / 2))
    const straightQuiet = straight.splice(0)
    const cpuBefore = await proxy.cpuSeconds()
    const startMs = clockMs()
    let failing: ReadonlySet<string> = new Set()
    const busy = await latencies(load, async () => {
      failing = await flipMany(fixture, flipsPerSecond, seconds)
    })
    const straightBusy = straight.splice(0)
    const tookS = (clockMs() - startMs) / 1_000
    const lastMs = clockMs()
    findings.figure('flips', flipsPerSecond * seconds)
    findings.figure('flips per second, as made', (flipsPerSecond * seconds) / tookS)
    findings.figure('processor time meanwhile, % of a core', (((await proxy.cpuSeconds()) - cpuBefore) / tookS) * 100)

    const wrong = () => wrongOnes(proxy, fixture, failing)
    await waitFor('the last flips are in the table', async () => (await wrong()).length === 0, 20_000).catch(() => {})
    findings.figure('last flip → all of it looked at and right, ms', clockMs() - lastMs)
    const missed = await wrong()
    findings.promise('no final state is missed', missed.length === 0, missed)

    for (const share of [50, 99]) {
      findings.figure(`a request, quiet, p${share} ms`, percentile(quiet, share / 100))
      findings.figure(`a request, while checks flip, p${share} ms`, percentile(busy, share / 100))
    }
    const ratio = (of: readonly number[], to: readonly number[]) => percentile(of, 0.99) / percentile(to, 0.99)
    findings.figure('p99 while checks flip, × quiet', ratio(busy, quiet))
    findings.figure('straight to an instance, p99 while checks flip, × quiet', ratio(straightBusy, straightQuiet))
    const shots = await load.stop()
    findings.figure('requests failed', `${failuresOf(shots).length} of ${shots.length}`)
    findings.promise('no request fails', failuresOf(shots).length === 0, failuresOf(shots))
    return findings.done()
  })
}

/** Fifty requests a second past the proxy: how long each took, in milliseconds, as they come. */
function startStraight(scope: Scope, { address, port }: Origin): number[] {
  const agent = new Agent({ keepAlive: true })
  const tookMs: number[] = []
  const timer = setInterval(() => {
    const startMs = clockMs()
    const sent = get({ host: address, port, agent }, (answer) => {
      answer.resume().on('end', () => tookMs.push(clockMs() - startMs))
    })
    sent.on('error', () => {})
  }, 20)
  scope.onEnd(() => {
    clearInterval(timer)
    agent.destroy()
  })
  return tookMs
}

/** How long the requests took, in milliseconds, that ended while `work` went on. */
async function latencies(load: Load, work: () => Promise<unknown>): Promise<readonly number[]> {
  const from = load.shots.length
  await work()
  return load.shots.slice(from).map(({ startedMs, endedMs }) => endedMs - startedMs)
}

/** Flips one check after another, at that pace. @returns those that fail in the end, as `service instance` */
async function flipMany(fixture: Fixture, perSecond: number, seconds: number): Promise<ReadonlySet<string>> {
  // Of those with a watch and of the others; and not so many fail at once that nothing else is left.
  const names = fixture.names.filter((_, at) => at % 4 === 0)
  const failing = new Set<string>()
  const underway = new Map<string, Promise<void>>()
  const startMs = clockMs()
  for (let flip = 0; flip < perSecond * seconds; flip += 1) {
    await sleep(startMs + (flip * 1_000) / perSecond - clockMs())
    const name = names[(flip * stride) % names.length] as string
    // Each service has a check that goes to and fro, and after a round of all of them another one.
    const at = Math.floor(flip / (2 * names.length)) % instances
    const key = `${name} ${at}`
    if (!failing.delete(key)) failing.add(key)
    const status = failing.has(key) ? 'critical' : 'passing'
    // Two of the same check must not overtake one another.
    const before = underway.get(key) ?? Promise.resolve()
    underway.set(
      key,
      before.then(() => fixture.setCheck(name, at, status)),
    )
  }
  await Promise.all(underway.values())
  return failing
}

/** The services whose endpoints in the table are not those whose checks pass. */
async function wrongOnes(proxy: ProxyProcess, fixture: Fixture, failing: ReadonlySet<string>): Promise<string[]> {
  const wrong: string[] = []
  for (const name of fixture.names) {
    const inTable = (await proxy.endpoints(name)).map(({ endpoint }) => endpoint)
    const passing = Array.from({ length: instances }, (_, at) => at)
      .filter((at) => !failing.has(`${name} ${at}`))
      .map((at) => fixture.endpoint(name, at))
    if (inTable.sort().join() !== passing.sort().join()) wrong.push(name)
  }
  return wrong
}
