/** How long from a registration to the first request, and from a deregistration to the last one? */

import { setTimeout as sleep } from 'node:timers/promises'
import type { RegistryKind } from '../support/registries/registry.ts'
import { waitFor } from '../support/wait.ts'
import { clockMs, percentile } from './findings.ts'
import { failuresOf, type Shot } from './load.ts'
import type { Scope } from './scope.ts'
import { endpointOf, lossesOf, recordOf, type SourceStage, seenWithinMs, setSourceStage } from './source-stage.ts'

export interface ChangesSize {
  readonly changes: number
  readonly perSecond: number
}

export interface ChangesReport {
  /** The beginning of the registration → the first request arrives there; milliseconds, one each. */
  readonly joinMs: readonly number[]
  /** The beginning of the deregistration → the last request arrives there. */
  readonly leaveMs: readonly number[]
  /** Registering itself took so long. */
  readonly callMs: readonly number[]
  readonly requests: number
  readonly failures: readonly string[]
  /** Requests to the instance after it had been seen to get none any more. */
  readonly strays: number
  /** How often it left the table, by the proxy's log. */
  readonly departures: number
}

/** For so long no request goes there: it is out of rotation. With it in, every fourth one is its own. */
const quietSeconds = 0.5
/** Its multiples, without what is before the point, are spread evenly, however many there are. */
const goldenSection = 0.618

export async function sourceChanges(scope: Scope, kind: RegistryKind, size: ChangesSize): Promise<ChangesReport> {
  const stage = await setSourceStage(scope, kind, size.perSecond)
  const all: Change[] = []
  for (let at = 0; at < size.changes; at++) {
    all.push(await change(stage, size.perSecond * quietSeconds, (part) => sleep(restMs(kind, at * 2 + part))))
  }
  const shots = await stage.load.stop()
  const departures = () => lossesOf(stage.proxy).filter((left) => left.includes(endpointOf(stage.newcomer))).length
  await waitFor('the log tells of each departure', () => departures() >= size.changes)
  return {
    joinMs: all.map(({ joinMs }) => joinMs),
    leaveMs: all.map(({ leaveMs }) => leaveMs),
    callMs: all.map(({ callMs }) => callMs),
    requests: shots.length,
    failures: failuresOf(shots),
    strays: all.reduce((sum, { strays }) => sum + strays, 0),
    departures: departures(),
  }
}

export function complaintsOfChanges(report: ChangesReport): readonly string[] {
  const { failures, strays, requests, departures, leaveMs } = report
  return [
    ...(failures.length === 0 ? [] : [`${failures.length} of ${requests} failed: ${failures.slice(0, 4).join('; ')}`]),
    ...(strays === 0 ? [] : [`${strays} requests reached an instance that had left`]),
    ...(departures === leaveMs.length ? [] : [`it left the table ${departures} times, not ${leaveMs.length}`]),
  ]
}

export const changesHead = [
  '| registry | registered → first request, p50 | p99 | deregistered → last request, p50 | p99 | registering itself, p50 | requests failed | the floor |',
  '|---|---|---|---|---|---|---|---|',
]

export function changesRow({ name, floor }: RegistryKind, report: ChangesReport): string {
  const { joinMs, leaveMs, callMs, failures, requests } = report
  const ms = (values: readonly number[], share: number) => `${percentile(values, share).toFixed(0)} ms`
  const cells = [
    ...[name, ms(joinMs, 0.5), ms(joinMs, 0.99), ms(leaveMs, 0.5), ms(leaveMs, 0.99), ms(callMs, 0.5)],
    ...[`${failures.length} of ${requests}`, floor],
  ]
  return `| ${cells.join(' | ')} |`
}

/** How long to rest before the change of this number, so that they fall on all moments between two polls alike. */
function restMs({ pollMs }: RegistryKind, number: number): number {
  return 100 + Math.max(200, pollMs) * ((number * goldenSection) % 1)
}

interface Change {
  readonly joinMs: number
  readonly leaveMs: number
  readonly callMs: number
  readonly strays: number
}

async function change(
  { registry, newcomer, load }: SourceStage,
  quiet: number,
  rest: (part: number) => Promise<void>,
): Promise<Change> {
  const from = load.shots.length
  const toIt = () => load.shots.slice(from).filter(({ servedBy }) => servedBy === newcomer.name)
  const arrived = (shots: readonly Shot[]) => shots.map(({ arrivedMs }) => arrivedMs ?? Number.NaN)

  await rest(0)
  const joinAtMs = clockMs()
  await registry.register([recordOf(newcomer)])
  const callMs = clockMs() - joinAtMs
  await waitFor('it serves', () => toIt().length >= 5, seenWithinMs)
  const joinMs = Math.min(...arrived(toIt())) - joinAtMs

  await rest(1)
  const leaveAtMs = clockMs()
  await registry.deregister(recordOf(newcomer))
  const isQuiet = () =>
    load.shots.slice(-quiet).every(({ servedBy, startedMs }) => servedBy !== newcomer.name && startedMs > leaveAtMs)
  await waitFor('it gets nothing any more', isQuiet, seenWithinMs)
  const quietMs = clockMs()
  // Slow answers may still be on their way.
  await load.more(100)
  const earlier = toIt().filter(({ startedMs }) => startedMs <= quietMs)
  const leaveMs = Math.max(0, Math.max(...arrived(earlier)) - leaveAtMs)
  return { joinMs, leaveMs, callMs, strays: toIt().length - earlier.length }
}
