/** What a client was sent, read by the strict reader of the contract suite: it must know where each answer ends. */

import { header, type Message, readMessage } from '../contract/messages.ts'
import { readFields } from './reading.ts'
import type { Item } from './world.ts'

export interface FinalAnswer extends Message {
  readonly interims: readonly number[]
  /** The proxy's own answer, and not an endpoint's. */
  readonly own: boolean
}

export interface ClientReading {
  readonly finals: readonly FinalAnswer[]
  /** Bytes behind the last whole answer. */
  readonly rest: string
  readonly switched: boolean
}

/**
 * @param ended nothing more came, and the proxy said so in the ordinary way: a body without a length is whole
 * @throws when a client could be in doubt
 */
export function readByClient(bytes: string, asked: readonly Pick<Item, 'request'>[], ended: boolean): ClientReading {
  const finals: FinalAnswer[] = []
  let interims: number[] = []
  for (let rest = bytes; ; ) {
    const toHead = asked[finals.length]?.request?.method === 'HEAD'
    const read = readMessage(rest, { kind: 'response', toHead, ended })
    if (read === null) return { finals, rest, switched: false }
    const { message } = read
    readFields(message.headers.map(([name, value]) => `${name}:${value}`))
    if (message.status < 100) throw new Error(`status ${message.status}`)
    rest = read.rest
    if (message.status < 200 && message.status !== 101) {
      interims.push(message.status)
      continue
    }
    finals.push({ ...message, interims, own: header(message, 'proxy-status') !== undefined })
    interims = []
    if (message.status === 101) return { finals, rest, switched: true }
    if (rest === '') return { finals, rest, switched: false }
  }
}

/** The whole answers so far; none while they cannot be read. */
export function finalAnswers(bytes: string, asked: readonly Pick<Item, 'request'>[]): readonly FinalAnswer[] {
  try {
    return readByClient(bytes, asked, false).finals
  } catch {
    return []
  }
}

/** True once the client has been told that the protocol is switched. */
export function isTunnel(bytes: string, asked: readonly Pick<Item, 'request'>[]): boolean {
  return finalAnswers(bytes, asked).at(-1)?.status === 101
}
