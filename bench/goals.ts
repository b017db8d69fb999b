/**
 * What was the wire engine built to reach, and does it?
 *
 * Ratios and differences of one round each, judged by their median. A goal that is missed is told, and is no failure: what
 * a busy machine measures is not a test. A goal whose peers were not measured is left out. Pure.
 */

import type { ScenarioName } from './options.ts'
import type { Sample } from './play.ts'
import { aligned, byRound, grouped, riseOf, withRange } from './report.ts'
import { type Range, rangeOf, ratiosByRound } from './statistics.ts'
import { evenkeel, manyServices, type PeerName, peer } from './targets.ts'

export interface Goal {
  readonly what: string
  readonly asked: string
  readonly figure: Range
  readonly digits: number
  readonly rounds: number
  readonly kept: boolean
}

/** Fewer rounds than this have no median worth the name. */
export const roundsAsked = 5

/** A megabyte; memory is measured in mebibytes. */
const mbPerMiB = 2 ** 20 / 1e6
const rssGrowthLimitMb = 32
const p99AddedLimitMs = 2
const leastThroughput = 0.5
/** Less than this cannot be told from nothing. */
const noticeable = 0.05

interface CostGoal {
  readonly keepAlive: boolean
  readonly peer: PeerName
  readonly peerKeepAlive: boolean
  readonly atMost: number
}

const costGoals: readonly CostGoal[] = [
  { keepAlive: false, peer: 'http-proxy', peerKeepAlive: false, atMost: 0.5 },
  { keepAlive: false, peer: 'caddy', peerKeepAlive: false, atMost: 0.65 },
  { keepAlive: false, peer: 'nginx', peerKeepAlive: false, atMost: 2.7 },
  { keepAlive: true, peer: 'http-proxy', peerKeepAlive: false, atMost: 0.18 },
  { keepAlive: true, peer: 'nginx', peerKeepAlive: false, atMost: 1 },
  { keepAlive: true, peer: 'nginx', peerKeepAlive: true, atMost: 2.5 },
]

/**
 * Every goal that these samples can tell of; none when the wire engine is not among the engines.
 * @param engines those that were measured: targets are named after them
 */
export function goalsOf(samples: readonly Sample[], engines: readonly string[]): readonly Goal[] {
  if (!engines.includes('wire')) return []
  return [
    ...costs(samples, engines),
    ...engines.flatMap((engine) => tables(samples, engine, engines)),
    ...engines.flatMap((engine) =>
      [false, true].flatMap((keepAlive) => latencies(samples, engine, engines, keepAlive)),
    ),
    ...[false, true].flatMap((keepAlive) => throughputs(samples, engines, keepAlive)),
    ...engines.flatMap((engine) => [false, true].flatMap((keepAlive) => growths(samples, engine, engines, keepAlive))),
  ]
}

/** As text, with a word on what it is not. */
export function goalTable(goals: readonly Goal[]): string {
  const lines = goals.map(({ what, asked, figure, digits, rounds, kept }) => [
    `  ${what}`,
    asked,
    withRange(figure, digits),
    String(rounds),
    kept ? 'kept' : 'MISSED',
  ])
  const table = aligned([['goals', 'asked', 'median [range]', 'rounds', ''], ...lines])
  const tooFew = goals.some(({ rounds }) => rounds < roundsAsked)
  return tooFew ? `${table}\n  fewer than ${roundsAsked} rounds: rough` : table
}

function costs(samples: readonly Sample[], engines: readonly string[]): readonly Goal[] {
  return costGoals.flatMap((goal) => {
    const own = evenkeel('wire', engines, goal.keepAlive).name
    const other = peer(goal.peer, goal.peerKeepAlive).name
    return ratio(samples, 'max', { own, other, figure: costOf, what: `CPU per request, ${own} ÷ ${other}` }).map(
      (found) => judged(found, `≤ ${goal.atMost.toFixed(2)}`, 3, (median) => median <= goal.atMost),
    )
  })
}

function tables(samples: readonly Sample[], engine: string, engines: readonly string[]): readonly Goal[] {
  const own = evenkeel(engine, engines, false, { services: manyServices }).name
  const other = evenkeel(engine, engines, false).name
  const limit = 1 + noticeable
  return ratio(samples, 'services', { own, other, figure: costOf, what: `CPU per request, ${own} ÷ 1` }).map((found) =>
    judged(found, `≤ ${limit.toFixed(2)}`, 3, (median) => median <= limit),
  )
}

function throughputs(samples: readonly Sample[], engines: readonly string[], keepAlive: boolean): readonly Goal[] {
  const own = evenkeel('wire', engines, keepAlive).name
  const other = peer('nginx', keepAlive).name
  const figure = ({ bodyBytes, seconds }: Sample) => (bodyBytes === 0 ? null : bodyBytes / seconds)
  return ratio(samples, 'bodies', { own, other, figure, what: `throughput, ${own} ÷ ${other}` }).map((found) =>
    judged(found, `≥ ${leastThroughput.toFixed(2)}`, 2, (median) => median >= leastThroughput),
  )
}

function latencies(
  samples: readonly Sample[],
  engine: string,
  engines: readonly string[],
  keepAlive: boolean,
): readonly Goal[] {
  const own = evenkeel(engine, engines, keepAlive).name
  return scenariosOf(samples, 'rate').flatMap(([scenario, all]) => {
    const direct = byRound(
      all.filter(({ target }) => target === 'direct'),
      ({ latencyMs }) => latencyMs.p99,
    )
    const added = all.flatMap(({ target, round, latencyMs }) => {
      const less = direct.get(round)
      return target !== own || less === undefined ? [] : [latencyMs.p99 - less]
    })
    return found(`p99 added to direct, ms, ${own}: ${scenario}`, added).map((each) =>
      judged(each, `< ${p99AddedLimitMs}`, 2, (median) => median < p99AddedLimitMs),
    )
  })
}

/** One figure over all rounds: the most that memory ever stood above where it began. */
function growths(
  samples: readonly Sample[],
  engine: string,
  engines: readonly string[],
  keepAlive: boolean,
): readonly Goal[] {
  const own = evenkeel(engine, engines, keepAlive).name
  return scenariosOf(samples, 'bodies').flatMap(([scenario, all]) => {
    const runs = all.filter(({ target }) => target === own)
    const rise = riseOf(runs)
    const figure = rangeOf(rise === null ? [] : [rise * mbPerMiB])
    if (figure === null) return []
    const each: Found = { what: `RSS growth, MB, ${own}: ${scenario}`, figure, rounds: runs.length }
    return [judged(each, `< ${rssGrowthLimitMb}`, 0, (median) => median < rssGrowthLimitMb)]
  })
}

interface Found {
  readonly what: string
  readonly figure: Range
  readonly rounds: number
}

interface Ratio {
  readonly own: string
  readonly other: string
  readonly figure: (sample: Sample) => number | null
  readonly what: string
}

/** Round by round; one for each size in which the question was played. */
function ratio(samples: readonly Sample[], asks: ScenarioName, { own, other, figure, what }: Ratio): readonly Found[] {
  const sizes = scenariosOf(samples, asks)
  return sizes.flatMap(([scenario, all]) => {
    const of = (name: string) =>
      byRound(
        all.filter(({ target }) => target === name),
        figure,
      )
    return found(sizes.length > 1 ? `${what}: ${scenario}` : what, ratiosByRound(of(own), of(other)))
  })
}

function found(what: string, values: readonly number[]): readonly Found[] {
  const figure = rangeOf(values)
  return figure === null ? [] : [{ what, figure, rounds: values.length }]
}

function judged(found: Found, asked: string, digits: number, keeps: (median: number) => boolean): Goal {
  return { ...found, asked, digits, kept: keeps(found.figure.median) }
}

function scenariosOf(
  samples: readonly Sample[],
  asks: ScenarioName,
): readonly (readonly [string, readonly Sample[]])[] {
  return [
    ...grouped(
      samples.filter((sample) => sample.asks === asks),
      ({ scenario }) => scenario,
    ),
  ]
}

function costOf({ cpuUsPerRequest }: Sample): number | null {
  return cpuUsPerRequest
}
