/** Which changes of a config take effect only with a restart? */

import type { Config } from './config.ts'
import { redactedConfig } from './convert.ts'
import { isTree } from './settings.ts'

/** Decided once, when the process binds its ports and makes its engine and its source. All else is read anew. */
const boundAtStart: readonly string[] = [
  'listen',
  'admin.host',
  'admin.port',
  'workers',
  'engine',
  'limits',
  'register',
  'discovery.snapshot',
]

/** A new config, but for what was decided at the start: `/api/config` shows what is in effect. */
export function withWhatIsBound(running: Config, config: Config): Config {
  const { listen, workers, engine, limits, register } = running
  const { snapshot } = running.discovery
  return {
    ...config,
    listen,
    admin: { ...running.admin, token: config.admin.token },
    workers,
    engine,
    limits,
    register,
    discovery: { ...config.discovery, snapshot },
  }
}

/** Key paths, in the file's names, that differ and are read at the start only; empty when a reload does it all. */
export function restartOnlyChanges(before: Config, after: Config): readonly string[] {
  const old = leavesOf(redactedConfig(before))
  const changed = [...leavesOf(redactedConfig(after))].filter(([path, value]) => old.get(path) !== value)
  return changed
    .map(([path]) => path)
    .filter((path) => boundAtStart.some((bound) => path === bound || path.startsWith(`${bound}.`)))
}

/** Lists are leaves, so each value is told by its JSON. */
function leavesOf(value: unknown, path = ''): Map<string, string | undefined> {
  if (!isTree(value)) return new Map([[path, JSON.stringify(value)]])
  const inner = Object.entries(value).map(([key, item]) => leavesOf(item, path === '' ? key : `${path}.${key}`))
  return new Map(inner.flatMap((leaves) => [...leaves]))
}
