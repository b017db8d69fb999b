/**
 * Who of a pool takes turns, and whose is the next?
 *
 * The members of one service in the catalog's order, and their places in its rotation. The catalog says who there is, a
 * person who is drained, health who is out for a while, slow start how much of its share a joiner has: here it comes
 * together.
 */

import type { Drain } from './drains.ts'
import { type CatalogService, type EndpointId, sameService } from './endpoint.ts'
import { isInTurn, type Member, memberView, newMember, outOf, weigh } from './member.ts'
import { Rotation } from './rotation.ts'
import type { EndpointView, OutOfRotation, Standing } from './view.ts'

export interface TurnsContext {
  /** A clock in milliseconds. */
  readonly now: () => number
  /** What a person said of an endpoint of this service; null: nothing. */
  readonly drainOf: (endpoint: EndpointId) => Drain | null
  /** See `BalancingOptions`; asked whenever weights are made. */
  readonly slowStartMs: () => number | null
}

export class Turns {
  readonly #context: TurnsContext
  #service: CatalogService
  #members: readonly Member[]
  #byId: ReadonlyMap<EndpointId, Member>
  #rotation: Rotation
  /** When the share of an endpoint that warms up grows next: before that no pick has to look. */
  #nextStepMs = Number.POSITIVE_INFINITY
  /** Null: it has changed since it was last asked for. */
  #standing: Standing | null = null

  /** @param joinedMs when its endpoints joined (clock, ms); -Infinity: they were there before anybody looked */
  constructor(service: CatalogService, context: TurnsContext, joinedMs: number) {
    this.#context = context
    this.#service = service
    const now = context.now()
    this.#members = service.endpoints.map((endpoint, index) =>
      newMember(endpoint, index, now, { joinedMs, isWarm: true }),
    )
    this.#byId = byId(this.#members)
    this.#rotation = new Rotation(service.endpoints.map((endpoint) => endpoint.weight))
    this.#applyDrains(now)
  }

  get service(): CatalogService {
    return this.#service
  }

  get members(): readonly Member[] {
    return this.#members
  }

  member(endpoint: EndpointId): Member | undefined {
    return this.#byId.get(endpoint)
  }

  /** Who could be picked now. */
  get standing(): Standing {
    this.#standing ??= { service: this.#service, out: this.#outOfRotation() }
    return this.#standing
  }

  /** Takes the catalog's new word on this service. */
  update(service: CatalogService): void {
    if (sameService(this.#service, service)) return
    this.#service = service
    this.#standing = null
    const now = this.#context.now()
    const isWarm = this.#context.slowStartMs() === null
    const former = new Map(this.#byId)
    const formerIndex: number[] = []
    const members = service.endpoints.map((endpoint, index) => {
      const member = former.get(endpoint.id)
      formerIndex.push(member?.index ?? -1)
      if (member === undefined) return newMember(endpoint, index, now, { joinedMs: now, isWarm })
      former.delete(endpoint.id)
      member.endpoint = endpoint
      return member
    })
    const weights = this.#weigh(members, now)
    const sameSet =
      former.size === 0 &&
      members.length === this.#members.length &&
      members.every((member, index) => member === this.#members[index]) &&
      weights.every((weight, index) => weight === this.#rotation.weight(index))
    if (sameSet) return
    this.#rotation = this.#rotation.continuedWith(weights, formerIndex)
    for (const leaver of former.values()) {
      leaver.index = -1
      leaver.leftMs = now
    }
    members.forEach((member, index) => {
      member.index = index
    })
    this.#members = members
    this.#byId = byId(members)
    this.#applyDrains(now)
  }

  /**
   * Takes the next turn; null when nobody who is in turn may have it.
   * @param avoid endpoints that must not have it
   */
  take(avoid: ReadonlySet<EndpointId> | null, now: number): Member | null {
    if (now >= this.#nextStepMs) this.#warm(now)
    return this.#memberAt(this.#rotation.pick(this.#skipping(avoid)))
  }

  /** A turn for one who is out for its health, for want of others; null when all are drained or to be avoided. */
  takeAnyway(avoid: ReadonlySet<EndpointId> | null): Member | null {
    const skip = this.#skipping(avoid)
    return this.#memberAt(
      this.#rotation.pickInactive((index) => this.#members[index]?.drained !== null || skip?.(index) === true),
    )
  }

  /** To be called when the health of a member has changed, or time has: in or out of the rotation by that. */
  place(member: Member, now: number): void {
    this.#standing = null
    member.out = outOf(member)
    this.#rotation.setActive(member.index, isInTurn(member, now))
  }

  /** Out of rotation until it is undrained; null: back in it, unless its health keeps it out. */
  drain(member: Member, drain: Drain | null, now: number): void {
    member.drained = drain
    if (drain === null) {
      member.undrainedMs = now
      // What failed when it was drained, or since, is not held against it when a person says that it is good again.
      if (member.detector.health.kind === 'healthy') member.detector.clearRecord()
    }
    this.place(member, now)
  }

  /** How uneven the picks are since the last change; see `Rotation`. */
  spread(): number {
    const isWarming = (index: number) => this.#members[index]?.warmingSinceMs !== null
    // Who warms up has no full share yet, and steps to a greater one every while: nothing to compare.
    return this.#rotation.spread(this.#nextStepMs === Number.POSITIVE_INFINITY ? null : isWarming)
  }

  views(now: number): readonly EndpointView[] {
    const slowStartMs = this.#context.slowStartMs()
    return this.#members.map((member) => {
      const { index } = member
      const turns = { recentPicks: this.#rotation.recentPicks(index), idealShare: this.#rotation.idealShare(index) }
      return memberView(member, turns, now, slowStartMs)
    })
  }

  /** Asked with every pick of a pool whose health changes with every pick. */
  #outOfRotation(): readonly OutOfRotation[] {
    const all: OutOfRotation[] = []
    for (const { out } of this.#members) if (out !== null) all.push(out)
    return all
  }

  /** What a person said outlives the catalog: who joins may have been drained before. */
  #applyDrains(now: number): void {
    for (const member of this.#members) {
      const drain = this.#context.drainOf(member.endpoint.id)
      if (drain === member.drained) continue
      member.drained = drain
      this.place(member, now)
    }
  }

  /** The next step of those that warm up; everybody keeps their place. */
  #warm(now: number): void {
    const weights = this.#weigh(this.#members, now)
    if (weights.every((weight, index) => weight === this.#rotation.weight(index))) return
    this.#rotation = this.#rotation.continuedWith(
      weights,
      this.#members.map(({ index }) => index),
    )
  }

  /** What each one weighs now; sees to it that the next step is taken in time. */
  #weigh(members: readonly Member[], now: number): readonly number[] {
    const { weights, nextStepMs } = weigh(members, now, this.#context.slowStartMs())
    this.#nextStepMs = nextStepMs
    return weights
  }

  #skipping(avoid: ReadonlySet<EndpointId> | null): ((index: number) => boolean) | null {
    if (avoid === null || avoid.size === 0) return null
    return (index) => avoid.has((this.#members[index] as Member).endpoint.id)
  }

  #memberAt(index: number): Member | null {
    return index < 0 ? null : (this.#members[index] as Member)
  }
}

function byId(members: readonly Member[]): ReadonlyMap<EndpointId, Member> {
  return new Map(members.map((member) => [member.endpoint.id, member]))
}
