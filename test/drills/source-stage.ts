/** What does a drill of one source of endpoints start from? Its real registry, instances, and the proxy that follows it. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RegisteredInstance, Registry, RegistryKind } from '../support/registries/registry.ts'
import { type Load, startLoad } from './load.ts'
import { type Origin, startOrigins } from './origins.ts'
import { type ProxyProcess, startProxy } from './proxy-process.ts'
import { type ReadyzWatch, watchReadyz } from './readyz.ts'
import type { Scope } from './scope.ts'
import { service } from './world.ts'

type Place = Pick<Origin, 'name' | 'address' | 'port'>

export interface SourceStage {
  readonly registry: Registry
  readonly settled: readonly Place[]
  /** Not registered. */
  readonly newcomer: Place
  readonly proxy: ProxyProcess
  readonly load: Load
  readonly readyz: ReadyzWatch
  /** Waits until exactly the settled ones are in the table. */
  untilSettled(): Promise<void>
}

/** Above all that a change may take, whatever the registry. */
export const seenWithinMs = 120_000

export async function startRegistry(scope: Scope, kind: RegistryKind): Promise<Registry> {
  const registry = await kind.start()
  scope.onEnd(() => registry.close())
  return registry
}

/** Starts the program as a user of this registry would, with all else as it is by default. */
export async function startFollowing(
  scope: Scope,
  { name }: RegistryKind,
  registry: Registry,
  services: readonly string[],
): Promise<ProxyProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-sources-'))
  scope.onEnd(() => rm(folder, { recursive: true, force: true }))
  const configFile = join(folder, 'evenkeel.json')
  await writeFile(configFile, JSON.stringify({ discovery: { source: name, [name]: registry.section(services) } }))
  const proxy = await startProxy(scope, { configFile })
  await registry.onProxy?.(proxy.adminPort)
  return proxy
}

/** The instance as it is registered. */
export function recordOf({ name, address, port }: Place): RegisteredInstance {
  return { service, id: name, address, port }
}

/** As the proxy names it. */
export function endpointOf({ address, port }: Place): string {
  return `${address}:${port}`
}

/** Endpoints that have left the table, as the log tells it. */
export function lossesOf(proxy: ProxyProcess): readonly string[] {
  return proxy
    .logged('the catalog changed')
    .filter((line) => line.service === service)
    .flatMap(({ left }) => (Array.isArray(left) ? left.map(String) : []))
}

/** Starts everything: three instances that are registered, one that is not, and load on them. */
export async function setSourceStage(scope: Scope, kind: RegistryKind, perSecond: number): Promise<SourceStage> {
  const names = ['a', 'b', 'c', 'newcomer']
  const registry = await startRegistry(scope, kind)
  const instances: readonly Place[] = (await registry.startInstances?.(names)) ?? (await startOrigins(scope, names))
  const [newcomer, ...settled] = [...instances].reverse() as [Place, ...Place[]]
  await registry.register(settled.map(recordOf))
  const proxy = await startFollowing(scope, kind, registry, [service])
  const untilSettled = () => proxy.untilEndpoints(service, settled.map(endpointOf), seenWithinMs)
  await untilSettled()
  const streams = [{ method: 'GET', perSecond, path: `/${service}/` }] as const
  const load = startLoad(scope, { port: proxy.port, connections: 20, streams })
  // Code that has just begun to run is slow.
  await load.more(perSecond)
  return { registry, settled, newcomer, proxy, load, readyz: watchReadyz(scope, proxy.adminPort), untilSettled }
}
