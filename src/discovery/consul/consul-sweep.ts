/**
 * How are services followed that there is no connection left to watch? They are read without blocking, a few at a time:
 * at once when the query over all checks disagrees with what is known of one (consul-checks.ts); all of them, soon, when
 * something was registered or deregistered anywhere, for that does not say where; and else in a slow round, for whatever
 * neither of the two tells. docs/scale.md has the bounds that follow from this.
 */

import { pause } from '../loop.ts'
import { backoffMs, catchingUpPauseMs } from '../pace.ts'
import type { AilingChecks, ServiceChecks } from './consul-checks.ts'
import type { Heard, LoopTools, Reader } from './consul-loop.ts'
import { type Turn, turns } from './consul-turns.ts'

/** Requests at a time. */
export const SWEEP_PARALLEL = 12
/** After so many failures in a row a name is not tried as soon as it can be. */
const EAGER_ATTEMPTS = 3
/** What lies between two readings of services in doubt, which come in bursts: requests are to be served in between. */
const DOUBT_SPACING_MS = 2
/** How soon it is tried then; × 0.5 to 1.5. */
const RETRY_MS = 5000
/** How often one is read again that goes on to disagree with the query over all checks: one of the two lags behind. */
const DOUBTS_ALLOWED = 5

export interface SweepTiming {
  /** How long a round takes when nothing hurries it … */
  readonly sweepRoundMs: number
  /** … or longer, for that much lies between two readings at least. */
  readonly sweepSpacingMs: number
  /** How long after the beginning of a hurried round the next one may begin; or later, if that one took long. */
  readonly hurryMs: number
  /** What lies between two readings of a hurried round. */
  readonly hurrySpacingMs: number
  /** How soon one is read again that disagrees with the query over all checks, even so; doubles each time. */
  readonly doubtMs: number
}

export const sweepTiming: SweepTiming = {
  sweepRoundMs: 60_000,
  sweepSpacingMs: 40,
  hurryMs: 2000,
  hurrySpacingMs: 1,
  doubtMs: 100,
}

interface Swept {
  readonly reader: Reader
  /** Failures since it was last read, or since it came. */
  failures: number
  /** It has been read, or cannot be: it was tried often enough, or the answer says so. */
  tried: boolean
  /** What its last reading said of its checks; null: it has not been read. */
  held: ServiceChecks | null
  /** What the query over all checks says of them, and how often it was read again in vain because of that. */
  wanted: string | null
  doubts: number
}

interface Round {
  readonly startMs: number
  left: number
}

export interface Sweep {
  readonly size: number
  /** How many have not been read yet, though they may well be. */
  readonly untried: number
  names(): IterableIterator<string>
  add(name: string, reader: Reader): void
  delete(name: string): void
  /** Takes note of what a reading of this name said of its checks. `read` is not called for a name that is not swept. */
  hold(name: string, read: () => ServiceChecks): void
  /** Compares all with an answer of the query over all checks; null: there is none to compare with. True: some disagree. */
  compare(checks: AilingChecks | null): boolean
  /** Reads all of them soon. */
  hurry(): void
  /** True: hurries all the time, for nothing tells of failing checks. */
  setBlind(blind: boolean): void
  /** How long the last whole round took; null: there has been none. */
  readonly roundMs: number | null
  /** Reads until `signal` is aborted. Never rejects. */
  run(signal: AbortSignal): Promise<void>
}

/**
 * @param readAgain told of every reading that the query over all checks asked for, and whether it brought news
 * @param onAllTried told whenever none is left that is still to be read for the first time
 * @param onBug told what a reader throws, which is not supposed to
 */
export function sweep(
  timing: SweepTiming,
  readAgain: (name: string, news: boolean) => void,
  onAllTried: () => void,
  onBug: (error: unknown) => void,
  tools: LoopTools,
): Sweep {
  const all = new Map<string, Swept>()
  const queue = turns<Round>()
  let latest: AilingChecks | null = null
  let untried = 0
  let failures = 0
  let nextDoubtMs = Number.NEGATIVE_INFINITY
  let hurried = false
  let blind = false
  let wake: () => void = () => {}
  let roundMs: number | null = null

  /** True: they disagree, and that is something new. */
  function disagrees(name: string, swept: Swept): boolean {
    if (latest === null || swept.held === null) return false
    const wanted = latest.of(name, swept.held.nodes)
    const isNew = wanted !== swept.wanted
    swept.wanted = wanted
    if (isNew || wanted === swept.held.ailing) swept.doubts = 0
    return isNew && wanted !== swept.held.ailing
  }

  function noteTried(name: string, swept: Swept): void {
    if (swept.tried || all.get(name) !== swept) return
    swept.tried = true
    untried -= 1
    if (untried === 0) onAllTried()
  }

  async function readOne({ name, level, note }: Turn<Round>, signal: AbortSignal): Promise<void> {
    if (level === 'doubted') await spaceOut(signal)
    const swept = all.get(name)
    if (swept !== undefined) {
      const heard = await swept.reader.read(null, signal).catch((error: unknown) => {
        noteTried(name, swept)
        throw error
      })
      if (heard.kind === 'understood' && level === 'doubted') readAgain(name, heard.news)
      if (all.get(name) === swept) await takeIn(name, swept, heard, signal)
    }
    if (note === null) return
    note.left -= 1
    if (note.left === 0) roundMs = tools.now() - note.startMs
  }

  function spaceOut(signal: AbortSignal): Promise<void> {
    const startMs = Math.max(tools.now(), nextDoubtMs)
    nextDoubtMs = startMs + DOUBT_SPACING_MS
    return pause(startMs - tools.now(), signal)
  }

  async function takeIn(name: string, swept: Swept, heard: Heard, signal: AbortSignal): Promise<void> {
    switch (heard.kind) {
      case 'understood':
        failures = 0
        swept.failures = 0
        disagrees(name, swept)
        noteTried(name, swept)
        if (all.get(name) !== swept) return
        if (latest === null || swept.held?.ailing === swept.wanted || swept.doubts >= DOUBTS_ALLOWED) return
        queue.addLater(name, 'doubted', timing.doubtMs * 2 ** swept.doubts)
        swept.doubts += 1
        return
      case 'old':
        noteTried(name, swept)
        // Not as often as a single query is asked again: there may be thousands of these.
        return queue.addLater(name, 'unread', 5 * catchingUpPauseMs(tools.random()))
      case 'failed':
        failures += 1
        swept.failures += 1
        if (heard.failure.speed !== 'away' || swept.failures >= EAGER_ATTEMPTS) noteTried(name, swept)
        // Held here, so that no more than a few requests are made to a Consul that is away.
        await pause(backoffMs(failures, heard.failure.speed, tools.random()), signal)
        if (all.get(name) !== swept) return
        if (swept.failures < EAGER_ATTEMPTS) queue.add(name, 'unread')
        else queue.addLater(name, 'unread', RETRY_MS * (0.5 + tools.random()))
        return
      case 'aborted':
        return
      default:
        heard satisfies never
    }
  }

  async function work(signal: AbortSignal): Promise<void> {
    for (let turn = await queue.next(); turn !== null; turn = await queue.next()) {
      await readOne(turn, signal).catch(onBug)
    }
  }

  async function readRounds(signal: AbortSignal): Promise<void> {
    let names: readonly string[] = []
    let round: Round = { startMs: 0, left: 0 }
    let [at, spacingMs] = [0, 0]
    let slowDueMs = tools.now() + timing.sweepRoundMs
    let hurryDueMs = tools.now()

    function begin(isHurried: boolean): void {
      hurried = false
      const startMs = tools.now()
      names = [...all.keys()]
      at = 0
      round = { startMs, left: names.length }
      const slowMs = Math.max(timing.sweepRoundMs / Math.max(1, names.length), timing.sweepSpacingMs)
      spacingMs = isHurried ? timing.hurrySpacingMs : slowMs
      slowDueMs = startMs + Math.max(timing.sweepRoundMs, spacingMs * names.length)
      // A round is let come to its end, and no more than half of the time is spent on such rounds.
      if (isHurried) hurryDueMs = startMs + Math.max(timing.hurryMs, 2 * spacingMs * names.length)
    }

    while (!signal.aborted) {
      const now = tools.now()
      const wanted = all.size > 0 && (hurried || blind)
      if (wanted && now >= hurryDueMs) {
        begin(true)
      } else if (at >= names.length && now >= slowDueMs) {
        begin(false)
      }
      for (; at < names.length && round.startMs + at * spacingMs <= now; at += 1) {
        queue.add(names[at] as string, 'round', round)
      }
      const nextMs = at < names.length ? round.startMs + at * spacingMs : slowDueMs
      await rungOr(Math.min(nextMs, all.size > 0 && (hurried || blind) ? hurryDueMs : nextMs) - now, signal)
    }
  }

  /** Until something hurries, or `ms` are over. */
  async function rungOr(ms: number, signal: AbortSignal): Promise<void> {
    const rung = new AbortController()
    const ring = () => rung.abort()
    wake = ring
    signal.addEventListener('abort', ring)
    // A timer takes whole milliseconds; several readings that are due in one are made together.
    await pause(Math.max(1, ms), rung.signal)
    signal.removeEventListener('abort', ring)
  }

  return {
    get size() {
      return all.size
    },
    get untried() {
      return untried
    },
    get roundMs() {
      return all.size === 0 ? null : roundMs
    },
    names: () => all.keys(),
    add(name, reader) {
      untried += 1
      all.set(name, { reader, failures: 0, tried: false, held: null, wanted: null, doubts: 0 })
      queue.add(name, 'unread')
    },
    delete(name) {
      if (all.get(name)?.tried === false) untried -= 1
      all.delete(name)
      queue.delete(name)
    },
    hold(name, read) {
      const swept = all.get(name)
      if (swept === undefined) return
      const checks = read()
      if (swept.held?.ailing !== checks.ailing) swept.doubts = 0
      swept.held = checks
    },
    compare(checks) {
      latest = checks
      let some = false
      for (const [name, swept] of all) {
        if (!disagrees(name, swept)) continue
        some = true
        queue.add(name, 'doubted')
      }
      return some
    },
    hurry() {
      hurried = true
      wake()
    },
    setBlind(isBlind) {
      if (blind === isBlind) return
      blind = isBlind
      wake()
    },
    async run(signal) {
      signal.addEventListener('abort', queue.close, { once: true })
      if (signal.aborted) queue.close()
      await Promise.all([readRounds(signal), ...Array.from({ length: SWEEP_PARALLEL }, () => work(signal))])
    },
  }
}
