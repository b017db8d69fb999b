/**
 * How is a command started, told of signals, and what is left of it? It gets our input and output, and a session of its own:
 * what a terminal says (Ctrl-C) reaches us alone, and the command hears of it when the time has come.
 */

import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { printable } from '../discovery/untrusted-text.ts'

export interface RunningCommand {
  readonly pid: number
  /** Resolves with the exit code, 128 and the signal's number when a signal ended it. */
  readonly ended: Promise<Ended>
  readonly isRunning: boolean
  /** As a terminal or `kill` would: SIGINT and SIGQUIT go to all that it has started, others to the command itself. */
  send(signal: NodeJS.Signals): void
}

export interface Ended {
  readonly code: number
  /** Null: it ended by itself. */
  readonly signal: NodeJS.Signals | null
}

export type Started =
  | { readonly kind: 'started'; readonly command: RunningCommand }
  /** `code`: what a shell would end with: 127 when there is no such program, 126 when it cannot be run. */
  | { readonly kind: 'failed'; readonly code: 126 | 127; readonly message: string }

/** Never rejects. A command that still runs when this process ends is sent SIGTERM. */
export function startCommand([program, ...args]: readonly [string, ...string[]]): Promise<Started> {
  return new Promise((resolve) => {
    const fail = (error: NodeJS.ErrnoException) => resolve(failure(program, error))
    let child: ReturnType<typeof spawn>
    try {
      child = spawn(program, args, { stdio: 'inherit', detached: true })
    } catch (error) {
      // A NUL in an argument, which no shell could pass on.
      fail(error as NodeJS.ErrnoException)
      return
    }
    const { pid } = child
    child.once('error', fail)
    if (pid === undefined) return
    const send = (to: number, signal: NodeJS.Signals) => {
      if (!isRunning) return
      try {
        process.kill(to, signal)
      } catch {
        // It has ended, and we have not heard of it yet.
      }
    }
    const onExit = () => send(pid, 'SIGTERM')
    let isRunning = true
    const ended = new Promise<Ended>((end) => {
      child.once('exit', (code, signal) => {
        isRunning = false
        process.off('exit', onExit)
        end({ code: code ?? 128 + (constants.signals[signal ?? 'SIGKILL'] ?? 0), signal })
      })
    })
    process.on('exit', onExit)
    resolve({
      kind: 'started',
      command: {
        pid,
        ended,
        get isRunning() {
          return isRunning
        },
        send: (signal) => send(signal === 'SIGINT' || signal === 'SIGQUIT' ? -pid : pid, signal),
      },
    })
  })
}

function failure(program: string, { code = '', message }: NodeJS.ErrnoException): Started {
  const name = JSON.stringify(printable(program, 200))
  if (code === 'ENOENT') {
    const where = program.includes('/')
      ? 'there is no such file, or not the interpreter that it names'
      : 'there is no such program on PATH'
    return { kind: 'failed', code: 127, message: `cannot start ${name}: ${where}` }
  }
  const why = code === 'EACCES' ? 'it is not an executable file (chmod +x makes one of it)' : printable(message, 200)
  return { kind: 'failed', code: 126, message: `cannot start ${name}: ${why}` }
}
