/** Which names does each source of a config let in, and what else of the config decides what a catalog is? */

import type { UnknownService } from './admin/explain.ts'
import type { AbsentInstance, Catalog, CatalogService, Endpoint } from './balancer/endpoint.ts'
import type { Config } from './config/config.ts'
import type { SourceName } from './config/discovery-schema.ts'
import { escapeGlob, matchesAny } from './discovery/glob.ts'
import { isNameable, type NameRules } from './discovery/names.ts'

/** What a source makes of a name: it is let in, or the setting that keeps it out. */
type Rule = { readonly kind: 'in' } | ({ readonly kind: 'out' } & Omit<UnknownService, 'nearest'>)

/** What is left out: what the config says, and this proxy itself, for routing to it would go round in a circle. */
export function excluded(exclude: readonly string[], { register }: Config): readonly string[] {
  return register.enabled ? [...exclude, escapeGlob(register.name)] : exclude
}

/** Which names of services Consul is asked for. */
export function nameRules(config: Config): NameRules {
  const { include, exclude } = config.discovery.consul
  return { include, exclude: excluded(exclude, config) }
}

function ruleOf(source: SourceName, name: string, { discovery }: Config): Rule {
  switch (source) {
    case 'consul':
    case 'eureka':
    case 'etcd':
    case 'zookeeper':
    case 'swarm':
      return globRule(`discovery.${source}`, name, discovery[source])
    case 'dns':
    case 'static':
      return Object.hasOwn(discovery[source].services, name)
        ? { kind: 'in' }
        : notConfigured(`discovery.${source}.services`)
    case 'file':
    case 'push':
      return { kind: 'in' }
    default:
      return source satisfies never
  }
}

function globRule(section: string, name: string, { include, exclude }: NameRules): Rule {
  const by = exclude.find((glob) => matchesAny([glob], name))
  if (by !== undefined) {
    const text = `${section}.exclude leaves it out by ${JSON.stringify(by)}`
    return { kind: 'out', because: 'excluded', rule: by, text }
  }
  if (matchesAny(include, name)) return { kind: 'in' }
  const rule = include.map((glob) => JSON.stringify(glob)).join(', ')
  return {
    ...{ kind: 'out', because: 'not-included', rule },
    text: `${section}.include is ${rule}, which does not match it`,
  }
}

function notConfigured(section: string): Rule {
  return { kind: 'out', because: 'not-configured', rule: null, text: `${section} does not name it` }
}

const shown: Readonly<Record<SourceName, string>> = {
  consul: 'Consul',
  eureka: 'Eureka',
  etcd: 'etcd',
  zookeeper: 'ZooKeeper',
  swarm: 'Docker',
  dns: 'DNS',
  file: 'the file',
  push: 'what was pushed',
  static: 'the config',
}

/**
 * Why the table has no service of this name.
 * @param hasCatalog there is a catalog that might have had it
 */
export function whyUnknown(name: string, config: Config, hasCatalog: boolean): Omit<UnknownService, 'nearest'> {
  const { discovery, register } = config
  if (!isNameable(name)) {
    return { because: 'bad-name', rule: null, text: 'a name that cannot stand in a path is not routed' }
  }
  const rules = discovery.sources.map((source) => ruleOf(source, name, config))
  const outs = rules.flatMap((rule) => (rule.kind === 'out' ? [rule] : []))
  const [first] = outs
  if (first !== undefined && outs.length === rules.length) {
    const { because, rule } = first
    return { because, rule, text: outs.map(({ text }) => text).join('; ') }
  }
  if (register.enabled && name === register.name) {
    return { because: 'this-proxy', rule: name, text: 'it is this proxy itself, by register.name' }
  }
  if (!hasCatalog) return { because: 'no-catalog', rule: null, text: 'the proxy has no catalog yet' }
  const asked = discovery.sources.filter((_, at) => rules[at]?.kind === 'in').map((source) => shown[source])
  const others = outs.map(({ text }) => `; ${text}`).join('')
  return {
    because: 'not-listed',
    rule: null,
    text: `${listed(asked)} not list it, nor did ${asked.length === 1 ? 'it' : 'they'} in the last ten minutes${others}`,
  }
}

function listed(names: readonly string[]): string {
  return names.length === 1 ? `${names[0]} does` : `${names.slice(0, -1).join(', ')} and ${names.at(-1)} do`
}

/**
 * What this config routes of a catalog that another config may have let in: what comes from one of its sources, and by a
 * name that this one lets in; other sources are not named any more. What names no source may be anybody's.
 */
export function routedPart(catalog: Catalog, config: Config): Catalog {
  const { sources } = config.discovery
  const isOwn = config.register.enabled ? (name: string) => name === config.register.name : () => false
  const services = new Map<string, CatalogService>()
  for (const [name, { endpoints, absent }] of catalog.services) {
    const lets: readonly string[] = isOwn(name)
      ? []
      : sources.filter((source) => ruleOf(source, name, config).kind === 'in')
    if (lets.length === 0) continue
    const routed = <T extends Endpoint | AbsentInstance>(each: T): readonly T[] => {
      if (each.sources === undefined) return [each]
      const left = each.sources.filter((source) => lets.includes(source))
      return left.length === 0 ? [] : [left.length === each.sources.length ? each : { ...each, sources: left }]
    }
    const service = { endpoints: endpoints.flatMap(routed), absent: absent.flatMap(routed) }
    const wasEmpty = endpoints.length + absent.length === 0
    if (wasEmpty || service.endpoints.length + service.absent.length > 0) services.set(name, service)
  }
  return { services }
}

/** Which catalog is asked of a source, however it is read. */
function catalogKeyOf(source: SourceName, { discovery, services }: Config): string {
  const { consul, eureka, etcd, zookeeper, swarm, dns, file } = discovery
  const failover = Object.entries(services).map(([name, service]) => [name, service.failover])
  const asked: Readonly<Record<SourceName, () => unknown>> = {
    consul: () => {
      const { address, datacenter, namespace, include, exclude, tag, includeWarning } = consul
      return [{ address, datacenter, namespace, include, exclude, tag, includeWarning }, failover]
    },
    eureka: () => {
      const { urls, name, address, securePort, include, exclude } = eureka
      return { urls, name, address, securePort, include, exclude }
    },
    etcd: () => {
      const { endpoints, prefix, tag, include, exclude } = etcd
      return { endpoints, prefix, tag, include, exclude }
    },
    zookeeper: () => {
      const { connect, path, include, exclude } = zookeeper
      return { connect, path, include, exclude }
    },
    swarm: () => {
      const { host, network, label, include, exclude } = swarm
      return { host, network, label, include, exclude }
    },
    dns: () => dns.services,
    file: () => file.path,
    push: () => null,
    static: () => discovery.static,
  }
  return JSON.stringify(asked[source]())
}

/**
 * The sources of `config` of which it asks another catalog than `before` did: the table in use says nothing about their
 * answers.
 */
export function askedAnew(before: Config, config: Config): readonly SourceName[] {
  const former = before.discovery.sources
  return config.discovery.sources.filter(
    (source) => !former.includes(source) || catalogKeyOf(source, before) !== catalogKeyOf(source, config),
  )
}

/** What the sources are made of: when it changes, they have to be followed anew. */
export function sourceKey(config: Config): string {
  const { push, snapshot, ...read } = config.discovery
  const { register, routing } = config
  const own = register.enabled ? register.name : null
  return JSON.stringify([read, routing.fabioTags, own, read.sources.map((source) => catalogKeyOf(source, config))])
}

/** Which catalog a snapshot is of, in words that differ where catalogs do; null: only its endpoints say so. */
export function catalogName({ discovery: { sources, consul } }: Config): string | null {
  if (!sources.includes('consul')) return null
  return `datacenter ${consul.datacenter ?? '(of the agent)'}, namespace ${consul.namespace ?? '(default)'}`
}
