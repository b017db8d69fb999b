/**
 * How is one Consul query followed? By a blocking request after another, whatever the answers: the loop ends with its
 * signal only. What the next request carries and when it may leave is decided in pace.ts.
 */

import type { Failure } from '../failure.ts'
import { pause } from '../loop.ts'
import {
  afterAnswer,
  type BucketRule,
  backoffMs,
  catchingUpPauseMs,
  freshIndex,
  fullBucket,
  parseIndex,
  REQUEST_RATE,
  refundForNews,
  takeToken,
} from '../pace.ts'
import { afterFailure, believe, judgeAge, noMemory } from './replay.ts'

export type Answer =
  | {
      readonly kind: 'answered'
      readonly body: unknown
      /** `X-Consul-Index` as it came; null: absent. */
      readonly index: string | null
    }
  | { readonly kind: 'failed'; readonly failure: Failure }

export interface BlockOn {
  readonly index: string
  readonly waitMs: number
}

/** How a request is to be answered. null: at once, by any server; `consistent`: at once, by a leader that has made sure it is one. */
export type How = BlockOn | 'consistent' | null

/** One request; never rejects. */
export type Ask = (how: How, signal: AbortSignal) => Promise<Answer>

export interface LoopTools {
  /** How long a server that answers with older data than before is given to catch up. */
  readonly catchUpMs: number
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** From 0 to less than 1. */
  readonly random: () => number
}

/** What came of a successful answer. `news`: it said something that was not known. */
export type Accepted =
  | { readonly kind: 'understood'; readonly news: boolean }
  | { readonly kind: 'unreadable'; readonly failure: Failure }

/** What is known of an answer besides what it says. */
export interface Seen {
  /** `X-Consul-Index` as it came; null: absent. */
  readonly index: string | null
  /** Its index is lower than one seen before, and has stayed so for too long to be doubted any more. */
  readonly rewound: boolean
}

export interface Query {
  readonly ask: Ask
  /** Takes a successful answer's JSON in. */
  readonly accept: (body: unknown, seen: Seen) => Accepted
  /** Told of every failure. */
  readonly failed: (failure: Failure) => void
  /** Told of an answer that was not taken in, for the server knows less than it did before. */
  readonly outdated: () => void
}

export type Heard =
  | { readonly kind: 'understood'; readonly news: boolean; readonly index: string | null }
  /** Nothing was taken in: the server knows less than it did before, or a newer answer came meanwhile. */
  | { readonly kind: 'old' }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'aborted' }

/** One query, asked again and again, by whatever pace: remembers what its answers must not fall behind. */
export interface Reader {
  /**
   * Asks once and has the answer taken in. What arrives after `signal` is aborted is dropped. Several may be under way at
   * the same time: an answer that is overtaken by a newer one counts as old.
   */
  read(how: How, signal: AbortSignal): Promise<Heard>
}

export function queryReader(query: Query, tools: LoopTools): Reader {
  let memory = noMemory
  /** Answers taken in so far. */
  let taken = 0

  function fail(failure: Failure): Heard {
    memory = afterFailure(memory)
    query.failed(failure)
    return { kind: 'failed', failure }
  }

  return {
    async read(how, signal) {
      const takenBefore = taken
      const answer = await query.ask(how, signal)
      if (signal.aborted) return { kind: 'aborted' }
      if (answer.kind === 'failed') return fail(answer.failure)
      const index = parseIndex(answer.index)
      // Asked for before the newer answer came, it says nothing of the source now: not even a leader's word is of use.
      const isLower = index !== null && memory.believed !== null && index < memory.believed
      if (isLower && taken !== takenBefore) return { kind: 'old' }
      const judged =
        how === 'consistent' ? believe(memory, index) : judgeAge(memory, index, tools.now(), tools.catchUpMs)
      if (judged.old) {
        memory = judged.memory
        query.outdated()
        return { kind: 'old' }
      }
      const accepted = query.accept(answer.body, { index: answer.index, rewound: judged.rewound })
      if (accepted.kind === 'unreadable') return fail(accepted.failure)
      memory = judged.memory
      taken += 1
      return { kind: 'understood', news: accepted.news, index: answer.index }
    },
  }
}

/** How one query is followed. */
export interface Following {
  /** How long the server may hold an answer back. */
  readonly waitMs: number
  readonly rate?: BucketRule
  /** Told of every blocking request that was answered before its time, and whether that brought news. */
  readonly woke?: (news: boolean) => void
}

/** Follows what `reader` reads until `signal` is aborted. Rejects only with what its query's callbacks throw. */
export async function followQuery(
  reader: Reader,
  { waitMs, rate = REQUEST_RATE, woke }: Following,
  tools: LoopTools,
  signal: AbortSignal,
): Promise<void> {
  let state = freshIndex
  let failures = 0
  let bucket = fullBucket(rate, tools.now())
  while (!signal.aborted) {
    const turn = takeToken(bucket, rate, tools.now())
    bucket = turn.bucket
    await pause(turn.waitMs, signal)
    if (signal.aborted) return

    const askedAt = tools.now()
    const block = state.index === null ? null : { index: state.index, waitMs }
    const reading = await reader.read(block, signal)
    switch (reading.kind) {
      case 'understood': {
        failures = 0
        if (reading.news) bucket = refundForNews(bucket, rate)
        const tookMs = tools.now() - askedAt
        if (block !== null && (reading.index !== block.index || tookMs < waitMs / 2)) woke?.(reading.news)
        const next = afterAnswer(state, reading.index, tookMs, waitMs)
        state = next.state
        await pause(next.pauseMs, signal)
        break
      }
      case 'old':
        failures = 0
        state = freshIndex
        await pause(catchingUpPauseMs(tools.random()), signal)
        break
      case 'failed':
        failures += 1
        state = freshIndex
        await pause(backoffMs(failures, reading.failure.speed, tools.random()), signal)
        break
      case 'aborted':
        return
      default:
        reading satisfies never
    }
  }
}
