/** What have requests and people shown of an endpoint? The causes of their side, in order. */

import type { OutlierOptions } from '../balancer/outlier-options.ts'
import type { DrainView, EjectionView, EndpointView, FaultView } from '../balancer/view.ts'
import type { Cause, CauseContext, EjectionDetail, FaultDetail } from './cause.ts'
import { durationText, isoTime, outcomeText, percentText, ruleText } from './words.ts'

/** Ejection, what withheld one, faults, panic, drain, slow start, weight; and an ejection that is over. */
export function healthCauses(view: EndpointView, given: CauseContext): Cause[] {
  const { state, lastEjection, lastWithheld, drained, warmth, endpoint, consecutiveFaults, reason } = view
  const { outlier, panic, epochMs } = given
  const isOut = reason !== null && lastWithheld === null
  const causes: Cause[] = []
  if (lastEjection !== null && isOut) causes.push(ejectionCause(view, lastEjection, given))
  if (lastWithheld !== null) {
    const { due, reason: why, agoMs, pool } = lastWithheld
    const text = `its ejection has been due for ${durationText(agoMs)}, because ${ruleText(due, outlier, due === 'consecutive-connect-faults' ? view.consecutiveConnectFaults : consecutiveFaults)}, and is withheld: ${withheldText(lastWithheld, outlier)}`
    const faults = faultDetails(view.faults, epochMs)
    const { size: poolSize, ejected, failing } = pool
    causes.push({
      kind: 'withheld',
      due,
      reason: why,
      agoMs: Math.round(agoMs),
      poolSize,
      ejected,
      failing,
      faults,
      text,
    })
  } else if (!isOut && consecutiveFaults > 0) {
    causes.push(failingCause(view, given))
  }
  if (panic !== null && isOut && drained === null) {
    const last = panic.agoMs === null ? '' : `, the last one ${durationText(panic.agoMs)} ago`
    const text = `all endpoints that may be tried are ejected, so requests go to them all the same: ${panic.picks} so far${last}`
    causes.push({ kind: 'panic', ...panic, text })
  }
  if (drained !== null) causes.push(drainCause(drained, epochMs))
  if (warmth < 1) {
    const until =
      given.slowStartMs === null ? '' : `, and grows to the full one over ${durationText(given.slowStartMs)}`
    const text = `it joined of late: its share is ${percentText(warmth)} of the full one${until} (balancing.slowStart)`
    causes.push({ kind: 'slow-start', warmth, text })
  }
  if (given.areWeighted) {
    const { weight } = endpoint
    causes.push({ kind: 'weight', weight, text: `its weight is ${weight}` })
  }
  if (lastEjection !== null && !isOut && state !== 'ejected') {
    const { agoMs, forMs } = lastEjection
    const text = `it was ejected ${durationText(agoMs)} ago for ${durationText(forMs)}, because ${tripText(lastEjection, outlier)}; that is over`
    causes.push({ kind: 'was-ejected', ...ejectionDetail(view, lastEjection, epochMs), text })
  }
  return causes
}

export function drainCause({ by, agoMs }: DrainView, epochMs: number): Cause {
  const text = `drained by ${by} ${durationText(agoMs)} ago, until somebody undrains it`
  return { kind: 'drain', by, agoMs: Math.round(agoMs), at: isoTime(epochMs - agoMs), text }
}

function ejectionCause(view: EndpointView, ejection: EjectionView, { outlier, epochMs }: CauseContext): Cause {
  const { agoMs, forMs } = ejection
  const again = ejection.reason === 'probe-failed' ? ' again' : ''
  const next =
    view.ejectedForMs === null
      ? 'its probe request is on its way'
      : view.ejectedForMs > 0
        ? `one probe request may go in ${durationText(view.ejectedForMs)}`
        : 'the next request to it is its probe'
  const text = `ejected${again} ${durationText(agoMs)} ago for ${durationText(forMs)}, because ${tripText(ejection, outlier)}; ${next}`
  return { kind: 'ejection', ...ejectionDetail(view, ejection, epochMs), text }
}

/** Why an ejection happened; without its faults, how many there were is what the rule asks for. */
export function tripText(
  { reason, by, faults }: Pick<EjectionView, 'reason' | 'by'> & Partial<Pick<EjectionView, 'faults'>>,
  outlier: OutlierOptions,
): string {
  return reason === 'by-hand' ? `${by ?? 'somebody'} said so` : ruleText(reason, outlier, faults?.length ?? 0)
}

function ejectionDetail(view: EndpointView, ejection: EjectionView, epochMs: number): EjectionDetail {
  const { reason, by, agoMs, forMs, faults } = ejection
  return {
    rule: reason,
    by,
    agoMs: Math.round(agoMs),
    at: isoTime(epochMs - agoMs),
    forMs,
    until: isoTime(epochMs - agoMs + forMs),
    nextProbeInMs: view.ejectedForMs === null ? null : Math.round(view.ejectedForMs),
    inRow: view.consecutiveFaults,
    ejections: view.ejections,
    faults: faultDetails(faults, epochMs),
  }
}

function failingCause(view: EndpointView, { outlier, epochMs }: CauseContext): Cause {
  const { consecutiveFaults: inRow, consecutiveConnectFaults: connectsInRow } = view
  const what = inRow === 1 ? 'its last request failed' : `its last ${inRow} requests failed`
  const connects = connectsInRow > 0 ? `, and ${outlier.consecutiveConnectFaults} failed connects` : ''
  const text = `${what}; ${outlier.consecutiveFaults} in a row eject it${connects}`
  return { kind: 'failing', inRow, connectsInRow, faults: faultDetails(view.faults.slice(-inRow), epochMs), text }
}

function withheldText({ reason, pool }: NonNullable<EndpointView['lastWithheld']>, outlier: OutlierOptions): string {
  switch (reason) {
    case 'cap':
      return pool.size < 2
        ? 'nobody else is left to take its requests, and a lone endpoint is never ejected'
        : `${pool.ejected} of ${pool.size} are ejected already, and ${percentText(outlier.maxEjectedShare)} in whole endpoints is the most (outlier.maxEjectedShare)`
    case 'correlated':
      return `${pool.failing} of ${pool.size} endpoints fail together, so it is the request, or something that all of them need`
    case 'shadow':
      return 'nobody is ejected while outlier.enforce is false'
    default:
      return reason satisfies never
  }
}

function faultDetails(faults: readonly FaultView[], epochMs: number): readonly FaultDetail[] {
  return faults.map(({ agoMs, outcome, request }) => ({
    agoMs: Math.round(agoMs),
    at: isoTime(epochMs - agoMs),
    outcome: outcomeText(outcome),
    kind: outcome.kind,
    status: outcome.kind === 'responded' ? outcome.status : null,
    request,
  }))
}
