/** Short ways to a config or to its problems, for tables. */

import type { Config } from '../../src/config/config.ts'
import { type LoadOptions, type LoadResult, loadConfig, parseConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'

/** Every problem as the line that a person reads; none when the config is accepted. */
export function linesOf(result: LoadResult): readonly string[] {
  return result.ok ? [] : result.problems.map(formatProblem)
}

/** The config; a problem fails the test with all lines. */
export function accepted(result: LoadResult): Config {
  if (!result.ok) throw new Error(linesOf(result).join('\n'))
  return result.config
}

/** The problems of a file that says this. */
export function problemsOf(yaml: string): readonly string[] {
  return linesOf(parseConfig(yaml, 'x.yaml'))
}

/** The config of a file that says this. */
export function configOf(yaml: string): Config {
  return accepted(parseConfig(yaml, 'x.yaml'))
}

/** As `loadConfig`, with nothing where nothing is said. */
export function load(options: Partial<LoadOptions>): LoadResult {
  return loadConfig({ env: {}, flags: {}, ...options })
}
