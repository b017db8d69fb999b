/** A Consul source that is being watched by a test: what it has said so far, and how to stop it. */

import { pino } from 'pino'
import type { Catalog, CatalogService } from '../../src/balancer/endpoint.ts'
import { type ConsulDeps, type ConsulOptions, consulSource } from '../../src/discovery/consul/consul-source.ts'
import type { CatalogSource, SourceError } from '../../src/discovery/source.ts'
import { waitFor } from '../support/wait.ts'

export const consulDefaults: ConsulOptions = {
  address: 'http://127.0.0.1:8500',
  token: null,
  datacenter: null,
  namespace: null,
  stale: true,
  include: ['*'],
  exclude: ['consul'],
  tag: null,
  includeWarning: true,
  maxWatches: 128,
  tls: { ca: null, cert: null, key: null },
}

export interface Followed {
  readonly source: CatalogSource
  /** Every catalog published, oldest first. */
  readonly catalogs: readonly Catalog[]
  /** Of each of them, whether it was told as one of a source that has gone backwards. */
  readonly rewound: readonly boolean[]
  readonly errors: readonly SourceError[]
  /** How often the source said that nothing had changed. */
  readonly fresh: number
  /** The lines that it logged, as JSON texts. */
  readonly logged: readonly string[]
  /** What the newest catalog says of a service. */
  service(name: string): CatalogService | undefined
  /** `address:port*weight` of each endpoint of a service in the newest catalog; undefined: no such service. */
  endpoints(name: string): readonly string[] | undefined
  /** Waits until the service has exactly these endpoints, given as `address:port*weight`. */
  until(name: string, expected: readonly string[] | undefined, deadlineMs?: number): Promise<void>
  /** Ends the watch and waits until it has resolved. */
  stop(): Promise<void>
}

/** Watches `source` and remembers what it says. */
export function followSource(source: CatalogSource, logged: readonly string[] = []): Followed {
  const catalogs: Catalog[] = []
  const rewound: boolean[] = []
  const errors: SourceError[] = []
  const stop = new AbortController()
  let fresh = 0
  const ended = source.watch(
    {
      onCatalog: (catalog, reading) => {
        catalogs.push(catalog)
        rewound.push(reading.rewound)
      },
      onFresh: () => {
        fresh += 1
      },
      onError: (error) => errors.push(error),
    },
    stop.signal,
  )
  const service = (name: string) => catalogs.at(-1)?.services.get(name)
  const endpoints = (name: string) => service(name)?.endpoints.map((endpoint) => `${endpoint.id}*${endpoint.weight}`)
  return {
    source,
    catalogs,
    rewound,
    errors,
    get fresh() {
      return fresh
    },
    logged,
    service,
    endpoints,
    async until(name, expected, deadlineMs) {
      const wanted = JSON.stringify(expected)
      const reached = () => catalogs.length > 0 && JSON.stringify(endpoints(name)) === wanted
      try {
        await waitFor(`${name} is ${wanted}`, reached, deadlineMs)
      } catch {
        const last = JSON.stringify({ service: service(name), error: errors.at(-1) })
        throw new Error(`${name} never became ${wanted}; the last that was seen: ${last}`)
      }
    },
    async stop() {
      stop.abort()
      await ended
    },
  }
}

/** Watches the Consul at `address` with the default options but for those given. */
export function followConsul(
  address: string,
  options: Partial<ConsulOptions> = {},
  deps: Partial<ConsulDeps> = {},
): Followed {
  const logged: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) })
  const source = consulSource({ ...consulDefaults, address, ...options }, { log, random: Math.random, ...deps })
  return followSource(source, logged)
}
