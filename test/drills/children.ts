/** How is no child process left behind, not even by a parent that is killed outright and runs no exit hook? */

import { type ChildProcess, spawn } from 'node:child_process'

const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Sees to it that the child does not outlive this process. Resolves once the child is gone; never rejects. */
export function guardChild(child: ChildProcess): Promise<Exit> {
  alive.add(child)
  const watchdog = watchdogOf(child.pid)
  return new Promise((resolve) => {
    const gone = (code: number | null, signal: NodeJS.Signals | null) => {
      alive.delete(child)
      watchdog?.kill('SIGKILL')
      resolve({ code, signal })
    }
    child.once('error', () => gone(null, null))
    child.once('exit', gone)
  })
}

/** Reads from a pipe that closes when this process ends, and then kills the child. */
function watchdogOf(pid: number | undefined): ChildProcess | null {
  if (pid === undefined) return null
  const watchdog = spawn('sh', ['-c', 'read _; kill -9 "$1" 2>/dev/null', 'sh', `${pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watchdog.on('error', () => {})
  watchdog.stdin?.on('error', () => {})
  watchdog.unref()
  return watchdog
}
