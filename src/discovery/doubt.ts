/** When is an answer that leaves endpoints out doubtful? The rules of admission.ts, each on its own. Pure. */

import type { AbsentInstance, Catalog, CatalogService, Endpoint, EndpointId } from '../balancer/endpoint.ts'

/** Why an answer is doubted: three about single services, three about the registry as a whole. */
export type Doubt =
  | 'most-of-service'
  | 'service-emptied'
  /** Consul says something of the instance itself, but has just come back: heartbeats have had no time to arrive. */
  | 'word-after-outage'
  | 'loss-after-outage'
  | 'many-services'
  | 'index-backwards'

const aboutServices: readonly Doubt[] = ['most-of-service', 'service-emptied', 'word-after-outage']

/** A catalog of thousands that is read in turn does not lose a third at once: so many are too many, whatever the share. */
const manyServices = 30

/** True when the doubt is about the registry as a whole, and not about one service in it. */
export function isOfRegistry(doubt: Doubt): boolean {
  return !aboutServices.includes(doubt)
}

/**
 * @param emptied services that lose all of their endpoints together
 * @param routed all services that have endpoints
 */
export function isMass(emptied: number, routed: number): boolean {
  return (emptied >= 2 && emptied * 3 > routed) || emptied > manyServices
}

/**
 * Is this endpoint kept out by the answer's word on itself? Of several sources only those that named it have one: that an
 * instance is critical in the registry that it has moved from says nothing of why the other one has lost it.
 */
export function explainedBy(said: CatalogService | undefined): (endpoint: Endpoint) => boolean {
  const words = new Map<EndpointId, AbsentInstance[]>()
  for (const absentee of said?.absent ?? []) {
    if (absentee.agentLost) continue
    const known = words.get(absentee.address)
    if (known === undefined) words.set(absentee.address, [absentee])
    else known.push(absentee)
  }
  return ({ id, sources }) =>
    words.get(id)?.some((word) => word.sources?.some((source) => sources?.includes(source) ?? true) ?? true) ?? false
}

/** The answer, with the services of which nothing could be read yet as they were said to be before. */
export function withUnreadAs(former: Catalog | null, answer: Catalog): Catalog {
  let services: Map<string, CatalogService> | null = null
  for (const [name, said] of answer.services) {
    if (said.endpoints.length > 0 || !said.absent.some((absentee) => absentee.unread)) continue
    const known = former?.services.get(name)
    if (known === undefined) continue
    services ??= new Map(answer.services)
    services.set(name, known)
  }
  return services === null ? answer : { services }
}

/** Of which sources it is the word that these are there; null stands for those that are not named. */
export function sourcesOf(endpoints: readonly Endpoint[]): ReadonlySet<string | null> {
  return new Set(endpoints.flatMap(({ sources }): readonly (string | null)[] => sources ?? [null]))
}

/** Is it this source's word that the endpoint is there? Of null it is: of anybody's. */
export function isNamedBy(source: string | null, { sources }: Endpoint): boolean {
  return source === null || sources === undefined || sources.includes(source)
}

/**
 * What is doubtful about a service that loses endpoints; null when nothing is. Each source is judged by what it named itself:
 * what others name there makes its accident no smaller. Suspects do not count on either side: what matters is how many of
 * those that were listed leave now.
 * @param before the service as it is in use, suspects included
 * @param missing those of its endpoints that the answer leaves out
 */
export function doubtAbout(
  before: CatalogService | undefined,
  suspects: ReadonlyMap<EndpointId, unknown> | undefined,
  answer: CatalogService | undefined,
  missing: readonly Endpoint[],
): Doubt | null {
  const isListed = ({ id }: Endpoint): boolean => suspects?.has(id) !== true
  const leaving = missing.filter(isListed)
  let doubt: Doubt | null = null
  for (const source of sourcesOf(leaving.length > 0 ? leaving : missing)) {
    const isTheirs = (endpoint: Endpoint): boolean => isNamedBy(source, endpoint)
    if (answer?.endpoints.some(isTheirs) !== true) return 'service-emptied'
    const lost = leaving.filter(isTheirs).length
    const listed = before?.endpoints.filter((endpoint) => isTheirs(endpoint) && isListed(endpoint)).length ?? 0
    if (lost >= 2 && lost * 2 > listed) doubt = 'most-of-service'
  }
  return doubt
}
