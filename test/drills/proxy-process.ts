/** How does a drill run Evenkeel itself? As a user does: a process, its log, its admin port, its signals. */

import { spawn } from 'node:child_process'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { waitFor } from '../support/wait.ts'
import { type Exit, guardChild } from './children.ts'
import { repository } from './origins.ts'
import type { Scope } from './scope.ts'

/** A line of the log that is not about a single request. */
export interface LogLine {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

export interface ProxyOptions {
  /** Its URL; absent: the config file names another source. */
  readonly consul?: string
  /** `key.path=value` each. */
  readonly set?: readonly string[]
  readonly configFile?: string
  /** For Node itself, in front of the program. */
  readonly nodeArgs?: readonly string[]
}

/** One endpoint as `/api/services/{name}` shows it. */
export interface EndpointState {
  readonly endpoint: string
  readonly state: 'healthy' | 'ejected' | 'probing' | 'drained'
  readonly inRotation: boolean
  readonly inFlight: number
}

export interface ProxyProcess {
  readonly port: number
  readonly adminPort: number
  /** The log so far, without the access log. */
  readonly log: readonly LogLine[]
  /** Lines of the access log so far. */
  readonly accessLines: () => number
  logged(msg: string): readonly LogLine[]
  /** A GET on the admin port. */
  admin(path: string): Promise<{ readonly status: number; readonly text: string }>
  /** The sum of a metric's series whose labels include those given; 0 when there is none. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>
  /** Endpoints of one service; none when the service is not in the table. */
  endpoints(service: string): Promise<readonly EndpointState[]>
  /** Waits until exactly these are in the table. */
  untilEndpoints(service: string, endpoints: readonly string[], deadlineMs?: number): Promise<void>
  /** What it has written on stderr; the end of it. */
  complaint(): string
  isRunning(): boolean
  /** What it has open, as the system counts; `files` are all, sockets included. */
  openFiles(): Promise<{ readonly sockets: number; readonly files: number }>
  /** Resident memory, now and at its highest. */
  memory(): Promise<{ readonly nowBytes: number; readonly peakBytes: number }>
  /** Seconds of processor time that it has used, in user mode and in the kernel. */
  cpuSeconds(): Promise<number>
  signal(signal: NodeJS.Signals): void
  readonly exited: Promise<Exit>
}

/** The engine that drills run over; null: Evenkeel's default. What a drill sets itself wins. */
export const drillEngine: { name: string | null } = { name: null }

/** What Linux counts processor time in, for programs. */
const ticksPerSecond = 100

/** Starts `evenkeel serve` on free ports and waits until both are open. */
export async function startProxy(scope: Scope, options: ProxyOptions): Promise<ProxyProcess> {
  const args = [
    ...(options.nodeArgs ?? []),
    ...['--import', 'tsx', join(repository, 'src/main.ts'), 'serve', '--port', '0', '--admin-port', '0'],
    ...(options.consul === undefined ? [] : ['--consul', options.consul]),
    ...(drillEngine.name === null ? [] : ['--set', `engine=${drillEngine.name}`]),
    ...(options.configFile === undefined ? [] : ['--config', options.configFile]),
    ...(options.set ?? []).flatMap((setting) => ['--set', setting]),
  ]
  const child = spawn(process.execPath, args, {
    cwd: repository,
    env: plainEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = guardChild(child)
  scope.onEnd(() => {
    child.kill('SIGKILL')
    return exited
  })

  const log: LogLine[] = []
  let accessLines = 0
  let complaint = ''
  let hasEnded = false
  void exited.then(() => {
    hasEnded = true
  })
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.endsWith('"msg":"request"}')) accessLines++
    else log.push(JSON.parse(line))
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-2_000)
  })

  const logged = (msg: string) => log.filter((line) => line.msg === msg)
  const portOf = (msg: string) =>
    waitFor(
      msg,
      () => {
        if (hasEnded) throw new Error(`evenkeel ended before "${msg}": ${complaint}`)
        const port = logged(msg)[0]?.port
        return typeof port === 'number' ? port : undefined
      },
      20_000,
    )
  const adminPort = await portOf('the admin listener is open')
  const port = await portOf('the data port is open')
  const admin = (path: string) => get(adminPort, path)

  async function endpoints(service: string): Promise<readonly EndpointState[]> {
    const { status, text } = await admin(`/api/services/${service}`)
    return status === 200 ? JSON.parse(text).endpoints : []
  }

  return {
    port,
    adminPort,
    log,
    accessLines: () => accessLines,
    logged,
    admin,
    metric: async (name, labels = {}) => sumOf((await admin('/metrics')).text, name, labels),
    endpoints,
    untilEndpoints: async (service, wanted, deadlineMs) => {
      const expected = [...wanted].sort().join()
      await waitFor(
        `${service} is ${expected}`,
        async () =>
          (await endpoints(service))
            .map(({ endpoint }) => endpoint)
            .sort()
            .join() === expected,
        deadlineMs,
      )
    },
    complaint: () => complaint,
    isRunning: () => !hasEnded,
    openFiles: async () => {
      const folder = `/proc/${child.pid}/fd`
      // One that is closed while we look is not open.
      const open = await Promise.all((await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => null)))
      const files = open.filter((target) => target !== null)
      return { sockets: files.filter((target) => target.startsWith('socket:')).length, files: files.length }
    },
    memory: async () => {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
      const bytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024
      return { nowBytes: bytes('VmRSS'), peakBytes: bytes('VmHWM') }
    },
    cpuSeconds: async () => {
      // The name of the program, in parentheses, may hold anything; the 14th and 15th field count from its end.
      const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8')
      const [user = 0, system = 0] = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .slice(11, 13)
        .map(Number)
      return (user + system) / ticksPerSecond
    },
    signal: (signal) => void child.kill(signal),
    exited,
  }
}

/** This process's environment without what would configure Evenkeel, or a Consul client. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:EVENKEEL|CONSUL)_/.test(name)))
}

const agent = new Agent({ keepAlive: false })

function get(port: number, path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, agent, timeout: 10_000 }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (piece: string) => {
        text += piece
      })
      answer.on('error', reject)
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
    })
    sent.on('timeout', () => sent.destroy(new Error(`no answer to ${path}`)))
    sent.on('error', reject)
    sent.end()
  })
}

/** The sum of a metric's series whose labels include those given. */
export function sumOf(exposition: string, name: string, labels: Readonly<Record<string, string>>): number {
  let sum = 0
  for (const line of exposition.split('\n')) {
    const [, metric, given = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (metric !== name) continue
    const matches = Object.entries(labels).every(([label, wanted]) => `,${given}`.includes(`,${label}="${wanted}"`))
    if (matches) sum += Number(value)
  }
  return sum
}
