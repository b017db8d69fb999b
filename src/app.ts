/**
 * One serving process, put together: the composition root.
 *
 * Everything is made here and nowhere else, in the order in which it depends on each other, and closed the other way
 * round. The admin listener answers from the start; the data port opens when the first catalog is in.
 */

import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { createLocalErrorLog } from './admin/local-errors.ts'
import { createMetrics } from './admin/metrics.ts'
import { createAdminServer } from './admin/server.ts'
import { createBalancer, type ServiceChange, type TableChange } from './balancer/balancer.ts'
import type { Catalog, Endpoint } from './balancer/endpoint.ts'
import type { BalancerObserver } from './balancer/observer.ts'
import type { Config } from './config/config.ts'
import { redactedConfig } from './config/convert.ts'
import { settingsOf } from './config/in-effect.ts'
import { restartOnlyChanges } from './config/reload.ts'
import { consulSource } from './discovery/consul-source.ts'
import { createFreshness } from './discovery/freshness.ts'
import type { CatalogSource, SourceError } from './discovery/source.ts'
import { staticSource } from './discovery/static-source.ts'
import { createAccessLog, type LogLevel } from './log.ts'
import { httpProxyEngine } from './proxy/engines/http-proxy.ts'
import { wireEngine } from './proxy/engines/wire/wire.ts'
import type { Engine } from './proxy/exchange.ts'
import { createHandler } from './proxy/handle-exchange.ts'
import type { ProxyObserver } from './proxy/observer.ts'

export interface AppOptions {
  readonly config: Config
  readonly log: Logger
  readonly setLogLevel: (level: LogLevel) => void
  readonly version: string
}

export interface App extends AsyncDisposable {
  readonly adminPort: number
  /** Resolves with the data port once it is open; rejects when it cannot be had. Never settles if closed before. */
  readonly ready: Promise<number>
  /** Takes a new config; answers which changed keys wait for a restart. */
  reload(config: Config): readonly string[]
  /** Drains and closes everything, in `shutdown.drainDelay` + `shutdown.drainTimeout` at the most. Idempotent. */
  close(): Promise<void>
}

const engines: Readonly<Record<Config['engine'], Engine>> = { 'http-proxy': httpProxyEngine, wire: wireEngine }

/** Makes and starts everything. Rejects when the admin port cannot be had; then nothing is left running. */
export async function startApp({ config: initial, log, setLogLevel, version }: AppOptions): Promise<App> {
  const now = (): number => performance.now()
  let settings = settingsOf(initial)
  let draining = false
  const freshness = createFreshness(now)

  const balancer = createBalancer({
    now,
    outlier: (service) => settings.outlier(service),
    balancing: (service) => settings.balancing(service),
    observer: {
      onEjected: (...event) => observers.onEjected(...event),
      onRestored: (...event) => observers.onRestored(...event),
      onWithheld: (...event) => observers.onWithheld(...event),
      onPanicPick: (...event) => observers.onPanicPick(...event),
    },
  })
  const metrics = createMetrics({
    version,
    engine: initial.engine,
    now,
    view: balancer.view,
    clientConnections: () => data.clientConnections(),
    upstreamConnections: () => data.upstreamConnections(),
  })
  const accessLog = createAccessLog(log, () => settings.config.accessLog, Math.random)
  const localErrorLog = createLocalErrorLog(log, now)
  const observers = {
    ...metrics,
    ...healthLog(log, metrics),
    onLocalError: (code, endpoint) => {
      metrics.onLocalError(code, endpoint)
      localErrorLog.onLocalError(code, endpoint)
    },
    onRequestEnd: (record) => {
      metrics.onRequestEnd(record)
      accessLog.onRequestEnd(record)
    },
  } satisfies ProxyObserver & BalancerObserver

  const handler = createHandler({
    balancer,
    routing: () => settings.config.routing,
    policy: (service) => settings.policy(service),
    limits: initial.limits,
    isTrustedProxy: (address) => settings.isTrustedProxy(address),
    observer: observers,
    now,
    newRequestId: randomUUID,
    onDefect: (err) => log.error({ err }, 'a request was cut by a defect of the proxy'),
  })
  const data = engines[initial.engine]({
    limits: initial.limits,
    ...handler,
    onFailure: (err) => log.error({ err }, 'the data port failed to take a connection'),
  })

  const admin = createAdminServer({
    version,
    engine: initial.engine,
    metrics,
    view: balancer.view,
    readiness: () => (draining ? { ...freshness.readiness(), state: 'draining' } : freshness.readiness()),
    config: () => redactedConfig(settings.config),
    onError: (err) => log.error({ err }, 'the admin listener failed'),
  })
  const adminPort = await admin.listen(initial.admin.host, initial.admin.port)
  log.info({ host: initial.admin.host, port: adminPort }, 'the admin listener is open')

  let onFirstCatalog: () => void = () => {}
  const firstCatalog = new Promise<void>((resolve) => {
    onFirstCatalog = resolve
  })

  /** Starts to follow the source that the config names. */
  function follow(config: Config) {
    const abort = new AbortController()
    const source = sourceOf(config, log)
    const listeners = {
      onCatalog: (catalog: Catalog) => {
        if (abort.signal.aborted) return
        confirm()
        take(balancer.update(catalog), catalog)
        onFirstCatalog()
      },
      onFresh: () => {
        if (abort.signal.aborted) return
        confirm()
        metrics.onCatalog('unchanged')
      },
      onError: (error: SourceError) => {
        if (abort.signal.aborted) return
        metrics.onCatalog('error')
        if (!freshness.failed(error)) return
        const meanwhile =
          freshness.readiness().state === 'starting' ? 'nothing is served yet' : 'the last good one stays'
        log.warn({ ...error }, `the catalog cannot be read; ${meanwhile}`)
      },
    }
    return { abort, done: source.watch(listeners, abort.signal) }
  }

  function confirm(): void {
    if (freshness.confirmed() === 'recovered') log.info('the catalog is confirmed again')
    metrics.markFresh()
  }

  function take(change: TableChange, catalog: Catalog): void {
    metrics.onCatalog(change.kind === 'changed' ? 'applied' : 'unchanged')
    if (change.kind === 'unchanged') return
    const present = new Set<string>()
    for (const { endpoints } of catalog.services.values()) for (const { id } of endpoints) present.add(id)
    data.dropPooled((endpoint) => !present.has(endpoint))
    metrics.onTableChange(change.services)
    for (const { name, left } of change.services) metrics.dropEndpoints(name, left.map(endpointIdOf))
    logChange(log, change.services)
  }

  let following = follow(initial)
  const ready = firstCatalog.then(async () => {
    // Told to close before there was anything to serve.
    if (draining) return new Promise<never>(() => {})
    const port = await data.listen(initial.listen.host, initial.listen.port)
    log.info({ host: initial.listen.host, port, engine: initial.engine }, 'the data port is open')
    return port
  })
  // Whoever waits for it hears of a failure; nobody has to.
  ready.catch(() => {})

  let closing: Promise<void> | null = null

  async function close(): Promise<void> {
    draining = true
    const { drainDelayMs, drainTimeoutMs } = settings.config.shutdown
    if (drainDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, drainDelayMs))
    await data.close(drainTimeoutMs)
    following.abort.abort()
    await following.done
    await admin.close()
  }

  const app: App = {
    adminPort,
    ready,
    reload: (config) => {
      const before = settings.config
      settings = settingsOf(withWhatIsBound(before, config))
      setLogLevel(config.log.level)
      if (!sameDiscovery(before, settings.config)) {
        following.abort.abort()
        following = follow(settings.config)
      }
      return restartOnlyChanges(before, config)
    },
    close: () => {
      closing ??= close()
      return closing
    },
    [Symbol.asyncDispose]: () => app.close(),
  }
  return app
}

function sourceOf({ discovery }: Config, log: Logger): CatalogSource {
  switch (discovery.source) {
    case 'consul':
      return consulSource(discovery.consul, { log, random: Math.random })
    case 'static':
      return staticSource(discovery.static)
    default:
      return discovery.source satisfies never
  }
}

/** A new config, but for what was decided at the start: `/api/config` shows what is in effect. */
function withWhatIsBound(running: Config, config: Config): Config {
  const { listen, admin, workers, engine, limits } = running
  const discovery = { ...config.discovery, source: running.discovery.source }
  return { ...config, listen, admin, workers, engine, limits, discovery }
}

function sameDiscovery(before: Config, after: Config): boolean {
  return JSON.stringify(before.discovery) === JSON.stringify(after.discovery)
}

/** Health events, counted and written down by name. */
function healthLog(log: Logger, metrics: BalancerObserver): BalancerObserver {
  return {
    onEjected: (service, endpoint, reason, forMs) => {
      metrics.onEjected(service, endpoint, reason, forMs)
      log.warn({ service, endpoint, reason, forMs }, 'an endpoint was ejected')
    },
    onRestored: (service, endpoint) => {
      metrics.onRestored(service, endpoint)
      log.info({ service, endpoint }, 'an endpoint is back in rotation')
    },
    onWithheld: (service, endpoint, due, withheld) => {
      metrics.onWithheld(service, endpoint, due, withheld)
      log.warn({ service, endpoint, due, withheld }, 'an ejection was due and withheld')
    },
    onPanicPick: metrics.onPanicPick,
  }
}

/** Above this many at once (a start, Consul's return) names are for those who ask for them. */
const namedAtOnce = 100

/** Writes down what changed, service by service. */
function logChange(log: Logger, changes: readonly ServiceChange[]): void {
  const many = changes.length > namedAtOnce
  if (many) {
    const count = (list: (change: ServiceChange) => readonly unknown[]): number =>
      changes.reduce((sum, change) => sum + list(change).length, 0)
    const counts = { services: changes.length, joined: count(({ joined }) => joined), left: count(({ left }) => left) }
    log.info(counts, 'the catalog changed; level debug names the services')
  }
  for (const change of changes) log[many ? 'debug' : 'info'](describeChange(change), 'the catalog changed')
}

function describeChange({ name, kind, joined, left, reweighted }: ServiceChange) {
  const named = (list: ServiceChange['joined']) => list.map(({ id, instance }) => `${id} (${instance})`)
  return {
    service: name,
    change: kind,
    joined: named(joined),
    left: named(left),
    changed: reweighted.map(({ id, weight }) => `${id} weight ${weight}`),
  }
}

function endpointIdOf({ id }: Endpoint): string {
  return id
}
