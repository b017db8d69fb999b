/** Which endpoints, with which weights, do records come to? */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  addressesOf,
  plainService,
  type SrvTarget,
  srvOf,
  srvService,
} from '../../../src/discovery/dns/dns-endpoints.ts'
import type { DnsRecord } from '../../../src/discovery/dns/dns-message.ts'

/** `priority weight port name address…` */
function target(text: string): SrvTarget {
  const [priority, weight, port, name = '', ...addresses] = text.split(' ')
  return { priority: Number(priority), weight: Number(weight), port: Number(port), target: name, addresses }
}

describe('SRV records', () => {
  test.each<[string, string[], string[], string[]]>([
    [
      'weights stay what they are in DNS',
      ['1 5 80 a 10.0.0.1', '1 10 81 b 10.0.0.2'],
      ['10.0.0.1:80*5', '10.0.0.2:81*10'],
      [],
    ],
    [
      'where all have weight 0 they are equal',
      ['1 0 80 a 10.0.0.1', '1 0 80 b 10.0.0.2'],
      ['10.0.0.1:80*1', '10.0.0.2:80*1'],
      [],
    ],
    [
      'weight 0 beside others is a hundredth of 1',
      ['1 0 80 a 10.0.0.1', '1 2 80 b 10.0.0.2'],
      ['10.0.0.1:80*1', '10.0.0.2:80*200'],
      [],
    ],
    [
      'a share is divided among the addresses of a name',
      ['1 1 80 a 10.0.0.1 10.0.0.2', '1 1 80 b 10.0.0.3'],
      ['10.0.0.1:80*1', '10.0.0.2:80*1', '10.0.0.3:80*2'],
      [],
    ],
    [
      'also by two and by three',
      ['1 1 80 a 10.0.0.1 10.0.0.2', '1 1 80 b 10.0.0.3 10.0.0.4 10.0.0.5'],
      ['10.0.0.1:80*3', '10.0.0.2:80*3', '10.0.0.3:80*2', '10.0.0.4:80*2', '10.0.0.5:80*2'],
      [],
    ],
    [
      'as large as can be, beside 0',
      ['1 65535 80 a 10.0.0.1', '1 0 80 b 10.0.0.2'],
      ['10.0.0.1:80*65535', '10.0.0.2:80*1'],
      [],
    ],
    [
      'the lowest priority counts, the others stand by',
      ['20 1 80 b 10.0.0.2', '10 1 80 a 10.0.0.1'],
      ['10.0.0.1:80*1'],
      ['b 10.0.0.2:80 its priority is 20, and there are addresses at 10'],
    ],
    [
      'the next priority counts when nothing in the lowest has an address',
      ['10 1 80 a', '20 3 80 b 10.0.0.2'],
      ['10.0.0.2:80*3'],
      ['a  its name has no address'],
    ],
    ['port 0 is none', ['10 1 0 a 10.0.0.1'], [], ['a 10.0.0.1 has no port']],
    [
      'two names of one place are one endpoint',
      ['1 1 80 b 10.0.0.1', '1 1 80 a 10.0.0.1'],
      ['10.0.0.1:80*1'],
      ['b 10.0.0.1:80 same address and port as "a"'],
    ],
    [
      'one name with two ports is two',
      ['1 1 80 a 10.0.0.1', '1 1 81 a 10.0.0.1'],
      ['10.0.0.1:80*1', '10.0.0.1:81*1'],
      [],
    ],
    ['none at all', [], [], []],
  ])('%s', (_, targets, endpoints, absent) => {
    const service = srvService(targets.map(target))
    expect(service.endpoints.map(({ id, weight }) => `${id}*${weight}`)).toEqual(endpoints)
    expect(service.absent.map(({ instance, address, reason }) => `${instance} ${address} ${reason}`)).toEqual(absent)
  })

  test('come to whole weights from 1 to 65535, in any order the same', () => {
    const any = fc.record({
      priority: fc.nat(2),
      weight: fc.oneof(fc.nat(3), fc.nat(65_535)),
      port: fc.nat(3),
      target: fc.constantFrom('a', 'b', 'c', 'd'),
      addresses: fc.uniqueArray(
        fc.nat(9).map((at) => `10.0.0.${at}`),
        { maxLength: 4 },
      ),
    })
    fc.assert(
      fc.property(fc.array(any, { maxLength: 12 }), (targets) => {
        const service = srvService(targets)
        expect(srvService([...targets].reverse())).toEqual(service)
        for (const { weight } of service.endpoints) {
          expect(Number.isInteger(weight) && weight >= 1 && weight <= 65_535).toBe(true)
        }
        expect(new Set(service.endpoints.map(({ id }) => id)).size).toBe(service.endpoints.length)
      }),
    )
  })
})

test('plain addresses have the port and equal weights', () => {
  expect(
    plainService('tasks.api', ['fd00::1', '10.0.0.1'], 80).endpoints.map(({ id, instance, weight }) => [
      id,
      instance,
      weight,
    ]),
  ).toEqual([
    ['10.0.0.1:80', 'tasks.api', 1],
    ['[fd00::1]:80', 'tasks.api', 1],
  ])
})

describe('an alias', () => {
  const cname = (name: string, to: string, ttlS: number): DnsRecord => ({ type: 'CNAME', name, target: to, ttlS })
  const a = (name: string, address: string, ttlS: number): DnsRecord => ({ type: 'A', name, address, ttlS })

  test('is followed, in whatever order, and lives no longer than each step; what nobody asked for does not count', () => {
    const records = [
      a('c.test', '10.0.0.1', 30),
      cname('b.test', 'c.test', 20),
      a('x.test', '10.9.9.9', 1),
      cname('a.test', 'b.test', 40),
    ]
    expect(addressesOf('A.test.', 'A', records)).toEqual({ addresses: ['10.0.0.1'], ttlS: 20 })
  })

  test('that leads in a circle leads nowhere', () => {
    expect(addressesOf('a.test', 'A', [cname('a.test', 'b.test', 1), cname('b.test', 'a.test', 1)]).addresses).toEqual(
      [],
    )
  })

  test('of an SRV name is followed too, and a target of "." is no record', () => {
    const srv = (target: string): DnsRecord => ({
      type: 'SRV',
      name: 'b.test',
      ttlS: 5,
      priority: 0,
      weight: 0,
      port: 80,
      target,
    })
    expect(srvOf('a.test', [cname('a.test', 'b.test', 9), srv(''), srv('h.test')])).toMatchObject({
      records: [{ target: 'h.test' }],
      ttlS: 5,
    })
  })

  test('to 0.0.0.0 is no address', () => {
    expect(addressesOf('a.test', 'A', [a('a.test', '0.0.0.0', 5)]).addresses).toEqual([])
  })
})
