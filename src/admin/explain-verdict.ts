/**
 * Of all that bears on an instance, what decides, and in which sentence is that said? One sentence an instance, one a
 * service.
 */

import type { ServiceView } from '../balancer/view.ts'
import type { Cause, InstanceRecord } from './cause.ts'
import type { InstanceExplanation } from './explain.ts'
import { kindOfReason } from './explain-catalog.ts'
import { countText, percentText } from './words.ts'

/** What keeps an endpoint out, the weightiest first; and what is worth the most attention of one that gets requests. */
const out: readonly Cause['kind'][] = ['drain', 'ejection']
const notable: readonly Cause['kind'][] = [
  'panic',
  'withheld',
  'admission',
  'failing',
  'check',
  'shared-address',
  'slow-start',
]
/** Of an instance that the table lacks, though the catalog says nothing against it. */
const unlisted: readonly Cause['kind'][] = ['catalog', 'tag', 'maintenance', 'check', 'shared-address']

/** Of all that bears on an instance, what decides; null: nothing is to be said. */
export function decisive(
  { endpoint, absent }: InstanceRecord,
  causes: readonly Cause[],
  getsRequests: boolean,
): Cause | null {
  if (getsRequests) return firstOf(causes, notable)
  if (endpoint !== null) return firstOf(causes, out)
  return firstOf(causes, absent === null ? unlisted : [kindOfReason(absent.reason), ...unlisted])
}

export function whatDecides({ endpoint, absent }: InstanceRecord, cause: Cause | null): Cause['kind'] {
  if (endpoint !== null) return endpoint.state === 'drained' ? 'drain' : 'ejection'
  return absent === null ? (cause?.kind ?? 'catalog') : kindOfReason(absent.reason)
}

function firstOf(causes: readonly Cause[], kinds: readonly Cause['kind'][]): Cause | null {
  for (const kind of kinds) {
    const found = causes.find((cause) => cause.kind === kind)
    if (found !== undefined) return found
  }
  return null
}

export function instanceVerdict(
  { endpoint, isPlaceInRotation }: InstanceRecord,
  causes: readonly Cause[],
  cause: Cause | null,
  getsRequests: boolean,
): string {
  if (!getsRequests) {
    const none = `Gets no requests: ${cause?.text ?? `it is ${endpoint?.state ?? 'not in the table'}`}`
    // To say no more than that would send somebody looking for a request that went there.
    const shared = endpoint === null && isPlaceInRotation ? firstOf(causes, ['shared-address']) : null
    return shared === null || shared === cause ? `${none}.` : `${none}. But ${shared.text}.`
  }
  if (endpoint?.state !== 'healthy') return `Gets requests although it is ejected: ${cause?.text ?? 'all are'}.`
  const share = `Gets requests, ${percentText(endpoint.idealShare)} of them`
  return cause === null ? `${share}.` : `${share}, but ${cause.text}.`
}

type Reason = readonly [one: string, many: string]
const fails: Reason = ['fails', 'fail']
const isEjected: Reason = ['is ejected', 'are ejected']

const standsBy: Reason = ['stands by in another datacenter', 'stand by in another datacenter']

/** What is said of those that get no requests, by what decides it. */
const reasons: Readonly<Partial<Record<Cause['kind'], Reason>>> = {
  drain: ['is drained', 'are drained'],
  ejection: isEjected,
  maintenance: ['is in maintenance', 'are in maintenance'],
  tag: ['lacks the tag', 'lack the tag'],
  check: ['fails a check', 'fail a check'],
  'shared-address': ['is a second id of an address', 'are further ids of an address'],
}
const otherReason: Reason = ['is left out by the catalog', 'are left out by the catalog']

export function serviceVerdict({ inCatalog }: ServiceView, instances: readonly InstanceExplanation[]): string {
  if (!inCatalog) return 'It has left the catalog and gets no requests.'
  const total = instances.length
  if (total === 0) return 'It has no instances.'
  const silent = instances.filter(({ getsRequests }) => !getsRequests)
  const get = total - silent.length
  if (total === 1 && get === 0) return `Its one instance gets no requests: it ${reasonOf(silent[0])[0]}.`
  const but = although(instances.filter(({ getsRequests }) => getsRequests))
  if (total === 1) return `Its one instance gets requests${but.replace(/ 1 /, ' it ')}.`
  if (get === total) return `All ${total} instances get requests${but}.`
  const some =
    get === 0 ? `None of ${total} instances gets` : `${get} of ${total} instances ${get === 1 ? 'gets' : 'get'}`
  return `${some} requests${but}${but === '' ? ':' : '; of the others'} ${counted(silent.map(reasonOf))}.`
}

/** What an operator must know of those that get requests before anything else: that they should not, were there others. */
function although(instances: readonly InstanceExplanation[]): string {
  const ills = instances.flatMap(({ decidedBy }) =>
    decidedBy === 'withheld' ? [fails] : decidedBy === 'panic' ? [isEjected] : [],
  )
  return ills.length === 0 ? '' : `, although ${counted(ills)}`
}

/** `2 are ejected, 1 fails a check`: how many there are of each, the most first. */
function counted(reasons: readonly Reason[]): string {
  const counts = new Map<Reason, number>()
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => countText(count, reason))
    .join(', ')
}

function reasonOf(instance: InstanceExplanation | undefined): Reason {
  if (instance?.decidedBy === 'catalog' && instance.datacenter !== null) return standsBy
  return reasons[instance?.decidedBy ?? 'catalog'] ?? otherReason
}
