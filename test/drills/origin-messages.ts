/** What does a drill say to an instance's process, and what does it hear? */

export interface Behaviour {
  /** Status of every answer. */
  readonly status: number
  /** How long a request is worked on. */
  readonly delayMs: number
}

/** The argument that the process is started with, as JSON. */
export interface OriginArguments {
  readonly name: string
  readonly address: string
  /** Absent: any that is free, which it tells. */
  readonly port?: number
  /** File in which each request is noted when it begins and when it is answered. What is in it outlives `kill -9`. */
  readonly ledger: string
}

export type ToOrigin =
  | { readonly ask: 'behave'; readonly id: number; readonly behaviour: Behaviour }
  | { readonly ask: 'count'; readonly id: number }
  /** Closes the listener and idle connections, and answers then; ends once what is in flight is answered. */
  | { readonly ask: 'close'; readonly id: number }

export type FromOrigin =
  | { readonly tell: 'listening'; readonly port: number }
  /** `requests`: those that have arrived so far. */
  | { readonly tell: 'answer'; readonly id: number; readonly requests: number }

/** On the request: its number, for the ledger. */
export const idHeader = 'x-drill-id'
/** On the answer: which instance it comes from, and when the request arrived there (clockMs). */
export const servedByHeader = 'x-served-by'
export const arrivedHeader = 'x-arrived-ms'

const blockBytes = 64 * 1024

/** `count` bytes, the same ones each time, no two blocks alike; `count` is rounded down to whole blocks of 64 KiB. */
export function* bodyOf(count: number): Generator<Buffer> {
  for (let index = 0; index < Math.floor(count / blockBytes); index++) {
    const block = Buffer.alloc(blockBytes, index % 251)
    block.writeUInt32BE(index, 0)
    yield block
  }
}
