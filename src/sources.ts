/** Which sources of endpoints does a config name? One or several, each made of its section. */

import type { Logger } from 'pino'
import type { Catalog } from './balancer/endpoint.ts'
import type { Config } from './config/config.ts'
import type { SourceName } from './config/discovery-schema.ts'
import { consulSource } from './discovery/consul/consul-source.ts'
import { planFailover } from './discovery/consul/failover.ts'
import { failoverSource } from './discovery/consul/failover-source.ts'
import { createDnsSource } from './discovery/dns/dns-source.ts'
import { createEtcdSource } from './discovery/etcd/etcd-source.ts'
import { createEurekaSource } from './discovery/eureka/eureka-source.ts'
import { createFileSource } from './discovery/file/file-source.ts'
import { mergedSource } from './discovery/merged-source.ts'
import type { NameRules } from './discovery/names.ts'
import type { PushCatalog } from './discovery/push/push-catalog.ts'
import type { CatalogSource } from './discovery/source.ts'
import { staticSource } from './discovery/static-source.ts'
import { createSwarmSource } from './discovery/swarm/swarm-source.ts'
import { createZookeeperSource } from './discovery/zookeeper/zookeeper-source.ts'
import { excluded, nameRules } from './source-rules.ts'

export interface SourceDeps {
  readonly log: Logger
  /** Picks so far, by service: those with the most are watched the closest. */
  readonly traffic: () => ReadonlyMap<string, number>
  /** What services have said of themselves. */
  readonly pushed: PushCatalog
  /** What is routed by now, perhaps of an earlier process; null: nothing. */
  readonly before: Catalog | null
  /** Requests are served already: nobody waits for the sources. */
  readonly isServing: boolean
}

/** The sources of the config, as one. */
export function sourceOf(config: Config, deps: SourceDeps): CatalogSource {
  const sources = config.discovery.sources.map((name) => [name, made(name, config, deps)] as const)
  const { register } = config
  return mergedSource(new Map(sources), {
    ...{ now: () => performance.now(), before: deps.before },
    ...(deps.isServing ? { patienceMs: 0 } : {}),
    ...(register.enabled ? { own: register.name } : {}),
  })
}

/** What cannot be made is told like any other failure, and keeps no other source from being followed. */
function made(name: SourceName, config: Config, deps: SourceDeps): CatalogSource {
  try {
    return oneSource(name, config, deps)
  } catch (error) {
    return { watch: () => Promise.reject(error) }
  }
}

function oneSource(name: SourceName, config: Config, deps: SourceDeps): CatalogSource {
  const { discovery } = config
  const own = { log: deps.log, random: Math.random }
  const named = <T extends NameRules>(options: T): T => ({ ...options, exclude: excluded(options.exclude, config) })
  switch (name) {
    case 'consul':
      return consulSources(config, deps)
    case 'eureka':
      return createEurekaSource(named(discovery.eureka), own)
    case 'etcd':
      return createEtcdSource(named(discovery.etcd), own)
    case 'zookeeper':
      return createZookeeperSource(named(discovery.zookeeper), own)
    case 'swarm':
      return createSwarmSource(named(discovery.swarm), own)
    case 'dns':
      return createDnsSource(discovery.dns, own)
    case 'file':
      return createFileSource(named({ path: discovery.file.path ?? '', tag: null, include: ['*'], exclude: [] }), own)
    case 'push':
      return deps.pushed.source
    case 'static':
      return staticSource(discovery.static)
    default:
      return name satisfies never
  }
}

function consulSources(config: Config, { log, traffic }: SourceDeps): CatalogSource {
  const { discovery, services, routing } = config
  const consul = { ...discovery.consul, fabioTags: routing.fabioTags }
  const deps = { log, traffic, random: Math.random }
  const { exclude } = nameRules(config)
  const wanted = new Map(Object.entries(services).map(([name, { failover }]) => [name, failover]))
  const plan = planFailover(wanted, { include: consul.include, exclude }, consul.datacenter)
  if (plan.order.size === 0) return consulSource({ ...consul, exclude }, deps)

  // An agent counts connections by address, so all datacenters share what it grants.
  let left = consul.maxWatches
  const standbys = new Map<string, CatalogSource>()
  for (const [datacenter, include] of plan.include) {
    const maxWatches = Math.min(include.length, Math.floor(left / 2))
    left -= maxWatches
    standbys.set(datacenter, consulSource({ ...consul, datacenter, include, exclude: [], maxWatches }, deps))
  }
  return failoverSource(consulSource({ ...consul, exclude, maxWatches: left }, deps), standbys, plan.order)
}
