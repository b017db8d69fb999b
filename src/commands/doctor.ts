/** `evenkeel doctor`. */

import type { OperatorCommand } from './usage-operator.ts'

export type DoctorOptions = Extract<OperatorCommand, { kind: 'doctor' }>

/** @returns the exit code */
export async function doctor(
  _options: DoctorOptions,
  _env: NodeJS.ProcessEnv,
  write: (text: string) => void,
): Promise<number> {
  write('not built yet\n')
  return 1
}
