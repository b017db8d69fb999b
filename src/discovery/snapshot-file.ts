/**
 * When is the last known good catalog read and written?
 *
 * Read once at the start, so that a proxy can serve while its source is away. Written whenever an accepted catalog
 * differs, or what is pushed does, but at most once a second with the last one winning; the time of an unchanged one is
 * renewed once a minute. A snapshot is a help and never a need: whatever goes wrong with it is said and changes nothing else. A file that is not
 * ours stays as it is, and then this process writes none (docs/decisions/017-snapshot.md).
 */

import { setTimeout } from 'node:timers/promises'
import type { Catalog } from '../balancer/endpoint.ts'
import type { Registration } from './push/push-entry.ts'
import { type Snapshot, snapshotPieces } from './snapshot.ts'
import { type FileMark, type SnapshotDisk, snapshotDisk } from './snapshot-disk.ts'
import type { SourceError } from './source.ts'
import { printable } from './untrusted-text.ts'

/** Between the end of one write and the start of the next. */
const CONTENT_EVERY_MS = 1_000
const CONFIRMATION_EVERY_MS = 60_000
const RETRY_AFTER_MS = 10_000

export interface SnapshotFileOptions {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** Milliseconds since 1970. */
  readonly epochNow: () => number
  /** Which catalog is written; a file that says another one is refused. Absent: it is not said, and any is read. */
  readonly of?: string
  /** What is pushed now, asked at each write. Absent: nothing is. */
  readonly pushed?: () => readonly Registration[]
  /** A write failed, or will not be tried: told once for each kind of failure until a write succeeds. */
  readonly onError: (error: SourceError) => void
  /** A write succeeded after failures that were told. */
  readonly onRecovered?: () => void
  /** Resolves after `ms`, or rejects when aborted. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>
  readonly disk?: SnapshotDisk
}

export type SnapshotRead =
  /** `ageMs`: since the confirmation; 0 for one in the future, which only says that a clock was wrong. */
  | ({ readonly kind: 'read'; readonly ageMs: number } & Snapshot)
  | { readonly kind: 'absent' }
  /** It stays as it is, and nothing is written in this process. `why` and `cure` are each one line for an operator. */
  | { readonly kind: 'refused'; readonly why: string; readonly cure: string }

export interface SnapshotFile extends AsyncDisposable {
  /** What an earlier process left. To be called once, before the first `write`. Never rejects. */
  read(): Promise<SnapshotRead>
  /** This is the accepted catalog now; `confirmedAtMs` since 1970. Returns at once, and writes in its time. */
  write(catalog: Catalog, confirmedAtMs: number): void
  /** The source stood by the catalog last given, at this time since 1970. Nothing without such a catalog. */
  confirmed(atMs: number): void
  /** What is pushed is not what it was. Written with the catalog last given; nothing without such a catalog. */
  pushedChanged(): void
  /** Writes what is still to be written, the last confirmation included, without delay. Idempotent; never rejects. */
  close(): Promise<void>
}

/** Follows one path. Nothing is touched before `read` or `write`. */
export function openSnapshot(path: string, options: SnapshotFileOptions): SnapshotFile {
  const { now, epochNow, of: origin, pushed = () => [], onError, onRecovered, disk = snapshotDisk } = options
  const sleep = options.sleep ?? ((ms, signal) => setTimeout(ms, undefined, { signal, ref: false }))
  let latest: Snapshot | null = null
  /** What the file lacks: the catalog, or only its newer time. */
  let lacking: 'catalog' | 'time' | null = null
  let mark: FileMark | null = null
  let off = false
  let closing: Promise<void> | null = null
  let writing: Promise<void> | null = null
  let timer: { readonly atMs: number; readonly abort: AbortController } | null = null
  let endedMs = Number.NEGATIVE_INFINITY
  let leftoversGone = false
  const told = new Set<string>()

  function schedule(): void {
    if (off || closing !== null || writing !== null || lacking === null) return
    const usualMs = lacking === 'catalog' ? CONTENT_EVERY_MS : CONFIRMATION_EVERY_MS
    const atMs = endedMs + Math.max(usualMs, told.size > 0 ? RETRY_AFTER_MS : 0)
    if (timer !== null && timer.atMs <= atMs) return
    timer?.abort.abort()
    const own = { atMs, abort: new AbortController() }
    timer = own
    const due = (): void => {
      if (timer !== own) return
      timer = null
      writing = writeLatest().finally(() => {
        writing = null
        schedule()
      })
    }
    sleep(Math.max(0, Math.ceil(atMs - now())), own.abort.signal).then(due, () => {})
  }

  /** Never rejects. */
  async function writeLatest(): Promise<void> {
    const [snapshot, lacked] = [latest, lacking]
    if (snapshot === null || lacked === null) return
    lacking = null
    try {
      if (!leftoversGone) await disk.removeLeftovers(path, epochNow())
      leftoversGone = true
      const whole = { ...snapshot, pushed: pushed(), ...(origin === undefined ? {} : { of: origin }) }
      const replaced = await disk.replace(path, snapshotPieces(whole), mark)
      if (replaced.kind === 'foreign') {
        turnOff()
        onError({ where: path, message: `${replaced.why}: left alone, no snapshot is written`, cure: cureOfForeign })
      } else {
        mark = replaced.mark
        if (told.size > 0) onRecovered?.()
        told.clear()
      }
    } catch (error) {
      const { code, message } = describe(error)
      // Of a catalog that is too large each try would cost as much as it can, and come to nothing.
      if (lacking !== 'catalog' && code !== 'too-large') lacking = lacked
      if (!told.has(code)) onError({ where: path, message: `no snapshot is written: ${message}`, cure: cureOf(code) })
      told.add(code)
    }
    endedMs = now()
  }

  function turnOff(): void {
    off = true
    latest = null
    lacking = null
  }

  async function closeAll(): Promise<void> {
    timer?.abort.abort()
    timer = null
    await writing
    await writeLatest()
    turnOff()
  }

  const file: SnapshotFile = {
    async read() {
      try {
        const found = await disk.look(path)
        if (found.kind === 'absent') return found
        if (found.kind === 'ours' && isOfAnother(found.snapshot, origin)) {
          turnOff()
          return { kind: 'refused', why: `it is of ${found.snapshot.of}, not of ${origin}`, cure: cureOfForeign }
        }
        if (found.kind === 'ours') {
          mark = found.mark
          const confirmedAtMs = Math.min(found.snapshot.confirmedAtMs, epochNow())
          return { kind: 'read', ...found.snapshot, confirmedAtMs, ageMs: epochNow() - confirmedAtMs }
        }
        turnOff()
        return { kind: 'refused', why: found.why, cure: cureOfForeign }
      } catch (error) {
        turnOff()
        const { code, message } = describe(error)
        return { kind: 'refused', why: `it cannot be read: ${message}`, cure: cureOf(code) }
      }
    },
    write(catalog, confirmedAtMs) {
      if (off || closing !== null) return
      if (latest?.catalog === catalog) {
        file.confirmed(confirmedAtMs)
        return
      }
      latest = { catalog, confirmedAtMs }
      lacking = 'catalog'
      schedule()
    },
    confirmed(atMs) {
      if (latest === null || closing !== null) return
      latest = { ...latest, confirmedAtMs: atMs }
      lacking ??= 'time'
      schedule()
    },
    pushedChanged() {
      if (latest === null || closing !== null) return
      lacking = 'catalog'
      schedule()
    },
    close() {
      closing ??= closeAll()
      return closing
    },
    [Symbol.asyncDispose]: () => file.close(),
  }
  return file
}

function isOfAnother({ of }: Snapshot, origin: string | undefined): boolean {
  return of !== undefined && origin !== undefined && of !== printable(origin, 512)
}

const cureOfForeign = 'move it away or name another path in discovery.snapshot, and start again'

function describe(error: unknown): { readonly code: string; readonly message: string } {
  const message = printable(error instanceof Error ? error.message : String(error), 300)
  return { code: error instanceof Error && 'code' in error ? String(error.code) : message, message }
}

/** What a person can do about a failure of the file system. */
function cureOf(code: string): string {
  switch (code) {
    case 'ENOENT':
      return 'create its directory'
    case 'ENOTDIR':
      return 'name a path in a directory in discovery.snapshot'
    case 'EACCES':
    case 'EPERM':
      return 'let the user of this process read and write the file and its directory'
    case 'EROFS':
      return 'name a path on a file system that can be written in discovery.snapshot'
    case 'ENOSPC':
    case 'EDQUOT':
      return 'make room on its file system'
    case 'EMFILE':
    case 'ENFILE':
      return 'raise the limit of open files'
    case 'EBUSY':
      return 'mount its directory, not the file itself: a mounted file cannot be replaced'
    case 'too-large':
      return 'route fewer services: see discovery.consul.include'
    default:
      return 'see the message; the file before it, if any, is unharmed'
  }
}
