/**
 * One service's endpoints, their health and whose turn it is.
 *
 * A pool lives as long as its service is in the catalog. A catalog change is taken in place: endpoints that stay keep
 * their health, their place and what they have in flight.
 */

import type { Drain } from './drains.ts'
import { type CatalogService, type Endpoint, type EndpointId, sameService } from './endpoint.ts'
import {
  isInTurn,
  type Member,
  memberView,
  newMember,
  noteFault,
  outOf,
  settlingMs,
  tripping,
  vitalsOf,
  weigh,
} from './member.ts'
import { type BalancerObserver, type EjectionReason, tell } from './observer.ts'
import { faultOf, type Outcome } from './outcome.ts'
import type { OutlierOptions } from './outlier-options.ts'
import { Rotation } from './rotation.ts'
import type { BalancingOptions } from './slow-start.ts'
import { judge, type PickRole, type Verdict } from './verdict.ts'
import type { EndpointView, ServiceView, Standing, Vitals } from './view.ts'

/** An endpoint to send one request to, and where to say how that went. */
export interface Picked {
  readonly kind: 'picked'
  readonly endpoint: Endpoint
  /** `panic`: every endpoint that may be tried is ejected, and this one was picked all the same (fail open). */
  readonly role: PickRole
  /** Who could have been picked. */
  readonly standing: Standing
  /** The response head is here: a long answer (a tunnel, a stream) ends a probe before it is over. */
  answered(status: number): void
  /**
   * How the attempt ended. Must be called; only the first call counts.
   * @param request the id of the request, so that a person can look up what a fault was; kept as it is
   * @returns true for a failed connect that a change of the catalog explains: the endpoint had joined less than 5 s
   * before this pick, has left since, less than 5 s ago, or is in doubt
   */
  report(outcome: Outcome, request?: string): boolean
}

/** What a pool is told by its surroundings. */
export interface PoolContext extends BalancerContext {
  /** Whether a person took this endpoint out of rotation. */
  readonly drainOf: (service: string, endpoint: EndpointId) => Drain | null
}

/** What a balancer is told by its surroundings. */
export interface BalancerContext {
  readonly now: () => number
  readonly outlier: (service: string) => OutlierOptions
  readonly balancing: (service: string) => BalancingOptions
  readonly observer: BalancerObserver
}

export class Pool {
  readonly name: string
  readonly #context: PoolContext
  #service: CatalogService
  #members: readonly Member[]
  #byId: ReadonlyMap<EndpointId, Member>
  #rotation: Rotation
  /** Picks so far. */
  #turn = 0
  /** When the first ejection ends: before that no pick has to look. */
  #nextProbeMs = Number.POSITIVE_INFINITY
  /** When the share of an endpoint that warms up grows next: before that no pick has to look. */
  #nextStepMs = Number.POSITIVE_INFINITY
  #panicPicks = 0
  #lastPanicMs: number | null = null
  /** Null: it has changed since it was last asked for. */
  #standing: Standing | null = null

  /** @param joinedMs when its endpoints joined (clock, ms); -Infinity: they were there before anybody looked */
  constructor(name: string, service: CatalogService, context: PoolContext, joinedMs: number) {
    this.name = name
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

  /** Takes the catalog's new word on this service. */
  update(service: CatalogService): void {
    if (sameService(this.#service, service)) return
    this.#service = service
    this.#standing = null
    const now = this.#context.now()
    const isWarm = this.#slowStartMs() === null
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
   * Whose turn it is.
   * @param avoid endpoints that this request has tried already
   * @returns null when there is none that may be tried
   */
  pick(avoid: ReadonlySet<EndpointId> | null): Picked | null {
    const now = this.#context.now()
    if (now >= this.#nextProbeMs) this.#admitProbes(now)
    if (now >= this.#nextStepMs) this.#warm(now)
    const standing = this.standing
    const skip =
      avoid === null || avoid.size === 0 ? null : (index: number) => avoid.has(this.#member(index).endpoint.id)

    let index = this.#rotation.pick(skip)
    let role: PickRole = 'regular'
    if (index < 0) {
      index = this.#rotation.pickInactive((each) => this.#member(each).drained !== null || skip?.(each) === true)
      if (index < 0) return null
      role = 'panic'
      this.#panicPicks++
      this.#lastPanicMs = now
      tell(() => this.#context.observer.onPanicPick(this.name))
    }
    const member = this.#member(index)
    if (role === 'regular' && member.detector.health.kind !== 'healthy') {
      role = 'probe'
      member.detector.startProbe()
      this.#setActive(member, false)
    }
    member.inFlight++
    member.picks++
    return this.#picked(member, role, standing, now)
  }

  view(): Pick<ServiceView, 'endpoints' | 'absent' | 'pickSpread' | 'panic'> {
    const now = this.#context.now()
    const slowStartMs = this.#slowStartMs()
    const isWarming = (index: number) => this.#member(index).warmingSinceMs !== null
    return {
      // Who warms up has no full share yet, and steps to a greater one every while: nothing to compare.
      pickSpread: this.#rotation.spread(this.#nextStepMs === Number.POSITIVE_INFINITY ? null : isWarming),
      endpoints: this.#members.map((member) => this.#viewOf(member, now, slowStartMs)),
      absent: this.#service.absent,
      panic: { picks: this.#panicPicks, agoMs: this.#lastPanicMs === null ? null : now - this.#lastPanicMs },
    }
  }

  #viewOf(member: Member, now: number, slowStartMs: number | null): EndpointView {
    const { index } = member
    const turns = { recentPicks: this.#rotation.recentPicks(index), idealShare: this.#rotation.idealShare(index) }
    return memberView(member, turns, now, slowStartMs)
  }

  /** Who could be picked now. */
  get standing(): Standing {
    this.#standing ??= { service: this.#service, out: this.#members.flatMap(outOf) }
    return this.#standing
  }

  has(endpoint: EndpointId): boolean {
    return this.#byId.has(endpoint)
  }

  /** Out of rotation until it is undrained; null: back in it, unless its health keeps it out. */
  drain(endpoint: EndpointId, drain: Drain | null): void {
    const member = this.#byId.get(endpoint)
    if (member === undefined) return
    member.drained = drain
    this.#setActive(member, isInTurn(member, this.#context.now()))
  }

  /** By hand, whatever the cap says. */
  eject(endpoint: EndpointId, by: string): void {
    const member = this.#byId.get(endpoint)
    if (member !== undefined) this.#eject(member, 'by-hand', this.#options(), by)
  }

  /** By hand: back with a clean record. False: it was not ejected. */
  restore(endpoint: EndpointId): boolean {
    const member = this.#byId.get(endpoint)
    if (member === undefined || member.detector.health.kind === 'healthy') return false
    this.#restore(member)
    return true
  }

  /** Picks so far. */
  get picks(): number {
    return this.#turn
  }

  vitals(endpoint: EndpointId): Vitals | null {
    const member = this.#byId.get(endpoint)
    return member === undefined ? null : vitalsOf(member)
  }

  #picked(member: Member, role: PickRole, standing: Standing, pickedMs: number): Picked {
    const turn = ++this.#turn
    const { detector } = member
    const ejectionsBefore = detector.ejections
    let reported = false
    // What was under way when its endpoint was ejected proves nothing that was not known then, even if it ends later.
    const isOutdated = () => member.index < 0 || detector.ejections !== ejectionsBefore
    const hadJustJoined = pickedMs - member.joinedMs < settlingMs
    const { endpoint } = member
    return {
      kind: 'picked',
      endpoint,
      role,
      standing,
      answered: (status) => {
        if (reported || this.#options().isFaultStatus(status)) return
        detector.goodAnswers++
        if (isOutdated()) return
        detector.answeredWell(turn)
        this.#restore(member)
      },
      report: (outcome, request) => {
        if (reported) return false
        reported = true
        member.inFlight--
        const options = this.#options()
        const asSuch = faultOf(outcome, options.isFaultStatus)
        if (asSuch === 'none') detector.goodAnswers++
        const explained = asSuch === 'connect' && (hadJustJoined || this.#context.now() - member.leftMs < settlingMs)
        // Of one in doubt it is evidence, so it counts as a fault all the same.
        const isExcused = explained || (asSuch === 'connect' && endpoint.doubted === true)
        if (isOutdated()) return isExcused
        const fault = explained ? 'not-upstream' : asSuch
        const now = this.#context.now()
        if (fault === 'connect' || fault === 'response')
          noteFault(member, { atMs: now, outcome, request: request ?? null })
        this.#apply(member, judge(member, this.#members, { role, fault, turn }, now, options), options)
        return isExcused
      },
    }
  }

  #apply(member: Member, verdict: Verdict, options: OutlierOptions): void {
    switch (verdict.kind) {
      case 'none':
        return
      case 'restore':
        return this.#restore(member)
      case 'probe-again': {
        const now = this.#context.now()
        member.detector.forgetProbe(now)
        this.#standing = null
        this.#nextProbeMs = Math.min(this.#nextProbeMs, now)
        return
      }
      case 'eject':
        return this.#eject(member, verdict.reason, options, null)
      case 'withhold': {
        const { due, reason, pool } = verdict
        const { detector } = member
        const before = detector.withheld
        detector.withheld = { due, reason, pool, sinceMs: before?.sinceMs ?? this.#context.now() }
        if (before === null) tell(() => this.#context.observer.onWithheld(this.name, member.endpoint.id, due, reason))
        return
      }
      default:
        return verdict satisfies never
    }
  }

  #eject(member: Member, reason: EjectionReason, options: OutlierOptions, by: string | null): void {
    const now = this.#context.now()
    const faults = tripping(member, reason)
    const forMs = member.detector.eject(reason, now, options)
    member.lastEjection = { reason, atMs: now, forMs, by, faults }
    this.#setActive(member, false)
    this.#nextProbeMs = Math.min(this.#nextProbeMs, now + forMs)
    tell(() => this.#context.observer.onEjected(this.name, member.endpoint.id, reason, forMs))
  }

  #restore(member: Member): void {
    if (member.index < 0 || member.detector.health.kind === 'healthy') return
    const now = this.#context.now()
    member.detector.restore(now)
    this.#setActive(member, isInTurn(member, now))
    tell(() => this.#context.observer.onRestored(this.name, member.endpoint.id))
  }

  /** Brings back into the rotation whoever may be probed now: its next turn is its probe. */
  #admitProbes(now: number): void {
    this.#nextProbeMs = Number.POSITIVE_INFINITY
    for (const member of this.#members) {
      const { health } = member.detector
      if (health.kind !== 'ejected') continue
      if (health.untilMs <= now) this.#rotation.setActive(member.index, isInTurn(member, now))
      else this.#nextProbeMs = Math.min(this.#nextProbeMs, health.untilMs)
    }
  }

  /** Who may have turns has changed, or may have. */
  #setActive(member: Member, isActive: boolean): void {
    this.#standing = null
    this.#rotation.setActive(member.index, isActive)
  }

  /** What a person said outlives the catalog: who joins may have been drained before. */
  #applyDrains(now: number): void {
    for (const member of this.#members) {
      const drain = this.#context.drainOf(this.name, member.endpoint.id)
      if (drain === member.drained) continue
      member.drained = drain
      this.#setActive(member, isInTurn(member, now))
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
    const { weights, nextStepMs } = weigh(members, now, this.#slowStartMs())
    this.#nextStepMs = nextStepMs
    return weights
  }

  #slowStartMs(): number | null {
    return this.#context.balancing(this.name).slowStartMs
  }

  #options(): OutlierOptions {
    return this.#context.outlier(this.name)
  }

  #member(index: number): Member {
    return this.#members[index] as Member
  }
}

function byId(members: readonly Member[]): ReadonlyMap<EndpointId, Member> {
  return new Map(members.map((member) => [member.endpoint.id, member]))
}
