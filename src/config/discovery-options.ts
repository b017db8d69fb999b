/** How do the names below `discovery` become the options of the sources, and back? */

import type { ConsulOptions } from '../discovery/consul/consul-source.ts'
import type { DnsOptions } from '../discovery/dns/dns-source.ts'
import type { EtcdOptions } from '../discovery/etcd/etcd-source.ts'
import type { EurekaOptions } from '../discovery/eureka/eureka-source.ts'
import type { PushOptions } from '../discovery/push/push-catalog.ts'
import type { StaticOptions } from '../discovery/static-source.ts'
import type { SwarmOptions } from '../discovery/swarm/swarm-source.ts'
import type { ZookeeperOptions } from '../discovery/zookeeper/zookeeper-source.ts'
import type { SourceName } from './discovery-schema.ts'
import { withoutCredentials } from './problem.ts'
import type { FileConfig } from './schema.ts'
import { byName } from './tables.ts'
import { formatDuration } from './units.ts'

export interface DiscoveryOptions {
  /** One or more; the first one's word on an endpoint that several have counts. */
  readonly sources: readonly SourceName[]
  /** Path of the file that keeps the last good catalog; null: none is kept. */
  readonly snapshot: string | null
  readonly consul: ConsulOptions
  readonly eureka: EurekaOptions
  readonly etcd: EtcdOptions
  readonly zookeeper: ZookeeperOptions
  readonly swarm: SwarmOptions
  readonly dns: DnsOptions
  /** Null: no file is named. */
  readonly file: { readonly path: string | null }
  readonly push: PushOptions
  readonly static: StaticOptions
}

/** The sections with files of TLS. */
export const tlsSections = ['consul', 'eureka', 'etcd', 'swarm'] as const

/** What the files hold that a section's `tls` names. */
export interface ReadTls {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
}

/** What was read, or worked out, of the paths below `discovery`. */
export interface ReadPaths {
  readonly tls: Readonly<Record<(typeof tlsSections)[number], ReadTls>>
  readonly snapshot: string | null
  readonly file: string | null
}

type DnsServiceText = FileConfig['discovery']['dns']['services'][string]

export function toDiscovery(file: FileConfig['discovery'], read: ReadPaths): DiscoveryOptions {
  const { interval, ...eureka } = file.eureka
  const { sessionTimeout, ...zookeeper } = file.zookeeper
  const { minInterval, maxInterval, resolvers } = file.dns
  const { maxInstances, maxTtl } = file.push
  return {
    sources: file.source,
    snapshot: read.snapshot,
    consul: { ...file.consul, tls: read.tls.consul },
    eureka: { ...eureka, intervalMs: interval, tls: read.tls.eureka },
    etcd: { ...file.etcd, tls: read.tls.etcd },
    zookeeper: { ...zookeeper, sessionTimeoutMs: sessionTimeout },
    swarm: { ...file.swarm, tls: read.tls.swarm },
    dns: {
      services: byName(file.dns.services, toDnsName),
      resolvers,
      minIntervalMs: minInterval,
      maxIntervalMs: maxInterval,
    },
    file: { path: read.file },
    push: { maxInstances, maxTtlMs: maxTtl },
    static: { services: byName(file.static.services, (endpoints) => endpoints) },
  }
}

function toDnsName(given: DnsServiceText): DnsOptions['services'][string] {
  if ('srv' in given) return { kind: 'srv', name: given.srv }
  if ('a' in given) return { kind: 'a', name: given.a, port: given.port }
  return { kind: 'aaaa', name: given.aaaa, port: given.port }
}

/** As the file would say it, for people; what is secret is `***`. */
export function redactedDiscovery(discovery: DiscoveryOptions): Record<string, unknown> {
  const { sources, consul, eureka, etcd, zookeeper, swarm, dns, file, push } = discovery
  const { intervalMs, ...ofEureka } = eureka
  const { sessionTimeoutMs, ...ofZookeeper } = zookeeper
  return {
    source: sources.length === 1 ? sources[0] : sources,
    snapshot: discovery.snapshot,
    consul: {
      ...consul,
      address: withoutCredentials(consul.address),
      token: hidden(consul.token),
      tls: redactedTls(consul.tls),
    },
    eureka: {
      ...ofEureka,
      urls: eureka.urls.map(withoutCredentials),
      password: hidden(eureka.password),
      interval: formatDuration(intervalMs),
      tls: redactedTls(eureka.tls),
    },
    etcd: {
      ...etcd,
      endpoints: etcd.endpoints.map(withoutCredentials),
      password: hidden(etcd.password),
      tls: redactedTls(etcd.tls),
    },
    zookeeper: {
      ...ofZookeeper,
      auth: zookeeper.auth?.replace(/:.*$/s, ':***') ?? null,
      sessionTimeout: formatDuration(sessionTimeoutMs),
    },
    swarm: { ...swarm, tls: redactedTls(swarm.tls) },
    dns: {
      services: byName(dns.services, (of) =>
        of.kind === 'srv' ? { srv: of.name } : { [of.kind]: of.name, port: of.port },
      ),
      resolvers: dns.resolvers,
      minInterval: formatDuration(dns.minIntervalMs),
      maxInterval: formatDuration(dns.maxIntervalMs),
    },
    file: { ...file },
    push: { maxInstances: push.maxInstances, maxTtl: formatDuration(push.maxTtlMs) },
    static: { services: byName(discovery.static.services, (endpoints) => endpoints) },
  }
}

/** @param secret null: there is none */
export function hidden(secret: string | null): string | null {
  return secret === null ? null : '***'
}

function redactedTls({ ca, cert, key }: ReadTls): Record<string, string | null> {
  const pem = (text: string | null) => (text === null ? null : `(PEM text of ${text.length} characters)`)
  return { ca: pem(ca), cert: pem(cert), key: hidden(key) }
}
