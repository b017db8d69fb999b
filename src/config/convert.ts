/** How do the file's names become the options of the parts, and back? One table a section, read in both directions. */

import type { OutlierOptions } from '../balancer/outlier-options.ts'
import type { LimitOptions } from '../proxy/exchange.ts'
import type { UpstreamOptions } from '../proxy/policy.ts'
import type { Config, ServiceOverrides } from './config.ts'
import { hidden, type ReadPaths, redactedDiscovery, toDiscovery } from './discovery-options.ts'
import { defaultFaultRate, type FileConfig } from './schema.ts'
import { byName, inside, outside, type Show, type Table } from './tables.ts'
import { formatDuration, formatShare, formatSize } from './units.ts'

const asIs: Show = (value) => value
const orNull =
  (show: Show): Show =>
  (value) =>
    value === null ? null : show(value)

const upstream = {
  keepAlive: { as: 'keepAlive', show: asIs },
  close: { as: 'close', show: asIs },
  connectTimeout: { as: 'connectTimeoutMs', show: formatDuration },
  responseTimeout: { as: 'responseTimeoutMs', show: formatDuration },
  idleTimeout: { as: 'idleTimeoutMs', show: formatDuration },
} as const satisfies Table

const faultRate = {
  threshold: { as: 'threshold', show: formatShare },
  minRequests: { as: 'minRequests', show: asIs },
  window: { as: 'windowMs', show: formatDuration },
} as const satisfies Table

const outlier = {
  enforce: { as: 'enforce', show: asIs },
  consecutiveFaults: { as: 'consecutiveFaults', show: asIs },
  consecutiveConnectFaults: { as: 'consecutiveConnectFaults', show: asIs },
  faultStatuses: { as: 'isFaultStatus', show: formatStatuses },
  faultRate: {
    as: 'faultRate',
    show: orNull((rate: OutlierOptions['faultRate'] & object) => outside(rate, faultRate)),
  },
  baseEjectionTime: { as: 'baseEjectionMs', show: formatDuration },
  maxEjectionTime: { as: 'maxEjectionMs', show: formatDuration },
  maxEjectedShare: { as: 'maxEjectedShare', show: formatShare },
} as const satisfies Table

const balancing = {
  slowStart: { as: 'slowStartMs', show: orNull(formatDuration) },
} as const satisfies Table

const admission = {
  enabled: { as: 'enabled', show: asIs },
  hold: { as: 'holdMs', show: formatDuration },
} as const satisfies Table

const register = {
  enabled: { as: 'enabled', show: asIs },
  name: { as: 'name', show: asIs },
  id: { as: 'id', show: asIs },
  tags: { as: 'tags', show: asIs },
  address: { as: 'address', show: asIs },
  port: { as: 'port', show: asIs },
  checkUrl: { as: 'checkUrl', show: asIs },
  checkInterval: { as: 'checkIntervalMs', show: formatDuration },
  deregisterAfter: { as: 'deregisterAfterMs', show: formatDuration },
} as const satisfies Table

const retry = {
  attempts: { as: 'attempts', show: asIs },
  budget: { as: 'budget', show: formatShare },
  statuses: { as: 'statuses', show: asIs },
} as const satisfies Table

const limits = {
  headerBytes: { as: 'headerBytes', show: formatSize },
  headerCount: { as: 'headerCount', show: asIs },
  targetBytes: { as: 'targetBytes', show: formatSize },
  bodyBytes: { as: 'bodyBytes', show: orNull(formatSize) },
  clientHeaderTimeout: { as: 'clientHeaderTimeoutMs', show: formatDuration },
  clientIdleTimeout: { as: 'clientIdleTimeoutMs', show: formatDuration },
  maxConnections: { as: 'maxConnections', show: asIs },
} as const satisfies Table

const shutdown = {
  drainDelay: { as: 'drainDelayMs', show: formatDuration },
  drainTimeout: { as: 'drainTimeoutMs', show: formatDuration },
} as const satisfies Table

/** The options of every part, from a file that was accepted. Maps by service name have no prototype. */
export function toConfig(file: FileConfig, read: ReadPaths): Config {
  const forAll: OutlierOptions = inside(
    { ...file.outlier, faultRate: file.outlier.faultRate === null ? null : inside(file.outlier.faultRate, faultRate) },
    outlier,
  )
  const limitOptions: LimitOptions = inside(file.limits, limits)
  const upstreamOptions: UpstreamOptions = inside(file.upstream, upstream)
  return {
    listen: file.listen,
    admin: file.admin,
    workers: file.workers,
    engine: file.engine,
    discovery: toDiscovery(file.discovery, read),
    admission: inside(file.admission, admission),
    routing: file.routing,
    balancing: inside(file.balancing, balancing),
    upstream: upstreamOptions,
    outlier: forAll,
    retry: file.retry,
    limits: limitOptions,
    trustedProxies: file.trustedProxies,
    accessLog: file.accessLog,
    metrics: file.metrics,
    tracing: file.tracing,
    log: file.log,
    shutdown: inside(file.shutdown, shutdown),
    register: inside(file.register, register),
    services: byName(file.services, (service) => toOverrides(service, forAll)),
  }
}

function toOverrides(service: FileConfig['services'][string], forAll: OutlierOptions): ServiceOverrides {
  const { faultRate: rate, ...rest } = service.outlier
  // A service that names only the threshold keeps the others' window, or the default one where they have none.
  const base = forAll.faultRate ?? inside(defaultFaultRate, faultRate)
  const own = rate === undefined ? {} : { faultRate: rate === null ? null : { ...base, ...inside(rate, faultRate) } }
  return {
    upstream: inside(service.upstream, upstream),
    outlier: { ...inside(rest, outlier), ...own },
    retry: inside(service.retry, retry),
    routing: service.routing,
    balancing: inside(service.balancing, balancing),
    failover: service.failover,
  }
}

/**
 * The config as its file would say it, for people: the file's names and units, plain data for JSON. What is secret is
 * `***`, and a certificate is told by its length.
 */
export function redactedConfig(config: Config): Record<string, unknown> {
  return {
    listen: { ...config.listen },
    admin: { ...config.admin, token: hidden(config.admin.token) },
    workers: config.workers,
    engine: config.engine,
    discovery: redactedDiscovery(config.discovery),
    admission: outside(config.admission, admission),
    routing: { ...config.routing },
    balancing: outside(config.balancing, balancing),
    upstream: outside(config.upstream, upstream),
    outlier: outside(config.outlier, outlier),
    retry: outside(config.retry, retry),
    limits: outside(config.limits, limits),
    trustedProxies: config.trustedProxies,
    accessLog: { ...config.accessLog, sample: formatShare(config.accessLog.sample) },
    metrics: { ...config.metrics },
    tracing: { ...config.tracing, sample: formatShare(config.tracing.sample) },
    log: { ...config.log },
    shutdown: outside(config.shutdown, shutdown),
    register: outside(config.register, register),
    services: byName(config.services, (service) => ({
      upstream: outside(service.upstream, upstream),
      outlier: outside(service.outlier, outlier),
      retry: outside(service.retry, retry),
      routing: { ...service.routing },
      balancing: outside(service.balancing, balancing),
      failover: service.failover,
    })),
  }
}

/** The shortest list of statuses and ranges that names what the predicate does. */
function formatStatuses(isFaultStatus: (status: number) => boolean): (string | number)[] {
  const ranges: (string | number)[] = []
  for (let low = 100; low <= 599; low += 1) {
    if (!isFaultStatus(low)) continue
    let high = low
    while (high < 599 && isFaultStatus(high + 1)) high += 1
    ranges.push(low === high ? low : `${low}-${high}`)
    low = high
  }
  return ranges
}
