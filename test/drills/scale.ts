/**
 * How large may a catalog be? Very many services on a real Consul: how soon the table is full, how soon a change is in it,
 * of services with a watch of their own and of those that are swept, and what it costs. Nothing of it is a request: what
 * is in the table is told by the proxy's own log, and when.
 */

import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { startConsul } from '../support/consul.ts'
import { type Fixture, fillCatalog } from '../support/consul-fixture.ts'
import { waitFor } from '../support/wait.ts'
import { collectFindings, type Findings, type FindingsCollector, percentile } from './findings.ts'
import { type ProxyProcess, startProxy } from './proxy-process.ts'
import { type Scope, scoped } from './scope.ts'

export interface CatalogSize {
  readonly services: number
  /** Changes of each kind, each of another service: no more than there are. */
  readonly flips: number
  readonly registrations: number
  /** How long nothing changes, to see what that costs. */
  readonly idleSeconds: number
}

export type ScaleSize = readonly CatalogSize[]

export const scaleSmall: ScaleSize = [{ services: 200, flips: 10, registrations: 2, idleSeconds: 2 }]
export const scaleFull: ScaleSize = [
  { services: 1_000, flips: 100, registrations: 15, idleSeconds: 30 },
  { services: 5_000, flips: 100, registrations: 10, idleSeconds: 30 },
]

/** The default of `discovery.consul.maxWatches`; the fixture's first services by name hold the watches. */
const watches = 128
const mostConnections = 150
const instances = 3
const MiB = 1024 ** 2

export async function scale(sizes: ScaleSize): Promise<Findings> {
  const findings = collectFindings()
  for (const size of sizes) await scoped((scope) => scaleOne(scope, size, findings))
  return findings.done()
}

async function scaleOne(scope: Scope, size: CatalogSize, findings: FindingsCollector): Promise<void> {
  const title = (what: string) => `${size.services} × ${instances}: ${what}`
  const consul = await startConsul()
  scope.onEnd(() => consul.stop())
  const fixture = await fillCatalog(consul, { services: size.services, instances, nodes: 50 })
  const { names } = fixture

  const startMs = Date.now()
  const proxy = await startProxy(scope, { consul: consul.url })
  const opened = (msg: string) => Date.parse(String(proxy.logged(msg)[0]?.time))
  const fullMs = opened('the data port is open')
  findings.figure(title('start of the program → table full, ms'), fullMs - startMs)
  findings.figure(title('of that, reading the catalog, ms'), fullMs - opened('the admin listener is open'))
  const listed: readonly unknown[] = JSON.parse((await proxy.admin('/api/services')).text)
  findings.promise(title('no service is missing'), listed.length === size.services, listed.length)
  const endpoints = await proxy.metric('evenkeel_endpoints')
  findings.promise(title('no endpoint is missing'), endpoints === size.services * instances, endpoints)

  let connections = 0
  const looking = setInterval(async () => {
    connections = Math.max(connections, await connectionsTo(consul.port))
  }, 200)
  scope.onEnd(() => clearInterval(looking))

  await idle(proxy, size, title, findings)
  const dedicated = names.slice(0, watches)
  const swept = names.slice(watches)
  for (const [kind, of] of [
    ['watched', dedicated],
    ['swept', swept],
  ] as const) {
    const seen = await flips(proxy, fixture, of.slice(0, size.flips))
    tell(findings, title(`a check of a ${kind} one fails → out of rotation`), seen, size.flips)
  }
  const joined = await registrations(proxy, fixture, swept.slice(-size.registrations))
  tell(findings, title('an instance of a swept one is registered → in rotation'), joined, size.registrations)

  const memory = await proxy.memory()
  findings.figure(title('memory, MiB'), memory.nowBytes / MiB)
  findings.figure(title('memory at its highest, MiB'), memory.peakBytes / MiB)
  findings.figure(title('connections to Consul, at most'), connections)
  findings.promise(title(`no more than ${mostConnections} connections`), connections <= mostConnections, connections)
}

async function idle(
  proxy: ProxyProcess,
  { idleSeconds }: CatalogSize,
  title: (what: string) => string,
  findings: FindingsCollector,
): Promise<void> {
  // What the start has put off is done by then.
  await sleep(Math.min(5, idleSeconds) * 1_000)
  const before = await proxy.cpuSeconds()
  await sleep(idleSeconds * 1_000)
  const share = ((await proxy.cpuSeconds()) - before) / idleSeconds
  findings.figure(title('processor time while nothing changes, % of a core'), share * 100)
}

/** How long each took to be seen, in milliseconds from the beginning of the API call; one that was not is missing. */
async function flips(proxy: ProxyProcess, fixture: Fixture, names: readonly string[]): Promise<readonly number[]> {
  const begun = new Map<string, number>()
  for (const [at, name] of names.entries()) {
    begun.set(name, Date.now())
    await fixture.setCheck(name, at % instances, 'critical')
    // Not in step with anything.
    await sleep(60 + ((at * 37) % 80))
  }
  return seen(proxy, begun, 'left')
}

async function registrations(proxy: ProxyProcess, fixture: Fixture, names: readonly string[]) {
  const begun = new Map<string, number>()
  for (const [at, name] of names.entries()) {
    begun.set(name, Date.now())
    await fixture.register(name, instances)
    await sleep(300 + ((at * 613) % 2_500))
  }
  return seen(proxy, begun, 'joined')
}

async function seen(proxy: ProxyProcess, begun: ReadonlyMap<string, number>, how: 'left' | 'joined') {
  const lines = () => {
    const found = new Map<string, number>()
    for (const { service, time, [how]: endpoints } of proxy.logged('the catalog changed')) {
      const startMs = begun.get(String(service))
      const atMs = Date.parse(String(time))
      if (startMs === undefined || atMs < startMs || !Array.isArray(endpoints) || endpoints.length === 0) continue
      if (!found.has(String(service))) found.set(String(service), atMs - startMs)
    }
    return found
  }
  await waitFor('all of it is seen', () => lines().size === begun.size, 30_000).catch(() => {})
  return [...lines().values()]
}

function tell(findings: FindingsCollector, what: string, tookMs: readonly number[], expected: number): void {
  for (const share of [50, 99]) findings.figure(`${what}, p${share} ms`, percentile(tookMs, share / 100))
  findings.figure(`${what}, worst ms`, percentile(tookMs, 1))
  findings.promise(`${what}: all are seen`, tookMs.length === expected, `${tookMs.length} of ${expected}`)
}

/** Connections from this machine to a port of it that are open now. The drill's own, for a moment each, are among them. */
async function connectionsTo(port: number): Promise<number> {
  const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/))
  return lines.filter(([, , to, state]) => to === remote && state === '01').length
}
