/** How is ZooKeeper followed as a catalog? What may be said about it, and the parts that do it put together. */

import type { Logger } from 'pino'
import type { NameRules } from '../names.ts'
import type { CatalogSource } from '../source.ts'
import { watchedSource } from '../watched-source.ts'
import { parseConnectString } from './connect-string.ts'
import { zookeeperClient } from './zookeeper-client.ts'
import { type ZookeeperTiming, zookeeperWatch } from './zookeeper-watch.ts'

export interface ZookeeperAccess {
  /** As connect-string.ts reads it. */
  readonly connect: string
  /** Services are the nodes below it, instances the nodes below those; starts with a slash, ends without one. */
  readonly path: string
  /** `user:password` of the scheme digest; null: nobody logs in. */
  readonly auth: string | null
  readonly sessionTimeoutMs: number
}

export interface ZookeeperOptions extends ZookeeperAccess, NameRules {}

export interface ZookeeperDeps {
  readonly log: Logger
  /** From 0 to less than 1: jitter. */
  readonly random: () => number
  /** For tests; the defaults are `zookeeperTiming`. */
  readonly timing?: Partial<ZookeeperTiming>
}

export const zookeeperTiming: ZookeeperTiming = { connectMs: 1000, confirmMs: 5000, patienceMs: 500, window: 200 }

/**
 * A source that follows the nodes below a path of ZooKeeper. `reread` and `describe` are about the watch that was begun
 * last.
 * @throws TypeError when `options.connect` names no server
 */
export function createZookeeperSource(options: ZookeeperOptions, deps: ZookeeperDeps): CatalogSource {
  const timing = { ...zookeeperTiming, ...deps.timing }
  const { servers, base } = readAccess(options)
  return watchedSource((listeners, signal) => {
    const client = zookeeperClient({ ...options, servers, connectMs: timing.connectMs }, deps.random)
    const tools = { log: deps.log, random: deps.random, now: () => performance.now() }
    return zookeeperWatch(client, base, options, timing, tools, listeners, signal)
  })
}

/**
 * The servers, and the path that all is below.
 * @throws TypeError when `connect` names no server
 */
export function readAccess({ connect, path }: ZookeeperAccess) {
  const { servers = [], chroot = '' } = parseConnectString(connect) ?? {}
  const [first, ...others] = servers
  if (first === undefined) throw new TypeError('ZooKeeper needs at least one server: host:port,host:port/chroot')
  return { servers: [first, ...others] as const, base: `${chroot}${path}` }
}
