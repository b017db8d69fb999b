/** What do the resolvers say, each of them by itself, and of each name? Every question once; who does not answer is not asked again. */

import type { Catalog, CatalogService } from '../balancer/endpoint.ts'
import { type DnsClient, type DnsReply, dnsClient, type Question } from '../discovery/dns/dns-client.ts'
import { addressesOf, srvOf } from '../discovery/dns/dns-endpoints.ts'
import { dnsFailure } from '../discovery/dns/dns-failure.ts'
import { type DnsName, type DnsReading, readService } from '../discovery/dns/dns-reader.ts'
import { parseResolver, type Resolver, systemResolvers } from '../discovery/dns/dns-resolvers.ts'
import { type DnsOptions, dnsTiming } from '../discovery/dns/dns-source.ts'
import type { Failure } from '../discovery/failure.ts'
import type { DnsFacts, UnreadFacts } from './facts.ts'
import { inParallel } from './parallel.ts'

export interface NamesReading {
  /** The services that were read. */
  readonly catalog: Catalog
  readonly unread: readonly UnreadFacts[]
  readonly facts: DnsFacts
}

type Name = DnsFacts['names'][number]
type Failing = DnsFacts['failing'][number]

const PARALLEL = 16

/** Reads all names of the config, or only this one. Never rejects. */
export async function readDns({ services, resolvers }: DnsOptions, only: string | null): Promise<NamesReading> {
  const named = resolvers.flatMap((text) => parseResolver(text) ?? [])
  const asked = resolvers.length > 0 ? named : systemResolvers()
  const wanted = Object.entries(services).filter(([service]) => only === null || service === only)
  const { signal } = new AbortController()
  const [all, ...each] = [dnsClient(asked, dnsTiming), ...asked.map((resolver) => witness(resolver))]
  const found = new Map<string, CatalogService>()
  const unread: UnreadFacts[] = []
  const names: Name[] = []
  /** Nobody wants to wait for a deadline as often as there are names. */
  const readUnlessAway = (of: DnsName): Promise<DnsReading> | DnsReading => {
    const away = each.map(({ away }) => away())
    const [first] = away
    return first != null && !away.includes(null) ? { kind: 'failed', failure: first } : readService(of, all, signal)
  }
  await inParallel(PARALLEL, wanted, async ([service, of]) => {
    const question: Question = { name: of.name, type: of.kind === 'srv' ? 'SRV' : of.kind === 'a' ? 'A' : 'AAAA' }
    const said = await Promise.all(each.map(({ ask }) => ask(question, signal)))
    const reading = await readUnlessAway(of)
    if (reading.kind === 'read') found.set(service, reading.service)
    else unread.push({ what: { kind: 'service', name: service }, failure: reading.failure })
    const those = (what: Said) => asked.flatMap((resolver, at) => (said[at] === what ? [placeOf(resolver)] : []))
    names.push({
      service,
      question: `${question.type} ${question.name}`,
      absent: those('absent'),
      empty: those('empty'),
      answering: those('answering'),
      ttlMs: reading.kind === 'read' && reading.service.endpoints.length > 0 ? reading.ttlMs : null,
    })
  })
  for (const { close } of [all, ...each]) close()
  const inOrder = Object.keys(services)
    .sort()
    .flatMap((name): [string, CatalogService][] => {
      const service = found.get(name)
      return service === undefined ? [] : [[name, service]]
    })
  const failing = each.flatMap(({ failing }) => failing() ?? [])
  return { catalog: { services: new Map(inOrder) }, unread, facts: { failing, names } }
}

type Said = 'absent' | 'empty' | 'answering' | 'nothing'

interface Witness {
  ask(question: Question, signal: AbortSignal): Promise<Said>
  /** Nobody was reached there, so it is not asked any more; null: it is. */
  away(): Failure | null
  /** Null: it has always answered. */
  failing(): Failing | null
  close(): void
}

function witness(resolver: Resolver): Witness {
  const client: DnsClient = dnsClient([resolver], dnsTiming)
  let [asked, failed] = [0, 0]
  let away: Failure | null = null
  let failure: Failure | null = null

  function judge(question: Question, reply: DnsReply): Said {
    if (reply.kind === 'failed') {
      failed += 1
      const [first] = reply.failures
      const said = dnsFailure(first?.mishap ?? { kind: 'no-resolver' }, placeOf(resolver))
      failure ??= said
      if (said.speed === 'away') away = said
      return 'nothing'
    }
    const { rcode, answers } = reply.message
    if (rcode === 3) return 'absent'
    const count =
      question.type === 'SRV'
        ? srvOf(question.name, answers).records.length
        : addressesOf(question.name, question.type, answers).addresses.length
    return count === 0 ? 'empty' : 'answering'
  }

  return {
    async ask(question, signal) {
      if (away !== null) return 'nothing'
      asked += 1
      return judge(question, await client.ask(question, signal))
    },
    away: () => away,
    failing() {
      if (failure === null) return null
      const { message, cure } = failure
      return { resolver: placeOf(resolver), failed, asked, failure: { message, cure } }
    },
    close: client.close,
  }
}

function placeOf({ address, port }: Resolver): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
