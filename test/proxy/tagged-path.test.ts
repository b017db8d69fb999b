/** What reaches an endpoint of a route, and what is refused on the way? */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { routeTable, type TagRoute } from '../../src/proxy/route-table.ts'
import { taggedRouteOf } from '../../src/proxy/tagged-path.ts'

function route(name: string, strip = '', prepend = ''): TagRoute {
  const slash = name.indexOf('/')
  return { name, host: name.slice(0, slash), path: name.slice(slash), ways: [{ strip, prepend }], wayOf: null }
}

const table = routeTable([
  route('/foo'),
  route('/cut/', '/cut'),
  route('/part/of', '/part'),
  route('/all', '/all'),
  route('/new', '', '/old'),
  route('/moved', '/moved', '/to'),
  route('/deep', '/deep/er'),
  route('h.example/', '/app'),
])
const of = (target: string, host = 'x') => taggedRouteOf(target, ['Accept', '*/*', 'hOsT', host], table)

describe('what an endpoint sees', () => {
  test.each([
    ['the path as it came', '/foo/a?b=/../%zz', '/foo', '/foo/a?b=/../%zz', ''],
    ['a stripped one', '/cut/a/b', '/cut/', '/a/b', '/cut'],
    ['one of which a part is stripped', '/part/of/a', '/part/of', '/of/a', '/part'],
    ['a slash, where nothing is left', '/all', '/all', '/', '/all'],
    ['a slash in front of the query', '/all?q', '/all', '/?q', '/all'],
    ['as in fabio, a slash in front of the rest of a segment', '/allure', '/all', '/ure', '/all'],
    ['a longer one', '/new/a', '/new', '/old/new/a', ''],
    ['another one', '/moved/a', '/moved', '/to/a', '/moved'],
    ['no strip that does not stand there', '/deep/x', '/deep', '/deep/x', ''],
    ['a strip that is longer than the route', '/deep/er/x', '/deep', '/x', '/deep/er'],
    ['matched as it reads, forwarded as it was written', '/%63ut%2Fa%20b', '/cut/', '/%2Fa%20b', '/%63ut'],
    ['absolute form', 'http://x/foo', '/foo', '/foo', ''],
    ['dots that stay inside', '/foo/a/../b', '/foo', '/foo/a/../b', ''],
    ['dots that stay inside, behind a longer segment', '/foobar/a/../b', '/foo', '/foobar/a/../b', ''],
    ['dots that stay inside a route that ends with a slash', '/cut/a/../b', '/cut/', '/a/../b', '/cut'],
    ['dots at the end of a name', '/foo..', '/foo', '/foo..', ''],
  ])('%s: %s', (_, target, service, rest, prefix) => {
    expect(of(target)).toEqual({ kind: 'route', service, target: rest, prefix })
  })

  test('the host of the request decides', () => {
    expect(of('/app/a', 'H.example')).toMatchObject({ service: 'h.example/', target: '/a', prefix: '/app' })
    expect(of('/app/a', 'other')).toBeNull()
    expect(taggedRouteOf('/foo', [], table)).toMatchObject({ service: '/foo' })
  })

  test('the longest claim there may be is found, though each character of it is sent as three', () => {
    const longest = `/${'a'.repeat(254)}`
    const found = taggedRouteOf(`/${'%61'.repeat(254)}%2F%61?b`, [], routeTable([route('/a'), route(longest, longest)]))
    expect(found).toMatchObject({ service: longest, target: '/%2F%61?b' })
  })

  test('endpoints that want it otherwise see it otherwise', () => {
    const [asItIs, cut] = [
      { strip: '', prepend: '' },
      { strip: '/a', prepend: '/b' },
    ]
    const wayOf = new Map([
      ['old:1', asItIs],
      ['new:1', cut],
    ])
    const mixed = routeTable([{ name: '/a', host: '', path: '/a', ways: [asItIs, cut], wayOf }])
    const found = taggedRouteOf('/a/x?y', [], mixed)
    if (found?.kind !== 'route') throw new Error('it has a route')
    expect(found.along?.('old:1')).toEqual({ target: '/a/x?y', prefix: '' })
    expect(found.along?.('new:1')).toEqual({ target: '/b/x?y', prefix: '/a' })
    expect(found.along?.('gone:1')).toEqual({ target: '/a/x?y', prefix: '' })
  })
})

describe('a request that leaves its route, or could be read in two ways, is refused', () => {
  test.each([
    '/foo/..',
    '/foo/../admin',
    '/foo/%2e%2e/admin',
    '/foo/a/..%2f../b',
    '/%66oo/../admin',
    '/cut/../admin',
    '/foo/..;x/admin',
    '/foo\\..\\admin',
    '/foo/%zz',
    '/foo/%00',
    '/foo/%c0%ae',
    // A segment that the route ends in the middle of is the route's own: behind it `..` leaves the route.
    '/foobar/../admin',
    '/foobar%2f..%2fadmin',
    '/part/offer/../admin',
    '/cut%2fa/../../admin',
    // Inside of the route, but not behind what is cut off.
    '/deep/er/../../x',
    '/deep/er/../x',
  ])('%s', (target) => {
    expect(of(target)).toEqual({ kind: 'invalid', detail: expect.any(String) })
  })

  test.each(['/bar', '/fo', '/../foo', '/%2e%2e/foo', 'foo', '*', '/foo#a', '/fo\u00e4', ''])(
    'what has no route is left to others to judge: %s',
    (target) => {
      expect(of(target)).toBeNull()
    },
  )
})

test('whatever is forwarded as it came is still on its route once dots are resolved', () => {
  const piece = fc.constantFrom('/foo', '/', '..', '%2e', '%2F', '.', 'a', ';x', '%66oo', '%5c')
  const target = fc.array(piece, { maxLength: 8 }).map((list) => `/foo${list.join('')}`)
  fc.assert(
    fc.property(target, (sent) => {
      const found = of(sent)
      if (found?.kind !== 'route') return
      expect(found.target).toBe(sent)
      for (const read of [sent.replace(/%2e/gi, '.'), decodeURIComponent(sent).replaceAll('\\', '/')]) {
        const kept: string[] = []
        for (const segment of read.replaceAll('%66', 'f').split('/')) {
          const name = segment.replace(/;.*/, '')
          if (name === '..') kept.pop()
          else if (name !== '.' && name !== '') kept.push(name)
        }
        expect(`/${kept.join('/')}`).toMatch(/^\/foo/)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('whatever is forwarded stays below what was cut off, for every reading of it', () => {
  const piece = fc.constantFrom(
    '/foo',
    '/cut',
    '/deep',
    '/er',
    '/all',
    '/',
    '..',
    '%2e',
    '%2F',
    '.',
    'a',
    ';x',
    '%63ut',
    '?q',
  )
  const target = fc.array(piece, { minLength: 1, maxLength: 8 }).map((list) => `/${list.join('')}`.replace('//', '/'))
  fc.assert(
    fc.property(target, (sent) => {
      const found = of(sent)
      if (found?.kind !== 'route') return
      expect(found.target.startsWith('/')).toBe(true)
      // Nothing is made up: what is cut off and what is left are the target, but for a slash in front.
      expect([
        found.prefix + found.target,
        found.prefix + found.target.slice(1),
        `/old${sent}`,
        `/to${sent}`,
      ]).toContain(sent)
      const read = decodeURIComponent(found.target.split('?')[0] ?? '')
      let depth = 0
      for (const segment of read.split('/').map((each) => each.replace(/;.*/, ''))) {
        if (segment === '..') depth--
        else if (segment !== '' && segment !== '.') depth++
        expect(depth).toBeGreaterThanOrEqual(0)
      }
    }),
    { numRuns: 2_000 },
  )
})
