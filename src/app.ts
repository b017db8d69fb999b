/**
 * One serving process, put together: the composition root.
 *
 * Everything is made here and nowhere else, in the order in which it depends on each other, and closed the other way
 * round. The admin listener answers from the start; the data port opens when the first catalog is in.
 */

import { randomFillSync, randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { suspectCounts } from './admin/catalog.ts'
import { healthLog, logChange } from './admin/event-log.ts'
import type { ExplainSources } from './admin/explain.ts'
import { createHandLog, createRefusalLog } from './admin/hand-log.ts'
import { createLive } from './admin/live.ts'
import { createLocalErrorLog } from './admin/local-errors.ts'
import { readPortUse } from './admin/local-ports.ts'
import { createMetrics } from './admin/metrics.ts'
import { createPageLoader } from './admin/page.ts'
import type { Readiness } from './admin/readiness.ts'
import { createRequestTrail } from './admin/request-trail.ts'
import { createAdminServer } from './admin/server.ts'
import { createBalancer } from './balancer/balancer.ts'
import type { Catalog, Endpoint } from './balancer/endpoint.ts'
import { allOf, type BalancerObserver } from './balancer/observer.ts'
import type { Config } from './config/config.ts'
import { redactedConfig } from './config/convert.ts'
import { settingsOf } from './config/in-effect.ts'
import { nearest } from './config/keys.ts'
import { restartOnlyChanges, withWhatIsBound } from './config/reload.ts'
import { createRegistration, type Registration } from './discovery/consul/registration.ts'
import { createPushCatalog } from './discovery/push/push-catalog.ts'
import { createFollowing } from './following.ts'
import { createAccessLog, type LogLevel } from './log.ts'
import { httpProxyEngine } from './proxy/engines/http-proxy.ts'
import { wireEngine } from './proxy/engines/wire/wire.ts'
import type { Engine } from './proxy/exchange.ts'
import { createHandler } from './proxy/handle-exchange.ts'
import type { ProxyObserver } from './proxy/observer.ts'
import { createTagRoutes } from './proxy/tag-routes.ts'
import { createTraceMaker } from './proxy/trace-context.ts'
import { sourceKey, whyUnknown } from './source-rules.ts'

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

  const outlierOf = (service: string) => settings.outlier(tagRoutes.settingsOf(service))
  const balancingOf = (service: string) => settings.balancing(tagRoutes.settingsOf(service))
  /** Filled below: they are made with what they watch. */
  const watching: Partial<BalancerObserver>[] = []
  const balancer = createBalancer({
    now,
    outlier: outlierOf,
    balancing: balancingOf,
    observer: allOf(watching),
  })
  const tagRoutes = createTagRoutes({
    isOn: () => settings.config.routing.fabioTags,
    balancer,
    onLeftOut: (routes) => log.warn({ routes }, 'tags claim more routes than there may be: these are left out'),
  })
  const metrics = createMetrics({
    version,
    engine: initial.engine,
    now,
    view: balancer.view,
    maxServices: () => settings.config.metrics.maxServices,
    readiness,
    parts: () => following.status().source?.parts ?? [],
    suspects: () => suspectCounts(following.status().suspects),
    clientConnections: () => data.clientConnections(),
    upstreamConnections: () => data.upstreamConnections(),
    portUse: readPortUse,
  })
  const trail = createRequestTrail({ now })
  const explaining: ExplainSources = {
    facts: (service) => following.instances(service),
    rules: (service) => ({ outlier: outlierOf(service), ...balancingOf(service) }),
    unknown: (name) => ({
      ...whyUnknown(name, settings.config, following.readiness().state !== 'starting'),
      nearest: nearest(name, balancer.traffic().keys()),
    }),
    epochNow: Date.now,
  }
  const live = createLive({
    version,
    engine: initial.engine,
    now,
    epochNow: Date.now,
    view: balancer.view,
    viewService: balancer.viewService,
    knows: balancer.knows,
    slots: metrics.services,
    readiness,
    catalog: () => following.status(),
    explaining,
    onError: (err) => log.error({ err }, 'an open page could not be told what is new'),
  })
  const accessLog = createAccessLog(log, () => settings.config.accessLog, Math.random)
  const localErrorLog = createLocalErrorLog(log, now)
  // A drained endpoint that is to stop would wait for its idle connections.
  const closeIdle = (_: string, drained: string): void => data.dropPooled((endpoint) => endpoint === drained)
  watching.push(metrics, healthLog(log), live.observer, { onDrained: closeIdle })
  const observer: ProxyObserver = {
    ...metrics,
    onLocalError: (code, endpoint) => {
      metrics.onLocalError(code, endpoint)
      localErrorLog.onLocalError(code, endpoint)
    },
    onRequestEnd: (record) => {
      metrics.onRequestEnd(record)
      trail.onRequestEnd(record)
      accessLog.onRequestEnd(record)
    },
  }

  const handler = createHandler({
    balancer,
    routing: () => settings.config.routing,
    tagRoutes: tagRoutes.table,
    policy: (service) => settings.policy(tagRoutes.settingsOf(service)),
    limits: initial.limits,
    isTrustedProxy: (address) => settings.isTrustedProxy(address),
    observer,
    now,
    newRequestId: randomUUID,
    newTrace: createTraceMaker(() => settings.config.tracing, randomFillSync, Math.random),
    onDefect: (err) => log.error({ err }, 'a request was cut by a defect of the proxy'),
  })
  const data = engines[initial.engine]({
    limits: initial.limits,
    ...handler,
    onFailure: (err) => log.error({ err }, 'the data port failed to take a connection'),
  })

  const pushed = createPushCatalog(() => settings.config.discovery.push, { log, now })
  const following = createFollowing({
    pushed,
    log,
    now,
    config: () => settings.config,
    vitals: tagRoutes.vitals,
    traffic: tagRoutes.traffic,
    use: take,
    onResult: (result) => {
      metrics.onCatalog(result)
      live.onCatalog()
    },
    onDecisions: (decisions) => {
      metrics.onDecisions(decisions)
      live.onDecisions(decisions)
    },
  })

  /** Routes by this catalog from now on. True: that is another table than before. */
  function take(admitted: Catalog): boolean {
    const catalog = tagRoutes.take(admitted)
    const change = balancer.update(catalog)
    if (change.kind === 'unchanged') return false
    metrics.onTableChange(change.services)
    const gone = new Set(change.services.flatMap(({ left }) => left.map(endpointIdOf)))
    if (gone.size > 0) {
      // Another service may have an endpoint at the same place.
      for (const { endpoints } of catalog.services.values()) for (const { id } of endpoints) gone.delete(id)
      data.dropPooled((endpoint) => gone.has(endpoint))
      for (const { name, left } of change.services) metrics.dropEndpoints(name, left.map(endpointIdOf))
    }
    logChange(log, change.services)
    live.onTableChange(change.services)
    return true
  }

  function readiness(): Readiness {
    return draining ? { ...following.readiness(), state: 'draining' } : following.readiness()
  }

  const admin = createAdminServer({
    version,
    engine: initial.engine,
    metrics,
    view: balancer.view,
    viewService: balancer.viewService,
    readiness,
    live,
    page: createPageLoader(),
    catalog: () => following.status(),
    explaining,
    acceptCatalog: () => following.accept(),
    trail,
    config: () => redactedConfig(settings.config),
    hands: {
      hands: tagRoutes.hands,
      viewService: balancer.viewService,
      services: () => [...balancer.traffic().keys()],
      onHand: createHandLog(log),
    },
    push: {
      pushed,
      sources: () => settings.config.discovery.sources,
      ownName: () => (settings.config.register.enabled ? settings.config.register.name : null),
    },
    token: () => settings.config.admin.token,
    onRefused: createRefusalLog(log, now),
    onError: (err) => log.error({ err }, 'the admin listener failed'),
  })
  const adminPort = await admin.listen(initial.admin.host, initial.admin.port).catch((error: unknown) => {
    live.close()
    throw error
  })
  log.info({ host: initial.admin.host, port: adminPort }, 'the admin listener is open')

  await following.start()
  const ready = following.firstCatalog.then(async () => {
    // Told to close before there was anything to serve.
    if (draining) return new Promise<never>(() => {})
    const port = await data.listen(initial.listen.host, initial.listen.port)
    log.info({ host: initial.listen.host, port, engine: initial.engine }, 'the data port is open')
    if (initial.register.enabled && !draining) registration = register(initial, { port, adminPort }, log)
    return port
  })
  // Whoever waits for it hears of a failure; nobody has to.
  ready.catch(() => {})

  let registration: Registration | null = null
  let closing: Promise<void> | null = null

  async function close(): Promise<void> {
    draining = true
    live.onCatalog()
    // First, so that nobody is sent here any more who asks for the proxies that there are.
    await registration?.close()
    const { drainDelayMs, drainTimeoutMs } = settings.config.shutdown
    if (drainDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, drainDelayMs))
    await data.close(drainTimeoutMs)
    await following.close()
    pushed.close()
    await admin.close()
  }

  const app: App = {
    adminPort,
    ready,
    reload: (config) => {
      const before = settings.config
      settings = settingsOf(withWhatIsBound(before, config))
      setLogLevel(config.log.level)
      if (sourceKey(before) !== sourceKey(settings.config)) following.restart(before)
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

/** Tells Consul of this proxy from now on. */
function register(config: Config, ports: { port: number; adminPort: number }, log: Logger): Registration {
  const at = { ...ports, adminHost: config.admin.host }
  const registration = createRegistration(config.register, config.discovery.consul, at, { log, random: Math.random })
  registration.start()
  return registration
}

function endpointIdOf({ id }: Endpoint): string {
  return id
}
