/**
 * What happens while Consul is dead, and once it is back with its old data? Clients must notice nothing; the proxy says
 * that its table is getting old, and follows the catalog again as soon as there is one.
 */

import { waitFor } from '../support/wait.ts'
import { clockMs, collectFindings, type Findings, type FindingsCollector, percentile } from './findings.ts'
import { failuresOf, type Load, startLoad } from './load.ts'
import type { Origin } from './origins.ts'
import type { ProxyProcess } from './proxy-process.ts'
import { scoped } from './scope.ts'
import { service, startWorld, type World } from './world.ts'

export interface ConsulAwaySize {
  /** How long Consul is away, once for each. */
  readonly awaySeconds: readonly number[]
  readonly perSecond: number
}

export const consulAwaySmall: ConsulAwaySize = { awaySeconds: [2], perSecond: 200 }
export const consulAwayFull: ConsulAwaySize = { awaySeconds: [60, 3, 3, 10, 10], perSecond: 200 }

export function consulAway({ awaySeconds, perSecond }: ConsulAwaySize): Promise<Findings> {
  return scoped(async (scope) => {
    const findings = collectFindings()
    const world = await startWorld(scope, ['a', 'b', 'c', 'newcomer'], { persistent: true })
    const [newcomer, ...settled] = [...world.origins].reverse() as [Origin, ...Origin[]]
    // Without checks: Consul's own word on an instance must not change because it was away.
    for (const origin of settled) await world.register(origin, null)
    const proxy = await world.startProxy([], settled)
    const load = startLoad(scope, {
      port: proxy.port,
      connections: 20,
      streams: [{ method: 'GET', perSecond, path: `/${service}/` }],
    })
    await load.more(perSecond)

    const followedMs: number[] = []
    for (const [round, seconds] of awaySeconds.entries()) {
      const title = `${round + 1}: away ${seconds} s`
      followedMs.push(await leaveAndReturn(title, seconds, world, proxy, load, { newcomer, settled }, findings))
    }
    const shots = await load.stop()
    findings.figure('requests failed', `${failuresOf(shots).length} of ${shots.length}`)
    findings.promise('no request fails', failuresOf(shots).length === 0, failuresOf(shots))
    findings.figure('Consul ready → a change followed, worst, ms', percentile(followedMs, 1))
    return findings.done()
  })
}

/** @returns how long it took from Consul's being ready to the first request that reached an instance registered then */
async function leaveAndReturn(
  title: string,
  seconds: number,
  { consul, register }: World,
  proxy: ProxyProcess,
  load: Load,
  { newcomer, settled }: { readonly newcomer: Origin; readonly settled: readonly Origin[] },
  findings: FindingsCollector,
): Promise<number> {
  const age = () => proxy.metric('evenkeel_catalog_age_seconds')
  const readyz = async () => {
    const { status, text } = await proxy.admin('/readyz')
    return `${status} ${text.split('\n')[0]}`
  }
  const lossesBefore = losses(proxy).length

  await consul.kill('SIGKILL')
  const killedMs = clockMs()
  await waitFor('it says that it is stale', async () => (await readyz()) === '200 stale')
  findings.figure(`${title}: stale after, ms`, clockMs() - killedMs)
  const ages: number[] = [await age()]
  await waitFor(
    'the catalog grows old',
    async () => {
      ages.push(await age())
      return (ages.at(-1) ?? 0) >= seconds
    },
    (seconds + 10) * 1_000,
  )
  const grows = ages.every((value, index) => index === 0 || value >= (ages[index - 1] ?? 0))
  findings.promise(`${title}: the age only grows`, grows, ages)
  findings.promise(`${title}: it stays stale and ready`, (await readyz()) === '200 stale', await readyz())

  const startMs = clockMs()
  await consul.start()
  await waitFor(`Consul has its old data`, async () => {
    const answer = await consul.send('GET', `/v1/health/service/${service}?passing`)
    return answer.status === 200 && JSON.parse(answer.text).length === settled.length
  })
  const readyMs = clockMs()
  findings.figure(`${title}: Consul took to be ready, ms`, readyMs - startMs)
  await register(newcomer, null)
  const servedBy = (name: string) => load.shots.find((shot) => shot.servedBy === name && shot.startedMs > readyMs)
  const first = await waitFor('the newcomer serves', () => servedBy(newcomer.name), 20_000)
  const followedMs = (first.arrivedMs ?? Number.NaN) - readyMs
  findings.figure(`${title}: then a change was followed after, ms`, followedMs)
  await waitFor('it says that it is fresh', async () => (await readyz()) === '200 fresh')

  await consul.deregister(newcomer.name)
  await proxy.untilEndpoints(
    service,
    settled.map(({ endpoint }) => endpoint),
  )
  // Each round loses the newcomer at its end. The log is written in order, though with some delay.
  const lost = await waitFor('the log tells of its leaving', () => {
    const inRound = losses(proxy).slice(lossesBefore)
    return inRound.at(-1)?.includes(newcomer.name) === true ? inRound : undefined
  })
  findings.promise(`${title}: no other instance is lost on the way`, lost.length === 1, lost)
  return followedMs
}

/** Which endpoints left the table, one text a change. */
function losses(proxy: ProxyProcess): readonly string[] {
  return proxy
    .logged('the catalog changed')
    .map(({ left }) => (Array.isArray(left) ? left.join(' ') : ''))
    .filter((left) => left !== '')
}
