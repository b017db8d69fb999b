/**
 * What is written down, where to, and what never is?
 *
 * One JSON line an event on stdout, gathered and written without waiting for it, so that logging costs a request
 * microseconds. When the reader of stdout stalls, lines are dropped and counted rather than piled up without end; when
 * it is gone, the proxy runs on without a log. Secrets are taken out by the name of their key, at any depth.
 */

import { type DestinationStream, type Logger, pino } from 'pino'
import type { RequestRecord } from './proxy/observer.ts'
import { trailCode } from './proxy/trail-code.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

export interface Log {
  readonly log: Logger
  /** For this logger and every child that was made of it. */
  setLevel(level: LogLevel): void
  /** Writes what is still gathered; gives up when nobody has read anything for a second. Nothing may be logged afterwards. */
  close(): Promise<void>
}

export interface LogOptions {
  readonly level: LogLevel
  /** Where lines go; stdout when absent. One that is given is neither flushed nor closed. */
  readonly destination?: DestinationStream
}

export interface AccessLogOptions {
  readonly enabled: boolean
  /** Share of requests that are logged, 0–1, whatever became of them. */
  readonly sample: number
  /** Log the query too. */
  readonly query: boolean
}

const gatherBytes = 4096
const flushEveryMs = 500
const gatherAtMostBytes = 16 * 1024 * 1024
const stalledAfterMs = 1000
const longestText = 2048
const deepest = 8

/** A logger as the whole program uses it: ISO time, levels by name, secrets censored, errors without their extras. */
export function createLog(options: LogOptions): Log {
  const stdout = options.destination === undefined ? openStdout() : null
  const children = new Set<WeakRef<Logger>>()
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: (fields) => censorFields(fields, 0) },
      serializers: { err: (value: unknown) => (value instanceof Error ? describeError(value, 0) : value) },
      onChild: (child) => {
        children.add(new WeakRef(child as Logger))
      },
    },
    options.destination ?? stdout?.stream ?? process.stdout,
  )
  stdout?.onDropped((lines) => log.warn({ lines }, 'log lines were dropped: stdout is not read fast enough'))

  return {
    log,
    setLevel(level) {
      log.level = level
      for (const reference of children) {
        const child = reference.deref()
        if (child === undefined) children.delete(reference)
        else child.level = level
      }
    },
    close: () => stdout?.close() ?? Promise.resolve(),
  }
}

/**
 * Writes one line for each finished request, with exactly the fields of the contract. It has a switch of its own, so
 * it does not depend on the log's level, except that `silent` silences it too.
 * @param options asked for each request, so that a reload takes effect at once
 * @param random 0 ≤ x < 1
 */
export function createAccessLog(
  log: Logger,
  options: () => AccessLogOptions,
  random: () => number,
): { onRequestEnd(record: RequestRecord): void } {
  // Fixed fields without secrets: looking for some would cost more than writing the line.
  const lines = log.child({}, { level: 'info', formatters: { log: (fields) => fields } })
  return {
    onRequestEnd(record) {
      const { enabled, sample, query } = options()
      if (!enabled || log.level === 'silent') return
      if (sample < 1 && random() >= sample) return
      if (lines.level !== 'info') lines.level = 'info'
      lines.info(
        {
          requestId: record.requestId,
          method: bounded(record.method),
          path: bounded(record.path),
          ...(query ? { query: bounded(record.query) } : {}),
          service: record.service,
          endpoint: record.endpoint,
          status: record.status,
          outcome: record.outcome,
          attempts: record.attempts,
          trail: trailCode(record),
          durationMs: rounded(record.durationMs),
          connectMs: rounded(record.connectMs),
          firstByteMs: rounded(record.firstByteMs),
          bytesIn: record.bytesIn,
          bytesOut: record.bytesOut,
          clientIp: record.clientIp,
          protocol: record.protocol,
          traceId: record.traceId,
        },
        'request',
      )
    },
  }
}

function bounded(text: string): string {
  return text.length <= longestText ? text : `${text.slice(0, longestText)}…`
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 1000) / 1000
}

/** stdout, written in the background. */
function openStdout() {
  const stream = pino.destination({
    dest: 1,
    sync: false,
    minLength: gatherBytes,
    maxLength: gatherAtMostBytes,
    periodicFlush: flushEveryMs,
  })
  let dropped = 0
  stream.on('drop', () => {
    dropped += 1
  })
  // A full disk must not end the proxy, and there is nowhere left to tell of it. The next write that works mends it.
  let isBroken = false
  stream.on('error', () => {
    isBroken = true
  })
  stream.on('write', () => {
    isBroken = false
  })
  // pino flushes so when the process exits, and the stream would try a full disk again without end.
  const flushSync = stream.flushSync.bind(stream)
  stream.flushSync = () => {
    if (!isBroken) flushSync()
  }

  return {
    stream,
    onDropped(tell: (lines: number) => void) {
      stream.on('drain', () => {
        if (dropped === 0) return
        const lines = dropped
        dropped = 0
        tell(lines)
      })
    },
    async close() {
      // The first flush ends with the write that was under way; the second writes what was gathered during it.
      const flush = () => flushed(stream)
      if ((await flush()) && (await flush()) && !isBroken) return
      stream.write = () => true
      stream.destroy()
    },
  }
}

/** True when all was tried, false when the reader took nothing for a while. A pipe answers with an error: no fsync. */
function flushed(stream: ReturnType<typeof pino.destination>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => settle(false), stalledAfterMs)
    const onProgress = () => {
      timer.refresh()
    }
    function settle(isTried: boolean): void {
      clearTimeout(timer)
      stream.off('write', onProgress)
      resolve(isTried)
    }
    stream.on('write', onProgress)
    stream.flush(() => settle(true))
  })
}

const secretKey = /(?:token|secret|password)$|^(?:proxy-)?authorization$|^(?:set-)?cookie$/i
const censored = '[redacted]'

type Fields = Record<string, unknown>

/** A copy without secrets; lists and plain objects are searched, errors are described. */
function censorFields(fields: Fields, depth: number): Fields {
  const clean: Fields = {}
  for (const [key, value] of Object.entries(fields)) {
    clean[key] = secretKey.test(key) && value !== null && value !== undefined ? censored : censor(value, depth + 1)
  }
  return clean
}

function censor(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth > deepest) return '[deeper]'
  if (value instanceof Error) return describeError(value, depth)
  if (Array.isArray(value)) return value.map((each) => censor(each, depth + 1))
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null ? censorFields(value as Fields, depth) : value
}

/** What tells of an error. Its other properties are left out: HTTP clients hang the whole request there, with its token. */
function describeError(error: Error, depth: number): Fields {
  const { code } = error as NodeJS.ErrnoException
  return {
    type: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: censor(error.cause, depth + 1) }),
    ...(error instanceof AggregateError ? { errors: error.errors.map((each) => censor(each, depth + 1)) } : {}),
  }
}
