/** Bodies too large to keep: made of one repeated pattern, and known by their digest. */

import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { waitFor } from '../support/wait.ts'
import type { Peer } from './sockets.ts'

/** 64 KiB in which no two neighbouring stretches are alike. */
export const pattern = Buffer.from(
  Uint32Array.from({ length: 16_384 }, (_, index) => (index * 2_654_435_761) >>> 0).buffer,
)

/** Digest of the first `size` bytes of the pattern, repeated. */
export function fingerprint(size: number): string {
  const hash = createHash('sha1')
  for (let sent = 0; sent < size; sent += pattern.length)
    hash.update(pattern.subarray(0, Math.min(pattern.length, size - sent)))
  return hash.digest('hex')
}

/** Writes `size` bytes of the pattern, as fast as they are taken. */
export async function feed(socket: Socket, size: number, inChunks = false): Promise<void> {
  for (let sent = 0; sent < size; sent += pattern.length) {
    const piece = pattern.subarray(0, Math.min(pattern.length, size - sent))
    if (inChunks) socket.write(`${piece.length.toString(16)}\r\n`)
    let free = socket.write(piece)
    if (inChunks) free = socket.write('\r\n')
    if (!free) await new Promise((resolve) => socket.once('drain', resolve))
  }
  if (inChunks) socket.write('0\r\n\r\n')
}

/** Waits until a socket has been full for a while: its peer has stopped reading. */
export async function stalled(socket: Socket): Promise<void> {
  let flushed = -1
  let since = performance.now()
  await waitFor(
    'the sender to be stopped',
    () => {
      const now = socket.bytesWritten - socket.writableLength
      if (now !== flushed || socket.writableLength === 0) {
        flushed = now
        since = performance.now()
      }
      return performance.now() - since > 400
    },
    15_000,
  )
}

export interface Measure {
  /** Body bytes so far. */
  bytes: number
  digest(): string
  /** The last chunk has come; always true of a body of known length. */
  complete(): boolean
}

/**
 * Counts and digests a body instead of keeping it.
 * @param after what ends the head when it has not been seen yet
 */
export function measure(peer: Peer, inChunks: boolean, after: string | null = null): Measure {
  const hash = createHash('sha1')
  let before: Buffer | null = after === null ? null : Buffer.from(peer.takeBytes(), 'latin1')
  let left = 0
  let line = ''
  let last = false
  const result: Measure = { bytes: 0, digest: () => hash.digest('hex'), complete: () => !inChunks || last }
  const count = (piece: Buffer): void => {
    result.bytes += piece.length
    hash.update(piece)
  }
  const take = (piece: Buffer): void => {
    if (!inChunks) count(piece)
    for (let at = 0; inChunks && at < piece.length; ) {
      if (left > 0) {
        const part = piece.subarray(at, at + left)
        count(part)
        left -= part.length
        at += part.length
        continue
      }
      line += String.fromCharCode(piece[at++] as number)
      if (!line.endsWith('\r\n')) continue
      if (line !== '\r\n') {
        left = Number.parseInt(line, 16)
        if (left === 0) last = true
      }
      line = ''
    }
  }
  const onData = (piece: Buffer): void => {
    if (before === null) {
      take(piece)
      return
    }
    before = Buffer.concat([before, piece])
    const headEnd = before.indexOf(after ?? '')
    if (headEnd < 0) return
    const rest = before.subarray(headEnd + (after ?? '').length)
    before = null
    take(rest)
  }
  peer.socket.removeAllListeners('data')
  const early =
    after === null
      ? Buffer.from(peer.takeBytes().split('\r\n\r\n').slice(1).join('\r\n\r\n'), 'latin1')
      : Buffer.alloc(0)
  if (early.length > 0) take(early)
  peer.socket.on('data', onData)
  if (after !== null) onData(Buffer.alloc(0))
  return result
}
