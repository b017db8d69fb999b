/** What does the catalog say of an instance, and what does admission make of that? The causes of its side, in order. */

import type { AbsentInstance } from '../balancer/endpoint.ts'
import type { CheckFacts } from '../discovery/facts.ts'
import type { Cause, CauseContext, CheckDetail, InstanceRecord } from './cause.ts'
import { durationText, isoTime } from './words.ts'

/** Checks, maintenance, tag and address first; then what the catalog says besides; then admission. */
export function catalogCauses(
  { endpoint, absent, facts, suspect, sameAddress, isPlaceInRotation }: InstanceRecord,
  given: CauseContext,
): Cause[] {
  const checks = (facts?.checks ?? []).filter(({ status }) => status !== 'passing')
  // Elsewhere such a check only changes the weight.
  const keepsOut = absent?.reason.endsWith(' warning') === true
  const causes = checks.map((check) => checkCause(check, facts?.node ?? '', keepsOut, given))
  if (facts !== null && facts.lacksTag !== null) {
    const text = `it lacks the tag "${facts.lacksTag}", which discovery.consul.tag asks for`
    causes.push({ kind: 'tag', tag: facts.lacksTag, text })
  }
  if (sameAddress.length > 0) {
    const isOut = absent !== null && kindOfReason(absent.reason) !== 'shared-address'
    const standsFor = endpoint !== null ? 'holder' : isOut && isPlaceInRotation ? 'out' : 'other'
    causes.push(sameAddressCause(sameAddress, whatItIs[standsFor]))
  }
  if (absent !== null && !isTold(absent, causes)) causes.push({ kind: 'catalog', text: reasonText(absent.reason) })
  if (endpoint === null && absent === null && causes.length === 0) {
    const where = facts?.datacenter
    const text = where === undefined ? 'the table does not have it yet' : `datacenter "${where}" is not asked now`
    causes.push({ kind: 'catalog', text })
  }
  if (suspect !== null) causes.push({ kind: 'admission', ...suspect, text: `it is ${suspect.why}` })
  return causes
}

/** True when the catalog's own clause says no more than these causes do. */
function isTold({ reason }: AbsentInstance, causes: readonly Cause[]): boolean {
  const kind = kindOfReason(reason)
  return causes.some((cause) => cause.kind === kind)
}

/** The catalog's clause stands behind an instance's name; a sentence wants its subject. */
function reasonText(reason: string): string {
  if (/^(has|lacks|stands) /.test(reason)) return `it ${reason}`
  return reason.startsWith('in maintenance') ? `it is ${reason}` : reason
}

/** Which kind of cause the catalog's clause on an absent instance speaks of. */
export function kindOfReason(reason: string): 'check' | 'maintenance' | 'tag' | 'shared-address' | 'catalog' {
  const own = reason.replace(/^in datacenter "[^"]*": /, '')
  // With something behind it, it is a weight of 0 that decides.
  if (/^check ".*" (is|and \d+ more are) (critical|warning)$/.test(own)) return 'check'
  if (own === 'in maintenance mode' || own === 'its node is in maintenance mode') return 'maintenance'
  if (own.startsWith('lacks the tag ')) return 'tag'
  return own.startsWith('same address and port as ') ? 'shared-address' : 'catalog'
}

function checkCause(check: CheckFacts, node: string, warningKeepsOut: boolean, given: CauseContext): Cause {
  const { name, status, output, ofNode, orLonger } = check
  const { agoMs, at } = checkDetail(check, given)
  const since = `for ${orLonger ? 'at least ' : ''}${durationText(agoMs)}`
  const said = output === '' ? '' : `: ${output}`
  if (status === 'node-maintenance' || status === 'service-maintenance') {
    const who = status === 'node-maintenance' ? `its node ${node} is` : 'it is'
    const of = status === 'node-maintenance' ? 'node' : 'service'
    return {
      kind: 'maintenance',
      of,
      reason: output,
      agoMs,
      at,
      orLonger,
      text: `${who} in maintenance mode ${since}${said}`,
    }
  }
  const rule = status === 'warning' && warningKeepsOut ? ', and discovery.consul.includeWarning is false' : ''
  const text = `check "${name}"${ofNode ? ` of its node ${node}` : ''} is ${status} ${since}${rule}${said}`
  return { kind: 'check', ...checkDetail(check, given), text }
}

export function checkDetail(
  check: CheckFacts,
  { nowMs, epochMs }: Pick<CauseContext, 'nowMs' | 'epochMs'>,
): CheckDetail {
  const { id, name, status, output, ofNode, sinceMs, orLonger } = check
  const agoMs = Math.round(nowMs - sinceMs)
  return { check: name, id, status, output, ofNode, agoMs, at: isoTime(epochMs - agoMs), orLonger }
}

/** What follows from sharing an address, for who stands for it, for who is out while another one is not, and for the rest. */
const whatItIs = {
  holder: 'this one stands for all of them',
  out: 'requests go there all the same',
  other: 'they are one endpoint, counted once',
} as const

function sameAddressCause(others: readonly string[], meaning: string): Cause {
  const named = others.slice(0, 3).map((other) => `"${other}"`)
  const more = others.length > 3 ? ' and others' : ''
  const text = `${named.join(', ')}${more} ${others.length === 1 ? 'has' : 'have'} the same address and port: ${meaning}`
  return { kind: 'shared-address', others, text }
}
