/** What is shown of a service: one row for each, and the endpoints of those that are opened. Pure. */

import type { EndpointView, ServiceView } from '../balancer/view.ts'
import { printable } from '../discovery/untrusted-text.ts'
import { type CatalogStatus, type SuspectDetail, suspectFinder } from './catalog.ts'
import type { Block, Detail, EndpointDetail, Row } from './dashboard/messages.ts'
import type { InstanceExplanation, ServiceExplanation } from './explain.ts'
import type { Concern } from './explain-concerns.ts'
import { type Traffic, threeDigits } from './live-history.ts'
import { outcomeText } from './words.ts'

/** So many endpoints of a service have a block of their own. */
export const mostBlocks = 48
/** So many endpoints, absent instances and concerns are told of a service that is opened. */
export const mostDetails = 100
const mostTags = 6
const longestText = 500
/** Of what can be asked for: in a path each unit may take nine bytes, and a request's head has room for 8 KiB. */
const longestName = 600
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
  for (const view of service.endpoints) {
    const block = blockOf(view, find(service.name, view.endpoint.id))
    counts[block] = (counts[block] ?? 0) + 1
    if (blocks.length < mostBlocks) blocks += block
    if (cause === '' && block !== 'h') cause = causeOf(view)
    inFlight += view.inFlight
  }
  for (const { unread, reason } of service.absent) {
    if (cause === '') cause = printable(reason, longestCause)
    if (unread === true) continue
    counts.a = (counts.a ?? 0) + 1
    if (blocks.length < mostBlocks) blocks += 'a'
  }
  const { picks, agoMs } = service.panic
  const panic = picks > 0 && agoMs !== null && agoMs < panicShownMs
  const { rate, errorShare, p50Ms, p99Ms, last } = traffic
  return {
    name,
    inCatalog: service.inCatalog,
    blocks,
    counts,
    cause,
    panic,
    rate,
    errorShare,
    p50Ms,
    p99Ms,
    inFlight,
    last,
  }
}

const allBlocks: Readonly<Record<Block, true>> = { h: true, f: true, u: true, e: true, p: true, d: true, a: true }

/** True when at most numbers of traffic are different, those that `movedJson` tells. */
export function isAlike(a: Row, b: Row): boolean {
  if (a.blocks !== b.blocks || a.cause !== b.cause || a.panic !== b.panic || a.inCatalog !== b.inCatalog) return false
  for (const block in allBlocks) if (a.counts[block as Block] !== b.counts[block as Block]) return false
  return a.name === b.name
}

/** A `Moved`, written by hand: there may be hundreds of them each second or two. */
export function movedJson({ name, rate, errorShare, p50Ms, p99Ms, inFlight, last: [requests, errors] }: Row): string {
  // Every one of them is finite, or null.
  return `[${JSON.stringify(name)},${rate},${errorShare},${p50Ms},${p99Ms},${inFlight},${requests},${errors}]`
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

/** What the page's head says already, of all services. */
const saidOfAll: readonly Concern['kind'][] = ['starting', 'stale', 'snapshot']

/**
 * The same as `evenkeel explain` says, in the same words.
 * @param atMs now, since 1970
 */
export function detailOf(
  service: ServiceView,
  name: string,
  atMs: number,
  explained: ServiceExplanation,
  find: FindSuspect,
): Detail {
  const { endpoints } = service
  const { instances } = explained
  const concerns = explained.concerns.filter(({ kind }) => !saidOfAll.includes(kind))
  // Those of the table, in its order, come first; what it lacks is behind them.
  const absent = instances.slice(endpoints.length)
  const lists = [endpoints, absent, concerns]
  return {
    name,
    path: service.name.length > longestName ? null : `/api/services/${encodeURIComponent(wellFormed(service.name))}`,
    endpoints: endpoints.slice(0, mostDetails).map((view, at) => {
      return endpointDetail(view, instances[at] as InstanceExplanation, atMs, find(service.name, view.endpoint.id))
    }),
    absent: absent.slice(0, mostDetails).map(({ instance, address, tags, verdict }) => ({
      id: text(address),
      instance: text(instance),
      tags: tagsText(tags),
      why: text(verdict),
    })),
    concerns: concerns.slice(0, mostDetails).map((concern) => text(concern.text)),
    more: lists.reduce((sum, { length }) => sum + Math.max(0, length - mostDetails), 0),
  }
}

function endpointDetail(
  view: EndpointView,
  instance: InstanceExplanation,
  atMs: number,
  suspect: SuspectDetail | null,
): EndpointDetail {
  const { endpoint, inFlight, idealShare, faults } = view
  const { tags, share } = instance
  const block = blockOf(view, suspect)
  const forMs = inBlockForMs(view, block, suspect)
  return {
    id: text(endpoint.id),
    instance: text(endpoint.instance),
    tags: tagsText(tags),
    block,
    // To the second, so that it is the same the next time.
    sinceMs: Number.isFinite(forMs) ? toSecond(atMs - forMs) : 0,
    why: whyOf(instance),
    weight: endpoint.weight,
    inFlight,
    share: share === null ? null : threeDigits(share),
    idealShare: threeDigits(idealShare),
    faults: [...faults].reverse().map(({ agoMs, outcome }) => ({
      atMs: toSecond(atMs - agoMs),
      what: text(outcomeText(outcome)),
    })),
  }
}

/** The verdict; in panic, which is a concern of all, what each one was ejected for. */
function whyOf({ verdict, decidedBy, causes }: InstanceExplanation): string | null {
  if (decidedBy === null) return null
  const ejection = decidedBy === 'panic' ? causes.find(({ kind }) => kind === 'ejection') : undefined
  return text(ejection === undefined ? verdict : `Gets requests although it is ${ejection.text}.`)
}

/** Who is in rotation in spite of something has been so since that, and not since it was last well. */
function inBlockForMs(view: EndpointView, block: Block, suspect: SuspectDetail | null): number {
  if (block === 'f') return view.lastWithheld?.agoMs ?? view.stateForMs
  return block === 'u' ? (suspect?.forMs ?? view.stateForMs) : view.stateForMs
}

function tagsText(tags: readonly string[]): string {
  return text(tags.slice(0, mostTags).join(', '))
}

/** Half a character has no place in a URL. */
function wellFormed(name: string): string {
  return name.replace(/\p{Surrogate}/gu, '\ufffd')
}

function toSecond(ms: number): number {
  return Math.round(ms / 1_000) * 1_000
}

function text(untrusted: string): string {
  return printable(untrusted, longestText)
}
