import { describe, expect, test } from 'vitest'
import { failureOf, type Mishap } from '../../../src/discovery/consul/consul-failure.ts'

const where = 'http://10.0.0.1:8500'

describe('failureOf', () => {
  test.each<[string, Mishap, string, RegExp, RegExp]>([
    ['403', { kind: 'status', status: 403, body: 'Permission denied' }, 'wrong', /403: Permission denied/, /token/],
    ['401', { kind: 'status', status: 401, body: '' }, 'wrong', /401: \(empty\)/, /token/],
    ['400', { kind: 'status', status: 400, body: 'Invalid index' }, 'wrong', /400: Invalid index/, /datacenter/],
    ['404', { kind: 'status', status: 404, body: 'nope' }, 'wrong', /404/, /address/],
    ['a redirect', { kind: 'status', status: 301, body: '' }, 'wrong', /301/, /redirects/],
    ['429', { kind: 'status', status: 429, body: 'slow down' }, 'busy', /429/, /http_max_conns_per_client/],
    ['no leader', { kind: 'status', status: 500, body: 'No cluster leader' }, 'away', /No cluster leader/, /leader/],
    ['another 500', { kind: 'status', status: 503, body: 'oops' }, 'away', /503: oops/, /log/],
    ['a refused connection', { kind: 'network', code: 'ECONNREFUSED', message: 'refused' }, 'away', /refused/, /start/],
    ['a reset', { kind: 'network', code: 'ECONNRESET', message: 'reset' }, 'away', /reset/, /restarted/],
    ['an unknown name', { kind: 'network', code: 'ENOTFOUND', message: 'x' }, 'away', /x/, /resolved/],
    ['no more files', { kind: 'network', code: 'EMFILE', message: 'x' }, 'away', /x/, /ulimit/],
    ['a network error nobody knows', { kind: 'network', code: '', message: 'x' }, 'away', /x/, /address/],
    [
      'a bad certificate',
      { kind: 'network', code: 'DEPTH_ZERO_SELF_SIGNED_CERT', message: 'x' },
      'wrong',
      /x/,
      /CACERT/,
    ],
    [
      'a name not in the certificate',
      { kind: 'network', code: 'ERR_TLS_CERT_ALTNAME_INVALID', message: 'x' },
      'wrong',
      /x/,
      /CA/,
    ],
    ['no answer in time', { kind: 'deadline', afterMs: 68_438 }, 'away', /no answer within 68 s/, /overloaded/],
    [
      'HTML',
      { kind: 'not-json', contentType: 'text/html', body: '<html>' },
      'wrong',
      /text\/html\) is not JSON: <html>/,
      /address/,
    ],
    [
      'nothing at all',
      { kind: 'not-json', contentType: '', body: '' },
      'wrong',
      /no content type\) is not JSON: \(empty\)/,
      /address/,
    ],
    ['JSON of another shape', { kind: 'shape', message: 'not an array' }, 'wrong', /not an array/, /address/],
  ])('%s', (_, mishap, speed, message, cure) => {
    const failure = failureOf(mishap, where)
    expect(failure).toEqual({
      speed,
      message: expect.stringMatching(message),
      cure: expect.stringMatching(cure),
    })
  })

  test('says little of a long and hostile body', () => {
    const body = `\u001b[2J\n${'x'.repeat(100_000)}`
    const { message } = failureOf({ kind: 'status', status: 500, body }, where)
    expect(message.length).toBeLessThan(200)
    expect(message).not.toMatch(/\p{C}/u)
  })
})
