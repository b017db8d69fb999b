/**
 * What do clients notice when a service is scaled up by instances that do not listen yet, and of rolling deploys? Each instance in turn is deregistered and stopped at once, without waiting
 * for anybody to have seen it; its successor starts on a new port and is registered. No GET may fail of it. A POST that
 * was being answered when its instance was killed is lost, and nobody can save it: those are counted.
 */

import { collectFindings, type Findings, type FindingsCollector, percentile } from './findings.ts'
import { failed, failuresOf, type Load, startLoad } from './load.ts'
import { type Origin, startOrigins } from './origins.ts'
import type { ProxyProcess } from './proxy-process.ts'
import { scoped } from './scope.ts'
import { service, startServingWorld, type World } from './world.ts'

export interface DeploySize {
  /** Rolling deploys; each one replaces every instance. */
  readonly deploys: number
  readonly getsPerSecond: number
  readonly postsPerSecond: number
  readonly variants: readonly Variant[]
}

interface Variant {
  /** `close`: the listener closes, idle connections are cut, and what is in flight is answered. `kill`: `kill -9`. */
  readonly stop: 'close' | 'kill'
  readonly keepAlive: boolean
}

const loads = { getsPerSecond: 300, postsPerSecond: 30 } as const
export const deploySmall: DeploySize = {
  ...loads,
  deploys: 2,
  variants: [
    { stop: 'close', keepAlive: false },
    { stop: 'kill', keepAlive: true },
  ],
}
export const deployFull: DeploySize = {
  ...loads,
  deploys: 10,
  variants: (['close', 'kill'] as const).flatMap((stop) => [false, true].map((keepAlive) => ({ stop, keepAlive }))),
}

const slots = ['a', 'b', 'c']
/** How long an instance works on a request: some are always in flight when it is stopped. */
const delayMs = 20

export async function deploy(size: DeploySize): Promise<Findings> {
  const findings = collectFindings()
  for (const variant of size.variants) await deployAll(size, variant, findings)
  return findings.done()
}

function deployAll(size: DeploySize, { stop, keepAlive }: Variant, findings: FindingsCollector): Promise<void> {
  const title = `${stop === 'close' ? 'closed' : 'killed'}${keepAlive ? ', keep-alive' : ''}`
  return scoped(async (scope) => {
    const world = await startServingWorld(
      scope,
      slots.map((slot) => `${slot}-0`),
    )
    for (const origin of world.origins) await origin.behave({ delayMs })
    const proxy = await world.startProxy([`upstream.keepAlive=${keepAlive}`])
    const load = startLoad(scope, {
      port: proxy.port,
      connections: 60,
      streams: [
        { method: 'GET', perSecond: size.getsPerSecond, path: `/${service}/` },
        { method: 'POST', perSecond: size.postsPerSecond, path: `/${service}/`, body: 'x'.repeat(2_000) },
      ],
    })
    await load.more(size.getsPerSecond)
    await scaleUpTooEarly(title, world, proxy, load, findings)

    const running = [...world.origins]
    const started: Origin[] = []
    for (let round = 1; round <= size.deploys; round++) {
      for (const [index, slot] of slots.entries()) {
        const old = running[index] as Origin
        await world.consul.deregister(old.name)
        await old[stop]()
        const [successor] = (await startOrigins(scope, [`${slot}-${round}`])) as [Origin]
        await successor.behave({ delayMs })
        await world.register(successor)
        running[index] = successor
        started.push(successor)
      }
    }
    await proxy.untilEndpoints(
      service,
      running.map(({ endpoint }) => endpoint),
    )
    await load.more(size.getsPerSecond)
    const shots = await load.stop()

    const gets = shots.filter(({ method }) => method === 'GET')
    const posts = shots.filter(({ method }) => method === 'POST')
    const lost = posts.filter(failed)
    const retries = (reason: string) => proxy.metric('evenkeel_retries_total', { service, reason })
    findings.figure(`${title}: instances replaced`, started.length)
    findings.figure(`${title}: GETs failed`, `${gets.filter(failed).length} of ${gets.length}`)
    findings.figure(`${title}: POSTs failed`, `${lost.length} of ${posts.length}`)
    findings.figure(`${title}: tried elsewhere, not connected`, await retries('connect-failed'))
    findings.figure(`${title}: tried elsewhere, broken off`, await retries('broke-off'))
    const took = (share: number) =>
      percentile(
        gets.map(({ startedMs, endedMs }) => endedMs - startedMs),
        share,
      )
    findings.figure(`${title}: GETs, p50 ms`, took(0.5))
    findings.figure(`${title}: GETs, p99 ms`, took(0.99))
    findings.figure(`${title}: GETs, slowest ms`, took(1))

    findings.promise(
      `${title}: no GET fails`,
      gets.every((shot) => !failed(shot)),
      failuresOf(gets),
    )
    const served = new Set(shots.map(({ servedBy }) => servedBy))
    const idle = started.filter(({ name }) => !served.has(name)).map(({ name }) => name)
    findings.promise(`${title}: every successor served`, idle.length === 0, idle)
    const explained = await proxy.metric('evenkeel_membership_errors_total', { service })
    const answered5xx = shots.filter(({ status }) => status !== null && status >= 500).length
    findings.figure(`${title}: 5xx that a change of the catalog explains`, explained)
    findings.promise(`${title}: every 5xx is explained by a change`, explained === answered5xx, {
      explained,
      answered5xx,
      failures: failuresOf(shots),
    })
  })
}

/** As many instances again are registered, and nobody listens there yet: every request still finds one that does. */
async function scaleUpTooEarly(
  title: string,
  { consul, origins }: World,
  proxy: ProxyProcess,
  load: Load,
  findings: FindingsCollector,
): Promise<void> {
  const early = slots.map((slot, index) => ({ ID: `${slot}-early`, Address: `127.0.0.${31 + index}`, Port: 9 }))
  const before = load.shots.length
  for (const instance of early) await consul.register({ Name: service, ...instance })
  const listening = origins.map(({ endpoint }) => endpoint)
  await proxy.untilEndpoints(service, [...listening, ...early.map(({ Address, Port }) => `${Address}:${Port}`)])
  await load.more(150)
  const out = (await proxy.endpoints(service)).filter(({ inRotation }) => !inRotation)
  for (const { ID } of early) await consul.deregister(ID)
  await proxy.untilEndpoints(service, listening)
  const meanwhile = load.shots.slice(before)
  const notConnected = await proxy.metric('evenkeel_retries_total', { service, reason: 'connect-failed' })
  findings.figure(`${title}: instances that do not listen yet: refusals`, notConnected)
  findings.figure(`${title}: of them ejected after 150 requests`, out.length)
  const failures = failuresOf(meanwhile)
  findings.promise(
    `${title}: no GET and no POST fails of three that do not listen yet`,
    failures.length === 0,
    failures,
  )
}
