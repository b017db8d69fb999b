/** Views and records with everything filled in, so that a test names only what it is about. */

import type { CatalogStatus } from '../../src/admin/catalog.ts'
import type { ExplainSources } from '../../src/admin/explain.ts'
import { endpointId } from '../../src/balancer/endpoint.ts'
import type { EndpointView, ServiceView, TableView } from '../../src/balancer/view.ts'
import type { Suspect } from '../../src/discovery/suspect.ts'
import type { RequestRecord } from '../../src/proxy/observer.ts'
import { defaults } from '../balancer/world.ts'

export function endpointView(port: number, fields: Partial<EndpointView> & { instance?: string } = {}): EndpointView {
  const { instance = `i-${port}`, ...rest } = fields
  return {
    endpoint: { id: endpointId('10.0.0.1', port), instance, address: '10.0.0.1', port, weight: 1 },
    state: 'healthy',
    stateForMs: 60_000,
    drained: null,
    reason: null,
    withheld: null,
    ejectedForMs: null,
    consecutiveFaults: 0,
    consecutiveConnectFaults: 0,
    ejections: 0,
    inFlight: 0,
    picks: 0,
    recentPicks: 0,
    idealShare: 1,
    faults: [],
    lastEjection: null,
    lastWithheld: null,
    warmth: 1,
    ...rest,
  }
}

export function serviceView(name: string, fields: Partial<ServiceView> = {}): ServiceView {
  const panic = { picks: 0, agoMs: null }
  return { name, inCatalog: true, endpoints: [], absent: [], drainedAway: [], pickSpread: 0, panic, ...fields }
}

export function tableView(...services: readonly ServiceView[]): TableView {
  return { services }
}

/** No source, no snapshot, nothing in doubt. */
export const plainCatalog: CatalogStatus = {
  nowMs: 0,
  admission: { enabled: true, holdMs: 10_000 },
  suspects: [],
  source: null,
  snapshot: null,
  failure: null,
  standbyFailures: new Map(),
}

/** No word of the source, the rules as they are by default. */
export const explaining: ExplainSources = {
  facts: () => null,
  rules: () => ({ outlier: defaults, slowStartMs: null }),
  unknown: () => ({ because: 'not-listed', rule: null, text: 'it is not listed', nearest: 'quotes' }),
  epochNow: () => Date.UTC(2026, 0, 1),
}

/** An endpoint that the catalog leaves out since 4 s, of 10 s. */
export function suspect(service: string, port: number, fields: Partial<Suspect> = {}): Suspect {
  const { endpoint } = endpointView(port)
  return {
    service,
    endpoint,
    doubt: 'service-emptied',
    sinceMs: -4_000,
    goodAtStart: 0,
    reads: 1,
    kept: false,
    ...fields,
  }
}

export function record(fields: Partial<RequestRecord> = {}): RequestRecord {
  return {
    requestId: 'r-1',
    method: 'GET',
    path: '/quotes/api',
    query: '',
    service: 'quotes',
    endpoint: '10.0.0.1:80',
    status: 200,
    outcome: 'responded',
    attempts: 1,
    tries: [],
    standing: null,
    durationMs: 12,
    connectMs: 1,
    firstByteMs: 10,
    bytesIn: 0,
    bytesOut: 5,
    clientIp: '192.0.2.7',
    protocol: 'HTTP/1.1',
    traceId: null,
    traceSampled: false,
    ...fields,
  }
}
