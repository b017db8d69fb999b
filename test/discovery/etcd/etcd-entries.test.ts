/** Which endpoint does a key name? Every row is a sentence about one key and its value. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareEndpoints } from '../../../src/balancer/endpoint.ts'
import { decodeEntry, type EntryRules, serviceOf } from '../../../src/discovery/etcd/etcd-entries.ts'
import { printable } from '../../../src/discovery/untrusted-text.ts'

const rules: EntryRules = { prefix: '/services', include: ['*'], exclude: [], tag: null }

/** `address:port*weight`, or the reason of the absence. */
function said(value: string | null, differently: Partial<EntryRules> = {}): string {
  const entry = decodeEntry('/services/web/a', value, { ...rules, ...differently })
  if (entry.kind === 'other') return 'other'
  if (entry.instance.kind === 'absent') return entry.instance.absentee.reason
  const { id, weight } = entry.instance.endpoint
  return `${id}*${weight}`
}

describe('a value', () => {
  test.each([
    ['of address and port', '10.0.0.1:80', '10.0.0.1:80*1'],
    ['of a host name in capitals', 'Web.Internal:80', 'web.internal:80*1'],
    ['of IPv6 in brackets', '[FD00:0::5]:80', '[fd00::5]:80*1'],
    ['with white space around it, as echo leaves it', ' 10.0.0.1:80\n', '10.0.0.1:80*1'],
    ['in JSON', '{"address":"10.0.0.1","port":80}', '10.0.0.1:80*1'],
    ['in JSON with everything', '{"address":"::1","port":80,"weight":7,"tags":["a"],"more":{}}', '[::1]:80*7'],
    ['in JSON with null for the weight', '{"address":"a","port":80,"weight":null}', 'a:80*1'],
    ["in gRPC's layout", '{"Op":0,"Addr":"10.0.0.1:80","Metadata":"any"}', '10.0.0.1:80*1'],
    ["in gRPC's layout without an Op", '{"Addr":"10.0.0.1:80"}', '10.0.0.1:80*1'],
    ["in gRPC's layout with a weight", '{"Addr":"10.0.0.1:80","Metadata":{"weight":4}}', '10.0.0.1:80*4'],
    ['with a weight in words', '{"address":"a","port":80,"weight":"9"}', 'a:80*1'],
    ['with half a weight', '{"address":"a","port":80,"weight":0.5}', 'a:80*1'],
    ['with too high a weight', '{"address":"a","port":80,"weight":1e9}', 'a:80*65535'],
  ])('%s is an endpoint', (_, value, expected) => {
    expect(said(value)).toBe(expected)
  })

  test.each([
    ['that is empty', ' ', 'its value is empty'],
    ['that is too long', null, 'its value is too long'],
    ['without a port', '10.0.0.1', 'its address "10.0.0.1": has no port: write host:port'],
    ['that is a URL', 'http://10.0.0.1:80', expect.stringContaining('IPv6 addresses need brackets')],
    ['on port 0', '10.0.0.1:0', 'its address "10.0.0.1:0": its port is not a number from 1 to 65535'],
    ['at any address at all', '0.0.0.0:80', expect.stringContaining('has no usable address')],
    ['that would forge a log line', '10.0.0.1:80\r\nx: y', expect.stringMatching(/^its address "10[^\r\n]*$/)],
    ['that is half JSON', '{"address":', 'its value begins like JSON and is none'],
    ['in JSON without an address', '{"port":80}', 'has no address'],
    ['in JSON with a number for the address', '{"address":7,"port":80}', 'its address 7 is not one'],
    ['in JSON with white space in the address', '{"address":"a b","port":80}', 'its address "a b" is not one'],
    ['in JSON without a port', '{"address":"a"}', 'has no port'],
    ['in JSON with the port in words', '{"address":"a","port":"80"}', 'its port is "80", not 1 to 65535'],
    ['in JSON with a weight of 0', '{"address":"a","port":80,"weight":0}', 'its weight is 0'],
    ["in gRPC's layout that deletes", '{"Op":1,"Addr":"a:80"}', 'its Op is 1: only 0 adds an address'],
    ["in gRPC's layout without a port", '{"Op":0,"Addr":"a"}', 'its address "a": has no port: write host:port'],
    ["in gRPC's layout with a list", '{"Op":0,"Addr":["a:80"]}', 'its Addr is "object", not host:port'],
  ])('%s is absent, with the reason', (_, value, reason) => {
    expect(said(value)).toEqual(reason)
  })

  test('that cannot be used is odd, one that says so itself is not', () => {
    const oddities = (value: string) => {
      const entry = decodeEntry('/services/web/a', value, rules)
      return entry.oddities.map(({ kind, subject }) => `${kind} of ${subject}`)
    }
    expect(oddities('nowhere')).toEqual(['bad-address of a'])
    expect(oddities('{"address":"a","port":80,"weight":-1}')).toEqual(['bad-weight of a'])
    expect(oddities('{"address":"a","port":80,"weight":0}')).toEqual([])
  })

  test('is only taken with the tag that is wanted', () => {
    const tag = 'blue'
    expect(said('{"address":"a","port":80,"tags":["blue","v2"]}', { tag })).toBe('a:80*1')
    for (const value of ['{"address":"a","port":80,"tags":"blue"}', '{"Addr":"a:80"}', 'a:80']) {
      expect(said(value, { tag })).toBe('lacks the tag "blue"')
    }
  })
})

describe('a key', () => {
  const of = (key: string, differently: Partial<EntryRules> = {}) => {
    const entry = decodeEntry(key, 'a:80', { ...rules, ...differently })
    return entry.kind === 'other' ? entry.oddities.map(({ kind }) => kind).join() : entry.service
  }

  test.each([
    ['names the service and the id', '/services/web/a', {}, 'web'],
    ['may have slashes in its id', '/services/web/dc1/rack 2/a', {}, 'web'],
    ['may have line breaks in its id', '/services/web/a\nb', {}, 'web'],
    ['is below a prefix that ends with slashes', '/services/web/a', { prefix: '/services//' }, 'web'],
    ['is below a prefix without a slash at its beginning', 'a/b/web/1', { prefix: 'a/b' }, 'web'],
    ['is below no prefix at all', '/web/a', { prefix: '' }, 'web'],
    ['of a service that is not included is passed over', '/services/web/a', { include: ['api'] }, ''],
    ['of a service that is excluded is passed over', '/services/web/a', { exclude: ['w*'] }, ''],
    ['without an id is odd', '/services/web', {}, 'malformed-entry'],
    ['with an empty id is odd', '/services/web/', {}, 'malformed-entry'],
    ['without a service is odd', '/services//a', {}, 'malformed-entry'],
    ['that is not below the prefix is odd', '/servicesx/web/a', {}, 'malformed-entry'],
    ['of a service named .. is odd', '/services/../a', {}, 'bad-name'],
    ['of a service with a control character is odd', '/services/we\u0007b/a', {}, 'bad-name'],
  ])('%s', (_, key, differently, expected) => {
    expect(of(key, differently)).toBe(expected)
  })

  test('whatever it and its value are, comes to printable and bounded words, and never throws', () => {
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 300 })
    const value = fc.oneof(
      fc.constant(null),
      text,
      fc.json(),
      text.map((address) => JSON.stringify({ address, port: 1 })),
    )
    fc.assert(
      fc.property(text, value, (id, value) => {
        const entry = decodeEntry(`/services/web/${id}`, value, rules)
        if (entry.kind === 'other') throw new Error('it has a service and an id')
        const { instance, oddities } = entry
        const words = [
          ...Object.values(instance.kind === 'ready' ? instance.endpoint : instance.absentee),
          ...oddities.flatMap(Object.values),
        ]
        for (const each of words.map(String)) expect(printable(each, 300)).toBe(each)
      }),
      { numRuns: 100 },
    )
  })
})

describe('a service', () => {
  const instances = (values: Readonly<Record<string, string>>) =>
    Object.entries(values).map(([id, value]) => {
      const entry = decodeEntry(`/services/web/${id}`, value, rules)
      if (entry.kind === 'other') throw new Error(id)
      return entry.instance
    })

  test('has one endpoint for each address and port, that of the first id, and the others are absent', () => {
    const { service, oddities } = serviceOf(instances({ c: 'a:80', a: '{"Addr":"A:80"}', b: 'b:80', d: 'x' }))
    expect(service.endpoints.map(({ id, instance }) => `${instance} ${id}`)).toEqual(['a a:80', 'b b:80'])
    expect(service.absent.map(({ instance, reason }) => `${instance}: ${reason}`)).toEqual([
      'd: its address "x": has no port: write host:port',
      'c: same address and port as "a"',
    ])
    expect(oddities.map(({ kind, subject }) => `${kind} of ${subject}`)).toEqual(['shared-address of c'])
  })

  test('does not depend on the order of its keys', () => {
    const some = instances({ c: 'a:80', a: 'a:80', b: 'b:80', d: '', e: 'c:80', f: '{' })
    const expected = serviceOf(some).service
    expect(expected.endpoints).toEqual([...expected.endpoints].sort(compareEndpoints))
    fc.assert(
      fc.property(fc.shuffledSubarray(some, { minLength: some.length }), (shuffled) => {
        expect(serviceOf(shuffled).service).toEqual(expected)
      }),
    )
  })
})
