/** Which source of endpoints does a config name? Consul with its standby datacenters, or a fixed list. */

import type { Logger } from 'pino'
import type { UnknownService } from './admin/explain.ts'
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
import { escapeGlob, matchesAny } from './discovery/glob.ts'
import { mergedSource } from './discovery/merged-source.ts'
import { isNameable, type NameRules } from './discovery/names.ts'
import type { PushCatalog } from './discovery/push/push-catalog.ts'
import type { CatalogSource } from './discovery/source.ts'
import { staticSource } from './discovery/static-source.ts'
import { createSwarmSource } from './discovery/swarm/swarm-source.ts'
import { createZookeeperSource } from './discovery/zookeeper/zookeeper-source.ts'

export interface SourceDeps {
  readonly log: Logger
  /** Picks so far, by service: those with the most are watched the closest. */
  readonly traffic: () => ReadonlyMap<string, number>
  /** What services have said of themselves. */
  readonly pushed: PushCatalog
}

/** The source of the config, or several of them as one. */
export function sourceOf(config: Config, deps: SourceDeps): CatalogSource {
  const sources = config.discovery.sources.map((name): [SourceName, CatalogSource] => [
    name,
    oneSource(name, config, deps),
  ])
  const [first, ...others] = sources
  if (first === undefined) throw new TypeError('discovery.source names no source')
  return others.length === 0 ? first[1] : mergedSource(new Map(sources), deps)
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

/** Routing to ourselves would go round in a circle. */
function excluded(exclude: readonly string[], { register }: Config): readonly string[] {
  return register.enabled ? [...exclude, escapeGlob(register.name)] : exclude
}

/** Which names of services are routed at all. */
export function nameRules(config: Config): NameRules {
  const { include, exclude } = config.discovery.consul
  return { include, exclude: excluded(exclude, config) }
}

/**
 * Why the table has no service of this name.
 * @param hasCatalog there is a catalog that might have had it
 */
export function whyUnknown(name: string, config: Config, hasCatalog: boolean): Omit<UnknownService, 'nearest'> {
  const { discovery, register } = config
  const { include, exclude } = discovery.consul
  if (!isNameable(name)) {
    return { because: 'bad-name', rule: null, text: 'a name that cannot stand in a path is not routed' }
  }
  if (discovery.sources.every((source) => source === 'static')) {
    return { because: 'not-configured', rule: null, text: 'discovery.static.services does not name it' }
  }
  const excluded = exclude.find((glob) => matchesAny([glob], name))
  if (excluded !== undefined) {
    const text = `discovery.consul.exclude leaves it out by ${JSON.stringify(excluded)}`
    return { because: 'excluded', rule: excluded, text }
  }
  if (register.enabled && name === register.name) {
    return { because: 'this-proxy', rule: name, text: 'it is this proxy itself, by register.name' }
  }
  if (!matchesAny(include, name)) {
    const rule = include.map((glob) => JSON.stringify(glob)).join(', ')
    return { because: 'not-included', rule, text: `discovery.consul.include is ${rule}, which does not match it` }
  }
  if (!hasCatalog) {
    return { because: 'no-catalog', rule: null, text: 'the proxy has no catalog yet' }
  }
  return { because: 'not-listed', rule: null, text: 'Consul does not list it, nor did it in the last ten minutes' }
}

/** What this config routes of a catalog that another config may have let in. */
export function routedPart(catalog: Catalog, config: Config): Catalog {
  const { include, exclude } = nameRules(config)
  const routed = [...catalog.services].filter(([name]) => matchesAny(include, name) && !matchesAny(exclude, name))
  return { services: new Map(routed) }
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

/** Which catalog is asked for, however it is read: when it changes, the table in use says nothing about the answers. */
export function catalogKey({ discovery, register, services }: Config): string {
  const { address, datacenter, namespace, include, exclude, tag, includeWarning } = discovery.consul
  const failover = Object.entries(services).map(([name, service]) => [name, service.failover])
  const asked = { address, datacenter, namespace, include, exclude, tag, includeWarning }
  return JSON.stringify([discovery.sources, discovery.static, asked, register.enabled ? register.name : null, failover])
}

/** What the source is made of: when it changes, another one has to be followed. */
export function sourceKey(config: Config): string {
  return JSON.stringify([config.discovery, config.routing.fabioTags, catalogKey(config)])
}
