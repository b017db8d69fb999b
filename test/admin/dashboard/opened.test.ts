import { describe, expect, it } from 'vitest'
import { openable, queryOf } from '../../../src/admin/dashboard/opened.ts'

describe('what is open at once', () => {
  it('is the last twenty, each once', () => {
    const names = Array.from({ length: 10_000 }, (_, at) => `s-${at}`)
    expect([...openable(names)]).toEqual(names.slice(-20))
    expect([...openable(['a', 'b', 'a'])]).toEqual(['a', 'b'])
  })

  it('can be asked for in the head of a request, however long and foreign the names are', () => {
    const names = Array.from({ length: 20 }, (_, at) => `${'漢'.repeat(118)}${at}`)
    const opened = openable(names)
    expect(opened.size).toBeGreaterThan(1)
    expect([...opened]).toEqual(names.slice(-opened.size))
    expect(queryOf(opened).length).toBeLessThanOrEqual(5_000)
    expect([...openable(['x'.repeat(9_000)])]).toEqual([])
  })
})

describe('what asks for it', () => {
  it.each([
    ['nothing where the proxy chooses', null, ''],
    ['that none are wanted', [], '?open='],
    ['each name', ['a&b', 'c d'], '?open=a%26b&open=c%20d'],
  ])('is %s', (_, names, query) => {
    expect(queryOf(names === null ? null : new Set(names))).toBe(query)
  })
})
