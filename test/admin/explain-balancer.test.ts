/** Is what a real balancer decides told as it was? Its clock is the test's. */

import { expect, test } from 'vitest'
import { explainService } from '../../src/admin/explain.ts'
import { newWorld, service, type World } from '../balancer/world.ts'
import { plainCatalog } from './fixtures.ts'

/** Verdicts by letter of the endpoint. */
function verdicts(world: World): Readonly<Record<string, string>> {
  return Object.fromEntries(explained(world).instances.map(({ address, verdict }) => [address.slice(0, 1), verdict]))
}

function explained(world: World) {
  const view = world.balancer.viewService(service)
  if (view === null) throw new Error('the service is not known')
  return explainService({
    service: view,
    facts: null,
    catalog: plainCatalog,
    readiness: { state: 'fresh', ageMs: 0 },
    outlier: world.options,
    slowStartMs: world.balancing.slowStartMs,
    epochMs: 0,
  })
}

const share = (percent: string) => `Gets requests, ${percent} of them`

test('an ejection by failed connects, its probe and its end', () => {
  const world = newWorld('ABC')
  world.play('Arefused*2 +12s')
  expect(verdicts(world)).toEqual({
    A: 'Gets no requests: ejected 12 s ago for 30 s, because 2 connects in a row failed (outlier.consecutiveConnectFaults); one probe request may go in 18 s.',
    B: `${share('50%')}.`,
    C: `${share('50%')}.`,
  })
  expect(explained(world).instances[0]?.causes).toMatchObject([
    {
      faults: Array(2).fill({
        agoMs: 12_000,
        outcome: 'no connection: refused (ECONNREFUSED)',
        kind: 'connect-failed',
      }),
    },
  ])
  world.play('+18s')
  expect(verdicts(world).A).toContain('the next request to it is its probe')
  const probe = world.pickOf('A')
  expect(verdicts(world).A).toContain('its probe request is on its way')
  probe.report({ kind: 'responded', status: 200, relayed: true })
  expect(verdicts(world).A).toBe(`${share('33.3%')}.`)
  expect(explained(world).instances[0]?.causes).toMatchObject([{ kind: 'was-ejected' }])
})

test('the cap, with its numbers', () => {
  const world = newWorld('AB')
  world.play('Arefused*2 Brefused*2 +4s')
  expect(verdicts(world).B).toBe(
    `${share('100%')}, but its ejection has been due for 4.0 s, because 2 connects in a row failed (outlier.consecutiveConnectFaults), and is withheld: 1 of 2 are ejected already, and 50% in whole endpoints is the most (outlier.maxEjectedShare).`,
  )
  expect(explained(world).verdict).toBe('1 of 2 instances gets requests, although 1 fails; of the others 1 is ejected.')
})

test('a lone endpoint, and one that fails together with the others', () => {
  const lone = newWorld('A')
  lone.play('A500*5')
  expect(verdicts(lone).A).toContain('nobody else is left to take its requests, and a lone endpoint is never ejected')
  const all = newWorld('ABC')
  all.play('all500*5')
  expect(verdicts(all).A).toContain(
    'of 3 endpoints fail together, so it is the request, or something that all of them need',
  )
})

test('a drain that outlives the catalog, an ejection by hand, and panic when nobody else is left', () => {
  const world = newWorld('AB')
  world.balancer.drain(service, 'A:80', 'anna')
  world.balancer.eject(service, 'B:80', 'bert')
  world.nowMs += 60_000 * 5
  world.pick().report({ kind: 'responded', status: 500, relayed: true })
  world.balancer.eject(service, 'B:80', 'bert')
  expect(verdicts(world)).toEqual({
    A: 'Gets no requests: drained by anna 5 min ago, until somebody undrains it.',
    B: expect.stringMatching(/^Gets requests although it is ejected: all endpoints that may be tried are ejected/),
  })
  world.use('B')
  expect(explained(world).concerns).toContainEqual(
    expect.objectContaining({ kind: 'drained-away', endpoint: 'A:80', by: 'anna' }),
  )
})

test('a joiner that warms up', () => {
  const world = newWorld('A')
  world.balancing = { slowStartMs: 32_000 }
  world.use('AB')
  world.nowMs += 8_000
  world.pick()
  expect(verdicts(world).B).toContain(
    'but it joined of late: its share is 28.1% of the full one, and grows to the full one over 32 s',
  )
})
