/**
 * How is what became of a request said in one word? A short code for the access log: who could have been picked, and how
 * each attempt ended. docs/access-log.md is its grammar. Pure.
 */

import type { Standing } from '../balancer/balancer.ts'
import type { Outcome } from '../balancer/outcome.ts'
import type { RequestRecord, Try } from './observer.ts'

/** Of more attempts than twice this, so many at either end are spelt out. */
const spelt = 10

const prefixes = new WeakMap<Standing, string>()

/**
 * `2/3e1:cf>200`; null for a request that no service of the catalog was looked for.
 * @param record `standing` says who there was when there was no attempt
 */
export function trailCode(record: Pick<RequestRecord, 'tries' | 'standing' | 'outcome'>): string | null {
  const { tries, standing, outcome } = record
  const [first] = tries
  if (first !== undefined) {
    const before = prefixOf(first.standing)
    return tries.length === 1 ? `${before}:${token(first)}` : `${before}:${tokens(tries)}`
  }
  return outcome === 'no-endpoints' ? `${standing === null ? '0/0' : prefixOf(standing)}:none` : null
}

/** Made once for all requests that found the same: it is asked with each. */
function prefixOf(standing: Standing): string {
  const known = prefixes.get(standing)
  if (known !== undefined) return known
  const prefix = describe(standing)
  prefixes.set(standing, prefix)
  return prefix
}

function describe({ service, out }: Standing): string {
  const counts = { ejected: 0, probing: 0, drained: 0 }
  for (const { state } of out) counts[state]++
  const absent = service.absent.reduce((sum, { unread }) => (unread === true ? sum : sum + 1), 0)
  const inRotation = service.endpoints.length - out.length
  const letters = [
    ['e', counts.ejected],
    ['p', counts.probing],
    ['d', counts.drained],
    ['a', absent],
  ] as const
  const outText = letters.map(([letter, count]) => (count === 0 ? '' : letter + count)).join('')
  return `${inRotation}/${service.endpoints.length + absent}${outText}`
}

function tokens(tries: readonly Try[]): string {
  if (tries.length <= 2 * spelt) return tries.map(token).join('>')
  const left = tries.length - 2 * spelt
  return [...tries.slice(0, spelt).map(token), `+${left}`, ...tries.slice(-spelt).map(token)].join('>')
}

function token({ role, outcome }: Try): string {
  const end = outcome.kind === 'responded' ? String(outcome.status) : failure(outcome)
  return role === 'regular' ? end : (role === 'probe' ? '?' : '!') + end
}

const stalls = { connect: 'tc', response: 'tr', idle: 'ti' } as const

function failure(outcome: Exclude<Outcome, { kind: 'responded' }>): string {
  switch (outcome.kind) {
    case 'connect-failed':
      return 'cf'
    case 'timed-out':
      return stalls[outcome.phase]
    case 'broke-off':
      return outcome.afterHeaders ? 'bo+' : 'bo'
    case 'bad-response':
      return outcome.afterHeaders ? 'br+' : 'br'
    case 'client-left':
      return 'cl'
    case 'bad-request':
      return 'bq'
    default:
      return outcome satisfies never
  }
}
