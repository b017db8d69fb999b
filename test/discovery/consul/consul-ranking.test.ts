import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { byTraffic, chooseSwaps, trafficSince } from '../../../src/discovery/consul/consul-ranking.ts'

const counts = (record: Readonly<Record<string, number>>) => new Map(Object.entries(record))

describe('who gives a watch up to whom', () => {
  test.each<[string, string[], string[], Record<string, number>, number, string[]]>([
    ['nobody without traffic', ['a', 'b'], ['c'], {}, 9, []],
    ['the quietest to the busiest', ['a', 'b'], ['c', 'd'], { a: 50, b: 5, c: 20, d: 90 }, 1, ['b → d']],
    ['nobody when the difference is not clear', ['a'], ['b'], { a: 50, b: 100 }, 9, []],
    ['it is clear when it is more than twofold', ['a'], ['b'], { a: 50, b: 101 }, 9, ['a → b']],
    ['a handful of requests proves nothing', ['a'], ['b'], { a: 0, b: 9 }, 9, []],
    ['ten do', ['a'], ['b'], { a: 0, b: 10 }, 9, ['a → b']],
    ['several at once', ['a', 'b', 'c'], ['d', 'e'], { c: 99, d: 20, e: 30 }, 9, ['b → e', 'a → d']],
    ['but no more than so many', ['a', 'b'], ['c', 'd'], { c: 20, d: 30 }, 1, ['b → d']],
    ['nobody when nobody is watched', [], ['c'], { c: 99 }, 9, []],
    ['nobody when all are watched', ['a'], [], { a: 1 }, 9, []],
  ])('%s', (_, watched, swept, traffic, most, expected) => {
    const swaps = chooseSwaps(watched, swept, counts(traffic), most)
    expect(swaps.map(({ demoted, promoted }) => `${demoted} → ${promoted}`)).toEqual(expected)
  })

  test('property: with the same traffic again nobody moves back', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f']
    const some = fc.record({
      traffic: fc.tuple(...names.map(() => fc.nat(500))),
      watches: fc.nat(6),
      most: fc.integer({ min: 6, max: 9 }),
    })
    fc.assert(
      fc.property(some, ({ traffic, watches, most }) => {
        const since = new Map(names.map((name, at) => [name, traffic[at] ?? 0]))
        const watched = new Set(names.slice(0, watches))
        const rest = () => names.filter((name) => !watched.has(name))
        for (const { demoted, promoted } of chooseSwaps(watched, rest(), since, most)) {
          expect(watched.delete(demoted)).toBe(true)
          watched.add(promoted)
        }
        expect(watched.size).toBe(watches)
        expect(chooseSwaps(watched, rest(), since, most)).toEqual([])
      }),
    )
  })
})

test('names are ordered by traffic, and those alike by name', () => {
  expect(byTraffic(['c', 'b', 'a', 'd'], counts({ d: 3, b: 3, a: 1 }))).toEqual(['b', 'd', 'a', 'c'])
})

test.each<[string, Record<string, number>, Record<string, number>, Record<string, number>]>([
  ['what was counted meanwhile', { a: 7, b: 9 }, { a: 5, b: 9 }, { a: 2, b: 0 }],
  ['all of it for one that is new', { a: 7 }, {}, { a: 7, b: 0 }],
  ['all of it for one whose count began anew', { a: 3 }, { a: 5 }, { a: 3, b: 0 }],
  ['nothing of one that is not asked for', { z: 3 }, {}, { a: 0, b: 0 }],
])('traffic since the last look is %s', (_, now, before, since) => {
  expect(Object.fromEntries(trafficSince(['a', 'b'], counts(now), counts(before)))).toEqual(since)
})
