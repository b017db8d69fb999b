/** What may a service say of itself, and what is it told that is wrong? */

import { describe, expect, test } from 'vitest'
import { judgeBody, judgeFields, judgeNames, written } from '../../../src/discovery/push/push-entry.ts'
import { printable } from '../../../src/discovery/untrusted-text.ts'

const rules = { maxTtlMs: 3_600_000, ownAddress: '10.0.0.9' }
const plain = { address: '10.0.0.5', port: 8080, weight: 1, tags: [], ttlMs: 30_000 }

describe('is taken:', () => {
  test.each([
    ['no more than a port, and the rest is the default', '{"port":8080}', { ...plain, address: '10.0.0.9' }],
    [
      'everything',
      '{"address":"10.0.0.5","port":8080,"ttl":"2m","weight":7,"tags":["v1","é"]}',
      { ...plain, ttlMs: 120_000, weight: 7, tags: ['v1', 'é'] },
    ],
    [
      'a host name, in its one spelling',
      '{"address":"Web-1.Example","port":8080}',
      { ...plain, address: 'web-1.example' },
    ],
    ['IPv6, in its one spelling', '{"address":"[FD00:0::5]","port":8080}', { ...plain, address: 'fd00::5' }],
    ['the shortest time', '{"address":"10.0.0.5","port":8080,"ttl":"1000ms"}', { ...plain, ttlMs: 1000 }],
    ['the longest time', '{"address":"10.0.0.5","port":8080,"ttl":"1h"}', { ...plain, ttlMs: 3_600_000 }],
    ['a weight of 0', '{"address":"10.0.0.5","port":8080,"weight":0}', { ...plain, weight: 0 }],
  ])('%s', (_, body, expected) => {
    expect(judgeBody(body, rules)).toEqual({ kind: 'sound', of: expected })
  })

  test('the default time is no longer than the longest one', () => {
    const judged = judgeBody('{"port":1}', { ...rules, maxTtlMs: 5000 })
    expect(judged).toMatchObject({ kind: 'sound', of: { ttlMs: 5000 } })
  })

  test('what is written of it comes back', () => {
    for (const ttlMs of [1000, 1500, 30_000, 90_000, 86_400_000]) {
      const of = { ...plain, ttlMs, weight: 9, tags: ['a'] }
      expect(judgeFields({ ...written(of) }, { maxTtlMs: Number.POSITIVE_INFINITY, ownAddress: null })).toEqual({
        kind: 'sound',
        of,
      })
    }
  })
})

describe('is refused, and told why:', () => {
  test.each([
    ['nothing', '', ['port is missing: an integer from 1 to 65535']],
    ['no JSON', '{"port":8080', ['the body is not JSON']],
    ['a list', '[8080]', ['the body is no JSON object']],
    ['null', 'null', ['the body is no JSON object']],
    ['a port that is a text', '{"port":"8080"}', ['port is "8080", not an integer from 1 to 65535']],
    ['port 0', '{"port":0}', ['port is 0, not an integer from 1 to 65535']],
    ['no address', '{"address":"","port":1}', ['address is "", not an IP address or a host name']],
    ['the address null', '{"address":null,"port":1}', ['address is null, not an IP address or a host name']],
    ['an address that means any', '{"address":"0.0.0.0","port":1}', ['address is "0.0.0.0", not an IP']],
    ['an address with a port', '{"address":"10.0.0.5:80","port":1}', ['address is "10.0.0.5:80", not an IP']],
    ['a time without a unit', '{"port":1,"ttl":30}', ['ttl is 30, not a duration such as "30s", from 1s to 1h']],
    ['a time that is too short', '{"port":1,"ttl":"999ms"}', ['ttl is "999ms", not']],
    [
      'a time that is too long',
      '{"port":1,"ttl":"61m"}',
      ['ttl is "61m", not a duration such as "30s", from 1s to 1h'],
    ],
    ['a weight that is too much', '{"port":1,"weight":65536}', ['weight is 65536, not an integer from 0 to 65535']],
    ['half a weight', '{"port":1,"weight":0.5}', ['weight is 0.5, not']],
    ['tags that are none', '{"port":1,"tags":"v1"}', ['tags is "v1", not a list of at most 16 printable texts']],
    ['a tag that breaks lines', '{"port":1,"tags":["a\\nb"]}', ['tags is a list with something else, not']],
    ['too many tags', JSON.stringify({ port: 1, tags: Array(17).fill('a') }), ['tags is a list with']],
    [
      'a key that is misspelt',
      '{"port":1,"adress":"10.0.0.5"}',
      ['"adress" is no key of it: there are address, port,'],
    ],
    [
      'everything at once',
      '{"adress":"x","address":{},"port":-1,"weight":-1,"tags":[1],"ttl":"soon"}',
      ['"adress"', 'address is an object', 'port is -1', 'weight is -1', 'tags is a list', 'ttl is "soon"'],
    ],
  ])('%s', (_, body, problems) => {
    const judged = judgeBody(body, rules)
    expect(judged).toEqual({ kind: 'unsound', problems: problems.map((each) => expect.stringContaining(each)) })
  })

  test('no address where there is no telling whose it would be', () => {
    expect(judgeBody('{"port":1}', { ...rules, ownAddress: null })).toEqual({
      kind: 'unsound',
      problems: ['address is missing: an IP address or a host name'],
    })
  })

  test('in few words and printable ones, whatever was sent', () => {
    const body = JSON.stringify({
      ...Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`key-${at}\u202e${'x'.repeat(1000)}`, at])),
      ttl: `\u001b[31m${'9'.repeat(3000)}`,
    })
    const judged = judgeBody(body, rules)
    if (judged.kind === 'sound') throw new Error('it was taken')
    expect(judged.problems).toHaveLength(7)
    for (const each of judged.problems) expect(each).toBe(printable(each, 250))
  })
})

describe('names', () => {
  test.each([
    ['plain ones', 'web', 'web-1', 0],
    ['odd ones', '__proto__', 'ä b:c?', 0],
    ['an empty id', 'web', '', 1],
    ['a slash', 'a/b', 'web-1', 1],
    ['dots', '..', '.', 2],
    ['a line break', 'web\n', 'a', 1],
    ['an id that is too long', 'web', 'x'.repeat(129), 1],
    ['a service that is too long', 'x'.repeat(256), 'a', 1],
  ])('%s: %j %j', (_, service, id, problems) => {
    const told = judgeNames(service, id)
    expect(told).toHaveLength(problems)
    for (const each of told) expect(each).toBe(printable(each, 250))
  })
})
