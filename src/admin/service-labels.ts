/**
 * Under which label is a service counted?
 *
 * Under its own name, as long as there are places; beyond `metrics.maxServices` of them under `_other`, together with
 * all else that has none. First come, first served, and for as long as the service is in the table: a label that
 * changed its owner, or an owner that changed its label, would make counters go down.
 * docs/decisions/026-metric-cardinality.md has the reasons.
 */

import type { EndpointSlot, ServiceSlot } from './counters.ts'

/** The label of services, and of their endpoints, that have none of their own. */
export const otherServices = '_other'

export interface ServiceLabels {
  /** Whether this service of the table is counted under `_other`, by what `settle` last decided. */
  isOther(name: string): boolean
  /** True once there was one that is counted under `_other`: its series stay, as what they counted does. */
  hadOthers(): boolean
  /**
   * Forgets who has left, and gives the free places to those who are new, in this order.
   * @param names every service of the table
   * @param limit how many may have a label of their own; who has one already keeps it, although the limit was lowered
   */
  settle(names: readonly string[], limit: number): void
}

/**
 * Labels that nobody has yet.
 * @param reserved a label that costs no place, because it is always there
 */
export function createServiceLabels(reserved: string): ServiceLabels {
  const own = new Set<string>()
  const others = new Set<string>()
  let everOthers = false
  return {
    isOther: (name) => others.has(name),
    hadOthers: () => everOthers,
    settle(names, limit) {
      const present = new Set(names)
      for (const set of [own, others]) for (const name of set) if (!present.has(name)) set.delete(name)
      for (const name of names) {
        if (name === reserved || own.has(name) || others.has(name)) continue
        // Who is really called so shares the label: two series of one name would spoil the whole scrape.
        if (name !== otherServices && own.size < limit) own.add(name)
        else others.add(name)
      }
      everOthers ||= others.size > 0
    },
  }
}

/** Adds all that `from` has counted to `to`. Requests in flight are no count and stay where they are. */
export function absorb(to: ServiceSlot, from: ServiceSlot): void {
  addAll(to.requests, from.requests)
  for (let index = 0; index < from.durations.length; index += 1) {
    to.durations[index] = (to.durations[index] ?? 0) + (from.durations[index] ?? 0)
  }
  to.durationSeconds += inQuanta(from.durationSeconds)
  to.panicPicks += from.panicPicks
  to.membershipErrors += from.membershipErrors
  addAll(to.retries, from.retries)
  addAll(to.withheld, from.withheld)
  for (const endpoint of from.endpoints.values()) absorbEndpoint(to, endpoint)
}

/** Adds what one endpoint has counted to `to`, under the label that all endpoints there share. */
export function absorbEndpoint(to: ServiceSlot, from: EndpointSlot): void {
  const service = to.labels.service
  const shared = to.endpoints.get(otherServices) ?? {
    labels: { service, endpoint: otherServices },
    attempts: new Map(),
    ejections: new Map(),
  }
  to.endpoints.set(otherServices, shared)
  addAll(shared.attempts, from.attempts)
  addAll(shared.ejections, from.ejections)
}

function addAll<K>(to: Map<K, number>, from: ReadonlyMap<K, number>): void {
  for (const [key, value] of from) to.set(key, (to.get(key) ?? 0) + value)
}

/**
 * Rounded down to a microsecond's power of two, so that sums are exact in whatever order they are made: one that came
 * out a hair smaller than at the last scrape would be taken for a restart of the process.
 */
function inQuanta(seconds: number): number {
  return Math.floor(seconds * 2 ** 20) / 2 ** 20
}
