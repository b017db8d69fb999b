/** What do the flags of `evenkeel serve` say about the config? */

import { type KeyNode, nodeAt } from './keys.ts'
import { type Problem, problemAt, problemOf } from './problem.ts'
import { parseSetting, type Setting } from './settings.ts'

/** The flags as they were typed; what is absent was not given. */
export interface FlagValues {
  readonly port?: string | undefined
  readonly adminPort?: string | undefined
  readonly consul?: string | undefined
  readonly workers?: string | undefined
  readonly engine?: string | undefined
  /** `key.path=value` each, the value in YAML. */
  readonly set?: readonly string[] | undefined
}

const named = [
  ['port', '--port', ['listen', 'port']],
  ['adminPort', '--admin-port', ['admin', 'port']],
  ['consul', '--consul', ['discovery', 'consul', 'address']],
  ['workers', '--workers', ['workers']],
  ['engine', '--engine', ['engine']],
] as const

/**
 * The settings of the flags in their order, `--set` last. A key path is split at its dots, so a service whose name has a
 * dot can only be configured in the file.
 */
export function readFlags(flags: FlagValues, root: KeyNode, problems: Problem[]): readonly Setting[] {
  const settings: Setting[] = []
  const take = (path: readonly string[], text: string, from: string) => {
    const parsed = parseSetting(text, nodeAt(root, path))
    if (parsed.ok) settings.push({ path, value: parsed.value, from })
    else problems.push(problemAt(path, text, parsed.message, from))
  }
  for (const [flag, name, path] of named) {
    const text = flags[flag]
    if (text !== undefined) take(path, text, `flag ${name}`)
  }
  for (const text of flags.set ?? []) {
    const [, key, value] = /^([^=]*)=(.*)$/s.exec(text) ?? []
    const path = key?.trim().split('.') ?? []
    if (key === undefined || value === undefined || path.includes('')) {
      problems.push(problemOf('flag --set', 'must be key.path=value, e.g. --set upstream.keepAlive=true'))
      continue
    }
    take(path, value, `flag --set ${path.join('.')}`)
  }
  return settings
}
