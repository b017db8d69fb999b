/** A Eureka source that is being watched by a test, with options to begin with. */

import { pino } from 'pino'
import { createEurekaSource, type EurekaDeps, type EurekaOptions } from '../../../src/discovery/eureka/eureka-source.ts'
import { type Followed, followSource } from '../follow.ts'

export const eurekaDefaults: EurekaOptions = {
  urls: [],
  user: null,
  password: null,
  tls: { ca: null, cert: null, key: null },
  intervalMs: 100,
  name: 'app',
  address: 'ip',
  securePort: false,
  include: ['*'],
  exclude: [],
}

/** Watches the registry of the servers at `urls` with the default options but for those given. */
export function followEureka(
  urls: string | readonly string[],
  options: Partial<EurekaOptions> = {},
  deps: Partial<EurekaDeps> = {},
): Followed {
  const logged: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) })
  const all = { ...eurekaDefaults, urls: typeof urls === 'string' ? [urls] : urls, ...options }
  return followSource(createEurekaSource(all, { log, random: Math.random, ...deps }), logged)
}
