/**
 * Who has said that they are there, and until when does it hold? Pure: what is said and what time it is go in, the catalog
 * comes out. Time is whatever the caller's clock says, as long as it does not go back.
 *
 * Whoever leaves stays in the catalog for a minute as absent, with the reason. So admission sees that the leaving is
 * meant, and lets it go at once, and an operator sees why it is gone.
 */

import {
  type AbsentInstance,
  type Catalog,
  type CatalogService,
  compareEndpoints,
  type Endpoint,
  type EndpointId,
  sameService,
} from '../../balancer/endpoint.ts'
import { compareText } from '../untrusted-text.ts'
import { endpointOf, type Registration, sameInstance, ttlText } from './push-entry.ts'

/** How long it is shown why an instance is gone. */
export const DEPARTED_MS = 60_000

/** One registration that holds. */
export interface Lease extends Registration {
  readonly endpoint: EndpointId
  /** The address of who said so last; null: it is only known from the snapshot. */
  readonly from: string | null
}

/** `full`: it is one more than there may be. `new` and `changed` may make another catalog. */
export type PutResult = 'new' | 'changed' | 'renewed' | 'full'

export interface Leases {
  readonly size: number
  /** How many services the catalog has. */
  readonly services: number
  /** Says that an instance is there until `nowMs` and its time to live. One more than `max`, and it is not taken. */
  put(of: Registration, from: string | null, nowMs: number, max: number): PutResult
  has(service: string, id: string): boolean
  /** Ends one before its time; null: there is none. */
  remove(service: string, id: string, nowMs: number): Lease | null
  /** Ends those whose time is over by now, and forgets who left a while ago. */
  expire(nowMs: number): readonly Lease[]
  /** Before this `expire` has nothing to do. */
  readonly nextMs: number
  /** Services ordered by name; the same object for a service that has not changed. */
  catalog(): Catalog
  all(): Iterable<Lease>
  ofService(service: string): readonly Lease[]
}

interface Held {
  lease: Lease
  untilMs: number
}

interface Departed extends AbsentInstance {
  readonly untilMs: number
}

interface Service {
  readonly held: Map<string, Held>
  /** By place and id. */
  readonly departed: Map<string, Departed>
  /** Null: it has changed since it was put together. */
  known: CatalogService | null
  /** What it was before that. */
  former: CatalogService | null
}

export function createLeases(): Leases {
  const services = new Map<string, Service>()
  /** Services in order; null: one has come or gone. */
  let order: readonly string[] | null = null
  let size = 0
  let departed = 0
  let most = 0
  let nextMs = Number.POSITIVE_INFINITY

  function serviceOf(name: string): Service {
    const known = services.get(name)
    if (known !== undefined) return known
    const fresh: Service = { held: new Map(), departed: new Map(), known: null, former: null }
    services.set(name, fresh)
    order = null
    return fresh
  }

  function touch(service: Service): void {
    service.former = service.known ?? service.former
    service.known = null
  }

  function depart(service: Service, { id, endpoint }: Lease, reason: string, nowMs: number): void {
    // As many as ever were there at once: else ids that come and go would fill the memory.
    const untilMs = departed < most ? nowMs + DEPARTED_MS : nowMs
    nextMs = Math.min(nextMs, untilMs)
    if (departed >= most) return
    if (!service.departed.has(keyOf(id, endpoint))) departed += 1
    service.departed.set(keyOf(id, endpoint), { instance: id, address: endpoint, reason, untilMs })
  }

  function forget(service: Service, key: string): void {
    if (service.departed.delete(key)) departed -= 1
  }

  function end(service: Service, lease: Lease, reason: string, nowMs: number): void {
    service.held.delete(lease.id)
    size -= 1
    touch(service)
    depart(service, lease, reason, nowMs)
  }

  return {
    get size() {
      return size
    },
    get services() {
      return services.size
    },
    get nextMs() {
      return nextMs
    },
    put(of, from, nowMs, max) {
      const before = services.get(of.service)?.held.get(of.id)
      if (before === undefined && size >= max) return 'full'
      const untilMs = nowMs + of.ttlMs
      nextMs = Math.min(nextMs, untilMs)
      if (before !== undefined && sameInstance(before.lease, of)) {
        before.untilMs = untilMs
        if (before.lease.from !== from) before.lease = { ...before.lease, from }
        return 'renewed'
      }
      const service = serviceOf(of.service)
      const lease: Lease = { ...of, from, endpoint: endpointOf(of) }
      touch(service)
      service.held.set(of.id, { lease, untilMs })
      forget(service, keyOf(lease.id, lease.endpoint))
      if (before === undefined) {
        size += 1
        most = Math.max(most, size)
        return 'new'
      }
      const left = before.lease
      if (left.endpoint !== lease.endpoint) depart(service, left, `has moved to ${lease.endpoint}`, nowMs)
      return 'changed'
    },
    has: (service, id) => services.get(service)?.held.has(id) ?? false,
    remove(name, id, nowMs) {
      const service = services.get(name)
      const held = service?.held.get(id)
      if (service === undefined || held === undefined) return null
      end(service, held.lease, 'has been removed', nowMs)
      return held.lease
    },
    expire(nowMs) {
      const expired: Lease[] = []
      nextMs = Number.POSITIVE_INFINITY
      for (const [name, service] of services) {
        for (const [key, { untilMs }] of service.departed) {
          if (untilMs > nowMs) nextMs = Math.min(nextMs, untilMs)
          else {
            forget(service, key)
            touch(service)
          }
        }
        for (const { lease, untilMs } of service.held.values()) {
          if (untilMs > nowMs) nextMs = Math.min(nextMs, untilMs)
          else {
            end(service, lease, `has not been renewed for ${ttlText(lease.ttlMs)}`, nowMs)
            expired.push(lease)
          }
        }
        if (service.held.size > 0 || service.departed.size > 0) continue
        services.delete(name)
        order = null
      }
      return expired
    },
    catalog() {
      order ??= [...services.keys()].sort(compareText)
      const told = order.map((name): [string, CatalogService] => {
        const service = serviceOf(name)
        service.known ??= assembled(service)
        service.former = null
        return [name, service.known]
      })
      return { services: new Map(told) }
    },
    *all() {
      for (const { held } of services.values()) for (const { lease } of held.values()) yield lease
    },
    ofService: (name) => [...(services.get(name)?.held.values() ?? [])].map(({ lease }) => lease),
  }
}

function keyOf(id: string, endpoint: EndpointId): string {
  return `${endpoint} ${id}`
}

/** One endpoint for each address and port: of several ids at one place the first one stands for it. */
function assembled({ held, departed, former }: Service): CatalogService {
  const places = new Map<EndpointId, Endpoint>()
  const absent: AbsentInstance[] = []
  for (const { lease } of [...held.values()].sort((a, b) => compareText(a.lease.id, b.lease.id))) {
    const { id: instance, endpoint: id, address, port, weight } = lease
    const holder = places.get(id)
    if (weight === 0) absent.push({ instance, address: id, reason: 'its weight is 0' })
    else if (holder === undefined) places.set(id, { id, instance, address, port, weight })
    else absent.push({ instance, address: id, reason: `same address and port as "${holder.instance}"` })
  }
  for (const { instance, address, reason } of departed.values()) {
    // Somebody else is there now, and what was is of no use to anybody.
    if (!places.has(address)) absent.push({ instance, address, reason })
  }
  absent.sort((a, b) => compareText(a.address, b.address) || compareText(a.instance, b.instance))
  const service = { endpoints: [...places.values()].sort(compareEndpoints), absent }
  return former !== null && sameService(former, service) ? former : service
}
