/**
 * What do clients notice when an instance is killed outright? Nothing, but for requests that must not be sent twice and
 * whose bytes the dead instance already had. Consul does not know for a while: the proxy must find out by itself.
 */

import { waitFor } from '../support/wait.ts'
import { clockMs, collectFindings, type Findings, type FindingsCollector, percentile } from './findings.ts'
import { failed, failuresOf, type Shot, startLoad } from './load.ts'
import type { Origin } from './origins.ts'
import { scoped } from './scope.ts'
import { checkIdOf, service, startServingWorld } from './world.ts'

export interface KillSize {
  readonly getsPerSecond: number
  readonly postsPerSecond: number
  /** Requests before the kill, between it and Consul's knowing, and after that. */
  readonly requests: { readonly before: number; readonly unknown: number; readonly after: number }
  readonly variants: readonly Variant[]
}

interface Variant {
  readonly keepAlive: boolean
  /** How long an instance works on a request: few are under way when it dies, or many. */
  readonly delayMs: number
}

export const killSmall: KillSize = {
  getsPerSecond: 300,
  postsPerSecond: 100,
  requests: { before: 300, unknown: 500, after: 200 },
  variants: [
    { keepAlive: false, delayMs: 100 },
    { keepAlive: true, delayMs: 10 },
  ],
}
export const killFull: KillSize = {
  getsPerSecond: 300,
  postsPerSecond: 100,
  requests: { before: 1_200, unknown: 2_400, after: 800 },
  variants: [false, true].flatMap((keepAlive) => [2, 10, 100].map((delayMs) => ({ keepAlive, delayMs }))),
}

const names = ['a', 'b', 'c']
const body = 'x'.repeat(2_000)

export async function kill(size: KillSize): Promise<Findings> {
  const findings = collectFindings()
  for (const variant of size.variants) await killOne(size, variant, findings)
  return findings.done()
}

function killOne(size: KillSize, { keepAlive, delayMs }: Variant, findings: FindingsCollector): Promise<void> {
  const title = `${delayMs} ms of work${keepAlive ? ', keep-alive' : ''}`
  return scoped(async (scope) => {
    const world = await startServingWorld(scope, names)
    const proxy = await world.startProxy([`upstream.keepAlive=${keepAlive}`, 'outlier.baseEjectionTime=1s'])
    for (const origin of world.origins) await origin.behave({ delayMs })
    const load = startLoad(scope, {
      port: proxy.port,
      connections: 60,
      streams: [
        { method: 'GET', perSecond: size.getsPerSecond, path: `/${service}/` },
        { method: 'POST', perSecond: size.postsPerSecond, path: `/${service}/`, body },
      ],
    })
    await load.more(size.requests.before)

    const victim = world.origins[1] as Origin
    const killMs = clockMs()
    await victim.kill()
    const goneMs = clockMs()
    await load.more(size.requests.unknown)
    const stillListed = (await world.consul.get(`/v1/health/service/${service}?passing`)).body as unknown[]
    findings.promise(`${title}: Consul does not know yet`, stillListed.length === names.length, stillListed.length)

    await world.consul.setCheck(checkIdOf(victim), 'fail')
    await waitFor('the table follows', async () => (await proxy.endpoints(service)).length === names.length - 1)
    await load.more(size.requests.after)
    judge(title, await load.stop(), { victim, killMs, goneMs }, await victim.unanswered(), findings)
    findings.figure(`${title}: retried`, await proxy.metric('evenkeel_retries_total', { service }))
  })
}

function judge(
  title: string,
  shots: readonly Shot[],
  death: { readonly victim: Origin; readonly killMs: number; readonly goneMs: number },
  unanswered: readonly string[],
  findings: FindingsCollector,
): void {
  const gets = shots.filter(({ method }) => method === 'GET')
  const posts = shots.filter(({ method }) => method === 'POST')
  const hadIt = unanswered.filter((id) => id.startsWith('POST'))
  const failedPosts = posts.filter(failed)
  findings.figure(`${title}: GETs failed`, `${gets.filter(failed).length} of ${gets.length}`)
  findings.figure(`${title}: POSTs failed`, `${failedPosts.length} of ${posts.length}`)
  findings.figure(`${title}: of them the dead instance was working on`, hadIt.length)
  const afterwards = gets.filter(({ startedMs }) => startedMs >= death.killMs && startedMs < death.goneMs + 1_000)
  const took = afterwards.map((shot) => shot.endedMs - shot.startedMs)
  findings.figure(`${title}: slowest GET in the second after, ms`, percentile(took, 1))

  findings.promise(
    `${title}: no GET fails`,
    gets.every((shot) => !failed(shot)),
    failuresOf(gets),
  )
  const hop = `next-hop="${death.victim.endpoint}"`
  const excused = (shot: Shot) =>
    hadIt.includes(shot.id) ||
    // Its bytes were on the dead instance's socket, and it had not yet come to read them.
    (shot.startedMs <= death.goneMs &&
      shot.proxyStatus?.includes('connection_terminated') &&
      shot.proxyStatus.includes(hop))
  findings.promise(
    `${title}: only POSTs fail whose bytes the dead instance had`,
    failedPosts.every(excused),
    failuresOf(failedPosts.filter((shot) => !excused(shot))),
  )
}
