/**
 * Who starts the processes of a run, and who ends them?
 *
 * Each child leads a process group of its own, so that ending it takes its workers along and Ctrl-C reaches the bench
 * alone, which then ends them all. Whatever way the bench ends, short of being killed outright, no process and no
 * temporary file stays.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'

export interface Address {
  readonly host: string
  readonly port: number
}

export interface Child {
  readonly name: string
  readonly pid: number
  readonly process: ChildProcess
  /** The last of what it has written. */
  output(): string
}

export interface SpawnOptions {
  /** Node's channel to a forked process. */
  readonly ipc?: boolean
  readonly env?: Readonly<Record<string, string>>
}

export interface Fleet {
  /** A folder for files of this run. */
  readonly dir: string
  spawn(name: string, command: string, args: readonly string[], options?: SpawnOptions): Child
  /** Ends these processes and waits until they are gone. */
  stop(children: readonly Child[]): Promise<void>
  /** Throws when a process has ended that nobody ended. */
  check(): void
  /** Ends all, at once. Idempotent. */
  end(): void
}

const keptOutput = 1_000
const stopWithinMs = 3_000
const listensWithinMs = 15_000

export function createFleet(): Fleet {
  const dir = mkdtempSync(join(tmpdir(), 'evenkeel-bench-'))
  // nginx gives up its rights and must still find its own folder.
  chmodSync(dir, 0o711)
  const children = new Set<Child>()
  const stopping = new Set<Child>()
  const lost: string[] = []

  const fleet: Fleet = {
    dir,
    spawn(name, command, args, { ipc = false, env = {} } = {}) {
      const child = spawn(command, args, {
        detached: true,
        env: { ...plainEnvironment(), ...env },
        stdio: ipc ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
      })
      let output = ''
      const keep = (chunk: Buffer): void => {
        output = (output + chunk.toString()).slice(-keptOutput)
      }
      child.stdout?.on('data', keep)
      child.stderr?.on('data', keep)
      const started: Child = { name, pid: child.pid ?? 0, process: child, output: () => output.trim() }
      children.add(started)
      const gone = (how: string): void => {
        if (children.delete(started) && !stopping.has(started)) lost.push(`${name} ended (${how}): ${started.output()}`)
      }
      child.on('error', (error) => gone(error.message))
      child.on('exit', (code, signal) => gone(signal ?? `exit ${code}`))
      return started
    },
    async stop(some) {
      for (const child of some) stopping.add(child)
      await Promise.all(some.filter((child) => children.has(child)).map(endGently))
    },
    check() {
      if (lost.length > 0) throw new Error(lost.join('\n'))
    },
    end() {
      for (const child of children) {
        stopping.add(child)
        kill(child, 'SIGKILL')
      }
      rmSync(dir, { recursive: true, force: true })
    },
  }
  return fleet
}

/** The environment without what would change how a child behaves. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const isOurs = (name: string): boolean => !/^(EVENKEEL_|CONSUL_|NODE_OPTIONS$|NODE_DEBUG$)/.test(name)
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => isOurs(name)))
}

function endGently(child: Child): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => kill(child, 'SIGKILL'), stopWithinMs)
    child.process.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
    // A forked process ends with its channel; the others know the signal.
    if (child.process.connected) child.process.disconnect()
    else kill(child, 'SIGTERM')
  })
}

function kill({ pid }: Child, signal: NodeJS.Signals): void {
  if (pid === 0) return
  try {
    process.kill(-pid, signal)
  } catch {
    // It is gone already.
  }
}

/** A port that nobody has just now; somebody may take it before you do, which then shows as a failed start. */
export function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, host, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** Resolves once somebody listens there; rejects when the child has ended or takes too long. */
export async function untilListening(child: Child, address: Address): Promise<void> {
  const endMs = performance.now() + listensWithinMs
  while (!(await listens(address))) {
    const { exitCode, signalCode } = child.process
    const ended = exitCode !== null || signalCode !== null || child.pid === 0
    if (ended || performance.now() > endMs) {
      throw new Error(`${child.name} ${ended ? 'ended' : 'took too long'} before it listened: ${child.output()}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function listens(address: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
