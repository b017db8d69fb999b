import { describe, expect, test } from 'vitest'
import { type Found, readFound, serviceRecord } from '../../../src/discovery/consul/registration-record.ts'
import { registrationOptions } from './registration-options.ts'

const at = { port: 8080, adminHost: '127.0.0.1', adminPort: 8081 }

test('by default: the name and the port are the id, the address is the node’s, the check is critical until it has run', () => {
  expect(serviceRecord(registrationOptions, at)).toEqual({
    ID: 'evenkeel-8080',
    Name: 'evenkeel',
    Tags: ['edge'],
    Port: 8080,
    Check: {
      CheckID: 'evenkeel-8080-ready',
      Name: 'the proxy is ready',
      Notes: 'GET http://127.0.0.1:8081/readyz every 5s; deregistered after 600s of failures',
      HTTP: 'http://127.0.0.1:8081/readyz',
      Interval: '5s',
      Timeout: '5s',
      DeregisterCriticalServiceAfter: '600s',
      Status: 'critical',
    },
  })
})

test('what is set is what is written', () => {
  const record = serviceRecord(
    { ...registrationOptions, id: 'a/b', address: '10.0.0.1', port: 80, checkIntervalMs: 1500 },
    at,
  )
  expect(record).toMatchObject({ ID: 'a/b', Address: '10.0.0.1', Port: 80, Check: { Interval: '1.5s' } })
})

test.each([
  ['a loopback address', '127.0.0.1', null, 'http://127.0.0.1:8081/readyz'],
  ['another address', '10.0.0.1', null, 'http://10.0.0.1:8081/readyz'],
  ['a host name', 'admin.internal', null, 'http://admin.internal:8081/readyz'],
  ['every IPv4 address', '0.0.0.0', null, 'http://127.0.0.1:8081/readyz'],
  ['every address', '::', null, 'http://[::1]:8081/readyz'],
  ['an IPv6 address', 'fd00::1', null, 'http://[fd00::1]:8081/readyz'],
  ['an IPv6 address with a zone', 'fe80::1%eth0', null, 'http://[fe80::1%25eth0]:8081/readyz'],
  ['whatever, if the URL is set', '0.0.0.0', 'https://proxy.internal:444', 'https://proxy.internal:444/readyz'],
  ['a URL that ends in a slash', '0.0.0.0', 'http://10.0.0.1:1/', 'http://10.0.0.1:1/readyz'],
])('the admin listener is bound to %s', (_, adminHost, checkUrl, url) => {
  expect(serviceRecord({ ...registrationOptions, checkUrl }, { ...at, adminHost }).Check.HTTP).toBe(url)
})

describe('what the agent answers', () => {
  const record = serviceRecord(registrationOptions, at)
  const service = { ID: 'evenkeel-8080', Service: 'evenkeel', Tags: ['edge'], Port: 8080, Address: '' }
  const check = { CheckID: 'evenkeel-8080-ready', Notes: record.Check.Notes, Status: 'passing', Output: 'HTTP GET …' }
  const body = (more: object = {}, ...checks: object[]) => ({
    Service: { ...service, ...more },
    Checks: checks.length > 0 ? checks : [check],
  })
  const critical = (output: string) => body({}, { ...check, Status: 'critical', Output: output })

  test.each<[string, number, unknown, Found]>([
    ['it as it was written', 200, body(), { kind: 'kept', failing: null }],
    ['a check that has not run yet', 503, critical(''), { kind: 'kept', failing: null }],
    ['a check that fails', 503, critical('refused\n'), { kind: 'kept', failing: 'refused' }],
    ['forged lines in a check', 503, critical('a\u0000\n"level":60'), { kind: 'kept', failing: 'a??"level":60' }],
    ['a node in maintenance', 503, body({}, { CheckID: '_node_maintenance' }, check), { kind: 'kept', failing: null }],
    ['a warning of another check', 429, body(), { kind: 'kept', failing: null }],
    ['that it knows no such service', 404, { Service: null }, { kind: 'gone' }],
    ['another port', 200, body({ Port: 1 }), { kind: 'changed' }],
    ['an address', 200, body({ Address: '10.0.0.1' }), { kind: 'changed' }],
    ['another name', 200, body({ Service: 'web' }), { kind: 'changed' }],
    ['other tags', 200, body({ Tags: ['core'] }), { kind: 'changed' }],
    ['more tags', 200, body({ Tags: ['edge', 'core'] }), { kind: 'changed' }],
    ['no tags', 200, body({ Tags: null }), { kind: 'changed' }],
    ['no check', 200, { Service: service, Checks: null }, { kind: 'changed' }],
    ['another check', 200, body({}, { ...check, CheckID: 'x' }), { kind: 'changed' }],
    ['the check with other settings', 200, body({}, { ...check, Notes: '' }), { kind: 'changed' }],
    ['no service', 200, { Checks: [] }, { kind: 'unreadable' }],
    ['a list', 200, [], { kind: 'unreadable' }],
    ['null', 200, null, { kind: 'unreadable' }],
    ['checks that are none', 200, { Service: service, Checks: 1 }, { kind: 'unreadable' }],
    ['a refusal', 403, { Service: service }, { kind: 'unreadable' }],
  ])('%s', (_, status, answer, expected) => {
    expect(readFound(record, status, JSON.stringify(answer))).toEqual(expected)
  })

  test('no JSON', () => {
    expect(readFound(record, 503, 'upstream connect error')).toEqual({ kind: 'unreadable' })
  })
})
