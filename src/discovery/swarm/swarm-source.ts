/** How is Docker Swarm followed as a catalog? */

import type { Logger } from 'pino'
import type { NameRules } from '../names.ts'
import type { CatalogSource } from '../source.ts'

export interface SwarmOptions extends NameRules {
  /** `unix:///var/run/docker.sock` or `tcp://host:port`. */
  readonly host: string
  /** The overlay network whose addresses count; null: the one that a service is on, if it is only one. */
  readonly network: string | null
  /** The label of a service, or of a container, that says its port; what has none is not routed. */
  readonly label: string
  /** PEM texts, already read from their files, for a tcp host; all null: no TLS. */
  readonly tls: { readonly ca: string | null; readonly cert: string | null; readonly key: string | null }
}

export interface SwarmDeps {
  readonly log: Logger
  /** From 0 to less than 1: jitter. */
  readonly random: () => number
}

export function createSwarmSource(_options: SwarmOptions, _deps: SwarmDeps): CatalogSource {
  throw new Error('not built yet')
}
