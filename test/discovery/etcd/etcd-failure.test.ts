/** In which words is a failure told? The bodies are as etcd 3.4 sent them. */

import { describe, expect, test } from 'vitest'
import {
  type EtcdMishap,
  etcdFailure,
  isAuthOff,
  isCompacted,
  wantsNewToken,
} from '../../../src/discovery/etcd/etcd-failure.ts'

const where = 'http://127.0.0.1:2379'

function refused(status: number, message: string, code = 1): EtcdMishap {
  return { kind: 'status', status, body: JSON.stringify({ error: message, message, code }) }
}

function network(code: string, message = code): EtcdMishap {
  return { kind: 'network', code, message }
}

const noUser = refused(400, 'etcdserver: user name is empty', 3)
const badToken = refused(401, 'etcdserver: invalid auth token', 16)
const oldToken = refused(400, 'etcdserver: revision of auth store is old', 3)
const badPassword = refused(400, 'etcdserver: authentication failed, invalid user ID or password', 3)
const authOff = refused(412, 'etcdserver: authentication is not enabled', 9)
const compacted = refused(400, 'etcdserver: mvcc: required revision has been compacted', 11)
const denied = 'rpc error: code = PermissionDenied desc = etcdserver: permission denied'

describe('what failed, how soon it is tried again, and what can be done', () => {
  test.each<[string, EtcdMishap, string, RegExp, RegExp]>([
    ['nobody listens', network('ECONNREFUSED'), 'away', /2379: ECONNREFUSED/, /start etcd at http:\/\/127.0.0.1:2379,/],
    ['no such host', network('ENOTFOUND'), 'away', /ENOTFOUND/, /cannot be resolved/],
    ['a reset', network('ECONNRESET', 'socket hang up'), 'away', /socket hang up/, /want TLS/],
    ['no files left', network('EMFILE'), 'away', /EMFILE/, /ulimit/],
    ['an unknown CA', network('SELF_SIGNED_CERT_IN_CHAIN'), 'wrong', /SELF_SIGNED/, /discovery\.etcd\.tls/],
    ['something else', network('', 'the answer is larger'), 'away', /larger/, /discovery\.etcd\.endpoints/],
    ['no answer', { kind: 'deadline', afterMs: 10_000 }, 'away', /2379 within 10 s/, /overloaded/],
    ['no leader', refused(503, 'etcdserver: no leader', 14), 'away', /503: etcdserver: no leader/, /members run/],
    ['a timeout of its own', refused(503, 'etcdserver: request timed out', 14), 'away', /timed out/, /no leader/],
    ['a full disk', refused(500, 'etcdserver: oh'), 'away', /500/, /member's log/],
    ['too much at once', refused(429, 'etcdserver: too many requests', 8), 'busy', /429/, /overloaded/],
    ['nobody logged in', noUser, 'wrong', /user name is empty/, /set discovery\.etcd\.user/],
    ['a wrong password', badPassword, 'wrong', /invalid user ID/, /check discovery\.etcd\.user/],
    ['a token that stays refused', badToken, 'wrong', /401/, /auth-token-ttl/],
    ['no permission', refused(403, 'etcdserver: permission denied', 7), 'wrong', /403/, /must allow reading/],
    ['a gate before it', { kind: 'status', status: 403, body: 'no' }, 'wrong', /403: no/, /user and password/],
    ['no gateway', { kind: 'status', status: 404, body: '404 page not found' }, 'wrong', /404/, /3\.4 or newer/],
    ['an empty body', { kind: 'status', status: 404, body: '' }, 'wrong', /\(empty\)/, /gateway/],
    [
      'another protocol',
      { kind: 'not-json', contentType: '', body: '\u001b[2J' },
      'wrong',
      /no content type.*\?\[2J/,
      /gateway/,
    ],
    ['another shape', { kind: 'shape', message: 'a\nb' }, 'wrong', /a\?b/, /gateway/],
    ['a watch that ended', { kind: 'ended' }, 'away', /ended the watch$/, /restarted/],
    ['a watch that is silent', { kind: 'silent', afterMs: 2000 }, 'away', /2 s after/, /idle connections/],
    [
      'a watch that may not be',
      { kind: 'canceled', reason: denied },
      'wrong',
      /PermissionDenied/,
      /must allow reading/,
    ],
    ['a watch that was ended', { kind: 'canceled', reason: 'etcdserver: oh' }, 'away', /oh/, /read again/],
    ['another cluster', { kind: 'another' }, 'away', /another cluster/, /restored/],
    ['too many keys', { kind: 'full', most: 9 }, 'wrong', /more than 9 keys/, /discovery\.etcd\.prefix/],
  ])('%s', (_, mishap, speed, message, cure) => {
    const failure = etcdFailure(mishap, where)
    expect(failure.speed).toBe(speed)
    expect(failure.message).toMatch(message)
    expect(failure.cure).toMatch(cure)
  })

  test('whatever a server says, it comes to a short line', () => {
    const failure = etcdFailure(refused(500, 'long\n'.repeat(1000)), where)
    expect(failure.message.length).toBeLessThan(200)
    expect(failure.message).not.toContain('\n')
  })
})

test('a new token is fetched when the old one is refused, and not when it is the password or the permission', () => {
  const canceled = (reason: string): EtcdMishap => ({ kind: 'canceled', reason })
  const wanted = [badToken, oldToken, noUser, canceled('desc = etcdserver: invalid auth token')]
  expect(wanted.map(wantsNewToken)).toEqual([true, true, true, true])
  const others = [badPassword, authOff, compacted, canceled(denied), network('ECONNREFUSED')]
  expect(others.map(wantsNewToken)).toEqual([false, false, false, false, false])
})

test('access control that is off, and a revision that is gone, are known by their words', () => {
  const all = [noUser, badToken, badPassword, authOff, compacted, network('EPIPE')]
  expect(all.filter(isAuthOff)).toEqual([authOff])
  expect(all.filter(isCompacted)).toEqual([compacted])
})
