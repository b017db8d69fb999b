/** A real dnsmasq for a test: on a free port of 127.0.0.1, asking nobody else, restartable, and never left behind. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './consul.ts'
import { findDnsmasq } from './dnsmasq-binary.ts'
import { waitFor } from './wait.ts'

export interface DnsmasqServer {
  /** `127.0.0.1:port` */
  readonly resolver: string
  readonly port: number
  readonly pid: number | null
  /** Replaces its configuration, lines such as `srv-host=_http._tcp.web.test,a.test,80,1,5`, and starts it again. */
  configure(lines: readonly string[]): Promise<void>
  /** By default as it wants to be ended: otherwise its processes for TCP connections live on. */
  kill(signal?: NodeJS.Signals): Promise<void>
  start(): Promise<void>
  /** Ends it for good and removes its files. */
  stop(): Promise<void>
}

const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** Starts it with these lines of configuration, and waits until it answers. */
export async function startDnsmasq(lines: readonly string[]): Promise<DnsmasqServer> {
  const { path, libraries } = await findDnsmasq()
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-dnsmasq-'))
  const file = join(folder, 'dnsmasq.conf')
  const port = await freePort()
  const own = [
    `port=${port}`,
    ...['listen-address=127.0.0.1', 'bind-interfaces', 'no-resolv', 'no-hosts', 'no-poll', 'user=root', 'group=root'],
    ...['keep-in-foreground', 'log-facility=-', 'pid-file=', 'local=/test/', 'local-ttl=1'],
  ]
  let running: ChildProcess | null = null

  async function start(): Promise<void> {
    const child = spawn(path, [`--conf-file=${file}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LD_LIBRARY_PATH: libraries },
    })
    alive.add(child)
    running = child
    let tail = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      tail = (tail + text).slice(-2000)
    })
    child.once('exit', () => alive.delete(child))
    // Not by connecting: a process that a killed one has left behind may still accept for a moment.
    await waitFor('dnsmasq has started', () => {
      if (child.exitCode !== null) throw new Error(`dnsmasq ended at once: ${tail}`)
      return tail.includes('started, version')
    })
  }

  async function kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = running
    running = null
    if (child === null || child.exitCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }

  async function configure(next: readonly string[]): Promise<void> {
    await writeFile(file, `${[...own, ...next].join('\n')}\n`)
    await kill()
    await start()
  }

  await configure(lines)
  return {
    resolver: `127.0.0.1:${port}`,
    port,
    get pid() {
      return running?.pid ?? null
    },
    configure,
    kill,
    start,
    async stop() {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
