/**
 * Where are upstream bytes read into?
 *
 * Mostly into one buffer for all: what is short is used up before the next read, whoever's it is. A long body would have
 * to be copied out of it piece by piece; so whoever reads one gets buffers of its own, and lends them to the writes that
 * cannot be done at once.
 */

const bufferBytes = 64 * 1024
/** So many that nobody uses are kept. */
const maxFree = 64

/** For everybody, and only until the next read. */
export const sharedBuffer = Buffer.allocUnsafeSlow(bufferBytes)

const free: Buffer[] = []

export function takeBuffer(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(bufferBytes)
}

/** Gives back one that nobody reads into nor writes from. */
export function giveBuffer(buffer: Buffer): void {
  if (free.length < maxFree) free.push(buffer)
}
