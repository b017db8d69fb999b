import { describe, expect, it } from 'vitest'
import { blocksInWords, type Level, verdictOf } from '../../../src/admin/dashboard/levels.ts'
import type { Row } from '../../../src/admin/dashboard/messages.ts'
import { ordered, type SortKey } from '../../../src/admin/dashboard/order.ts'

function row(name: string, fields: Partial<Row> = {}): Row {
  return {
    ...{ name, inCatalog: true, blocks: '', counts: { h: 3 }, cause: '', panic: false, rate: 0, errorShare: null },
    ...{ p50Ms: null, p99Ms: null, inFlight: 0, last: [0, 0] },
    ...fields,
  }
}

describe('how a service is, in one word', () => {
  it.each<[string, Partial<Row>, Level, string]>([
    ['all healthy', {}, 'ok', ''],
    ['one ejected', { counts: { h: 2, e: 1 } }, 'sick', '1 ejected'],
    ['one failing that may not be ejected', { counts: { h: 2, f: 1 } }, 'sick', '1 failing, still in'],
    [
      'one ejected, and one sees why',
      { counts: { h: 1, e: 1 }, cause: 'answered 500' },
      'sick',
      '1 ejected · answered 500',
    ],
    ['all ejected', { counts: { e: 2 } }, 'down', '2 ejected'],
    ['all ejected and asked', { counts: { e: 2 }, panic: true }, 'down', 'asked all the same · 2 ejected'],
    ['all drained', { counts: { d: 2 } }, 'down', '2 drained'],
    ['all critical in the catalog', { counts: { a: 2 } }, 'down', '2 kept out'],
    ['no instances', { counts: {} }, 'down', 'no instances'],
    ['many errors, of healthy endpoints', { errorShare: 0.2, rate: 3 }, 'failing', ''],
    ['few errors', { errorShare: 0.01, rate: 3 }, 'ok', ''],
    ['one that the catalog leaves out', { counts: { h: 1, u: 1 } }, 'held', '1 held'],
    ['all that it has are held', { counts: { u: 2 } }, 'held', '2 held'],
    ['one drained', { counts: { h: 1, d: 1 } }, 'reduced', '1 drained'],
    ['one kept out', { counts: { h: 1, a: 1 } }, 'reduced', '1 kept out'],
    ['left the catalog', { inCatalog: false, counts: {} }, 'gone', 'left the catalog'],
    ['left, and is asked for', { inCatalog: false, counts: {}, rate: 1 }, 'down', 'left the catalog, and is asked for'],
  ])('%s', (_, fields, level, reason) => {
    expect(verdictOf(row('s', fields))).toEqual({ level, reason })
  })

  it('says the blocks in words', () => {
    expect(blocksInWords(row('s', { counts: { h: 2, e: 1 } }))).toBe('2 healthy, 1 ejected')
    expect(blocksInWords(row('s', { counts: {} }))).toBe('no endpoints')
  })
})

describe('the order', () => {
  const all = [
    { level: 'ok', row: row('beta', { rate: 5, p99Ms: 10 }) },
    { level: 'ok', row: row('Alpha', { rate: 5, p99Ms: null, inFlight: 2 }) },
    { level: 'down', row: row('omega', { rate: 0, errorShare: 1 }) },
    { level: 'sick', row: row('gamma', { rate: 9, errorShare: 0.1 }) },
  ] as const

  it.each<[SortKey, boolean, string]>([
    ['state', false, 'omega gamma Alpha beta'],
    ['state', true, 'Alpha beta gamma omega'],
    ['name', false, 'Alpha beta gamma omega'],
    ['name', true, 'omega gamma beta Alpha'],
    ['rate', false, 'gamma Alpha beta omega'],
    ['errors', false, 'omega gamma Alpha beta'],
    ['p99', false, 'beta Alpha gamma omega'],
    ['flight', false, 'Alpha beta gamma omega'],
  ])('by %s, reversed: %s', (key, isReversed, expected) => {
    expect(ordered(all, '', { key, isReversed }).join(' ')).toBe(expected)
  })

  it.each([
    ['a part of the name, whatever its case', 'ALPH', 'Alpha'],
    ['all words of the filter', 'a be', 'beta'],
    ['the whole of a state', 'down', 'omega'],
    ['not a part of a state', 'dow', ''],
    ['what looks like a pattern, as it stands', '.*', ''],
  ])('takes %s', (_, filter, expected) => {
    expect(ordered(all, filter, { key: 'name', isReversed: false }).join(' ')).toBe(expected)
  })
})
