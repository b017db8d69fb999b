/**
 * What is overdue? A coarse wheel: one timer for all, which looks at those whose time may have come.
 *
 * Whoever can be late stands in one slot of the wheel. Moving a deadline further away, which is what happens all the
 * time, writes a number: when the slot's turn comes, who is not due yet is put where he belongs then. Only a deadline
 * that comes nearer changes the slot at once. The price is that a deadline is noticed up to one look late.
 */

/** How often deadlines are looked at. */
export const lookEveryMs = 25
/** When looks are so far apart the process has been standing still. */
const standstillMs = 4 * lookEveryMs
/** Deadlines further away than a whole turn (3.2 s) are looked at once a turn. */
const slotCount = 128

/** Somebody who can be late. */
export abstract class Timed {
  /** In the milliseconds of `Deadlines.nowMs`; Infinity: waits for nothing. To be written by `Deadlines.move` only. */
  dueMs = Number.POSITIVE_INFINITY
  /** Where it stands: the number of the look that comes to it; -1: nowhere. The wheel's own. */
  look = -1
  /** Called at the first look behind the deadline, and at each one after that until it is moved or forgotten. */
  abstract onDue(): void
}

export class Deadlines {
  /** The time of the last look: coarse, and free to read. Exact enough to count timeouts from. */
  nowMs: number
  readonly #clock: () => number
  readonly #onDefect: (error: Error) => void
  readonly #slots: readonly Set<Timed>[] = Array.from({ length: slotCount }, () => new Set())
  #count = 0
  /** Looks so far, and the time of the first of them. */
  #looks = 0
  #startMs = 0
  #timer: NodeJS.Timeout | null = null

  /**
   * @param clock milliseconds that never go back
   * @param onDefect told what an `onDue` has thrown; the others are told all the same
   */
  constructor(clock: () => number, onDefect: (error: Error) => void) {
    this.#clock = clock
    this.#onDefect = onDefect
    this.nowMs = clock()
  }

  /** @param dueMs see `Timed.dueMs` */
  watch(timed: Timed, dueMs = Number.POSITIVE_INFINITY): void {
    if (timed.look >= 0) return this.move(timed, dueMs)
    timed.dueMs = dueMs
    this.#start()
    this.#count++
    this.#place(timed)
  }

  forget(timed: Timed): void {
    if (timed.look < 0) return
    this.#slotOf(timed.look).delete(timed)
    timed.look = -1
    this.#count--
  }

  /** Changes the deadline of somebody who is watched. */
  move(timed: Timed, dueMs: number): void {
    timed.dueMs = dueMs
    if (timed.look < 0 || this.#lookFor(dueMs) >= timed.look) return
    this.#slotOf(timed.look).delete(timed)
    this.#place(timed)
  }

  #start(): void {
    if (this.#timer !== null) return
    // Nobody looked for a while.
    this.nowMs = this.#clock()
    this.#startMs = this.nowMs
    this.#looks = 0
    // Keeps no process alive: whoever waits for something has a socket that does.
    this.#timer = setInterval(() => this.#wake(), lookEveryMs).unref()
  }

  #place(timed: Timed): void {
    timed.look = this.#lookFor(timed.dueMs)
    this.#slotOf(timed.look).add(timed)
  }

  /** The first look at or behind a time, within one turn of the wheel. */
  #lookFor(dueMs: number): number {
    const wanted = Math.ceil((dueMs - this.#startMs) / lookEveryMs)
    return Math.max(this.#looks + 1, Math.min(wanted, this.#looks + slotCount - 1))
  }

  #slotOf(look: number): Set<Timed> {
    return this.#slots[look % slotCount] as Set<Timed>
  }

  /** After a long standstill what came meanwhile is read first: nobody is late because we were. */
  #wake(): void {
    if (this.#clock() - this.nowMs < standstillMs) this.#look()
    else setImmediate(() => this.#look())
  }

  #look(): void {
    this.nowMs = this.#clock()
    // A timer that came late has several looks to make up for; more than one turn tells nothing new.
    const until = Math.floor((this.nowMs - this.#startMs) / lookEveryMs)
    const first = Math.max(this.#looks + 1, until - slotCount + 1)
    for (let look = first; look <= until; look++) this.#lookAt(look, until)
    if (this.#count > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
  }

  #lookAt(look: number, latest: number): void {
    this.#looks = Math.max(this.#looks, latest)
    const slot = this.#slotOf(look)
    const standing = [...slot]
    slot.clear()
    for (const timed of standing) {
      // Forgotten by somebody before it.
      if (timed.look < 0) continue
      this.#place(timed)
      if (timed.dueMs > this.nowMs) continue
      try {
        timed.onDue()
      } catch (error) {
        this.#onDefect(error as Error)
      }
    }
  }
}
