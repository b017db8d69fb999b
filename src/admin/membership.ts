/**
 * How many failed requests does a change of the catalog explain?
 *
 * A request that ended with 5xx, on an endpoint that had joined or left within 5 s before or joined or left within 5 s
 * after, was most likely failed by that change: that is what a deploy costs. Errors that came first are kept in a few
 * buckets of half a second per endpoint until the change is known, or is too late. So is counted, too, a request that
 * found no endpoint at all within 5 s of one's leaving. Only endpoints with an error or a change of late take memory.
 */

import type { ServiceChange } from '../balancer/balancer.ts'
import type { EndpointId } from '../balancer/endpoint.ts'
import type { RequestRecord } from '../proxy/observer.ts'

/** As the balancer's `settlingMs`; a test keeps the two the same. */
export const membershipWindowMs = 5_000
const bucketMs = 500

export interface MembershipErrors {
  /** Call with every change of the table. The first one is not counted from: what is in it was there before we were. */
  onTableChange(services: readonly ServiceChange[]): void
  onRequestEnd(record: RequestRecord): void
  /** Endpoints, and services, that take memory now. */
  size(): number
}

/** What happened of late to one endpoint; of a service as a whole, under no endpoint's name: what left it. */
interface Trace {
  changedMs: number
  /** Errors that no change explains yet, oldest first; `atMs` is when the bucket begins. */
  errors: { readonly atMs: number; count: number }[]
}

type Key = EndpointId | null

/**
 * @param now a monotonic clock in milliseconds
 * @param explained is told of errors, at once or when the change comes
 */
export function createMembershipErrors(
  now: () => number,
  explained: (service: string, count: number) => void,
): MembershipErrors {
  const services = new Map<string, Map<Key, Trace>>()
  let isFirst = true
  let sweptMs = now()

  function traceOf(service: string, key: Key): Trace {
    const traces = services.get(service) ?? new Map<Key, Trace>()
    services.set(service, traces)
    const trace = traces.get(key) ?? { changedMs: Number.NEGATIVE_INFINITY, errors: [] }
    traces.set(key, trace)
    return trace
  }

  /** Forgets what is too long ago to explain anything, or to be explained. */
  function sweep(): void {
    const oldestMs = now() - membershipWindowMs
    if (sweptMs > oldestMs) return
    sweptMs = now()
    for (const [service, traces] of services) {
      for (const [key, { changedMs, errors }] of traces) {
        if (changedMs <= oldestMs && (errors.at(-1)?.atMs ?? oldestMs) <= oldestMs) traces.delete(key)
      }
      if (traces.size === 0) services.delete(service)
    }
  }

  return {
    onTableChange(changes) {
      sweep()
      if (isFirst) {
        isFirst = false
        return
      }
      const changedMs = now()
      for (const { name, joined, left } of changes) {
        if (left.length > 0) traceOf(name, null).changedMs = changedMs
        for (const { id } of [...joined, ...left]) {
          const trace = traceOf(name, id)
          trace.changedMs = changedMs
          const count = recent(trace.errors, changedMs).reduce((sum, bucket) => sum + bucket.count, 0)
          trace.errors = []
          if (count > 0) explained(name, count)
        }
      }
    },
    onRequestEnd({ service, endpoint, status, outcome }) {
      if (status < 500 || service === null || (endpoint === null && outcome !== 'no-endpoints')) return
      sweep()
      const endedMs = now()
      const trace = endpoint === null ? services.get(service)?.get(null) : traceOf(service, endpoint)
      if (trace === undefined) return
      if (endedMs - trace.changedMs < membershipWindowMs) return explained(service, 1)
      // A service that has long been empty is no deploy, whoever joins it next.
      if (endpoint === null) return
      trace.errors = recent(trace.errors, endedMs)
      const atMs = endedMs - (endedMs % bucketMs)
      const newest = trace.errors.at(-1)
      if (newest?.atMs === atMs) newest.count++
      else trace.errors.push({ atMs, count: 1 })
    },
    size: () => [...services.values()].reduce((sum, traces) => sum + traces.size, 0),
  }
}

function recent(errors: Trace['errors'], nowMs: number): Trace['errors'] {
  return errors.filter(({ atMs }) => nowMs - atMs < membershipWindowMs)
}
