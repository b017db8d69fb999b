/** What do very many services cost, and how soon is the table full of them? Nobody sends a request. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { RegisteredInstance, RegistryKind } from '../support/registries/registry.ts'
import { clockMs } from './findings.ts'
import type { Scope } from './scope.ts'
import { startFollowing, startRegistry } from './source-stage.ts'

export interface ManySize {
  readonly services: number
  /** How long nothing changes, to see what that costs. */
  readonly idleSeconds: number
}

export interface ManyReport {
  readonly services: number
  /** That are in the table. */
  readonly listed: number
  /** In rotation or not. */
  readonly known: number
  /** To write all of them to the registry; null: the program was there by then, and that is when they are read. */
  readonly writtenMs: number | null
  /** The start of the program → the table is full and the data port open. */
  readonly fullMs: number
  /** Of that, from the admin listener's opening on. */
  readonly readMs: number
  readonly memoryBytes: number
  readonly peakBytes: number
  /** Share of a core while nothing changes, 0–1. */
  readonly idleShare: number
}

/** As `/api/services` has it. */
interface Listed {
  readonly endpoints: { readonly total: number }
  readonly absent: number
}

const instances = 3
const lowestPort = 7_000

export async function sourceSize(scope: Scope, kind: RegistryKind, size: ManySize): Promise<ManyReport> {
  const registry = await startRegistry(scope, kind)
  const { names, records } = many(size.services)
  const writeMs = clockMs()
  await registry.register(records)
  const writtenMs = registry.onProxy === undefined ? clockMs() - writeMs : null
  await registry.untilTold?.()

  const startMs = Date.now()
  const proxy = await startFollowing(scope, kind, registry, names)
  const opened = (msg: string) => Date.parse(String(proxy.logged(msg)[0]?.time))
  // What needs the proxy to be written to is full only now.
  const fullMs = registry.onProxy === undefined ? opened('the data port is open') : Date.now()
  const listed: readonly Listed[] = JSON.parse((await proxy.admin('/api/services')).text)
  const known = listed.reduce((sum, { endpoints, absent }) => sum + endpoints.total + absent, 0)

  // What the start has put off is done by then.
  await sleep(Math.min(5, size.idleSeconds) * 1_000)
  const before = await proxy.cpuSeconds()
  const idleMs = clockMs()
  await sleep(size.idleSeconds * 1_000)
  const idleShare = ((await proxy.cpuSeconds()) - before) / ((clockMs() - idleMs) / 1_000)
  const memory = await proxy.memory()
  return {
    services: size.services,
    listed: listed.length,
    known,
    writtenMs,
    fullMs: fullMs - startMs,
    readMs: fullMs - opened('the admin listener is open'),
    memoryBytes: memory.nowBytes,
    peakBytes: memory.peakBytes,
    idleShare,
  }
}

export function complaintsOfSize({ services, listed, known }: ManyReport): readonly string[] {
  return [
    ...(listed === services ? [] : [`${listed} of ${services} services were in the first table`]),
    ...(known === services * instances ? [] : [`${known} of ${services * instances} instances were in it`]),
  ]
}

export const sizeHead = [
  '| registry | services × instances | program started → table full | of that, reading | memory | at its highest | processor time while nothing changes | writing them all |',
  '|---|---|---|---|---|---|---|---|',
]

export function sizeRow({ name }: RegistryKind, report: ManyReport): string {
  const { services, fullMs, readMs, memoryBytes, peakBytes, idleShare, writtenMs } = report
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(2)} s`
  const mib = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(0)} MiB`
  const cells = [
    ...[name, `${services} × ${instances}`, seconds(fullMs), seconds(readMs), mib(memoryBytes), mib(peakBytes)],
    ...[`${(idleShare * 100).toFixed(1)} % of a core`, writtenMs === null ? '–' : seconds(writtenMs)],
  ]
  return `| ${cells.join(' | ')} |`
}

/** On loopback addresses of which a service has three; nobody listens there. */
function many(services: number): { readonly names: readonly string[]; readonly records: RegisteredInstance[] } {
  const names = Array.from({ length: services }, (_, at) => `s${String(at).padStart(4, '0')}`)
  const records = names.flatMap((service, number) =>
    Array.from({ length: instances }, (_, at) => {
      const address = `127.${2 + at}.${number >> 8}.${number & 255}`
      return { service, id: `${at + 1}`, address, port: lowestPort + at }
    }),
  )
  return { names, records }
}
