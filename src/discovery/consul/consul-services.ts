/** Which services does a `catalog/services` answer name, and which of them are routed? Pure. */

import { matchesAny } from '../glob.ts'
import { isNameable, type NameRules } from '../names.ts'
import { type Oddity, oddity } from '../oddity.ts'
import { compareText } from '../untrusted-text.ts'

export type DecodedNames =
  | { readonly kind: 'names'; readonly names: readonly string[]; readonly oddities: readonly Oddity[] }
  | { readonly kind: 'unreadable'; readonly message: string }

/**
 * The names to route, in the order of their code units, each once.
 * @param body the answer's JSON: an object of name → tags. Anything else is `unreadable`; nothing throws.
 *   A name that could not stand in a path (control characters, `/`, `.`, `..`, too long) is left out as an oddity.
 */
export function decodeServiceNames(body: unknown, rules: NameRules): DecodedNames {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return { kind: 'unreadable', message: 'the list of services is not an object' }
  }
  const names: string[] = []
  const oddities: Oddity[] = []
  for (const name of Object.keys(body)) {
    if (!isNameable(name)) oddities.push(oddity('bad-name', name, 'this service name cannot be routed to'))
    else if (matchesAny(rules.include, name) && !matchesAny(rules.exclude, name)) names.push(name)
  }
  return { kind: 'names', names: names.sort(compareText), oddities }
}
