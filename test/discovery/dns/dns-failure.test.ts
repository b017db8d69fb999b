/** What is a person told when a resolver does not answer as it should? */

import { expect, test } from 'vitest'
import { type DnsMishap, dnsFailure } from '../../../src/discovery/dns/dns-failure.ts'

test.each<[string, DnsMishap, string, string, string]>([
  [
    'SERVFAIL is about one name, and wants patience',
    { kind: 'rcode', rcode: 2 },
    'busy',
    'answered SERVFAIL',
    'see the log of 10.0.0.2:53',
  ],
  [
    'REFUSED stays until somebody allows it',
    { kind: 'rcode', rcode: 5 },
    'wrong',
    'answered REFUSED',
    'let this machine ask',
  ],
  ['any other code', { kind: 'rcode', rcode: 11 }, 'wrong', 'answered rcode 11', 'is that a resolver?'],
  ['silence', { kind: 'deadline', afterMs: 2500 }, 'away', 'no answer within 2.5 s', 'firewall'],
  [
    'nobody there',
    { kind: 'network', code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' },
    'away',
    'ECONNREFUSED',
    'start a resolver at 10.0.0.2:53',
  ],
  ['no free descriptors', { kind: 'network', code: 'EMFILE', message: 'open EMFILE' }, 'away', 'EMFILE', 'ulimit -n'],
  ['nonsense', { kind: 'malformed', why: 'a name\nhas no end' }, 'wrong', 'a name?has no end', 'is that a resolver?'],
  ['part of an answer', { kind: 'cut-off', why: 'reset' }, 'wrong', 'cut off', 'let TCP to 10.0.0.2:53 through'],
  ['advice to ask elsewhere', { kind: 'referral' }, 'wrong', 'does not ask others', 'set discovery.dns.resolvers'],
  ['more than an answer holds', { kind: 'cut-off', why: null }, 'wrong', 'over TCP as well', '64 KiB'],
  ['nobody to ask', { kind: 'no-resolver' }, 'wrong', 'no resolver is known', '/etc/resolv.conf'],
])('%s', (_, mishap, speed, message, cure) => {
  const failure = dnsFailure(mishap, '10.0.0.2:53')
  expect(failure.speed).toBe(speed)
  expect(failure.message).toContain(message)
  expect(failure.cure).toContain(cure)
})
