/** How are the findings told to a tired person, and to a script? Pure. */

import type { Facts } from './facts.ts'
import { count, type Finding, type FoundInstance } from './finding.ts'

/** What was looked at, for the last line. */
export interface Scope {
  readonly from: string
  readonly services: number
  readonly instances: number
  /** Services that the config leaves out, when all were asked for. */
  readonly excluded: number
}

export function scopeOf({ from, services, excluded, only }: Facts): Scope {
  const instances = services.reduce((sum, service) => sum + service.instances.length, 0)
  return { from, services: services.length, instances, excluded: only === null ? excluded : 0 }
}

const WIDTH = 110
const INDENT = '         '
const MAX_INSTANCES = 12

/** Lines for people, worst first, the last one a summary. What to make of a finding is said once, where it comes first. */
export function textReport(findings: readonly Finding[], scope: Scope): string {
  const lines: string[] = []
  const explained = new Set<string>()
  let heading: string | null = null
  for (const finding of findings) {
    const own = finding.service ?? finding.where
    if (own !== heading) lines.push(...(lines.length === 0 ? [] : ['']), own)
    heading = own
    lines.push(...findingLines(finding))
    const explanation = explanationLines(finding)
    const text = explanation.join('\n')
    lines.push(...(explained.has(text) ? [`${INDENT}(why and what to do: as above)`] : explanation))
    explained.add(text)
  }
  if (lines.length > 0) lines.push('')
  lines.push(summary(findings, scope))
  return `${lines.join('\n')}\n`
}

function findingLines({ kind, severity, where, service, what, instances }: Finding): readonly string[] {
  const place = service === null || where === service ? '' : ` (${where.replace(`${service}, `, '')})`
  const shown = instances.slice(0, MAX_INSTANCES).map(instanceLine)
  const more = instances.length - shown.length
  return [
    ...wrapped(severity === 'error' ? '  ERROR  ' : '  warn   ', `${what}${place} [${kind}]`),
    ...shown.map((line) => `${INDENT}- ${line}`),
    ...(more > 0 ? [`${INDENT}  and ${more} more; --json has all`] : []),
  ]
}

function explanationLines({ why, cure }: Finding): readonly string[] {
  return [...wrapped(`${INDENT}why: `, why), ...wrapped(`${INDENT}do:  `, cure)]
}

function instanceLine({ id, node, place, note }: FoundInstance): string {
  const at = place === '' || place === id ? '' : ` at ${place}`
  const on = node === '' || node === id ? '' : ` on ${node}`
  return `${id}${at}${on}${note === null ? '' : `: ${note}`}`
}

/** Breaks at blanks; what goes on in the next line stands under the text, not under `head`. */
function wrapped(head: string, text: string): readonly string[] {
  const lines: string[] = []
  let line = head
  let isEmpty = true
  for (const word of text.split(' ')) {
    if (!isEmpty && line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = ' '.repeat(head.length)
      isEmpty = true
    }
    line += isEmpty ? word : ` ${word}`
    isEmpty = false
  }
  return [...lines, line]
}

function summary(findings: readonly Finding[], { services, instances, excluded }: Scope): string {
  const leftOut = excluded === 0 ? '' : ` (${count(excluded, 'service')} left out by the config)`
  if (findings.length === 0) {
    return `doctor: nothing wrong found in ${count(services, 'service')}, ${count(instances, 'instance')}${leftOut}`
  }
  const affected = affectedServices(findings)
  const where = affected === 0 ? '' : ` in ${affected} of ${count(Math.max(services, affected), 'service')}`
  return `doctor: ${count(findings.length, 'finding')}${where}${leftOut}`
}

function affectedServices(findings: readonly Finding[]): number {
  return new Set(findings.flatMap(({ service }) => service ?? [])).size
}

/** The same as JSON, whole. */
export function jsonReport(findings: readonly Finding[], { from, services, instances, excluded }: Scope): string {
  const summary = { from, services, instances, excluded, affectedServices: affectedServices(findings) }
  return `${JSON.stringify({ ...summary, findings }, null, 2)}\n`
}
