/** Are the goals of the wire engine judged by the right figures, and only where those were measured? */

import { expect, test } from 'vitest'
import { goalsOf, goalTable } from '../../bench/goals.ts'
import type { Sample } from '../../bench/play.ts'
import type { Run } from '../../bench/stage.ts'
import { sampleOf } from './samples.ts'

const both = ['http-proxy', 'wire']
const rounds = [1, 2, 3, 4, 5]

/** Five rounds of one target, on a machine that is slower in each. */
function played(target: string, differing: (slowness: number) => Partial<Run>, about: Partial<Sample> = {}): Sample[] {
  return rounds.map((round) => ({ ...sampleOf(target, round, differing(round)), ...about }))
}

const cost = (target: string, us: number, about: Partial<Sample> = {}) =>
  played(target, (slowness) => ({ cpuUsPerRequest: us * slowness }), about)

const said = (samples: readonly Sample[], engines = both) =>
  goalsOf(samples, engines).map(({ what, asked, figure, kept }) => [what, asked, figure.median.toFixed(2), kept])

test('CPU per request, in relation to every peer that is asked for', () => {
  const samples = [
    ...cost('evenkeel wire off', 110),
    ...cost('evenkeel wire on', 48),
    ...cost('http-proxy off', 240),
    ...cost('caddy off', 160),
    ...cost('nginx off', 50),
    ...cost('nginx on', 20),
  ]
  expect(said(samples)).toEqual([
    ['CPU per request, evenkeel wire off ÷ http-proxy off', '≤ 0.50', '0.46', true],
    ['CPU per request, evenkeel wire off ÷ caddy off', '≤ 0.65', '0.69', false],
    ['CPU per request, evenkeel wire off ÷ nginx off', '≤ 2.70', '2.20', true],
    ['CPU per request, evenkeel wire on ÷ http-proxy off', '≤ 0.18', '0.20', false],
    ['CPU per request, evenkeel wire on ÷ nginx off', '≤ 1.00', '0.96', true],
    ['CPU per request, evenkeel wire on ÷ nginx on', '≤ 2.50', '2.40', true],
  ])
})

test('a goal is kept at its limit', () => {
  const samples = [...cost('evenkeel wire off', 125), ...cost('http-proxy off', 250)]
  expect(said(samples)).toEqual([['CPU per request, evenkeel wire off ÷ http-proxy off', '≤ 0.50', '0.50', true]])
})

test('what was not measured is not judged', () => {
  expect(goalsOf(cost('evenkeel wire off', 110), both)).toEqual([])
  const withoutWire = [...cost('evenkeel off', 110), ...cost('http-proxy off', 240)]
  expect(goalsOf(withoutWire, ['http-proxy'])).toEqual([])
})

test('wire alone is called evenkeel', () => {
  const samples = [...cost('evenkeel off', 110), ...cost('nginx off', 50)]
  expect(said(samples, ['wire'])).toEqual([['CPU per request, evenkeel off ÷ nginx off', '≤ 2.70', '2.20', true]])
})

test('the costs of another scenario do not count', () => {
  const about = { asks: 'rate', scenario: '1,000 req/s' } as const
  expect(said([...cost('evenkeel wire off', 110, about), ...cost('http-proxy off', 240, about)])).toEqual([])
})

test('10,000 services beside one, of each engine', () => {
  const about = { asks: 'services', scenario: 'tables' } as const
  const samples = [
    ...cost('evenkeel wire off', 100, about),
    ...cost('evenkeel wire off, 10,000 services', 104, about),
    ...cost('evenkeel http-proxy off', 200, about),
    ...cost('evenkeel http-proxy off, 10,000 services', 212, about),
  ]
  expect(said(samples)).toEqual([
    ['CPU per request, evenkeel http-proxy off, 10,000 services ÷ 1', '≤ 1.05', '1.06', false],
    ['CPU per request, evenkeel wire off, 10,000 services ÷ 1', '≤ 1.05', '1.04', true],
  ])
})

test('p99 added to direct, in the same round', () => {
  const about = { asks: 'rate', scenario: '1,000 req/s, 4 instances' } as const
  const p99 = (target: string, ms: number) =>
    played(target, (slowness) => ({ latencyMs: { p50: 1, p95: 1, p99: ms + slowness, max: 99 } }), about)
  expect(said([...p99('direct', 1), ...p99('evenkeel wire off', 2.5), ...p99('evenkeel wire on', 3)])).toEqual([
    ['p99 added to direct, ms, evenkeel wire off: 1,000 req/s, 4 instances', '< 2', '1.50', true],
    ['p99 added to direct, ms, evenkeel wire on: 1,000 req/s, 4 instances', '< 2', '2.00', false],
  ])
})

test('bodies: throughput beside nginx, and memory above where it stood before the first round', () => {
  const about = { asks: 'bodies', scenario: 'bodies of 1 MiB' } as const
  const flow = (target: string, bodyBytes: number, mib: number) =>
    played(target, (slowness) => ({ bodyBytes: bodyBytes / slowness, rssBeforeMiB: 80, rssRiseMiB: mib }), about)
  expect(said([...flow('evenkeel wire off', 400, 30), ...flow('nginx off', 1000, 1)])).toEqual([
    ['throughput, evenkeel wire off ÷ nginx off', '≥ 0.50', '0.40', false],
    ['RSS growth, MB, evenkeel wire off: bodies of 1 MiB', '< 32', '31.46', true],
  ])
  expect(said(flow('evenkeel http-proxy on', 400, 31))).toEqual([
    ['RSS growth, MB, evenkeel http-proxy on: bodies of 1 MiB', '< 32', '32.51', false],
  ])
})

test('two sizes of a body are two goals', () => {
  const sizes = ['bodies of 1 MiB', 'bodies of 100 MiB'].flatMap((scenario) => {
    const about = { asks: 'bodies', scenario } as const
    return [
      ...played('evenkeel wire on', () => ({ bodyBytes: 9 }), about),
      ...played('nginx on', () => ({ bodyBytes: 9 }), about),
    ]
  })
  expect(said(sizes).map(([what]) => what)).toEqual([
    'throughput, evenkeel wire on ÷ nginx on: bodies of 1 MiB',
    'throughput, evenkeel wire on ÷ nginx on: bodies of 100 MiB',
  ])
})

test('the table says the range, the rounds and what was missed', () => {
  const samples = [...cost('evenkeel wire off', 150), ...cost('http-proxy off', 250)]
  const [head, line, more] = goalTable(goalsOf(samples, both)).split('\n')
  expect(head).toMatch(/^goals +asked +median \[range\] +rounds$/)
  expect(line).toMatch(/^ {2}CPU per request, .* +≤ 0\.50 +0\.600 +5 +MISSED$/)
  expect(more).toBeUndefined()
  const rough = goalTable(
    goalsOf(
      samples.filter(({ round }) => round < 4),
      both,
    ),
  )
  expect(rough).toContain('fewer than 5 rounds')
})
