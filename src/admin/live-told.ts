/**
 * What have the open pages been told, and what is different by now? In JSON, made once however many pages there are.
 *
 * Nearly all that moves are the numbers of rows, at each tick: where nothing else of a row is different, only they go out.
 */

import type { ServiceView, TableView } from '../balancer/view.ts'
import type { CatalogStatus } from './catalog.ts'
import type { Row } from './dashboard/messages.ts'
import { type ExplainSources, explainInput, explainService } from './explain.ts'
import type { History } from './live-history.ts'
import { createLabels, type Labels } from './live-labels.ts'
import { cheapFinder, detailOf, isAlike, movedJson, rowOf } from './live-rows.ts'
import type { Readiness } from './readiness.ts'

export interface ToldSources {
  readonly view: () => TableView
  readonly viewService: (service: string) => ServiceView | null
  readonly catalog: () => CatalogStatus
  readonly readiness: () => Readiness
  readonly explaining: ExplainSources
  readonly epochNow: () => number
}

/** JSON each: rows, `Moved`, and the labels of those that are gone. */
export interface Changes {
  readonly rows: readonly string[]
  readonly moved: readonly string[]
  readonly gone: readonly string[]
}

export interface Told {
  readonly labels: Labels
  /** What is different in the whole table. */
  all(): { readonly changes: Changes; readonly services: readonly ServiceView[] }
  /** What is different of these services, as the table names them. */
  of(services: Iterable<string>): Changes
  /** Every row with its past, JSON each. */
  rowsWithPast(): readonly string[]
  /** The endpoints of these services, JSON each by name, where something is different. */
  details(services: Iterable<string>): ReadonlyMap<string, string>
  /** The endpoints of these services as they were last told, JSON each. */
  detailsTold(services: Iterable<string>): readonly string[]
  /** Of others, nobody is told endpoints any more. */
  keepDetails(services: ReadonlySet<string>): void
  /** Nobody looks any more. */
  clear(): void
}

interface Kept {
  row: Row
  moved: string
}

export function createTold(sources: ToldSources, history: History): Told {
  const labels = createLabels()
  const rows = new Map<string, Kept>()
  const details = new Map<string, string>()

  /** Takes services as they are now; null: there is none of that name any more. */
  function collect(views: Iterable<readonly [string, ServiceView | null]>): Changes {
    const find = cheapFinder(sources.catalog())
    const changed: string[] = []
    const numbers: string[] = []
    const gone: string[] = []
    for (const [name, view] of views) {
      const kept = rows.get(name)
      if (view === null) {
        if (kept !== undefined) gone.push(forget(name))
        continue
      }
      const row = rowOf(view, labels.of(name), history.traffic(name), find)
      const moved = movedJson(row)
      if (kept === undefined) {
        rows.set(name, { row, moved })
        changed.push(JSON.stringify(row))
        continue
      }
      if (!isAlike(kept.row, row)) changed.push(JSON.stringify(row))
      else if (kept.moved !== moved) numbers.push(moved)
      kept.row = row
      kept.moved = moved
    }
    return { rows: changed, moved: numbers, gone }
  }

  function forget(name: string): string {
    rows.delete(name)
    details.delete(name)
    return JSON.stringify(labels.drop(name))
  }

  function detailJson(service: ServiceView): string {
    const input = explainInput(service, sources)
    const { epochMs, catalog } = input
    return JSON.stringify(
      detailOf(service, labels.of(service.name), epochMs, explainService(input), cheapFinder(catalog)),
    )
  }

  return {
    labels,
    all() {
      const { services } = sources.view()
      const changes = collect(services.map((service) => [service.name, service]))
      if (rows.size === services.length) return { changes, services }
      const names = new Set(services.map(({ name }) => name))
      const gone = [...rows.keys()].filter((name) => !names.has(name)).map(forget)
      return { changes: { ...changes, gone: [...changes.gone, ...gone] }, services }
    },
    of: (services) => collect(Array.from(services, (name) => [name, sources.viewService(name)])),
    rowsWithPast: () =>
      Array.from(rows, ([name, { row }]) => {
        const { rates, errors } = history.past(name)
        return JSON.stringify({ ...row, past: rates, pastErrors: errors })
      }),
    details(services) {
      const changed = new Map<string, string>()
      for (const name of services) {
        const view = sources.viewService(name)
        if (view === null) continue
        const json = detailJson(view)
        if (details.get(name) !== json) changed.set(name, json)
        details.set(name, json)
      }
      return changed
    },
    detailsTold: (services) => [...services].flatMap((name) => details.get(name) ?? []),
    keepDetails(services) {
      for (const name of details.keys()) if (!services.has(name)) details.delete(name)
    },
    clear() {
      for (const kept of [rows, details, labels]) kept.clear()
    },
  }
}
