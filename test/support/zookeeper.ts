/**
 * A real ZooKeeper for a test: servers on free ports of 127.0.0.1, their data in a folder of their own, and never left behind.
 * Its clock ticks fast, so that a session may be short.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Heard,
  type Opened,
  openConnection,
  type ZookeeperConnection,
} from '../../src/discovery/zookeeper/zookeeper-connection.ts'
import { codes, type Ticket, type ZookeeperRequest } from '../../src/discovery/zookeeper/zookeeper-messages.ts'
import { freePort } from './consul.ts'
import { waitFor } from './wait.ts'
import { findZookeeper } from './zookeeper-binary.ts'

export interface ZookeeperServer {
  readonly port: number
  /** null when it does not run. */
  readonly pid: number | null
  /** Sends a signal and, unless it is a stop, resolves once the process is gone. Ports and data stay. */
  kill(signal?: NodeJS.Signals): Promise<void>
  signal(signal: NodeJS.Signals): void
  /** Starts it again after `kill`, on the same ports; `ready` is to be awaited afterwards. */
  start(): void
  /** Deletes its data; only after `kill`. */
  wipe(): Promise<void>
}

export interface Zookeeper {
  /** All servers, as a connect string, with `root` behind them. */
  readonly connect: string
  /** What all paths below are below: '', or begins with a slash. */
  readonly root: string
  /** A part of it, as if it were all. */
  below(root: string): Zookeeper
  readonly servers: readonly ZookeeperServer[]
  /** Waits until every server that runs takes sessions. */
  ready(): Promise<void>
  /** A session of its own, with a long timeout; `auth` is `user:password`. It is closed by `stop`. */
  session(auth?: string, ticket?: Ticket): Promise<ZookeeperSession>
  /** A node that stays; those above it are made, too. */
  put(path: string, data: string): Promise<void>
  delete(path: string): Promise<void>
  stop(): Promise<void>
}

export interface ZookeeperSession {
  readonly connection: ZookeeperConnection
  /** Makes a node that goes with this session; those above it are there. @throws when it is refused */
  create(path: string, data: string, guarded?: boolean): Promise<void>
  /** See `Zookeeper`. */
  put(path: string, data: string): Promise<void>
  set(path: string, data: string): Promise<void>
  delete(path: string): Promise<void>
  /** The data of a node; null: there is none. */
  get(path: string): Promise<string | null>
  /** Ends the session, and its nodes. */
  close(): Promise<void>
}

const SESSION_MS = 30_000

/**
 * Starts the servers and waits until they take sessions.
 * @throws when Java or ZooKeeper's jars are not to be had, or it does not answer in time
 */
export async function startZookeeper(count = 1): Promise<Zookeeper> {
  const classPath = await findZookeeper()
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-zookeeper-'))
  const ports = await Promise.all(Array.from({ length: count * 3 }, freePort))
  const at = (server: number, kind: 0 | 1 | 2) => ports[server * 3 + kind] ?? 0
  const ensemble = Array.from({ length: count }, (_, i) => `server.${i + 1}=127.0.0.1:${at(i, 1)}:${at(i, 2)}`)
  const servers = await Promise.all(
    ensemble.map(async (_, i) => {
      const home = join(folder, `${i + 1}`)
      const settings = [
        ...['tickTime=100', 'initLimit=100', 'syncLimit=30', 'minSessionTimeout=400', 'maxSessionTimeout=60000'],
        ...['admin.enableServer=false', '4lw.commands.whitelist=', 'maxClientCnxns=0', 'preAllocSize=1024'],
        ...[`dataDir=${join(home, 'data')}`, 'clientPortAddress=127.0.0.1', `clientPort=${at(i, 0)}`],
        ...(count > 1 ? ensemble : []),
      ]
      await mkdir(home, { recursive: true })
      await writeFile(join(home, 'zoo.cfg'), `${settings.join('\n')}\n`)
      return makeServer(classPath, home, at(i, 0), `${i + 1}`)
    }),
  )
  const sessions = new Set<ZookeeperConnection>()

  async function open(port: number, auth?: string, ticket?: Ticket, connectMs = 5000): Promise<Opened> {
    const opening = { ticket: ticket ?? null, timeoutMs: SESSION_MS, lastZxid: 0n, auth: auth ?? null, connectMs }
    const hearer = { onEvent() {}, onZxid() {}, onBug() {} }
    return openConnection({ address: '127.0.0.1', port }, opening, hearer, new AbortController().signal)
  }

  async function session(root: string, auth?: string, ticket?: Ticket): Promise<ZookeeperSession> {
    const port = servers.find(({ pid }) => pid !== null)?.port
    if (port === undefined) throw new Error('no server of this ZooKeeper runs')
    const opened = await open(port, auth, ticket)
    if (opened.kind !== 'open') throw new Error(`no session: ${JSON.stringify(opened)}`)
    const { connection } = opened
    sessions.add(connection)

    async function ask(request: ZookeeperRequest, allowed?: number): Promise<Heard> {
      const heard = await connection.ask(request)
      if (heard.kind === 'lost') throw new Error(`${request.kind}: the connection was lost`)
      if (heard.kind === 'refused' && heard.code !== allowed) throw new Error(`${request.kind}: ${heard.code}`)
      return heard
    }

    return {
      connection,
      async create(path, data, guarded = false) {
        await ask({ kind: 'create', path: `${root}${path}`, data, as: guarded ? 'goes-guarded' : 'goes' })
      },
      async put(path, data) {
        const names = `${root}${path}`.slice(1).split('/')
        for (const [i] of names.entries()) {
          const above = `/${names.slice(0, i + 1).join('/')}`
          const isLast = i === names.length - 1
          const request = { kind: 'create', path: above, data: isLast ? data : '', as: 'stays' } as const
          const heard = await ask(request, codes.nodeExists)
          if (isLast && heard.kind === 'refused') await ask({ kind: 'set', path: above, data })
        }
      },
      async set(path, data) {
        await ask({ kind: 'set', path: `${root}${path}`, data })
      },
      async delete(path) {
        await ask({ kind: 'delete', path: `${root}${path}` })
      },
      async get(path) {
        const heard = await ask({ kind: 'data', path: `${root}${path}` }, codes.noNode)
        return heard.kind === 'data' ? heard.data.toString('utf8') : null
      },
      async close() {
        sessions.delete(connection)
        await connection.close(true)
      },
    }
  }

  async function once(root: string, work: (session: ZookeeperSession) => Promise<void>): Promise<void> {
    const own = await session(root)
    await work(own).finally(own.close)
  }

  async function ready(): Promise<void> {
    for (const { port, pid } of servers) {
      if (pid === null) continue
      const answers = async () => {
        // A server that starts takes connections which it then forgets.
        const opened = await open(port, undefined, undefined, 500)
        if (opened.kind === 'open') await opened.connection.close(true)
        return opened.kind === 'open'
      }
      await waitFor('ZooKeeper takes sessions', answers, 40_000)
    }
  }

  async function stop(): Promise<void> {
    for (const connection of sessions) await connection.close(false)
    for (const server of servers) await server.kill()
    await rm(folder, { recursive: true, force: true })
  }

  for (const server of servers) server.start()
  await ready().catch(async (error) => {
    await stop()
    throw error
  })
  const below = (root: string): Zookeeper => ({
    connect: `${servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}${root}`,
    root,
    servers,
    below: (more) => below(`${root}${more}`),
    ready,
    session: (auth, ticket) => session(root, auth, ticket),
    put: (path, data) => once(root, (own) => own.put(path, data)),
    delete: (path) => once(root, (own) => own.delete(path)),
    stop,
  })
  return below('')
}

/** ZooKeeper's own command line client, which keeps its session until it is stopped. */
export interface ZookeeperShell {
  /** Types a command, and does not wait for what comes of it. */
  type(command: string): void
  /** Ends it with its session, or kills it without a word. */
  stop(how: 'quit' | 'kill'): Promise<void>
}

export async function startZookeeperShell(connect: string, timeoutMs: number): Promise<ZookeeperShell> {
  const classPath = await findZookeeper()
  const args = ['org.apache.zookeeper.ZooKeeperMain', '-timeout', `${timeoutMs}`, '-server', connect]
  const java = spawnJava(classPath, args, tmpdir(), 'pipe')
  java.child.stdin?.on('error', () => {})
  return {
    type: (command) => void java.child.stdin?.write(`${command}\n`),
    async stop(how) {
      if (how === 'quit') java.child.stdin?.end('quit\n')
      else java.child.kill('SIGKILL')
      await java.gone
    },
  }
}

function makeServer(classPath: string, home: string, port: number, id: string): ZookeeperServer {
  let running: Java | null = null
  return {
    port,
    get pid() {
      return running?.child.pid ?? null
    },
    start() {
      if (running !== null) throw new Error('this server of ZooKeeper runs already')
      // The folder may have been wiped.
      const script = 'mkdir -p data && printf %s "$1" > data/myid && shift && exec java "$@"'
      const main = ['org.apache.zookeeper.server.quorum.QuorumPeerMain', join(home, 'zoo.cfg')]
      running = spawnJava(classPath, main, home, 'ignore', (flags) => ['sh', ['-c', script, 'sh', id, ...flags]])
    },
    async kill(signal = 'SIGKILL') {
      const java = running
      running = null
      java?.child.kill(signal)
      await java?.gone
    },
    signal: (signal) => void running?.child.kill(signal),
    wipe: () => rm(join(home, 'data'), { recursive: true, force: true }),
  }
}

interface Java {
  readonly child: ChildProcess
  readonly gone: Promise<void>
}

const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

function spawnJava(
  classPath: string,
  args: readonly string[],
  cwd: string,
  stdin: 'pipe' | 'ignore',
  command: (flags: readonly string[]) => [string, readonly string[]] = (flags) => ['java', flags],
): Java {
  const flags = [
    '-Xmx128m',
    '-XX:TieredStopAtLevel=1',
    '-XX:+UseSerialGC',
    '-XX:-UsePerfData',
    '-Dzookeeper.forceSync=no',
  ]
  const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=off'
  const child = spawn(...command([...flags, quiet, '-cp', classPath, ...args]), {
    cwd,
    stdio: [stdin, 'ignore', 'ignore'],
  })
  alive.add(child)
  try {
    // The tests' own work must not wait for a virtual machine that warms up.
    if (child.pid !== undefined) setPriority(child.pid, 10)
  } catch {
    // It has ended already, which its exit tells.
  }
  // A test process that is killed outright runs no exit hook; but its pipe closes, and then this kills the server.
  const watchdog = spawn('sh', ['-c', 'read _; kill -9 "$1" 2>/dev/null', 'sh', `${child.pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watchdog.on('error', () => {})
  watchdog.stdin?.on('error', () => {})
  watchdog.unref()
  const gone = new Promise<void>((resolve) => {
    child.once('error', () => resolve())
    child.once('exit', () => resolve())
  }).then(() => {
    alive.delete(child)
    watchdog.kill('SIGKILL')
  })
  return { child, gone }
}
