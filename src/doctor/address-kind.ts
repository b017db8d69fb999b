/** Which addresses mean something else on another machine, whatever listens there? */

import { BlockList, isIP } from 'node:net'

export type AddressKind =
  /** Each machine's own. */
  | 'loopback'
  /** RFC 3927, RFC 4291 §2.5.6: the same network segment only, and in IPv6 useless without the interface. */
  | 'link-local'
  /** `0.0.0.0` and `::`: no place. */
  | 'any'
  /** Many places, or all: nothing to connect to. */
  | 'multicast'
  /** Where Docker swarm puts its ingress network by default: 10.0.0.0/24. Other networks use it as well. */
  | 'docker-ingress'
  /** Where Docker puts each machine's own bridge by default: 172.17.0.0/16. */
  | 'docker-bridge'
  | 'ordinary'

const ranges: readonly (readonly [AddressKind, BlockList])[] = [
  ['any', block(['0.0.0.0', 32], ['::', 128])],
  ['loopback', block(['127.0.0.0', 8], ['::1', 128])],
  ['link-local', block(['169.254.0.0', 16], ['fe80::', 10])],
  ['multicast', block(['224.0.0.0', 4], ['255.255.255.255', 32], ['ff00::', 8])],
  ['docker-ingress', block(['10.0.0.0', 24])],
  ['docker-bridge', block(['172.17.0.0', 16])],
]

function block(...subnets: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [address, length] of subnets) list.addSubnet(address, length, address.includes(':') ? 'ipv6' : 'ipv4')
  return list
}

/** @param address an IP address without brackets (an IPv6 one may have a zone), or a host name */
export function addressKind(address: string): AddressKind {
  const bare = address.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '')
  const family = isIP(bare)
  // RFC 6761 §6.3
  if (family === 0) return /^(.*\.)?localhost\.?$/i.test(bare) ? 'loopback' : 'ordinary'
  const found = ranges.find(([, list]) => list.check(bare, family === 6 ? 'ipv6' : 'ipv4'))
  return found?.[0] ?? 'ordinary'
}

/** Connecting there would show nothing, or would go to this machine. */
export function isNoPlace(address: string): boolean {
  const kind = addressKind(address)
  return kind === 'any' || kind === 'multicast'
}
