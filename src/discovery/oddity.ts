/** What is strange in a catalog, though it can be lived with? Said once by name, so that somebody may mend it. */

import type { Logger } from 'pino'
import { printable } from './untrusted-text.ts'

export type OddityKind =
  | 'malformed-entry'
  | 'malformed-check'
  | 'no-address'
  | 'bad-address'
  | 'bad-port'
  | 'bad-weight'
  | 'shared-address'
  | 'bad-name'
  | 'bad-route-tag'

export interface Oddity {
  readonly kind: OddityKind
  /** The instance or service that it is about, printable and bounded. Kind and subject make the oddity's identity. */
  readonly subject: string
  /** One clause for an operator, printable and bounded. */
  readonly text: string
}

/** How many different oddities are remembered, and therefore logged, in the life of one source. */
export const MAX_ODDITIES = 1000

export interface OddityFilter {
  /** The oddities among `oddities` of a service that have not been seen before. */
  unseen(service: string, oddities: readonly Oddity[]): readonly Oddity[]
  /** True once: when the memory has just filled up, so that what comes from now on is kept quiet. */
  justFull(): boolean
}

/** Remembers up to `limit` oddities by service, kind and subject; once it is full nothing is "unseen" any more. */
export function oddityFilter(limit: number = MAX_ODDITIES): OddityFilter {
  const seen = new Set<string>()
  let full: 'no' | 'just' | 'said' = 'no'
  return {
    unseen(service, oddities) {
      const found: Oddity[] = []
      for (const oddity of oddities) {
        const key = JSON.stringify([service, oddity.kind, oddity.subject])
        if (seen.has(key)) continue
        if (seen.size >= limit) {
          if (full === 'no') full = 'just'
          break
        }
        seen.add(key)
        found.push(oddity)
      }
      return found
    },
    justFull() {
      if (full !== 'just') return false
      full = 'said'
      return true
    },
  }
}

/** An oddity whose words are made printable. */
export function oddity(kind: OddityKind, subject: string, text: string): Oddity {
  return { kind, subject: printable(subject, 128), text: printable(text, 300) }
}

/**
 * Logs each oddity of a service once.
 * @param where what it is in, for people: `etcd`
 */
export function oddityReporter(log: Logger, where: string): (service: string, oddities: readonly Oddity[]) => void {
  const filter = oddityFilter()
  return (service, oddities) => {
    for (const { kind, subject, text } of filter.unseen(service, oddities)) {
      log.warn({ service, instance: subject, oddity: kind }, `odd entry in ${where}: ${text}`)
    }
    if (filter.justFull()) log.warn(`too many odd entries in ${where}: further ones are not logged`)
  }
}
