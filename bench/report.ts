/** What does a table of all samples look like? Medians with their range, ratios to the baseline. Pure. */

import type { Sample } from './play.ts'
import { type Range, rangeOf, ratiosByRound } from './statistics.ts'

export interface Row {
  readonly scenario: string
  readonly target: string
  readonly rounds: number
  readonly requestsPerSecond: Range | null
  readonly mibPerSecond: Range | null
  readonly cpuUsPerRequest: Range | null
  /** CPU per request over the baseline's in the same round. */
  readonly cpuRatio: Range | null
  readonly p50Ms: Range | null
  readonly p95Ms: Range | null
  readonly p99Ms: Range | null
  /** p99 less that of `direct` in the same round; paced scenarios only: at full load it says nothing. */
  readonly p99AddedMs: Range | null
  /** The worst round's; null for `direct`, which has one instance. */
  readonly spread: number | null
  readonly rssMiB: Range | null
  /** The most by which memory rose, in all rounds, above where it stood before the first; only where it was watched. */
  readonly rssRiseMiB: number | null
  readonly targetBusy: Range | null
  readonly loadBusy: Range | null
  readonly originBusy: Range | null
}

/** One row for each target of each scenario, in the order of the samples. */
export function rowsOf(samples: readonly Sample[], baseline: string): readonly Row[] {
  const rows: Row[] = []
  for (const [scenario, ofScenario] of grouped(samples, ({ scenario }) => scenario)) {
    const byTarget = grouped(ofScenario, ({ target }) => target)
    const base = byRound(byTarget.get(baseline) ?? [], ({ cpuUsPerRequest }) => cpuUsPerRequest)
    const directP99 = byRound(byTarget.get('direct') ?? [], ({ latencyMs }) => latencyMs.p99)
    for (const [target, runs] of byTarget) {
      const range = (figure: (sample: Sample) => number | null) => rangeOf([...byRound(runs, figure).values()])
      rows.push({
        scenario,
        target,
        rounds: runs.length,
        requestsPerSecond: range(({ completed, seconds }) => completed / seconds),
        mibPerSecond: range(({ bodyBytes, seconds }) => (bodyBytes === 0 ? null : bodyBytes / 2 ** 20 / seconds)),
        cpuUsPerRequest: range(({ cpuUsPerRequest }) => cpuUsPerRequest),
        cpuRatio: rangeOf(
          ratiosByRound(
            byRound(runs, ({ cpuUsPerRequest }) => cpuUsPerRequest),
            base,
          ),
        ),
        p50Ms: range(({ latencyMs }) => latencyMs.p50),
        p95Ms: range(({ latencyMs }) => latencyMs.p95),
        p99Ms: range(({ latencyMs }) => latencyMs.p99),
        p99AddedMs:
          target === 'direct'
            ? null
            : range(({ latestStartMs, latencyMs, round }) => {
                const less = directP99.get(round)
                return latestStartMs === null || less === undefined ? null : latencyMs.p99 - less
              }),
        spread: target === 'direct' ? null : Math.max(...runs.map(({ spread }) => spread)),
        rssMiB: range(({ rssMiB }) => rssMiB),
        rssRiseMiB: riseOf(runs),
        targetBusy: range(({ busy }) => busy.target),
        loadBusy: range(({ busy }) => busy.load),
        originBusy: range(({ busy }) => busy.origin),
      })
    }
  }
  return rows
}

interface Column {
  readonly title: string
  readonly cell: (row: Row) => string
}

/** The table as text. A column that no row fills is left out. */
export function tableOf(rows: readonly Row[], baseline: string): string {
  const columns: readonly Column[] = [
    { title: 'req/s', cell: (row) => withRange(row.requestsPerSecond, 0) },
    { title: 'MiB/s', cell: (row) => withRange(row.mibPerSecond, 0) },
    { title: 'CPU µs/req', cell: (row) => withRange(row.cpuUsPerRequest, 0) },
    { title: `÷ ${baseline}`, cell: (row) => withRange(row.cpuRatio, 2) },
    { title: 'p50 ms', cell: (row) => median(row.p50Ms, 2) },
    { title: 'p95 ms', cell: (row) => median(row.p95Ms, 2) },
    { title: 'p99 ms', cell: (row) => withRange(row.p99Ms, 1) },
    { title: 'p99 added', cell: (row) => withRange(row.p99AddedMs, 1) },
    { title: 'spread', cell: (row) => (row.spread === null ? '' : String(row.spread)) },
    { title: 'RSS MiB', cell: (row) => withRange(row.rssMiB, 0) },
    { title: 'RSS rise', cell: (row) => (row.rssRiseMiB === null ? '' : row.rssRiseMiB.toFixed(0)) },
    { title: 'busy % p/l/o', cell: busy },
  ]
  const shown = columns.filter(({ cell }) => rows.some((row) => cell(row) !== ''))
  const lines: string[][] = [['', ...shown.map(({ title }) => title)]]
  let scenario = ''
  for (const row of rows) {
    if (row.scenario !== scenario) {
      scenario = row.scenario
      lines.push([`${scenario}`])
    }
    lines.push([`  ${row.target}`, ...shown.map(({ cell }) => cell(row) || '–')])
  }
  return aligned(lines)
}

/** Lines of cells as columns, the first to the left and all others to the right; a line of one cell is a heading. */
export function aligned(lines: readonly (readonly string[])[]): string {
  const columns = Math.max(...lines.map((line) => line.length)) - 1
  const widths = Array.from({ length: columns }, (_, index) =>
    Math.max(...lines.map((line) => line[index + 1]?.length ?? 0)),
  )
  const nameWidth = Math.max(...lines.map((line) => (line.length > 1 ? (line[0]?.length ?? 0) : 0)))
  return lines
    .map(([name = '', ...cells]) =>
      [name.padEnd(nameWidth), ...cells.map((cell, index) => cell.padStart(widths[index] ?? 0))].join('  ').trimEnd(),
    )
    .join('\n')
}

/** Over all runs of one target; null where memory was not watched. */
export function riseOf(runs: readonly Sample[]): number | null {
  const first = [...runs].sort((a, b) => a.round - b.round)[0]?.rssBeforeMiB ?? null
  const peaks = runs.flatMap(({ rssBeforeMiB, rssRiseMiB }) =>
    rssBeforeMiB === null || rssRiseMiB === null ? [] : [rssBeforeMiB + rssRiseMiB],
  )
  return first === null || peaks.length === 0 ? null : Math.max(...peaks) - first
}

export function withRange(range: Range | null, digits: number): string {
  if (range === null) return ''
  const [middle, min, max] = [range.median, range.min, range.max].map((value) => value.toFixed(digits))
  return min === max ? `${middle}` : `${middle} [${min}–${max}]`
}

function median(range: Range | null, digits: number): string {
  return range === null ? '' : range.median.toFixed(digits)
}

function busy({ targetBusy, loadBusy, originBusy }: Row): string {
  const parts = [targetBusy, loadBusy, originBusy].map((range) =>
    range === null ? '–' : (range.median * 100).toFixed(0),
  )
  return parts.every((part) => part === '–') ? '' : parts.join('/')
}

export function grouped<T>(items: readonly T[], key: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(key(item))
    if (group === undefined) groups.set(key(item), [item])
    else group.push(item)
  }
  return groups
}

export function byRound(
  samples: readonly Sample[],
  figure: (sample: Sample) => number | null,
): ReadonlyMap<number, number> {
  const figures = new Map<number, number>()
  for (const sample of samples) {
    const value = figure(sample)
    if (value !== null) figures.set(sample.round, value)
  }
  return figures
}
