/** What is shown of a service: one row for each, and the endpoints of those that are opened. Pure. */

import type { Outcome } from '../balancer/outcome.ts'
import type { EndpointView, ServiceView } from '../balancer/view.ts'
import { printable } from '../discovery/untrusted-text.ts'
import { type CatalogStatus, type SuspectDetail, suspectFinder } from './catalog.ts'
import type { Block, Detail, EndpointDetail, Row } from './dashboard/messages.ts'
import { why } from './describe.ts'
import { type Traffic, threeDigits } from './live-history.ts'

/** So many endpoints of a service have a block of their own. */
export const mostBlocks = 48
/** So many endpoints, and so many absent instances, are told of a service that is opened. */
export const mostDetails = 100
const longestText = 300
const longestCause = 90
const panicShownMs = 10_000

type FindSuspect = (service: string, endpoint: string) => SuspectDetail | null

/** As `suspectFinder`, and nothing to look up as long as nobody is suspected, which is nearly always. */
export function cheapFinder(status: CatalogStatus): FindSuspect {
  return status.suspects.length === 0 ? () => null : suspectFinder(status)
}

/** @param name what the service is called on the page */
export function rowOf(service: ServiceView, name: string, traffic: Traffic, find: FindSuspect): Row {
  const counts: Partial<Record<Block, number>> = {}
  let blocks = ''
  let cause = ''
  let inFlight = 0
  const add = (block: Block): void => {
    counts[block] = (counts[block] ?? 0) + 1
    if (blocks.length < mostBlocks) blocks += block
  }
  for (const view of service.endpoints) {
    inFlight += view.inFlight
    add(blockOf(view, find(service.name, view.endpoint.id)))
    if (cause === '') cause = causeOf(view)
  }
  for (const each of service.absent) {
    if (each.unread !== true) add('a')
    if (cause === '') cause = printable(each.reason, longestCause)
  }
  const { picks, agoMs } = service.panic
  const panic = picks > 0 && agoMs !== null && agoMs < panicShownMs
  return { name, inCatalog: service.inCatalog, blocks, counts, cause, panic, inFlight, ...traffic }
}

/** What requests to it came to, if it fails; what a person said, if one did. */
function causeOf({ state, withheld, drained, faults, lastEjection }: EndpointView): string {
  if (state === 'drained') return printable(`by ${drained?.by ?? 'somebody'}`, longestCause)
  if (state === 'healthy' && withheld === null) return ''
  if (lastEjection !== null && lastEjection.by !== null) return printable(`by ${lastEjection.by}`, longestCause)
  const fault = faults.at(-1) ?? lastEjection?.faults.at(-1)
  return fault === undefined ? '' : printable(outcomeText(fault.outcome), longestCause)
}

function blockOf(view: EndpointView, suspect: SuspectDetail | null): Exclude<Block, 'a'> {
  switch (view.state) {
    case 'ejected':
      return 'e'
    case 'probing':
      return 'p'
    case 'drained':
      return 'd'
    case 'healthy':
      return view.withheld !== null ? 'f' : suspect !== null ? 'u' : 'h'
    default:
      return view.state satisfies never
  }
}

/** @param atMs now, since 1970 */
export function detailOf(service: ServiceView, name: string, atMs: number, find: FindSuspect): Detail {
  const { endpoints, absent, drainedAway } = service
  const picks = endpoints.reduce((sum, { recentPicks }) => sum + recentPicks, 0)
  const shown = endpoints.slice(0, mostDetails)
  const absentShown = absent.slice(0, mostDetails)
  const drainedShown = drainedAway.slice(0, mostDetails)
  return {
    name,
    endpoints: shown.map((view) => endpointDetail(view, picks, atMs, find(service.name, view.endpoint.id))),
    absent: absentShown.map(({ instance, address, reason }) => ({
      instance: text(instance),
      address: text(address),
      why: text(reason),
    })),
    drainedAway: drainedShown.map(({ endpoint, by }) => ({ endpoint: text(endpoint), by: text(by) })),
    more:
      endpoints.length -
      shown.length +
      (absent.length - absentShown.length) +
      (drainedAway.length - drainedShown.length),
  }
}

function endpointDetail(
  view: EndpointView,
  picks: number,
  atMs: number,
  suspect: SuspectDetail | null,
): EndpointDetail {
  const { endpoint, stateForMs, warmth, inFlight, recentPicks, idealShare, faults } = view
  const reason = why(view, suspect)
  return {
    id: text(endpoint.id),
    instance: text(endpoint.instance),
    block: blockOf(view, suspect),
    // To the second, so that it is the same the next time.
    sinceMs: Number.isFinite(stateForMs) ? Math.round((atMs - stateForMs) / 1_000) * 1_000 : 0,
    why: reason === null ? null : text(reason),
    weight: endpoint.weight,
    warmth: threeDigits(warmth),
    inFlight,
    share: picks === 0 ? null : threeDigits(recentPicks / picks),
    idealShare: threeDigits(idealShare),
    faults: [...faults].reverse().map(({ agoMs, outcome }) => ({
      atMs: Math.round((atMs - agoMs) / 1_000) * 1_000,
      what: text(outcomeText(outcome)),
    })),
  }
}

function outcomeText(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'responded':
      return `answered ${outcome.status}`
    case 'connect-failed':
      return `no connection: ${outcome.code}`
    case 'timed-out':
      return `timed out: ${outcome.phase}`
    case 'broke-off':
      return `broke off: ${outcome.code}`
    case 'bad-response':
      return `bad response: ${outcome.detail}`
    case 'client-left':
    case 'bad-request':
      return outcome.kind
    default:
      return outcome satisfies never
  }
}

function text(untrusted: string): string {
  return printable(untrusted, longestText)
}
