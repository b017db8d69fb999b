/**
 * How does a test get a real Eureka server, and a client of Netflix's own? Both are built once from Maven Central into this
 * repository's `.cache/`, by the Java and Maven of the machine, and run on free ports of 127.0.0.1. A server keeps nothing on
 * disk: stopped and started again, it knows of nobody. All servers of a test file live in one virtual machine, which ends
 * with the file's process: its start takes seconds of a processor, and that of one more server in it much less.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort } from './consul.ts'
import { waitFor } from './wait.ts'

const run = promisify(execFile)
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url))
const PROJECT = fileURLToPath(new URL('./eureka-server/', import.meta.url))
const SOURCES = ['pom.xml', 'src/main/java/evenkeel/Server.java', 'src/main/java/evenkeel/Client.java']

let found: Promise<string> | null = null

/**
 * The folder of what was built: `classes` and `lib`.
 * @throws one sentence that says what to install
 */
export function findEureka(): Promise<string> {
  found ??= locate()
  return found
}

async function locate(): Promise<string> {
  const hash = createHash('sha256')
  for (const file of SOURCES) hash.update(await readFile(join(PROJECT, file)))
  const target = join(CACHE, `eureka-${hash.digest('hex').slice(0, 12)}`)
  if (await isThere(target)) return target
  try {
    await run('java', ['-version'])
    await build(target)
  } catch (error) {
    const { code, stdout = '', message } = error as { code?: unknown; stdout?: string; message: string }
    const why = stdout.split('\n').find((line) => line.includes('ERROR')) ?? message.split('\n')[0]
    const what = code === 'ENOENT' ? 'they are not on PATH' : why
    throw new Error(`These tests need Java 17 or later and Maven, and what Maven fetches (${what}).`)
  }
  return target
}

/** Builds in a folder of its own and renames the result into place, so that two test workers may do it at once. */
async function build(target: string): Promise<void> {
  await mkdir(CACHE, { recursive: true })
  const folder = await mkdtemp(join(CACHE, 'fetch-'))
  const settings = { 'build.folder': folder, outputDirectory: join(folder, 'lib'), includeScope: 'runtime' }
  const given = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`)
  try {
    const goals = ['compile', 'dependency:copy-dependencies']
    await run('mvn', ['-B', '-q', '-f', join(PROJECT, 'pom.xml'), ...goals, ...given], { maxBuffer: 2 ** 24 })
    await rename(folder, target).catch(async (error) => {
      if (!(await isThere(target))) throw error
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

export interface StartEurekaOptions {
  /** `user:password`; default: anybody may. */
  readonly credentials?: string
  /** How often its cache of answers is renewed; default: 500. Eureka's own default is 30,000. */
  readonly cacheMs?: number
  /** More properties of Spring Cloud's, such as `eureka.server.disable-delta=true`. */
  readonly properties?: readonly string[]
}

export interface EurekaServerProcess {
  readonly port: number
  /** With the path, without credentials. */
  readonly url: string
  /** Registers an instance that never beats by itself; `fields` replace those of its own. */
  register(app: string, id: string, port: number, fields?: Readonly<Record<string, unknown>>): Promise<void>
  /** Sends a request below `url`; any status but 2xx throws. */
  send(method: string, path: string, body?: unknown): Promise<string>
  /** Ends it: its port is closed, its connections are cut, its registry is gone. Does nothing when it does not run. */
  stop(): Promise<void>
  /** Starts it again after `stop`, on the same port, with nothing in it. */
  start(): Promise<void>
}

/**
 * Starts a server and waits until it answers.
 * @throws when it cannot be built, or does not answer within 60 s
 */
export async function startEureka(options: StartEurekaOptions = {}): Promise<EurekaServerProcess> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/eureka`
  const { credentials = '', cacheMs = 500, properties = [] } = options
  const settings = [
    ...[`server.port=${port}`, 'server.address=127.0.0.1', 'logging.level.root=ERROR', 'spring.main.banner-mode=off'],
    ...['eureka.client.register-with-eureka=false', 'eureka.client.fetch-registry=false', `credentials=${credentials}`],
    // Without a farewell to those who are connected.
    ...['server.shutdown=immediate', 'spring.jmx.enabled=false', 'eureka.server.enable-self-preservation=false'],
    ...['eureka.server.eviction-interval-timer-in-ms=500'],
    ...[`eureka.server.response-cache-update-interval-ms=${cacheMs}`, ...properties],
  ]
  const basic = `Basic ${Buffer.from(credentials).toString('base64')}`
  let isRunning = false

  async function send(method: string, path: string, body?: unknown): Promise<string> {
    const headers = { authorization: basic, accept: 'application/json', 'content-type': 'application/json' }
    const text = body === undefined ? {} : { body: JSON.stringify(body) }
    const answer = await fetch(`${url}${path}`, { method, headers, ...text })
    const said = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${said.slice(0, 200)}`)
    return said
  }

  async function start(): Promise<void> {
    if (isRunning) throw new Error('this Eureka server runs already')
    isRunning = true
    await tellServers(`start ${port} ${settings.map((setting) => `--${setting}`).join(' ')}`)
    await send('GET', '/apps')
  }

  async function stop(): Promise<void> {
    if (!isRunning) return
    isRunning = false
    await tellServers(`stop ${port}`)
  }

  await start()
  return {
    port,
    url,
    send,
    async register(app, id, at, fields = {}) {
      const own = { instanceId: id, app, hostName: 'localhost', ipAddr: '127.0.0.1', status: 'UP', vipAddress: app }
      const ports = { port: { $: at, '@enabled': 'true' }, securePort: { $: 443, '@enabled': 'false' } }
      const center = { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' }
      const instance = { ...own, ...ports, dataCenterInfo: center, ...fields }
      await send('POST', `/apps/${encodeURIComponent(app)}`, { instance })
    },
    start,
    stop,
  }
}

let servers: Promise<Conversation> | null = null

/** Has the virtual machine of all servers obey; it is started by the first command. */
async function tellServers(command: string): Promise<void> {
  servers ??= findEureka().then((folder) => converse(spawnJava(folder, 'Server', 512, [])))
  await (await servers).say(command)
}

export interface EurekaClientProcess {
  register(app: string, id: string, port: number): Promise<void>
  status(id: string, status: 'UP' | 'DOWN' | 'STARTING' | 'OUT_OF_SERVICE'): Promise<void>
  /** Takes its leave of the server. */
  shutdown(id: string): Promise<void>
  /** Ends without a word. */
  kill(): Promise<void>
}

/**
 * Starts Netflix's client: whatever it registers beats by itself.
 * @param url of the server, with its path
 * @param beatSeconds between two beats, and `leaseSeconds` after which the server may evict who has not sent any
 */
export async function startEurekaClient(
  url: string,
  beatSeconds: number,
  leaseSeconds: number,
): Promise<EurekaClientProcess> {
  const java = spawnJava(await findEureka(), 'Client', 64, [`${url}/`, `${beatSeconds}`, `${leaseSeconds}`])
  const { say } = converse(java)
  return {
    register: (app, id, port) => say(`register ${app} ${id} ${port}`),
    status: (id, status) => say(`status ${id} ${status}`),
    shutdown: (id) => say(`shutdown ${id}`),
    kill: () => java.kill(),
  }
}

interface Conversation {
  /**
   * Sends one command and waits until it is obeyed; commands are obeyed one after the other.
   * @throws what it answers instead, when it ends, or after 60 s
   */
  say(command: string): Promise<void>
}

function converse(java: JavaProcess): Conversation {
  const { stdin, stdout } = java.process
  if (stdin === null || stdout === null) throw new Error('it has no pipes')
  const answers: string[] = []
  // By event: an iterator stops reading when nobody asks it for lines, and Java stops when nobody reads what it logs.
  createInterface({ input: stdout }).on('line', (line) => {
    if (line === 'ok' || line.startsWith('failed: ')) answers.push(line)
  })
  let turn: Promise<unknown> = Promise.resolve()

  async function exchange(command: string): Promise<void> {
    stdin?.write(`${command}\n`)
    const answer = await waitFor(
      `an answer to ${command}`,
      () => {
        if (java.process.exitCode !== null) throw new Error(`it has ended: ${java.output()}`)
        return answers.shift()
      },
      60_000,
    )
    if (answer !== 'ok') throw new Error(`${command}: ${answer}`)
  }

  return {
    say(command) {
      const mine = turn.then(() => exchange(command))
      turn = mine.catch(() => {})
      return mine
    },
  }
}

interface JavaProcess {
  readonly process: ChildProcess
  /** The end of what it has printed. */
  output(): string
  kill(): Promise<void>
}

const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

function spawnJava(folder: string, main: string, heapMb: number, args: readonly string[]): JavaProcess {
  const path = `${join(folder, 'classes')}:${join(folder, 'lib', '*')}`
  const flags = [`-Xmx${heapMb}m`, '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', path]
  const child = spawn('java', [...flags, `evenkeel.${main}`, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  alive.add(child)
  try {
    // The tests' own work must not wait for a virtual machine that warms up.
    if (child.pid !== undefined) setPriority(child.pid, 10)
  } catch {
    // It has ended already, which its exit tells.
  }
  let tail = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (piece: Buffer) => {
      tail = (tail + piece.toString('utf8')).slice(-2000)
    })
  }
  child.stdin.on('error', () => {})
  // A drill ends when it is done, and the virtual machine with it: whoever waits for an answer has a timer.
  child.unref()
  for (const stream of [child.stdin, child.stdout, child.stderr]) if (stream instanceof Socket) stream.unref()
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
    async kill() {
      watchdog?.kill('SIGKILL')
      child.kill('SIGKILL')
      await gone
    },
  }
}

/** A test process that is killed outright runs no exit hook; its pipes close, though, and this one reads from such a pipe. */
function spawnWatchdog(pid: number | undefined): ChildProcess | null {
  if (pid === undefined) return null
  const script = 'read _; kill -9 "$1" 2>/dev/null'
  const watchdog = spawn('sh', ['-c', script, 'sh', `${pid}`], { stdio: ['pipe', 'ignore', 'ignore'] })
  watchdog.on('error', () => {})
  watchdog.stdin?.on('error', () => {})
  watchdog.unref()
  return watchdog
}
