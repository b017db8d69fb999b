/** What does DNS say of one service now? The questions that it takes, as many as there are, put together to one answer. */

import type { CatalogService } from '../../balancer/endpoint.ts'
import type { Failure } from '../failure.ts'
import type { DnsClient, DnsReply, Question } from './dns-client.ts'
import { addressesOf, plainService, type SrvTarget, srvOf, srvService } from './dns-endpoints.ts'
import { dnsFailure } from './dns-failure.ts'
import { type DnsMessage, type DnsRecord, isDnsName } from './dns-message.ts'

/** What names a service in DNS. With `a` and `aaaa` every address has the port. */
export type DnsName =
  | { readonly kind: 'srv'; readonly name: string }
  | { readonly kind: 'a' | 'aaaa'; readonly name: string; readonly port: number }

export type DnsReading =
  /** `ttlMs`: how long all of it holds, by its own word; null: it says nothing of that. */
  | { readonly kind: 'read'; readonly service: CatalogService; readonly ttlMs: number | null }
  | { readonly kind: 'failed'; readonly failure: Failure }

type Addresses =
  | { readonly kind: 'addresses'; readonly addresses: readonly string[]; readonly ttlS: number }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** Reads one service: all of it, or none. */
export async function readService(of: DnsName, client: DnsClient, signal: AbortSignal): Promise<DnsReading> {
  if (of.kind !== 'srv') {
    const found = await addresses({ name: of.name, type: of.kind === 'a' ? 'A' : 'AAAA' }, client, signal)
    if (found.kind === 'failed') return found
    return { kind: 'read', service: plainService(of.name, found.addresses, of.port), ttlMs: millis(found.ttlS) }
  }
  const reply = await client.ask({ name: of.name, type: 'SRV' }, signal)
  if (reply.kind === 'failed') return { kind: 'failed', failure: failureOf(reply) }
  const { message } = reply
  const { records, ttlS } = srvOf(of.name, message.answers)
  // One lookup for each name, however many ports it has.
  const names = [...new Set(records.map(({ target }) => target))]
  const found = new Map<string, Addresses>()
  await Promise.all(names.map(async (name) => found.set(name, await targetAddresses(name, message, client, signal))))
  let least = records.length === 0 ? Math.min(ttlS, negativeTtlS(message)) : ttlS
  const targets: SrvTarget[] = []
  for (const record of records) {
    const its = found.get(record.target)
    if (its?.kind !== 'addresses') return its ?? { kind: 'read', service: srvService([]), ttlMs: null }
    least = Math.min(least, its.ttlS)
    targets.push({ ...record, addresses: its.addresses })
  }
  return { kind: 'read', service: srvService(targets), ttlMs: millis(least) }
}

/**
 * A target's addresses: those that came with the SRV records, else what is asked for. IPv6 only where there is no IPv4: a
 * host with both is one endpoint.
 */
async function targetAddresses(
  name: string,
  { additional }: DnsMessage,
  client: DnsClient,
  signal: AbortSignal,
): Promise<Addresses> {
  for (const type of ['A', 'AAAA'] as const) {
    const given = addressesOf(name, type, additional)
    if (given.addresses.length > 0) return { kind: 'addresses', ...given }
  }
  if (!isDnsName(name)) return { kind: 'addresses', addresses: [], ttlS: Number.POSITIVE_INFINITY }
  const v4 = await addresses({ name, type: 'A' }, client, signal)
  if (v4.kind === 'failed' || v4.addresses.length > 0) return v4
  const v6 = await addresses({ name, type: 'AAAA' }, client, signal)
  return v6.kind === 'failed' ? v6 : { ...v6, ttlS: Math.min(v4.ttlS, v6.ttlS) }
}

async function addresses(
  question: Question & { readonly type: 'A' | 'AAAA' },
  client: DnsClient,
  signal: AbortSignal,
): Promise<Addresses> {
  const reply = await client.ask(question, signal)
  if (reply.kind === 'failed') return { kind: 'failed', failure: failureOf(reply) }
  const found = addressesOf(question.name, question.type, reply.message.answers)
  const ttlS = found.addresses.length > 0 ? found.ttlS : Math.min(found.ttlS, negativeTtlS(reply.message))
  return { kind: 'addresses', addresses: found.addresses, ttlS }
}

function negativeTtlS({ authority }: DnsMessage): number {
  const soa = authority.find((record): record is DnsRecord & { type: 'SOA' } => record.type === 'SOA')
  return soa?.ttlS ?? Number.POSITIVE_INFINITY
}

function millis(ttlS: number): number | null {
  return Number.isFinite(ttlS) ? ttlS * 1000 : null
}

/** All resolvers failed: away is who could not be reached by any. */
function failureOf({ failures }: DnsReply & { kind: 'failed' }): Failure {
  const each = failures.map(({ resolver, mishap }) => dnsFailure(mishap, resolver))
  const worst = each.find(({ speed }) => speed !== 'away') ?? each[0]
  const { speed, cure } = worst ?? dnsFailure({ kind: 'no-resolver' }, '')
  return { speed, cure, message: each.map(({ message }) => message).join('; ') }
}
