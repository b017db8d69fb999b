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
  /** The index of the last answer that was believed; null: none, or it had no index. */
  readonly believed: bigint | null
  /** The last answer that was not: its index, since when that has not grown, and when the first such answer came. */
  readonly held: { readonly index: bigint; readonly sinceMs: number; readonly startMs: number } | null
}

export const noMemory: IndexMemory = { believed: null, held: null }

/** A server that goes on catching up is given this many times the patience for one that does not. */
const PATIENCE = 5

/**
 * @param index the answer's index; null: it has none
 * @param nowMs of a clock that never goes back
 * @param patienceMs how long an index may stay lower, without growing, before it is believed after all
 * @returns `old`: the answer must not be taken in; ask again soon. `rewound`: it is taken in although it is lower, for it
 *   stays so: the source may have lost what it knew
 */
export function judgeAge(
  memory: IndexMemory,
  index: bigint | null,
  nowMs: number,
  patienceMs: number,
): { readonly memory: IndexMemory; readonly old: boolean; readonly rewound: boolean } {
  const { believed, held } = memory
  if (index === null || believed === null || index >= believed) {
    return { memory: { believed: index, held: null }, old: false, rewound: false }
  }
  if (held === null) {
    return { memory: { believed, held: { index, sinceMs: nowMs, startMs: nowMs } }, old: true, rewound: false }
  }
  const sinceMs = index > held.index ? nowMs : held.sinceMs
  if (nowMs - sinceMs >= patienceMs || nowMs - held.startMs >= patienceMs * PATIENCE) {
    return { memory: { believed: index, held: null }, old: false, rewound: true }
  }
  return { memory: { believed, held: { index, sinceMs, startMs: held.startMs } }, old: true, rewound: false }
}

/** After a failure the patience begins anew: the server may have died once more. */
export function afterFailure(memory: IndexMemory): IndexMemory {
  return { believed: memory.believed, held: null }
}
