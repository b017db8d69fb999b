/** Requests at a steady rate through a balancer whose endpoints take time to answer, in simulated time. */

import type { Outcome } from '../../src/balancer/outcome.ts'
import type { World } from './world.ts'

export interface Simulation {
  readonly durationMs: number
  /** From one request to the next. */
  readonly intervalMs: number
  /** How long this request takes. */
  readonly latencyMs: (name: string) => number
  /** How a request ends that was sent and answered at these times, counted from the start of the simulation. */
  readonly outcome: (name: string, sentMs: number, answeredMs: number) => Outcome
}

export interface SimulatedRequest {
  readonly atMs: number
  readonly name: string
  readonly panic: boolean
}

/** Runs it to its end; all outcomes are reported, in the order in which they fall due. */
export function simulate(world: World, { durationMs, intervalMs, latencyMs, outcome }: Simulation): SimulatedRequest[] {
  const startMs = world.nowMs
  const requests: SimulatedRequest[] = []
  const pending: { dueMs: number; report: () => void }[] = []
  const settle = (untilMs: number) => {
    while (pending[0] !== undefined && pending[0].dueMs <= untilMs) {
      const next = pending.shift()
      if (next === undefined) break
      world.nowMs = startMs + next.dueMs
      next.report()
    }
    world.nowMs = startMs + Math.min(untilMs, durationMs)
  }
  for (let atMs = 0; atMs < durationMs; atMs += intervalMs) {
    settle(atMs)
    const pick = world.pick()
    const name = pick.endpoint.address
    requests.push({ atMs, name, panic: pick.role === 'panic' })
    const dueMs = atMs + latencyMs(name)
    const after = pending.findIndex((other) => other.dueMs > dueMs)
    const report = () => pick.report(outcome(name, atMs, dueMs))
    pending.splice(after < 0 ? pending.length : after, 0, { dueMs, report })
  }
  for (const { dueMs, report } of pending) {
    world.nowMs = Math.max(world.nowMs, startMs + dueMs)
    report()
  }
  return requests
}
