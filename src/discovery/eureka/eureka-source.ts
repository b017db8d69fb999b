/** How is a Eureka registry made a catalog? The options of it, and the source that follows its servers (see eureka-watch.ts). */

import type { Logger } from 'pino'
import type { CatalogSource } from '../source.ts'
import { watchedSource } from '../watched-source.ts'
import { type EurekaAccess, type EurekaDeadlines, eurekaServer } from './eureka-client.ts'
import type { EurekaRules } from './eureka-instances.ts'
import { eurekaWatch } from './eureka-watch.ts'

export interface EurekaOptions extends EurekaAccess, EurekaRules {
  /**
   * Servers of one registry, each with its path: `http://host:8761/eureka`; one or more. The first is asked, and the next
   * one from when it fails. May carry a user and a password of its own.
   */
  readonly urls: readonly string[]
  /** From one poll to the next; above 0. */
  readonly intervalMs: number
}

export interface EurekaSourceTiming extends EurekaDeadlines {
  /** How often everything is read although the deltas add up. */
  readonly fullEveryMs: number
}

export interface EurekaDeps {
  readonly log: Logger
  /** From 0 to less than 1: jitter. */
  readonly random: () => number
  /** For tests; the defaults are `eurekaTiming`. */
  readonly timing?: Partial<EurekaSourceTiming>
}

export const eurekaTiming: EurekaSourceTiming = { deadlineMs: 15_000, silenceMs: 5000, fullEveryMs: 60_000 }

/**
 * A source that follows a Eureka registry. `reread` and `describe` are about the watch that was begun last.
 * @throws TypeError when `options.urls` is empty, or one of them is no http or https URL
 */
export function createEurekaSource(options: EurekaOptions, deps: EurekaDeps): CatalogSource {
  const timing = { ...eurekaTiming, ...deps.timing, intervalMs: options.intervalMs }
  const servers = options.urls.map((url) => eurekaServer(url, options, timing))
  if (servers.length === 0) throw new TypeError('there must be the URL of at least one Eureka server')
  return watchedSource((listeners, signal) => {
    const tools = { log: deps.log, random: deps.random, now: () => performance.now() }
    return eurekaWatch(servers, options, timing, tools, listeners, signal)
  })
}
