/** In which words is it said that an Engine cannot be followed, and what is to be done about it? */

import { expect, test } from 'vitest'
import { type EngineMishap, engineFailure } from '../../../src/discovery/swarm/engine-failure.ts'

const network = (code: string): EngineMishap => ({ kind: 'network', code, message: `connect ${code}` })
const status = (code: number, body: string): EngineMishap => ({ kind: 'status', status: code, body })

test.each<[string, EngineMishap, string, RegExp, RegExp]>([
  ['no socket', network('ENOENT'), 'away', /unix:\/\/\/x: connect ENOENT/, /-v \/var\/run\/docker\.sock/],
  ['no permission', network('EACCES'), 'wrong', /EACCES/, /group that owns it \(usually docker/],
  ['nobody listens', network('ECONNREFUSED'), 'away', /ECONNREFUSED/, /start Docker at unix:\/\/\/x/],
  ['a name that is none', network('ENOTFOUND'), 'away', /ENOTFOUND/, /cannot be resolved/],
  ['a foreign certificate', network('DEPTH_ZERO_SELF_SIGNED_CERT'), 'wrong', /SELF_SIGNED/, /discovery\.swarm\.tls/],
  [
    'no certificate',
    network('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'),
    'wrong',
    /REQUIRED/,
    /discovery\.swarm\.tls/,
  ],
  ['a connection that is closed', network('ECONNRESET'), 'away', /ECONNRESET/, /want TLS/],
  ['too few files', network('EMFILE'), 'away', /EMFILE/, /ulimit/],
  [
    'TLS that is wanted',
    status(400, 'Client sent an HTTP request to an HTTPS server.\n'),
    'wrong',
    /400/,
    /tls\.ca, cert and key/,
  ],
  ['a proxy that refuses', status(403, 'no'), 'wrong', /403: no/, /\/containers\/json and \/events/],
  [
    'no leader',
    status(500, '{"message":"rpc error: The swarm does not have a leader."}'),
    'away',
    /500: rpc error/,
    /more than half/,
  ],
  [
    'no manager',
    status(503, '{"message":"This node is not a swarm manager. Use \\"docker swarm init\\""}'),
    'away',
    /not a swarm manager/,
    /node\.role/,
  ],
  ['an Engine that is busy', status(429, ''), 'busy', /429: \(empty\)/, /overloaded/],
  ['a fault of its own', status(500, 'x\u001b[31m'), 'away', /500: x\?\[31m/, /log/],
  [
    'another path',
    status(404, '{"message":"page not found"}'),
    'wrong',
    /404: page not found/,
    /discovery\.swarm\.host/,
  ],
  ['silence', { kind: 'deadline', afterMs: 10_000 }, 'away', /within 10 s/, /overloaded/],
  ['the end of the events', { kind: 'ended' }, 'away', /ended the stream/, /restarted/],
  ['a worker', { kind: 'worker' }, 'wrong', /only managers/, /node\.role == manager/],
  ['a swarm that was left', { kind: 'left' }, 'wrong', /has left its swarm/, /join again/],
  [
    'a swarm that is locked',
    { kind: 'not-ready', state: 'locked', error: '' },
    'wrong',
    /\(locked\)$/,
    /docker swarm unlock/,
  ],
  ['a swarm that is not ready', { kind: 'not-ready', state: 'error', error: 'x' }, 'away', /\(error\): x$/, /log/],
  ['too much', { kind: 'full', most: 5 }, 'wrong', /more than 5/, /made for/],
  ['another shape', { kind: 'shape', message: 'no list' }, 'wrong', /no list/, /discovery\.swarm\.host/],
])('%s', (_, mishap, speed, message, cure) => {
  const failure = engineFailure(mishap, 'unix:///x')
  expect(failure.speed).toBe(speed)
  expect(failure.message).toMatch(message)
  expect(failure.cure).toMatch(cure)
})
