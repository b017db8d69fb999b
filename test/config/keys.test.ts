import { describe, expect, test } from 'vitest'
import { adviceFor, environmentName, fixedPaths, formatPath, nearest } from '../../src/config/keys.ts'
import { knownKeys } from '../../src/config/load.ts'

describe('the nearest known word', () => {
  test.each([
    ['connectTimeot', 'connectTimeout', 'a letter is missing'],
    ['conectTimeout', 'connectTimeout', 'another one is missing'],
    ['prot', 'port', 'two neighbours are swapped'],
    ['connect_timeout', 'connectTimeout', 'it is written in another case'],
    ['CONNECT-TIMEOUT', 'connectTimeout', 'it is written in yet another case'],
    ['keepalive', 'keepAlive', 'a capital is missing'],
    ['elephant', null, 'nothing is near'],
    ['xx', null, 'a short word with nothing in common is nothing near'],
    ['connectTimeout'.repeat(9), null, 'it is far too long'],
  ])('of %j is %j: %s', (word, known, _why) => {
    expect(nearest(word, ['host', 'port', 'keepAlive', 'connectTimeout'])).toBe(known)
  })
})

describe('advice on an unknown key', () => {
  test.each([
    [['upstream'], 'conectTimeout', 'unknown key, did you mean connectTimeout?'],
    [[], 'connectTimeout', 'unknown key, did you mean upstream.connectTimeout?'],
    [['services', 'a', 'routing'], 'basePath', 'unknown key, did you mean routing.basePath?'],
    [['listen'], 'elephant', 'unknown key, here may stand host, port'],
    [['listen', 'port'], 'x', 'unknown key'],
  ])('below %j, %j: %s', (parent, key, advice) => {
    expect(adviceFor(knownKeys, parent, key)).toBe(advice)
  })
})

describe('names of keys', () => {
  test.each([
    [['upstream', 'connectTimeout'], 'upstream.connectTimeout'],
    [['retry', 'statuses', 0], 'retry.statuses[0]'],
    [['services', 'a.b', 'retry'], 'services["a.b"].retry'],
    [['services', 'quotes-service'], 'services.quotes-service'],
    [[''], '[""]'],
  ])('the path %j is written %s', (path, text) => {
    expect(formatPath(path)).toBe(text)
  })

  test('no two keys share the name of a variable', () => {
    const names = [...fixedPaths(knownKeys)].map(([path]) => environmentName(path))
    expect(names).toContain('UPSTREAM_CONNECT_TIMEOUT')
    expect(new Set(names).size).toBe(names.length)
  })
})
