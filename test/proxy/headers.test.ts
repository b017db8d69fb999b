import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ExchangeRequest } from '../../src/proxy/exchange.ts'
import { commonSpellings, role, rolesOf } from '../../src/proxy/field-names.ts'
import {
  endToEnd,
  forbiddenTrailer,
  headerValue,
  headerValues,
  originOf,
  requestHeaders,
  responseHeaders,
  saneRequestId,
  trailersOf,
} from '../../src/proxy/headers.ts'

const nothing = 0

function requestWith(rawHeaders: readonly string[], rest: Partial<ExchangeRequest> = {}): ExchangeRequest {
  return {
    method: 'GET',
    target: '/s/',
    httpVersion: '1.1',
    rawHeaders,
    hasBody: false,
    upgrade: null,
    clientAddress: '192.0.2.1',
    localPort: 8080,
    secure: false,
    ...rest,
  }
}

describe('finding a header', () => {
  it('is a matter of its name without its case, and of nothing else', () => {
    const headers = ['Host', 'a', 'X', 'host', 'hOST', 'b']
    expect([headerValue(headers, 'host'), headerValues(headers, 'host')]).toEqual(['a', ['a', 'b']])
    expect([headerValue(headers, 'hosts'), headerValues(headers, 'a')]).toEqual([null, []])
  })
})

describe('which headers pass to the next hop', () => {
  const rows: { name: string; headers: string[]; pass: string[]; drop?: number }[] = [
    {
      name: 'end-to-end headers, in order, with case and duplicates',
      headers: ['B', '1', 'a', '2', 'b', '3', 'B', '1'],
      pass: ['B', '1', 'a', '2', 'b', '3', 'B', '1'],
    },
    {
      name: 'no hop-by-hop header, in any case',
      headers: [
        'CONNECTION',
        'close',
        'keep-Alive',
        '1',
        'TE',
        'x',
        'Transfer-Encoding',
        'chunked',
        'Upgrade',
        'x',
        'Proxy-Connection',
        'x',
        'Proxy-Authorization',
        'x',
        'Proxy-Authenticate',
        'x',
        'A',
        '1',
      ],
      pass: ['A', '1'],
    },
    {
      name: 'none that Connection names, in whatever case, list or line',
      headers: ['Connection', ' x-A ,,X-B', 'X-a', '1', 'Connection', 'x-c', 'X-B', '2', 'X-C', '3', 'X-D', '4'],
      pass: ['X-D', '4'],
    },
    {
      name: 'Connection cannot take away what gives a message its meaning',
      headers: [
        'Connection',
        'host, content-length, content-type',
        'Host',
        'h',
        'Content-Length',
        '1',
        'Content-Type',
        't',
      ],
      pass: ['Host', 'h', 'Content-Length', '1', 'Content-Type', 't'],
    },
    {
      name: 'Connection cannot take away what proxies say of the way here',
      headers: ['Connection', 'x-forwarded-for, X-Real-IP, forwarded, via, x-request-id, x-a'].concat(
        ['X-Forwarded-For', 'X-Real-IP', 'Forwarded', 'Via', 'X-Request-Id', 'X-A'].flatMap((name) => [name, '1']),
      ),
      pass: ['X-Forwarded-For', 'X-Real-IP', 'Forwarded', 'Via', 'X-Request-Id'].flatMap((name) => [name, '1']),
    },
    {
      name: 'none with a role that is dropped',
      headers: ['X-A', '1', 'x-reQuest-id', '2', 'Expect', '3'],
      drop: role.droppedFromResponse,
      pass: ['X-A', '1', 'Expect', '3'],
    },
    {
      name: 'none that an endpoint could take for one of these',
      headers: [
        'X_REAL_IP',
        '1',
        'x-forwarded_For',
        '2',
        'Transfer_Encoding',
        'chunked',
        'X_D',
        '3',
        'X_Real-Ip_',
        '4',
      ],
      drop: role.droppedFromAnyone,
      pass: ['X_D', '3', 'X_Real-Ip_', '4'],
    },
    {
      name: 'values that look like names stay values',
      headers: ['A', 'connection', 'B', 'te'],
      pass: ['A', 'connection', 'B', 'te'],
    },
  ]
  for (const { name, headers, pass, drop } of rows) {
    it(name, () => expect(endToEnd(headers, drop ?? nothing)).toEqual(pass))
  }

  const field = fc.tuple(
    fc.constantFrom(
      'A',
      'a',
      'X-One',
      'x-one',
      'X_One',
      'Connection',
      'TE',
      'te',
      'Upgrade',
      'Transfer-Encoding',
      'Keep-Alive',
      'Host',
      'constructor',
      '__proto__',
    ),
    fc.constantFrom('', 'a', 'x-one', 'close', 'host, a', 'A , X-One', 'chunked'),
  )
  const forbidden = new Set(['connection', 'keep-alive', 'te', 'transfer-encoding', 'upgrade'])

  it('whatever comes, the rest keeps its order, and nothing hop-by-hop or named gets through', () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 12 }), (fields) => {
        const passed = endToEnd(fields.flat(), nothing)
        const named = new Set(
          fields
            .filter(([name]) => name === 'Connection')
            .flatMap(([, value]) => value.split(',').map((part) => part.trim().toLowerCase())),
        )
        named.delete('host')
        named.delete('')
        const expected = fields.filter(([name]) => !forbidden.has(name.toLowerCase()) && !named.has(name.toLowerCase()))
        expect(passed).toEqual(expected.flat())
      }),
    )
  })
})

describe('which trailers pass', () => {
  it('only what means nothing to framing, routing, credentials or the way here', () => {
    const dangerous = [
      'Content-Length',
      'Transfer-Encoding',
      'Host',
      'Authorization',
      'Cookie',
      'Set-Cookie',
      'Content-Type',
      'X-Forwarded-For',
      'X_Real_IP',
      'Forwarded',
      'Via',
      'Trailer',
      'Connection',
      'X-Request-Id',
    ]
    expect(trailersOf([...dangerous.flatMap((name) => [name, 'x']), 'X-Sum', '1', 'ETag', '"e"'])).toEqual([
      'X-Sum',
      '1',
      'ETag',
      '"e"',
    ])
  })
})

describe('a trailer that must not be one', () => {
  const names = [
    ...['Transfer-Encoding', 'content-length', 'HOST', 'Trailer', 'TE', 'Connection', 'Upgrade', 'Content-Encoding'],
    ...[
      'Content-Type',
      'Content-Range',
      'Authorization',
      'Cookie',
      'Set-Cookie',
      'X-Forwarded-For',
      'X_Forwarded_Host',
    ],
    ...['x-forwarded-Proto', 'Expect', 'Max-Forwards', 'Via', 'Forwarded', 'X-Real-IP', 'X-Request-Id', 'Keep-Alive'],
    ...['Proxy-Authorization', 'Cache-Control', 'Range', 'Pragma', 'WWW-Authenticate'],
  ]
  for (const name of names) {
    it(`is ${name}`, () => expect(forbiddenTrailer(['X-Sum', '1', name, 'x', 'Via', 'x'])).toBe(name))
  }
  it('is no field that is only about the body', () => {
    expect(
      forbiddenTrailer(['X-Sum', 'host', 'ETag', '1', 'Server-Timing', '2', 'Digest', '3', 'Hosts', '4']),
    ).toBeNull()
  })
})

describe('the roles of a field', () => {
  const odd = (name: string, picks: readonly boolean[]): string =>
    [...name].map((letter, index) => (picks[index] ? letter.toUpperCase() : letter.toLowerCase())).join('')

  it('are the same in whatever case', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...commonSpellings),
        fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
        (name, picks) => {
          expect(rolesOf(odd(name, picks))).toBe(rolesOf(name.toLowerCase()))
        },
      ),
    )
  })
  it('are none for any other name', () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        const plain = name.toLowerCase().replaceAll('_', '-')
        expect(rolesOf(name) !== 0 && !commonSpellings.includes(plain)).toBe(false)
      }),
    )
    expect(['constructor', '__proto__', '', 'te ', 'hos', 'X-Forwarded-Fo', 'x-forwarded-fos'].map(rolesOf)).toEqual(
      new Array(7).fill(0),
    )
  })
  it('are those of framing only for the name itself; what looks like it goes no further', () => {
    expect([rolesOf('Content_Length'), rolesOf('CONTENT-LENGTH') & role.contentLength]).toEqual([
      role.neverTrailer | role.hopByHop,
      role.contentLength,
    ])
  })
})

describe('who sent a request', () => {
  const trusted = (address: string) => address.startsWith('10.')
  const rows: { name: string; peer: string; forwardedFor: string[]; clientIp: string }[] = [
    {
      name: 'an untrusted peer is the client, whatever it says',
      peer: '192.0.2.1',
      forwardedFor: ['1.1.1.1'],
      clientIp: '192.0.2.1',
    },
    { name: 'a trusted peer that says nothing', peer: '10.0.0.1', forwardedFor: [], clientIp: '10.0.0.1' },
    {
      name: 'the right-most untrusted address behind a trusted peer',
      peer: '10.0.0.1',
      forwardedFor: ['6.6.6.6, 192.0.2.9, 10.0.0.2'],
      clientIp: '192.0.2.9',
    },
    {
      name: 'over several lines',
      peer: '10.0.0.1',
      forwardedFor: ['6.6.6.6', '192.0.2.9', '10.0.0.2'],
      clientIp: '192.0.2.9',
    },
    {
      name: 'all trusted: the left-most',
      peer: '10.0.0.1',
      forwardedFor: ['10.0.0.3, 10.0.0.2'],
      clientIp: '10.0.0.3',
    },
    {
      name: 'what is no address ends the chain',
      peer: '10.0.0.1',
      forwardedFor: ['192.0.2.9, <script>, 10.0.0.2'],
      clientIp: '10.0.0.2',
    },
    { name: 'IPv6', peer: '10.0.0.1', forwardedFor: ['2001:DB8::1'], clientIp: '2001:DB8::1' },
    {
      name: 'an empty entry ends the chain',
      peer: '10.0.0.1',
      forwardedFor: ['192.0.2.9,,10.0.0.2'],
      clientIp: '10.0.0.2',
    },
    { name: 'an empty first entry, too', peer: '10.0.0.1', forwardedFor: [',10.0.0.2'], clientIp: '10.0.0.2' },
    { name: 'an empty line ends the chain', peer: '10.0.0.1', forwardedFor: ['192.0.2.9', ''], clientIp: '10.0.0.1' },
    ...['1/2.3', '1.2.3.g', '::', `1.${'2'.repeat(44)}`].map((value) => ({
      name: `${value} is no address`,
      peer: '10.0.0.1',
      forwardedFor: [value],
      clientIp: '10.0.0.1',
    })),
  ]
  for (const { name, peer, forwardedFor, clientIp } of rows) {
    it(name, () => {
      const request = requestWith(
        forwardedFor.flatMap((value) => ['X-Forwarded-For', value]),
        { clientAddress: peer },
      )
      expect(originOf(request, trusted).clientIp).toBe(clientIp)
    })
  }
})

describe('the head of a request to the endpoint', () => {
  const lies = [
    'Host',
    'h',
    'X-Forwarded-For',
    '1.1.1.1',
    'X-Forwarded-Proto',
    'https',
    'X-Forwarded-Host',
    'e',
    'X-Forwarded-Port',
    '1',
    'X-Forwarded-Prefix',
    '/e',
    'X-Real-IP',
    '1.1.1.1',
    'Forwarded',
    'for=1.1.1.1',
    'Expect',
    '100-continue',
    'X-Request-Id',
    'theirs',
  ]

  it('says of an untrusted client what the proxy knows itself', () => {
    const request = requestWith(lies, { secure: true, httpVersion: '1.0' })
    expect(requestHeaders(request, { clientIp: '192.0.2.1', trusted: false }, 'id', '/s', null)).toEqual([
      'Host',
      'h',
      'X-Forwarded-For',
      '192.0.2.1',
      'X-Forwarded-Proto',
      'https',
      'X-Forwarded-Host',
      'h',
      'X-Forwarded-Port',
      '8080',
      'X-Forwarded-Prefix',
      '/s',
      'X-Request-Id',
      'id',
      'Via',
      '1.0 evenkeel',
    ])
  })

  it('passes on what a trusted proxy says, and adds to it', () => {
    expect(requestHeaders(requestWith(lies), { clientIp: '1.1.1.1', trusted: true }, 'id', '/s', null)).toEqual([
      'Host',
      'h',
      'X-Real-IP',
      '1.1.1.1',
      'Forwarded',
      'for=1.1.1.1',
      'X-Forwarded-For',
      '1.1.1.1, 192.0.2.1',
      'X-Forwarded-Proto',
      'https',
      'X-Forwarded-Host',
      'e',
      'X-Forwarded-Port',
      '1',
      'X-Forwarded-Prefix',
      '/e/s',
      'X-Request-Id',
      'id',
      'Via',
      '1.1 evenkeel',
    ])
  })

  it('has what the proxy says itself although Connection names it, whoever asks', () => {
    const names = ['X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'X-Forwarded-Port', 'X-Forwarded-Prefix']
    const own = [...names, 'X-Request-Id', 'Via', 'Host']
    for (const trusted of [false, true]) {
      const request = requestWith(['Connection', own.join(', '), ...lies])
      const sent = requestHeaders(request, { clientIp: '1.1.1.1', trusted }, 'id', '/s', null)
      expect(own.filter((name) => headerValue(sent, name.toLowerCase()) === null)).toEqual([])
      expect(sent).toEqual(requestHeaders(requestWith(lies), { clientIp: '1.1.1.1', trusted }, 'id', '/s', null))
    }
  })

  it('leaves out what there is nothing to say about', () => {
    expect(requestHeaders(requestWith([]), { clientIp: '192.0.2.1', trusted: false }, 'id', '', null)).toEqual([
      'X-Forwarded-For',
      '192.0.2.1',
      'X-Forwarded-Proto',
      'http',
      'X-Forwarded-Port',
      '8080',
      'X-Request-Id',
      'id',
      'Via',
      '1.1 evenkeel',
    ])
  })
})

describe('the head of a response to the client', () => {
  it('has the proxy’s request id and Via, and the endpoint’s end-to-end headers', () => {
    expect(
      responseHeaders(
        ['Via', '1.1 inner', 'X-Request-ID', 'theirs', 'Set-Cookie', 'a', 'Set-Cookie', 'b', 'Connection', 'close'],
        'id',
      ),
    ).toEqual(['Via', '1.1 inner', 'Set-Cookie', 'a', 'Set-Cookie', 'b', 'X-Request-Id', 'id', 'Via', '1.1 evenkeel'])
  })

  it('has them although the endpoint’s Connection names them', () => {
    expect(responseHeaders(['Connection', 'x-request-id, via, a', 'A', '1', 'B', '2'], 'id')).toEqual([
      'B',
      '2',
      'X-Request-Id',
      'id',
      'Via',
      '1.1 evenkeel',
    ])
  })
})

describe('a request id', () => {
  const rows: { name: string; id: string; sane: boolean }[] = [
    { name: 'visible ASCII', id: 'aZ9-_/=+~!', sane: true },
    { name: '128 characters', id: 'x'.repeat(128), sane: true },
    { name: '129 characters', id: 'x'.repeat(129), sane: false },
    { name: 'an empty one', id: '', sane: false },
    { name: 'a space', id: 'a b', sane: false },
    { name: 'a line end', id: 'a\n', sane: false },
    { name: 'a character beyond ASCII', id: 'é', sane: false },
  ]
  for (const { name, id, sane } of rows) {
    it(`${name} is ${sane ? 'kept' : 'replaced'}`, () =>
      expect(saneRequestId(['x-request-ID', id])).toBe(sane ? id : null))
  }
  it('that is absent is made', () => expect(saneRequestId(['Host', 'a'])).toBeNull())
})
