/** `evenkeel check FILE`: would this file be accepted? */

import { checkConfigFile } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'

/**
 * Judges a config file on its own, without the environment.
 * @param write gets whole lines, the problems too: they are what was asked for
 * @returns the exit code: 0 when it is good, 1 when it is not
 */
export function check(file: string, write: (text: string) => void): 0 | 1 {
  const result = checkConfigFile(file)
  if (result.ok) {
    write(`${file}: ok\n`)
    return 0
  }
  for (const problem of result.problems) write(`${formatProblem(problem)}\n`)
  return 1
}
