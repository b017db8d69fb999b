/** Which services are worth a watch of their own? Those with the most traffic. Pure. */

import { compareText } from '../untrusted-text.ts'

/** A service has to have so many times the traffic of the one whose watch it takes … */
const CLEARLY_MORE = 2
/** … and so many requests more since the last look: a handful proves nothing. */
const WORTH_A_MOVE = 10

/** One service gives its watch up to another. */
export interface Swap {
  readonly demoted: string
  readonly promoted: string
}

/** How many requests each service has had since the last look. */
export type Traffic = ReadonlyMap<string, number>

/** The names by traffic, most first; those alike by name. */
export function byTraffic(names: Iterable<string>, traffic: Traffic): string[] {
  return [...names].sort((a, b) => (traffic.get(b) ?? 0) - (traffic.get(a) ?? 0) || compareText(a, b))
}

/**
 * Who should give way to whom: the quietest of the watched to the busiest of the others, as long as the difference is
 * clear, so that two services that are much alike do not take turns.
 * @param most how many swaps at most, 0 or more
 */
export function chooseSwaps(
  watched: Iterable<string>,
  swept: Iterable<string>,
  traffic: Traffic,
  most: number,
): readonly Swap[] {
  const quietest = byTraffic(watched, traffic).reverse()
  const busiest = byTraffic(swept, traffic)
  const swaps: Swap[] = []
  for (let at = 0; at < Math.min(most, quietest.length, busiest.length); at += 1) {
    const demoted = quietest[at] as string
    const promoted = busiest[at] as string
    const [less, more] = [traffic.get(demoted) ?? 0, traffic.get(promoted) ?? 0]
    if (more <= less * CLEARLY_MORE || more - less < WORTH_A_MOVE) break
    swaps.push({ demoted, promoted })
  }
  return swaps
}

/**
 * What has come since the last look.
 * @param names the services there are: others are left out
 * @param now counts since some start; one that is lower than before began anew
 * @param before the counts at the last look
 */
export function trafficSince(names: Iterable<string>, now: Traffic, before: Traffic): Map<string, number> {
  const since = new Map<string, number>()
  for (const name of names) {
    const count = now.get(name) ?? 0
    const last = before.get(name) ?? 0
    since.set(name, count >= last ? count - last : count)
  }
  return since
}
