/**
 * What is the whole catalog, when it is read service by service? Pure but for what it remembers; time comes from
 * outside.
 *
 * What a service's last successful answer said stays, however often it fails afterwards. A service that has never been
 * read is not in the catalog yet. One that still cannot be read after several attempts is put in without endpoints and
 * with the reason: its name is known, so a client is to hear 503 and not 404, and an operator is to see why. That
 * empties nothing, for nothing was there.
 *
 * At the start the first catalog waits for every service, so that the table is complete before anybody is served; a
 * service that fails on its own account must not keep the others waiting for ever, but a Consul that is merely away
 * must not be taken for one full of empty services. Hence `gaveUp`.
 */

import { type Catalog, type CatalogService, sameService } from '../balancer/endpoint.ts'
import type { Failure } from './failure.ts'
import { compareText } from './untrusted-text.ts'

const ATTEMPTS = 3
/** How long a service may go without any answer while others have theirs, and at the start while no other gets its first. */
const SILENCE_MS = 10_000

interface Entry {
  /** From the last successful answer; null: there has been none. */
  known: CatalogService | null
  failures: number
  firstFailureMs: number
  lastFailure: Failure | null
  /** What is said of it while it has never been read: two ways of the same trouble that take turns are no news each time. */
  shown: Failure | null
}

export interface CatalogAssembly {
  /** A complete list of names. What is missing in it leaves the catalog. */
  setNames(names: readonly string[]): { readonly added: readonly string[]; readonly removed: readonly string[] }
  /** What a successful answer says of a service. True: that is news. A name that is not listed is ignored. */
  setService(name: string, service: CatalogService): boolean
  /** A service could not be read. True: the catalog may say something new because of it. */
  setFailed(name: string, failure: Failure): boolean
  /** The whole catalog, services ordered by name; null: not all of it is known yet (once it is, it stays so). */
  catalog(): Catalog | null
}

/** @param now milliseconds of a clock that never goes back */
export function catalogAssembly(now: () => number): CatalogAssembly {
  let records: Map<string, Entry> | null = null
  let started = false
  /** When, before the first catalog, a service was last read for the first time. */
  let progressMs = Number.NEGATIVE_INFINITY

  function gaveUp(record: Entry): boolean {
    if (record.failures < ATTEMPTS || record.lastFailure === null) return false
    return record.lastFailure.speed === 'wrong' || now() - Math.max(record.firstFailureMs, progressMs) >= SILENCE_MS
  }

  function isComplete(all: ReadonlyMap<string, Entry>): boolean {
    const list = [...all.values()]
    if (list.length === 0) return true
    // If nothing at all can be read the trouble is not the services': an empty table would be worse than none.
    return (
      list.some((record) => record.known !== null) && list.every((record) => record.known !== null || gaveUp(record))
    )
  }

  return {
    setNames(names) {
      const before = records ?? new Map<string, Entry>()
      const after = new Map<string, Entry>()
      const added: string[] = []
      for (const name of [...new Set(names)].sort(compareText)) {
        const record = before.get(name)
        if (record === undefined) added.push(name)
        after.set(name, record ?? { known: null, failures: 0, firstFailureMs: 0, lastFailure: null, shown: null })
      }
      const removed = [...before.keys()].filter((name) => !after.has(name))
      records = after
      return { added, removed }
    },

    setService(name, service) {
      const record = records?.get(name)
      if (record === undefined) return false
      record.failures = 0
      record.lastFailure = null
      record.shown = null
      if (record.known !== null && sameService(record.known, service)) return false
      if (!started && record.known === null) progressMs = now()
      record.known = service
      return true
    },

    setFailed(name, failure) {
      const record = records?.get(name)
      if (record === undefined) return false
      if (record.failures === 0) record.firstFailureMs = now()
      record.failures += 1
      record.lastFailure = failure
      if (record.shown?.speed !== failure.speed) record.shown = failure
      return record.known === null
    },

    catalog() {
      if (records === null || !(started || isComplete(records))) return null
      started = true
      const services = new Map<string, CatalogService>()
      for (const [name, record] of records) {
        if (record.known !== null) services.set(name, record.known)
        else if (gaveUp(record)) services.set(name, unreadService(record.shown))
      }
      return { services }
    },
  }
}

function unreadService(failure: Failure | null): CatalogService {
  const reason = `could not be read: ${failure?.message ?? 'no answer'}`
  return { endpoints: [], absent: [{ instance: '', address: '', reason, unread: true }] }
}
