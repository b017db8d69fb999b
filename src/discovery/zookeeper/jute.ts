/**
 * How does ZooKeeper write its messages down? Jute: big-endian integers, and texts, bytes and lists behind their lengths.
 * Pure. A reader throws a RangeError at whatever does not fit into what is left of a message.
 */

/** What stands in a message, in the order in which it is asked for. */
export interface JuteReader {
  /** Bytes that have not been read. */
  readonly left: number
  bool(): boolean
  /** 32 bits, with a sign. */
  int(): number
  /** 64 bits, with a sign. */
  long(): bigint
  /** A piece of the message itself, no copy; null where ZooKeeper has a null. */
  bytes(): Buffer | null
  /** Null counts as empty; what is no UTF-8 becomes U+FFFD. */
  text(): string
  texts(): string[]
}

export function juteReader(message: Buffer): JuteReader {
  let at = 0

  function take(count: number): number {
    if (count > message.length - at) throw new RangeError(`it ends ${count - (message.length - at)} bytes too early`)
    at += count
    return at - count
  }

  /** @param smallest bytes that each of them takes at least */
  function length(smallest: number): number {
    const count = message.readInt32BE(take(4))
    if (count < -1 || count * smallest > message.length - at) throw new RangeError(`it has a length of ${count}`)
    return count
  }

  function bytes(): Buffer | null {
    const count = length(1)
    if (count < 0) return null
    const from = take(count)
    return message.subarray(from, from + count)
  }

  const text = (): string => bytes()?.toString('utf8') ?? ''

  return {
    get left() {
      return message.length - at
    },
    bool: () => message[take(1)] !== 0,
    int: () => message.readInt32BE(take(4)),
    long: () => message.readBigInt64BE(take(8)),
    bytes,
    text,
    texts: () => Array.from({ length: Math.max(0, length(4)) }, text),
  }
}

export function juteInt(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

export function juteLong(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}

export function juteBool(value: boolean): Buffer {
  return Buffer.of(value ? 1 : 0)
}

export function juteBytes(value: Buffer): Buffer {
  return Buffer.concat([juteInt(value.length), value])
}

export function juteText(value: string): Buffer {
  return juteBytes(Buffer.from(value, 'utf8'))
}

/** A whole message, as it goes over the wire. */
export function juteFrame(parts: readonly Buffer[]): Buffer {
  return juteBytes(Buffer.concat(parts))
}

/** Cuts a stream of bytes into messages. */
export interface FrameReader {
  /**
   * @returns the messages that are complete by now
   * @throws RangeError for a length below 0 or above the most; nothing can be read after that
   */
  take(piece: Buffer): Buffer[]
}

/** @param mostBytes of one message; no more than that and one piece is ever held */
export function frameReader(mostBytes: number): FrameReader {
  let pieces: Buffer[] = []
  let held = 0
  /** How many bytes the message has that is being gathered, with its length; null: the length is not all there. */
  let wanted: number | null = null

  return {
    take(piece) {
      pieces.push(piece)
      held += piece.length
      const frames: Buffer[] = []
      // Joined only when it is worth it: a large message comes in hundreds of pieces.
      while (held >= (wanted ?? 4)) {
        const all = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
        pieces = [all]
        if (wanted === null) {
          const size = all.readInt32BE(0)
          if (size < 0 || size > mostBytes) throw new RangeError(`it has a length of ${size}`)
          wanted = size + 4
          continue
        }
        frames.push(all.subarray(4, wanted))
        pieces = [all.subarray(wanted)]
        held -= wanted
        wanted = null
      }
      return frames
    },
  }
}
