/**
 * A known service has no endpoint: when is it worth asking again?
 *
 * What is remembered of a service is how long it was without endpoints, the last few times. Half of those times were
 * over by their median, so that is the guess; once it has passed, nobody knows, and what has lasted so long is taken to
 * last as long again. docs/decisions/018-deploys.md has the reasoning.
 */

interface Vacancy {
  /** Since when it has had no endpoint; null while it has some. */
  sinceMs: number | null
  /** How long the latest vacancies lasted, oldest first. */
  lastedMs: readonly number[]
}

/** So many vacancies of one service are remembered. */
const remembered = 5
const shortestMs = 1_000
/** Whatever the past says: a client that stays away for longer may miss a service that is back. */
const longestMs = 60_000

/** Vacancies by service. All times are milliseconds of the balancer's clock. */
export class Vacancies {
  readonly #services = new Map<string, Vacancy>()

  /** The service has lost its last endpoint. */
  began(service: string, nowMs: number): void {
    this.#services.set(service, { sinceMs: nowMs, lastedMs: this.#services.get(service)?.lastedMs ?? [] })
  }

  /** The service has endpoints: if it had none before, that is over. */
  ended(service: string, nowMs: number): void {
    const vacancy = this.#services.get(service)
    if (vacancy === undefined || vacancy.sinceMs === null) return
    vacancy.lastedMs = [...vacancy.lastedMs, nowMs - vacancy.sinceMs].slice(-remembered)
    vacancy.sinceMs = null
  }

  /** When a vacant service may have endpoints again: in 1 to 60 s; null when nothing is known to guess from. */
  retryAfterMs(service: string, nowMs: number): number | null {
    const vacancy = this.#services.get(service)
    if (vacancy === undefined || vacancy.sinceMs === null || vacancy.lastedMs.length === 0) return null
    const elapsedMs = nowMs - vacancy.sinceMs
    const remainingMs = median(vacancy.lastedMs) - elapsedMs
    return Math.min(longestMs, Math.max(shortestMs, remainingMs > 0 ? remainingMs : elapsedMs))
  }

  forget(service: string): void {
    this.#services.delete(service)
  }

  /** Forgets every service that is not known any more. */
  prune(isKnown: (service: string) => boolean): void {
    for (const service of this.#services.keys()) if (!isKnown(service)) this.#services.delete(service)
  }
}

/** Of an even number the lower one: too early costs a client one more question, too late costs it the service. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[(sorted.length - 1) >> 1] as number
}
