import { expect, test } from 'vitest'
import { afterFailure, believe, type IndexMemory, judgeAge, noMemory } from '../../../src/discovery/consul/replay.ts'

const PATIENCE_MS = 2000

/** Feeds answers as [index, at which millisecond]; tells which of them were believed. */
function believed(answers: readonly [number | null, number][], memory: IndexMemory = noMemory): boolean[] {
  let now = memory
  return answers.map(([index, atMs]) => {
    const judged = judgeAge(now, index === null ? null : BigInt(index), atMs, PATIENCE_MS)
    now = judged.memory
    return !judged.old
  })
}

test.each<[string, [number | null, number][], boolean[]]>([
  ['the first answer, whatever its index', [[7, 0]], [true]],
  [
    'a greater index',
    [
      [7, 0],
      [9, 1],
    ],
    [true, true],
  ],
  [
    'the same index',
    [
      [7, 0],
      [7, 1],
    ],
    [true, true],
  ],
  [
    'a lower one is old',
    [
      [7, 0],
      [5, 1],
    ],
    [true, false],
  ],
  [
    'until it has caught up',
    [
      [7, 0],
      [5, 1],
      [6, 2],
      [7, 3],
    ],
    [true, false, false, true],
  ],
  [
    'or has not grown for a while: then the data are others',
    [
      [7, 0],
      [5, 10],
      [5, 2009],
      [5, 2010],
    ],
    [true, false, false, true],
  ],
  [
    'a while that begins anew whenever it grows',
    [
      [9, 0],
      [5, 0],
      [6, 1999],
      [6, 3998],
      [6, 3999],
    ],
    [true, false, false, false, true],
  ],
  [
    'but not for ever',
    [
      [99, 0],
      [1, 0],
      [2, 1900],
      [3, 3800],
      [4, 5700],
      [5, 7600],
      [6, 9500],
      [7, 10_000],
    ],
    [true, false, false, false, false, false, false, true],
  ],
  [
    'falling further is not growing',
    [
      [9, 0],
      [5, 0],
      [4, 1000],
      [3, 2000],
    ],
    [true, false, false, true],
  ],
  [
    'what was believed after all is what counts from then on',
    [
      [9, 0],
      [5, 0],
      [5, 2000],
      [6, 2001],
      [4, 2002],
    ],
    [true, false, true, true, false],
  ],
  [
    'an answer without an index cannot be judged, and does not make forget what was believed',
    [
      [7, 0],
      [null, 1],
      [3, 2],
    ],
    [true, true, false],
  ],
])('believed: %s', (_, answers, expected) => {
  expect(believed(answers)).toEqual(expected)
})

test('a failure in between keeps what is known, and renews the patience', () => {
  const held = judgeAge({ believed: 9n, held: null }, 5n, 0, PATIENCE_MS).memory
  expect(
    believed(
      [
        [5, 5000],
        [5, 6999],
        [5, 7000],
      ],
      afterFailure(held),
    ),
  ).toEqual([false, false, true])
  expect(believed([[5, 5000]], held)).toEqual([true])
})

test('failures again and again do not keep a lower index from being believed for ever', () => {
  let memory: IndexMemory = { believed: 9n, held: null }
  let believedAtMs = Number.POSITIVE_INFINITY
  for (let atMs = 0; atMs <= PATIENCE_MS * 10 && believedAtMs === Number.POSITIVE_INFINITY; atMs += 1_500) {
    const judged = judgeAge(memory, 5n, atMs, PATIENCE_MS)
    if (!judged.old) believedAtMs = atMs
    memory = afterFailure(judged.memory)
  }
  expect(believedAtMs).toBeLessThanOrEqual(PATIENCE_MS * 5 + 1_500)
})

test('what a leader says that has made sure it is one is believed at once, and told when it is a step back', () => {
  const memory: IndexMemory = { believed: 9n, held: null }
  expect(believe(memory, 5n)).toEqual({ memory: { believed: 5n, held: null }, old: false, rewound: true })
  expect(believe(memory, 9n)).toMatchObject({ rewound: false })
  expect(believe(memory, null)).toMatchObject({ memory: { believed: 9n }, rewound: false })
})

test.each<[string, [number | null, number][], boolean[]]>([
  [
    'the first answer, and any that is not lower',
    [
      [7, 0],
      [7, 1],
      [9, 2],
    ],
    [false, false, false],
  ],
  [
    'a lower one while it is old, nor one that has caught up',
    [
      [7, 0],
      [5, 1],
      [7, 2],
    ],
    [false, false, false],
  ],
  [
    'but one that is believed although it is lower, once',
    [
      [7, 0],
      [5, 1],
      [5, 3000],
      [5, 3001],
      [6, 3002],
    ],
    [false, false, true, false, false],
  ],
])('rewound is not %s', (_, answers, expected) => {
  let memory = noMemory
  const rewound = answers.map(([index, atMs]) => {
    const judged = judgeAge(memory, index === null ? null : BigInt(index), atMs, PATIENCE_MS)
    memory = judged.memory
    return judged.rewound
  })
  expect(rewound).toEqual(expected)
})
