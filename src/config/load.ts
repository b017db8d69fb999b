/**
 * Which config does this process run with? Defaults < file < environment < flags, merged key by key in the shape of the
 * file, judged once as a whole: the answer is a frozen config, or every problem at once.
 */

import { dirname, resolve } from 'node:path'
import type { z } from 'zod'
import { contradictions } from './checks.ts'
import type { Config } from './config.ts'
import { toConfig } from './convert.ts'
import { type ReadPaths, type ReadTls, tlsSections } from './discovery-options.ts'
import { configVariable, readEnvironment } from './env.ts'
import { type ConfigFile, parseConfigText, readBounded, readConfigFile, reasonOf } from './file.ts'
import { type FlagValues, readFlags } from './flags.ts'
import { adviceFor, keysOf } from './keys.ts'
import { type Problem, problemAt } from './problem.ts'
import { type FileConfig, fileSchema } from './schema.ts'
import { type Merged, merge, type Setting, valueAt } from './settings.ts'

export interface LoadOptions {
  /** As `--config` names it. Null or absent: what `EVENKEEL_CONFIG` names, else no file. */
  readonly file?: string | null
  readonly env: Readonly<Record<string, string | undefined>>
  readonly flags: FlagValues
}

export type LoadResult =
  /** `config` is frozen to its depths; `file` is the one that was read. */
  | { readonly ok: true; readonly config: Config; readonly file: string | null }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Every key there is. */
export const knownKeys = keysOf(fileSchema)

const defaultAddress = fileSchema.parse({}).discovery.consul.address

/** Reads all sources. Never throws: whatever is wrong with any of them is a problem, and all are told. */
export function loadConfig({ file: named, env, flags }: LoadOptions): LoadResult {
  const name = named ?? (env[configVariable] || null)
  const file = name === null ? null : readConfigFile(name)
  return judge(file, name, (address, problems) => [
    ...readEnvironment(env, knownKeys, address, problems),
    ...readFlags(flags, knownKeys, problems),
  ])
}

/** Judges a text as a config file of its own, whatever the environment says. `name` is for the problems. */
export function parseConfig(text: string, name: string): LoadResult {
  return judge(parseConfigText(text, name), name, () => [])
}

/** Judges a file on its own, whatever the environment says. */
export function checkConfigFile(name: string): LoadResult {
  return judge(readConfigFile(name), name, () => [])
}

/** What is wrong with these flags whatever else is configured: wrong usage, not a wrong config. */
export function flagProblems(flags: FlagValues): readonly Problem[] {
  const problems: Problem[] = []
  const merged = merge(knownKeys, null, () => null, readFlags(flags, knownKeys, problems), problems)
  const parsed = fileSchema.safeParse(merged.tree)
  if (!parsed.success) problems.push(...parsed.error.issues.flatMap((issue) => tell(issue, merged)))
  return problems
}

function judge(
  file: ConfigFile | null,
  name: string | null,
  readSettings: (fileAddress: string, problems: Problem[]) => readonly Setting[],
): LoadResult {
  const problems: Problem[] = [...(file?.problems ?? [])]
  const address = valueAt(file?.tree ?? {}, ['discovery', 'consul', 'address'])
  const settings = readSettings(typeof address === 'string' ? address : defaultAddress, problems)
  const merged = merge(knownKeys, file?.tree ?? null, (path) => file?.from(path) ?? null, settings, problems)
  const parsed = fileSchema.safeParse(merged.tree)
  if (!parsed.success) {
    return { ok: false, problems: [...problems, ...parsed.error.issues.flatMap((issue) => tell(issue, merged))] }
  }
  const config = toConfig(parsed.data, readPaths(parsed.data, merged, name, problems))
  problems.push(...contradictions(config, (path) => merged.from(path)))
  return problems.length > 0 ? { ok: false, problems } : { ok: true, config: deepFreeze(config), file: name }
}

function tell(issue: z.core.$ZodIssue, merged: Merged): readonly Problem[] {
  const path = issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key))
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const here = [...path, key]
      return problemAt(here, valueAt(merged.tree, here), adviceFor(knownKeys, path, key), merged.from(here))
    })
  }
  const allowed = issue.code === 'invalid_key' ? 'a service name without slashes or blanks' : issue.message
  const found = issue.code === 'invalid_key' ? path.at(-1) : valueAt(merged.tree, path)
  return [problemAt(path, found, `must be ${allowed}`, merged.from(path))]
}

/** Paths in the config file are relative to that file, others to where we run. */
function readPaths({ discovery }: FileConfig, merged: Merged, name: string | null, problems: Problem[]): ReadPaths {
  const located = (given: string | null, ...path: string[]) =>
    given === null ? null : pathFrom(given, merged.from(['discovery', ...path]), name)
  const tls = tlsSections.map((section) => [section, readTls(section, discovery[section].tls, merged, name, problems)])
  return {
    tls: Object.fromEntries(tls),
    snapshot: located(discovery.snapshot, 'snapshot'),
    file: located(discovery.file.path, 'file', 'path'),
  }
}

/** @param from who named the path */
function pathFrom(given: string, from: string, name: string | null): string {
  return from.startsWith('file') && name !== null ? resolve(dirname(name), given) : given
}

function readTls(section: string, named: ReadTls, merged: Merged, name: string | null, problems: Problem[]): ReadTls {
  const read = (key: keyof ReadTls): string | null => {
    const given = named[key]
    if (given === null) return null
    const path = ['discovery', section, 'tls', key]
    const from = merged.from(path)
    const complain = (message: string) => {
      problems.push(problemAt(path, given, message, from))
      return null
    }
    try {
      const text = readBounded(pathFrom(given, from, name), 2 ** 20)
      if (text?.includes('-----BEGIN ')) return text
      return complain('must be the path of a PEM file, of at most 1MiB')
    } catch (error) {
      return complain(`cannot be read: ${/\n|-----BEGIN/.test(given) ? 'it is no path' : reasonOf(error)}`)
    }
  }
  return { ca: read('ca'), cert: read('cert'), key: read('key') }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) deepFreeze(inner)
  }
  return value
}
