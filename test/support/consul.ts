/** A real Consul agent for a test: on free ports of 127.0.0.1, quiet, restartable, and never left behind. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CatalogApi, catalogApi } from './consul-api.ts'
import { findConsul } from './consul-binary.ts'
import { waitFor } from './wait.ts'

export interface ConsulPorts {
  readonly http: number
  readonly server: number
  readonly serfLan: number
  readonly serfWan: number
  /** UDP and TCP; absent: no DNS. */
  readonly dns?: number
}

export interface StartConsulOptions {
  /**
   * True: the agent keeps its data on disk, in a folder of its own that `stop` removes, so that `start` after `kill`
   * finds them again. Otherwise it is a `-dev` agent, ready sooner, whose data die with it.
   */
  readonly persistent?: boolean
  readonly ports?: ConsulPorts
  /** Default: `dc1`. */
  readonly datacenter?: string
  /** True: it answers DNS queries too. */
  readonly dns?: boolean
  /** Default: no access control. Else everything is denied to who lacks a token, and this is the one that may all. */
  readonly aclToken?: string
  /** More configuration, in HCL. */
  readonly hcl?: readonly string[]
}

/** A running agent, and its API to change the catalog with (see `CatalogApi`). */
export interface ConsulAgent extends CatalogApi {
  readonly port: number
  readonly ports: ConsulPorts
  readonly datacenter: string
  /** The agent's process id; null when it does not run. */
  readonly pid: number | null
  /** Puts the agent's node in maintenance, or out of it. */
  nodeMaintenance(enable: boolean): Promise<void>
  /** Joins the agent's datacenter with that of `other`, and resolves once each of them is asked for through the other. */
  joinWan(other: ConsulAgent): Promise<void>
  /** Sends a signal and resolves once the process is gone. Ports and data stay. Does nothing when it does not run. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again after `kill`, on the same ports. */
  start(): Promise<void>
  /** Ends it for good and removes its data. */
  stop(): Promise<void>
}

/**
 * Starts an agent and waits until it has a leader and knows its own node.
 * @throws when there is no `consul` to be had, or it does not get ready within 40 s
 */
export async function startConsul(options: StartConsulOptions = {}): Promise<ConsulAgent> {
  const binary = await findConsul()
  const dataDir = options.persistent === true ? await mkdtemp(join(tmpdir(), 'evenkeel-consul-')) : null
  const ports = options.ports ?? (await freePorts(options.dns === true))
  const datacenter = options.datacenter ?? 'dc1'
  const api = catalogApi(`http://127.0.0.1:${ports.http}`, options.aclToken ?? null)
  const args = agentArguments(options, ports, dataDir)
  let running: RunningAgent | null = null

  async function start(): Promise<void> {
    if (running !== null) throw new Error('this Consul agent runs already')
    const agent = spawnAgent(binary, args)
    running = agent
    try {
      await waitFor('the Consul agent is ready', () => readiness(api, agent), 40_000)
    } catch (error) {
      await kill('SIGKILL')
      throw error
    }
  }

  async function kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const agent = running
    if (agent === null) return
    running = null
    await agent.end(signal)
  }

  await start()
  return {
    ...api,
    port: ports.http,
    ports,
    datacenter,
    get pid() {
      return running?.process.pid ?? null
    },
    async nodeMaintenance(enable) {
      const answer = await api.send('PUT', `/v1/agent/maintenance?enable=${enable}`)
      if (answer.status !== 200) throw new Error(`node maintenance: ${answer.status} ${answer.text}`)
    },
    async joinWan(other) {
      const answer = await api.send('PUT', `/v1/agent/join/127.0.0.1:${other.ports.serfWan}?wan=1`)
      if (answer.status !== 200) throw new Error(`joining ${other.datacenter}: ${answer.status} ${answer.text}`)
      const knows = (from: CatalogApi, dc: string) =>
        waitFor(`${dc} is known`, async () => (await from.send('GET', `/v1/catalog/nodes?dc=${dc}`)).status === 200)
      await Promise.all([knows(api, other.datacenter), knows(other, datacenter)])
    },
    kill,
    start,
    async stop() {
      await kill('SIGKILL')
      if (dataDir !== null) await rm(dataDir, { recursive: true, force: true })
    },
  }
}

function agentArguments(options: StartConsulOptions, ports: ConsulPorts, dataDir: string | null): string[] {
  const hcl = [
    // A single server elects itself at once instead of after 7 s.
    'performance { raft_multiplier = 1 }',
    ...(options.aclToken === undefined
      ? []
      : [`acl { enabled = true default_policy = "deny" tokens { master = "${options.aclToken}" } }`]),
    ...(options.hcl ?? []),
  ]
  return [
    'agent',
    ...(dataDir === null ? ['-dev'] : ['-server', '-bootstrap-expect', '1', '-data-dir', dataDir]),
    ...['-node', 'n1', '-bind', '127.0.0.1', '-client', '127.0.0.1', '-log-level', 'err'],
    ...['-http-port', `${ports.http}`, '-server-port', `${ports.server}`],
    ...['-serf-lan-port', `${ports.serfLan}`, '-serf-wan-port', `${ports.serfWan}`],
    ...['-dns-port', `${ports.dns ?? -1}`, '-grpc-port', '-1'],
    ...(options.datacenter === undefined ? [] : ['-datacenter', options.datacenter]),
    ...hcl.flatMap((text) => ['-hcl', text]),
  ]
}

/** Ready: there is a leader, and the agent has written its own node to the catalog. Not yet: undefined. */
async function readiness(api: CatalogApi, agent: RunningAgent): Promise<true | undefined> {
  if (agent.process.exitCode !== null || agent.process.signalCode !== null) {
    throw new Error(`the Consul agent ended at once: ${agent.output()}`)
  }
  try {
    const leader = await api.get('/v1/status/leader')
    if (typeof leader.body !== 'string' || leader.body === '') return undefined
    const nodes = await api.get('/v1/health/node/n1')
    return Array.isArray(nodes.body) && nodes.body.length > 0 ? true : undefined
  } catch {
    return undefined
  }
}

interface RunningAgent {
  readonly process: ChildProcess
  /** The end of what it has printed. */
  output(): string
  end(signal: NodeJS.Signals): Promise<void>
}

const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

function spawnAgent(binary: string, args: readonly string[]): RunningAgent {
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  alive.add(child)
  let tail = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      tail = (tail + text).slice(-2000)
    })
  }
  const gone = new Promise<void>((resolve) => {
    child.once('error', () => resolve())
    child.once('exit', () => resolve())
  }).then(() => {
    alive.delete(child)
  })
  const watchdog = spawnWatchdog(child.pid)
  return {
    process: child,
    output: () => tail,
    async end(signal) {
      watchdog?.kill('SIGKILL')
      child.kill(signal)
      await gone
    },
  }
}

/**
 * A test process that is killed outright runs no exit hook. Its pipes close, though: this one reads from such a pipe
 * and kills the agent when it ends.
 */
function spawnWatchdog(pid: number | undefined): ChildProcess | null {
  if (pid === undefined) return null
  const watchdog = spawn('sh', ['-c', 'read _; kill -9 "$1" 2>/dev/null', 'sh', `${pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watchdog.on('error', () => {})
  watchdog.stdin?.on('error', () => {})
  watchdog.unref()
  return watchdog
}

/** Below the range that the kernel hands out (32768 and up), so that nobody takes one while the agent is away. */
const LOWEST_PORT = 12_000
const HIGHEST_PORT = 32_000

/** A port of 127.0.0.1 that is free now, and that no outgoing connection and no port 0 will take. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST_PORT + Math.floor(Math.random() * (HIGHEST_PORT - LOWEST_PORT))
    if (await isFree(port)) return port
  }
}

async function freePorts(withDns: boolean): Promise<ConsulPorts> {
  const ports = new Set<number>()
  while (ports.size < 5) ports.add(await freePort())
  const [http = 0, server = 0, serfLan = 0, serfWan = 0, dns = 0] = ports
  return { http, server, serfLan, serfWan, ...(withDns ? { dns } : {}) }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
