/** Where is a real `consul` to test against? See `debian-binary.ts`. */

import { type DebianPackage, findProgram } from './debian-binary.ts'

const consul: DebianPackage = {
  name: 'consul',
  programs: ['consul'],
  variable: 'CONSUL_BIN',
  // The last one that has it: https://packages.debian.org/consul
  suite: 'bullseye',
}

/**
 * The path of an executable `consul`.
 * @throws one sentence that says what to install
 */
export function findConsul(): Promise<string> {
  return findProgram(consul, 'consul')
}
