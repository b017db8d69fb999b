/**
 * `evenkeel demo`: everything that is needed to try the proxy, in one process: a catalog in memory that speaks Consul's
 * HTTP API, the proxy following it, and sample services that register themselves. All of it is on loopback addresses.
 */

import { Agent } from 'node:http'
import type { Readable, Writable } from 'node:stream'
import { type App, startApp } from '../app.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { type CatalogServer, startCatalogServer } from '../demo/catalog-server.ts'
import { createConsole } from '../demo/console.ts'
import { send } from '../demo/http-client.ts'
import { shortLines } from '../demo/log-lines.ts'
import { type Fleet, startFleet } from '../demo/services.ts'
import { createLog } from '../log.ts'
import { version } from '../version.ts'

export interface DemoOptions {
  /** Null: 8080; 0: any free one. */
  readonly port: number | null
  /** Null: 8081; 0: any free one. */
  readonly adminPort: number | null
}

export interface DemoStreams {
  /** Null: there is nobody who types. */
  readonly input: Readable | null
  readonly out: Writable
  readonly err: Writable
  /** Resolves when the demo shall end. */
  readonly ended: Promise<unknown>
}

/** What has been started so far; it is closed from the outside in. */
interface Started {
  catalog?: CatalogServer
  app?: App
  fleet?: Fleet
}

const defaultPort = 8080
const defaultAdminPort = 8081
const readyWithinMs = 20_000

/** Runs the demo until `quit`, Ctrl-D, SIGINT or SIGTERM. @returns the exit code: 0, or 1 when it cannot run */
export function demo(options: DemoOptions): Promise<number> {
  const { stdin, stdout, stderr } = process
  const ended = untilSignal()
  return runDemo(options, { input: stdin.isTTY ? stdin : null, out: stdout, err: stderr, ended })
}

/** The same with streams of one's own. */
export async function runDemo(options: DemoOptions, { input, out, err, ended }: DemoStreams): Promise<number> {
  const started: Started = {}
  const terminal = createConsole(input, out, 'isTTY' in out && out.isTTY === true)
  // Until it has started, what there is to say is either the greeting or the one line of the error.
  const early: string[] = []
  let tell = (line: string): void => void early.push(line)
  try {
    const starting = start(options, started, (line) => tell(line))
    // A signal during the start ends it too; what has started by then is closed below.
    const greeting = await Promise.race([starting, ended.then(() => null)])
    if (greeting === null) await starting.catch(() => {})
    else {
      terminal.say(greeting)
      tell = (line) => void (input === null ? err.write(line) : terminal.say(line))
      for (const line of early) tell(line)
      if (started.fleet !== undefined) await Promise.race([terminal.run(started.fleet), ended])
    }
    terminal.close()
    terminal.say('closing: the proxy drains, the instances deregister\n')
    return 0
  } catch (error) {
    err.write(`evenkeel: ${explain(error, options)}\n`)
    return 1
  } finally {
    terminal.close()
    // The proxy first: while it drains, the instances still answer what is in flight.
    await started.app?.close()
    await started.fleet?.close()
    await started.catalog?.close()
  }
}

/** Starts everything; resolves with the text that greets, once the first curl line of it works. */
async function start(options: DemoOptions, started: Started, tell: (line: string) => void): Promise<string> {
  const catalog = await startCatalogServer()
  started.catalog = catalog
  const app = await startProxy(options, catalog, tell)
  started.app = app
  const proxyUrl = `http://127.0.0.1:${await app.ready}`
  started.fleet = await startFleet({ catalogUrl: catalog.url, proxyUrl })
  await firstAnswer(`${proxyUrl}/accountservice/accounts/10000`)
  return welcome(proxyUrl, `http://127.0.0.1:${app.adminPort}`, catalog.url)
}

async function startProxy(options: DemoOptions, catalog: CatalogServer, tell: (line: string) => void): Promise<App> {
  const { port, adminPort } = options
  // The environment is left out: a CONSUL_HTTP_TOKEN or an EVENKEEL_CONFIG meant for the real thing has no place here.
  const loaded = loadConfig({
    env: {},
    flags: {
      port: String(port ?? defaultPort),
      adminPort: String(adminPort ?? defaultAdminPort),
      consul: catalog.url,
      set: ['listen.host=127.0.0.1', 'log.level=warn', 'accessLog.enabled=false', 'shutdown.drainTimeout=2s'],
    },
  })
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('; '))
  const { config } = loaded
  const log = createLog({ level: config.log.level, destination: shortLines(tell) })
  return startApp({ config, log: log.log, setLogLevel: log.setLevel, version })
}

/** Resolves once the proxy answers the first curl line: the catalog's news takes a moment to arrive. */
async function firstAnswer(url: string): Promise<void> {
  const agent = new Agent()
  const until = performance.now() + readyWithinMs
  for (;;) {
    const ask = { method: 'GET', url, timeoutMs: 2000, agent } as const
    const said = await send(ask).then(
      ({ status }) => status,
      (error: Error) => error.message,
    )
    if (said === 200) return
    if (performance.now() > until) throw new Error(`${url} does not answer 200 but ${said}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function welcome(proxy: string, admin: string, catalog: string): string {
  return `
Evenkeel ${version} demo: a catalog, 3 accountservice and 2 quotes-service instances, and the proxy before them.

  proxy    ${proxy}
  admin    ${admin}/   a live page; /metrics /api/services /readyz
  catalog  ${catalog}   speaks Consul's HTTP API

Try in another terminal, and watch servedBy walk:
  curl ${proxy}/accountservice/accounts/10000
  curl ${proxy}/quotes-service/api/quote
  curl ${admin}/api/services
Why requests go where they go, and what is wrong with the way there:
  npm run evenkeel -- explain accountservice --admin ${admin}
  npm run evenkeel -- doctor --consul ${catalog}
Register a service of your own with any Consul client:
  consul services register -http-addr=${catalog} -name=mine -address=127.0.0.1 -port=9000

`
}

/** Resolves with the first SIGTERM or SIGINT; a second one ends the process at once. */
function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0
    const onSignal = (): void => {
      signals++
      if (signals === 1) resolve()
      else process.exit(1)
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

function explain(error: unknown, options: DemoOptions): string {
  const { code, syscall, port } = error as NodeJS.ErrnoException & { port?: number }
  const isAdmin = port === (options.adminPort ?? defaultAdminPort) && port !== (options.port ?? defaultPort)
  const cure = `use ${isAdmin ? '--admin-port' : '--port'} 0 for any free one`
  if (syscall === 'listen' && code === 'EADDRINUSE') return `port ${port} is taken: end what listens there, or ${cure}`
  if (syscall === 'listen' && code === 'EACCES') return `port ${port} needs more rights: ${cure}`
  return error instanceof Error ? error.message : String(error)
}
