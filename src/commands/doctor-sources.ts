/** How does the doctor read each source of a config? With the source's own code, and with what that has no use for. */

import type { Config } from '../config/config.ts'
import type { SourceName } from '../config/discovery-schema.ts'
import { withoutCredentials } from '../config/problem.ts'
import { escapeGlob } from '../discovery/glob.ts'
import type { NameRules } from '../discovery/names.ts'
import { staticSource } from '../discovery/static-source.ts'
import { parseConnectString } from '../discovery/zookeeper/connect-string.ts'
import { addressKind } from '../doctor/address-kind.ts'
import { type CatalogRules, catalogFacts } from '../doctor/catalog-facts.ts'
import type { Facts, RegistryFacts, ServiceFacts } from '../doctor/facts.ts'
import { listedInstances } from '../doctor/instances.ts'
import { catalogReader, type Reader } from '../doctor/reading.ts'
import { readSource, warningsOf } from '../doctor/reading-source.ts'
import { readDns } from '../doctor/registry-dns.ts'
import { readEntries } from '../doctor/registry-etcd.ts'
import { readRegistered } from '../doctor/registry-eureka.ts'
import { fileProblems } from '../doctor/registry-file.ts'
import { readNodes } from '../doctor/registry-zookeeper.ts'
import { createLog } from '../log.ts'
import { type SourceDeps, sourceOf } from '../sources.ts'
import { readPushed } from './doctor-push.ts'

/** One source, read once. */
export type Read = Omit<Facts, 'basePath' | 'only' | 'others' | 'probes' | 'churn'> & {
  /** Of a source that has checks to be watched. */
  readonly reader: Reader | null
}

/** Those that are read through their own `CatalogSource`. */
type Followed = 'eureka' | 'etcd' | 'zookeeper' | 'swarm' | 'file'

const MAX_LOG_LINES = 2000
const quiet: Omit<Read, 'source' | 'from' | 'listed' | 'services' | 'unread'> = {
  registry: { kind: 'none' },
  strays: [],
  warnings: [],
  answers: [],
  ownNode: null,
  agentIsHere: false,
  excluded: 0,
  reader: null,
}

/**
 * Reads one source of the config. Never rejects.
 * @param only one service, whether or not the config leaves it out; null: all that are routed
 * @param connectTimeoutMs how long a connect to an instance of a service may take
 */
export async function readOne(
  source: SourceName,
  config: Config,
  only: string | null,
  connectTimeoutMs: (service: string) => number,
): Promise<Read> {
  const { discovery } = config
  const rules: CatalogRules = { source, names: namesOf(source, config), only, connectTimeoutMs }
  switch (source) {
    case 'consul': {
      const standbys = (service: string) => config.services[service]?.failover ?? []
      const reader = catalogReader({ consul: discovery.consul, rules: rules.names, only, connectTimeoutMs, standbys })
      return { ...quiet, source, ...(await reader.read()), reader }
    }
    case 'static': {
      const listed = staticServices(config, connectTimeoutMs)
      const services = listed.filter(({ name }) => only === null || name === only)
      return { ...quiet, source, from: 'the list in the config', listed: listed.length, services, unread: [] }
    }
    case 'dns': {
      const { catalog, unread, facts } = await readDns(discovery.dns, only)
      const { resolvers } = discovery.dns
      return {
        ...quiet,
        ...{ source, from: `DNS, by ${resolvers.length === 0 ? "the system's resolvers" : resolvers.join(', ')}` },
        ...catalogFacts(catalog, new Map(), rules),
        ...{ unread, listed: Object.keys(discovery.dns.services).length, registry: { kind: 'dns', ...facts } },
        // Whose loopback address a name means nobody knows.
        agentIsHere: true,
      }
    }
    case 'push': {
      const { from, catalog, unread } = await readPushed(config.admin, discovery.sources.length === 1)
      const read = catalog === null ? { listed: null, services: [] } : catalogFacts(catalog, new Map(), rules)
      return { ...quiet, source, from, ...read, unread }
    }
    case 'eureka':
    case 'etcd':
    case 'zookeeper':
    case 'swarm':
    case 'file':
      return follow(source, config, rules)
    default:
      return source satisfies never
  }
}

async function follow(source: Followed, config: Config, rules: CatalogRules): Promise<Read> {
  const lines: string[] = []
  const write = (line: string): void => void (lines.length < MAX_LOG_LINES && lines.push(line))
  const { log } = createLog({ level: 'warn', destination: { write } })
  const pushed = { source: staticSource({ services: {} }) } as SourceDeps['pushed']
  const deps = { log, pushed, traffic: () => new Map(), before: null, isServing: false }
  const places = placesOf(source, config)
  const { catalog, failures } = await readSource(() => sourceOf(unruled(source, config), deps), places.length)
  const [registry] = await Promise.all([registryOf(source, config, catalog === null)])
  const from = places.join(', ')
  const base = { ...quiet, source, from, registry, agentIsHere: places.every(isHere) }
  if (catalog === null) {
    const told = {
      message: failures.map(({ message }) => message).join('; '),
      cure: failures[0]?.cure ?? 'ask again',
    }
    // What is wrong with a file is told problem by problem.
    const isTold = registry.kind === 'file' && registry.problems.length > 0
    return { ...base, listed: null, services: [], unread: isTold ? [] : [{ what: { kind: 'list' }, failure: told }] }
  }
  const { oddities, others } = warningsOf(lines)
  const read = catalogFacts(catalog, oddities, rules)
  const servers = failures.map((failure) => ({ what: { kind: 'server' }, failure }) as const)
  return {
    ...base,
    ...read,
    unread: [...servers, ...read.unread],
    strays:
      rules.only === null ? [...oddities].flatMap(([name, each]) => (catalog.services.has(name) ? [] : each)) : [],
    warnings: others,
  }
}

/** Where it is asked: one place for each server, without credentials. */
function placesOf(source: Followed, { discovery }: Config): readonly string[] {
  switch (source) {
    case 'eureka':
      return discovery.eureka.urls.map(withoutCredentials)
    case 'etcd':
      return discovery.etcd.endpoints.map(withoutCredentials)
    case 'zookeeper': {
      const { servers = [] } = parseConnectString(discovery.zookeeper.connect) ?? {}
      return servers.map(({ address, port }) => `${address.includes(':') ? `[${address}]` : address}:${port}`)
    }
    case 'swarm':
      return [discovery.swarm.host]
    case 'file':
      return [discovery.file.path ?? 'the file that discovery.file.path does not name']
    default:
      return source satisfies never
  }
}

function isHere(place: string): boolean {
  if (place.startsWith('unix:')) return true
  const url = place.includes('://') ? place : `tcp://${place}`
  return URL.canParse(url) && addressKind(new URL(url).hostname) === 'loopback'
}

async function registryOf(source: Followed, { discovery }: Config, isUnread: boolean): Promise<RegistryFacts> {
  switch (source) {
    case 'eureka': {
      const { name, address, urls } = discovery.eureka
      return {
        kind: 'eureka',
        name,
        address,
        registered: isUnread ? null : await readRegistered(urls, discovery.eureka),
      }
    }
    case 'etcd': {
      const nothing = { path: discovery.etcd.prefix, count: null, permanent: [] }
      return { kind: 'entries', ...(isUnread ? nothing : await readEntries(discovery.etcd)) }
    }
    case 'zookeeper': {
      const nothing = { path: discovery.zookeeper.path, count: null, permanent: [] }
      return { kind: 'entries', ...(isUnread ? nothing : await readNodes(discovery.zookeeper)) }
    }
    case 'swarm':
      return { kind: 'swarm', network: discovery.swarm.network, label: discovery.swarm.label }
    case 'file': {
      const { path } = discovery.file
      return { kind: 'file', problems: isUnread && path !== null ? await fileProblems(path) : [] }
    }
    default:
      return source satisfies never
  }
}

/** Which names of it the proxy routes. */
function namesOf(source: SourceName, { discovery, register }: Config): NameRules {
  const section: object = discovery[source]
  const { include, exclude }: NameRules = { include: ['*'], exclude: [], ...section }
  // Routing to ourselves would go round in a circle.
  return { include, exclude: register.enabled ? [...exclude, escapeGlob(register.name)] : exclude }
}

/** The config with this source alone, and with all of its names: what is left out is to be seen as left out. */
function unruled(source: Followed, config: Config): Config {
  const { discovery, register } = config
  const all = { ...discovery[source], include: ['*'], exclude: [] }
  return {
    ...config,
    register: { ...register, enabled: false },
    discovery: { ...discovery, sources: [source], [source]: all },
  }
}

function staticServices(config: Config, connectTimeoutMs: (service: string) => number): readonly ServiceFacts[] {
  return Object.entries(config.discovery.static.services).map(([name, places]) => {
    const instances = listedInstances(places, connectTimeoutMs(name))
    return { name, isExcluded: false, instances, untagged: null, oddities: [], standbys: [] }
  })
}
