/** Which source of endpoints does a config name? Consul with its standby datacenters, or a fixed list. */

import type { Logger } from 'pino'
import type { UnknownService } from './admin/explain.ts'
import type { Catalog } from './balancer/endpoint.ts'
import type { Config } from './config/config.ts'
import { consulSource } from './discovery/consul/consul-source.ts'
import { planFailover } from './discovery/consul/failover.ts'
import { failoverSource } from './discovery/consul/failover-source.ts'
import { escapeGlob, matchesAny } from './discovery/glob.ts'
import { isNameable, type NameRules } from './discovery/names.ts'
import type { CatalogSource } from './discovery/source.ts'
import { staticSource } from './discovery/static-source.ts'

export interface SourceDeps {
  readonly log: Logger
  /** Picks so far, by service: those with the most are watched the closest. */
  readonly traffic: () => ReadonlyMap<string, number>
}

export function sourceOf(config: Config, deps: SourceDeps): CatalogSource {
  const { discovery } = config
  switch (discovery.source) {
    case 'consul':
      return consulSources(config, deps)
    case 'static':
      return staticSource(discovery.static)
    default:
      return discovery.source satisfies never
  }
}

/** Which names of services are routed at all. */
export function nameRules({ discovery: { consul }, register }: Config): NameRules {
  // Routing to ourselves would go round in a circle.
  const exclude = register.enabled ? [...consul.exclude, escapeGlob(register.name)] : consul.exclude
  return { include: consul.include, exclude }
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
  if (discovery.source === 'static') {
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
  const { discovery, services } = config
  const { consul } = discovery
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
  return JSON.stringify([discovery.source, discovery.static, asked, register.enabled ? register.name : null, failover])
}

/** What the source is made of: when it changes, another one has to be followed. */
export function sourceKey(config: Config): string {
  return JSON.stringify([config.discovery, catalogKey(config)])
}
