/**
 * What does a scrape say?
 *
 * The metrics of the contract as plain data: counters that were kept on the way, and gauges read from the table at
 * this moment. Only services of the table, and `_unrouted`, are shown; those beyond the limit together, as `_other`.
 */

import type { EndpointState, TableView } from '../balancer/view.ts'
import {
  type Counters,
  createServiceSlot,
  durationBounds,
  readRequestKey,
  type ServiceSlot,
  unroutedService,
} from './counters.ts'
import type { Exemplar } from './exemplars.ts'
import type { PortUse } from './local-ports.ts'
import type { ReadinessState } from './readiness.ts'
import { absorb, otherServices } from './service-labels.ts'

export type Labels = Readonly<Record<string, string | number>>

export interface Sample {
  /** When it differs from the family's: `_bucket`, `_sum`, `_count`. */
  readonly metricName?: string
  readonly labels: Labels
  /** Written after `labels`. The renderer remembers their text by identity, which pays for the buckets. */
  readonly sharedLabels: Labels
  readonly value: number
  /** Written in OpenMetrics only. */
  readonly exemplar?: Exemplar
}

export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly values: Sample[]
}

export interface FamilySource {
  readonly counters: Counters
  /** That the counters were pruned by. */
  readonly view: TableView
  readonly state: ReadinessState
  /** Null before the catalog was confirmed for the first time: the gauge then has no sample. */
  readonly catalogAgeSeconds: number | null
  /** Each source of the catalog, and since when it last stood by what it says; null: it never did. */
  readonly parts: readonly { readonly source: string; readonly confirmedAgoMs: number | null }[]
  readonly suspects: { readonly held: number; readonly kept: number }
  readonly clientConnections: number
  readonly upstreamConnections: number
  readonly ports: PortUse
  readonly version: string
  readonly engine: string
}

const none: Labels = {}
const states = ['healthy', 'ejected', 'probing', 'drained'] as const
const readinessStates: readonly ReadinessState[] = ['starting', 'fresh', 'stale', 'draining']

/** Every family of the contract except `process_*` and `nodejs_*`, in its order. */
export function buildFamilies(source: FamilySource): Family[] {
  const { counters, view } = source
  const f = emptyFamilies()

  for (const { slot, inFlight, byState, pickSpread } of rowsOf(counters, view)) {
    addRequests(f.requests, slot)
    addDurations(f.durations, slot)
    push(f.inFlight, none, slot.labels, inFlight)
    push(f.panicPicks, none, slot.labels, slot.panicPicks)
    push(f.membershipErrors, none, slot.labels, slot.membershipErrors)
    for (const [reason, value] of slot.retries) push(f.retries, { ...slot.labels, reason }, none, value)
    for (const [reason, value] of slot.withheld) push(f.withheld, { ...slot.labels, reason }, none, value)
    for (const { labels, attempts, ejections } of slot.endpoints.values()) {
      for (const [outcome, value] of attempts) push(f.attempts, { ...labels, outcome }, none, value)
      for (const [reason, value] of ejections) push(f.ejections, { ...labels, reason }, none, value)
    }
    for (const state of states) push(f.endpoints, { ...slot.labels, state }, none, byState[state])
    push(f.pickSpread, none, slot.labels, pickSpread)
  }

  // A service that is really called `_unrouted` has been shown above: a series must not appear twice.
  if (!view.services.some((service) => service.name === unroutedService)) {
    const unrouted = counters.services.get(unroutedService) ?? createServiceSlot(unroutedService)
    addRequests(f.requests, unrouted)
    addDurations(f.durations, unrouted)
  }

  for (const state of readinessStates) push(f.readiness, { state }, none, state === source.state ? 1 : 0)
  if (source.catalogAgeSeconds !== null) push(f.catalogAge, none, none, source.catalogAgeSeconds)
  for (const { source: name, confirmedAgoMs } of source.parts) {
    if (confirmedAgoMs !== null) push(f.sourceAge, { source: name }, none, confirmedAgoMs / 1000)
  }
  for (const [result, value] of counters.catalogUpdates) push(f.catalogUpdates, { result }, none, value)
  for (const [state, value] of Object.entries(source.suspects)) push(f.suspects, { state }, none, value)
  for (const [decision, value] of counters.decisions) push(f.decisions, { decision }, none, value)
  for (const [code, value] of counters.localErrors) push(f.localErrors, { code }, none, value)
  push(f.clientConnections, none, none, source.clientConnections)
  push(f.upstreamConnections, none, none, source.upstreamConnections)
  const { localPorts, timeWaitSockets } = source.ports
  if (localPorts !== null) push(f.localPorts, none, none, localPorts)
  if (timeWaitSockets !== null) push(f.timeWaitSockets, none, none, timeWaitSockets)
  push(f.buildInfo, { version: source.version, engine: source.engine }, none, 1)
  return Object.values(f)
}

/** What is shown under one service label. */
interface Row {
  readonly slot: ServiceSlot
  readonly byState: Record<EndpointState, number>
  inFlight: number
  pickSpread: number
}

/** A row for each service that has a label of its own, and one for all others, once there were any. */
function rowsOf({ services, labels, departed }: Counters, view: TableView): Row[] {
  const other = emptyRow(createServiceSlot(otherServices))
  absorb(other.slot, departed)
  const rows = labels.hadOthers() ? [other] : []
  for (const service of view.services) {
    const slot = services.get(service.name) ?? createServiceSlot(service.name)
    const isOther = labels.isOther(service.name)
    const row = isOther ? other : emptyRow(slot)
    if (isOther) absorb(other.slot, slot)
    else rows.push(row)
    row.inFlight += slot.inFlight
    for (const endpoint of service.endpoints) row.byState[endpoint.state] += 1
    row.pickSpread = Math.max(row.pickSpread, service.pickSpread)
  }
  return rows
}

function emptyRow(slot: ServiceSlot): Row {
  return { slot, byState: { healthy: 0, ejected: 0, probing: 0, drained: 0 }, inFlight: 0, pickSpread: 0 }
}

function emptyFamilies() {
  return {
    requests: family('counter', 'evenkeel_requests_total', 'Requests answered, by the status that the client saw.'),
    durations: family(
      'histogram',
      'evenkeel_request_duration_seconds',
      'From the request head to the end of the answer; of an upgraded connection, until its 101.',
    ),
    inFlight: family('gauge', 'evenkeel_requests_in_flight', 'Requests that have begun and not yet ended.'),
    attempts: family('counter', 'evenkeel_attempts_total', 'Attempts on an endpoint, by how they ended.'),
    retries: family('counter', 'evenkeel_retries_total', 'Attempts beyond the first, by what went wrong before.'),
    endpoints: family('gauge', 'evenkeel_endpoints', 'Endpoints in the routing table, by state.'),
    ejections: family('counter', 'evenkeel_ejections_total', 'Times an endpoint was taken out of rotation.'),
    withheld: family('counter', 'evenkeel_ejections_withheld_total', 'Ejections that were due and did not happen.'),
    panicPicks: family('counter', 'evenkeel_panic_picks_total', 'Picks made although every endpoint was ejected.'),
    membershipErrors: family(
      'counter',
      'evenkeel_membership_errors_total',
      'Answers of 5xx within 5 s of the joining or leaving of the endpoint that was tried last.',
    ),
    pickSpread: family(
      'gauge',
      'evenkeel_pick_spread',
      'Picks by which the endpoint most ahead of its share is in front of the one most behind, since the last change.',
    ),
    readiness: family(
      'gauge',
      'evenkeel_readiness',
      'What /readyz says: 1 for the state that holds, 0 for the others.',
    ),
    catalogAge: family(
      'gauge',
      'evenkeel_catalog_age_seconds',
      'Since the source last confirmed the catalog; absent until it first did.',
    ),
    sourceAge: family(
      'gauge',
      'evenkeel_catalog_source_age_seconds',
      'Since each source last stood by what it says; absent until it first did.',
    ),
    catalogUpdates: family('counter', 'evenkeel_catalog_updates_total', 'Answers of the source, by what came of them.'),
    suspects: family(
      'gauge',
      'evenkeel_suspect_endpoints',
      'Endpoints in rotation that the last answer of the catalog leaves out.',
    ),
    decisions: family(
      'counter',
      'evenkeel_admission_decisions_total',
      'What became of endpoints that an answer of the catalog left out and that were held, and of being held.',
    ),
    localErrors: family(
      'counter',
      'evenkeel_local_errors_total',
      'Connections to endpoints that failed for want of something on the machine of the proxy.',
    ),
    clientConnections: family('gauge', 'evenkeel_client_connections', 'Open connections from clients.'),
    upstreamConnections: family('gauge', 'evenkeel_upstream_connections', 'Open connections to endpoints.'),
    localPorts: family(
      'gauge',
      'evenkeel_local_ports',
      'Local ports that this machine has for connections to one address; absent where it does not say.',
    ),
    timeWaitSockets: family(
      'gauge',
      'evenkeel_time_wait_sockets',
      'Ended connections whose ports wait, of all programs here; absent where the machine does not say.',
    ),
    buildInfo: family('gauge', 'evenkeel_build_info', 'What is running; always 1.'),
  }
}

function family(type: Family['type'], name: string, help: string): Family {
  return { name, help, type, values: [] }
}

function push(to: Family, labels: Labels, sharedLabels: Labels, value: number): void {
  to.values.push({ labels, sharedLabels, value })
}

function addRequests(to: Family, slot: ServiceSlot): void {
  for (const [key, value] of slot.requests) push(to, { ...slot.labels, ...readRequestKey(key) }, none, value)
}

/** A service without requests has no histogram: eighteen lines of nothing for every idle service add up. */
function addDurations(to: Family, slot: ServiceSlot): void {
  if (slot.requests.size === 0) return
  const bucket = `${to.name}_bucket`
  const exemplarOf = (index: number) => {
    const exemplar = slot.exemplars?.[index]
    return exemplar === undefined ? undefined : { exemplar }
  }
  let count = 0
  durationBounds.forEach((le, index) => {
    count += slot.durations[index] ?? 0
    to.values.push({
      metricName: bucket,
      labels: { le },
      sharedLabels: slot.labels,
      value: count,
      ...exemplarOf(index),
    })
  })
  count += slot.durations[durationBounds.length] ?? 0
  to.values.push({
    metricName: bucket,
    labels: { le: '+Inf' },
    sharedLabels: slot.labels,
    value: count,
    ...exemplarOf(durationBounds.length),
  })
  to.values.push({ metricName: `${to.name}_sum`, labels: none, sharedLabels: slot.labels, value: slot.durationSeconds })
  to.values.push({ metricName: `${to.name}_count`, labels: none, sharedLabels: slot.labels, value: count })
}
