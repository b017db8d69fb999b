/**
 * What became of the last requests? Ten thousand of them, for whoever has the id of one and asks.
 *
 * Every request passes here, so it costs little: what exists already is kept by reference, what a client wrote is copied
 * into a place that was set aside, and nothing points into the head of a request, which would keep all of it.
 *
 * What a reference keeps alive is bounded too. A standing is shared by all requests that found the same, but a large
 * pool that changes with every request would have ten thousand of them: beyond a number of places the oldest requests
 * forget theirs, and keep what it came to. docs/decisions/027-trace-context.md has the figures.
 */

import type { Standing } from '../balancer/balancer.ts'
import type { CatalogService } from '../balancer/endpoint.ts'
import type { RequestOutcome, RequestRecord, Try } from '../proxy/observer.ts'
import { trailCode } from '../proxy/trail-code.ts'

/** One request that ended, as it is kept. */
export interface TrailEntry {
  readonly requestId: string
  /** Since it ended. */
  readonly agoMs: number
  readonly durationMs: number
  /** `GET /path`, without the query; printable, and cut if it was long. */
  readonly request: string
  readonly service: string | null
  readonly status: number
  readonly outcome: RequestOutcome
  readonly traceId: string | null
  /** How many there were. */
  readonly attempts: number
  /** Of more than twenty, the first ten and the last ten. */
  readonly tries: readonly Try[]
  readonly standing: Standing | null
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
  /** How many endpoints and absentees of standings are kept alive by them, each standing and service counted once. */
  readonly places?: number
}

export const keptRequests = 10_000
const keptPlaces = 100_000
const keptTries = 20
const answeredAtMost = 20
const textBytes = 200

/** Stands for one that is no longer kept. */
const forgotten: Standing = { service: { endpoints: [], absent: [] }, out: [] }

/** One place of the ring; written over when its turn comes again. */
interface Slot {
  requestId: string
  endedMs: number
  durationMs: number
  textLength: number
  service: string | null
  status: number
  outcome: RequestOutcome
  traceId: string | null
  attempts: number
  tries: readonly Try[]
  standing: Standing | null
  standingKept: boolean
  /** Made when what it is made of is given up; else when somebody asks. */
  trail: string | null
}

export function createRequestTrail(options: RequestTrailOptions): RequestTrail {
  const { now, requests: size = keptRequests, places: maxPlaces = keptPlaces } = options
  const slots: Slot[] = []
  const texts = Buffer.alloc(size * textBytes)
  const places = new Places()
  /** Requests so far; the place of the next one is the rest of its division by `size`. */
  let count = 0
  /** The oldest request that still has its standings. */
  let oldestWhole = 0

  function onRequestEnd(record: RequestRecord): void {
    const index = count % size
    if (count - size >= oldestWhole) {
      release(slots[index] as Slot)
      oldestWhole = count - size + 1
    }
    let slot = slots[index]
    if (slot === undefined) {
      slot = emptySlot()
      slots.push(slot)
    }
    const { tries, standing } = record
    const isLong = tries.length > keptTries
    slot.requestId = record.requestId
    slot.endedMs = now()
    slot.durationMs = record.durationMs
    slot.textLength = write(index * textBytes, record)
    slot.service = record.service
    slot.status = record.status
    slot.outcome = record.outcome
    slot.traceId = record.traceId
    slot.attempts = tries.length
    slot.tries = isLong ? [...tries.slice(0, keptTries / 2), ...tries.slice(-keptTries / 2)] : tries
    slot.standing = standing
    slot.standingKept = true
    slot.trail = isLong ? trailCode(record) : null
    for (const each of slot.tries) places.hold(each.standing)
    if (standing !== null) places.hold(standing)
    count++
    while (places.number > maxPlaces && oldestWhole < count) forget(slots[oldestWhole++ % size] as Slot)
  }

  /** The beginning of `GET /path` at this place of `texts`; answers how long all of it is. */
  function write(start: number, { method, path }: RequestRecord): number {
    const end = start + textBytes
    let at = start + texts.write(method, start, textBytes, 'latin1')
    if (at < end) texts[at++] = 0x20
    if (at < end) at += texts.write(path, at, end - at, 'latin1')
    return method.length + 1 + path.length
  }

  function release({ tries, standing }: Slot): void {
    for (const each of tries) places.release(each.standing)
    if (standing !== null) places.release(standing)
  }

  function forget(slot: Slot): void {
    release(slot)
    slot.trail ??= trailCode(slot)
    slot.tries = slot.tries.map((each) => ({ ...each, standing: forgotten }))
    slot.standing = null
    slot.standingKept = false
  }

  function entryAt(index: number): TrailEntry {
    const { textLength, endedMs, ...slot } = slots[index] as Slot
    const start = index * textBytes
    const text = texts.toString('latin1', start, start + Math.min(textLength, textBytes)).trim()
    const request = text.replace(/[^ -~]/g, '?') + (textLength > textBytes ? '…' : '')
    return { ...slot, agoMs: Math.max(0, now() - endedMs), request, trail: slot.trail ?? trailCode(slot) }
  }

  return {
    onRequestEnd,
    find(requestId) {
      const found: TrailEntry[] = []
      for (let age = 1; age <= slots.length && found.length < answeredAtMost; age++) {
        const index = (count - age) % size
        if (slots[index]?.requestId === requestId) found.push(entryAt(index))
      }
      return found
    },
    kept() {
      const oldest = slots[count > size ? count % size : 0]
      return { requests: slots.length, forMs: oldest === undefined ? null : now() - oldest.endedMs }
    },
  }
}

function emptySlot(): Slot {
  return {
    requestId: '',
    // No whole number: V8 then has room for a fraction from the start, and writes it in place.
    endedMs: 0.5,
    durationMs: 0.5,
    textLength: 0,
    service: null,
    status: 0,
    outcome: 'refused',
    traceId: null,
    attempts: 0,
    tries: [],
    standing: null,
    standingKept: true,
    trail: null,
  }
}

/** How much do the standings that are held keep alive? Each of them, and each list of a service, counts once. */
class Places {
  number = 0
  readonly #standings = new Map<Standing, { holders: number }>()
  readonly #services = new Map<CatalogService, { holders: number }>()

  hold(standing: Standing): void {
    const held = this.#standings.get(standing)
    if (held !== undefined) {
      held.holders++
      return
    }
    this.#standings.set(standing, { holders: 1 })
    this.number += 1 + standing.out.length
    const { service } = standing
    const list = this.#services.get(service)
    if (list !== undefined) {
      list.holders++
      return
    }
    this.#services.set(service, { holders: 1 })
    this.number += sizeOf(service)
  }

  release(standing: Standing): void {
    const held = this.#standings.get(standing)
    if (held === undefined || --held.holders > 0) return
    this.#standings.delete(standing)
    this.number -= 1 + standing.out.length
    const { service } = standing
    const list = this.#services.get(service)
    if (list === undefined || --list.holders > 0) return
    this.#services.delete(service)
    this.number -= sizeOf(service)
  }
}

function sizeOf({ endpoints, absent }: CatalogService): number {
  return 1 + endpoints.length + absent.length
}
