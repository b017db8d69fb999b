/** Which route has a host and a path? */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { routeTable, type TagRoute } from '../../src/proxy/route-table.ts'

function route(name: string): TagRoute {
  const slash = name.indexOf('/')
  const way = { strip: '', prepend: '' }
  return { name, host: name.slice(0, slash), path: name.slice(slash), ways: [way], wayOf: null }
}

const table = routeTable(
  [
    '/',
    '/foo',
    '/foo/bar/',
    'a.example/',
    'a.example/foo',
    '*.example/foo',
    '*.b.example/',
    '*/any',
    'c.example:99/',
  ].map(route),
)

describe('which route has', () => {
  test.each([
    ['the longest that the path starts with', '', '/foo/bar/x', '/foo/bar/'],
    ['a shorter one, where the longer ends otherwise', '', '/foo/baz', '/foo'],
    ['as fabio, one that ends in the middle of a segment', '', '/foobar', '/foo'],
    ['the case of a path matters', '', '/Foo', '/'],
    ['what is left', '', '/zzz', '/'],
    ['the very host first', 'a.example', '/foo', 'a.example/foo'],
    ['the very host first, be its path shorter', 'a.example', '/foo/bar/x', 'a.example/foo'],
    ['the host in capitals', 'A.EXAMPLE', '/x', 'a.example/'],
    ['port 80 is no port', 'a.example:80', '/x', 'a.example/'],
    ['another port is another host', 'a.example:81', '/x', '/'],
    ['a port that was claimed', 'c.example:99', '/x', 'c.example:99/'],
    ['not the port that was not', 'c.example', '/x', '/'],
    ['all hosts below one', 'x.y.example', '/foo', '*.example/foo'],
    ['the longer of two such', 'x.b.example', '/foo', '*.b.example/'],
    ['the next one, if the first has no path for it', 'x.y.example', '/any', '*/any'],
    ['every host before those who name none', 'z', '/any', '*/any'],
    ['any host, if its own has no path for it', 'x.y.example', '/zzz', '/'],
    ['a host that none has', 'z', '/foo', '/foo'],
    ['a host without end', `${'a.'.repeat(8_000)}b.example`, '/foo', '/foo'],
    ['a question mark ends the path', '', '/foo?/bar/', '/foo'],
  ])('%s', (_, host, path, name) => {
    expect(table.find(host, path)?.name).toBe(name)
  })

  test('no route at all', () => {
    const few = routeTable([route('/foo'), route('a.example/')])
    expect(few.find('b.example', '/fo')).toBeNull()
    expect(few.find('', '/')).toBeNull()
    expect(routeTable([]).find('a', '/')).toBeNull()
  })

  test('it is known whether hosts matter', () => {
    expect(table.hasHosts).toBe(true)
    expect(routeTable([route('/'), route('/a')]).hasHosts).toBe(false)
    expect(routeTable([route('a.example/')]).hasHosts).toBe(true)
  })
})

/** fabio's rule, written down as it is said. */
function model(routes: readonly TagRoute[], host: string, path: string): string | null {
  const isOf = (pattern: string) => pattern.startsWith('*') && host.endsWith(pattern.slice(1))
  const wild = [...new Set(routes.map((each) => each.host))].filter(isOf).sort((a, b) => b.length - a.length)
  for (const of of [...(host === '' ? [] : [host]), ...wild, '']) {
    const found = routes.filter((each) => each.host === of && path.startsWith(each.path))
    const best = found.sort((a, b) => b.path.length - a.path.length)[0]
    if (best !== undefined) return best.name
  }
  return null
}

const letters = (of: string, most: number) =>
  fc.array(fc.constantFrom(...of), { maxLength: most }).map((list) => list.join(''))
const anyHost = fc.constantFrom('', 'a', 'b.a', 'c.b.a', 'a:9', '*', '*.a', '*.b.a')
const anyPath = letters('ab/-', 7).map((text) => `/${text}`)

test('whatever the routes are, a path has the one that the plain rule says', () => {
  const names = fc.uniqueArray(
    fc.tuple(anyHost, anyPath).map((parts) => parts.join('')),
    { maxLength: 40 },
  )
  const hosts = fc.constantFrom('', 'a', 'b.a', 'c.b.a', 'd.c.b.a', 'a:9', 'z')
  fc.assert(
    fc.property(names, fc.array(fc.tuple(hosts, anyPath), { maxLength: 20 }), (all, asked) => {
      const routes = all.map(route)
      const made = routeTable(routes)
      for (const [host, path] of asked) {
        expect([host, path, made.find(host, path)?.name ?? null]).toEqual([host, path, model(routes, host, path)])
      }
    }),
    { numRuns: 500 },
  )
})
