/**
 * What does a catalog say of each instance, whichever source told it? Pure: a catalog and the source's warnings in, facts
 * out. Of what a source knows beside its catalog the other registry-*.ts files tell.
 */

import type { AbsentInstance, Catalog, CatalogService, Endpoint } from '../balancer/endpoint.ts'
import { isPort, normalAddress } from '../discovery/address.ts'
import { matchesAny } from '../discovery/glob.ts'
import type { NameRules } from '../discovery/names.ts'
import type { Oddity } from '../discovery/oddity.ts'
import { compareText, printable } from '../discovery/untrusted-text.ts'
import type { Facts, InstanceFacts, ServiceFacts, SourceName, UnreadFacts } from './facts.ts'

export interface CatalogRules {
  readonly source: SourceName
  readonly names: NameRules
  /** Only this service, whether or not the names leave it out; null: all that are routed. */
  readonly only: string | null
  readonly connectTimeoutMs: (service: string) => number
}

const MAX_STATED_LENGTH = 128

/**
 * @param catalog with all names that the source has, those included that the config leaves out
 * @param oddities by service
 */
export function catalogFacts(
  catalog: Catalog,
  oddities: ReadonlyMap<string, readonly Oddity[]>,
  { source, names, only, connectTimeoutMs }: CatalogRules,
): Pick<Facts, 'listed' | 'excluded' | 'services' | 'unread'> {
  const isExcluded = (name: string) => !matchesAny(names.include, name) || matchesAny(names.exclude, name)
  const services: ServiceFacts[] = []
  const unread: UnreadFacts[] = []
  let excluded = 0
  for (const [name, service] of catalog.services) {
    if (isExcluded(name)) excluded += 1
    if (only === null ? isExcluded(name) : name !== only) continue
    const silence = service.absent.find((each) => each.unread === true)
    if (silence !== undefined) {
      const failure = { message: silence.reason, cure: 'see what else is said of the source; then ask again' }
      unread.push({ what: { kind: 'service', name }, failure })
      continue
    }
    services.push({
      name,
      isExcluded: isExcluded(name),
      instances: instancesOf(service, source, connectTimeoutMs(name)),
      untagged: null,
      oddities: oddities.get(name) ?? [],
      standbys: [],
    })
  }
  return { listed: catalog.services.size, excluded, services, unread }
}

function instancesOf(
  { endpoints, absent }: CatalogService,
  source: SourceName,
  connectTimeoutMs: number,
): readonly InstanceFacts[] {
  const known = { node: '', checks: null, connectTimeoutMs }
  const instances = [
    ...endpoints.map(({ id, instance, address, port }: Endpoint): InstanceFacts => {
      return { ...known, id: instance, stated: address, address, port, place: id, standing: 'routed', reason: null }
    }),
    ...absent.map(({ instance, address, reason }: AbsentInstance): InstanceFacts => {
      // Nothing is against it: it is where another one is, and counts as one with it.
      const isDouble = reason.startsWith('same address and port as ')
      const standing = isDouble ? 'routed' : isIll(source, reason) ? 'critical' : 'out'
      return { ...known, id: instance, ...placeOf(address), standing, reason: isDouble ? null : reason }
    }),
  ]
  return instances.sort((a, b) => compareText(a.id, b.id) || compareText(a.place, b.place))
}

/** Is it out because it is said to be ill? Then it is worth a try whether it is. */
function isIll(source: SourceName, reason: string): boolean {
  switch (source) {
    case 'eureka':
      return reason === 'its status is DOWN'
    case 'swarm':
      return /\bunhealthy\b/.test(reason)
    default:
      return false
  }
}

/** @param text `address:port` as far as it is known, of whatever address */
function placeOf(text: string): Pick<InstanceFacts, 'stated' | 'address' | 'port' | 'place'> {
  const [, host = text, digits = ''] = /^(\[.*\]|[^:]*):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  const stated = printable(host, MAX_STATED_LENGTH)
  return {
    stated,
    address: normalAddress(host),
    port: isPort(port) ? port : null,
    place: printable(text, MAX_STATED_LENGTH),
  }
}
