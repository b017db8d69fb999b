/**
 * Which endpoints did a person take out of rotation?
 *
 * Kept apart from the pools, so that it outlives whatever the catalog says: an endpoint that leaves and comes back is
 * still drained, until a person undrains it.
 */

import type { EndpointId } from './endpoint.ts'

export interface Drain {
  /** Who said so; printable. */
  readonly by: string
  /** When, in milliseconds of the balancer's clock. */
  readonly atMs: number
}

/** More than a person drains by hand; a script that drains and forgets must not fill the memory. */
export const maxDrains = 1_000

export class Drains {
  readonly #services = new Map<string, Map<EndpointId, Drain>>()
  #size = 0

  of(service: string, endpoint: EndpointId): Drain | null {
    return this.#services.get(service)?.get(endpoint) ?? null
  }

  /** Of one service, by endpoint. */
  all(service: string): ReadonlyMap<EndpointId, Drain> {
    return this.#services.get(service) ?? noDrains
  }

  services(): Iterable<string> {
    return this.#services.keys()
  }

  /** False: there are `maxDrains` already. */
  add(service: string, endpoint: EndpointId, drain: Drain): boolean {
    if (this.#size >= maxDrains) return false
    const ofService = this.#services.get(service) ?? new Map<EndpointId, Drain>()
    this.#services.set(service, ofService)
    ofService.set(endpoint, drain)
    this.#size++
    return true
  }

  /** False: it was not drained. */
  remove(service: string, endpoint: EndpointId): boolean {
    const ofService = this.#services.get(service)
    if (ofService?.delete(endpoint) !== true) return false
    if (ofService.size === 0) this.#services.delete(service)
    this.#size--
    return true
  }
}

const noDrains: ReadonlyMap<EndpointId, Drain> = new Map()
