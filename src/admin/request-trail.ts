/**
 * What became of the last requests? Ten thousand of them, for whoever has the id of one and asks.
 *
 * Every request passes here, so it costs little; how it is kept is in trail-rows.ts. What a reference keeps alive is
 * bounded: a standing is shared by all requests that found the same, but a large pool that changes with every request
 * would have ten thousand of them. Beyond a number of places the oldest requests forget theirs, and keep what it came to.
 * docs/decisions/027-trails-and-traces.md has the figures.
 */

import type { Standing } from '../balancer/balancer.ts'
import type { RequestRecord } from '../proxy/observer.ts'
import { trailCode } from '../proxy/trail-code.ts'
import { HeldPlaces } from './held-places.ts'
import { type Row, TrailRows } from './trail-rows.ts'

/** One request that ended. */
export interface TrailEntry extends Omit<Row, 'endedMs'> {
  /** Since it ended. */
  readonly agoMs: number
  /** How many there were; of more than twenty, `tries` has the first ten and the last ten. */
  readonly attempts: number
  /** False: who could have been picked is no longer kept, neither here nor in the tries. */
  readonly standingKept: boolean
  readonly trail: string | null
}

export interface RequestTrail {
  onRequestEnd(record: RequestRecord): void
  /** Those with this id, newest first, twenty at the most: an id may be a client's word, and of many requests. */
  find(requestId: string): readonly TrailEntry[]
  /** How many are kept, and how long ago the oldest of them ended; null: none are. */
  kept(): { readonly requests: number; readonly forMs: number | null }
}

export interface RequestTrailOptions {
  /** Milliseconds that never go back. */
  readonly now: () => number
  /** How many requests are kept. */
  readonly requests?: number
  /** How many endpoints and absentees their standings may keep alive, see held-places.ts. */
  readonly places?: number
}

export const keptRequests = 10_000
const keptPlaces = 100_000
const keptTries = 20
const answeredAtMost = 20

/** Stands for one that is no longer kept. */
const forgotten: Standing = { service: { endpoints: [], absent: [] }, out: [] }

/** What is no longer to be seen in the tries of a request. */
interface Lost {
  readonly attempts: number
  readonly trail: string | null
  readonly standingKept: boolean
}

export function createRequestTrail(options: RequestTrailOptions): RequestTrail {
  const { now, requests: size = keptRequests, places: maxPlaces = keptPlaces } = options
  const rows = new TrailRows(size)
  const lost = new Map<number, Lost>()
  const places = new HeldPlaces()
  const hold = (standing: Standing) => places.hold(standing)
  const release = (standing: Standing) => places.release(standing)
  /** Requests so far; the row of the next one is the rest of its division by `size`. */
  let count = 0
  /** The oldest request that still has its standings. */
  let oldestWhole = 0

  function onRequestEnd(record: RequestRecord): void {
    const index = count % size
    const isWhole = count - size >= oldestWhole
    if (isWhole) oldestWhole = count - size + 1
    // Mostly it is the same one, ten thousand requests later: then there is nothing to count.
    const before = isWhole ? rows.onlyStanding(index) : null
    if (isWhole && before === null) rows.eachStanding(index, release)
    if (lost.size > 0) lost.delete(index)
    const { tries } = record
    if (tries.length > keptTries) {
      rows.write(index, record, [...tries.slice(0, keptTries / 2), ...tries.slice(-keptTries / 2)], now())
      lost.set(index, { attempts: tries.length, trail: trailCode(record), standingKept: true })
    } else {
      rows.write(index, record, tries, now())
    }
    if (before === null || before !== rows.onlyStanding(index)) {
      rows.eachStanding(index, hold)
      if (before !== null) release(before)
    }
    count++
    while (places.number > maxPlaces && oldestWhole < count) forget(oldestWhole++ % size)
  }

  function forget(index: number): void {
    const { attempts, trail } = entryAt(index)
    const { tries } = rows.read(index)
    rows.eachStanding(index, release)
    const withoutStandings = tries.map((each) => ({ ...each, standing: forgotten }))
    rows.replaceTries(index, withoutStandings)
    lost.set(index, { attempts, trail, standingKept: false })
  }

  function entryAt(index: number): TrailEntry {
    const { endedMs, ...row } = rows.read(index)
    const whole = { attempts: row.tries.length, trail: null, standingKept: true }
    const { attempts, trail, standingKept } = lost.get(index) ?? { ...whole, trail: trailCode(row) }
    return { ...row, agoMs: Math.max(0, now() - endedMs), attempts, trail, standingKept }
  }

  const kept = () => Math.min(count, size)

  return {
    onRequestEnd,
    find(requestId) {
      // No request has such an id, and cut to bytes it might look like another's.
      if (/[^!-~]/.test(requestId)) return []
      const id = Buffer.from(requestId, 'latin1')
      const found: TrailEntry[] = []
      for (let age = 1; age <= kept() && found.length < answeredAtMost; age++) {
        const index = (count - age) % size
        if (rows.hasId(index, id)) found.push(entryAt(index))
      }
      return found
    },
    kept: () => ({
      requests: kept(),
      forMs: count === 0 ? null : Math.max(0, now() - rows.endedMs((count - kept()) % size)),
    }),
  }
}
