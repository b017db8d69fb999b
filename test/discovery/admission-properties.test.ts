import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBalancer } from '../../src/balancer/balancer.ts'
import { type Catalog, sameCatalog } from '../../src/balancer/endpoint.ts'
import { isOfRegistry } from '../../src/discovery/doubt.ts'
import { suspectsOf } from '../../src/discovery/suspect.ts'
import { defaults, responded } from '../balancer/world.ts'
import { silent } from '../support/silent.ts'
import { absent, answerOf, holdMs, newAdmissionWorld } from './admission-world.ts'

const members = fc.subarray([...'ABCDE']).map((letters) => letters.join(''))

/** Any catalog of up to five services, some of whose missing endpoints are there with a reason. */
const catalog = fc
  .dictionary(fc.constantFrom(...'vwxyz'), fc.tuple(members, members, fc.boolean()), {
    maxKeys: 5,
    noNullPrototype: true,
  })
  .map((services): Catalog => {
    const endpoints = Object.fromEntries(Object.entries(services).map(([name, [letters]]) => [name, letters]))
    const out = Object.fromEntries(
      Object.entries(services).map(([name, [letters, others, agentLost]]) => [
        name,
        [...others].filter((letter) => !letters.includes(letter)).map((letter) => absent(letter, agentLost)),
      ]),
    )
    return answerOf(endpoints, out)
  })

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('answer' as const), catalog, rewound: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: holdMs }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'read' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('settled' as const), settled: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('traffic' as const),
      service: fc.constantFrom(...'vwxyz'),
      letter: fc.constantFrom(...'ABCDE'),
      what: fc.constantFrom<'good' | number>('good', 1, 2),
    }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

function play(world: ReturnType<typeof newAdmissionWorld>, step: Step): void {
  if (step.kind === 'answer') world.answer(step.catalog, step.rewound)
  else if (step.kind === 'pass') world.pass(step.ms)
  else if (step.kind === 'read') world.readAgain()
  else if (step.kind === 'settled') world.settled = step.settled
  else world.traffic(step.service, step.letter, step.what)
}

const places = (of: Catalog | null): string[] =>
  [...(of?.services ?? [])].flatMap(([name, { endpoints }]) => endpoints.map(({ id }) => `${name} ${id}`))

const steps = fc.array(step, { maxLength: 40 })

test('any sequence of answers without traffic ends in the table of the last one', () => {
  fc.assert(
    fc.property(steps, catalog, (history, last) => {
      const world = newAdmissionWorld()
      for (const each of history) if (each.kind !== 'traffic') play(world, each)
      world.answer(last)
      world.pass(holdMs)
      expect(sameCatalog(world.admission.table as Catalog, last)).toBe(true)
    }),
  )
})

test('whatever happens, the table is the last answer and the suspects; and once the hold is over only those are left that traffic keeps', () => {
  fc.assert(
    fc.property(steps, catalog, (history, first) => {
      const world = newAdmissionWorld()
      world.answer(first)
      let before = places(world.admission.table)
      for (const each of history) {
        play(world, each)
        const { answer, table } = world.admission
        const suspects = [...suspectsOf(world.admission)]
        const listed = places(answer)
        const added = suspects.map(({ service, endpoint }) => `${service} ${endpoint.id}`)
        expect(places(table).sort()).toEqual([...listed, ...added].sort())
        // Only what was in use can be a suspect, and what is listed is none.
        for (const place of added) {
          expect(before).toContain(place)
          expect(listed).not.toContain(place)
        }
        before = places(table)
      }
      world.pass(holdMs)
      for (const { kept, doubt } of suspectsOf(world.admission)) {
        expect(kept).toBe(true)
        expect(isOfRegistry(doubt)).toBe(true)
      }
    }),
  )
})

test('nobody is held for longer than the limit, however answers and traffic come', () => {
  fc.assert(
    fc.property(steps, (history) => {
      const world = newAdmissionWorld()
      for (const each of history) {
        play(world, each)
        world.pass(0)
        for (const { kept, sinceMs } of suspectsOf(world.admission)) {
          if (!kept) expect(world.nowMs - sinceMs).toBeLessThan(holdMs)
        }
      }
    }),
  )
})

test('turned off, the table is always the last answer', () => {
  fc.assert(
    fc.property(steps, (history) => {
      const world = newAdmissionWorld()
      world.enabled = false
      for (const each of history) {
        play(world, each)
        expect(world.admission.table).toBe(world.admission.answer)
      }
    }),
  )
})

test('endpoints that stay through all of it keep their health and their place in the rotation', () => {
  const survivors = 'PQR'
  fc.assert(
    fc.property(steps, (history) => {
      const world = newAdmissionWorld()
      const balancer = createBalancer({
        now: () => world.nowMs,
        outlier: () => defaults,
        balancing: () => ({ slowStartMs: null }),
        observer: silent,
      })
      const publish = () => {
        if (world.admission.table !== null) balancer.update(world.admission.table)
      }
      // A service that no answer touches, beside those that every answer changes.
      const withSurvivors = (of: Catalog): Catalog => ({
        services: new Map([...answerOf({ still: survivors }).services, ...of.services]),
      })
      let served = ''
      world.answer(withSurvivors(answerOf({})))
      publish()
      for (const each of history) {
        play(world, each.kind === 'answer' ? { ...each, catalog: withSurvivors(each.catalog) } : each)
        publish()
        const pick = balancer.pick('still')
        if (pick.kind !== 'picked') throw new Error(`expected a pick, got ${pick.kind}`)
        served += pick.endpoint.address
        pick.report(responded(200))
      }
      expect(served).toBe(survivors.repeat(history.length).slice(0, history.length))
    }),
  )
})
