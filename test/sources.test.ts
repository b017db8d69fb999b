import { expect, test } from 'vitest'
import { whyUnknown } from '../src/source-rules.ts'
import { configOf } from './config/support.ts'

const consul = (rules: string) => configOf(`discovery: { consul: { ${rules} } }`)

test.each([
  [
    'the glob that excludes it',
    'consul-dns',
    consul("exclude: [a, 'consul*']"),
    'excluded',
    'leaves it out by "consul*"',
  ],
  [
    'the globs of which none includes it',
    'web',
    consul("include: ['a*', b]"),
    'not-included',
    'is "a*", "b", which does not',
  ],
  [
    'that it is this proxy',
    'evenkeel',
    configOf('register: { enabled: true }'),
    'this-proxy',
    'it is this proxy itself',
  ],
  ['that it could not be in a path', 'a/b', consul(''), 'bad-name', 'cannot stand in a path'],
  [
    'that the config does not name it',
    'web',
    configOf("discovery: { source: static, static: { services: { a: ['127.0.0.1:1'] } } }"),
    'not-configured',
    'discovery.static.services does not name it',
  ],
  ['that Consul does not list it', 'web', consul(''), 'not-listed', 'Consul does not list it'],
])('why a name is unknown: %s', (_, name, config, because, words) => {
  expect(whyUnknown(name, config, true)).toMatchObject({ because, text: expect.stringContaining(words) })
})

test('why a name is unknown before there is a catalog: because of that, unless the config leaves it out anyway', () => {
  expect(whyUnknown('web', consul(''), false)).toMatchObject({ because: 'no-catalog' })
  expect(whyUnknown('consul', consul(''), false)).toMatchObject({ because: 'excluded' })
})
