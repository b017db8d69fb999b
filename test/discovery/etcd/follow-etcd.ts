/** An etcd source that is being watched by a test: as follow.ts does it for Consul. */

import { pino } from 'pino'
import { createEtcdSource, type EtcdDeps, type EtcdOptions } from '../../../src/discovery/etcd/etcd-source.ts'
import { type Followed, followSource } from '../follow.ts'

export const etcdDefaults: Omit<EtcdOptions, 'endpoints'> = {
  prefix: '/services',
  user: null,
  password: null,
  include: ['*'],
  exclude: [],
  tag: null,
  tls: { ca: null, cert: null, key: null },
}

/** Watches the etcd at `endpoints` with the default options but for those given. */
export function followEtcd(
  endpoints: readonly string[],
  options: Partial<EtcdOptions> = {},
  deps: Partial<EtcdDeps> = {},
): Followed {
  const logged: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) })
  const source = createEtcdSource({ ...etcdDefaults, endpoints, ...options }, { log, random: Math.random, ...deps })
  return followSource(source, logged)
}
