/** How are outcomes, rules and times said to a person? Clauses without a capital or a full stop, for others to join. */

import type { EjectionReason } from '../balancer/observer.ts'
import type { Outcome } from '../balancer/outcome.ts'
import type { OutlierOptions } from '../balancer/outlier-options.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** A length of time as a person would say it; negative ones are none at all. */
export function durationText(ms: number): string {
  const length = Math.max(0, ms)
  if (length < 10_000) return `${(length / 1000).toFixed(1)} s`
  if (length < 2 * minuteMs) return `${Math.round(length / 1000)} s`
  if (length < 2 * hourMs) return `${Math.round(length / minuteMs)} min`
  return length < 2 * dayMs ? `${(length / hourMs).toFixed(1)} h` : `${(length / dayMs).toFixed(1)} d`
}

/** @param epochMs milliseconds since 1970 */
export function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString()
}

/** A share (0–1) in percent, with a digit behind the point where it needs one. */
export function percentText(share: number): string {
  return `${Number((share * 100).toFixed(1))}%`
}

/** How one attempt ended. */
export function outcomeText(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'responded':
      return `answered ${outcome.status}`
    case 'connect-failed':
      return `no connection: ${codeText(outcome.code)}`
    case 'timed-out':
      return stalls[outcome.phase]
    case 'broke-off':
      return `${outcome.afterHeaders ? 'broke off in its answer' : 'broke off before it answered'}: ${codeText(outcome.code)}`
    case 'bad-response':
      return `its answer is no valid HTTP: ${outcome.detail}`
    case 'client-left':
      return 'the client left'
    case 'bad-request':
      return `the client's request was bad: ${outcome.detail}`
    default:
      return outcome satisfies never
  }
}

const stalls = {
  connect: 'no connection: it did not accept one in time',
  response: 'it did not begin to answer in time',
  idle: 'it stalled in the middle of a body',
} as const

const codes: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'closed',
  ETIMEDOUT: 'nothing came back in time',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name could not be looked up',
}

function codeText(code: string): string {
  const words = codes[code]
  return words === undefined ? code : `${words} (${code})`
}

/** So many faults of an endpoint are remembered: of a longer run there may have been more. */
const rememberedFaults = 10

/** How long a run of faults was that tripped a rule, which may have been set to another number since. */
function runText(known: number, threshold: number): string {
  return `${known > 0 && known < rememberedFaults ? known : Math.max(known, threshold)}`
}

/**
 * Which rule this is, with what tripped it.
 * @param inRow how many requests, or connects, in a row failed, as far as is known; 0: it is not
 */
export function ruleText(rule: EjectionReason, options: OutlierOptions, inRow: number): string {
  const { consecutiveFaults, consecutiveConnectFaults, faultRate } = options
  switch (rule) {
    case 'consecutive-faults':
      return `${runText(inRow, consecutiveFaults)} requests in a row failed (outlier.consecutiveFaults)`
    case 'consecutive-connect-faults':
      return `${runText(inRow, consecutiveConnectFaults)} connects in a row failed (outlier.consecutiveConnectFaults)`
    case 'fault-rate':
      return faultRate === null
        ? 'too large a share of its requests failed (outlier.faultRate)'
        : `at least ${percentText(faultRate.threshold)} of ${faultRate.minRequests} or more requests in ${durationText(faultRate.windowMs)} failed (outlier.faultRate)`
    case 'probe-failed':
      return 'its probe request failed'
    case 'by-hand':
      return 'somebody said so'
    default:
      return rule satisfies never
  }
}

/** `1 is ejected`, `2 are ejected`: a count of what a verb is said of. */
export function countText(count: number, [one, many]: readonly [one: string, many: string]): string {
  return `${count} ${count === 1 ? one : many}`
}

/** `ejected for consecutive-faults`: in short, with the rule's name in metrics and logs. */
export function ejectedText(reason: EjectionReason | null): string {
  return reason === 'by-hand' ? 'ejected by hand' : `ejected for ${reason ?? 'a reason unknown'}`
}
