/**
 * One service: whose turn it is, and what each answer says of the health of who had it.
 *
 * A pool lives as long as its service is in the catalog. A catalog change is taken in place: endpoints that stay keep
 * their health, their place and what they have in flight.
 */

import type { Drain } from './drains.ts'
import type { CatalogService, Endpoint, EndpointId } from './endpoint.ts'
import { type Member, noteFault, settlingMs, tripping, vitalsOf } from './member.ts'
import { type BalancerObserver, type EjectionReason, tell } from './observer.ts'
import { faultOf, type Outcome } from './outcome.ts'
import type { OutlierOptions } from './outlier-options.ts'
import type { BalancingOptions } from './slow-start.ts'
import { Turns } from './turns.ts'
import { judge, type PickRole, type Verdict } from './verdict.ts'
import type { ServiceView, Standing, Vitals } from './view.ts'

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
  readonly #turns: Turns
  /** Picks so far. */
  #turn = 0
  /** When the first ejection ends: before that no pick has to look. */
  #nextProbeMs = Number.POSITIVE_INFINITY
  #panicPicks = 0
  #lastPanicMs: number | null = null

  /** @param joinedMs when its endpoints joined (clock, ms); -Infinity: they were there before anybody looked */
  constructor(name: string, service: CatalogService, context: PoolContext, joinedMs: number) {
    this.name = name
    this.#context = context
    const { now, drainOf, balancing } = context
    const surroundings = {
      now,
      drainOf: (endpoint: EndpointId) => drainOf(name, endpoint),
      slowStartMs: () => balancing(name).slowStartMs,
    }
    this.#turns = new Turns(service, surroundings, joinedMs)
  }

  get service(): CatalogService {
    return this.#turns.service
  }

  /** Who could be picked now. */
  get standing(): Standing {
    return this.#turns.standing
  }

  /** Picks so far. */
  get picks(): number {
    return this.#turn
  }

  /** Takes the catalog's new word on this service. */
  update(service: CatalogService): void {
    this.#turns.update(service)
  }

  /**
   * Whose turn it is.
   * @param avoid endpoints that this request has tried already
   * @returns null when there is none that may be tried
   */
  pick(avoid: ReadonlySet<EndpointId> | null): Picked | null {
    const now = this.#context.now()
    if (now >= this.#nextProbeMs) this.#admitProbes(now)
    const { standing } = this
    const inTurn = this.#turns.take(avoid, now)
    const member = inTurn ?? this.#turns.takeAnyway(avoid)
    if (member === null) return null
    let role: PickRole = 'regular'
    if (inTurn === null) {
      role = 'panic'
      this.#panicPicks++
      this.#lastPanicMs = now
      tell(() => this.#context.observer.onPanicPick(this.name))
    } else if (member.detector.health.kind !== 'healthy') {
      role = 'probe'
      member.detector.startProbe()
      this.#turns.place(member, now)
    }
    member.inFlight++
    member.picks++
    return this.#picked(member, role, standing, now)
  }

  view(): Pick<ServiceView, 'endpoints' | 'absent' | 'pickSpread' | 'panic'> {
    const now = this.#context.now()
    return {
      pickSpread: this.#turns.spread(),
      endpoints: this.#turns.views(now),
      absent: this.service.absent,
      panic: { picks: this.#panicPicks, agoMs: this.#lastPanicMs === null ? null : now - this.#lastPanicMs },
    }
  }

  has(endpoint: EndpointId): boolean {
    return this.#turns.member(endpoint) !== undefined
  }

  /** In the table, or known to the catalog and kept out of rotation. */
  lists(endpoint: EndpointId): boolean {
    return this.has(endpoint) || this.service.absent.some(({ address }) => address === endpoint)
  }

  vitals(endpoint: EndpointId): Vitals | null {
    const member = this.#turns.member(endpoint)
    return member === undefined ? null : vitalsOf(member)
  }

  /** Out of rotation until it is undrained; null: back in it, unless its health keeps it out. */
  drain(endpoint: EndpointId, drain: Drain | null): void {
    const member = this.#turns.member(endpoint)
    if (member !== undefined) this.#turns.drain(member, drain, this.#context.now())
  }

  /** By hand, whatever the cap says. False: it is ejected already, and its time is not up. */
  eject(endpoint: EndpointId, by: string): boolean {
    const member = this.#turns.member(endpoint)
    if (member === undefined) return false
    const { health } = member.detector
    if (health.kind === 'ejected' && health.untilMs > this.#context.now()) return false
    this.#eject(member, 'by-hand', this.#options(), by)
    return true
  }

  /** By hand: back with a clean record. False: it was not ejected. */
  restore(endpoint: EndpointId): boolean {
    const member = this.#turns.member(endpoint)
    if (member === undefined || member.detector.health.kind === 'healthy') return false
    this.#restore(member)
    return true
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
        this.#apply(member, judge(member, this.#turns.members, { role, fault, turn }, now, options), options)
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
        return this.#turns.place(member, now)
      }
      case 'eject':
        return this.#eject(member, verdict.reason, options, null)
      case 'withhold': {
        const { due, reason, pool } = verdict
        const { detector } = member
        const before = detector.withheld
        detector.withheld = { due, reason, pool, sinceMs: before?.sinceMs ?? this.#context.now() }
        if (before !== null) return
        const last = member.faults.at(-1)
        tell(() => this.#context.observer.onWithheld(this.name, member.endpoint.id, due, reason, last))
        return
      }
      default:
        return verdict satisfies never
    }
  }

  #eject(member: Member, reason: EjectionReason, options: OutlierOptions, by: string | null): void {
    const now = this.#context.now()
    const faults = tripping(member, reason, now, options)
    const forMs = member.detector.eject(reason, now, options)
    member.lastEjection = { reason, atMs: now, forMs, by, faults }
    this.#turns.place(member, now)
    this.#nextProbeMs = Math.min(this.#nextProbeMs, now + forMs)
    tell(() => this.#context.observer.onEjected(this.name, member.endpoint.id, reason, forMs, faults.at(-1)))
  }

  #restore(member: Member): void {
    if (member.index < 0 || member.detector.health.kind === 'healthy') return
    const now = this.#context.now()
    member.detector.restore(now)
    this.#turns.place(member, now)
    tell(() => this.#context.observer.onRestored(this.name, member.endpoint.id))
  }

  /** Brings back into the rotation whoever may be probed now: its next turn is its probe. */
  #admitProbes(now: number): void {
    this.#nextProbeMs = Number.POSITIVE_INFINITY
    for (const member of this.#turns.members) {
      const { health } = member.detector
      if (health.kind !== 'ejected') continue
      if (health.untilMs <= now) this.#turns.place(member, now)
      else this.#nextProbeMs = Math.min(this.#nextProbeMs, health.untilMs)
    }
  }

  #options(): OutlierOptions {
    return this.#context.outlier(this.name)
  }
}
