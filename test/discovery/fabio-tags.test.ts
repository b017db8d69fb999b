/** Which requests do tags in fabio's way ask for? */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bothClaims, claimsFrom, claimsOf, MAX_CLAIMS, readClaims } from '../../src/discovery/fabio-tags.ts'
import type { Oddity } from '../../src/discovery/oddity.ts'

/** The claims of these tags, without what is as usual in them, and what was told. */
function read(...tags: unknown[]) {
  const told: string[] = []
  const claims = claimsOf(tags, (_, words) => void told.push(words))
  return { claims, told }
}
const usual = { host: '', path: '/', strip: '', prepend: '', share: null, refused: null }

describe('what a tag claims', () => {
  test.each([
    ['a path of any host', 'urlprefix-/css', { path: '/css' }],
    ['a path of one host', 'urlprefix-i.example/static', { host: 'i.example', path: '/static' }],
    ['all of one host', 'urlprefix-example.com/', { host: 'example.com' }],
    [
      'the host in lower case, the path as it is',
      'urlprefix-WWW.Example.com/Foo',
      { host: 'www.example.com', path: '/Foo' },
    ],
    ['a host with its port', 'urlprefix-example.com:9999/', { host: 'example.com:9999' }],
    ['port 80 is what a host without a port has', 'urlprefix-example.com:80/a', { host: 'example.com', path: '/a' }],
    ['all hosts below one', 'urlprefix-*.example.com/', { host: '*.example.com' }],
    ['every host, before those who name none', 'urlprefix-*/a', { host: '*', path: '/a' }],
    ['blanks around and in between', '  urlprefix-  /a   strip=/a  ', { path: '/a', strip: '/a' }],
    ['what is cut off', 'urlprefix-/foo/bar strip=/foo', { path: '/foo/bar', strip: '/foo' }],
    ['what is put in front', 'urlprefix-/bar prepend=/foo', { path: '/bar', prepend: '/foo' }],
    ['a fixed share', 'urlprefix-/a weight=0.05', { path: '/a', share: 0.05 }],
    ['a share of more than all', `urlprefix-/a weight=${'9'.repeat(400)}`, { path: '/a', share: 1_000_000 }],
    ['no fixed share', 'urlprefix-/a weight=0', { path: '/a', share: null }],
    ['a share below nothing is none', 'urlprefix-/a weight=-1', { path: '/a', share: null }],
    ['the protocol that there is', 'urlprefix-/a proto=http', { path: '/a' }],
  ])('%s: %s', (_, tag, claim) => {
    expect(read(tag)).toEqual({ claims: [{ ...usual, ...claim }], told: [] })
  })

  test('other tags, and what is none, claim nothing and are not told of', () => {
    expect(read('blue', 'URLPREFIX-/a', 'xurlprefix-/a', 7, null, {}, 'urlprefix')).toEqual({ claims: [], told: [] })
    expect(claimsOf(null, () => {})).toEqual([])
    expect(claimsOf('urlprefix-/a', () => {})).toEqual([])
  })

  test('several, ordered by host and path, each once', () => {
    const { claims, told } = read('urlprefix-b.example/', 'urlprefix-/z', 'urlprefix-/a', 'urlprefix-/z')
    expect(claims.map(({ host, path }) => host + path)).toEqual(['/a', '/z', 'b.example/'])
    expect(told).toEqual([])
  })
})

describe('what is not understood is told, and', () => {
  test.each([
    'proto=https',
    'proto=grpc',
    'redirect=301,https://example.com/',
    'allow=ip:10.0.0.0/8',
    'deny=ip:10.0.0.0/8',
    'auth=people',
    'host=dst',
    'tlsskipverify=true',
    'pxyproto=true',
    'weight=much',
    'strip=a',
    'strip=/%41',
    'prepend=/a/../b',
    'whatever',
  ])('claims its place without serving it: %s', (option) => {
    const { claims, told } = read(`urlprefix-/a strip=/a ${option}`)
    expect(claims).toMatchObject([{ path: '/a', refused: `its tag asks for ${option}, which is not understood` }])
    expect(told).toEqual([`${option} is not understood: requests for it are answered 503`])
  })

  test.each([
    ['a TCP port', 'urlprefix-:3306 proto=tcp', 'only HTTP is forwarded'],
    ['a TCP host', 'urlprefix-db.example proto=tcp+sni', 'only HTTP is forwarded'],
    ['a host without a path', 'urlprefix-example.com', 'a path must follow the host'],
    ['nothing', 'urlprefix-', 'a path must follow the host'],
    ['a glob of hosts', 'urlprefix-www.*.com/', 'its host is no name'],
    ['a glob that has no whole name', 'urlprefix-*example.com/', 'its host is no name'],
    ['a glob of paths', 'urlprefix-/a/*', 'globs and variables in a path'],
    ['a variable in the host', 'urlprefix-$DC.example.com/', 'variables'],
    ['a variable in the path', 'urlprefix-/$DC', 'globs and variables in a path'],
    ['a path that no decoded path is', 'urlprefix-/%41', 'a path has no %'],
    ['a query', 'urlprefix-/a?b', 'a path has no %'],
    ['dots', 'urlprefix-/a/../b', 'a path has no segment of dots'],
    ['dots with parameters', 'urlprefix-/a/..;x', 'a path has no segment of dots'],
    ['another alphabet', 'urlprefix-/\u00e4', 'visible ASCII'],
    ['a place without end', `urlprefix-/${'a'.repeat(300)}`, 'longer than 255 characters'],
    ['a tag without end', `urlprefix-/a ${'b'.repeat(2_000)}`, 'longer than 1024 characters'],
  ])('claims nothing where no request could be it: %s', (_, tag, words) => {
    const { claims, told } = read(tag)
    expect(claims).toEqual([])
    expect(told).toEqual([expect.stringContaining(words)])
  })

  test('two tags that say different things of one place', () => {
    const { claims } = read('urlprefix-/a strip=/a', 'urlprefix-/a')
    expect(claims).toMatchObject([{ path: '/a', refused: 'two of its tags differ about it' }])
  })

  test('register= is not done, and its route is', () => {
    const { claims, told } = read('urlprefix-a.example/ register=a')
    expect(claims).toMatchObject([{ host: 'a.example', refused: null }])
    expect(told).toEqual([expect.stringContaining('register= adds no service')])
  })

  test('more tags than anybody needs', () => {
    const { claims, told } = read(...Array.from({ length: MAX_CLAIMS + 5 }, (_, at) => `urlprefix-/${at}`))
    expect(claims).toHaveLength(MAX_CLAIMS)
    expect(told).toEqual([`its instance has more than ${MAX_CLAIMS} such tags`])
  })
})

test('what is told names tag and instance in printable words, by tag', () => {
  const oddities: Oddity[] = []
  expect(readClaims(['urlprefix-/a proto=https\u202e'], 'web-1', oddities)).toMatchObject({ claims: [{ path: '/a' }] })
  expect(oddities).toEqual([
    {
      kind: 'bad-route-tag',
      subject: 'urlprefix-/a proto=https?',
      text: 'proto=https? is not understood: requests for it are answered 503 (the tag "urlprefix-/a proto=https?" of "web-1")',
    },
  ])
  expect(readClaims(['blue'], 'web-1', [])).toEqual({})
})

test('instances at one address have the claims of all; where they differ nobody is served', () => {
  const [a, b] = [read('urlprefix-/a', 'urlprefix-/b').claims, read('urlprefix-/b strip=/b', 'urlprefix-/c').claims]
  expect(bothClaims(a, b).map(({ path, refused }) => [path, refused])).toEqual([
    ['/a', null],
    ['/b', 'two of its tags differ about it'],
    ['/c', null],
  ])
})

const piece = fc.constantFrom(
  'urlprefix-',
  '/',
  'a',
  '*',
  '.',
  ':80',
  '%',
  ' ',
  'strip=',
  'weight=',
  '1',
  '\u0000',
  '\ud800',
  '$',
  '..',
)
const anyTag = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(piece, { maxLength: 12 }).map((list) => `urlprefix-${list.join('')}`),
)

test('whatever the tags are, the claims are sound, and survive a file', () => {
  fc.assert(
    fc.property(fc.array(anyTag, { maxLength: 6 }), (tags) => {
      const { claims } = read(...tags)
      expect(claimsFrom(JSON.parse(JSON.stringify(claims)))).toEqual(claims)
      for (const { host, path } of claims) {
        expect(host).toBe(host.toLowerCase())
        expect(path).toMatch(/^\/[!-~]*$/)
      }
    }),
  )
})

describe('what comes back from a file is refused', () => {
  const good = { ...usual, path: '/a' }
  test.each([
    ['unless it is a list', good],
    ['with a place that no tag can claim', [{ ...good, path: '/a/../b' }]],
    ['with a host that no tag can claim', [{ ...good, host: 'a/b' }]],
    ['without a path', [{ ...good, path: undefined }]],
    ['with a strip that is no path', [{ ...good, strip: 'a' }]],
    ['with a prepend that has a line break', [{ ...good, prepend: '/a\n' }]],
    ['with a share of nothing', [{ ...good, share: 0 }]],
    ['with words that are not printable', [{ ...good, refused: '\u001b[31m' }]],
    ['with too many', Array.from({ length: MAX_CLAIMS + 1 }, (_, at) => ({ ...good, path: `/${at}` }))],
    ['with an entry that is none', [null]],
  ])('%s', (_, value) => {
    expect(claimsFrom(value)).toBeNull()
    expect(claimsFrom([good])).toEqual([good])
  })
})
