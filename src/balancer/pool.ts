/**
 * One service's endpoints, their health and whose turn it is.
 *
 * A pool lives as long as its service is in the catalog. A catalog change is taken in place: endpoints that stay keep
 * their health, their place and what they have in flight.
 */

import { type AbsentInstance, type CatalogService, type Endpoint, type EndpointId, sameService } from './endpoint.ts'
import { type Member, memberView, newMember, settlingMs, vitalsOf, weigh } from './member.ts'
import { type BalancerObserver, type EjectionReason, tell } from './observer.ts'
import { type Fault, faultOf, type Outcome } from './outcome.ts'
import { withholding } from './outlier.ts'
import type { OutlierOptions } from './outlier-options.ts'
import { Rotation } from './rotation.ts'
import type { BalancingOptions } from './slow-start.ts'
import type { EndpointView, Vitals } from './view.ts'

/** An endpoint to send one request to, and where to say how that went. */
export interface Picked {
  readonly kind: 'picked'
  readonly endpoint: Endpoint
  /** Every endpoint that may be tried is ejected, and this one was picked all the same (fail open). */
  readonly panic: boolean
  /** The response head is here: a long answer (a tunnel, a stream) ends a probe before it is over. */
  answered(status: number): void
  /**
   * How the attempt ended. Must be called; only the first call counts.
   * @returns true for a failed connect that a change of the catalog explains: the endpoint had joined less than 5 s
   * before this pick, has left since, less than 5 s ago, or is in doubt
   */
  report(outcome: Outcome): boolean
}

/** What a pool is told by its surroundings. */
export interface PoolContext {
  readonly now: () => number
  readonly outlier: (service: string) => OutlierOptions
  readonly balancing: (service: string) => BalancingOptions
  readonly observer: BalancerObserver
}

/** How a pick stands to the health of its endpoint. */
type Role = 'regular' | 'probe' | 'panic'

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
  }

  get service(): CatalogService {
    return this.#service
  }

  get absent(): readonly AbsentInstance[] {
    return this.#service.absent
  }

  /** Takes the catalog's new word on this service. */
  update(service: CatalogService): void {
    if (sameService(this.#service, service)) return
    this.#service = service
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
    const skip =
      avoid === null || avoid.size === 0 ? null : (index: number) => avoid.has(this.#member(index).endpoint.id)

    let index = this.#rotation.pick(skip)
    let role: Role = 'regular'
    if (index < 0) {
      index = this.#rotation.pickInactive(skip)
      if (index < 0) return null
      role = 'panic'
      tell(() => this.#context.observer.onPanicPick(this.name))
    }
    const member = this.#member(index)
    if (role === 'regular' && member.detector.health.kind !== 'healthy') {
      role = 'probe'
      member.detector.startProbe()
      this.#rotation.setActive(index, false)
    }
    member.inFlight++
    member.picks++
    return this.#picked(member, role, now)
  }

  view(): { readonly endpoints: readonly EndpointView[]; readonly pickSpread: number } {
    const now = this.#context.now()
    const slowStartMs = this.#slowStartMs()
    const isWarming = (index: number) => this.#member(index).warmingSinceMs !== null
    return {
      // Who warms up has no full share yet, and steps to a greater one every while: nothing to compare.
      pickSpread: this.#rotation.spread(this.#nextStepMs === Number.POSITIVE_INFINITY ? null : isWarming),
      endpoints: this.#members.map((member) => memberView(member, now, slowStartMs)),
    }
  }

  /** Picks so far. */
  get picks(): number {
    return this.#turn
  }

  vitals(endpoint: EndpointId): Vitals | null {
    const member = this.#byId.get(endpoint)
    return member === undefined ? null : vitalsOf(member)
  }

  #picked(member: Member, role: Role, pickedMs: number): Picked {
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
      panic: role === 'panic',
      answered: (status) => {
        if (reported || this.#options().isFaultStatus(status)) return
        detector.goodAnswers++
        if (isOutdated()) return
        detector.answeredWell(turn)
        this.#restore(member)
      },
      report: (outcome) => {
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
        const health = detector.health.kind
        if (health === 'healthy') this.#judgeRegular(member, fault, turn, options)
        else if (role === 'probe') this.#judgeProbe(member, fault, turn, options)
        else if (fault === 'none') this.#restore(member)
        return isExcused
      },
    }
  }

  #judgeProbe(member: Member, fault: Fault, turn: number, options: OutlierOptions): void {
    const now = this.#context.now()
    if (fault === 'not-upstream') {
      member.detector.forgetProbe(now)
      this.#nextProbeMs = Math.min(this.#nextProbeMs, now)
      return
    }
    member.detector.record(fault, turn, now, options)
    if (fault === 'none' || this.#withholding(member, fault, 'probe-failed', options) !== null) this.#restore(member)
    else this.#eject(member, 'probe-failed', options)
  }

  #judgeRegular(member: Member, fault: Fault, turn: number, options: OutlierOptions): void {
    const { detector } = member
    const due = detector.record(fault, turn, this.#context.now(), options)
    if (due === null) return
    const withheld = this.#withholding(member, fault, due, options)
    if (withheld === null) {
      this.#eject(member, due, options)
    } else if (withheld !== 'unclear') {
      const isNews = detector.withheld === null
      detector.withheld = { due, reason: withheld }
      if (isNews) tell(() => this.#context.observer.onWithheld(this.name, member.endpoint.id, due, withheld))
    }
  }

  #withholding(member: Member, fault: Fault, due: EjectionReason, options: OutlierOptions) {
    const now = this.#context.now()
    const maybeFirst = due === 'consecutive-faults' && member.detector.mayBeFirst(now)
    let ejected = 0
    let failing = 1
    let unheard = 0
    for (const { detector, inFlight } of this.#members) {
      if (detector === member.detector) continue
      const isHealthy = detector.health.kind === 'healthy'
      if (!isHealthy) ejected++
      if (detector.isFailing(now, options)) failing++
      else if (maybeFirst && isHealthy && inFlight > 0 && !detector.hasOutdone(member.detector)) unheard++
    }
    return withholding(fault, { size: this.#members.length, ejected, failing, unheard }, options)
  }

  #eject(member: Member, reason: EjectionReason, options: OutlierOptions): void {
    const now = this.#context.now()
    const forMs = member.detector.eject(reason, now, options)
    this.#rotation.setActive(member.index, false)
    this.#nextProbeMs = Math.min(this.#nextProbeMs, now + forMs)
    tell(() => this.#context.observer.onEjected(this.name, member.endpoint.id, reason, forMs))
  }

  #restore(member: Member): void {
    if (member.index < 0 || member.detector.health.kind === 'healthy') return
    member.detector.restore(this.#context.now())
    this.#rotation.setActive(member.index, true)
    tell(() => this.#context.observer.onRestored(this.name, member.endpoint.id))
  }

  /** Brings back into the rotation whoever may be probed now: its next turn is its probe. */
  #admitProbes(now: number): void {
    this.#nextProbeMs = Number.POSITIVE_INFINITY
    for (const { detector, index } of this.#members) {
      if (detector.health.kind !== 'ejected') continue
      if (detector.health.untilMs <= now) this.#rotation.setActive(index, true)
      else this.#nextProbeMs = Math.min(this.#nextProbeMs, detector.health.untilMs)
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
