/**
 * How does a snapshot get from and onto the disk, without losing what is there? One look, one replacement.
 *
 * A replacement is written beside the file, flushed, and renamed over it: at every moment the path names either the old
 * file or the new one, whole. What is not ours is never replaced: only a regular file that decodes is. Between the last
 * look and the rename there are some microseconds in which another process could still put a file there; nothing that
 * all file systems have can close that gap.
 */

import { randomBytes } from 'node:crypto'
import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, lstat, open, readdir, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { decodeSnapshot, type Snapshot } from './snapshot.ts'

/** 5,000 services of three endpoints take 1.4 MiB. */
export const MAX_SNAPSHOT_BYTES = 64 * 1024 * 1024
/** So much is encoded and written in one go; other work gets its turn in between. */
const PIECE_BYTES = 128 * 1024
/** A temporary file is written within seconds; one this old was left by a process that died. */
const LEFTOVER_AGE_MS = 60_000
const MODE = 0o600

/** Tells one state of one file from every other: device, inode, size and time of its last change. */
export type FileMark = string

export type Found =
  | { readonly kind: 'ours'; readonly snapshot: Snapshot; readonly mark: FileMark }
  | { readonly kind: 'absent' }
  /** There is something, and it is no snapshot. `why` is a sentence about it. */
  | { readonly kind: 'foreign'; readonly why: string }

export type Replaced =
  | { readonly kind: 'written'; readonly mark: FileMark }
  | { readonly kind: 'foreign'; readonly why: string }

/** The error of a catalog that no one could read back. */
export class TooLarge extends Error {
  readonly code = 'too-large'
}

export interface SnapshotDisk {
  /** What is at the path? Never waits for a pipe or a device. Rejects with the system's error when that cannot be told. */
  look(path: string): Promise<Found>
  /**
   * Puts these pieces of text at the path, if what is there is nothing, a snapshot, or the file of this mark.
   * Rejects with the system's error, or with `TooLarge`; then the old file is as it was and nothing new is left beside it.
   */
  replace(path: string, pieces: Iterable<string>, known: FileMark | null): Promise<Replaced>
  /** Removes temporary files that a process which died left beside the path. Never rejects. */
  removeLeftovers(path: string, nowEpochMs: number): Promise<void>
}

export const snapshotDisk: SnapshotDisk = { look, replace, removeLeftovers }

async function look(path: string): Promise<Found> {
  try {
    // First by name: opening some devices does something.
    const named = notPlain(await lstat(path, { bigint: true }))
    if (named !== null) return { kind: 'foreign', why: named }
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
    try {
      return await lookInto(handle)
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { kind: 'absent' }
    if (codeOf(error) === 'ELOOP') return { kind: 'foreign', why: isLink }
    throw error
  }
}

const isLink = 'it is a symbolic link'

function notPlain(stats: BigIntStats): string | null {
  if (stats.isSymbolicLink()) return isLink
  if (stats.isDirectory()) return 'it is a directory'
  if (!stats.isFile()) return 'it is not a regular file'
  return stats.size > MAX_SNAPSHOT_BYTES ? tooLarge : null
}

const tooLarge = `it is larger than ${MAX_SNAPSHOT_BYTES / 1024 / 1024} MiB`

async function lookInto(handle: FileHandle): Promise<Found> {
  const stats = await handle.stat({ bigint: true })
  const odd = notPlain(stats)
  if (odd !== null) return { kind: 'foreign', why: odd }
  const bytes = await readBounded(handle, Number(stats.size))
  if (bytes === null) return { kind: 'foreign', why: tooLarge }
  const decoded = decodeBytes(bytes)
  if (decoded.kind === 'refused') return { kind: 'foreign', why: decoded.why }
  const { kind: _, ...snapshot } = decoded
  return { kind: 'ours', snapshot, mark: markOf(stats) }
}

/** To its end, wherever that is by then: a file can grow while it is read. Null: it is too large. */
async function readBounded(handle: FileHandle, expected: number): Promise<Buffer | null> {
  const pieces: Buffer[] = []
  for (let total = 0; ; ) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(Math.max(4096, expected + 1 - total)))
    if (bytesRead === 0) return Buffer.concat(pieces, total)
    pieces.push(buffer.subarray(0, bytesRead))
    total += bytesRead
    if (total > MAX_SNAPSHOT_BYTES) return null
  }
}

function decodeBytes(bytes: Buffer) {
  try {
    return decodeSnapshot(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return { kind: 'refused', why: 'it is not text in UTF-8' } as const
  }
}

function markOf({ dev, ino, size, mtimeNs }: BigIntStats): FileMark {
  return `${dev}:${ino}:${size}:${mtimeNs}`
}

async function replace(path: string, pieces: Iterable<string>, known: FileMark | null): Promise<Replaced> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  // Exclusive: what has that name already, be it a link, is not ours to write into.
  const handle = await open(temporary, 'wx', MODE)
  let renamed = false
  try {
    const mark = await writeOut(handle, pieces)
    const why = await strangerAt(path, known)
    if (why !== null) return { kind: 'foreign', why }
    await rename(temporary, path)
    renamed = true
    return { kind: 'written', mark }
  } finally {
    if (!renamed) await unlink(temporary).catch(() => {})
  }
}

/** Writes, flushes and closes. */
async function writeOut(handle: FileHandle, pieces: Iterable<string>): Promise<FileMark> {
  try {
    let total = 0
    const put = async (text: string): Promise<void> => {
      const bytes = Buffer.from(text)
      total += bytes.length
      if (total > MAX_SNAPSHOT_BYTES) throw new TooLarge(`the catalog takes more than ${tooLarge.slice(-6)}`)
      await handle.appendFile(bytes)
    }
    let text = ''
    for (const piece of pieces) {
      text += piece
      if (text.length < PIECE_BYTES) continue
      await put(text)
      text = ''
    }
    await put(text)
    await handle.sync()
    return markOf(await handle.stat({ bigint: true }))
  } finally {
    await handle.close()
  }
}

/** Null: what is at the path may be replaced. Else why not. */
async function strangerAt(path: string, known: FileMark | null): Promise<string | null> {
  if (known !== null) {
    const stats = await lstat(path, { bigint: true }).catch((error) => {
      if (codeOf(error) === 'ENOENT') return null
      throw error
    })
    if (stats === null || markOf(stats) === known) return null
  }
  const found = await look(path)
  return found.kind === 'foreign' ? found.why : null
}

async function removeLeftovers(path: string, nowEpochMs: number): Promise<void> {
  const [folder, name] = [dirname(path), basename(path)]
  const names = await readdir(folder).catch(() => [])
  for (const each of names) {
    if (!each.startsWith(`${name}.`) || !/^\.[0-9a-f]{12}\.tmp$/.test(each.slice(name.length))) continue
    const leftover = join(folder, each)
    const stats = await lstat(leftover).catch(() => null)
    // A younger one may be that of a predecessor which is still draining.
    if (stats?.isFile() && nowEpochMs - stats.mtimeMs > LEFTOVER_AGE_MS) await unlink(leftover).catch(() => {})
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
