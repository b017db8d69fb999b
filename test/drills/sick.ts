/**
 * What becomes of an instance that answers, but with 500 to everything? It is ejected after five of them, probed once
 * when its time is up, and ejected for longer each time until it has healed; the others share its requests equally. When
 * all of them answer so, it is not an instance that is sick, and all stay.
 */

import { waitFor } from '../support/wait.ts'
import { collectFindings, type Findings, type FindingsCollector, spread, tally, tallyText } from './findings.ts'
import { failed, type Shot, startLoad } from './load.ts'
import type { Origin } from './origins.ts'
import { scoped } from './scope.ts'
import { byName, service, startServingWorld } from './world.ts'

export interface SickSize {
  readonly baseEjectionMs: number
  readonly perSecond: number
}

export const sickSmall: SickSize = { baseEjectionMs: 800, perSecond: 200 }
export const sickFull: SickSize = { baseEjectionMs: 30_000, perSecond: 200 }

const names = ['a', 'b', 'c']

export async function sick(size: SickSize): Promise<Findings> {
  const findings = collectFindings()
  await oneIsSick(size, findings)
  await allAreSick(size, findings)
  return findings.done()
}

function oneIsSick({ baseEjectionMs, perSecond }: SickSize, findings: FindingsCollector): Promise<void> {
  return scoped(async (scope) => {
    const world = await startServingWorld(scope, names)
    const proxy = await world.startProxy([`outlier.baseEjectionTime=${baseEjectionMs}ms`])
    // One request after another, so that "after exactly five" means something.
    const load = startLoad(scope, {
      port: proxy.port,
      connections: 1,
      streams: [{ method: 'GET', perSecond, path: `/${service}/` }],
    })
    await load.more(60)
    const patient = byName(world.origins, 'b') as Origin
    await patient.behave({ status: 500 })

    const faults = () => load.shots.filter(failed)
    const deadlineMs = 4 * baseEjectionMs + 20_000
    await waitFor('its first probe fails', () => faults().length === 6, deadlineMs)
    await patient.behave({ status: 200 })
    const restored = () => proxy.logged('an endpoint is back in rotation').length > 0
    await waitFor('a probe brings it back', restored, deadlineMs)
    await load.more(90)
    const shots = await load.stop()

    const [first = [], probe = [], healed = []] = stretches(shots, patient.name)
    findings.figure('answers until it was ejected', first.length)
    findings.promise('ejected after exactly 5 bad answers', badOnes(first) === 5, badOnes(first))
    findings.promise('then one probe', probe.length === 1 && badOnes(probe) === 1, probe.length)
    findings.promise(
      'back in rotation once a probe went well',
      badOnes(healed) === 0 && healed.length > 20,
      healed.length,
    )
    findings.promise('nothing else fails', faults().length === 6, faults().length)

    const gapMs = (from: readonly Shot[], to: readonly Shot[]) => arrival(to.at(0)) - arrival(from.at(-1))
    findings.figure('first ejection, ms', gapMs(first, probe))
    findings.figure('second ejection, ms', gapMs(probe, healed))
    findings.promise('no probe before its time', gapMs(first, probe) >= baseEjectionMs - 1, gapMs(first, probe))
    findings.promise(
      'twice as long after a bad probe',
      gapMs(probe, healed) >= 2 * baseEjectionMs - 1,
      gapMs(probe, healed),
    )
    const ejections = proxy.logged('an endpoint was ejected').map(({ reason, forMs }) => `${reason} ${forMs}`)
    const expected = [`consecutive-faults ${baseEjectionMs}`, `probe-failed ${2 * baseEjectionMs}`]
    findings.promise('the log tells both ejections', ejections.join() === expected.join(), ejections)

    const meanwhile = between(shots, first.at(-1), healed.at(0)).filter(({ servedBy }) => servedBy !== patient.name)
    const shares = tally(meanwhile.map(({ servedBy }) => servedBy ?? 'nobody'))
    findings.figure("neighbours' shares meanwhile", tallyText(shares))
    findings.promise("the neighbours' shares are equal meanwhile", spread(shares, ['a', 'c']) <= 1, tallyText(shares))
    const later = tally(shots.slice(-60).map(({ servedBy }) => servedBy ?? 'nobody'))
    findings.promise('all shares are equal afterwards', spread(later, names) <= 1, tallyText(later))
  })
}

function allAreSick({ baseEjectionMs, perSecond }: SickSize, findings: FindingsCollector): Promise<void> {
  return scoped(async (scope) => {
    const world = await startServingWorld(scope, names)
    const proxy = await world.startProxy([`outlier.baseEjectionTime=${baseEjectionMs}ms`])
    for (const origin of world.origins) await origin.behave({ status: 500 })
    const load = startLoad(scope, {
      port: proxy.port,
      connections: 20,
      streams: [{ method: 'GET', perSecond, path: `/${service}/` }],
      total: 3 * perSecond,
    })
    const shares = tally((await load.finished).map(({ servedBy }) => servedBy ?? 'nobody'))
    const withheld = await proxy.metric('evenkeel_ejections_withheld_total', { service, reason: 'correlated' })
    findings.figure('all sick: shares', tallyText(shares))
    findings.figure('all sick: ejections withheld', withheld)
    const ejected = await proxy.metric('evenkeel_ejections_total', { service })
    findings.promise('all sick: nobody is ejected', ejected === 0, ejected)
    findings.promise('all sick: it is said that ejections were due', withheld > 0, withheld)
    findings.promise('all sick: shares are equal', spread(shares, names) <= 1, tallyText(shares))
  })
}

/**
 * One instance's answers from its first bad one on, cut where it was left out: where more went to the others in between
 * than go in two turns.
 */
function stretches(shots: readonly Shot[], name: string): Shot[][] {
  const parts: Shot[][] = []
  let elsewhere = Number.POSITIVE_INFINITY
  for (const shot of shots.slice(shots.findIndex(failed))) {
    if (shot.servedBy !== name) {
      elsewhere++
      continue
    }
    if (elsewhere > 2 * (names.length - 1)) parts.push([])
    parts.at(-1)?.push(shot)
    elsewhere = 0
  }
  return parts
}

function between(shots: readonly Shot[], after: Shot | undefined, before: Shot | undefined): readonly Shot[] {
  return shots.filter((shot) => arrival(shot) > arrival(after) && arrival(shot) < arrival(before))
}

function arrival(shot: Shot | undefined): number {
  return shot?.arrivedMs ?? Number.NaN
}

function badOnes(shots: readonly Shot[]): number {
  return shots.filter(failed).length
}
