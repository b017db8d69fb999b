/** How long does an instance still get requests once its check has failed in Consul? */

import { waitFor } from '../support/wait.ts'
import { clockMs, collectFindings, type Findings, percentile } from './findings.ts'
import { failuresOf, type Load, type Shot, startLoad } from './load.ts'
import type { Origin } from './origins.ts'
import { scoped } from './scope.ts'
import { checkIdOf, service, startServingWorld, type World } from './world.ts'

export interface FlipSize {
  readonly flips: number
  readonly perSecond: number
}

export const flipSmall: FlipSize = { flips: 4, perSecond: 300 }
export const flipFull: FlipSize = { flips: 50, perSecond: 500 }

const names = ['a', 'b', 'c']
/** So many requests in a row go elsewhere: the instance is out of rotation. With it in, every third one is its own. */
const quiet = 40

export function flip({ flips, perSecond }: FlipSize): Promise<Findings> {
  return scoped(async (scope) => {
    const findings = collectFindings()
    const world = await startServingWorld(scope, names)
    const proxy = await world.startProxy()
    const load = startLoad(scope, {
      port: proxy.port,
      connections: 30,
      streams: [{ method: 'GET', perSecond, path: `/${service}/` }],
    })
    await load.more(perSecond)

    const all: Awaited<ReturnType<typeof flipOne>>[] = []
    for (let round = 0; round < flips; round++) {
      const one = await flipOne(world, load, world.origins[round % names.length] as Origin)
      all.push(one)
      findings.promise(`flip ${round + 1}: nothing reaches it until it passes again`, one.strays === 0, one.strays)
    }
    const shots = await load.stop()
    findings.figure('flips', flips)
    for (const [title, values] of [
      ['the API call itself', all.map(({ apiMs }) => apiMs)],
      ['start of the API call → last request that a client sent it', all.map(({ sentMs }) => sentMs)],
      ['start of the API call → last request that arrived there', all.map(({ arrivedMs }) => arrivedMs)],
    ] as const) {
      for (const share of [50, 90, 99]) findings.figure(`${title}, p${share} ms`, percentile(values, share / 100))
    }
    findings.figure('requests failed', `${failuresOf(shots).length} of ${shots.length}`)
    findings.promise('no request fails', failuresOf(shots).length === 0, failuresOf(shots))
    return findings.done()
  })
}

async function flipOne({ consul }: World, load: Load, origin: Origin) {
  const check = checkIdOf(origin)
  const startMs = clockMs()
  await consul.setCheck(check, 'fail')
  const returnMs = clockMs()
  await waitFor('it gets nothing any more', () => {
    const latest = load.shots.slice(-quiet)
    return latest.every(({ servedBy, startedMs }) => servedBy !== origin.name && startedMs > startMs)
  })
  const quietMs = clockMs()
  const toIt = () => load.shots.filter(({ servedBy }) => servedBy === origin.name)
  // Slow answers may still be on their way; and flips in real life are not a tenth of a second apart.
  await load.more(100)
  const earlier = toIt().filter(({ startedMs }) => startedMs <= quietMs)
  const strays = toIt().length - earlier.length
  const last = (when: (shot: Shot) => number | null) => Math.max(...earlier.map((shot) => when(shot) ?? 0))

  const passMs = clockMs()
  await consul.setCheck(check, 'pass')
  await waitFor('it serves again', () => toIt().filter(({ startedMs }) => startedMs > passMs).length >= 5)
  await load.more(100)
  return {
    strays,
    apiMs: returnMs - startMs,
    sentMs: Math.max(0, last(({ startedMs }) => startedMs) - startMs),
    arrivedMs: Math.max(0, last(({ arrivedMs }) => arrivedMs) - startMs),
  }
}
