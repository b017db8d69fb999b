/** How is ZooKeeper followed as a catalog? */

import type { Logger } from 'pino'
import type { NameRules } from '../names.ts'
import type { CatalogSource } from '../source.ts'

export interface ZookeeperOptions extends NameRules {
  /** As connect-string.ts reads it. */
  readonly connect: string
  /** Services are the nodes below it, instances the nodes below those; starts with a slash, ends without one. */
  readonly path: string
  /** `user:password` of the scheme digest; null: nobody logs in. */
  readonly auth: string | null
  readonly sessionTimeoutMs: number
}

export interface ZookeeperDeps {
  readonly log: Logger
  /** From 0 to less than 1: jitter. */
  readonly random: () => number
}

export function createZookeeperSource(_options: ZookeeperOptions, _deps: ZookeeperDeps): CatalogSource {
  throw new Error('not built yet')
}
