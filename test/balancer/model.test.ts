/** Random histories of a balancer, held against a model that knows only what was asked of it and what it said. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBalancer, type Hands, type Picked } from '../../src/balancer/balancer.ts'
import type { EndpointId } from '../../src/balancer/endpoint.ts'
import type { BalancerObserver } from '../../src/balancer/observer.ts'
import type { Outcome } from '../../src/balancer/outcome.ts'
import { ejectionCap } from '../../src/balancer/outlier.ts'
import type { OutlierOptions } from '../../src/balancer/outlier-options.ts'
import type { BalancingOptions } from '../../src/balancer/slow-start.ts'
import type { EndpointView } from '../../src/balancer/view.ts'
import { silent } from '../support/silent.ts'
import { atOnce, catalogOf, defaults, outcomes, responded } from './world.ts'

const names = ['a', 'b'] as const
type Name = (typeof names)[number]

type Action =
  | { readonly do: 'update'; readonly catalog: Record<string, Record<string, number>> }
  | { readonly do: 'pick'; readonly name: Name; readonly avoid: readonly string[] }
  | { readonly do: 'answered'; readonly which: number; readonly status: number }
  | { readonly do: 'report'; readonly which: number; readonly outcome: Outcome; readonly again: boolean }
  | { readonly do: 'hand'; readonly action: keyof Hands; readonly name: Name; readonly letter: string }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'set'; readonly options: Partial<OutlierOptions>; readonly slowStartMs: number | null }

const letters = ['A', 'B', 'C', 'D', 'E', 'F']
const members = fc.dictionary(fc.constantFrom(...letters), fc.constantFrom(1, 1, 1, 2, 7), { maxKeys: 6 })
const catalog = fc.oneof(
  { weight: 3, arbitrary: fc.record({ a: members, b: members }) },
  fc.dictionary(fc.constantFrom(...names), members),
)
const outcome = fc.constantFrom<Outcome[]>(responded(200), responded(500), outcomes.refused, ...Object.values(outcomes))
const options = fc.record(
  {
    enforce: fc.boolean(),
    consecutiveFaults: fc.integer({ min: 1, max: 4 }),
    consecutiveConnectFaults: fc.integer({ min: 1, max: 3 }),
    maxEjectedShare: fc.constantFrom(0, 0.3, 0.5, 0.8, 1),
    faultRate: fc.constantFrom(null, { threshold: 0.5, minRequests: 4, windowMs: 1_000 }),
  },
  { requiredKeys: [] },
)
const slowStartMs = fc.constantFrom(null, 500, 4_000)
const pick = fc.record({
  do: fc.constant('pick' as const),
  name: fc.constantFrom(...names),
  avoid: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.subarray(letters)),
})
const report = fc.record({ do: fc.constant('report' as const), which: fc.nat(), outcome, again: fc.boolean() })
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 20, arbitrary: pick },
  { weight: 20, arbitrary: report },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('answered' as const),
      which: fc.nat(),
      status: fc.constantFrom(101, 200, 500),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('hand' as const),
      action: fc.constantFrom<keyof Hands>('drain', 'undrain', 'undrain', 'eject', 'restore', 'restore'),
      name: fc.constantFrom(...names),
      letter: fc.constantFrom('A', 'A', 'B', 'B', 'C', ...letters),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 100, 1_000, 3_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('update' as const), catalog }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('set' as const), options, slowStartMs }) },
)

/** One pick that has not been reported yet. */
interface Pending {
  readonly picked: Picked
  readonly name: Name
  /** Which stay of the endpoint in the catalog it belongs to. */
  readonly stay: number
}

/** What happened while a history was played: a property that never saw these would prove nothing. */
const seen = {
  ...{ ejections: 0, probes: 0, panics: 0, restored: 0, withheld: 0, late: 0, departed: 0 },
  ...{ drained: 0, undrained: 0, drainedAway: 0, allDrained: 0, byHand: 0, restoredByHand: 0, drainedInFlight: 0 },
}

function playHistory(initial: Record<string, Record<string, number>>, history: readonly Action[]): void {
  let nowMs = 5_000
  let current: OutlierOptions = {
    ...defaults,
    consecutiveFaults: 2,
    consecutiveConnectFaults: 1,
    maxEjectedShare: 0.8,
    faultRate: { threshold: 0.5, minRequests: 4, windowMs: 1_000 },
    baseEjectionMs: 1_000,
    maxEjectionMs: 3_000,
  }
  let balancing: BalancingOptions = { slowStartMs: 2_000 }
  let panicsTold = 0
  const pending: Pending[] = []
  const reported: Pending[] = []
  let weights: Record<string, Record<string, number>> = {}
  const stays = new Map<string, number>()
  const probes = new Map<string, Picked>()
  /** By service and endpoint, in the catalog or not. */
  const drained = new Set<string>()

  const key = (name: string, id: EndpointId) => `${name} ${id}`
  const stayOf = (name: string, id: EndpointId) => stays.get(key(name, id)) ?? 0
  const viewsOf = (name: string): readonly EndpointView[] => balancer.viewService(name)?.endpoints ?? []

  /** Every call throws at its end: whatever happens, no pick and no report may fail of it. */
  const observer: BalancerObserver = {
    ...silent,
    onEjected(name, id, reason, forMs) {
      seen.ejections++
      probes.delete(key(name, id))
      const all = viewsOf(name)
      const its = all.find(({ endpoint }) => endpoint.id === id)
      note(() => {
        expect(its).toMatchObject({ reason, ejectedForMs: forMs, lastEjection: { reason, agoMs: 0 } })
        expect(forMs).toBeLessThanOrEqual(3_000)
        if (reason === 'by-hand') return
        // A probe that was on its way when its endpoint was drained may still fail.
        if (reason !== 'probe-failed') expect(its?.state, 'no rule trips for who is drained').toBe('ejected')
        const views = all.filter(({ endpoint, state }) => endpoint.id === id || state !== 'drained')
        const out = views.filter(({ endpoint, state }) => endpoint.id === id || state !== 'healthy').length
        expect(out, 'ejected at the moment of an ejection').toBeLessThanOrEqual(ejectionCap(views.length, current))
        expect(views.length, 'a lone endpoint is never ejected').toBeGreaterThan(1)
        expect(current.enforce, 'nothing is ejected in shadow mode').toBe(true)
      })
      throw new Error('observer')
    },
    onRestored(name, id) {
      seen.restored++
      probes.delete(key(name, id))
      throw new Error('observer')
    },
    onWithheld() {
      seen.withheld++
      throw new Error('observer')
    },
    onDrained(name, id) {
      note(() => expect(viewsOf(name).find(({ endpoint }) => endpoint.id === id)?.state).toBe('drained'))
      throw new Error('observer')
    },
    onUndrained() {
      throw new Error('observer')
    },
    onPanicPick() {
      panicsTold++
      throw new Error('observer')
    },
  }
  // What an expectation inside the observer finds must not be swallowed with the observer's own errors.
  const failures: unknown[] = []
  function note(check: () => void): void {
    try {
      check()
    } catch (failure) {
      failures.push(failure)
    }
  }

  const balancer = createBalancer({ now: () => nowMs, outlier: () => current, balancing: () => balancing, observer })

  function update(next: Record<string, Record<string, number>>): void {
    for (const [name, former] of Object.entries(weights)) {
      for (const letter of Object.keys(former)) {
        if (next[name]?.[letter] !== undefined) continue
        const left = key(name, `${letter}:80`)
        stays.set(left, (stays.get(left) ?? 0) + 1)
        probes.delete(left)
        seen.departed++
      }
    }
    weights = next
    balancer.update(catalogOf(next))
  }

  function choose(name: Name, avoid: readonly string[]): void {
    const ids = new Set(avoid.map((letter) => `${letter}:80`))
    const before = viewsOf(name)
    const free = before.filter(({ endpoint }) => !ids.has(endpoint.id) && !drained.has(key(name, endpoint.id)))
    const panicsBefore = panicsTold
    const chosen = balancer.pick(name, ids)
    if (chosen.kind !== 'picked') {
      expect(free, 'somebody could have been picked').toEqual([])
      expect(chosen.kind).toBe(balancer.knows(name) ? 'no-endpoints' : 'unknown-service')
      if (chosen.kind === 'no-endpoints' && chosen.standing !== null) {
        const untried = chosen.standing.service.endpoints.filter(({ id }) => !ids.has(id))
        expect(untried.filter(({ id }) => !chosen.standing?.out.some(({ endpoint }) => endpoint === id))).toEqual([])
        if (untried.length > 0) seen.allDrained++
      }
      return
    }
    const { endpoint, role } = chosen
    const panic = role === 'panic'
    expect(endpoint.weight, 'only what is in the catalog now').toBe(weights[name]?.[endpoint.address])
    expect(ids.has(endpoint.id), 'never one that was tried').toBe(false)
    expect(drained.has(key(name, endpoint.id)), 'never one that is drained, not in a panic either').toBe(false)
    expect(panicsTold - panicsBefore).toBe(panic ? 1 : 0)
    const was = free.find((view) => view.endpoint.id === endpoint.id)
    if (panic) {
      seen.panics++
      const usable = free.filter(({ state, ejectedForMs }) => state === 'healthy' || ejectedForMs === 0)
      expect(usable, 'no panic while somebody may serve').toEqual([])
    } else if (was?.state !== 'healthy') {
      seen.probes++
      expect(was, 'only one whose time is up').toMatchObject({ state: 'ejected', ejectedForMs: 0 })
      expect(probes.has(key(name, endpoint.id)), 'one probe in flight at most').toBe(false)
      probes.set(key(name, endpoint.id), chosen)
    }
    pending.push({ picked: chosen, name, stay: stayOf(name, endpoint.id) })
  }

  function conclude({ which, outcome, again }: Extract<Action, { do: 'report' }>): void {
    const [one] = pending.splice(which % Math.max(1, pending.length), 1)
    if (one !== undefined) {
      const id = key(one.name, one.picked.endpoint.id)
      const isLate = viewsOf(one.name).some(
        (view) => view.endpoint.id === one.picked.endpoint.id && view.state !== 'healthy',
      )
      if (isLate && probes.get(id) !== one.picked) seen.late++
      one.picked.report(outcome)
      if (probes.get(id) === one.picked) probes.delete(id)
      reported.push(one)
    }
    const old = reported[which % Math.max(1, reported.length)]
    if (again && old !== undefined) {
      const before = JSON.stringify(balancer.view())
      old.picked.report(outcome)
      old.picked.answered(200)
      expect(JSON.stringify(balancer.view()), 'a second report changes nothing').toBe(before)
    }
  }

  function say({ action, name, letter }: Extract<Action, { do: 'hand' }>): void {
    const id = `${letter}:80`
    const at = key(name, id)
    const isListed = weights[name]?.[letter] !== undefined
    const before = viewsOf(name).find(({ endpoint }) => endpoint.id === id)
    const health = balancer.vitals(name, id)?.state ?? null
    const unknown = balancer.knows(name) ? 'unknown-endpoint' : 'unknown-service'
    const result = balancer[action](name, id, 'anna')
    switch (action) {
      case 'drain':
        expect(result).toBe(drained.has(at) ? 'unchanged' : isListed ? 'done' : unknown)
        if (result !== 'done') break
        drained.add(at)
        seen.drained++
        if ((before?.inFlight ?? 0) > 0) seen.drainedInFlight++
        break
      case 'undrain':
        expect(result).toBe(drained.has(at) ? 'done' : isListed ? 'unchanged' : unknown)
        if (drained.delete(at)) seen.undrained++
        break
      case 'eject': {
        const isOut = health === 'ejected' && (before?.ejectedForMs ?? 0) > 0
        expect(result).toBe(!isListed ? unknown : isOut ? 'unchanged' : 'done')
        if (result === 'done') seen.byHand++
        break
      }
      case 'restore':
        expect(result).toBe(!isListed ? unknown : health === 'healthy' ? 'unchanged' : 'done')
        if (result === 'done') seen.restoredByHand++
        break
      default:
        action satisfies never
    }
  }

  /** In words, and compared as one text: this runs after every step. */
  function inspect(): void {
    if (failures.length > 0) throw failures[0]
    const inFlight = new Map<string, number>()
    for (const { name, picked, stay } of pending) {
      const id = key(name, picked.endpoint.id)
      if (stay === stayOf(name, picked.endpoint.id)) inFlight.set(id, (inFlight.get(id) ?? 0) + 1)
    }
    let expected = ''
    let actual = ''
    for (const name of names) {
      for (const letter of Object.keys(weights[name] ?? {}).sort()) {
        const id = key(name, `${letter}:80`)
        const state = drained.has(id) ? ', drained' : probes.has(id) ? ', probing' : ''
        expected += `${id}: ${inFlight.get(id) ?? 0} in flight${state}\n`
      }
      for (const { endpoint, inFlight, state } of viewsOf(name)) {
        const told = state === 'probing' || state === 'drained' ? `, ${state}` : ''
        actual += `${key(name, endpoint.id)}: ${inFlight} in flight${told}\n`
      }
      for (const letter of letters) {
        const id = key(name, `${letter}:80`)
        if (!drained.has(id) || weights[name]?.[letter] !== undefined) continue
        expected += `${id}: away\n`
        seen.drainedAway++
      }
      const away = balancer.viewService(name)?.drainedAway.map(({ endpoint }) => endpoint) ?? []
      for (const endpoint of [...away].sort()) actual += `${key(name, endpoint)}: away\n`
    }
    if (actual !== expected) expect(actual).toBe(expected)
  }

  update(initial)
  inspect()
  for (const step of history) {
    switch (step.do) {
      case 'update':
        update(step.catalog)
        break
      case 'pick':
        choose(step.name, step.avoid)
        break
      case 'answered':
        pending[step.which % Math.max(1, pending.length)]?.picked.answered(step.status)
        break
      case 'report':
        conclude(step)
        break
      case 'hand':
        say(step)
        break
      case 'wait':
        nowMs += step.ms
        break
      case 'set':
        current = { ...current, ...step.options }
        balancing = { slowStartMs: step.slowStartMs }
        break
      default:
        step satisfies never
    }
    inspect()
  }
  // Whatever happened, nobody is stuck: once all is reported and time has passed, good answers bring everybody back.
  for (const { picked } of pending.splice(0)) picked.report(outcomes.left)
  probes.clear()
  for (const at of drained) {
    const [name = '', id = ''] = at.split(' ')
    expect(balancer.undrain(name, id, 'anna')).toBe('done')
  }
  nowMs += 10_000
  for (const name of names) {
    const turns = Object.values(weights[name] ?? {}).reduce((sum, weight) => sum + weight, 0) * 2
    for (let turn = 0; turn < turns; turn++) {
      const last = balancer.pick(name)
      if (last.kind === 'picked') last.report(responded(200))
    }
    expect(viewsOf(name).filter(({ state, inFlight }) => state !== 'healthy' || inFlight !== 0)).toEqual([])
  }
}

describe('any history of catalogs, picks, answers, hands and time', () => {
  it('keeps every promise of the balancer', () => {
    fc.assert(fc.property(catalog, fc.array(action, { minLength: 50, maxLength: 250, size: 'max' }), playHistory), {
      numRuns: 200,
    })
    for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(20)
  })
})

describe('any history without retries', () => {
  type Step = { waitMs: number; outcome: Outcome; hold: boolean; size: number | null }
  const step: fc.Arbitrary<Step> = fc.record({
    waitMs: fc.constantFrom(0, 0, 0, 0, 0, 0, 100, 31_000),
    outcome: fc.oneof({ weight: 6, arbitrary: fc.constant(responded(200)) }, outcome),
    hold: fc.boolean(),
    size: fc.oneof({ weight: 30, arbitrary: fc.constant(null) }, fc.integer({ min: 1, max: 6 })),
  })

  it('between two changes of who is in rotation, equal endpoints differ by one pick at most', () => {
    let longest = 0
    fc.assert(
      fc.property(fc.array(step, { minLength: 30, maxLength: 250, size: 'max' }), (steps) => {
        let nowMs = 0
        const held: (() => void)[] = []
        const balancer = createBalancer({
          now: () => nowMs,
          outlier: () => ({ ...defaults, consecutiveFaults: 2, consecutiveConnectFaults: 1 }),
          balancing: () => atOnce,
          observer: silent,
        })
        const use = (size: number) => balancer.update(catalogOf({ a: letters.slice(0, size).join('') }))
        use(4)
        let rotation = ''
        let counts = new Map<EndpointId, number>()
        for (const { waitMs, outcome, hold, size } of steps) {
          nowMs += waitMs
          if (size !== null) use(size)
          const inRotation = (balancer.viewService('a')?.endpoints ?? []).filter(
            ({ state, ejectedForMs }) => state === 'healthy' || ejectedForMs === 0,
          )
          const now = inRotation.map(({ endpoint, ejections, state }) => `${endpoint.id} ${ejections} ${state}`).join()
          if (now !== rotation) counts = new Map(inRotation.map(({ endpoint }) => [endpoint.id, 0]))
          // A probe takes its endpoint out: a change, even if its end brings it back before the next pick.
          rotation = now.includes('ejected') ? 'changing' : now
          const picked = balancer.pick('a')
          if (picked.kind !== 'picked') throw new Error(picked.kind)
          if (picked.role !== 'panic') {
            const { id } = picked.endpoint
            counts.set(id, (counts.get(id) ?? 0) + 1)
            const all = [...counts.values()]
            if (Math.max(...all) - Math.min(...all) > 1) throw new Error(`uneven: ${all.join(' ')}`)
            longest = Math.max(
              longest,
              all.reduce((sum, count) => sum + count, 0),
            )
          }
          if (hold) held.push(() => picked.report(outcome))
          else picked.report(outcome)
          if (held.length > 5) held.splice(nowMs % 5, 1)[0]?.()
          const spread = balancer.viewService('a')?.pickSpread ?? Number.NaN
          if (!(spread <= 1)) throw new Error(`spread: ${spread}`)
        }
      }),
      { numRuns: 200 },
    )
    expect(longest, 'picks without a change').toBeGreaterThan(30)
  })
})
