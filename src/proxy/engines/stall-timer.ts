/** Has nothing happened for too long? One timer for all phases: it looks at the clock, and sleeps for what is left. */

export class StallTimer {
  readonly #now: () => number
  readonly #allowedMs: () => number
  readonly #onStall: () => void
  #lastProgressMs: number
  #timer: NodeJS.Timeout | null = null

  /**
   * @param allowedMs how long nothing may happen; asked each time the timer looks
   * @param onStall called once, when that time is over
   */
  constructor(now: () => number, allowedMs: () => number, onStall: () => void) {
    this.#now = now
    this.#allowedMs = allowedMs
    this.#onStall = onStall
    this.#lastProgressMs = now()
  }

  /** @param firstLookMs when to look for the first time: the shortest time that may ever be allowed */
  start(firstLookMs: number): void {
    this.stop()
    this.touch()
    this.#timer = setTimeout(() => this.#look(), firstLookMs)
  }

  /** Something happened. */
  touch(): void {
    this.#lastProgressMs = this.#now()
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #look(): void {
    const leftMs = this.#lastProgressMs + this.#allowedMs() - this.#now()
    if (leftMs > 0) {
      this.#timer = setTimeout(() => this.#look(), Math.max(1, leftMs))
    } else {
      this.#timer = null
      this.#onStall()
    }
  }
}
