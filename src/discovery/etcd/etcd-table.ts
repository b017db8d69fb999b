/**
 * What is below the prefix in etcd, as far as it has been told? All keys as of one revision: a range read replaces them,
 * events of a watch change them, and what is older than that revision is passed over. Each service is put together anew
 * only when one of its keys has changed. Bounded, whatever is written into etcd.
 */

import { type Catalog, type CatalogService, sameService } from '../../balancer/endpoint.ts'
import type { Oddity } from '../oddity.ts'
import { compareText } from '../untrusted-text.ts'
import { decodeEntry, type EntryRules, type Instance, serviceOf } from './etcd-entries.ts'
import type { EtcdEvent, KeyValue } from './etcd-messages.ts'

/** A registry of instances is far below both; beyond them the prefix holds something else. */
export const MAX_KEYS = 100_000
const MAX_KEY_BYTES = 32 * 1024 * 1024

/** `full`: more keys than are kept. The keys are then those of before, and so is the revision. */
export type Taken = { readonly kind: 'taken'; readonly news: boolean } | { readonly kind: 'full' }

export interface EtcdTable {
  /** All that is older, or as old, has been taken in; 0: nothing has been read yet. */
  readonly revision: bigint
  /** Keys below the prefix, whether they name an instance or not. */
  readonly size: number
  /** These are all the keys that there were at `revision`. */
  replace(keys: readonly KeyValue[], revision: bigint): Taken
  /** This happened, in this order, and nothing else since the revision up to which all is known. */
  apply(events: readonly EtcdEvent[]): Taken
  /** Services ordered by name; null: nothing has been read yet. */
  catalog(): Catalog | null
}

interface Service {
  readonly instances: Map<string, Instance>
  known: CatalogService | null
}

/** @param report told what is strange in a service's keys, each time that they are looked at; '': of no service */
export function etcdTable(
  rules: EntryRules,
  report: (service: string, oddities: readonly Oddity[]) => void,
): EtcdTable {
  /** By key, the service that it is about; null: none. */
  let keys = new Map<string, string | null>()
  let services = new Map<string, Service>()
  let bytes = 0
  let revision = 0n
  const changed = new Set<string>()

  function put({ key, value }: KeyValue): void {
    remove(key)
    const entry = decodeEntry(Buffer.from(key, 'base64').toString('utf8'), value, rules)
    const service = entry.kind === 'instance' ? entry.service : null
    if (entry.oddities.length > 0) report(service ?? '', entry.oddities)
    keys.set(key, service)
    bytes += key.length
    if (entry.kind === 'other') return
    const of = services.get(entry.service) ?? { instances: new Map(), known: null }
    of.instances.set(key, entry.instance)
    services.set(entry.service, of)
    changed.add(entry.service)
  }

  function remove(key: string): void {
    const service = keys.get(key)
    if (service === undefined) return
    keys.delete(key)
    bytes -= key.length
    if (service === null) return
    services.get(service)?.instances.delete(key)
    changed.add(service)
  }

  /** @returns true if it changed what the catalog says */
  function assemble(): boolean {
    let news = false
    for (const name of changed) {
      const of = services.get(name)
      if (of === undefined) continue
      if (of.instances.size === 0) {
        services.delete(name)
        news ||= of.known !== null
        continue
      }
      const { service, oddities } = serviceOf(of.instances.values())
      if (oddities.length > 0) report(name, oddities)
      if (of.known !== null && sameService(of.known, service)) continue
      of.known = service
      news = true
    }
    changed.clear()
    return news
  }

  return {
    get revision() {
      return revision
    },
    get size() {
      return keys.size
    },
    replace(all, at) {
      const size = all.reduce((sum, { key }) => sum + key.length, 0)
      if (all.length > MAX_KEYS || size > MAX_KEY_BYTES) return { kind: 'full' }
      const isFirst = revision === 0n
      const before = services
      keys = new Map()
      bytes = 0
      services = new Map([...before].map(([name, { known }]) => [name, { instances: new Map(), known }]))
      for (const name of before.keys()) changed.add(name)
      for (const each of all) put(each)
      revision = at
      return { kind: 'taken', news: assemble() || isFirst }
    },
    apply(events) {
      const added = events.reduce((sum, event) => sum + (event.kind === 'put' ? event.of.key.length : 0), 0)
      if (keys.size + events.length > MAX_KEYS || bytes + added > MAX_KEY_BYTES) return { kind: 'full' }
      let last = revision
      for (const event of events) {
        const at = event.kind === 'put' ? event.of.modRevision : event.modRevision
        // Several events of one transaction share a revision, so it counts for the next message only.
        if (at <= revision) continue
        if (event.kind === 'put') put(event.of)
        else remove(event.key)
        if (at > last) last = at
      }
      revision = last
      return { kind: 'taken', news: assemble() }
    },
    catalog() {
      if (revision === 0n) return null
      const sorted = [...services].sort(([a], [b]) => compareText(a, b))
      return { services: new Map(sorted.flatMap(([name, { known }]) => (known === null ? [] : [[name, known]]))) }
    },
  }
}
