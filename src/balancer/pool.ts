/**
 * One service's endpoints, their health and whose turn it is.
 *
 * A pool lives as long as its service is in the catalog. A catalog change is taken in place: endpoints that stay keep
 * their health, their place and what they have in flight.
 */

import { type AbsentInstance, type CatalogService, type Endpoint, type EndpointId, sameService } from './endpoint.ts'
import type { BalancerObserver, EjectionReason } from './observer.ts'
import { type Fault, faultOf, type Outcome } from './outcome.ts'
import { OutlierDetector, withholding } from './outlier.ts'
import type { OutlierOptions } from './outlier-options.ts'
import { Rotation } from './rotation.ts'
import type { EndpointView } from './view.ts'

/** One endpoint in a pool, and what is known of it. */
interface Member {
  endpoint: Endpoint
  /** Its place in the pool's list; -1 once it has left. */
  index: number
  readonly detector: OutlierDetector
  inFlight: number
  picks: number
}

/** An endpoint to send one request to, and where to say how that went. */
export interface Picked {
  readonly kind: 'picked'
  readonly endpoint: Endpoint
  /** Every endpoint that may be tried is ejected, and this one was picked all the same (fail open). */
  readonly panic: boolean
  /** The response head is here: a long answer (a tunnel, a stream) ends a probe before it is over. */
  answered(status: number): void
  /** How the attempt ended. Must be called; only the first call counts. */
  report(outcome: Outcome): void
}

/** What a pool is told by its surroundings. */
export interface PoolContext {
  readonly now: () => number
  readonly outlier: (service: string) => OutlierOptions
  readonly observer: BalancerObserver
}

/** How a pick stands to the health of its endpoint. */
type Role = 'regular' | 'probe' | 'panic'

export class Pool {
  readonly name: string
  readonly #context: PoolContext
  #service: CatalogService
  #members: readonly Member[]
  #rotation: Rotation
  /** Picks so far. */
  #turn = 0
  /** When the first ejection ends: before that no pick has to look. */
  #nextProbeMs = Number.POSITIVE_INFINITY

  constructor(name: string, service: CatalogService, context: PoolContext) {
    this.name = name
    this.#context = context
    this.#service = service
    this.#members = service.endpoints.map((endpoint, index) => newMember(endpoint, index, context.now()))
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
    const former = new Map(this.#members.map((member) => [member.endpoint.id, member]))
    const formerIndex: number[] = []
    const members = service.endpoints.map((endpoint, index) => {
      const member = former.get(endpoint.id)
      formerIndex.push(member?.index ?? -1)
      if (member === undefined) return newMember(endpoint, index, this.#context.now())
      former.delete(endpoint.id)
      member.endpoint = endpoint
      return member
    })
    const weights = service.endpoints.map((endpoint) => endpoint.weight)
    const sameSet =
      former.size === 0 &&
      members.length === this.#members.length &&
      members.every((member, index) => member === this.#members[index]) &&
      weights.every((weight, index) => weight === this.#rotation.weight(index))
    if (sameSet) return
    this.#rotation = this.#rotation.continuedWith(weights, formerIndex)
    for (const leaver of former.values()) leaver.index = -1
    members.forEach((member, index) => {
      member.index = index
    })
    this.#members = members
  }

  /**
   * Whose turn it is.
   * @param avoid endpoints that this request has tried already
   * @returns null when there is none that may be tried
   */
  pick(avoid: ReadonlySet<EndpointId> | null): Picked | null {
    const now = this.#context.now()
    if (now >= this.#nextProbeMs) this.#admitProbes(now)
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
    return this.#picked(member, role)
  }

  view(): { readonly endpoints: readonly EndpointView[]; readonly pickSpread: number } {
    const now = this.#context.now()
    return {
      pickSpread: this.#rotation.spread(),
      endpoints: this.#members.map(({ endpoint, detector, inFlight, picks }) => {
        const { health, withheld } = detector
        return {
          endpoint,
          state: health.kind,
          reason: health.kind === 'healthy' ? (withheld?.due ?? null) : health.reason,
          withheld: withheld?.reason ?? null,
          ejectedForMs: health.kind === 'ejected' ? Math.max(0, health.untilMs - now) : null,
          consecutiveFaults: detector.consecutiveFaults,
          consecutiveConnectFaults: detector.consecutiveConnectFaults,
          ejections: detector.ejections,
          inFlight,
          picks,
        }
      }),
    }
  }

  #picked(member: Member, role: Role): Picked {
    const turn = ++this.#turn
    const { detector } = member
    const ejectionsBefore = detector.ejections
    let reported = false
    // What was under way when its endpoint was ejected proves nothing that was not known then, even if it ends later.
    const isOutdated = () => member.index < 0 || detector.ejections !== ejectionsBefore
    return {
      kind: 'picked',
      endpoint: member.endpoint,
      panic: role === 'panic',
      answered: (status) => {
        if (reported || isOutdated() || this.#options().isFaultStatus(status)) return
        detector.answeredWell(turn)
        this.#restore(member)
      },
      report: (outcome) => {
        if (reported) return
        reported = true
        member.inFlight--
        if (isOutdated()) return
        const options = this.#options()
        const fault = faultOf(outcome, options.isFaultStatus)
        const health = detector.health.kind
        if (health === 'healthy') this.#judgeRegular(member, fault, turn, options)
        else if (role === 'probe') this.#judgeProbe(member, fault, turn, options)
        else if (fault === 'none') this.#restore(member)
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

  #options(): OutlierOptions {
    return this.#context.outlier(this.name)
  }

  #member(index: number): Member {
    return this.#members[index] as Member
  }
}

function newMember(endpoint: Endpoint, index: number, nowMs: number): Member {
  return { endpoint, index, detector: new OutlierDetector(nowMs), inFlight: 0, picks: 0 }
}

/** An observer that throws must not fail the request that it watches. */
function tell(event: () => void): void {
  try {
    event()
  } catch {
    // What an observer does with its own failure is its affair.
  }
}
