/**
 * What has happened of late, for people who look on? The last hundred events, each in a sentence: what health, the
 * catalog, admission and persons did. Kept whether or not anybody looks. A change of very many services is one event.
 */

import type { Endpoint } from '../balancer/endpoint.ts'
import type { BalancerObserver, EjectionReason, WithheldReason } from '../balancer/observer.ts'
import type { ServiceChange } from '../balancer/table.ts'
import type { Decision } from '../discovery/admission.ts'
import { printable } from '../discovery/untrusted-text.ts'
import type { FeedEvent, Tone } from './dashboard/messages.ts'
import { doubtText } from './event-log.ts'
import type { ReadinessState } from './readiness.ts'
import { durationText } from './words.ts'

export interface Feed extends BalancerObserver {
  onTableChange(services: readonly ServiceChange[]): void
  onDecisions(decisions: readonly Decision[]): void
  /** Tells of it when it is another than before. */
  onReadiness(state: ReadinessState): void
  /** Oldest first. */
  events(): readonly FeedEvent[]
}

export const eventsKept = 100
/** More services than that in one change are told of together. */
const servicesAtOnce = 12
const namesAtOnce = 4
/** What goes on and on is told of one endpoint, or of one service, so often. */
const againAfterMs = 60_000
const mostRemembered = 1_000
const longestName = 120
const longestText = 300

const decisionTexts: Readonly<Record<Decision['kind'], readonly [Tone, string]>> = {
  held: ['warn', 'stay in rotation until it is confirmed'],
  returned: ['good', 'are listed again'],
  confirmed: ['plain', 'are gone: further answers left them out too'],
  explained: ['plain', 'are gone: the catalog says why'],
  expired: ['plain', 'are gone: the hold is over'],
  kept: ['warn', 'stay although the catalog has lost them: they answer'],
  accepted: ['plain', 'are gone: the catalog was accepted as it stands'],
}

const withheldTexts: Readonly<Record<WithheldReason, string>> = {
  cap: 'too many of its siblings are out already',
  correlated: 'half of its siblings fail too',
  shadow: 'outlier.enforce is false',
}

const readinessTexts: Readonly<Record<ReadinessState, readonly [Tone, string]>> = {
  starting: ['plain', 'waiting for the first catalog'],
  fresh: ['good', 'the catalog is confirmed'],
  stale: ['warn', 'the catalog cannot be read; the last good one stays'],
  draining: ['warn', 'this proxy drains and will stop'],
}

/**
 * @param epochNow the time since 1970, in milliseconds
 * @param whyEjected what an ejection stands on, in a clause
 * @param onEvent called at each event, so it must be cheap; services are named as the table names them
 */
export function createFeed(
  epochNow: () => number,
  whyEjected: (service: string, endpoint: string, reason: EjectionReason) => string,
  onEvent: (services: readonly string[]) => void,
): Feed {
  const kept: FeedEvent[] = []
  const told = new Map<string, number>()
  let readiness: ReadinessState | null = null
  let id = 0

  function add(kind: string, tone: Tone, service: string | null, text: string, others: readonly string[] = []): void {
    id += 1
    const name = service === null ? null : printable(service, longestName)
    kept.push({ id, atMs: epochNow(), kind, tone, service: name, text: printable(text, longestText) })
    if (kept.length > eventsKept) kept.shift()
    onEvent(service === null ? others : [service])
  }

  function isNews(key: string): boolean {
    const nowMs = epochNow()
    if (Math.abs(nowMs - (told.get(key) ?? 0)) < againAfterMs) return false
    if (told.size >= mostRemembered) told.clear()
    told.set(key, nowMs)
    return true
  }

  function membership({ name, joined, left, reweighted }: ServiceChange): void {
    if (joined.length > 0) add('joined', 'good', name, named(joined))
    if (left.length > 0) add('left', 'plain', name, named(left))
    if (reweighted.length > 0) {
      add('weighed', 'plain', name, listed(reweighted.map(({ id, weight }) => `${id} has weight ${weight}`)))
    }
  }

  return {
    onEjected: (service, endpoint, reason, forMs) =>
      add(
        'ejected',
        'bad',
        service,
        `${endpoint} for ${durationText(forMs)}: ${whyEjected(service, endpoint, reason)}`,
      ),
    onRestored: (service, endpoint) => add('restored', 'good', service, `${endpoint} is back in rotation`),
    onWithheld(service, endpoint, due, withheld) {
      if (!isNews(`withheld ${service} ${endpoint}`)) return
      add(
        'withheld',
        'warn',
        service,
        `${endpoint} stays although ${whyEjected(service, endpoint, due)}: ${withheldTexts[withheld]}`,
      )
    },
    onDrained: (service, endpoint, by) => add('drained', 'warn', service, `${endpoint} by ${by}`),
    onUndrained: (service, endpoint, by) => add('undrained', 'good', service, `${endpoint} by ${by}`),
    onPanicPick(service) {
      if (!isNews(`panic ${service}`)) return
      add('panic', 'bad', service, 'every endpoint is ejected: requests go to them all the same')
    },
    onTableChange(changes) {
      const visible = changes.filter(
        ({ joined, left, reweighted }) => joined.length + left.length + reweighted.length > 0,
      )
      if (visible.length <= servicesAtOnce) {
        for (const change of visible) membership(change)
        return
      }
      const count = (list: (change: ServiceChange) => readonly unknown[]): number =>
        visible.reduce((sum, change) => sum + list(change).length, 0)
      const [joined, left] = [count((change) => change.joined), count((change) => change.left)]
      const parts = [...(joined > 0 ? [`${joined} endpoints joined`] : []), ...(left > 0 ? [`${left} left`] : [])]
      const text = `${visible.length} services: ${parts.join(', ') || 'other weights'}`
      const names = visible.map(({ name }) => name)
      add('catalog', left > joined ? 'warn' : 'plain', null, text, names)
    },
    onDecisions(decisions) {
      const groups = new Map<string, Decision[]>()
      for (const decision of decisions) {
        const key = `${decision.kind} ${decision.suspect.service}`
        groups.set(key, [...(groups.get(key) ?? []), decision])
      }
      if (groups.size > servicesAtOnce) {
        const kinds = new Set(decisions.map(({ kind }) => kind))
        for (const kind of kinds) {
          const of = decisions.filter((each) => each.kind === kind).map(({ suspect }) => suspect.service)
          const [tone, text] = decisionTexts[kind]
          add(kind, tone, null, `${of.length} endpoints of ${new Set(of).size} services ${text}`, [...new Set(of)])
        }
        return
      }
      for (const [{ kind, suspect } = { kind: null, suspect: null }, ...rest] of groups.values()) {
        if (kind === null) continue
        const [tone, text] = decisionTexts[kind]
        const who = listed([suspect, ...rest.map((each) => each.suspect)].map(({ endpoint }) => endpoint.id))
        const because = kind === 'held' ? ` (${doubtText(suspect.doubt)})` : ''
        add(kind, tone, suspect.service, `${who} ${text}${because}`)
      }
    },
    onReadiness(state) {
      if (state === readiness) return
      const [tone, text] = readinessTexts[state]
      // What was never stale does not recover.
      const kind = state === 'fresh' && readiness === 'stale' ? 'recovered' : state
      readiness = state
      add(kind, tone, null, text)
    },
    events: () => kept,
  }
}

function named(endpoints: readonly Endpoint[]): string {
  return listed(endpoints.map(({ id, instance }) => (instance === '' ? id : `${id} (${printable(instance, 60)})`)))
}

function listed(texts: readonly string[]): string {
  const more = texts.length - namesAtOnce
  return more > 0 ? `${texts.slice(0, namesAtOnce).join(', ')} and ${more} more` : texts.join(', ')
}
