import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { routeOf } from '../../src/proxy/request-path.ts'

const stripped = (target: string, basePath = '') => routeOf(target, basePath, () => true)

describe('which service a target names, and what is left for the endpoint', () => {
  const rows: { name: string; target: string; basePath?: string; strip?: boolean; route: [string, string, string] }[] =
    [
      { name: 'service and path', target: '/s/a/b', route: ['s', '/a/b', '/s'] },
      { name: 'a service alone is its root', target: '/s', route: ['s', '/', '/s'] },
      { name: 'a service with a slash is its root', target: '/s/', route: ['s', '/', '/s'] },
      { name: 'the query goes along', target: '/s/a?x=/../%zz', route: ['s', '/a?x=/../%zz', '/s'] },
      {
        name: 'the query is the endpoint’s to read, whatever is encoded in it',
        target: '/s/a?%c0%ae%00%&b=\\',
        route: ['s', '/a?%c0%ae%00%&b=\\', '/s'],
      },
      { name: 'a query right behind the service', target: '/s?x', route: ['s', '/?x', '/s'] },
      { name: 'nothing is decoded on the way', target: '/s/%41%2f%252e', route: ['s', '/%41%2f%252e', '/s'] },
      {
        name: 'an encoded service name is decoded to route, and kept as it was in the prefix',
        target: '/%73%20x/a',
        route: ['s x', '/a', '/%73%20x'],
      },
      { name: 'empty segments stay', target: '/s//a//', route: ['s', '//a//', '/s'] },
      { name: 'dots that stay inside are kept', target: '/s/a/../b/./c', route: ['s', '/a/../b/./c', '/s'] },
      { name: 'an unstripped prefix', target: '/s/a?x', strip: false, route: ['s', '/s/a?x', ''] },
      { name: 'a base path', target: '/api/v1/s/a', basePath: '/api/v1', route: ['s', '/a', '/api/v1/s'] },
      {
        name: 'a base path that is not stripped',
        target: '/api/s/a',
        basePath: '/api',
        strip: false,
        route: ['s', '/api/s/a', ''],
      },
      { name: 'absolute form', target: 'http://h:1/s/a?x', route: ['s', '/a?x', '/s'] },
      { name: 'absolute form in capitals', target: 'HTTPS://h/s', route: ['s', '/', '/s'] },
    ]
  for (const { name, target, basePath = '', strip = true, route } of rows) {
    it(`${name}: ${target}`, () => {
      const [service, rest, prefix] = route
      expect(routeOf(target, basePath, () => strip)).toEqual({ kind: 'route', service, target: rest, prefix })
    })
  }

  it('stripping is a matter of each service', () => {
    const byName = (service: string) => service === 'a'
    expect(routeOf('/a/x', '', byName)).toMatchObject({ target: '/x' })
    expect(routeOf('/b/x', '', byName)).toMatchObject({ target: '/b/x' })
  })
})

describe('targets that route nowhere', () => {
  const rows: { name: string; targets: string[]; basePath?: string }[] = [
    { name: 'no service', targets: ['/', '//', '//a', '/?a', '?a', ''] },
    { name: 'a service that is a dot-segment', targets: ['/./a', '/../a', '/%2e/a', '/%2E%2e/a', '/.%2e'] },
    {
      name: 'a service with a slash, a backslash or a control character in it',
      targets: ['/a%2fb', '/a%5Cb', '/a%00', '/%7f', '/a\\b'],
    },
    { name: 'a service that does not decode', targets: ['/%', '/%4', '/%ff', '/%c0%ae'] },
    {
      name: 'neither a path nor an http URL',
      targets: ['*', 'a/b', 'host:443', 'ftp://h/s', 'http:/s', 'http://h', 'javascript:x'],
    },
    { name: 'a fragment', targets: ['/s#', '/s/a#b', '/s?a#b'] },
    {
      name: 'characters that must be encoded',
      targets: ['/s/a b', '/s/\t', '/s/\0', '/s/\r\n', '/s/é', '/s/\x7f', '/s/?é'],
    },
    { name: 'another base path', targets: ['/s/a', '/apis/a', '/ap', '/API/s'], basePath: '/api' },
    { name: 'a base path and no service', targets: ['/api', '/api/', '/api//s', '/api/../s'], basePath: '/api' },
    { name: 'a bad percent-encoding', targets: ['/s/%', '/s/%2', '/s/%g0', '/s/%%', '/s/%u0041'] },
    { name: 'an encoded control character', targets: ['/s/%00', '/s/%1F', '/s/%0a', '/s/%7f'] },
    { name: 'an overlong encoding', targets: ['/s/%c0%ae', '/s/%C1%9C', '/s/%e0%80%ae', '/s/%F0%80%80%af'] },
    { name: 'a backslash', targets: ['/s\\a', '/s/\\', '/s/a\\..\\b'] },
    {
      name: 'a way out',
      targets: ['/s/..', '/s/../', '/s/a/../..', '/s/./..', '/s//..', '/s/a//../..', '/s/a/./../../b'],
    },
    { name: 'a way out with encoded dots', targets: ['/s/%2e%2e', '/s/.%2E', '/s/%2e./a', '/s/a/%2e%2e/.%2e'] },
    {
      name: 'a way out with encoded slashes',
      targets: ['/s/..%2f', '/s/a%2f..%2f..', '/s/..%5c', '/s/%2e%2e%2fa', '/s/a%2F%2e%2E/..'],
    },
    { name: 'a way out that only one of two readings shows', targets: ['/s/a%5cb%2f..%2f..', '/s/a%2fb%5c..%5c..'] },
    {
      name: 'a way out behind path parameters',
      targets: ['/s/..;', '/s/..;a=b/c', '/s/a;b/..;/..', '/s/;x/..', '/s/..%3bx/'],
    },
  ]
  for (const { name, targets, basePath } of rows) {
    for (const target of targets) {
      it(`${name}: ${JSON.stringify(target)}`, () => {
        expect(stripped(target, basePath)).toMatchObject({
          kind: 'invalid',
          detail: expect.stringMatching(/^The .*\.$/),
        })
      })
    }
  }
})

describe('whatever the target', () => {
  const pieces = [
    '/',
    '//',
    '..',
    '.',
    '%2e',
    '%2E',
    '%2f',
    '%2F',
    '%5c',
    '\\',
    ';',
    'a',
    'b%20',
    '%',
    '%00',
    '?',
    '#',
    's',
    '%c0%ae',
    'é',
    ' ',
    '\t',
    'http://h',
    '%252e',
  ]
  /** Nothing but what a path climbs with: few of these are refused for another reason. */
  const climbing = fc
    .array(fc.constantFrom('/', '/', '..', '..', '%2e%2e', '.', '%2f', '%5C', 'a', 'a', ';'), { maxLength: 12 })
    .map((list) => `/s/a/${list.join('')}`)
  const hostile = fc.oneof(
    climbing,
    fc.array(fc.constantFrom(...pieces), { maxLength: 14 }).map((list) => `/s/${list.join('')}`),
    fc.array(fc.constantFrom(...pieces), { maxLength: 10 }).map((list) => list.join('')),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.webUrl({ withQueryParameters: true, withFragments: true }),
  )
  const settings = { numRuns: 3_000 }

  it('nothing is thrown', () => {
    fc.assert(
      fc.property(hostile, fc.boolean(), fc.constantFrom('', '/api'), (target, strip, basePath) => {
        expect(routeOf(target, basePath, () => strip).kind).toMatch(/^(route|invalid)$/)
      }),
      settings,
    )
  })

  it('what is forwarded starts with a slash and has no character that could end a line or a word', () => {
    fc.assert(
      fc.property(hostile, fc.boolean(), (target, strip) => {
        const route = routeOf(target, '', () => strip)
        if (route.kind === 'route') expect(route.target).toMatch(/^\/[!-"$-~]*$/)
      }),
      settings,
    )
  })

  it('what is forwarded is part of what came, unchanged', () => {
    fc.assert(
      fc.property(hostile, (target) => {
        const route = stripped(target)
        if (route.kind === 'invalid') return
        expect(target.includes(route.prefix)).toBe(true)
        expect(target.endsWith(route.target) || route.target === '/' || route.target.startsWith('/?')).toBe(true)
      }),
      settings,
    )
  })

  it('no reading of it, by whatever a server decodes and drops, climbs out', () => {
    const readings: ((path: string) => string)[] = [(path) => path]
    for (const decode of [/%2e/gi, /%2f/gi, /%5c/gi, /%2f|%5c/gi]) {
      for (const earlier of [...readings]) {
        readings.push((path) => earlier(path).replace(decode, (match) => (/%2e/i.test(match) ? '.' : '/')))
      }
    }
    fc.assert(
      fc.property(climbing, (target) => {
        const route = stripped(target)
        if (route.kind === 'invalid') return
        for (const reading of readings) {
          for (const parameters of [/(?!)/, /;[^/]*/g]) {
            for (const merged of [/(?!)/, /\/+/g]) {
              const path = reading(route.target.split('?')[0] as string)
                .replace(parameters, '')
                .replace(merged, '/')
              // Two known levels above: a path that climbs out would lose one of them.
              const url = new URL(`http://x/up/s${path}`)
              expect(`${url.pathname}/`.startsWith('/up/s/'), `${target} → ${path} → ${url.pathname}`).toBe(true)
            }
          }
        }
      }),
      settings,
    )
  })
})
