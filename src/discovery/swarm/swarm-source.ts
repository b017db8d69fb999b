/**
 * How is Docker Swarm followed as a catalog, and how a Docker Engine that is in no swarm? What may be said about it, and
 * the parts that do it put together.
 */

import type { Logger } from 'pino'
import type { CatalogSource } from '../source.ts'
import { watchedSource } from '../watched-source.ts'
import { type EngineAccess, engineClient } from './engine-client.ts'
import type { SwarmRules } from './swarm-rules.ts'
import { type SwarmTiming, swarmWatch } from './swarm-watch.ts'

/** `host`: the Engine of a manager, or one without a swarm, whose own containers count then. */
export interface SwarmOptions extends EngineAccess, SwarmRules {}

export interface SwarmDeps {
  readonly log: Logger
  /** From 0 to less than 1: jitter. */
  readonly random: () => number
  /** For tests; the defaults are `swarmTiming`. */
  readonly timing?: Partial<SwarmTiming>
}

export const swarmTiming: SwarmTiming = {
  connectMs: 2000,
  deadlineMs: 10_000,
  pollMs: 1000,
  busyPollMs: 250,
  settleMs: 30,
  recheckMs: 5000,
}

/**
 * A source that follows labelled services of a swarm, or labelled containers. `reread` and `describe` are about the watch
 * that was begun last.
 * @throws TypeError when `options.host` is neither unix:///path nor tcp://host:port
 */
export function createSwarmSource(options: SwarmOptions, deps: SwarmDeps): CatalogSource {
  const timing = { ...swarmTiming, ...deps.timing }
  // Now, so that a host that cannot be is told at once.
  engineClient(options, timing).close()
  return watchedSource((listeners, signal) => {
    const client = engineClient(options, timing)
    const tools = { log: deps.log, random: deps.random, now: () => performance.now() }
    const watch = swarmWatch(client, options.host, options, timing, tools, listeners, signal)
    return { ...watch, done: watch.done.finally(client.close) }
  })
}
