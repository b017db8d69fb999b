/** How is etcd followed as a catalog? What may be said about it, and the parts that do it put together. */

import type { Logger } from 'pino'
import type { CatalogSource } from '../source.ts'
import { watchedSource } from '../watched-source.ts'
import { type EtcdAccess, etcdClient } from './etcd-client.ts'
import type { EntryRules } from './etcd-entries.ts'
import { type EtcdTiming, etcdWatch } from './etcd-watch.ts'

/**
 * Keys are `<prefix>/<service>/<id>`; etcd-entries.ts says what their values may be. `user` null: nobody logs in.
 */
export interface EtcdOptions extends EtcdAccess, EntryRules {
  /** Members of one cluster, `http://host:port` or `https://host:port`; one is asked, and the next when it fails. */
  readonly endpoints: readonly string[]
}

export interface EtcdDeps {
  readonly log: Logger
  /** From 0 to less than 1: jitter. */
  readonly random: () => number
  /** For tests; the defaults are `etcdTiming`. */
  readonly timing?: Partial<EtcdTiming>
}

export const etcdTiming: EtcdTiming = {
  connectMs: 2000,
  deadlineMs: 10_000,
  confirmMs: 5000,
  catchUpMs: 2000,
  pageKeys: 1000,
}

/**
 * A source that follows the keys below a prefix of etcd v3. `reread` and `describe` are about the watch that was begun
 * last.
 * @throws TypeError when `options.endpoints` is empty or has one that is no http or https URL
 */
export function createEtcdSource(options: EtcdOptions, deps: EtcdDeps): CatalogSource {
  const timing = { ...etcdTiming, ...deps.timing }
  const [first, ...others] = options.endpoints.map(parseEndpoint)
  if (first === undefined) throw new TypeError('etcd needs at least one endpoint: http://host:port')
  return watchedSource((listeners, signal) => {
    const client = etcdClient(options, timing)
    const tools = { log: deps.log, random: deps.random, now: () => performance.now() }
    return etcdWatch(client, [first, ...others], options, timing, tools, listeners, signal)
  })
}

/** @throws TypeError when it is no http or https URL, or has a user */
export function parseEndpoint(endpoint: string): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null
  // A user in the URL would be sent as Basic authentication, which etcd does not know.
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new TypeError('an endpoint of etcd must be http://host:port or https://host:port, without a user')
  }
  return url
}
