import { networkInterfaces } from 'node:os'
import { describe, expect, test } from 'vitest'
import { type Interfaces, interfaceAddress, isOwn, judgeOwn, ownAddress } from '../../src/run/own-address.ts'

type Held = NonNullable<Interfaces[string]>[number]
const v4 = (address: string, netmask = '255.255.255.0', internal = false): Held => {
  return { address, netmask, family: 'IPv4', internal }
}
const v6 = (address: string, netmask = 'ffff:ffff:ffff:ffff::', internal = false): Held => {
  return { address, netmask, family: 'IPv6', internal }
}
const whole = '255.255.255.255'

const machine: Interfaces = {
  lo: [
    v4('127.0.0.1', '255.0.0.0', true),
    v4('10.0.7.2', whole, true),
    v6('::1', 'ffff:'.repeat(7).concat('ffff'), true),
  ],
  eth0: [v4('10.0.0.5'), v4('10.0.0.100', whole), v6('fe80::5'), v6('fd00::5')],
  pod0: [v4('10.244.1.7', whole), v6('fe80::7')],
  six0: [v6('fe80::6'), v6('fd00::6')],
  link0: [v6('fe80::9')],
}

describe('the address that reaches the registry', () => {
  test.each([
    ['is taken when it is of an interface', '10.0.0.5', 'found'],
    ['is taken when it is a network of one by itself, as pods have it', '10.244.1.7', 'found'],
    ['is taken in IPv6', 'fd00::5', 'found'],
    ['is refused when it means this machine', '127.0.0.1', 'means this machine itself; pass --address A'],
    ['is refused when it means this machine, in IPv6', '::1', 'means this machine itself'],
    ['is refused when it is of the link only', 'fe80::5', 'of this link only'],
    ['is refused when there is none', '0.0.0.0', 'no address leads to'],
    ['is refused when no interface has it', '10.0.0.9', 'of no interface of this machine'],
    ['is refused when it is beside the own one of its interface', '10.0.0.100', 'a virtual IP of eth0'],
    ['is refused when the loopback interface holds it', '10.0.7.2', 'a virtual IP of lo; pass --address A'],
  ])('%s', (_, address, says) => {
    const judged = judgeOwn(address, 'registry', machine)
    if (says === 'found') expect(judged).toEqual({ kind: 'found', address })
    else expect(judged).toEqual({ kind: 'refused', why: expect.stringContaining(says) })
  })

  test('is found by asking the kernel: a registry on this machine is refused, in one line with the cure', async () => {
    for (const host of ['127.0.0.1', 'localhost']) {
      const own = await ownAddress([{ host, port: 8500 }], networkInterfaces)
      expect(own).toEqual({
        kind: 'refused',
        why: expect.stringMatching(
          /^the registry \S+ is reached from \S+, which means this machine itself; pass --address A/,
        ),
      })
    }
  })
})

test.each([
  ['its IPv4 address, not the virtual one beside it', 'eth0', '10.0.0.5'],
  ['its IPv6 address that holds beyond the link', 'six0', 'fd00::6'],
  ['a network of one', 'pod0', '10.244.1.7'],
  ['the loopback address, when that is asked for', 'lo', '127.0.0.1'],
])('an interface is %s', (_, name, address) => {
  expect(interfaceAddress(name, machine)).toEqual({ kind: 'found', address })
})

test.each([
  ['eth7', 'there is no interface "eth7" with an address here: lo, eth0, pod0, six0, link0'],
  ['link0', 'the interface link0 has no address that holds beyond its link; pass --address A'],
])('the interface %s is refused', (name, why) => {
  expect(interfaceAddress(name, machine)).toEqual({ kind: 'refused', why })
})

test('what is one of this machine is known', () => {
  expect([isOwn('fd00::5', machine), isOwn('10.0.0.6', machine), isOwn('web.example', machine)]).toEqual([
    true,
    false,
    false,
  ])
})
