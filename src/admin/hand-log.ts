/** What is written down of what people change, and of those who tried and may not? */

import type { Logger } from 'pino'
import type { HandAction, HandRecord } from './hands.ts'

const done: Readonly<Record<HandAction, string>> = {
  drain: 'an endpoint was drained by hand',
  undrain: 'an endpoint is no longer drained',
  eject: 'an endpoint was ejected by hand',
  restore: 'an endpoint was restored by hand',
}

/** One line for each word: on what, whose, from where, and what made it good enough. */
export function createHandLog(log: Logger): (record: HandRecord) => void {
  return ({ action, service, endpoint, result, by, from, how }) => {
    const takesAway = action === 'drain' || action === 'eject'
    const text = result === 'done' ? done[action] : 'a word on an endpoint changed nothing'
    log[takesAway && result === 'done' ? 'warn' : 'info']({ service, endpoint, action, result, by, from, how }, text)
  }
}

const quietMs = 1_000

/**
 * Who tried to change something and may not: one line a second at the most, whoever they are; `count` is how many there
 * were since the line before it.
 * @param now a monotonic clock in milliseconds
 */
export function createRefusalLog(log: Logger, now: () => number): (from: string, why: string) => void {
  let count = 0
  let toldMs = Number.NEGATIVE_INFINITY
  return (from, why) => {
    count++
    if (now() - toldMs < quietMs) return
    log.warn({ from, count, why }, 'somebody who may not tried to change something')
    count = 0
    toldMs = now()
  }
}
