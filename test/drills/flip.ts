/** How long does an instance still get requests once its check has failed in Consul? */

import { waitFor } from '../support/wait.ts'
import { clockMs, collectFindings, type Findings, percentile } from './findings.ts'
import { failuresOf, type Load, startLoad } from './load.ts'
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

    const fromStart: number[] = []
    const fromReturn: number[] = []
    for (let round = 0; round < flips; round++) {
      const origin = world.origins[round % names.length] as Origin
      const { startMs, returnMs, lastMs, strays } = await flipOne(world, load, origin)
      fromStart.push(Math.max(0, lastMs - startMs))
      fromReturn.push(Math.max(0, lastMs - returnMs))
      findings.promise(`flip ${round + 1}: nothing reaches it until it passes again`, strays === 0, strays)
    }
    const shots = await load.stop()
    findings.figure('flips', flips)
    for (const [title, values] of [
      ['API call → last request', fromStart],
      ["API call's return → last request", fromReturn],
    ] as const) {
      findings.figure(`${title}, p50 ms`, percentile(values, 0.5))
      findings.figure(`${title}, p99 ms`, percentile(values, 0.99))
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
  const toIt = () => load.shots.filter(({ servedBy }) => servedBy === origin.name)
  await waitFor('it gets nothing any more', () => {
    const latest = load.shots.slice(-quiet)
    return latest.every(({ servedBy, startedMs }) => servedBy !== origin.name && startedMs > startMs)
  })
  const served = toIt()
  const lastMs = Math.max(...served.map(({ arrivedMs }) => arrivedMs ?? 0))
  // Flips in real life are not a tenth of a second apart.
  await load.more(100)
  const strays = toIt().length - served.length

  await consul.setCheck(check, 'pass')
  await waitFor('it serves again', () => toIt().length >= served.length + strays + 5)
  await load.more(100)
  return { startMs, returnMs, lastMs, strays }
}
