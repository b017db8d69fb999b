/**
 * When may the next request be made? Pure arithmetic over milliseconds that the caller read from a clock, after
 * https://developer.hashicorp.com/consul/api-docs/features/blocking ("Implementation Details"): an index is positive,
 * goes back to 0 when it shrinks and after every error, and a rate limit keeps a server that answers at once from being
 * asked without end.
 */

/** A token bucket: what is left in it, as of when. Less than 0: requests are waiting already. */
export interface Bucket {
  readonly tokens: number
  readonly atMs: number
}

export interface BucketRule {
  readonly burst: number
  readonly msPerToken: number
}

/**
 * Two changes in quick succession are seen at once; a server that returns at once is asked 20 times a second. More
 * patience would delay the third of three flips, less would only cost both sides work.
 */
export const REQUEST_RATE: BucketRule = { burst: 2, msPerToken: 50 }

export function fullBucket(rule: BucketRule, nowMs: number): Bucket {
  return { tokens: rule.burst, atMs: nowMs }
}

/** Takes one token. `waitMs`: how long to wait before acting on it, 0 or more. */
export function takeToken(bucket: Bucket, rule: BucketRule, nowMs: number): { bucket: Bucket; waitMs: number } {
  const gained = Math.max(0, nowMs - bucket.atMs) / rule.msPerToken
  const tokens = Math.min(rule.burst, bucket.tokens + gained) - 1
  return { bucket: { tokens, atMs: nowMs }, waitMs: Math.max(0, -tokens * rule.msPerToken) }
}

/**
 * Gives part of a token back for an answer that brought news: that was no spinning. Flips that follow each other fast
 * are seen sooner so, and a server that makes up news at once is still asked at most twice as often.
 */
export function refundForNews(bucket: Bucket, rule: BucketRule): Bucket {
  return { ...bucket, tokens: Math.min(rule.burst, bucket.tokens + 0.5) }
}

/**
 * What the failure of a request says of the next one: `away` may be over in a second, `busy` wants fewer requests, and
 * what is `wrong` stays so until a person mends it.
 */
export type FailureSpeed = 'away' | 'busy' | 'wrong'

const BACKOFF_BASE_MS = 100
/** Consul's return must be seen within 2 s, this included. */
const AWAY_CAP_MS = 1500
const SLOW_CAP_MS = 10_000

/**
 * How long to wait after the `failures`-th failure in a row (1 or more): "full jitter", any time up to a bound that
 * doubles, so that many clients of one server do not come back together.
 * @param random from 0 to less than 1
 */
export function backoffMs(failures: number, speed: FailureSpeed, random: number): number {
  const cap = speed === 'away' ? AWAY_CAP_MS : SLOW_CAP_MS
  return random * Math.min(cap, BACKOFF_BASE_MS * 2 ** Math.min(30, failures - 1))
}

/** What a blocking loop remembers between two answers. */
export interface IndexState {
  /** What to ask with; null: ask without blocking. In decimal: indices are 64 bits wide. */
  readonly index: string | null
  /** How many answers in a row brought nothing new although they came before their time. */
  readonly early: number
}

export const freshIndex: IndexState = { index: null, early: 0 }

/** How often a server is asked that names no index to block on: seen late, but seen. */
const WITHOUT_INDEX_MS = 1000
/** How often a server is asked that is catching up; × 0.5 to 1.5, for all queries wait for it at once. */
const CATCHING_UP_MS = 200
/** Early answers that are let pass: a restart, a change that was undone. */
const EARLY_ALLOWED = 3

/**
 * What to ask next after a successful answer, and how much later at least (the token bucket may add to it).
 * @param state what this answer was asked with
 * @param header its `X-Consul-Index`
 * @param tookMs how long the answer took
 * @param waitMs how long the server was allowed to wait
 */
export function afterAnswer(
  state: IndexState,
  header: string | null,
  tookMs: number,
  waitMs: number,
): { readonly state: IndexState; readonly pauseMs: number } {
  const index = parseIndex(header)
  if (index === null) return { state: freshIndex, pauseMs: WITHOUT_INDEX_MS }
  if (state.index === null) return { state: { index: `${index}`, early: state.early }, pauseMs: 0 }
  const asked = BigInt(state.index)
  // The server's state was lost or restored: its indices count from somewhere else now.
  if (index < asked) return { state: { index: null, early: state.early + 1 }, pauseMs: earlyPauseMs(state.early + 1) }
  if (index > asked) return { state: { index: `${index}`, early: 0 }, pauseMs: 0 }
  if (tookMs >= waitMs / 2) return { state: { index: state.index, early: 0 }, pauseMs: 0 }
  return { state: { index: state.index, early: state.early + 1 }, pauseMs: earlyPauseMs(state.early + 1) }
}

/** @param random from 0 to less than 1 */
export function catchingUpPauseMs(random: number): number {
  return CATCHING_UP_MS * (0.5 + random)
}

function earlyPauseMs(early: number): number {
  if (early <= EARLY_ALLOWED) return 0
  return Math.min(WITHOUT_INDEX_MS, REQUEST_RATE.msPerToken * 2 ** Math.min(10, early - EARLY_ALLOWED))
}

/** An `X-Consul-Index` as a number; null for whatever is not a decimal integer of at least 1 and at most 64 bits. */
export function parseIndex(text: string | null): bigint | null {
  if (text === null || !/^\d{1,20}$/.test(text)) return null
  const value = BigInt(text)
  return value >= 1n && value < 2n ** 64n ? value : null
}
