/** What if Consul is away when the proxy starts: without a snapshot, and with one? */

import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../support/consul.ts'
import { emptyCatalog } from '../support/fault-answers.ts'
import { waitFor } from '../support/wait.ts'
import {
  type FaultReport,
  type FaultSize,
  finish,
  loadOn,
  type SharedWorld,
  setStage,
  startEvenkeel,
  untilSettled,
} from './consul-fault-run.ts'
import { clockMs } from './findings.ts'
import { wasRefused } from './load.ts'
import { watchReadyz } from './readyz.ts'
import type { Scope } from './scope.ts'

export interface ColdStart {
  /** What clients saw while Consul was away. */
  readonly clientsBefore: string
  /** True: none of those requests got further than the closed port. */
  readonly isClosed: boolean
  readonly report: FaultReport
}

/** What a proxy with a snapshot must come to say while Consul is away. */
export const staleAtStart = { says: { small: 'stale', full: 'stale' } } as const

/** How long Consul is away after the start; above all that may take before it is first asked. */
const awaySeconds = { small: 1, full: 10 } as const
/** Less than an empty answer is held for. */
const emptySeconds = 3

/** There is no table to serve from: the data port stays shut, and `/readyz` says why. */
export async function downAtStart(
  scope: Scope,
  shared: SharedWorld,
  service: string,
  size: FaultSize,
): Promise<ColdStart> {
  const stage = await setStage(scope, shared, service, size)
  await stage.way.set({ kind: 'refuse' })
  const ports = { port: await freePort(), adminPort: await freePort() }
  const set = [`listen.port=${ports.port}`, `admin.port=${ports.adminPort}`]
  const beginMs = clockMs()
  const starting = startEvenkeel(scope, stage, stage.way.url, set)
  starting.catch(() => {})

  const readyz = watchReadyz(scope, ports.adminPort)
  await waitFor('/readyz says starting', () => readyz.last() === 'starting', 20_000)
  const early = loadOn(scope, stage, ports)
  await early.more(size.perSecond * awaySeconds[size.name])
  const before = await early.stop()

  await stage.way.set({ kind: 'pass' })
  const proxy = await starting
  await untilSettled(proxy, stage)
  const load = loadOn(scope, stage, proxy)
  await load.more(size.perSecond / 2)
  const title = 'down at the start, without a snapshot'
  const { readyz: said, ...report } = await finish(stage, shared.newcomer, proxy, load, readyz, { title, beginMs })
  const refused = before.filter(wasRefused).length
  return {
    clientsBefore: `${refused} of ${before.length} refused`,
    isClosed: refused === before.length,
    // Until the program runs there is nobody to say anything.
    report: { ...report, readyz: said.filter(({ state }) => state !== 'unreachable') },
  }
}

/**
 * A second proxy starts with what the first one knew.
 * @param comesBack `empty`: Consul answers with success that there is nothing, before it has its data again
 */
export async function downAtStartWithSnapshot(
  scope: Scope,
  shared: SharedWorld,
  service: string,
  size: FaultSize,
  comesBack: 'as it was' | 'empty',
): Promise<FaultReport> {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-snapshot-'))
  scope.onEnd(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'catalog.json')
  const set = [`discovery.snapshot=${path}`]
  const stage = await setStage(scope, shared, service, size)

  const first = await startEvenkeel(scope, stage, stage.way.url, set)
  await untilSettled(first, stage)
  const isWritten = () =>
    stat(path).then(
      (file) => file.size > 0,
      () => false,
    )
  await waitFor('the snapshot is written', isWritten)
  first.signal('SIGTERM')
  await first.exited

  await stage.way.set({ kind: 'refuse' })
  const beginMs = clockMs()
  const proxy = await startEvenkeel(scope, stage, stage.way.url, set)
  const readyz = watchReadyz(scope, proxy.adminPort)
  const load = loadOn(scope, stage, proxy)
  await waitFor('/readyz says stale', () => readyz.last() === 'stale')
  await load.more(size.perSecond * awaySeconds[size.name])
  if (comesBack === 'empty') {
    await stage.way.set({ kind: 'replace', answer: emptyCatalog('lower index') })
    await waitFor('it is told that there is nothing', () => stage.way.replaced.length > 0)
    await load.more(size.perSecond * emptySeconds)
  }
  await stage.way.set({ kind: 'pass' })
  const title = `down at the start, with a snapshot${comesBack === 'empty' ? '; empty for 3 s when it comes back' : ''}`
  return finish(stage, shared.newcomer, proxy, load, readyz, { title, beginMs })
}
