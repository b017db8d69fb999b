/** Do values that are each allowed contradict one another? */

import type { Config } from './config.ts'
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

  const { cert, key } = config.discovery.consul.tls
  if (cert !== null && key === null) add(['discovery', 'consul', 'tls', 'key'], null, 'must be given along with cert')
  if (cert === null && key !== null) add(['discovery', 'consul', 'tls', 'cert'], null, 'must be given along with key')

  const { snapshot, source } = config.discovery
  if (snapshot !== null && source === 'static') {
    add(['discovery', 'snapshot'], snapshot, 'must be null for a static source: its catalog is the config itself')
  }
  if (config.register.enabled && source !== 'consul') {
    add(['register', 'enabled'], true, 'must be false unless discovery.source is consul')
  }
  for (const [name, { failover }] of Object.entries(config.services)) {
    if (failover.length > 0 && source !== 'consul') {
      add(['services', name, 'failover'], failover, 'must be empty unless discovery.source is consul')
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
