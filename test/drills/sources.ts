/**
 * How does each source of endpoints keep up with its registry? The same three drills over every one of them, against its
 * real server: changes, thirty seconds without the server, and very many services. Prints a table for each, whose rows
 * come as they are measured.
 *
 * Changes take the longest where they are polled for: of Eureka, five minutes; of the others, one at most. An outage is a
 * minute each, many services half a minute, and Eureka's server takes a quarter of a minute to start.
 */

import { registries } from '../support/registries/all.ts'
import type { RegistryKind } from '../support/registries/registry.ts'
import { collectFindings, type Findings } from './findings.ts'
import { type Scope, scoped } from './scope.ts'
import { type ChangesSize, changesHead, changesRow, complaintsOfChanges, sourceChanges } from './source-changes.ts'
import { rowInside } from './source-inside.ts'
import { complaintsOfOutage, type OutageSize, outageHead, outageRow, sourceOutage } from './source-outage.ts'
import { complaintsOfSize, type ManySize, sizeHead, sizeRow, sourceSize } from './source-size.ts'

export interface SourcesSize {
  readonly changes: ChangesSize
  readonly outage: OutageSize
  readonly size: ManySize
}

export const sourcesQuick: SourcesSize = {
  changes: { changes: 3, perSecond: 400 },
  outage: { awaySeconds: 3, perSecond: 200 },
  size: { services: 50, idleSeconds: 3 },
}
export const sourcesFull: SourcesSize = {
  changes: { changes: 20, perSecond: 400 },
  outage: { awaySeconds: 30, perSecond: 200 },
  size: { services: 500, idleSeconds: 20 },
}

export const registryNames: readonly string[] = registries.map(({ name }) => name)
export const sourceParts = ['changes', 'outage', 'size'] as const
export type SourcePart = (typeof sourceParts)[number]

export interface SourcesOptions {
  readonly size: SourcesSize
  /** Of `registryNames`; empty: all. */
  readonly registries: readonly string[]
  /** Empty: all. */
  readonly parts: readonly SourcePart[]
}

/** One row of a part's table, and what is wrong with it. */
export interface Row {
  readonly text: string
  readonly complaints: readonly string[]
}

interface Part {
  readonly title: string
  readonly head: readonly string[]
  row(scope: Scope, kind: RegistryKind, size: SourcesSize): Promise<Row>
}

const parts: Readonly<Record<SourcePart, Part>> = {
  changes: {
    title: 'an instance is registered, and deregistered',
    head: changesHead,
    row: async (scope, kind, size) => {
      const report = await sourceChanges(scope, kind, size.changes)
      return { text: changesRow(kind, report), complaints: complaintsOfChanges(report) }
    },
  },
  outage: {
    title: 'the registry is killed, and started again',
    head: outageHead,
    row: async (scope, kind, size) => {
      const report = await sourceOutage(scope, kind, size.outage)
      return { text: outageRow(kind, report), complaints: complaintsOfOutage(report) }
    },
  },
  size: {
    title: 'very many services',
    head: sizeHead,
    row: async (scope, kind, size) => {
      const report = await sourceSize(scope, kind, size.size)
      return { text: sizeRow(kind, report), complaints: complaintsOfSize(report) }
    },
  },
}

/** Measures a row here. */
export function measureRow(scope: Scope, kind: RegistryKind, part: SourcePart, size: SourcesSize): Promise<Row> {
  return parts[part].row(scope, kind, size)
}

export async function sources(options: SourcesOptions, print: (line: string) => void): Promise<Findings> {
  const findings = collectFindings()
  const kinds = registries.filter(({ name }) => options.registries.length === 0 || options.registries.includes(name))
  const lacking = new Map<string, string>()
  for (const { name, lacks } of kinds) {
    const why = await lacks()
    if (why === null) continue
    lacking.set(name, why)
    findings.figure(name, `skipped: ${why}`)
  }
  for (const name of options.parts.length === 0 ? sourceParts : options.parts) {
    const { title, head } = parts[name]
    print(`\n${title} (\`--part ${name}\`)\n`)
    for (const line of head) print(line)
    for (const kind of kinds.filter((each) => !lacking.has(each.name))) {
      if (name === 'outage' && kind.cannotDie !== undefined) {
        findings.figure(`${kind.name}, ${name}`, `left out: ${kind.cannotDie}`)
        continue
      }
      try {
        const measure = kind.isContained === true ? rowInside : measureRow
        const { text, complaints } = await scoped((scope) => measure(scope, kind, name, options.size))
        print(text)
        findings.promise(`${kind.name}, ${name}`, complaints.length === 0, complaints.join('; '))
      } catch (error) {
        findings.promise(`${kind.name}, ${name}`, false, error instanceof Error ? error.message : String(error))
      }
    }
  }
  print('')
  return findings.done()
}
