/** `evenkeel drain`, `undrain`, `eject` and `restore`. */

import type { OperatorCommand } from './usage-operator.ts'

export type HandOptions = Extract<OperatorCommand, { kind: 'hand' }>

/** @returns the exit code */
export async function hand(
  _options: HandOptions,
  _env: NodeJS.ProcessEnv,
  write: (text: string) => void,
): Promise<number> {
  write('not built yet\n')
  return 1
}
