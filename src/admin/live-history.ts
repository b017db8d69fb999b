/**
 * How much traffic has each service had of late? Kept whether or not anybody looks, so that whoever opens the page sees
 * what was before: every two seconds the counters are read, and requests and 5xx a second are written down for two
 * minutes, durations for ten seconds. A service that had no request takes no memory; one that left gives its own back.
 */

import { durationBounds, isServerError, type ServiceSlot, unroutedService } from './counters.ts'

export interface Traffic {
  /** Requests a second. */
  readonly rate: number
  /** Share (0–1) of answers that were 5xx; null: there were none. */
  readonly errorShare: number | null
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  /** Requests and 5xx a second, at the last tick. */
  readonly last: readonly [number, number]
}

export type Totals = Pick<Traffic, 'rate' | 'errorShare'>

export interface History {
  /** To be called every `tickMs`. */
  sample(): void
  /** Of the ten seconds before the last tick: between two ticks it stays the same, so that rows do. */
  traffic(service: string): Traffic
  /** Of all services, and of requests that name none. */
  total(): Totals
  /** Two minutes of requests and 5xx a second, oldest first; empty when all are 0. */
  past(service: string): { readonly rates: readonly number[]; readonly errors: readonly number[] }
  /** Services that take memory. */
  size(): number
}

export const tickMs = 2_000
export const ticksKept = 60
const windowTicks = 5
const stored = windowTicks + 1
const buckets = durationBounds.length + 1
/** The buckets, and the number of 5xx behind them. */
const reading = buckets + 1

interface Series {
  readonly slot: ServiceSlot
  readonly rates: Float64Array
  readonly errorRates: Float64Array
  /** The last readings of the counters, `reading` numbers each. */
  readonly readings: Float64Array
  /** Of the last tick; null: nobody has asked. */
  traffic: Traffic | null
}

const quiet: Traffic = { rate: 0, errorShare: null, p50Ms: null, p99Ms: null, last: [0, 0] }

/**
 * @param now a clock in milliseconds that never goes back
 * @param slots what is counted
 * @param knows false: the table has forgotten the service
 */
export function createHistory(
  now: () => number,
  slots: ReadonlyMap<string, ServiceSlot>,
  knows: (service: string) => boolean,
): History {
  const series = new Map<string, Series>()
  // As if nothing had happened for ten seconds before the start.
  const startMs = now()
  const tickTimes = Float64Array.from({ length: stored }, (_, at) => startMs - (windowTicks - at) * tickMs)
  /** Of all services, between two ticks. */
  const requestsOfAll = new Float64Array(windowTicks)
  const errorsOfAll = new Float64Array(windowTicks)
  const counts = new Float64Array(reading)
  let tick = windowTicks

  function seriesOf(name: string, slot: ServiceSlot): Series {
    const known = series.get(name)
    // A service that was forgotten and came back is counted anew.
    if (known?.slot === slot) return known
    const made = {
      slot,
      rates: new Float64Array(ticksKept),
      errorRates: new Float64Array(ticksKept),
      readings: new Float64Array(stored * reading),
      traffic: null,
    }
    series.set(name, made)
    return made
  }

  function write(known: Series, seconds: number): void {
    const { slot, rates, errorRates, readings } = known
    const before = ((tick - 1) % stored) * reading
    const at = (tick % stored) * reading
    let requests = 0
    for (let bucket = 0; bucket < buckets; bucket++) {
      const count = slot.durations[bucket] as number
      requests += count - (readings[before + bucket] as number)
      readings[at + bucket] = count
    }
    const allErrors = serverErrors(slot)
    const errors = allErrors - (readings[before + buckets] as number)
    readings[at + buckets] = allErrors
    rates[tick % ticksKept] = seconds > 0 ? requests / seconds : 0
    errorRates[tick % ticksKept] = seconds > 0 ? errors / seconds : 0
    const atAll = tick % windowTicks
    requestsOfAll[atAll] = (requestsOfAll[atAll] as number) + requests
    errorsOfAll[atAll] = (errorsOfAll[atAll] as number) + errors
    known.traffic = null
  }

  /** What the last reading has more than the one ten seconds before it, into `counts`; the requests of that time. */
  function grown({ readings }: Series): number {
    const newest = (tick % stored) * reading
    const oldest = ((tick - windowTicks) % stored) * reading
    let requests = 0
    for (let at = 0; at < reading; at++) {
      const count = (readings[newest + at] as number) - (readings[oldest + at] as number)
      counts[at] = count
      if (at < buckets) requests += count
    }
    return requests
  }

  function windowSeconds(): number {
    const ms = (tickTimes[tick % stored] as number) - (tickTimes[(tick - windowTicks) % stored] as number)
    return Math.max(0.001, ms / 1_000)
  }

  function trafficOf(known: Series): Traffic {
    const at = tick % ticksKept
    const last = [threeDigits(known.rates[at] as number), threeDigits(known.errorRates[at] as number)] as const
    const requests = grown(known)
    if (requests === 0) return { ...quiet, last }
    return {
      rate: threeDigits(requests / windowSeconds()),
      errorShare: threeDigits((counts[buckets] as number) / requests),
      p50Ms: threeDigits(quantileMs(counts, requests, 0.5)),
      p99Ms: threeDigits(quantileMs(counts, requests, 0.99)),
      last,
    }
  }

  return {
    sample() {
      const before = tickTimes[tick % stored] as number
      tick += 1
      tickTimes[tick % stored] = now()
      requestsOfAll[tick % windowTicks] = 0
      errorsOfAll[tick % windowTicks] = 0
      const seconds = (now() - before) / 1_000
      for (const [name, slot] of slots) {
        if (name === unroutedService || knows(name)) write(seriesOf(name, slot), seconds)
      }
      for (const [name, { slot }] of series) {
        if (slots.get(name) !== slot || !(name === unroutedService || knows(name))) series.delete(name)
      }
    },
    traffic(service) {
      const known = series.get(service)
      if (known === undefined) return quiet
      known.traffic ??= trafficOf(known)
      return known.traffic
    },
    total() {
      const requests = sumOf(requestsOfAll)
      const errorShare = requests === 0 ? null : threeDigits(sumOf(errorsOfAll) / requests)
      return { rate: threeDigits(requests / windowSeconds()), errorShare }
    },
    past(service) {
      const known = series.get(service)
      if (known === undefined) return { rates: [], errors: [] }
      return { rates: inOrder(known.rates, tick), errors: inOrder(known.errorRates, tick) }
    },
    size: () => series.size,
  }
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0)
}

function inOrder(ring: Float64Array, tick: number): readonly number[] {
  if (ring.every((value) => value === 0)) return []
  return Array.from(ring, (_, at) => threeDigits(ring[(tick + 1 + at) % ticksKept] as number))
}

function serverErrors({ requests }: ServiceSlot): number {
  let errors = 0
  for (const [key, count] of requests) if (isServerError(key)) errors += count
  return errors
}

/** Three digits are what anybody reads; more would make every row another one each second. */
export function threeDigits(value: number): number {
  if (value <= 0 || Number.isInteger(value)) return value
  const scale = 10 ** (2 - Math.floor(Math.log10(value)))
  return Math.round(value * scale) / scale
}

/**
 * The estimate that Prometheus makes: as if durations lay evenly within their bucket. Above the last bound there is
 * nothing to go by, so it is that bound.
 * @param counts one for each bound of `durationBounds` and one for what is above the last
 * @param total their sum, above 0
 * @param quantile 0–1
 */
export function quantileMs(counts: ArrayLike<number>, total: number, quantile: number): number {
  const rank = quantile * total
  let below = 0
  let lower = 0
  for (let index = 0; index < durationBounds.length; index++) {
    const bound = durationBounds[index] as number
    const count = counts[index] as number
    if (count > 0 && below + count >= rank) return (lower + ((bound - lower) * (rank - below)) / count) * 1_000
    below += count
    lower = bound
  }
  return (durationBounds.at(-1) as number) * 1_000
}
