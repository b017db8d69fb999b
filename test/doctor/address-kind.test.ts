import { expect, test } from 'vitest'
import { type AddressKind, addressKind, isNoPlace } from '../../src/doctor/address-kind.ts'

test.each<[address: string, kind: AddressKind]>([
  ['127.0.0.1', 'loopback'],
  ['127.255.255.254', 'loopback'],
  ['128.0.0.1', 'ordinary'],
  ['::1', 'loopback'],
  ['[::1]', 'loopback'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['::ffff:7f00:1', 'loopback'],
  ['localhost', 'loopback'],
  ['db.localhost.', 'loopback'],
  ['localhost.example', 'ordinary'],
  ['notlocalhost', 'ordinary'],
  ['169.254.0.1', 'link-local'],
  ['169.253.255.255', 'ordinary'],
  ['fe80::1', 'link-local'],
  ['fe80::1%eth0', 'link-local'],
  ['febf::1', 'link-local'],
  ['fec0::1', 'ordinary'],
  ['0.0.0.0', 'any'],
  ['0.0.0.1', 'ordinary'],
  ['::', 'any'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.255', 'multicast'],
  ['240.0.0.1', 'ordinary'],
  ['255.255.255.255', 'multicast'],
  ['ff02::1', 'multicast'],
  ['10.0.0.5', 'docker-ingress'],
  ['10.0.1.5', 'ordinary'],
  ['172.17.0.2', 'docker-bridge'],
  ['172.17.255.1', 'docker-bridge'],
  ['172.18.0.2', 'ordinary'],
  ['::ffff:172.17.0.2', 'docker-bridge'],
  ['192.168.0.1', 'ordinary'],
  ['fd00::5', 'ordinary'],
  ['web-1.example', 'ordinary'],
  ['', 'ordinary'],
])('%s is %s', (address, kind) => {
  expect(addressKind(address)).toBe(kind)
  expect(isNoPlace(address)).toBe(kind === 'any' || kind === 'multicast')
})
