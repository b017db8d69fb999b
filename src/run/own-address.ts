/**
 * At which address do others reach a service of this machine? At the one that the machine itself reaches the registry from:
 * who asks the registry is most likely on that network, too. Never at a loopback address, nor at one that is shared by
 * several machines (a virtual IP), unless somebody says so.
 */

import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { isIPv6 } from 'node:net'
import type { NetworkInterfaceInfo } from 'node:os'
import { printable } from '../discovery/untrusted-text.ts'

export interface Place {
  /** A host name, or an IP address without brackets. */
  readonly host: string
  readonly port: number
}

/** What `os.networkInterfaces()` says. */
export type Interfaces = Readonly<
  Record<string, readonly Pick<NetworkInterfaceInfo, 'address' | 'family' | 'internal' | 'netmask'>[] | undefined>
>

export type OwnAddress =
  | { readonly kind: 'found'; readonly address: string }
  /** There is one, and it is not to be used. */
  | { readonly kind: 'refused'; readonly why: string }
  /** Not yet: the name has no address now, or there is no network. */
  | { readonly kind: 'unknown'; readonly why: string }

const CURE = 'pass --address A with the address that others reach it at, or --interface NAME'

/**
 * The address from which the first of these places is reached to which there is a way. No packet is sent: a UDP socket
 * that is connected only chooses its address.
 * @param interfaces asked for anew each time
 */
export async function ownAddress(places: readonly Place[], interfaces: () => Interfaces): Promise<OwnAddress> {
  let worst: OwnAddress | null = null
  for (const { host, port } of places) {
    try {
      for (const { address } of await lookup(host, { all: true })) {
        const judged = judgeOwn(await localTowards(address, port), host, interfaces())
        if (judged.kind === 'found') return judged
        worst ??= judged
      }
    } catch (error) {
      const why = printable(error instanceof Error ? error.message : String(error), 200)
      worst ??= { kind: 'unknown', why: `no way to ${host} is known (${why})` }
    }
  }
  return worst ?? { kind: 'refused', why: `no address of the registry is known; ${CURE}` }
}

/** May others be told this address, from which `host` is reached? */
export function judgeOwn(address: string, host: string, interfaces: Interfaces): OwnAddress {
  const refused = (what: string): OwnAddress => ({ kind: 'refused', why: `${what}; ${CURE}` })
  if (isLoopback(address)) {
    return refused(`the registry ${host} is reached from ${address}, which means this machine itself`)
  }
  if (address === '0.0.0.0' || address === '::') return refused(`no address leads to the registry ${host}`)
  if (isLinkLocal(address)) {
    return refused(`the registry ${host} is reached from ${address}, which is of this link only`)
  }
  const holder = Object.entries(interfaces).find(([, list]) => list?.some((each) => each.address === address))
  const held = holder?.[1]?.find((each) => each.address === address)
  if (holder === undefined || held === undefined) {
    return refused(`the registry ${host} is reached from ${address}, which is of no interface of this machine`)
  }
  if (isShared(held, holder[1] ?? [])) {
    return refused(`the registry ${host} is reached from ${address}, a virtual IP of ${holder[0]}`)
  }
  return { kind: 'found', address }
}

/** The first IPv4 address of an interface that is its own; else the first IPv6 one that holds beyond the link. */
export function interfaceAddress(name: string, interfaces: Interfaces): OwnAddress {
  const list = interfaces[name]
  if (list === undefined) {
    const names = Object.keys(interfaces).join(', ')
    return { kind: 'refused', why: `there is no interface ${JSON.stringify(name)} with an address here: ${names}` }
  }
  // Who names the loopback interface means its addresses.
  const usable = list.filter((each) => !isShared(each, list) || isLoopback(each.address))
  const found =
    usable.find(({ family }) => family === 'IPv4') ??
    usable.find(({ family, address }) => family === 'IPv6' && !isLinkLocal(address))
  if (found !== undefined) return { kind: 'found', address: found.address }
  return { kind: 'refused', why: `the interface ${name} has no address that holds beyond its link; pass --address A` }
}

/** Is it an address of this machine? */
export function isOwn(address: string, interfaces: Interfaces): boolean {
  return Object.values(interfaces).some((list) => list?.some((each) => each.address === address))
}

/**
 * A virtual IP lies beside the address of the interface, as a network of one (Docker Swarm, keepalived), or on the loopback
 * interface (IPVS). A network of one by itself is what some clouds and clusters give every machine.
 */
function isShared({ address, family, internal, netmask }: Held, list: readonly Held[]): boolean {
  if (internal) return !isLoopback(address)
  return (
    isWhole(netmask) &&
    list.some((other) => other.family === family && !isWhole(other.netmask) && !isLinkLocal(other.address))
  )
}

type Held = NonNullable<Interfaces[string]>[number]

function isWhole(netmask: string): boolean {
  return netmask === '255.255.255.255' || /^(ffff:){7}ffff$/i.test(netmask)
}

function isLoopback(address: string): boolean {
  return /^127\./.test(address) || address === '::1' || /^::ffff:127\./i.test(address)
}

function isLinkLocal(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(address) || /^169\.254\./.test(address)
}

/** Rejects when there is no way. */
function localTowards(address: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
    socket.on('error', (error) => {
      socket.close()
      reject(error)
    })
    socket.connect(port, address, () => {
      const local = socket.address().address
      socket.close()
      resolve(local)
    })
  })
}
