/** Metrics of an app that is not there: a clock, a table and connections that the test sets. */

import type { PortUse } from '../../src/admin/local-ports.ts'
import { createMetrics } from '../../src/admin/metrics.ts'
import type { TableView } from '../../src/balancer/view.ts'
import { type ReadExposition, readExposition } from './exposition.ts'
import { endpointView, serviceView, tableView } from './fixtures.ts'

export const id = '10.0.0.1:80'
export const quotes = tableView(serviceView('quotes', { endpoints: [endpointView(80)] }))
export const openMetrics = 'application/openmetrics-text;version=1.0.0'

export function setUp(first: TableView = quotes) {
  let nowMs = 1000
  let view = first
  let catalogAgeMs: number | null = null
  let maxServices = 1000
  let portUse: PortUse = { localPorts: 28_232, timeWaitSockets: 89 }
  const metrics = createMetrics({
    version: '1.2.3',
    engine: 'http-proxy',
    now: () => nowMs,
    view: () => view,
    maxServices: () => maxServices,
    readiness: () => ({ state: catalogAgeMs === null ? 'starting' : 'fresh', ageMs: catalogAgeMs }),
    parts: () => [
      { source: 'consul', confirmedAgoMs: 1500 },
      { source: 'eureka', confirmedAgoMs: null },
    ],
    suspects: () => ({ held: 3, kept: 1 }),
    clientConnections: () => 7,
    upstreamConnections: () => 9,
    portUse: () => Promise.resolve(portUse),
  })
  return {
    metrics,
    advance: (ms: number) => {
      nowMs += ms
    },
    setCatalogAge: (ageMs: number) => {
      catalogAgeMs = ageMs
    },
    setMaxServices: (limit: number) => {
      maxServices = limit
    },
    setPortUse: (next: PortUse) => {
      portUse = next
    },
    setView: (next: TableView) => {
      view = next
    },
    scrape: async (): Promise<ReadExposition> => readExposition((await metrics.render(undefined)).body),
  }
}

export function inText(labels: Readonly<Record<string, string>>) {
  return { service: 'quotes', ...labels }
}
