/**
 * What is overdue? One timer for all: every so often it compares numbers, instead of keeping a timer for each socket.
 *
 * Whoever can be late has one deadline at a time and moves it by writing a number, which costs nothing. The price is
 * that a deadline is noticed up to one look late.
 */

/** Somebody who can be late. */
export interface Timed {
  /** In the milliseconds of `Deadlines.nowMs`; Infinity: not waiting for anything. */
  dueMs: number
  /** Called once the deadline has passed, at each look until it is moved. */
  onDue(): void
}

/** How often deadlines are looked at: timeouts are seconds, and a look at ten thousand connections is cheap. */
export const lookEveryMs = 25

export class Deadlines {
  /** The time of the last look: coarse, and free to read. Exact enough to count timeouts from. */
  nowMs: number
  readonly #clock: () => number
  readonly #watched = new Set<Timed>()
  #timer: NodeJS.Timeout | null = null

  /** @param clock milliseconds that never go back */
  constructor(clock: () => number) {
    this.#clock = clock
    this.nowMs = clock()
  }

  watch(timed: Timed): void {
    this.#watched.add(timed)
    if (this.#timer !== null) return
    // Nobody looked for a while.
    this.nowMs = this.#clock()
    // Keeps no process alive: whoever waits for something has a socket that does.
    this.#timer = setInterval(() => this.#look(), lookEveryMs).unref()
  }

  forget(timed: Timed): void {
    this.#watched.delete(timed)
  }

  #look(): void {
    const now = this.#clock()
    this.nowMs = now
    for (const timed of this.#watched) if (timed.dueMs <= now) timed.onDue()
    if (this.#watched.size > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
  }
}
