/**
 * Whose turn is it?
 *
 * Weighted round robin, exact and smooth: while the set of active members stays the same, no member is ever a whole
 * pick away from its share, and each full cycle (as many picks as the weights add up to) gives every member exactly
 * its weight. Equal weights are plain round robin.
 *
 * The rule is "earliest eligible deadline first" (Stoica and Abdel-Wahab, EEVDF, 1995), counted in picks. A member's
 * lag is what it is owed: its share of the picks so far minus the picks it had. A member that is owed something
 * (lag ≥ 0) is eligible; of those, the one whose next pick is due first goes. Equal deadlines go to the member that has
 * waited longest, which is what makes equal weights differ by at most one between two changes of the set.
 *
 * A change of the set keeps everybody's place: lags are carried over, a joiner starts at zero, and what a leaver was
 * owed is shared out among those who stay, so that the lags always add up to zero and nobody's neighbour inherits a
 * double share. docs/decisions/002-rotation.md has the reasoning.
 */

/**
 * Carried lags are multiples of `quantum`, so that sums of them are exact. Each change of the set still rounds once; lags
 * that differ by less than `tie` count as equal, which leaves room for more changes than a proxy ever sees.
 */
const quantum = 2 ** -45
const tie = 2 ** -20

export class Rotation {
  readonly #weights: Float64Array
  readonly #active: Uint8Array
  /** Lag at the last change of the active set. */
  readonly #carried: Float64Array
  /** Picks in the current cycle. */
  readonly #taken: Float64Array
  readonly #picksSinceChange: Float64Array
  /** When it was last picked, as a sequence number. */
  readonly #lastTurn: Float64Array
  #turn = 0
  /** Picks of all in the current cycle, and how many a cycle has. */
  #cycle = 0
  #activeWeight = 0

  /** @param weights one integer ≥ 1 for each member; all members start active */
  constructor(weights: readonly number[]) {
    const size = weights.length
    this.#weights = Float64Array.from(weights)
    this.#active = new Uint8Array(size).fill(1)
    this.#carried = new Float64Array(size)
    this.#taken = new Float64Array(size)
    this.#picksSinceChange = new Float64Array(size)
    this.#lastTurn = new Float64Array(size)
    this.#activeWeight = this.#weights.reduce((sum, weight) => sum + weight, 0)
  }

  /**
   * A rotation over a changed list that goes on where this one stands.
   * @param weights of the new list
   * @param formerIndex where each new member stands in this rotation; -1 for one that joins
   */
  continuedWith(weights: readonly number[], formerIndex: readonly number[]): Rotation {
    const staying = new Set(formerIndex)
    for (let index = 0; index < this.#weights.length; index++) {
      if (!staying.has(index)) this.setActive(index, false)
    }
    this.#settle()
    const next = new Rotation(weights)
    next.#turn = this.#turn
    for (let index = 0; index < weights.length; index++) {
      const former = formerIndex[index] as number
      next.#lastTurn[index] = former < 0 ? this.#turn : at(this.#lastTurn, former)
      if (former < 0) continue
      next.#carried[index] = at(this.#carried, former)
      if (at(this.#active, former) === 0) {
        next.#active[index] = 0
        next.#activeWeight -= at(next.#weights, index)
      }
    }
    return next
  }

  weight(index: number): number {
    return at(this.#weights, index)
  }

  /** Picks of this member since the last change of the set. */
  recentPicks(index: number): number {
    return at(this.#picksSinceChange, index)
  }

  /** The share (0–1) of all picks that is due to this member now; 0 while it is out. */
  idealShare(index: number): number {
    return this.isActive(index) ? at(this.#weights, index) / this.#activeWeight : 0
  }

  isActive(index: number): boolean {
    return this.#active[index] === 1
  }

  /** Takes a member out of the rotation, or brings it back; the others keep their place. */
  setActive(index: number, active: boolean): void {
    if (this.isActive(index) === active) return
    this.#settle()
    const weight = at(this.#weights, index)
    this.#active[index] = active ? 1 : 0
    this.#activeWeight += active ? weight : -weight
    if (active) {
      this.#lastTurn[index] = this.#turn
      return
    }
    const owed = at(this.#carried, index)
    this.#carried[index] = 0
    this.#shareOut(owed, index)
  }

  /**
   * Takes the next turn.
   * @param skip members that must not have this turn; they are owed it, but never more than one
   * @returns the member's index, or -1 when no active member may have it
   */
  pick(skip: ((index: number) => boolean) | null): number {
    let best = -1
    let bestEligible = false
    let bestDeadline = Number.POSITIVE_INFINITY
    let bestTurn = 0
    for (let index = 0; index < this.#weights.length; index++) {
      if (this.#active[index] === 0 || skip?.(index)) continue
      const weight = at(this.#weights, index)
      const lag = this.#lag(index)
      const eligible = lag >= -tie
      if (bestEligible && !eligible) continue
      const deadline = (1 - lag) / weight
      const turn = at(this.#lastTurn, index)
      const margin = tie / weight
      const sooner =
        eligible !== bestEligible ||
        deadline < bestDeadline - margin ||
        (deadline <= bestDeadline + margin && turn < bestTurn)
      if (best >= 0 && !sooner) continue
      best = index
      bestEligible = eligible
      bestDeadline = deadline
      bestTurn = turn
    }
    if (best < 0) return best
    this.#take(best)
    if (skip !== null) this.#forgive(skip)
    return best
  }

  /** Whoever has waited longest, active or not, weights aside: for when nobody is active. -1 when all are skipped. */
  pickInactive(skip: ((index: number) => boolean) | null): number {
    let best = -1
    for (let index = 0; index < this.#weights.length; index++) {
      if (skip?.(index)) continue
      if (best < 0 || at(this.#lastTurn, index) < at(this.#lastTurn, best)) best = index
    }
    if (best >= 0) this.#lastTurn[best] = ++this.#turn
    return best
  }

  /**
   * How uneven the active members' picks are since the last change of the set: how far the one that is most ahead of its
   * share of them is in front of the one that is most behind, in picks. Unless turns were skipped: with equal weights,
   * which makes it most minus least, never above 1; with others below 4, for each of the two may have been nearly a pick
   * ahead at the change and nearly a pick behind now.
   * @param leaveOut members that are not compared
   */
  spread(leaveOut: ((index: number) => boolean) | null = null): number {
    const isCompared = (index: number) => this.#active[index] === 1 && leaveOut?.(index) !== true
    let picks = 0
    let weights = 0
    for (let index = 0; index < this.#weights.length; index++) {
      if (!isCompared(index)) continue
      picks += at(this.#picksSinceChange, index)
      weights += at(this.#weights, index)
    }
    let most = 0
    let least = 0
    for (let index = 0; index < this.#weights.length; index++) {
      if (!isCompared(index)) continue
      // Not divided yet: in whole numbers equal weights stay exact.
      const owed = picks * at(this.#weights, index) - at(this.#picksSinceChange, index) * weights
      most = Math.max(most, owed)
      least = Math.min(least, owed)
    }
    return most === least ? 0 : (most - least) / weights
  }

  /** What a member is owed, in picks; above 0 it is behind its share, below 0 ahead of it. */
  #lag(index: number): number {
    const owed = this.#cycle * at(this.#weights, index) - at(this.#taken, index) * this.#activeWeight
    return at(this.#carried, index) + owed / this.#activeWeight
  }

  #take(index: number): void {
    this.#lastTurn[index] = ++this.#turn
    this.#taken[index] = at(this.#taken, index) + 1
    this.#picksSinceChange[index] = at(this.#picksSinceChange, index) + 1
    this.#cycle++
    if (this.#cycle < this.#activeWeight) return
    // A full cycle owes each member its weight: subtracting both keeps the counts small and the lags as they are.
    this.#cycle = 0
    for (let member = 0; member < this.#weights.length; member++) {
      if (this.#active[member] === 1) this.#taken[member] = at(this.#taken, member) - at(this.#weights, member)
    }
  }

  /**
   * Members that were skipped many times must not get a burst of turns for it: what they are owed beyond one turn is
   * shared out among the others. (Those that a retry avoids are the ones that just failed.)
   */
  #forgive(skip: (index: number) => boolean): void {
    for (let index = 0; index < this.#weights.length; index++) {
      if (this.#active[index] === 0 || !skip(index)) continue
      const excess = this.#lag(index) - 1
      if (excess <= tie) continue
      this.#carried[index] = at(this.#carried, index) - excess
      this.#shareOut(excess, index)
    }
  }

  /** Gives what one member is owed to the other active ones, by weight. */
  #shareOut(owed: number, from: number): void {
    const weight = this.#activeWeight - at(this.#weights, from) * at(this.#active, from)
    for (let other = 0; other < this.#weights.length; other++) {
      if (other === from || this.#active[other] === 0) continue
      this.#carried[other] = quantised(at(this.#carried, other) + (owed * at(this.#weights, other)) / weight)
    }
  }

  /** Turns the running counts into carried lags: the moment before the active set changes. */
  #settle(): void {
    for (let index = 0; index < this.#weights.length; index++) {
      if (this.#active[index] === 1) this.#carried[index] = quantised(this.#lag(index))
      this.#picksSinceChange[index] = 0
    }
    this.#taken.fill(0)
    this.#cycle = 0
  }
}

function quantised(lag: number): number {
  return Math.round(lag / quantum) * quantum
}

function at(list: Float64Array | Uint8Array, index: number): number {
  return list[index] as number
}
