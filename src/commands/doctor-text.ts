/** How are the doctor's findings told to a tired person, and to a script? Pure. */

import type { Facts, SourceName } from '../doctor/facts.ts'
import { count, type Finding, type FoundInstance, titles } from '../doctor/finding.ts'
import { jsonText, wrapped } from './terminal.ts'

/** What was looked at, for the last line. */
export interface Scope {
  readonly from: string
  readonly services: number
  readonly instances: number
  /** Services that the config leaves out, when all were asked for. */
  readonly excluded: number
  /** The same of each source, in the order of the config; empty: the config could not be read. */
  readonly sources: readonly (Omit<Scope, 'sources'> & { readonly source: SourceName })[]
}

/** Of several sources a service, or an instance of it at one place, that more than one has is counted once. */
export function scopeOf(...all: readonly Facts[]): Scope {
  const sources = all.map(({ source, from, services, excluded, only }) => {
    const instances = services.reduce((sum, service) => sum + service.instances.length, 0)
    return { source, from, services: services.length, instances, excluded: only === null ? excluded : 0 }
  })
  const [first] = sources
  if (first !== undefined && sources.length === 1) {
    const { source: _, ...own } = first
    return { ...own, sources }
  }
  const places = all.flatMap(({ services }) =>
    services.flatMap(({ name, instances }) => instances.map(({ id, place }) => JSON.stringify([name, place || id]))),
  )
  return {
    from: sources.map(({ source, from }) => `${source} (${from})`).join(', '),
    services: new Set(all.flatMap(({ services }) => services.map(({ name }) => name))).size,
    instances: new Set(places).size,
    excluded: sources.reduce((sum, { excluded }) => sum + excluded, 0),
    sources,
  }
}

const INDENT = '         '
const MAX_ITEMS = 12
/** Of each service, where many are listed together. */
const FEW_INSTANCES = 2
/** From so many on. */
const MANY_SERVICES = 4

/**
 * Lines for people, worst first, the last one a summary. What many services have alike is told once for all of them; else
 * what to make of a finding is said where it comes first.
 */
export function textReport(findings: readonly Finding[], scope: Scope): string {
  const { common, single } = sorted(findings)
  const lines: string[] = []
  const explained = new Set<string>()
  let heading: string | null = null
  const add = (own: string, body: readonly string[], finding: Finding): void => {
    if (own !== heading) lines.push(...(lines.length === 0 ? [] : ['']), own)
    heading = own
    const explanation = explanationLines(finding)
    const text = explanation.join('\n')
    lines.push(...body, ...(explained.has(text) ? [`${INDENT}(why and what to do: as above)`] : explanation))
    explained.add(text)
  }
  // Of one source alone nobody asks where it was found.
  const isNamed = scope.sources.length > 1
  const bodyOf = (finding: Finding) => findingLines(finding, isNamed ? (finding.source ?? null) : null)
  for (const finding of single) if (finding.service === null) add(finding.where, bodyOf(finding), finding)
  for (const group of common) if (group[0] !== undefined) add('many services', commonLines(group), group[0])
  for (const finding of single) if (finding.service !== null) add(finding.service, bodyOf(finding), finding)
  if (lines.length > 0) lines.push('')
  lines.push(summary(findings, scope))
  return `${lines.join('\n')}\n`
}

/** Those that are alike in many services, errors first, and the others; both in the order given. */
function sorted(findings: readonly Finding[]) {
  const groups = new Map<string, Finding[]>()
  for (const finding of findings) {
    if (finding.service === null) continue
    const key = JSON.stringify([finding.severity, finding.kind, finding.why, finding.cure])
    groups.set(key, [...(groups.get(key) ?? []), finding])
  }
  const common = [...groups.values()].filter((group) => affectedServices(group) >= MANY_SERVICES)
  const isCommon = new Set(common.flat())
  const errors = common.filter(([first]) => first?.severity === 'error')
  const warnings = common.filter(([first]) => first?.severity === 'warning')
  return { common: [...errors, ...warnings], single: findings.filter((finding) => !isCommon.has(finding)) }
}

function findingLines(finding: Finding, source: SourceName | null): readonly string[] {
  const { kind, severity, where, service, what, instances, details = [] } = finding
  const place = service === null || where === service ? '' : ` (${where.replace(`${service}, `, '')})`
  const words = `${source === null ? '' : `in ${source}: `}${what}${place} [${kind}]`
  return [...wrapped(heads[severity], words), ...listed([...instances.map(instanceLine), ...details].map(cut))]
}

const LONGEST_ITEM = 200

function cut(line: string): string {
  return line.length <= LONGEST_ITEM ? line : `${line.slice(0, LONGEST_ITEM - 1)}…`
}

function commonLines(group: readonly Finding[]): readonly string[] {
  const [{ kind, severity } = { kind: 'config', severity: 'error' } as const] = group
  const items = group.map(({ service, instances }) => {
    const few = instances.slice(0, FEW_INSTANCES).map(instanceLine).join(', ')
    const more = instances.length > FEW_INSTANCES ? ` and ${instances.length - FEW_INSTANCES} more` : ''
    return few === '' ? `${service}` : `${service}: ${few}${more}`
  })
  const what = `${titles[kind]}, in ${count(affectedServices(group), 'service')}`
  return [...wrapped(heads[severity], `${what} [${kind}]`), ...listed(items)]
}

const heads = { error: '  ERROR  ', warning: '  warn   ' } as const

function listed(items: readonly string[]): readonly string[] {
  const more = items.length - MAX_ITEMS
  return [
    ...items.slice(0, MAX_ITEMS).map((line) => `${INDENT}- ${line}`),
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
export function jsonReport(findings: readonly Finding[], scope: Scope): string {
  const summary = { ...scope, affectedServices: affectedServices(findings) }
  return jsonText({ ...summary, findings })
}
