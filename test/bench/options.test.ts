/** Is what the user asks for understood, and what is wrong refused in one line? */

import { expect, test } from 'vitest'
import { readBenchLine } from '../../bench/options.ts'

test('without arguments: every scenario, five rounds, all peers that are found', () => {
  expect(readBenchLine([])).toEqual({
    kind: 'run',
    options: {
      quick: false,
      rounds: 5,
      seconds: 3,
      scenarios: ['rate', 'max', 'memory', 'bodies', 'services'],
      peers: null,
      engines: ['wire'],
      against: null,
      baseline: 'http-proxy off',
    },
  })
})

test.each([
  [['--quick'], { quick: true, rounds: 3, seconds: 0.7, scenarios: ['rate', 'max', 'memory'] }],
  [['--quick', '--rounds', '7'], { quick: true, rounds: 7 }],
  [['--seconds', '0.5'], { seconds: 0.5 }],
  [['--scenario', 'max', '--scenario', 'bodies'], { scenarios: ['max', 'bodies'] }],
  [['--scenario', 'max,max'], { scenarios: ['max'] }],
  [['--peers', 'nginx, http-proxy'], { peers: ['nginx', 'http-proxy'] }],
  [['--peers', 'none'], { peers: [] }],
  [['--engines', 'http-proxy,wire'], { engines: ['http-proxy', 'wire'] }],
  [['--against', 'HEAD~1'], { against: 'HEAD~1' }],
  [['--baseline', 'nginx off'], { baseline: 'nginx off' }],
])('%j', (args, expected) => {
  expect(readBenchLine(args)).toMatchObject({ kind: 'run', options: expected })
})

test.each([
  [['--fast'], '--fast'],
  [['max'], 'max'],
  [['--rounds', '0'], '--rounds'],
  [['--rounds', '1.5'], '--rounds'],
  [['--rounds', ''], '--rounds'],
  [['--seconds', 'long'], 'long'],
  [['--scenario', 'slow'], 'rate, max, memory'],
  [['--peers', 'apache'], 'nginx'],
  [['--rounds'], '--rounds'],
])('wrong usage is one line that names it: %j', (args, named) => {
  const line = readBenchLine(args)
  expect(line.kind).toBe('wrong')
  if (line.kind !== 'wrong') return
  expect(line.message).toContain(named)
  expect(line.message).not.toContain('\n')
})

test('help is asked for', () => {
  expect(readBenchLine(['--help', '--quick']).kind).toBe('help')
})
