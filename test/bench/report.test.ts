/** Does the table say what was measured? */

import { expect, test } from 'vitest'
import { rowsOf, tableOf } from '../../bench/report.ts'
import { sampleOf } from './samples.ts'

const samples = [
  sampleOf('direct', 1, { cpuUsPerRequest: null, rssMiB: null, shares: [1000, 0, 0, 0] }),
  sampleOf('evenkeel off', 1, { cpuUsPerRequest: 220 }),
  sampleOf('http-proxy off', 1, { cpuUsPerRequest: 200 }),
  sampleOf('direct', 2, { cpuUsPerRequest: null, rssMiB: null }),
  sampleOf('evenkeel off', 2, { cpuUsPerRequest: 420, shares: [251, 250, 250, 249] }),
  sampleOf('http-proxy off', 2, { cpuUsPerRequest: 400 }),
]

test('one row for each target, with its ratio to the baseline round by round', () => {
  const rows = rowsOf(samples, 'http-proxy off')
  expect(rows.map(({ target }) => target)).toEqual(['direct', 'evenkeel off', 'http-proxy off'])
  expect(rows[1]).toMatchObject({
    rounds: 2,
    cpuUsPerRequest: { median: 320, min: 220, max: 420 },
    cpuRatio: { min: 1.05, max: 1.1 },
    spread: 2,
  })
})

test('direct has no cost, no ratio and no spread of its own', () => {
  expect(rowsOf(samples, 'http-proxy off')[0]).toMatchObject({ cpuUsPerRequest: null, cpuRatio: null, spread: null })
})

test('what a proxy adds to the p99 is told of paced runs only', () => {
  const paced = [
    sampleOf('direct', 1, { latestStartMs: 1, latencyMs: { p50: 1, p95: 1, p99: 1.5, max: 9 } }),
    sampleOf('evenkeel off', 1, { latestStartMs: 1, latencyMs: { p50: 1, p95: 1, p99: 2.25, max: 9 } }),
  ]
  expect(rowsOf(paced, 'x')[1]?.p99AddedMs).toEqual({ median: 0.75, min: 0.75, max: 0.75 })
  expect(rowsOf(samples, 'x')[1]?.p99AddedMs).toBeNull()
})

test('memory rises above where it stood before the first round, in whatever round that is', () => {
  const rows = rowsOf(
    [
      sampleOf('a', 1, { rssBeforeMiB: 80, rssRiseMiB: 10 }),
      sampleOf('a', 2, { rssBeforeMiB: 95, rssRiseMiB: 7 }),
      sampleOf('a', 3, { rssBeforeMiB: 85, rssRiseMiB: 1 }),
    ],
    'a',
  )
  expect(rows[0]?.rssRiseMiB).toBe(22)
  expect(rowsOf([sampleOf('a', 1)], 'a')[0]?.rssRiseMiB).toBeNull()
})

test('the table: medians with their range, a dash for what there is not, no column that nobody fills', () => {
  const table = tableOf(rowsOf(samples, 'http-proxy off'), 'http-proxy off')
  const [head, scenario, direct, evenkeel] = table.split('\n')
  expect(head).toContain('÷ http-proxy off')
  expect(head).not.toContain('MiB/s')
  expect(scenario).toBe('max')
  expect(direct).toMatch(/^ {2}direct +1000 +– +– /)
  expect(evenkeel).toContain('320 [220–420]')
  expect(evenkeel).toContain('1.08 [1.05–1.10]')
})

test('the same target in two scenarios has two rows', () => {
  const twice = [sampleOf('a', 1), { ...sampleOf('a', 1), scenario: 'memory' }]
  expect(rowsOf(twice, 'a').map(({ scenario }) => scenario)).toEqual(['max', 'memory'])
})
