/**
 * Which endpoints do a service's DNS records name? Pure: records in, endpoints and absentees out.
 *
 * Of SRV records (RFC 2782) the lowest priority counts in which anything has an address; the others are absent, so that
 * an operator sees them. Weights are shares: a target's is divided among its addresses. Weight 0 means "hardly ever"
 * beside others, a hundredth of the least share that weight 1 gives, and nothing where all have it.
 */

import {
  type AbsentInstance,
  type CatalogService,
  compareEndpoints,
  type Endpoint,
  endpointId,
} from '../../balancer/endpoint.ts'
import { isPort, normalAddress } from '../address.ts'
import { compareText, printable } from '../untrusted-text.ts'
import type { DnsRecord } from './dns-message.ts'

/** One SRV record, and the addresses that its target has; empty: it has none. */
export interface SrvTarget {
  readonly priority: number
  readonly weight: number
  readonly port: number
  readonly target: string
  readonly addresses: readonly string[]
}

const MAX_WEIGHT = 65_535
const MAX_NAME_LENGTH = 128
/** How much more weight 1 is than weight 0. */
const ZERO_FRACTION = 100
const MAX_CNAMES = 8

/** The addresses of `name` among records of one type, and the least of the times to live on the way; aliases are followed. */
export function addressesOf(
  name: string,
  type: 'A' | 'AAAA',
  records: readonly DnsRecord[],
): { readonly addresses: readonly string[]; readonly ttlS: number } {
  const { owner, ttlS: aliasTtlS } = finalOwner(name, records)
  const addresses = new Set<string>()
  let ttlS = aliasTtlS
  for (const record of records) {
    if (record.type !== type || record.name !== owner) continue
    const address = normalAddress(record.address)
    ttlS = Math.min(ttlS, record.ttlS)
    if (address !== null) addresses.add(address)
  }
  return { addresses: [...addresses].sort(compareText), ttlS }
}

/** The SRV records of `name`; none for "decidedly not available", which is a target of `.` (RFC 2782). */
export function srvOf(
  name: string,
  records: readonly DnsRecord[],
): { readonly records: readonly (DnsRecord & { type: 'SRV' })[]; readonly ttlS: number } {
  const { owner, ttlS: aliasTtlS } = finalOwner(name, records)
  const found = records.filter((record) => record.type === 'SRV' && record.name === owner) as (DnsRecord & {
    type: 'SRV'
  })[]
  const ttlS = found.reduce((least, record) => Math.min(least, record.ttlS), aliasTtlS)
  return { records: found.filter(({ target }) => target !== ''), ttlS }
}

/** Who `name` is in the end, when CNAMEs are followed, however they are ordered. */
function finalOwner(name: string, records: readonly DnsRecord[]): { owner: string; ttlS: number } {
  let owner = name.toLowerCase().replace(/\.$/, '')
  let ttlS = Number.POSITIVE_INFINITY
  for (let steps = 0; steps < MAX_CNAMES; steps += 1) {
    const alias = records.find((record) => record.type === 'CNAME' && record.name === owner)
    if (alias?.type !== 'CNAME') break
    owner = alias.target
    ttlS = Math.min(ttlS, alias.ttlS)
  }
  return { owner, ttlS }
}

/** A service of plain addresses, which all have the same port. */
export function plainService(name: string, addresses: readonly string[], port: number): CatalogService {
  const instance = printable(name, MAX_NAME_LENGTH)
  const endpoints = addresses.map((address) => ({ id: endpointId(address, port), instance, address, port, weight: 1 }))
  return { endpoints: endpoints.sort(compareEndpoints), absent: [] }
}

/** A service of SRV records. The order of `targets` does not matter. */
export function srvService(targets: readonly SrvTarget[]): CatalogService {
  const absent: AbsentInstance[] = []
  const usable: SrvTarget[] = []
  const away = ({ target, port }: SrvTarget, reason: string, address: string | undefined) => {
    const place = address !== undefined && isPort(port) ? endpointId(address, port) : (address ?? '')
    absent.push({ instance: printable(target, MAX_NAME_LENGTH), address: place, reason })
  }
  for (const each of targets) {
    if (each.addresses.length === 0) away(each, 'its name has no address', undefined)
    else if (!isPort(each.port)) away(each, 'has no port', each.addresses[0])
    else usable.push(each)
  }
  const first = usable.reduce((least, { priority }) => Math.min(least, priority), Number.POSITIVE_INFINITY)
  const inUse: SrvTarget[] = []
  for (const each of usable) {
    if (each.priority === first) inUse.push(each)
    else {
      const reason = `its priority is ${each.priority}, and there are addresses at ${first}`
      for (const address of each.addresses) away(each, reason, address)
    }
  }
  const endpoints = withWeights(inUse, absent).sort(compareEndpoints)
  return { endpoints, absent: absent.sort(compareAbsent) }
}

/** One endpoint for each address and port: of several records for one place the one with the first name stands for it. */
function withWeights(targets: readonly SrvTarget[], absent: AbsentInstance[]): Endpoint[] {
  const areAllZero = targets.every(({ weight }) => weight === 0)
  const hasZero = !areAllZero && targets.some(({ weight }) => weight === 0)
  const places = new Map<string, { endpoint: Omit<Endpoint, 'weight'>; share: number }>()
  const inOrder = [...targets].sort(
    (a, b) => compareText(a.target, b.target) || b.weight - a.weight || a.addresses.length - b.addresses.length,
  )
  for (const { target, addresses, port, weight } of inOrder) {
    const instance = printable(target, MAX_NAME_LENGTH)
    const own = areAllZero ? 1 : weight === 0 ? 1 / ZERO_FRACTION : weight
    for (const address of addresses) {
      const id = endpointId(address, port)
      const holder = places.get(id)
      if (holder === undefined) {
        places.set(id, { endpoint: { id, instance, address, port }, share: own / addresses.length })
      } else {
        absent.push({ instance, address: id, reason: `same address and port as "${holder.endpoint.instance}"` })
      }
    }
  }
  // Whole numbers in the same ratio, as far as they fit; weights that need no scaling stay what they are in DNS.
  const parts = [...new Set(targets.map(({ addresses }) => addresses.length))].reduce(leastCommonMultiple, 1)
  const most = [...places.values()].reduce((largest, { share }) => Math.max(largest, share), 1)
  const scale = Math.min(parts * (hasZero ? ZERO_FRACTION : 1), MAX_WEIGHT / most)
  return [...places.values()].map(({ endpoint, share }) => {
    return { ...endpoint, weight: Math.min(MAX_WEIGHT, Math.max(1, Math.round(share * scale))) }
  })
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b]
  while (y > 0) [x, y] = [y, x % y]
  return Math.min(MAX_WEIGHT, (a / x) * b)
}

function compareAbsent(a: AbsentInstance, b: AbsentInstance): number {
  return compareText(a.address, b.address) || compareText(a.instance, b.instance) || compareText(a.reason, b.reason)
}
