/**
 * What is known of a Eureka registry, after the answers so far? Pure.
 *
 * Two things make an instance leave. A delta may say that it was deleted, and that is the server's word. Or a full answer may
 * lack it without any delta having said so: then the server does not know that it ever was. That is how one answers that was
 * restarted (its registry is in its memory only, and fills again with the beats of the instances), or that has not heard
 * yet what its peer knew. Such an instance is `lost`: it is kept for as long as its lease would have lasted without a beat,
 * which is how long the server itself would have kept it, and it has beaten again by then if it is alive. Its endpoint is doubted
 * meanwhile.
 */

import type { EurekaEntry, EurekaInstance } from './eureka-answer.ts'

export interface EurekaRegistry {
  /** What the server knows, by key. */
  readonly instances: ReadonlyMap<string, EurekaInstance>
  /** What it knew, and has not taken back. None of these is among `instances`. */
  readonly lost: ReadonlyMap<string, LostInstance>
}

export interface LostInstance {
  readonly instance: EurekaInstance
  /** When it is given up. */
  readonly untilMs: number
}

/** Keys of deleted instances, with their `updatedMs`. */
export type Deletions = ReadonlyMap<string, number>

/** Far above any real registry: a server that names others each time must not fill the memory with those before. */
export const MAX_LOST = 50_000

export const emptyRegistry: EurekaRegistry = { instances: new Map(), lost: new Map() }

/**
 * `apps__hashcode` of these instances: each status with the number of those that have it, in the order of the statuses'
 * code units, as in Netflix's `Applications.getReconcileHashCode`.
 */
export function hashOf(instances: EurekaRegistry['instances']): string {
  const counts = new Map<string, number>()
  for (const { status } of instances.values()) counts.set(status, (counts.get(status) ?? 0) + 1)
  return [...counts.keys()]
    .sort()
    .map((status) => `${status}_${counts.get(status)}_`)
    .join('')
}

/**
 * The registry with a delta's entries in it; the same object if they say nothing new. A delta repeats the changes of some
 * minutes, and comes out of another cache than the full answer: an entry older than what is known is passed over.
 */
export function withDelta(before: EurekaRegistry, entries: readonly EurekaEntry[]): EurekaRegistry {
  const instances = new Map(before.instances)
  const lost = new Map(before.lost)
  let changes = 0
  for (const { instance, isDeleted } of entries) {
    const { key } = instance
    const known = instances.get(key)
    if (known !== undefined && instance.updatedMs < known.updatedMs) continue
    if (isDeleted) changes += Number(instances.delete(key)) + Number(lost.delete(key))
    else if (known === undefined || !sameInstance(known, instance)) {
      changes += 1
      instances.set(key, instance)
      lost.delete(key)
    }
  }
  return changes === 0 ? before : { instances, lost }
}

/**
 * The registry after a full answer; the same object if it says nothing new.
 * @param deleted what deltas of the same server say to be deleted, and when; it wins over an older entry of the answer, for
 *   that comes out of a cache of its own
 * @param nowMs of a clock that never goes back
 */
export function withFull(
  before: EurekaRegistry,
  entries: readonly EurekaEntry[],
  deleted: Deletions,
  nowMs: number,
): EurekaRegistry {
  const instances = new Map<string, EurekaInstance>()
  let changes = 0
  for (const { instance } of entries) {
    if ((deleted.get(instance.key) ?? 0) > instance.updatedMs) continue
    const known = before.instances.get(instance.key)
    const isSame = known !== undefined && sameInstance(known, instance)
    if (!isSame) changes += 1
    instances.set(instance.key, isSame ? known : instance)
  }
  const lost = new Map([...before.lost].filter(([key]) => !instances.has(key) && !deleted.has(key)))
  for (const instance of unexplained(before, entries, deleted)) {
    if (lost.size >= MAX_LOST) break
    lost.set(instance.key, { instance, untilMs: nowMs + instance.leaseMs })
  }
  const isSame = changes === 0 && instances.size === before.instances.size && sameKeys(lost, before.lost)
  return isSame ? before : { instances, lost }
}

/** Those in rotation that a full answer lacks although no delta has said that they were deleted. */
export function unexplained(
  { instances }: EurekaRegistry,
  entries: readonly EurekaEntry[],
  deleted: Deletions,
): readonly EurekaInstance[] {
  const listed = new Set(entries.map(({ instance }) => instance.key))
  return [...instances.values()].filter(({ key, status }) => status === 'UP' && !listed.has(key) && !deleted.has(key))
}

/** The registry without the lost ones whose time is up; the same object if there is none. */
export function withoutExpired(registry: EurekaRegistry, nowMs: number): EurekaRegistry {
  const lost = new Map([...registry.lost].filter(([, { untilMs }]) => untilMs > nowMs))
  return lost.size === registry.lost.size ? registry : { ...registry, lost }
}

/** All that is to be routed by: what the server knows, and what it has lost. */
export function* instancesOf({
  instances,
  lost,
}: EurekaRegistry): Generator<{ readonly instance: EurekaInstance; readonly isLost: boolean }> {
  for (const instance of instances.values()) yield { instance, isLost: false }
  for (const { instance } of lost.values()) yield { instance, isLost: true }
}

function sameInstance(a: EurekaInstance, b: EurekaInstance): boolean {
  return (
    a.key === b.key &&
    a.updatedMs === b.updatedMs &&
    a.status === b.status &&
    a.hostName === b.hostName &&
    a.ipAddr === b.ipAddr &&
    samePort(a.port, b.port) &&
    samePort(a.securePort, b.securePort) &&
    a.vipAddress === b.vipAddress &&
    a.leaseMs === b.leaseMs
  )
}

function samePort(a: EurekaInstance['port'], b: EurekaInstance['port']): boolean {
  return a.number === b.number && a.enabled === b.enabled
}

function sameKeys(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): boolean {
  return a.size === b.size && [...a.keys()].every((key) => b.has(key))
}
