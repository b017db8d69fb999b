/** `evenkeel explain`. */

import type { OperatorCommand } from './usage-operator.ts'

export type ExplainOptions = Extract<OperatorCommand, { kind: 'explain' }>

/** @returns the exit code */
export async function explain(
  _options: ExplainOptions,
  _env: NodeJS.ProcessEnv,
  write: (text: string) => void,
): Promise<number> {
  write('not built yet\n')
  return 1
}
