/**
 * How much do standings that are held keep alive? Each of them, and each list of a service, counts once, however many
 * requests hold it: a place for itself and one for each endpoint or absentee that it names.
 */

import type { Standing } from '../balancer/balancer.ts'
import type { CatalogService } from '../balancer/endpoint.ts'

export class HeldPlaces {
  #number = 0
  readonly #standings = new Map<Standing, { holders: number }>()
  readonly #services = new Map<CatalogService, { holders: number }>()

  get number(): number {
    return this.#number
  }

  hold(standing: Standing): void {
    const { service } = standing
    if (addHolder(this.#standings, standing)) return
    this.#number += 1 + standing.out.length
    if (!addHolder(this.#services, service)) this.#number += sizeOf(service)
  }

  /** Of one that was held. */
  release(standing: Standing): void {
    const { service } = standing
    if (removeHolder(this.#standings, standing)) return
    this.#number -= 1 + standing.out.length
    if (!removeHolder(this.#services, service)) this.#number -= sizeOf(service)
  }
}

/** True: it was held already. */
function addHolder<K>(held: Map<K, { holders: number }>, what: K): boolean {
  const known = held.get(what)
  if (known === undefined) held.set(what, { holders: 1 })
  else known.holders++
  return known !== undefined
}

/** True: it is still held. */
function removeHolder<K>(held: Map<K, { holders: number }>, what: K): boolean {
  const known = held.get(what)
  if (known === undefined || --known.holders > 0) return true
  held.delete(what)
  return false
}

function sizeOf({ endpoints, absent }: CatalogService): number {
  return 1 + endpoints.length + absent.length
}
