/** Is /proc read right? */

import { expect, test } from 'vitest'
import {
  descendants,
  measurable,
  parseSchedstat,
  parseStat,
  processTree,
  rssMiBIn,
  usageOf,
} from '../../bench/measure.ts'

const stat = (name: string) =>
  `42 (${name}) S 7 42 42 0 -1 4194560 100 0 0 0 250 50 3 4 20 0 11 0 313374 3133440 382 1844674407370955`

test.each([['node'], ['a name with blanks'], ['odd) S 1 (name']])('stat: the process called %s', (name) => {
  expect(parseStat(stat(name))).toEqual({ parent: 7, cpuTicks: 300 })
})

test('schedstat: nanoseconds on a CPU, and nothing when there is nothing', () => {
  expect([parseSchedstat('1053117020 60420 17\n'), parseSchedstat('')]).toEqual([1053117020, 0])
})

test('status: resident memory in MiB', () => {
  expect([rssMiBIn('Name:\tnginx\nVmHWM:\t  99999 kB\nVmRSS:\t   2048 kB\n'), rssMiBIn('')]).toEqual([2, 0])
})

test('a tree of processes has the children of children, and nobody else', () => {
  const parents = new Map([
    [10, 1],
    [11, 10],
    [12, 11],
    [20, 1],
  ])
  expect(descendants(10, parents)).toEqual([10, 11, 12])
})

test.runIf(measurable)('this very process has used CPU and memory, and is in its own tree', () => {
  const { cpuMs, rssMiB } = usageOf([process.pid])
  expect(cpuMs).toBeGreaterThan(0)
  expect(rssMiB).toBeGreaterThan(1)
  expect(processTree(process.pid)).toContain(process.pid)
})

test.runIf(measurable)('a process that is gone counts nothing', () => {
  expect(usageOf([2 ** 30])).toEqual({ cpuMs: 0, rssMiB: 0 })
})
