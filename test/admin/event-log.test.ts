/** What does the log say of an ejection to whoever reads it after a restart? */

import { pino } from 'pino'
import { expect, test } from 'vitest'
import { healthLog } from '../../src/admin/event-log.ts'
import { createBalancer } from '../../src/balancer/balancer.ts'
import type { Outcome } from '../../src/balancer/outcome.ts'
import { atOnce, catalogOf, defaults, outcomes, responded } from '../balancer/world.ts'

/** The lines that a pool of these members logs while A meets this, each time as request r-1, r-2, … */
function linesOf(members: string, outcome: Outcome, times: number, byHand = false): readonly object[] {
  const lines: string[] = []
  const log = pino({ base: null, timestamp: false }, { write: (line: string) => void lines.push(line) })
  const around = { now: () => 0, outlier: () => defaults, balancing: () => atOnce, observer: healthLog(log) }
  const balancer = createBalancer(around)
  balancer.update(catalogOf({ web: members }))
  const others = new Set([...members].slice(1).map((name) => `${name}:80`))
  for (let time = 1; time <= times; time++) {
    const pick = balancer.pick('web', others)
    if (pick.kind === 'picked') pick.report(outcome, `r-${time}`)
  }
  if (byHand) balancer.eject('web', 'A:80', 'anna')
  return lines.map((line) => JSON.parse(line) as object)
}

test('an ejection has how the request failed that tripped the rule, and its id', () => {
  expect(linesOf('AB', outcomes.refused, 2)).toMatchObject([
    { msg: 'an endpoint was ejected', lastFault: 'no connection: refused (ECONNREFUSED)', requestId: 'r-2' },
  ])
})

test('so has one that is withheld', () => {
  expect(linesOf('A', responded(503), 6)).toMatchObject([
    { msg: 'an ejection was due and withheld', withheld: 'cap', lastFault: 'answered 503', requestId: 'r-5' },
  ])
})

test('a person needs no fault', () => {
  const [line, ...others] = linesOf('AB', responded(503), 1, true)
  expect(others).toEqual([])
  expect(line).toMatchObject({ reason: 'by-hand' })
  expect(line).not.toHaveProperty('requestId')
})
