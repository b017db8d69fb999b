/** Which names of services are routed? */

import { printable } from './untrusted-text.ts'

export interface NameRules {
  /** Globs. A name is routed if one of these matches … */
  readonly include: readonly string[]
  /** … and none of these. */
  readonly exclude: readonly string[]
}

const MAX_NAME_LENGTH = 255

/** May a service of this name be routed to? Not what cannot stand in a path, nor what is too long or not printable. */
export function isNameable(name: string): boolean {
  if (name === '' || name === '.' || name === '..' || name.includes('/')) return false
  return name.length <= MAX_NAME_LENGTH && printable(name, MAX_NAME_LENGTH) === name
}
