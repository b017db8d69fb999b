import { describe, expect, test } from 'vitest'
import { type EurekaMishap, eurekaFailure } from '../../../src/discovery/eureka/eureka-failure.ts'

const where = 'http://10.0.0.1:8761/eureka'
const network = (code: string): EurekaMishap => ({ kind: 'network', code, message: 'x' })
const status = (code: number, body = ''): EurekaMishap => ({ kind: 'status', status: code, body })

describe('eurekaFailure', () => {
  test.each<[string, EurekaMishap, string, RegExp, RegExp]>([
    ['401', status(401), 'wrong', /401: \(empty\)/, /discovery\.eureka\.user/],
    ['403, while it waits for its peers', status(403), 'away', /403/, /peers/],
    ['404', status(404, 'nope'), 'wrong', /404: nope/, /\/eureka\/v2/],
    ['429', status(429, 'slow down'), 'busy', /429/, /rate-limiter/],
    ['503', status(503, 'oops'), 'away', /503: oops/, /log/],
    ['a redirect', status(302), 'wrong', /302/, /redirects/],
    ['another status', status(406), 'wrong', /406/, /urls/],
    ['a refused connection', network('ECONNREFUSED'), 'away', /x/, /start a Eureka server at http:\/\/10/],
    ['an unknown name', network('ENOTFOUND'), 'away', /x/, /resolved/],
    ['a reset', network('ECONNRESET'), 'away', /x/, /restarted/],
    ['no more files', network('EMFILE'), 'away', /x/, /ulimit/],
    ['a network error nobody knows', network(''), 'away', /x/, /urls/],
    ['a bad certificate', network('DEPTH_ZERO_SELF_SIGNED_CERT'), 'wrong', /x/, /CA/],
    ['no answer in time', { kind: 'deadline', afterMs: 5000 }, 'away', /within 5 s/, /overloaded/],
    [
      'a page',
      { kind: 'foreign', contentType: 'text/html', body: '<html>' },
      'wrong',
      /text\/html\) is neither JSON nor XML of Eureka: <html>/,
      /urls/,
    ],
    ['nothing at all', { kind: 'foreign', contentType: '', body: '' }, 'wrong', /no content type\).*\(empty\)/, /urls/],
    ['another shape', { kind: 'shape', message: 'no object' }, 'wrong', /no object/, /urls/],
  ])('%s', (_, mishap, speed, message, cure) => {
    expect(eurekaFailure(mishap, where)).toEqual({
      speed,
      message: expect.stringMatching(message),
      cure: expect.stringMatching(cure),
    })
  })

  test('says little of a long and hostile body', () => {
    const { message } = eurekaFailure(status(500, `a\u0000\r\n${'b'.repeat(10_000)}`), where)
    expect(message.length).toBeLessThan(200)
    expect(message).toContain('a???b')
  })
})
