/** A ZooKeeper source that is being watched by a test: as follow.ts does it for Consul. */

import { pino } from 'pino'
import {
  createZookeeperSource,
  type ZookeeperDeps,
  type ZookeeperOptions,
} from '../../../src/discovery/zookeeper/zookeeper-source.ts'
import { type Followed, followSource } from '../follow.ts'

export const zookeeperDefaults: Omit<ZookeeperOptions, 'connect'> = {
  path: '/services',
  auth: null,
  sessionTimeoutMs: 10_000,
  include: ['*'],
  exclude: [],
}

/** Watches the ZooKeeper at `connect` with the default options but for those given. */
export function followZookeeper(
  connect: string,
  options: Partial<ZookeeperOptions> = {},
  deps: Partial<ZookeeperDeps> = {},
): Followed {
  const logged: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) })
  const source = createZookeeperSource(
    { ...zookeeperDefaults, connect, ...options },
    { log, random: Math.random, ...deps },
  )
  return followSource(source, logged)
}
