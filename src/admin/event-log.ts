/** What is written down of health, of the catalog, and of answers that were doubted? By name, and not too much at once. */

import type { Logger } from 'pino'
import type { BalancerObserver, TrippingFault } from '../balancer/observer.ts'
import type { ServiceChange } from '../balancer/table.ts'
import type { Decision } from '../discovery/admission.ts'
import type { Doubt } from '../discovery/doubt.ts'
import { outcomeText } from './words.ts'

/** Above this many at once (a start, Consul's return) names are for those who ask for them. */
const namedAtOnce = 100

export function healthLog(log: Logger): BalancerObserver {
  return {
    onEjected: (service, endpoint, reason, forMs, last) =>
      log.warn({ service, endpoint, reason, forMs, ...lastFault(last) }, 'an endpoint was ejected'),
    onRestored: (service, endpoint) => log.info({ service, endpoint }, 'an endpoint is back in rotation'),
    onWithheld: (service, endpoint, due, withheld, last) =>
      log.warn({ service, endpoint, due, withheld, ...lastFault(last) }, 'an ejection was due and withheld'),
    // hand-log.ts writes down what people say, and who they are.
    onDrained: () => {},
    onUndrained: () => {},
    onPanicPick: () => {},
  }
}

/** What tripped the rule: the log is all that is left of it after a restart. */
function lastFault(last: TrippingFault | undefined) {
  return last === undefined ? {} : { lastFault: outcomeText(last.outcome), requestId: last.request }
}

/** Writes down what changed, service by service. */
export function logChange(log: Logger, changes: readonly ServiceChange[]): void {
  const many = changes.length > namedAtOnce
  if (many) {
    const count = (list: (change: ServiceChange) => readonly unknown[]): number =>
      changes.reduce((sum, change) => sum + list(change).length, 0)
    const counts = { services: changes.length, joined: count(({ joined }) => joined), left: count(({ left }) => left) }
    log.info(counts, 'the catalog changed; level debug names the services')
  }
  for (const change of changes) {
    // What changed may be only a word on an instance that is out, or a doubt, which has a line of its own.
    const isVisible =
      change.kind !== 'changed' || change.joined.length + change.left.length + change.reweighted.length > 0
    log[many || !isVisible ? 'debug' : 'info'](describeChange(change), 'the catalog changed')
  }
}

function describeChange({ name, kind, joined, left, reweighted }: ServiceChange) {
  const named = (list: ServiceChange['joined']) => list.map(({ id, instance }) => `${id} (${instance})`)
  return {
    service: name,
    change: kind,
    joined: named(joined),
    left: named(left),
    changed: reweighted.map(({ id, weight }) => `${id} weight ${weight}`),
  }
}

const doubts: Readonly<Record<Doubt, string>> = {
  'most-of-service': 'an answer left out most of this service',
  'service-emptied': 'an answer names no endpoint of this service any more',
  'many-services': 'more than a third of all services, or thirty, were emptied together',
  'index-backwards': 'an answer left it out after the index of the catalog went backwards',
  'word-after-outage': 'the catalog says that it is out of order, but had just come back',
  'loss-after-outage': 'an answer left out most of this service when the catalog had just come back',
}

/** Why an endpoint that the catalog leaves out was not taken out at once, in words. */
export function doubtText(doubt: Doubt): string {
  return doubts[doubt]
}

const meaning: Readonly<Record<Decision['kind'], string>> = {
  held: 'endpoints that the catalog leaves out are held: they stay in rotation until that is confirmed',
  returned: 'held endpoints are listed again: they stay',
  confirmed: 'held endpoints are gone: further reads left them out too, and requests to them fail or there are none',
  explained: 'held endpoints are gone: the catalog says why',
  expired: 'held endpoints are gone: the hold is over, and nothing contradicted the catalog',
  kept: 'endpoints are kept although the catalog has lost them: they answer. POST /api/catalog/accept applies the catalog',
  accepted: 'held endpoints are gone: the catalog was accepted as it stands',
}

/** Writes down what became of endpoints that an answer left out: a line for each service and kind of decision. */
export function logDecisions(log: Logger, decisions: readonly Decision[]): void {
  const groups = new Map<string, Decision[]>()
  for (const decision of decisions) {
    const key = `${decision.kind} ${decision.suspect.service}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [decision])
    else group.push(decision)
  }
  const many = groups.size > namedAtOnce
  if (many) {
    const counts = new Map<string, number>()
    for (const { kind } of decisions) counts.set(kind, (counts.get(kind) ?? 0) + 1)
    const text = 'an answer of the catalog was doubted; level debug names the services'
    log.warn({ services: groups.size, endpoints: Object.fromEntries(counts) }, text)
  }
  for (const group of groups.values()) {
    const [{ kind, suspect } = { kind: 'held', suspect: null }] = group
    if (suspect === null) continue
    const level = many ? 'debug' : kind === 'held' || kind === 'kept' ? 'warn' : 'info'
    const endpoints = group.map((each) => each.suspect.endpoint.id)
    log[level]({ service: suspect.service, endpoints, because: doubtText(suspect.doubt) }, meaning[kind])
  }
}
