/** In which words is a failure told? */

import { describe, expect, test } from 'vitest'
import { type ZookeeperMishap, zookeeperFailure } from '../../../src/discovery/zookeeper/zookeeper-failure.ts'

const network = (code: string, message = code): ZookeeperMishap => ({ kind: 'network', code, message })
const refused = (code: number): ZookeeperMishap => ({ kind: 'refused', code })

describe('what failed, how soon it is tried again, and what can be done', () => {
  test.each<[string, ZookeeperMishap, string, RegExp, RegExp]>([
    ['nobody listens', network('ECONNREFUSED'), 'away', /zk1:2181: ECONNREFUSED/, /start ZooKeeper at zk1:2181,/],
    ['no such host', network('ENOTFOUND'), 'away', /ENOTFOUND/, /cannot be resolved/],
    ['a reset', network('ECONNRESET', 'read\nECONNRESET'), 'away', /zk1:2181: read\?ECONNRESET/, /restarted/],
    ['no files left', network('EMFILE'), 'away', /EMFILE/, /ulimit/],
    ['something else', network('EHOSTUNREACH'), 'away', /EHOSTUNREACH/, /discovery\.zookeeper\.connect/],
    ['no answer', { kind: 'deadline', afterMs: 6667 }, 'away', /zk1:2181 within 6.7 s/, /overloaded/],
    ['no answer to the first message', { kind: 'turned-away' }, 'away', /without an answer/, /leader.*maxClientCnxns/],
    ['the end', { kind: 'ended' }, 'away', /closed the connection$/, /restarted/],
    ['one that is behind', { kind: 'behind' }, 'away', /knows less/, /restored/],
    ['one that only reads', { kind: 'read-only' }, 'away', /only reads/, /most servers/],
    ['another protocol', { kind: 'shape', message: 'a\nb' }, 'wrong', /a\?b/, /without TLS/],
    ['no path', { kind: 'no-path' }, 'wrong', /no node \/services in/, /discovery\.zookeeper\.path/],
    ['too much', { kind: 'full', most: 7 }, 'wrong', /more than 7 nodes below \/services/, /nothing but instances/],
    ['no permission', refused(-102), 'wrong', /zk1:2181 refused it: NoAuth/, /zookeeper\.auth.*ACLs of \/services/],
    ['a wrong login', refused(-115), 'wrong', /AuthFailed/, /check discovery\.zookeeper\.auth/],
    ['another way to log in', refused(-124), 'wrong', /RequireAuth/, /SASL/],
    ['nodes below one that goes', refused(-108), 'wrong', /NoChildrenForEphemerals/, /one that stays/],
    ['too much to do', refused(-127), 'busy', /ThrottledOp/, /overloaded/],
    ['an expired session', refused(-112), 'away', /SessionExpired/, /asked again/],
    ['what nobody knows', refused(-4711), 'away', /error -4711/, /log of this server/],
  ])('%s', (_, mishap, speed, message, cure) => {
    const failure = zookeeperFailure(mishap, 'zk1:2181', '/services')
    expect(failure.speed).toBe(speed)
    expect(failure.message).toMatch(message)
    expect(failure.cure).toMatch(cure)
    expect(`${failure.message}${failure.cure}`).not.toMatch(/[\r\n]/)
  })
})
