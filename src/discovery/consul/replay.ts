/**
 * Is this answer older than what is known already? Pure.
 *
 * A Consul server that starts again replays its log, and while it does so it answers with status 200 and a known leader,
 * but with a catalog that is empty at first and fills up (measured with 1.8.7, `stale` or not). A follower that lags
 * behind answers with an older catalog too. Both show in the index: it is lower than one that has been seen before, and
 * soon it is not any more. Only a server that has lost its data, or was given others, stays lower.
 */

/** What is remembered of one query's answers. */
export interface IndexMemory {
  /** The last index that was believed; null: none yet. An answer without an index is believed and changes nothing here. */
  readonly believed: bigint | null
  /** The last answer that was not. */
  readonly held: Held | null
}

interface Held {
  readonly index: bigint
  /** Since when its index has not grown; null: a failure came in between, and the time for it begins with the next answer. */
  readonly sinceMs: number | null
  /** When the first such answer came. */
  readonly startMs: number
}

interface Judged {
  readonly memory: IndexMemory
  /** The answer must not be taken in; ask again soon. */
  readonly old: boolean
  /** It is taken in although it is lower: the source may have lost what it knew. */
  readonly rewound: boolean
}

export const noMemory: IndexMemory = { believed: null, held: null }

/** A server that goes on catching up is given this many times the patience for one that does not. */
const PATIENCE = 5

/**
 * @param index the answer's index; null: it has none
 * @param nowMs of a clock that never goes back
 * @param patienceMs how long an index may stay lower, without growing, before it is believed after all
 */
export function judgeAge(memory: IndexMemory, index: bigint | null, nowMs: number, patienceMs: number): Judged {
  const { believed, held } = memory
  if (index === null || believed === null || index >= believed) return believe(memory, index)
  if (held === null) {
    return { memory: { believed, held: { index, sinceMs: nowMs, startMs: nowMs } }, old: true, rewound: false }
  }
  const sinceMs = held.sinceMs === null || index > held.index ? nowMs : held.sinceMs
  if (nowMs - sinceMs >= patienceMs || nowMs - held.startMs >= patienceMs * PATIENCE) return believe(memory, index)
  return { memory: { believed, held: { index, sinceMs, startMs: held.startMs } }, old: true, rewound: false }
}

/** Takes an answer for true, whatever its index: its time is up, or a leader gave it that has made sure it is one. */
export function believe({ believed }: IndexMemory, index: bigint | null): Judged {
  const rewound = index !== null && believed !== null && index < believed
  return { memory: { believed: index ?? believed, held: null }, old: false, rewound }
}

/** After a failure the time for an index to grow begins anew: the server may have died once more. */
export function afterFailure({ believed, held }: IndexMemory): IndexMemory {
  return { believed, held: held === null ? null : { ...held, sinceMs: null } }
}
