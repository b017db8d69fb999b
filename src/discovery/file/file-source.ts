/**
 * How is a file followed as a catalog? It is read when something happens beside it and every few seconds anyway, and
 * what is new in it counts once it has been read twice alike: who writes a file in place leaves half of it to be seen for
 * a moment, and half a list is a list. Whatever is wrong with it, the last good catalog stays.
 */

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Logger } from 'pino'
import { type Catalog, sameCatalog } from '../../balancer/endpoint.ts'
import type { Failure } from '../failure.ts'
import { pause, supervise } from '../loop.ts'
import { type BucketRule, fullBucket, takeToken } from '../pace.ts'
import { type CatalogSource, nothingRead, type SourceListeners } from '../source.ts'
import { teller } from '../teller.ts'
import { untilAborted } from '../until-aborted.ts'
import { printable } from '../untrusted-text.ts'
import { type Watch, watchedSource } from '../watched-source.ts'
import { decodeFile, type FileRules } from './file-catalog.ts'
import { fileChanges } from './file-changes.ts'
import { readDocument } from './file-document.ts'
import { accessFailure, contentFailure, largeFailure, lateFailure, restlessFailure } from './file-failure.ts'

export interface FileOptions extends FileRules {
  /** YAML or JSON, as file-catalog.ts has it; relative to the working directory. */
  readonly path: string
}

export interface FileTiming {
  /** How often it is read although nothing seems to have happened; × 0.75 to 1.25. */
  readonly pollMs: number
  /** Between the two readings that have to agree. */
  readonly settleMs: number
  /** How long one reading may take: a file system over a network may hang. */
  readonly deadlineMs: number
}

export interface FileDeps {
  readonly log: Logger
  /** From 0 to less than 1: jitter. */
  readonly random: () => number
  /** For tests; the defaults are `fileTiming`. */
  readonly timing?: Partial<FileTiming>
}

export const fileTiming: FileTiming = { pollMs: 5000, settleMs: 50, deadlineMs: 10_000 }

/** 500 services of three are 30 to 60 KiB. file-document.ts has another bound for YAML. */
const MAX_FILE_BYTES = 2 ** 21
const PIECE_BYTES = 64 * 1024
/** In a directory where much happens, most of it is not about this file. */
const READ_RATE: BucketRule = { burst: 5, msPerToken: 100 }
/** One replacement is several notices. */
const GATHER_MS = 10
/** Readings that may differ from each other, one after another, before that is an error. */
const MAX_READINGS = 20

type Text = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'failed'; readonly failure: Failure }

/** A source that follows a file. `reread` and `describe` are about the watch that was begun last. */
export function createFileSource(options: FileOptions, deps: FileDeps): CatalogSource {
  const timing = { ...fileTiming, ...deps.timing }
  return watchedSource((listeners, signal) => fileWatch(options, timing, deps, listeners, signal))
}

function fileWatch(
  options: FileOptions,
  timing: FileTiming,
  deps: FileDeps,
  listeners: SourceListeners,
  signal: AbortSignal,
): Watch {
  const { path } = options
  const where = `file ${printable(path, 300)}`
  const tools = { ...deps, now: () => performance.now() }
  const wakeups = { useful: 0, useless: 0 }
  let catalog: Catalog | null = null
  /** What the catalog was made of. */
  let knownText: string | null = null
  /** The last text that was none, so that it is not parsed again each time. */
  let wrong: { readonly text: string; readonly failure: Failure } | null = null
  const tell = teller(listeners, tools, signal, () => catalog)
  const late: Text = { kind: 'failed', failure: lateFailure(timing.deadlineMs) }
  const readOnce = inTime(() => readText(path), late, timing.deadlineMs, signal)
  let looking: Promise<unknown> = Promise.resolve()

  function refuse(failure: Failure): false {
    tell.failed(where, failure)
    return false
  }

  function take(text: string): boolean {
    if (text === wrong?.text) return refuse(wrong.failure)
    const document = readDocument(text)
    const decoded = document.kind === 'read' ? decodeFile(document.value, document.placeOf, options) : document
    if (decoded.kind !== 'catalog') {
      wrong = { text, failure: contentFailure(decoded.problems) }
      return refuse(wrong.failure)
    }
    wrong = null
    knownText = text
    const isNews = catalog === null || !sameCatalog(catalog, decoded.catalog)
    if (isNews) catalog = decoded.catalog
    tell.answered(where, isNews, false)
    return true
  }

  async function lookNow(): Promise<boolean> {
    let before: Text | null = null
    for (let readings = 0; readings < MAX_READINGS && !signal.aborted; readings += 1) {
      const now = await readOnce()
      if (signal.aborted) return false
      if (now.kind === 'text' && now.text === knownText) {
        tell.answered(where, false, false)
        return true
      }
      if (before !== null && isAlike(before, now)) return now.kind === 'text' ? take(now.text) : refuse(now.failure)
      before = now
      await pause(timing.settleMs, signal)
    }
    return signal.aborted ? false : refuse(restlessFailure(MAX_READINGS * timing.settleMs))
  }

  /** One at a time, so that no reading is overtaken by an older one. */
  function look(): Promise<boolean> {
    const next = looking.then(lookNow)
    looking = next.catch(() => {})
    return next
  }

  async function run(): Promise<void> {
    let hinted = false
    let wake = () => {}
    const changes = fileChanges(path, () => {
      hinted = true
      wake()
    })
    const armOnce = inTime(changes.arm, undefined, timing.deadlineMs, signal)
    let bucket = fullBucket(READ_RATE, tools.now())
    try {
      while (!signal.aborted) {
        await armOnce()
        if (hinted) await pause(GATHER_MS, signal)
        const wasHinted = hinted
        hinted = false
        const before: Catalog | null = catalog
        await look()
        if (wasHinted) wakeups[catalog === before ? 'useless' : 'useful'] += 1
        if (!hinted) {
          const either = new AbortController()
          wake = () => either.abort()
          signal.addEventListener('abort', wake, { once: true })
          await pause(signal.aborted ? 0 : timing.pollMs * (0.75 + 0.5 * tools.random()), either.signal)
          signal.removeEventListener('abort', wake)
          wake = () => {}
        }
        const turn = takeToken(bucket, READ_RATE, tools.now())
        bucket = turn.bucket
        await pause(turn.waitMs, signal)
      }
    } finally {
      changes.close()
    }
  }

  const onBug = (error: unknown) => deps.log.error({ err: error }, 'the file source failed and starts anew')
  return {
    done: supervise(run, onBug, tools.random, signal).finally(tell.close),
    async reread(_services, given) {
      if (given.aborted) return false
      const isRead = await untilAborted(look(), given, false)
      return isRead && !given.aborted && tell.flush()
    },
    view: () => ({ ...nothingRead, watched: catalog?.services.size ?? 0, wakeups: { ...wakeups } }),
  }
}

/** Calls of `work` that end in time, or with `signal`, if need be with `late`. One that hangs is not joined by a second. */
function inTime<T>(work: () => Promise<T>, late: T, deadlineMs: number, signal: AbortSignal): () => Promise<T> {
  let working: Promise<T> | null = null
  return async () => {
    working ??= work().finally(() => {
      working = null
    })
    const stop = new AbortController()
    const abort = () => stop.abort()
    signal.addEventListener('abort', abort, { once: true })
    const deadline = setTimeout(abort, signal.aborted ? 0 : deadlineMs)
    try {
      return await untilAborted(working, stop.signal, late)
    } finally {
      clearTimeout(deadline)
      signal.removeEventListener('abort', abort)
    }
  }
}

async function readText(path: string): Promise<Text> {
  const failed = (failure: Failure): Text => ({ kind: 'failed', failure })
  try {
    // A pipe without a writer would keep an ordinary open waiting for ever.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stats = await file.stat()
      if (!stats.isFile()) return failed(accessFailure('', 'it is not a regular file'))
      // Its size may be another one by now, or be said to be 0.
      const pieces: Buffer[] = []
      for (let length = 0; length <= MAX_FILE_BYTES; ) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(PIECE_BYTES), 0, PIECE_BYTES, null)
        if (bytesRead === 0) return { kind: 'text', text: Buffer.concat(pieces).toString('utf8') }
        pieces.push(buffer.subarray(0, bytesRead))
        length += bytesRead
      }
      return failed(largeFailure(MAX_FILE_BYTES))
    } finally {
      await file.close()
    }
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    return failed(accessFailure(code, message))
  }
}

function isAlike(a: Text, b: Text): boolean {
  if (a.kind === 'text') return b.kind === 'text' && a.text === b.text
  return b.kind === 'failed' && a.failure.message === b.failure.message
}
