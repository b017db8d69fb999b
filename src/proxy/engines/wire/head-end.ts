const carriageReturn = 0x0d
const lineFeed = 0x0a

/**
 * Where a message's head is over: behind the first empty line in `bytes[start, end)`; -1 when there is none. Looks at
 * every fourth byte only, for an empty line is four long.
 */
export function endOfHead(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start + 3; at < end; ) {
    const byte = bytes[at]
    if (byte === lineFeed) {
      if (bytes[at - 1] === carriageReturn && bytes[at - 2] === lineFeed && bytes[at - 3] === carriageReturn) {
        return at + 1
      }
      // It may be the first of the two.
      at += 2
    } else if (byte === carriageReturn) {
      at += 1
    } else {
      at += 4
    }
  }
  return -1
}
