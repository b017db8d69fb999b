/**
 * Does traffic go on, whatever Consul does? Real agents, a fault proxy in front of them where an agent cannot do it, the
 * real program and paced load; `npm run drills -- consul-faults` plays the same faults at full length.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { consulFaults } from '../drills/consul-fault-list.ts'
import {
  type ConsulFault,
  complaintsOf,
  type FaultReport,
  faultsSmall,
  runFault,
  type SharedWorld,
  startSharedWorld,
} from '../drills/consul-fault-run.ts'
import { downAtStart, downAtStartWithSnapshot, staleAtStart } from '../drills/consul-start.ts'
import { scoped } from '../drills/scope.ts'

let shared: SharedWorld
const ends: (() => unknown)[] = []
beforeAll(async () => {
  shared = await startSharedWorld({ onEnd: (end) => void ends.push(end) })
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const limitMs = 60_000

async function play(fault: ConsulFault): Promise<void> {
  const service = `fault-${consulFaults.indexOf(fault)}`
  const report = await scoped((scope) => runFault(scope, shared, service, fault, faultsSmall))
  expect(complaintsOf(report, fault, faultsSmall)).toEqual([])
  expect(report.requests).toBeGreaterThan(faultsSmall.perSecond)
}

test('Consul is down at the start: nothing is served and /readyz says starting, until there is a catalog', async () => {
  const { isClosed, report } = await scoped((scope) => downAtStart(scope, shared, 'fault-start', faultsSmall))
  expect(isClosed).toBe(true)
  expect(report.readyz.map(({ state }) => state)).toEqual(['starting', 'fresh'])
  expect(report).toMatchObject({ failed: 0, lost: [] })
}, 60_000)

function startWithSnapshot(service: string, comesBack: 'as it was' | 'empty'): Promise<FaultReport> {
  return scoped((scope) => downAtStartWithSnapshot(scope, shared, service, faultsSmall, comesBack))
}

describe('with a snapshot', () => {
  test('Consul is down at the start: it serves what it knew, says stale, and follows Consul once it is there', async () => {
    const report = await startWithSnapshot('fault-snapshot', 'as it was')
    expect(complaintsOf(report, staleAtStart, faultsSmall)).toEqual([])
  }, 60_000)

  test('Consul is down at the start and comes back empty: it goes on with what it knew', async () => {
    const report = await startWithSnapshot('fault-snapshot-empty', 'empty')
    expect(complaintsOf(report, staleAtStart, faultsSmall)).toEqual([])
  }, 60_000)
})

describe.concurrent('no request fails, no endpoint is lost and /readyz tells; Consul, or the way to it:', () => {
  for (const fault of consulFaults) test(fault.title, () => play(fault), limitMs)
})
