/** What do clients notice while the registry is dead, what does `/readyz` say, and how soon is it followed again? */

import { setTimeout as sleep } from 'node:timers/promises'
import type { RegistryKind } from '../support/registries/registry.ts'
import { waitFor } from '../support/wait.ts'
import { clockMs } from './findings.ts'
import { failuresOf, type Shot } from './load.ts'
import type { ReadyzSpell } from './readyz.ts'
import type { Scope } from './scope.ts'
import { endpointOf, lossesOf, recordOf, type SourceStage, seenWithinMs, setSourceStage } from './source-stage.ts'

export interface OutageSize {
  readonly awaySeconds: number
  readonly perSecond: number
}

export interface OutageReport {
  readonly requests: number
  readonly failures: readonly string[]
  /** From the kill on, and times from then. */
  readonly readyz: readonly ReadyzSpell[]
  /** Kill → started again. */
  readonly awayMs: number
  /** Started again → it answers. */
  readonly startMs: number
  /** It answers → the first request reaches an instance that was registered then; null: the instances ended with it. */
  readonly followedMs: number | null
  /** It answers → `/readyz` says fresh for good. */
  readonly freshMs: number
  /** Endpoints that left the table though nobody had taken them out. */
  readonly lost: readonly string[]
}

export async function sourceOutage(scope: Scope, kind: RegistryKind, size: OutageSize): Promise<OutageReport> {
  const stage = await setSourceStage(scope, kind, size.perSecond)
  const { registry, newcomer, proxy, load, readyz } = stage
  await waitFor('/readyz says fresh', () => readyz.last() === 'fresh', seenWithinMs)

  const killedMs = clockMs()
  await registry.kill()
  await sleep(size.awaySeconds * 1_000)
  // With a short outage it may not have looked yet.
  await waitFor('/readyz says stale', () => readyz.last() === 'stale', seenWithinMs).catch(() => {})
  const isOver = kind.endsInstances === true
  if (isOver) await load.stop()
  const lostBefore = lossesOf(proxy)
  const backMs = clockMs()
  await registry.startAgain()
  const answersMs = clockMs()

  const followedMs = isOver ? null : (await firstOfNewcomer(stage)) - answersMs
  await waitFor('/readyz says fresh', () => readyz.last() === 'fresh', seenWithinMs)
  if (!isOver) {
    await registry.deregister(recordOf(newcomer))
    await stage.untilSettled()
  }
  const spells = readyz.stop(killedMs)
  const shots = await load.stop()
  return {
    requests: shots.length,
    failures: failuresOf(shots),
    readyz: spells,
    awayMs: backMs - killedMs,
    startMs: answersMs - backMs,
    followedMs,
    // It may be followed before it is known here to answer.
    freshMs: Math.max(0, killedMs + (spells.at(-1)?.fromMs ?? Number.NaN) - answersMs),
    lost: (isOver ? lostBefore : lossesOf(proxy)).filter((left) => !left.includes(endpointOf(newcomer))),
  }
}

/** Registers it. @returns when the first request arrived there */
async function firstOfNewcomer({ registry, newcomer, load }: SourceStage): Promise<number> {
  await registry.register([recordOf(newcomer)])
  const isFirst = (shot: Shot) => shot.servedBy === newcomer.name
  const first = await waitFor('a change is followed', () => load.shots.find(isFirst), seenWithinMs)
  return first.arrivedMs ?? Number.NaN
}

export function complaintsOfOutage({ failures, requests, readyz, awayMs, lost }: OutageReport): readonly string[] {
  const said = readyz.map(({ state }) => state)
  const during = readyz.filter(({ fromMs }) => fromMs < awayMs).map(({ state }) => state)
  return [
    ...(failures.length === 0 ? [] : [`${failures.length} of ${requests} failed: ${failures.slice(0, 4).join('; ')}`]),
    ...(during.join() === 'fresh,stale' ? [] : [`/readyz said ${during.join(', ')} while it was dead`]),
    ...(said.every((state) => state === 'fresh' || state === 'stale') ? [] : [`/readyz said ${said.join(', ')}`]),
    ...(lost.length === 0 ? [] : [`endpoints left the table: ${lost.join(', ')}`]),
  ]
}

export const outageHead = [
  '| registry | dead for | requests failed | stale after | started again → answers | then a change was followed after | and it was fresh after | endpoints lost |',
  '|---|---|---|---|---|---|---|---|',
]

export function outageRow({ name }: RegistryKind, report: OutageReport): string {
  const { requests, failures, readyz, awayMs, startMs, followedMs, freshMs, lost } = report
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`
  const stale = readyz.find(({ state }) => state === 'stale')
  const cells = [
    ...[name, seconds(awayMs), `${failures.length} of ${requests}`],
    stale === undefined ? 'never' : seconds(stale.fromMs),
    ...[seconds(startMs), followedMs === null ? '–' : seconds(followedMs), seconds(freshMs)],
    lost.length === 0 ? 'none' : `${lost.length}`,
  ]
  return `| ${cells.join(' | ')} |`
}
