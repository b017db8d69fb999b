/** What concerns a service as a whole? The catalog that it stands on, and what all of its endpoints have in common. */

import type { ServiceView } from '../balancer/view.ts'
import type { AdmissionOptions } from '../discovery/admission.ts'
import { failureText, suspectCounts } from './catalog.ts'
import type { ExplainInput } from './explain.ts'
import { durationText } from './words.ts'

/** `text` is a clause for a person; the other fields say the same to a script. */
export type Concern = { readonly text: string } & (
  | { readonly kind: 'left' }
  | { readonly kind: 'starting' }
  | { readonly kind: 'stale'; readonly agoMs: number | null }
  | { readonly kind: 'snapshot' }
  | { readonly kind: 'unread' }
  | { readonly kind: 'failover' | 'standby-stale'; readonly datacenter: string }
  | {
      readonly kind: 'admission'
      readonly held: number
      readonly kept: number
      readonly holdMs: AdmissionOptions['holdMs']
    }
  | { readonly kind: 'panic'; readonly now: boolean; readonly picks: number; readonly agoMs: number | null }
  | { readonly kind: 'sources' }
  | { readonly kind: 'shadow' }
  | { readonly kind: 'drained-away'; readonly endpoint: string; readonly by: string; readonly agoMs: number }
  | { readonly kind: 'more-instances'; readonly count: number }
)

export interface Circumstances {
  /** All endpoints that may be tried are ejected now. */
  readonly inPanic: boolean
  /** The standby datacenter that the endpoints are in; null: they are in the first one. */
  readonly standby: string | null
  /** The standby datacenters that instances are in. */
  readonly standbys: ReadonlySet<string>
  /** `address:port` of all instances that are told of. */
  readonly places: ReadonlySet<string>
}

export function concernsOf(input: ExplainInput, given: Circumstances): readonly Concern[] {
  return [...catalogConcerns(input, given), ...tableConcerns(input, given)]
}

function catalogConcerns(
  { service, catalog, readiness }: ExplainInput,
  { standby, standbys }: Circumstances,
): Concern[] {
  const concerns: Concern[] = []
  const because = catalog.failure === null ? '' : `. ${failureText(catalog.failure)}`
  if (!service.inCatalog) {
    concerns.push({ kind: 'left', text: 'clients get 503 for ten minutes after it left, then 404' })
  }
  if (readiness.state === 'starting') {
    concerns.push({ kind: 'starting', text: `the proxy has no catalog yet${because}` })
  }
  if (readiness.state === 'stale') {
    const { ageMs: agoMs } = readiness
    const since = agoMs === null ? 'has not been confirmed yet' : `was last confirmed ${durationText(agoMs)} ago`
    concerns.push({ kind: 'stale', agoMs, text: `the catalog ${since}, and may be out of date${because}` })
  }
  if (catalog.snapshot?.inUse === true) {
    const text = 'the catalog is the snapshot of an earlier process: its source has not answered yet'
    concerns.push({ kind: 'snapshot', text })
  }
  for (const { unread, reason } of service.absent) if (unread === true) concerns.push({ kind: 'unread', text: reason })
  if (standby !== null) {
    const text = `datacenter "${standby}" serves it: the first one has no instance in rotation`
    concerns.push({ kind: 'failover', datacenter: standby, text })
  }
  for (const [datacenter, failed] of catalog.standbyFailures) {
    if (!standbys.has(datacenter)) continue
    const text = `datacenter "${datacenter}" cannot be read, and what is known of it may be out of date. ${failureText(failed)}`
    concerns.push({ kind: 'standby-stale', datacenter, text })
  }
  const own = catalog.suspects.filter((suspect) => suspect.service === service.name)
  if (own.length > 0) {
    const { held, kept } = suspectCounts(own)
    const { holdMs } = catalog.admission
    const text = `the catalog's last answer leaves out ${own.length} of its endpoints, which is not believed yet: ${held} held, ${kept} kept (POST /api/catalog/accept applies it)`
    concerns.push({ kind: 'admission', held, kept, holdMs, text })
  }
  return concerns
}

function tableConcerns({ service, facts, outlier }: ExplainInput, { inPanic, places }: Circumstances): Concern[] {
  const concerns: Concern[] = []
  const bySources = countBySources(service)
  if (bySources.length > 1) {
    const named = bySources.map(([sources, count]) => `${count} by ${sources}`).join(', ')
    const text = `not all sources of the catalog name the same endpoints of it: ${named}`
    concerns.push({ kind: 'sources', text })
  }
  const { picks, agoMs } = service.panic
  if (inPanic || picks > 0) {
    const last = agoMs === null ? '' : `, the last one ${durationText(agoMs)} ago`
    const sofar = `${picks} so far${last}`
    const text = inPanic
      ? `all endpoints that may be tried are ejected: requests go to them all the same (${sofar})`
      : `requests were sent to ejected endpoints for want of others: ${sofar}`
    concerns.push({ kind: 'panic', now: inPanic, picks, agoMs: agoMs === null ? null : Math.round(agoMs), text })
  }
  if (!outlier.enforce && service.endpoints.some(({ withheld }) => withheld === 'shadow')) {
    concerns.push({
      kind: 'shadow',
      text: 'endpoints that fail are counted and stay in rotation, since outlier.enforce is false',
    })
  }
  for (const { endpoint, by, agoMs: drainedMs } of service.drainedAway) {
    // An instance that the catalog knows and keeps out has it among its causes.
    if (places.has(endpoint)) continue
    const text = `${endpoint} was drained by ${by} ${durationText(drainedMs)} ago and is not in the catalog now: should it return, it stays drained`
    concerns.push({ kind: 'drained-away', endpoint, by, agoMs: Math.round(drainedMs), text })
  }
  const more = facts?.moreInstances ?? 0
  if (more > 0) {
    const text = `what is said of its checks is kept of the first ${facts?.instances.length} instances, not of ${more} more`
    concerns.push({ kind: 'more-instances', count: more, text })
  }
  return concerns
}

/** How many endpoints are named by the same sources: while a fleet moves, they differ. */
function countBySources({ endpoints }: ServiceView): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>()
  for (const { endpoint } of endpoints) {
    if (endpoint.sources === undefined) continue
    const named = endpoint.sources.length === 1 ? `${endpoint.sources[0]} alone` : endpoint.sources.join(' and ')
    counts.set(named, (counts.get(named) ?? 0) + 1)
  }
  return [...counts].sort(([, a], [, b]) => b - a)
}
