/**
 * How does a service stay in its registry for as long as it is well, and out of it when it is not? One call to the registrar
 * at a time: each does what is wanted by then, and a failed one is made again a while later.
 */

import type { Logger } from 'pino'
import { pause } from '../discovery/loop.ts'
import { backoffMs } from '../discovery/pace.ts'
import type { Registered, Registrar } from '../discovery/registrar.ts'
import { untilAborted } from '../discovery/until-aborted.ts'

export interface Stay {
  /** It is well, and to be in the registry. */
  keep(): void
  /** It is not well. Does nothing before the first `keep`. */
  suspend(why: string): void
  /**
   * Takes it out for good; resolves with what came of it, within `leaveMs` whatever the registry does. Never rejects; the
   * same each time.
   */
  leave(): Promise<'left' | 'was-not-there' | 'failed'>
}

export interface StayDeps {
  readonly log: Logger
  /** From 0 to less than 1: jitter. */
  readonly random: () => number
  /** How long `leave` may take. */
  readonly leaveMs: number
}

/** How long it takes at most to take out what was never seen to be in. */
const UNSEEN_MS = 1000

export function createStay(registrar: Registrar, deps: StayDeps): Stay {
  const { log, random, leaveMs } = deps
  const teller = createTeller(log)
  let wanted: 'nothing' | 'in' | 'suspended' = 'nothing'
  let changed = new AbortController()
  const giveUp = new AbortController()
  let isLeaving = false
  let wasAsked = false
  let wasIn = false
  let left: ReturnType<Stay['leave']> | null = null

  function want(next: typeof wanted): void {
    if (wanted === next || isLeaving) return
    wanted = next
    const before = changed
    changed = new AbortController()
    before.abort()
  }

  async function run(): Promise<void> {
    for (let failures = 0; !isLeaving; ) {
      const { signal } = changed
      const now = wanted
      if (now === 'nothing') {
        await untilAborted(new Promise<void>(() => {}), signal, undefined)
        continue
      }
      wasAsked = true
      // Not cut off when it is to leave: what has left may arrive, and what is not known to have arrived cannot be taken back.
      const came = await (now === 'in' ? registrar.keep(giveUp.signal) : registrar.suspend(giveUp.signal))
      teller.came(now, came)
      if (came.kind === 'done') wasIn ||= now === 'in'
      failures = came.kind === 'done' ? 0 : failures + 1
      // Earlier than asked for, so that a late one is not too late.
      const ms =
        came.kind === 'done'
          ? registrar.beatMs * (0.75 + random() / 4)
          : backoffMs(failures, came.failure.speed, random())
      await pause(ms, signal)
    }
  }
  const running = run().catch((err: unknown) => log.error({ err }, 'the registration failed for good'))

  async function leave(): ReturnType<Stay['leave']> {
    isLeaving = true
    changed.abort()
    const untilMs = performance.now() + leaveMs
    // Half of the time for a call that is under way, so that ours is the last word.
    const impatient = setTimeout(() => giveUp.abort(), leaveMs / 2)
    await running
    clearTimeout(impatient)
    if (!wasAsked) return 'was-not-there'
    const leftMs = Math.max(1, untilMs - performance.now())
    const bound = AbortSignal.timeout(Math.ceil(wasIn ? leftMs : Math.min(leftMs, UNSEEN_MS)))
    for (let failures = 1; ; failures += 1) {
      const came = await registrar.remove(bound)
      if (came.kind === 'done') {
        if (wasIn) log.info('deregistered')
        return wasIn ? 'left' : 'was-not-there'
      }
      const { speed, message, cure } = came.failure
      if (bound.aborted || speed === 'wrong') {
        if (wasIn) {
          log.warn({ where: came.where, message, cure }, 'could not be deregistered; the registry forgets it by itself')
        }
        return wasIn ? 'failed' : 'was-not-there'
      }
      await pause(50 + backoffMs(failures, speed, random()), bound)
    }
  }

  return {
    keep: () => want('in'),
    suspend(why) {
      if (wanted === 'in' && !isLeaving) log.warn({ why }, 'it is not well: nobody is to be sent to it')
      if (wanted !== 'nothing') want('suspended')
    },
    leave() {
      left ??= leave().catch((err: unknown) => {
        log.error({ err }, 'deregistering failed')
        return 'failed' as const
      })
      return left
    },
  }
}

/** What the log hears of it: each kind of trouble once, until it is over. */
function createTeller(log: Logger) {
  const told = new Set<string>()
  let last: 'in' | 'suspended' | null = null

  return {
    came(wanted: 'in' | 'suspended', came: Registered): void {
      if (came.kind === 'failed') {
        const { speed, message, cure } = came.failure
        if (told.has(`${speed} ${message}`) || told.size >= 8) return
        told.add(`${speed} ${message}`)
        log.warn({ where: came.where, message, cure }, 'the registry could not be told; it is tried again')
        return
      }
      if (told.size > 0 && !came.changed) log.info('the registry is reached again')
      told.clear()
      if (wanted === 'suspended' && last !== 'suspended') log.info('suspended')
      if (wanted === 'in' && last === null) log.info('registered')
      if (wanted === 'in' && last === 'suspended') log.info('it is well again: registered')
      if (wanted === 'in' && last === 'in' && came.changed) {
        log.warn('registered again: the registry did not have it any more, or another one had taken its id')
      }
      last = wanted
    },
  }
}
