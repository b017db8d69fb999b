/**
 * How often did what happen?
 *
 * Everything that is counted while requests run, in plain maps and arrays of numbers: counting one event costs tens of
 * nanoseconds where a labelled metric object costs a microsecond or two. Nothing here knows how it will be shown.
 *
 * A slot (one service, one endpoint) is made by the first event that names it. It is forgotten when the table says so:
 * at once through `dropEndpoints` and `dropService`, and for certain in `prune`, which runs before every scrape, and when
 * many have left without one. So an event that comes late, for an endpoint that has left, can make a slot, but that slot
 * is never seen and never stays.
 * What is counted under `_other` is not forgotten: it is added to `departed`, for the sum may not go down.
 */

import type { EndpointId } from '../balancer/endpoint.ts'
import type { BalancerObserver, EjectionReason, WithheldReason } from '../balancer/observer.ts'
import type { OutcomeKind } from '../balancer/outcome.ts'
import type { TableView } from '../balancer/view.ts'
import type { Decision } from '../discovery/admission.ts'
import type { ProxyObserver, RequestRecord, RetryReason } from '../proxy/observer.ts'
import { type Exemplar, exemplarOf } from './exemplars.ts'
import { localErrorCodes } from './local-errors.ts'
import { absorb, absorbEndpoint, createServiceLabels, otherServices, type ServiceLabels } from './service-labels.ts'

/** Every kind of `Decision`, so that each has its series from the start. */
const decisionKinds: readonly Decision['kind'][] = [
  'held',
  'returned',
  'confirmed',
  'explained',
  'expired',
  'kept',
  'accepted',
]

export type CatalogResult = 'applied' | 'unchanged' | 'held' | 'error'

/** The label of requests that no known service took: one bounded set of series, whatever paths are asked for. */
export const unroutedService = '_unrouted'

/** The method names of RFC 9110 and RFC 5789; every other token is counted as `OTHER`, the last one. */
export const methods = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
  'OTHER',
] as const

/**
 * Upper bounds in seconds. 0.5 ms is below what the proxy itself adds to a fast answer, 60 s is beyond the default
 * response timeout (30 s), which has a bucket of its own so that timeouts are not mixed with slow answers.
 */
export const durationBounds: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
]

const otherMethod = methods.length - 1
const methodIndex: ReadonlyMap<string, number> = new Map(methods.map((name, index) => [name, index]))
const statusRange = 1000

export interface EndpointSlot {
  readonly labels: { readonly service: string; readonly endpoint: EndpointId }
  readonly attempts: Map<OutcomeKind, number>
  readonly ejections: Map<EjectionReason, number>
}

export interface ServiceSlot {
  /** Made once for each slot: the renderer remembers its text by identity. */
  readonly labels: { readonly service: string }
  /** By method and status in one number; see `requestKey`. */
  readonly requests: Map<number, number>
  /** Not cumulative: one count for each bound and one for what is above the last. */
  readonly durations: Float64Array
  durationSeconds: number
  /** By bucket: the latest request in it whose trace is recorded; null before the first one. */
  exemplars: (Exemplar | undefined)[] | null
  inFlight: number
  panicPicks: number
  /** Answers of 5xx that a change of the catalog explains. */
  membershipErrors: number
  readonly retries: Map<RetryReason, number>
  readonly withheld: Map<WithheldReason, number>
  readonly endpoints: Map<EndpointId, EndpointSlot>
}

export interface Counters extends ProxyObserver, BalancerObserver {
  readonly services: ReadonlyMap<string, ServiceSlot>
  /** Whose label is its own, as of the last `prune`. */
  readonly labels: ServiceLabels
  /** What services and endpoints counted that were under `_other` and have left. */
  readonly departed: ServiceSlot
  readonly catalogUpdates: ReadonlyMap<CatalogResult, number>
  readonly decisions: ReadonlyMap<Decision['kind'], number>
  /** Every code there is, from the start. */
  readonly localErrors: ReadonlyMap<string, number>
  onCatalog(result: CatalogResult): void
  /** What became of endpoints that an answer of the catalog left out. */
  onDecisions(decisions: readonly Decision[]): void
  addMembershipErrors(service: string, count: number): void
  dropEndpoints(service: string, endpoints: Iterable<EndpointId>): void
  dropService(service: string): void
  /**
   * Forgets every service and endpoint that is not in this view, and decides who is counted under `_other`.
   * @param maxServices how many services may have a label of their own
   */
  prune(view: TableView, maxServices: number): void
}

/** Method and status of a key of `ServiceSlot.requests`. */
export function readRequestKey(key: number): { method: string; code: string } {
  return { method: methods[Math.floor(key / statusRange)] ?? 'OTHER', code: String(key % statusRange) }
}

/** True when a key of `ServiceSlot.requests` is of answers of 5xx. */
export function isServerError(key: number): boolean {
  return key % statusRange >= 500
}

/** A status that is no whole number below 1000 is counted as 0: it bounds the series, and it is a bug to be seen. */
function requestKey(method: string, status: number): number {
  const code = status > 0 && status < statusRange && Number.isInteger(status) ? status : 0
  return (methodIndex.get(method) ?? otherMethod) * statusRange + code
}

/** Counters that are all zero and know no service yet. */
export function createCounters(): Counters {
  const services = new Map<string, ServiceSlot>()
  const catalogUpdates = new Map<CatalogResult, number>([
    ['applied', 0],
    ['unchanged', 0],
    ['held', 0],
    ['error', 0],
  ])
  const decisions = new Map(decisionKinds.map((kind) => [kind, 0]))
  const localErrors = new Map(localErrorCodes.map((code) => [code, 0]))
  const unrouted = createServiceSlot(unroutedService)
  const labels = createServiceLabels(unroutedService)
  const departed = createServiceSlot(otherServices)

  function service(name: string): ServiceSlot {
    const known = services.get(name)
    if (known !== undefined) return known
    const made = createServiceSlot(name)
    services.set(name, made)
    return made
  }

  function endpoint(name: string, id: EndpointId): EndpointSlot {
    const { endpoints } = service(name)
    const known = endpoints.get(id)
    if (known !== undefined) return known
    const made = { labels: { service: name, endpoint: id }, attempts: new Map(), ejections: new Map() }
    endpoints.set(id, made)
    return made
  }

  function dropService(name: string): void {
    const slot = services.get(name)
    if (slot === undefined || slot === unrouted) return
    if (labels.isOther(name)) absorb(departed, slot)
    if (slot.inFlight === 0) services.delete(name)
    // Its last requests have yet to end: without their number, a service that comes back would count below zero.
    else services.set(name, { ...createServiceSlot(name), inFlight: slot.inFlight })
  }

  function dropEndpoints(name: string, ids: Iterable<EndpointId>): void {
    const slot = services.get(name)
    if (slot === undefined) return
    for (const id of ids) {
      const leaver = slot.endpoints.get(id)
      if (leaver !== undefined && labels.isOther(name)) absorbEndpoint(departed, leaver)
      slot.endpoints.delete(id)
    }
  }

  // A service that is really called so shares the slot: two series of one name would spoil the whole scrape.
  services.set(unroutedService, unrouted)

  return {
    services,
    labels,
    departed,
    catalogUpdates,
    decisions,
    localErrors,
    onRequestStart(name) {
      service(name).inFlight += 1
    },
    onAttempt(name, id, outcome) {
      add(endpoint(name, id).attempts, outcome)
    },
    onRetry(name, reason) {
      add(service(name).retries, reason)
    },
    onLocalError(code) {
      if (localErrors.has(code)) add(localErrors, code)
    },
    onRequestEnd(record) {
      const slot = record.service === null ? unrouted : service(record.service)
      if (record.service !== null && slot.inFlight > 0) slot.inFlight -= 1
      add(slot.requests, requestKey(record.method, record.status))
      observe(slot, answerSeconds(record), record.traceSampled ? record.traceId : null)
    },
    onEjected(name, id, reason) {
      add(endpoint(name, id).ejections, reason)
    },
    // The state gauge tells it; there is nothing to count.
    onRestored() {},
    onDrained() {},
    onUndrained() {},
    onWithheld(name, _id, _due, withheld) {
      add(service(name).withheld, withheld)
    },
    onPanicPick(name) {
      service(name).panicPicks += 1
    },
    addMembershipErrors(name, count) {
      service(name).membershipErrors += count
    },
    onCatalog(result) {
      add(catalogUpdates, result)
    },
    onDecisions(news) {
      for (const { kind } of news) add(decisions, kind)
    },
    dropEndpoints,
    dropService,
    prune(view, maxServices) {
      const present = new Map(view.services.map((each) => [each.name, each]))
      for (const [name, slot] of services) {
        const seen = present.get(name)
        if (seen === undefined) dropService(name)
        else if (slot.endpoints.size > 0) {
          const ids = new Set(seen.endpoints.map((each) => each.endpoint.id))
          dropEndpoints(
            name,
            [...slot.endpoints.keys()].filter((id) => !ids.has(id)),
          )
        }
      }
      if (!present.has(unroutedService)) unrouted.endpoints.clear()
      labels.settle([...present.keys()], maxServices)
    },
  }
}

/** A slot in which nothing was counted yet. */
export function createServiceSlot(name: string): ServiceSlot {
  return {
    labels: { service: name },
    requests: new Map(),
    durations: new Float64Array(durationBounds.length + 1),
    durationSeconds: 0,
    exemplars: null,
    inFlight: 0,
    panicPicks: 0,
    membershipErrors: 0,
    retries: new Map(),
    withheld: new Map(),
    endpoints: new Map(),
  }
}

function add<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/**
 * What one request adds to the histogram. An upgraded connection counts until its 101: how long a WebSocket then stays
 * open is not how long an answer took, and one of a few hours would outweigh every other request of the service.
 */
function answerSeconds(record: RequestRecord): number {
  const ms = record.status === 101 ? (record.firstByteMs ?? record.durationMs) : record.durationMs
  return ms > 0 ? ms / 1000 : 0
}

function observe(slot: ServiceSlot, seconds: number, traceId: string | null): void {
  let index = 0
  while (index < durationBounds.length && seconds > (durationBounds[index] as number)) index += 1
  slot.durations[index] = (slot.durations[index] ?? 0) + 1
  slot.durationSeconds += seconds
  if (traceId === null) return
  slot.exemplars ??= new Array(durationBounds.length + 1)
  slot.exemplars[index] = exemplarOf(traceId, seconds)
}
