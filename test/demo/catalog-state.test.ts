import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CatalogState, CheckRecord } from '../../src/demo/catalog-records.ts'
import { type CatalogObserver, createCatalogState } from '../../src/demo/catalog-state.ts'
import * as views from '../../src/demo/catalog-views.ts'
import { parseRegistration } from '../../src/demo/registration.ts'

function world(options: { maxServices?: number; observer?: CatalogObserver } = {}) {
  let timeMs = 1000
  const { maxServices = 100 } = options
  const state = createCatalogState({ now: () => timeMs, ...options, maxServices })
  return {
    state,
    register: (body: object, replace = false) => state.register(parseRegistration(body), replace),
    /** Time passes, and what falls due happens. */
    pass(ms: number) {
      timeMs += ms
      state.advance()
    },
    checks: (id: string) => state.checksOf(id).map(({ checkId, status, output }) => `${checkId} ${status} ${output}`),
  }
}

const noTags = { passingOnly: false, tags: [] }
const ttl = { TTL: '10s', Status: 'passing' }

describe('time', () => {
  test('a TTL check that nobody beats turns critical when its time is up, and not before', () => {
    const { register, pass, checks } = world()
    register({ Name: 'a', Check: ttl })
    pass(9999)
    expect(checks('a')).toEqual(['service:a passing '])
    pass(1)
    expect(checks('a')).toEqual(['service:a critical TTL expired'])
  })

  test('each beat winds the TTL up again, and a beat after its end revives it', () => {
    const { state, register, pass, checks } = world()
    register({ Name: 'a', Check: ttl })
    for (let round = 0; round < 5; round++) {
      pass(9000)
      state.beat('service:a', 'passing', 'fine')
    }
    expect(checks('a')).toEqual(['service:a passing fine'])
    pass(10_000)
    state.beat('service:a', 'passing', 'back')
    expect(checks('a')).toEqual(['service:a passing back'])
  })

  test('a service goes when its check was critical for as long as it said; being well in between starts anew', () => {
    const { state, register, pass } = world()
    register({ Name: 'a', Check: { TTL: '1h', DeregisterCriticalServiceAfter: '90s' } })
    pass(89_999)
    state.beat('service:a', 'passing', '')
    state.beat('service:a', 'critical', '')
    pass(89_999)
    expect(state.services()).toHaveLength(1)
    state.beat('service:a', 'critical', 'still')
    pass(1)
    expect([state.services(), state.checks()]).toEqual([[], []])
  })

  test('the next deadline is the earliest there is, and none when nothing can fall due', () => {
    const { state, register, pass } = world()
    expect(state.nextDueAt()).toBeNull()
    register({ Name: 'slow', Check: { TTL: '60s', Status: 'passing' } })
    register({ Name: 'fast', Check: ttl })
    expect(state.nextDueAt()).toBe(11_000)
    pass(10_000)
    expect(state.nextDueAt()).toBe(61_000)
    state.deregister('slow')
    expect(state.nextDueAt()).toBeNull()
  })

  test('every deadline is announced when it comes to be', () => {
    const announced: number[] = []
    const observer = { checkStarted() {}, checkStopped() {}, deadline: (at: number) => void announced.push(at) }
    const { register } = world({ observer })
    register({ Name: 'a', Check: { TTL: '10s', DeregisterCriticalServiceAfter: '2m' } })
    expect(announced).toEqual([11_000, 121_000])
  })
})

describe('registering again', () => {
  test('leaves the health of a check that exists as it is', () => {
    const { state, register, checks } = world()
    register({ Name: 'a', Check: ttl })
    state.beat('service:a', 'warning', 'hm')
    register({ Name: 'a', Port: 2, Check: ttl })
    expect(checks('a')).toEqual(['service:a warning hm'])
  })

  test('without changes wakes nobody who waits for the service or the names', () => {
    const { state, register } = world()
    register({ Name: 'a', Check: ttl })
    const before = [state.index.services(), state.index.service('a')]
    register({ Name: 'a', Check: ttl })
    expect([state.index.services(), state.index.service('a')]).toEqual(before)
  })

  test('keeps checks that are not named again, unless they are to be replaced', () => {
    const { register, checks } = world()
    register({ Name: 'a', Checks: [{ ...ttl, CheckID: 'one' }] })
    register({ Name: 'a', Checks: [{ ...ttl, CheckID: 'two' }] })
    expect(checks('a')).toEqual(['one passing ', 'two passing '])
    register({ Name: 'a', Checks: [{ ...ttl, CheckID: 'two' }] }, true)
    expect(checks('a')).toEqual(['two passing '])
    register({ Name: 'a' }, true)
    expect(checks('a')).toEqual([])
  })

  test('under another name moves the instance, and wakes who waits for either name', () => {
    const { state, register } = world()
    register({ ID: 'i', Name: 'old' })
    const before = state.index.service('old')
    register({ ID: 'i', Name: 'new' })
    expect([state.instances('old').length, state.instances('new').length]).toEqual([0, 1])
    expect(state.index.service('old')).toBeGreaterThan(before)
  })

  test('a check id that another service has takes the check away from it', () => {
    const { register, checks } = world()
    register({ Name: 'a', Check: { ...ttl, CheckID: 'shared' } })
    register({ Name: 'b', Check: { ...ttl, CheckID: 'shared' } })
    expect([checks('a'), checks('b')]).toEqual([[], ['shared passing ']])
  })
})

describe('refusals change nothing', () => {
  test.each([
    ['a beat for a check that does not exist', 500, (state: CatalogState) => state.beat('nope', 'passing', '')],
    ['a beat for a check that is no TTL', 500, (state: CatalogState) => state.beat('http', 'passing', '')],
    ['maintenance of an unknown service', 404, (state: CatalogState) => state.maintain('nope', true, '')],
    [
      'one service more than there is room for',
      429,
      (state: CatalogState) => state.register(parseRegistration({ Name: 'more' }), false),
    ],
  ])('%s', (_, status, act) => {
    const { state, register } = world({ maxServices: 1 })
    register({ Name: 'a', Check: { CheckID: 'http', HTTP: 'http://x', Interval: '1s' } })
    const before = everything(state)
    expect(() => act(state)).toThrow(expect.objectContaining({ status }))
    expect(everything(state)).toBe(before)
  })

  test('an unknown service may be deregistered, and a known one registered again in a full catalog', () => {
    const { state, register } = world({ maxServices: 1 })
    register({ Name: 'a' })
    const before = everything(state)
    state.deregister('nope')
    expect(everything(state)).toBe(before)
    register({ Name: 'a', Port: 2 })
    expect(state.services()[0]?.registration.port).toBe(2)
  })
})

describe('maintenance', () => {
  test('is a critical check with a reason, until it ends; time does not end it', () => {
    const { state, register, pass } = world()
    register({ Name: 'a' })
    state.maintain('a', true, 'new rudder')
    state.maintain('a', true, 'again')
    pass(1e9)
    const shown = views.healthChecks(state, 'a')
    expect(shown).toMatchObject([
      { CheckID: '_service_maintenance:a', Status: 'critical', Notes: 'new rudder', Type: 'maintenance' },
    ])
    state.maintain('a', false, '')
    state.maintain('a', false, '')
    expect(state.checks()).toEqual([])
  })
})

describe('checks that have to be run', () => {
  test('start with their registration, start anew with a new definition, and stop with their service', () => {
    const log: string[] = []
    const observer = {
      checkStarted: ({ checkId, type }: CheckRecord) => void log.push(`+${checkId} ${type}`),
      checkStopped: (checkId: string) => void log.push(`-${checkId}`),
      deadline() {},
    }
    const { state, register } = world({ observer })
    register({ Name: 'a', Checks: [{ CheckID: 'h', HTTP: 'http://x', Interval: '1s' }] })
    register({ Name: 'a', Checks: [{ CheckID: 'h', TCP: 'x:1', Interval: '1s' }] })
    state.deregister('a')
    expect(log).toEqual(['+h http', '+h tcp', '-h'])
  })

  test('a result that comes after the check was replaced counts for nothing', () => {
    const { state, register, checks } = world()
    register({ Name: 'a', Check: { CheckID: 'h', HTTP: 'http://x', Interval: '1s' } })
    const [old] = state.checksOf('a')
    register({ Name: 'a', Check: { CheckID: 'h', HTTP: 'http://y', Interval: '1s' } })
    if (old !== undefined) state.observe('h', old.definition, 'passing', 'late')
    expect(checks('a')).toEqual(['h critical '])
  })

  test('an output that changes while the status stays wakes nobody, and the agent alone knows it', () => {
    const { state, register } = world()
    register({ Name: 'a', Check: ttl })
    state.beat('service:a', 'passing', 'one')
    const before = views.healthService(state, 'a', noTags)
    state.beat('service:a', 'passing', 'two')
    expect(views.healthService(state, 'a', noTags)).toEqual(before)
    expect(views.agentChecks(state)).toMatchObject({ 'service:a': { Output: 'two' } })
  })
})

/** What anybody can do to the catalog, with so few names that they meet. */
type Step =
  | { readonly kind: 'register'; readonly body: object; readonly replace: boolean }
  | { readonly kind: 'deregister' | 'maintain' | 'mend'; readonly id: string }
  | { readonly kind: 'beat'; readonly checkId: string; readonly status: 'passing' | 'warning' | 'critical' }
  | { readonly kind: 'pass'; readonly ms: number }

const names = ['a', 'b', 'consul']
const id = fc.constantFrom('1', '2', '3')
const status = fc.constantFrom('passing', 'warning', 'critical')
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('register' as const),
      replace: fc.boolean(),
      body: fc.record({
        Name: fc.constantFrom(...names),
        ID: id,
        Port: fc.nat(2),
        Tags: fc.subarray(['x', 'y']),
        Checks: fc.array(
          fc.record({
            CheckID: fc.constantFrom('c1', 'c2', ''),
            TTL: fc.constantFrom('1s', '100s'),
            Status: status,
            DeregisterCriticalServiceAfter: fc.constantFrom('', '1m'),
          }),
          { maxLength: 2 },
        ),
      }),
    }),
    fc.record({ kind: fc.constantFrom('deregister' as const, 'maintain' as const, 'mend' as const), id }),
    fc.record({ kind: fc.constant('beat' as const), checkId: fc.constantFrom('c1', 'c2', 'service:1'), status }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1, 1000, 61_000) }),
  ),
  { maxLength: 30 },
)

describe('whatever happens', () => {
  test('no index goes back, and no answer changes without its index: a waiting query misses nothing', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const { state, register, pass } = world()
        let before = answers(state)
        for (const step of all) {
          take(step, state, register, pass)
          const after = answers(state)
          for (const [name, { index, body }] of Object.entries(after)) {
            const was = before[name] ?? { index: 0, body: '' }
            expect(index, name).toBeGreaterThanOrEqual(was.index)
            if (body !== was.body) expect(index, `${name}: ${was.body} → ${body}`).toBeGreaterThan(was.index)
          }
          before = after
        }
      }),
      { numRuns: 300 },
    )
  })

  test('every check belongs to a service that exists, and every service is listed under its name', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const { state, register, pass } = world()
        for (const step of all) take(step, state, register, pass)
        for (const check of state.checks()) {
          expect(state.checksOf(check.serviceId)).toContain(check)
          expect(state.service(check.serviceId)).toBeDefined()
        }
        for (const service of state.services()) expect(state.instances(service.registration.name)).toContain(service)
        const listed = names.flatMap((name) => state.instances(name))
        expect(listed).toHaveLength(state.services().length)
      }),
    )
  })
})

function take(
  step: Step,
  state: CatalogState,
  register: (body: object, replace: boolean) => void,
  pass: (ms: number) => void,
): void {
  try {
    if (step.kind === 'register') register(step.body, step.replace)
    else if (step.kind === 'deregister') state.deregister(step.id)
    else if (step.kind === 'beat') state.beat(step.checkId, step.status, 'note')
    else if (step.kind === 'pass') pass(step.ms)
    else state.maintain(step.id, step.kind === 'maintain', '')
  } catch (error) {
    expect(error).toHaveProperty('status')
  }
}

function answers(state: CatalogState): Record<string, { index: number; body: string }> {
  const byName = names.concat('never').map((name) => [
    `service ${name}`,
    {
      index: state.index.service(name),
      body: JSON.stringify([views.healthService(state, name, noTags), views.catalogService(state, name, [])]),
    },
  ])
  return {
    ...Object.fromEntries(byName),
    names: { index: state.index.services(), body: JSON.stringify(views.catalogServices(state)) },
    checks: { index: state.index.checks(), body: JSON.stringify(views.healthState(state, 'any')) },
  }
}

function everything(state: CatalogState): string {
  return JSON.stringify([answers(state), views.agentServices(state), views.agentChecks(state), state.nextDueAt()])
}
