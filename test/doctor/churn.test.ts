import { expect, test } from 'vitest'
import { countChurn } from '../../src/doctor/churn.ts'

const check = (Output: unknown, more: object = {}) => ({
  ...{ Node: 'n1', CheckID: 'c', Name: 'beat', ServiceID: 'w1', ServiceName: 'web', Status: 'passing', Output },
  ...more,
})
const all = () => true

function changes(...readings: unknown[][]): number[] {
  const churn = countChurn(all)
  for (const reading of readings) expect(churn.add(reading)).toBe(true)
  return churn.checks().map((each) => each.changes)
}

test.each<[string, unknown[][], number[]]>([
  ['one reading', [[check('a')]], []],
  ['the same again', [[check('a')], [check('a')]], []],
  ['another output each time', [[check('a')], [check('b')], [check('a')]], [2]],
  ['another output with another status is news', [[check('a')], [check('b', { Status: 'critical' })]], []],
  ['another output of another node’s check', [[check('a')], [check('b', { Node: 'n2' })]], []],
  ['one that was away for a reading', [[check('a')], [], [check('b')]], [1]],
  ['entries that are no checks', [[null, 7, 'x', {}], [{}]], []],
])('%s', (_, readings, expected) => expect(changes(...readings)).toEqual(expected))

test('what is no list is told, and counts for nothing', () => {
  const churn = countChurn(all)
  expect([churn.add({}), churn.add(null), churn.checks()]).toEqual([false, false, []])
})

test('the most restless come first, in words that can be printed; those of no interest do not come at all', () => {
  const churn = countChurn((service) => service !== 'other')
  const second = { CheckID: 'd', Name: 'be\nat', ServiceID: 'w2' }
  const others = [
    check('x', { CheckID: 'o', ServiceName: 'other' }),
    check('x', { CheckID: 'node', ServiceName: '', ServiceID: '' }),
  ]
  churn.add([check('a'), check('a', second), ...others])
  churn.add([check('b'), check('b', second), ...others.map((each) => ({ ...each, Output: 'y' }))])
  churn.add([check('b'), check('c', second)])
  expect(churn.checks()).toEqual([
    { service: 'web', instance: 'w2', node: 'n1', check: 'be?at', changes: 2 },
    { service: null, instance: '', node: 'n1', check: 'beat', changes: 1 },
    { service: 'web', instance: 'w1', node: 'n1', check: 'beat', changes: 1 },
  ])
})
