/** Do values that are each allowed contradict one another? */

import type { Config } from './config.ts'
import { tlsSections } from './discovery-options.ts'
import type { KeyPath } from './keys.ts'
import { type Problem, problemAt } from './problem.ts'
import { formatDuration } from './units.ts'

const wildcards: readonly string[] = ['0.0.0.0', '::']

/** @param from who said the value at a path */
export function contradictions(config: Config, from: (path: KeyPath) => string): readonly Problem[] {
  const problems: Problem[] = []
  const add = (path: KeyPath, value: unknown, message: string) =>
    problems.push(problemAt(path, value, message, from(path)))

  const { listen, admin } = config
  const hosts = [listen.host, admin.host]
  const overlap = listen.host === admin.host || hosts.some((host) => wildcards.includes(host))
  if (listen.port === admin.port && listen.port !== 0 && overlap) {
    add(['admin', 'port'], admin.port, 'must differ from listen.port: both listeners would want the same one')
  }

  for (const section of tlsSections) {
    const { cert, key } = config.discovery[section].tls
    const path = ['discovery', section, 'tls']
    if (cert !== null && key === null) add([...path, 'key'], null, 'must be given along with cert')
    if (cert === null && key !== null) add([...path, 'cert'], null, 'must be given along with key')
  }

  const { snapshot, sources, file, dns, eureka, etcd } = config.discovery
  if (snapshot !== null && sources.every((source) => source === 'static')) {
    add(['discovery', 'snapshot'], snapshot, 'must be null for a static source: its catalog is the config itself')
  }
  if (sources.includes('file') && file.path === null) {
    add(['discovery', 'file', 'path'], null, 'must name a file, for discovery.source has file')
  }
  if (sources.includes('dns') && Object.keys(dns.services).length === 0) {
    add(['discovery', 'dns', 'services'], {}, 'must name a service at least, for discovery.source has dns')
  }
  if (dns.maxIntervalMs < dns.minIntervalMs) {
    const least = formatDuration(dns.minIntervalMs)
    add(
      ['discovery', 'dns', 'maxInterval'],
      formatDuration(dns.maxIntervalMs),
      `must be at least minInterval, ${least}`,
    )
  }
  for (const [section, { user, password }] of [
    ['eureka', eureka],
    ['etcd', etcd],
  ] as const) {
    const path = ['discovery', section]
    if (user !== null && password === null) add([...path, 'password'], null, 'must be given along with user')
    if (user === null && password !== null) add([...path, 'user'], null, 'must be given along with password')
  }
  if (config.register.enabled && !sources.includes('consul')) {
    add(['register', 'enabled'], true, 'must be false unless discovery.source has consul')
  }
  if (config.routing.fabioTags && !sources.includes('consul')) {
    add(['routing', 'fabioTags'], true, 'must be false unless discovery.source has consul')
  }
  for (const [name, { failover }] of Object.entries(config.services)) {
    if (failover.length > 0 && !sources.includes('consul')) {
      add(['services', name, 'failover'], failover, 'must be empty unless discovery.source has consul')
    }
  }

  const ejection = (path: KeyPath, baseMs: number, maxMs: number) => {
    if (maxMs >= baseMs) return
    add(
      [...path, 'maxEjectionTime'],
      formatDuration(maxMs),
      `must be at least baseEjectionTime, ${formatDuration(baseMs)}`,
    )
  }
  ejection(['outlier'], config.outlier.baseEjectionMs, config.outlier.maxEjectionMs)
  for (const [name, { outlier }] of Object.entries(config.services)) {
    if (outlier.baseEjectionMs === undefined && outlier.maxEjectionMs === undefined) continue
    const merged = { ...config.outlier, ...outlier }
    ejection(['services', name, 'outlier'], merged.baseEjectionMs, merged.maxEjectionMs)
  }
  return problems
}
