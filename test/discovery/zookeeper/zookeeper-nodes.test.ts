/** Which endpoint does a node name? Every row is a sentence about one node. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { printable } from '../../../src/discovery/untrusted-text.ts'
import { decodeNode, MAX_DATA_BYTES, servicesAmong } from '../../../src/discovery/zookeeper/zookeeper-nodes.ts'

/** `address:port*weight`, or the reason of the absence. */
function said(data: string, name = 'a'): string {
  const { instance } = decodeNode(name, Buffer.from(data))
  if (instance.kind === 'absent') return instance.absentee.reason
  return `${instance.endpoint.id}*${instance.endpoint.weight}`
}

// As Curator 5.7 wrote it.
const CURATOR =
  '{"name":"web","id":"7c9e6679","address":"10.0.0.1","port":80,"sslPort":null,"payload":null,"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","uriSpec":null}'
// As Spring Cloud Zookeeper wrote it.
const SPRING =
  '{"name":"web","id":"7c9e6679","address":"web.internal","port":8080,"sslPort":null,"payload":{"@class":"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance","id":"application-1","name":"web","metadata":{"weight":"9"}},"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","uriSpec":{"parts":[{"value":"scheme","variable":true},{"value":"://","variable":false}]}}'

describe('a node', () => {
  test.each([
    ["with Curator's record", CURATOR, '10.0.0.1:80*1'],
    ["with Spring's record, and its payload", SPRING, 'web.internal:8080*1'],
    ["with Curator's record that says that it is on", CURATOR.replace('}', ',"enabled":true}'), '10.0.0.1:80*1'],
    ['with both ports', CURATOR.replace('"sslPort":null', '"sslPort":443'), '10.0.0.1:80*1'],
    ['with address and port', '10.0.0.1:80', '10.0.0.1:80*1'],
    ['with IPv6 in brackets', '[FD00:0::5]:80', '[fd00::5]:80*1'],
    ['with white space around it, as a shell leaves it', ' 10.0.0.1:80\n', '10.0.0.1:80*1'],
  ])('%s is an endpoint', (_, data, expected) => {
    expect(said(data)).toBe(expected)
  })

  test('without data is an endpoint if its name is one', () => {
    expect(said('', '10.0.0.1:80')).toBe('10.0.0.1:80*1')
    expect(said('', 'member_0000000001')).toBe('its data is empty, and its name is no host:port')
    expect(said('10.0.0.2:80', '10.0.0.1:80')).toBe('10.0.0.2:80*1')
  })

  test.each([
    ['that is switched off', CURATOR.replace('}', ',"enabled":false}'), 'is switched off (enabled: false)'],
    ['for TLS only', '{"address":"a","port":null,"sslPort":443}', 'has a port for TLS only (sslPort)'],
    ['without a port', '{"address":"a","port":null,"sslPort":null}', 'has no port'],
    ['without an address', '{"port":80}', 'has no address'],
    ['with null for the address', '{"address":null,"port":80}', 'has no address'],
    ['with a number for the address', '{"address":7,"port":80}', 'its address 7 is not one'],
    ['at any address at all', '{"address":"0.0.0.0","port":80}', 'its address "0.0.0.0" is not one'],
    ['with the port in words', '{"address":"a","port":"80"}', 'its port is "80", not 1 to 65535'],
    ['on port 0', '{"address":"a","port":0}', 'its port is 0, not 1 to 65535'],
    [
      'with enabled in words',
      '{"address":"a","port":80,"enabled":"no"}',
      'its "enabled" is "no", neither true nor false',
    ],
    ['with half JSON', '{"address":', 'its data begins like JSON and is none'],
    ['without a port in plain', '10.0.0.1', 'its data "10.0.0.1": has no port: write host:port'],
    ['that is a URL', 'http://10.0.0.1:80', expect.stringContaining('IPv6 addresses need brackets')],
    ['that would forge a log line', '10.0.0.1:80\r\nx: y', expect.stringMatching(/^its data "10[^\r\n]*$/)],
    ['that is too long', `{${' '.repeat(MAX_DATA_BYTES)}}`, 'its data is too long'],
  ])('%s is absent, with the reason', (_, data, reason) => {
    expect(said(data)).toEqual(reason)
  })

  test('that cannot be used is odd, one that says so itself is not', () => {
    const oddities = (data: string) =>
      decodeNode('a', Buffer.from(data)).oddities.map(({ kind, subject }) => `${kind} of ${subject}`)
    expect(oddities('nowhere')).toEqual(['bad-address of a'])
    expect(oddities('')).toEqual(['no-address of a'])
    expect(oddities(CURATOR.replace('}', ',"enabled":false}'))).toEqual([])
    expect(oddities('{"address":"a","sslPort":443}')).toEqual([])
  })

  test('says nothing but printable text, whatever stands in it', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.json({ maxDepth: 2 }))
    fc.assert(
      fc.property(text, text, (name, data) => {
        const { instance, oddities } = decodeNode(name, Buffer.from(data))
        const words = oddities.flatMap((odd) => [odd.subject, odd.text])
        if (instance.kind === 'absent') words.push(instance.absentee.instance, instance.absentee.reason)
        else words.push(instance.endpoint.instance, instance.endpoint.id)
        for (const each of words) expect(printable(each, 400)).toBe(each)
      }),
    )
  })
})

test('services are the nodes that can be named and are wanted', () => {
  const names = ['web', 'api', 'api-old', '..', 'a\u0007b', 'x'.repeat(256)]
  const { services, oddities } = servicesAmong(names, { include: ['*'], exclude: ['api*'] })
  expect(services).toEqual(['web'])
  expect(oddities.map(({ kind }) => kind)).toEqual(['bad-name', 'bad-name', 'bad-name'])
  expect(servicesAmong(['web', 'api'], { include: ['a*'], exclude: [] }).services).toEqual(['api'])
})
