/** Does the bench fail when it must, and only then? */

import { expect, test } from 'vitest'
import { doubtsOf, memoryProblems, problemsOf } from '../../bench/judge.ts'
import { runOf } from './samples.ts'

test.each([
  ['even shares', runOf({ shares: [250, 250, 250, 250] }), []],
  ['shares that differ by one', runOf({ requests: 1001, completed: 1001, shares: [251, 250, 250, 250] }), []],
  [
    'shares that differ by two',
    runOf({ shares: [251, 250, 250, 249] }),
    ['uneven shares: 251 / 250 / 250 / 249 differ by 2'],
  ],
  [
    'a request that reached two instances',
    runOf({ shares: [251, 250, 250, 250] }),
    ['the instances saw 1001 requests of 1000'],
  ],
  [
    'failed requests',
    runOf({ completed: 997, failures: { 'status 502': 2, ECONNRESET: 1 } }),
    ['requests failed: 2 × status 502, 1 × ECONNRESET'],
  ],
  ['requests that vanished', runOf({ completed: 999 }), ['999 of 1000 requests were answered']],
])('Evenkeel: %s', (_row, run, expected) => {
  expect(problemsOf(run, 'evenkeel', true)).toEqual(expected)
})

test('a peer may be uneven, but must not fail', () => {
  expect(problemsOf(runOf({ shares: [400, 200, 200, 200] }), 'peer', true)).toEqual([])
  expect(problemsOf(runOf({ completed: 999, failures: { 'status 502': 1 } }), 'peer', true)).toHaveLength(1)
})

test('many services have many turns, and their sum may be uneven', () => {
  expect(problemsOf(runOf({ shares: [260, 240, 250, 250] }), 'evenkeel', false)).toEqual([])
})

test.each([
  ['is level', [100, 104, 101, 103], 0],
  ['rises once, after the first requests', [113, 149, 137, 130, 128, 129, 135, 141, 131, 129], 0],
  ['happens to be high at the end', [113, 120, 119, 121, 122, 120, 121, 149], 0],
  ['grows without end', [80, 90, 100, 110, 120, 130], 1],
  ['is too much from the start', [160, 161], 1],
  ['was not measured', [], 0],
])('memory that %s', (_row, series, problems) => {
  expect(memoryProblems(series)).toHaveLength(problems)
})

test('a rate that was not kept, and a load generator at its limit, are doubts and no failures', () => {
  const slow = runOf({ seconds: 2 })
  expect(doubtsOf(slow, 1000)).toEqual(['only 500 requests/s of 1000 could be started'])
  expect(doubtsOf(slow, null)).toEqual([])
  expect(doubtsOf(runOf({ busy: { target: 0.3, load: 0.99, origin: 0.5 } }), null)).toHaveLength(1)
  expect(doubtsOf(runOf({ busy: { target: 0.97, load: 0.99, origin: 0.5 } }), null)).toEqual([])
})
