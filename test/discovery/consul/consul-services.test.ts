import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeServiceNames } from '../../../src/discovery/consul/consul-services.ts'

const all = { include: ['*'], exclude: [] }

function namesOf(body: unknown, rules: { include: string[]; exclude: string[] } = all): readonly string[] {
  const decoded = decodeServiceNames(body, rules)
  if (decoded.kind !== 'names') throw new Error(decoded.message)
  return decoded.names
}

describe('decodeServiceNames', () => {
  test.each([
    ['no service at all', {}, all, []],
    ['names come in order', { web: [], api: ['v1'] }, all, ['api', 'web']],
    ['whatever the tags are', { web: null, api: 7 }, all, ['api', 'web']],
    ['excluded names are left out', { web: [], consul: [] }, { include: ['*'], exclude: ['consul'] }, ['web']],
    ['only included names', { web: [], api: [] }, { include: ['w*'], exclude: [] }, ['web']],
    ['exclusion wins over inclusion', { web: [] }, { include: ['web'], exclude: ['web'] }, []],
    ['nothing included, nothing routed', { web: [] }, { include: [], exclude: [] }, []],
    [
      'a name that means something to JavaScript',
      JSON.parse('{"__proto__": [], "constructor": []}'),
      all,
      ['__proto__', 'constructor'],
    ],
  ])('%s', (_, body, rules, expected) => {
    expect(namesOf(body, rules)).toEqual(expected)
  })

  test.each([
    ['a slash', 'a/b'],
    ['a line break', 'a\nb'],
    ['a dot alone', '.'],
    ['two dots', '..'],
    ['no text at all', ''],
    ['a text direction mark', 'a\u202eb'],
    ['far too long a text', 'a'.repeat(256)],
  ])('%s is no name: it is left out as an oddity', (_, name) => {
    const decoded = decodeServiceNames({ [name]: [], web: [] }, all)
    expect(decoded).toMatchObject({ kind: 'names', names: ['web'], oddities: [{ kind: 'bad-name' }] })
  })

  test.each([[null], [[]], ['<html>'], [7], [true], [undefined]])('%j is unreadable', (body) => {
    expect(decodeServiceNames(body, all)).toEqual({
      kind: 'unreadable',
      message: 'the list of services is not an object',
    })
  })

  test('no JSON value makes it throw, and the names are ordered and unique', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (body) => {
        const decoded = decodeServiceNames(body, all)
        if (decoded.kind === 'unreadable') return
        expect(decoded.names).toEqual([...new Set(decoded.names)].sort())
      }),
    )
  })
})
