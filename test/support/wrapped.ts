/** `evenkeel run` as a process of its own around legacy-service.mjs: what either says, line by line, and never left behind. */

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { waitFor } from './wait.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
export const legacyService = fileURLToPath(new URL('legacy-service.mjs', import.meta.url))

export interface Wrapped {
  readonly process: ChildProcess
  /** What the service told. */
  readonly events: readonly { readonly event: string; readonly signal?: string; readonly registry?: string | null }[]
  /** What evenkeel logged. */
  readonly logged: readonly { readonly msg: string; readonly pid?: number; readonly [field: string]: unknown }[]
  /** Other lines of stderr. */
  readonly complaints: readonly string[]
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>
  /** Waits for a line of the log that begins like this. */
  said(msg: string, times?: number): Promise<void>
  /** Waits for what the service tells. */
  happened(event: string): Promise<void>
  stop(): Promise<void>
}

/**
 * It is the first of a process group, as what is started in a terminal.
 * @param args of `evenkeel run`, up to the command; `command` is all behind the dashes
 */
export function startWrapped(args: readonly string[], command: readonly string[]): Wrapped {
  const all = ['--import', 'tsx', 'src/main.ts', 'run', ...args, '--', ...command]
  const child = spawn(process.execPath, all, {
    cwd: root,
    env: { PATH: process.env.PATH },
    detached: true,
    // The service ends with its input: it is not left behind when the tests are killed.
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const events: Wrapped['events'][number][] = []
  const logged: Wrapped['logged'][number][] = []
  const complaints: string[] = []
  eachLine(child.stdout, (line) => void events.push(JSON.parse(line)))
  eachLine(child.stderr, (line) => {
    if (line.startsWith('{')) logged.push(JSON.parse(line))
    else complaints.push(line)
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
  const state = () => JSON.stringify({ events, logged, complaints })
  const wait = (what: string, holds: () => boolean) =>
    waitFor(what, holds, 20_000).then(
      () => {},
      (error: Error) => {
        throw new Error(`${error.message}: ${state()}`)
      },
    )
  return {
    process: child,
    events,
    logged,
    complaints,
    ended,
    said: (msg, times = 1) =>
      wait(`evenkeel says: ${msg}`, () => logged.filter((line) => line.msg.startsWith(msg)).length >= times),
    happened: (event) => wait(`the service tells: ${event}`, () => events.some((each) => each.event === event)),
    async stop() {
      const pid = logged.find(({ msg }) => msg === 'the command has started')?.pid
      child.kill('SIGKILL')
      child.stdin.destroy()
      if (pid !== undefined && child.exitCode === null) killQuietly(pid)
      await ended
    },
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

function eachLine(input: Readable | null, take: (line: string) => void): void {
  if (input !== null) createInterface({ input }).on('line', take)
}
