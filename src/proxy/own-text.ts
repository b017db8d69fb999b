/**
 * How is a piece of a message kept without the message? V8 cuts a string out of a longer one by pointing into it, so
 * whoever keeps the piece keeps the whole: of a request id, the head that it came in. Pure.
 */

const room = Buffer.alloc(256)

/**
 * The same text, part of no other.
 * @param text at most 256 characters, each of one byte (latin1)
 */
export function ownText(text: string): string {
  return room.toString('latin1', 0, room.write(text, 'latin1'))
}
