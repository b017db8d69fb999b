/** A Swarm source that is being watched by a test: as follow.ts does it for Consul. */

import { pino } from 'pino'
import { createSwarmSource, type SwarmDeps, type SwarmOptions } from '../../../src/discovery/swarm/swarm-source.ts'
import { type Followed, followSource } from '../follow.ts'

export const swarmDefaults: Omit<SwarmOptions, 'host'> = {
  network: null,
  label: 'evenkeel.port',
  include: ['*'],
  exclude: [],
  tls: { ca: null, cert: null, key: null },
}

/** Watches the Engine at `host` with the default options but for those given. */
export function followSwarm(
  host: string,
  options: Partial<SwarmOptions> = {},
  deps: Partial<SwarmDeps> = {},
): Followed {
  const logged: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) })
  const source = createSwarmSource({ ...swarmDefaults, host, ...options }, { log, random: Math.random, ...deps })
  return followSource(source, logged)
}
