/** `evenkeel serve`: runs the proxy until a signal ends it. */

import { type App, startApp } from '../app.ts'
import type { FlagValues } from '../config/flags.ts'
import { type LoadResult, loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { createLog, type Log } from '../log.ts'
import { version } from '../version.ts'

export interface ServeOptions {
  readonly file: string | null
  readonly flags: FlagValues
  readonly env: NodeJS.ProcessEnv
}

/** @returns the exit code: 0 after a clean end, 1 when it cannot run */
export async function serve(options: ServeOptions): Promise<number> {
  const loaded = loadConfig(options)
  if (!loaded.ok) {
    for (const problem of loaded.problems) process.stderr.write(`evenkeel: ${formatProblem(problem)}\n`)
    return 1
  }
  const log = createLog({ level: loaded.config.log.level })
  const ended = untilSignal(log)
  try {
    log.log.info({ version, config: loaded.file, source: loaded.config.discovery.sources }, 'evenkeel starts')
    let app: App | null = null
    let isHungUp = false
    const onHangUp = (): void => {
      if (app === null) isHungUp = true
      else reload(app, loadConfig(options), log)
    }
    // Before anything that takes time: without a listener this signal ends the process.
    process.on('SIGHUP', onHangUp)
    app = await startApp({ config: loaded.config, log: log.log, setLogLevel: log.setLevel, version })
    if (isHungUp) onHangUp()
    // Only a failure of `ready` ends the wait: success goes on until a signal comes.
    const failed = app.ready.then(
      () => new Promise<never>(() => {}),
      (error: unknown) => ({ error }),
    )
    const end = await Promise.race([ended, failed])
    if (typeof end === 'string') log.log.info({ signal: end }, 'evenkeel drains')
    await app.close()
    process.removeListener('SIGHUP', onHangUp)
    if (typeof end !== 'string') throw end.error
    log.log.info('evenkeel has ended')
    return 0
  } catch (error) {
    const reason = explain(error)
    log.log.fatal({ reason }, 'evenkeel cannot run')
    process.stderr.write(`evenkeel: ${reason}\n`)
    return 1
  } finally {
    await log.close()
  }
}

/** Resolves with the first SIGTERM or SIGINT; a second one ends the process at once. */
function untilSignal(log: Log): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let signals = 0
    const onSignal = (signal: NodeJS.Signals): void => {
      signals++
      if (signals === 1) {
        resolve(signal)
        return
      }
      log.log.warn({ signal }, 'a second signal: evenkeel ends at once')
      void log.close().finally(() => process.exit(1))
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

function reload(app: App, loaded: LoadResult, { log }: Log): void {
  if (!loaded.ok) {
    for (const problem of loaded.problems) log.error({ ...problem }, 'the config has a problem')
    log.error('the config was not taken: nothing has changed')
    return
  }
  const waiting = app.reload(loaded.config)
  log.info({ config: loaded.file }, 'the config was read anew')
  if (waiting.length > 0) log.warn({ keys: waiting }, 'these keys take effect only with a restart')
}

function explain(error: unknown): string {
  const { code, syscall, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number }
  if (syscall === 'listen' && code === 'EADDRINUSE') {
    return `port ${port} is taken on ${address}; choose another with --port or --admin-port, or 0 for any free one`
  }
  if (syscall === 'listen' && code === 'EACCES') return `port ${port} needs more rights; choose one above 1023`
  return error instanceof Error ? error.message : String(error)
}
