/** Where is a real `etcd` to test against? See `debian-binary.ts`. */

import { type DebianPackage, findProgram } from './debian-binary.ts'

const etcd: DebianPackage = {
  name: 'etcd-server',
  programs: ['etcd'],
  variable: 'ETCD_BIN',
  // Has etcd 3.4: https://packages.debian.org/etcd-server
  suite: 'bookworm',
}

/**
 * The path of an executable `etcd`.
 * @throws one sentence that says what to install
 */
export function findEtcd(): Promise<string> {
  return findProgram(etcd, 'etcd')
}

/** Why there is no `etcd` to be had here, for a test to be skipped with; null: there is one, or it must be there. */
export async function etcdLacks(): Promise<string | null> {
  if (process.env.CI !== undefined && process.env.CI !== '') return null
  return findEtcd().then(
    () => null,
    (error: Error) => error.message,
  )
}
