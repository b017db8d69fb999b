/**
 * What do operators measure, and how does a scrape get it?
 *
 * The one importer of prom-client, which here only writes the text: the counting is done in `counters.ts`, and each
 * scrape hands freshly built families to a registry of its own. So no two apps share a number, no scrape changes what
 * the next one sees (prom-client can rename a counter in place for OpenMetrics), and departed series are gone.
 */

import { collectDefaultMetrics, type Metric, Registry, type RegistryContentType } from 'prom-client'
import type { ServiceChange } from '../balancer/balancer.ts'
import type { EndpointId } from '../balancer/endpoint.ts'
import type { BalancerObserver } from '../balancer/observer.ts'
import type { TableView } from '../balancer/view.ts'
import type { Decision } from '../discovery/admission.ts'
import type { ProxyObserver } from '../proxy/observer.ts'
import { prefersOpenMetrics } from './accept.ts'
import { type CatalogResult, type Counters, createCounters } from './counters.ts'
import { buildFamilies, type FamilySource } from './families.ts'
import type { PortUse } from './local-ports.ts'
import { createMembershipErrors } from './membership.ts'
import type { Readiness } from './readiness.ts'

export interface MetricsOptions {
  readonly version: string
  /** Name of the engine that serves the data port. */
  readonly engine: string
  /** A monotonic clock in milliseconds. */
  readonly now: () => number
  /** The table as it is now; asked once for each scrape. */
  readonly view: () => TableView
  /** How many services may have series of their own; asked once for each scrape. */
  readonly maxServices: () => number
  readonly readiness: () => Readiness
  /** See `FamilySource`. */
  readonly parts: () => FamilySource['parts']
  /** Endpoints in rotation that the catalog leaves out. */
  readonly suspects: () => { readonly held: number; readonly kept: number }
  readonly clientConnections: () => number
  readonly upstreamConnections: () => number
  readonly portUse: () => Promise<PortUse>
}

export interface Exposition {
  readonly contentType: string
  readonly body: string
}

export interface Metrics extends ProxyObserver, BalancerObserver {
  /** What was counted of each service, as it goes on. */
  readonly services: Counters['services']
  /** What came of one answer (or failure) of the source. */
  onCatalog(result: CatalogResult): void
  /** What became of endpoints that an answer of the catalog left out. */
  onDecisions(decisions: readonly Decision[]): void
  /** Call with every change of the table, once it is swapped and before `dropEndpoints`. */
  onTableChange(services: readonly ServiceChange[]): void
  /** Call after the table was swapped: the series of these endpoints go away. */
  dropEndpoints(service: string, endpoints: Iterable<EndpointId>): void
  /** Call once the table has forgotten the service: all its series go away. */
  dropService(service: string): void
  /**
   * One scrape. A departed endpoint or service that was not dropped, or came back by a late event, is not in it.
   * @param accept the Accept header of the request; OpenMetrics only when it asks for it
   */
  render(accept: string | undefined): Promise<Exposition>
}

/** So many endpoints and services may leave, or as many as there are, before it is looked for what is left of them. */
const leaversAtLeast = 1_000

/** Metrics of one app. Nothing to close: no timer and no listener is its own. */
export function createMetrics(options: MetricsOptions): Metrics {
  const counters = createCounters()
  const membership = createMembershipErrors(options.now, counters.addMembershipErrors)
  // From the start, not from the first scrape: CPU time and the event loop's delay are counted from here on.
  processRegistry()
  let leavers = 0
  let leaversAtMost = leaversAtLeast

  function prune(view: TableView): void {
    counters.prune(view, options.maxServices())
    leavers = 0
    leaversAtMost = view.services.reduce((sum, { endpoints }) => sum + 1 + endpoints.length, leaversAtLeast)
  }

  return {
    ...counters,
    onTableChange(services) {
      membership.onTableChange(services)
      for (const { kind, left } of services) leavers += left.length + (kind === 'removed' ? 1 : 0)
      // A scrape does it too, but there may be nobody who scrapes.
      if (leavers > leaversAtMost) prune(options.view())
    },
    onRequestEnd(record) {
      counters.onRequestEnd(record)
      membership.onRequestEnd(record)
    },
    async render(accept) {
      const processFamilies = await processRegistry().getMetricsAsJSON()
      const ports = await options.portUse()
      const { state, ageMs } = options.readiness()
      const view = options.view()
      prune(view)
      const families = buildFamilies({
        counters,
        view,
        state,
        parts: options.parts(),
        suspects: options.suspects(),
        catalogAgeSeconds: ageMs === null ? null : ageMs / 1000,
        clientConnections: options.clientConnections(),
        upstreamConnections: options.upstreamConnections(),
        ports,
        version: options.version,
        engine: options.engine,
      })
      return write([...families, ...processFamilies], prefersOpenMetrics(accept))
    },
  }
}

/** Each family in a turn of its own, so that a scrape of a thousand services holds up no request for long. */
async function write(families: readonly Named[], openMetrics: boolean): Promise<Exposition> {
  const registry = new Registry<RegistryContentType>()
  if (openMetrics) registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  const parts: string[] = []
  for (const family of families) {
    // OpenMetrics names a counter without `_total` and each of its samples with it; prom-client adds it to the samples.
    const isCounter = String(family.type) === 'counter'
    const name = openMetrics && isCounter ? family.name.replace(/_total$/, '') : family.name
    registry.registerMetric(readyMade({ ...family, name }))
    parts.push(await registry.getSingleMetricAsString(name))
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (openMetrics) parts.push('# EOF')
  return { contentType: registry.contentType, body: `${parts.join('\n')}\n` }
}

interface Named {
  readonly name: string
  /** A string in fact; prom-client's types call that of its own metrics an enum. */
  readonly type: unknown
}

let ofThisProcess: Registry | null = null

/**
 * `process_*` and `nodejs_*` tell of the process and not of one app in it, and prom-client gives no way to stop their
 * event-loop monitor and GC observer. So a process has them once, however many apps come and go in it; neither keeps
 * it alive.
 */
function processRegistry(): Registry {
  if (ofThisProcess === null) {
    ofThisProcess = new Registry()
    collectDefaultMetrics({ register: ofThisProcess, eventLoopMonitoringPrecision: 20 })
  }
  return ofThisProcess
}

/** prom-client renders any object that can `get` itself; its types only know its own classes. */
function readyMade(data: object): Metric {
  const metric = {
    ...data,
    get() {
      return Promise.resolve(metric)
    },
  }
  return metric as unknown as Metric
}
