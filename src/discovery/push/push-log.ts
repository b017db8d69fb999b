/** What is written down of what services push? A line for each that comes, changes or goes; none for a renewal. */

import type { Logger } from 'pino'
import { type Registration, ttlText } from './push-entry.ts'
import type { Lease, PutResult } from './push-leases.ts'

/** When a whole fleet is gone at once these many are named, and the others counted. */
const MAX_NAMED = 20

export interface PushLog {
  put(result: PutResult, of: Registration, by: object): void
  removed(lease: Lease, by: object): void
  expired(leases: readonly Lease[]): void
  restored(instances: number, leftOut: number): void
  paused(forMs: number): void
}

/** What is turned away is told once in this time. */
const QUIET_MS = 10_000

/** @param now milliseconds of a clock that never goes back */
export function createPushLog(log: Logger, now: () => number): PushLog {
  let refused = 0
  let refusedMs = Number.NEGATIVE_INFINITY
  const named = ({ service, id }: Registration) => ({ service, instance: id })
  return {
    put(result, of, by) {
      const { address, port, weight } = of
      const line = { ...named(of), address, port, weight, ttl: ttlText(of.ttlMs), ...by }
      switch (result) {
        case 'new':
          log.info(line, 'an instance was pushed')
          break
        case 'changed':
          log.info(line, 'a pushed instance has changed')
          break
        case 'full':
          refused += 1
          if (now() - refusedMs < QUIET_MS) break
          log.warn(
            { ...line, count: refused },
            'an instance was not taken: there are discovery.push.maxInstances of them',
          )
          refused = 0
          refusedMs = now()
          break
        case 'renewed':
          log.debug(line, 'a pushed instance was renewed')
          break
        default:
          result satisfies never
      }
    },
    removed: (lease, by) =>
      log.info({ ...named(lease), endpoint: lease.endpoint, ...by }, 'a pushed instance was removed'),
    expired(leases) {
      for (const lease of leases.slice(0, MAX_NAMED)) {
        const { endpoint, ttlMs, from } = lease
        log.warn(
          { ...named(lease), endpoint, ttl: ttlText(ttlMs), from: from ?? 'the snapshot' },
          'a pushed instance was not renewed and is gone',
        )
      }
      const more = leases.length - MAX_NAMED
      if (more > 0) log.warn({ instances: more }, 'more pushed instances were not renewed and are gone')
    },
    restored(instances, leftOut) {
      log.info({ instances }, 'pushed instances are back from the snapshot, each for one time to live')
      if (leftOut > 0) log.warn({ instances: leftOut }, 'more than discovery.push.maxInstances: they are left out')
    },
    paused: (forMs) =>
      log.warn(
        { forMs: Math.round(forMs) },
        'this process did not run for a while: what is pushed holds as much longer',
      ),
  }
}
