/** One balancer with a clock that the test moves, and a log of all that its observer was told. */

import { type Balancer, createBalancer, type HandResult, type Hands, type Picked } from '../../src/balancer/balancer.ts'
import { type Catalog, compareEndpoints, type Endpoint, type EndpointId } from '../../src/balancer/endpoint.ts'
import type { Outcome } from '../../src/balancer/outcome.ts'
import type { OutlierOptions } from '../../src/balancer/outlier-options.ts'
import type { BalancingOptions } from '../../src/balancer/slow-start.ts'
import type { EndpointView } from '../../src/balancer/view.ts'

/** The defaults of the contract. */
export const defaults: OutlierOptions = {
  enforce: true,
  consecutiveFaults: 5,
  consecutiveConnectFaults: 2,
  isFaultStatus: (status) => status >= 500,
  faultRate: { threshold: 0.5, minRequests: 20, windowMs: 10_000 },
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjectedShare: 0.5,
}

/** No slow start: the default of the contract. */
export const atOnce: BalancingOptions = { slowStartMs: null }

export const outcomes = {
  refused: { kind: 'connect-failed', code: 'ECONNREFUSED' },
  unroutable: { kind: 'timed-out', phase: 'connect' },
  noport: { kind: 'connect-failed', code: 'EADDRNOTAVAIL' },
  silent: { kind: 'timed-out', phase: 'response' },
  reset: { kind: 'broke-off', afterHeaders: false, code: 'ECONNRESET' },
  left: { kind: 'client-left' },
  bad: { kind: 'bad-request', status: 400, detail: 'malformed chunk' },
} as const satisfies Record<string, Outcome>

export function responded(status: number): Outcome {
  return { kind: 'responded', status, relayed: true }
}

/** `A` is A:80. */
export function endpoint(name: string, weight = 1): Endpoint {
  return { id: `${name}:80`, instance: `instance-${name}`, address: name, port: 80, weight }
}

/** Endpoints by letter: `'ABC'`, or `{ A: 2, B: 1 }` with weights. */
export type Members = string | Readonly<Record<string, number>>

export function endpointsOf(members: Members): Endpoint[] {
  const weights = typeof members === 'string' ? [...members].map((name) => [name, 1] as const) : Object.entries(members)
  return weights.map(([name, weight]) => endpoint(name, weight)).sort(compareEndpoints)
}

export function catalogOf(services: Readonly<Record<string, Members>>): Catalog {
  return {
    services: new Map(
      Object.entries(services).map(([name, members]) => [name, { endpoints: endpointsOf(members), absent: [] }]),
    ),
  }
}

export interface World {
  readonly balancer: Balancer
  /** What the observer was told, in words. */
  readonly events: string[]
  nowMs: number
  options: OutlierOptions
  balancing: BalancingOptions
  /** Replaces the catalog by one of this service alone. */
  use(members: Members): void
  pick(avoid?: Iterable<string>): Picked
  /** A pick of this very endpoint, as if every other one had been tried already. */
  pickOf(name: string): Picked
  /** So many requests one after the other; answers the letters of the endpoints that had them. */
  serve(count: number, outcomeOf?: (name: string) => Outcome): string
  /**
   * Plays a script: `A500` is a request to A that was answered 500, `Arefused` one whose connect failed (see
   * `outcomes`), `A500*5` five of them, `all500` one for each endpoint, `+30s` and `+5ms` move the clock, `drainA`,
   * `undrainA`, `ejectA` and `restoreA` are a person's word, hers whose name is anna.
   */
  play(script: string): void
  /** Anna's word on an endpoint. */
  hand(action: keyof Hands, name: string): HandResult
  viewOf(name: string): EndpointView
  /** `A healthy, B ejected`. */
  states(): string
}

export const service = 'quotes-service'

export function newWorld(members: Members, options: Partial<OutlierOptions> = {}): World {
  const events: string[] = []
  const name = (id: EndpointId) => id.replace(/:80$/, '')
  const balancer = createBalancer({
    now: () => world.nowMs,
    outlier: () => world.options,
    balancing: () => world.balancing,
    observer: {
      onEjected: (_, id, reason, forMs) => events.push(`${name(id)} out for ${forMs / 1000}s: ${reason}`),
      onRestored: (_, id) => events.push(`${name(id)} back`),
      onWithheld: (_, id, due, withheld) => events.push(`${name(id)} stays: ${due}, ${withheld}`),
      onDrained: (_, id, by) => events.push(`${name(id)} drained by ${by}`),
      onUndrained: (_, id, by) => events.push(`${name(id)} undrained by ${by}`),
      onPanicPick: () => events.push('panic'),
    },
  })
  const endpoints = () => balancer.viewService(service)?.endpoints ?? []

  const world: World = {
    balancer,
    events,
    nowMs: 1_000_000,
    options: { ...defaults, ...options },
    balancing: atOnce,
    use: (next) => {
      balancer.update(catalogOf({ [service]: next }))
    },
    pick: (avoid = []) => {
      const pick = balancer.pick(service, new Set([...avoid].map((letter) => `${letter}:80`)))
      if (pick.kind !== 'picked') throw new Error(`expected a pick, got ${pick.kind}`)
      return pick
    },
    pickOf: (wanted) =>
      world.pick(endpoints().flatMap(({ endpoint }) => (endpoint.address === wanted ? [] : [endpoint.address]))),
    serve: (count, outcomeOf = () => responded(200)) => {
      let served = ''
      for (let request = 0; request < count; request++) {
        const pick = world.pick()
        served += pick.endpoint.address
        pick.report(outcomeOf(pick.endpoint.address))
      }
      return served
    },
    play: (script) => {
      for (const step of script.split(/\s+/)) playStep(world, step)
    },
    hand: (action, wanted) => balancer[action](service, `${wanted}:80`, 'anna'),
    viewOf: (wanted) => {
      const view = endpoints().find(({ endpoint }) => endpoint.address === wanted)
      if (view === undefined) throw new Error(`no endpoint ${wanted}`)
      return view
    },
    states: () =>
      endpoints()
        .map((view) => `${view.endpoint.address} ${view.state}`)
        .join(', '),
  }
  world.use(members)
  return world
}

function playStep(world: World, step: string): void {
  const wait = /^\+(\d+)(ms|s)$/.exec(step)
  if (wait !== null) {
    world.nowMs += Number(wait[1]) * (wait[2] === 's' ? 1000 : 1)
    return
  }
  const hand = /^(drain|undrain|eject|restore)([A-Z])$/.exec(step)
  if (hand !== null) {
    world.hand(hand[1] as keyof Hands, hand[2] as string)
    return
  }
  const request = /^(all|[A-Z])(\d+|[a-z]+)(?:\*(\d+))?$/.exec(step)
  if (request === null) throw new Error(`no such step: ${step}`)
  const [, who = '', how = '', times = '1'] = request
  for (let time = 0; time < Number(times); time++) {
    const names = who === 'all' ? (world.states().match(/[A-Z](?= )/g) ?? []) : [who]
    for (const name of names) world.pickOf(name).report(outcomeNamed(how))
  }
}

function outcomeNamed(name: string): Outcome {
  if (/^\d+$/.test(name)) return responded(Number(name))
  const outcome: Outcome | undefined = outcomes[name as keyof typeof outcomes]
  if (outcome === undefined) throw new Error(`no such outcome: ${name}`)
  return outcome
}
