/** When is it worth asking again for a service that has no endpoint? */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBalancer } from '../../src/balancer/balancer.ts'
import { rememberDepartedMs } from '../../src/balancer/table.ts'
import { silent } from '../support/silent.ts'
import { atOnce, catalogOf, defaults, service } from './world.ts'

function newBalancerAt(clock: { nowMs: number }) {
  return createBalancer({
    now: () => clock.nowMs,
    outlier: () => defaults,
    balancing: () => atOnce,
    observer: silent,
  })
}

/**
 * Plays a script on one service and answers what a pick says at its end: `up` has an endpoint, `empty` is in the catalog
 * without one, `gone` is not in the catalog; `20s` and `5ms` wait.
 */
function play(script: string): number | string | null {
  const clock = { nowMs: 7_000_000 }
  const balancer = newBalancerAt(clock)
  for (const step of script.split(' ')) {
    const [, amount, unit] = /^(\d+)(ms|s)$/.exec(step) ?? []
    if (amount !== undefined) clock.nowMs += Number(amount) * (unit === 's' ? 1_000 : 1)
    else balancer.update(catalogOf(step === 'gone' ? { other: 'X' } : { [service]: step === 'up' ? 'AB' : '' }))
  }
  const pick = balancer.pick(service)
  return pick.kind === 'no-endpoints' ? pick.retryAfterMs : pick.kind
}

const twice = 'up empty 20s up empty 20s up'

describe('a known service without an endpoint', () => {
  it.each([
    ['for the first time: nobody can tell', 'up empty 3s', null],
    ['from the start: nobody can tell', 'empty 3s', null],
    ['whose first endpoint we never saw come: what was before is no recovery', 'empty 9s up empty', null],
    ['as long as it took the last time, at first', 'up empty 20s up empty', 20_000],
    ['less what has passed of it', 'up empty 20s up empty 12s', 8_000],
    ['never less than a second', 'up empty 20s up empty 19500ms', 1_000],
    ['past that time: as long again as it has lasted', 'up empty 20s up empty 20s', 20_000],
    ['and longer and longer', 'up empty 20s up empty 35s', 35_000],
    ['up to a minute', 'up empty 20s up empty 3000s', 60_000],
    ['never more than a minute, whatever the past says', 'up empty 500s up empty', 60_000],
    ['past a very short time: a second', 'up empty 5ms up empty 6ms', 1_000],
    ['the median of all', `${twice} empty 2s up 1s empty`, 20_000],
    ['of an even number the lower one', 'up empty 20s up empty 30s up empty', 20_000],
    [
      'the median of the last five',
      `${twice} ${'empty 2s up '.repeat(3).trim()} empty 3s up empty 4s up empty 1s`,
      1_000,
    ],
    ['a time out of the catalog is a time without endpoints', 'up gone 20s up gone', 20_000],
    ['one that began in the catalog and went on outside of it is one', 'up empty 5s gone 15s up empty', 20_000],
    ['one that ended with an empty entry goes on', 'up gone 5s empty 15s up empty 1s', 19_000],
    ['its past outlives its leaving', 'up empty 20s up 5s gone 2s', 18_000],
    ['but not its being forgotten', 'up empty 20s up 5s gone 600s up empty', null],
    ['nor the other way round: it is not known any more', 'up empty 20s up gone 600s', 'unknown-service'],
  ])('%s', (_name, script, expected) => {
    expect(play(script)).toBe(expected)
  })

  it('of which every endpoint was tried by this request is not empty', () => {
    const clock = { nowMs: 0 }
    const balancer = newBalancerAt(clock)
    for (const members of ['AB', '', 'AB']) {
      balancer.update(catalogOf({ [service]: members }))
      clock.nowMs += 20_000
    }
    expect(balancer.pick(service, new Set(['A:80', 'B:80']))).toMatchObject({
      kind: 'no-endpoints',
      retryAfterMs: null,
    })
  })

  it('that never was in the catalog is unknown', () => {
    expect(newBalancerAt({ nowMs: 0 }).pick(service)).toEqual({ kind: 'unknown-service' })
  })

  it('says a time from 1 s to 60 s, or nothing, whatever happened', () => {
    const steps = fc.array(fc.constantFrom('up', 'empty', 'gone', '7ms', '3s', '50s', '400s'), { minLength: 1 })
    fc.assert(
      fc.property(steps, (script) => {
        const said = play(script.join(' '))
        if (typeof said !== 'number') return
        expect(said).toBeGreaterThanOrEqual(1_000)
        expect(said).toBeLessThanOrEqual(60_000)
      }),
    )
  })
})

it('the past of names that come and go does not pile up', () => {
  const clock = { nowMs: 0 }
  const balancer = newBalancerAt(clock)
  balancer.update(catalogOf({ first: 'A', [service]: 'A' }))
  balancer.update(catalogOf({ [service]: 'A' }))
  clock.nowMs += 20_000
  balancer.update(catalogOf({ first: 'A', [service]: 'A' }))
  balancer.update(catalogOf({ [service]: 'A' }))
  expect(balancer.pick('first')).toMatchObject({ kind: 'no-endpoints', retryAfterMs: 20_000 })
  // Pruned by the next change of anybody, and not brought back by its own return.
  clock.nowMs += rememberDepartedMs
  balancer.update(catalogOf({ [service]: 'AB' }))
  balancer.update(catalogOf({ first: 'A', [service]: 'AB' }))
  balancer.update(catalogOf({ first: '', [service]: 'AB' }))
  expect(balancer.pick('first')).toMatchObject({ kind: 'no-endpoints', retryAfterMs: null })
})
