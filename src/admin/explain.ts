/**
 * Why does a service get requests, or none? Every instance that Consul knows, in rotation or not, with all that bears on it,
 * as plain JSON values: the table's view, joined with what the catalog said of the same instances.
 */

import type { OutlierOptions } from '../balancer/outlier-options.ts'
import type { EndpointState, ServiceView } from '../balancer/view.ts'
import type { InstanceFacts, ServiceFacts } from '../discovery/facts.ts'
import { type CatalogStatus, suspectFinder } from './catalog.ts'
import type { Cause, CauseContext, CheckDetail, InstanceRecord } from './cause.ts'
import { catalogCauses, checkDetail } from './explain-catalog.ts'
import { type Concern, concernsOf } from './explain-concerns.ts'
import { drainCause, healthCauses } from './explain-health.ts'
import { decisive, instanceVerdict, serviceVerdict, whatDecides } from './explain-verdict.ts'
import type { Readiness } from './readiness.ts'

/** What explains a service besides the table. */
export interface ExplainSources {
  /** Null: the source says nothing of it. */
  readonly facts: (service: string) => ServiceFacts | null
  readonly rules: (service: string) => { readonly outlier: OutlierOptions; readonly slowStartMs: number | null }
  /** Why a name is not in the table. */
  readonly unknown: (service: string) => UnknownService
  /** Milliseconds since 1970. */
  readonly epochNow: () => number
}

export interface UnknownService {
  readonly because:
    | 'excluded'
    | 'not-included'
    | 'this-proxy'
    | 'bad-name'
    | 'not-configured'
    | 'no-catalog'
    | 'not-listed'
  /** The setting that decides it, or what it is set to; null: none does. */
  readonly rule: string | null
  /** One clause. */
  readonly text: string
  /** The known name that was most likely meant; null: none is near. */
  readonly nearest: string | null
}

export interface ExplainInput {
  readonly service: ServiceView
  readonly facts: ServiceFacts | null
  readonly catalog: CatalogStatus
  readonly readiness: Readiness
  readonly outlier: OutlierOptions
  readonly slowStartMs: number | null
  readonly epochMs: number
}

/** What there is to explain a service of the table by, at this moment. */
export function explainInput(
  service: ServiceView,
  {
    explaining,
    ...sources
  }: {
    readonly explaining: ExplainSources
    readonly catalog: () => CatalogStatus
    readonly readiness: () => Readiness
  },
): ExplainInput {
  const { name } = service
  return {
    service,
    facts: explaining.facts(name),
    catalog: sources.catalog(),
    readiness: sources.readiness(),
    epochMs: explaining.epochNow(),
    ...explaining.rules(name),
  }
}

export interface ServiceExplanation {
  /** One sentence. */
  readonly verdict: string
  /** What concerns the service as a whole. */
  readonly concerns: readonly Concern[]
  /** How long ago the source last read this service; null: it does not say. */
  readonly readAgoMs: number | null
  readonly instances: readonly InstanceExplanation[]
}

export interface InstanceExplanation {
  /** Its id in the table; null: the table has no endpoint for it. */
  readonly endpoint: string | null
  readonly instance: string
  /** `address:port` as far as it is known. */
  readonly address: string
  readonly node: string | null
  readonly datacenter: string | null
  /** The sources of the catalog that name it, or say that it is out. */
  readonly sources: readonly string[]
  readonly tags: readonly string[]
  /** Null: it is no endpoint. */
  readonly state: EndpointState | null
  readonly inRotation: boolean
  /** It has requests sent to it: it is in rotation, or all are ejected. */
  readonly getsRequests: boolean
  /** One sentence. */
  readonly verdict: string
  /** Which kind of cause the verdict stands on, be it that no more is known of it; null: none, all is well. */
  readonly decidedBy: Cause['kind'] | null
  readonly causes: readonly Cause[]
  readonly checks: readonly CheckDetail[]
  /** Checks that were not kept. */
  readonly moreChecks: number
  /** Since it joined. */
  readonly picks: number
  /** Since the last change of the rotation, and their share (0–1) of the service's; null: nobody was picked since. */
  readonly recentPicks: number
  readonly share: number | null
  /** The share that is its due, by weight. */
  readonly idealShare: number
  readonly inFlight: number
  readonly weight: number | null
  readonly warmth: number
}

/** Everything that there is to say of one service. */
export function explainService(input: ExplainInput): ServiceExplanation {
  const { service, facts, catalog, epochMs, outlier, slowStartMs } = input
  const find = suspectFinder(catalog)
  const weights = new Set(service.endpoints.map(({ endpoint }) => endpoint.weight))
  const given: CauseContext = {
    nowMs: catalog.nowMs,
    epochMs,
    outlier,
    slowStartMs,
    panic: isInPanic(service) ? service.panic : null,
    areWeighted: weights.size > 1,
  }
  const recent = service.endpoints.reduce((sum, { recentPicks }) => sum + recentPicks, 0)
  const drains = new Map(service.drainedAway.map((drain) => [drain.endpoint, drain]))
  const instances = joined(service, facts?.instances ?? []).map((record) => {
    const { endpoint, absent, facts: own } = record
    const suspect = endpoint === null ? null : find(service.name, endpoint.endpoint.id)
    const drained = endpoint === null ? (drains.get(absent?.address ?? own?.address ?? '') ?? null) : null
    return instanceExplanation({ ...record, suspect, drained }, given, recent)
  })
  const readAgoMs = facts === null ? null : Math.round(catalog.nowMs - facts.readMs)
  const concerns = concernsOf(input, {
    inPanic: given.panic !== null,
    standby: servingStandby(instances),
    standbys: new Set(instances.flatMap(({ datacenter }) => datacenter ?? [])),
    places: new Set(instances.map(({ address }) => address)),
  })
  return { verdict: serviceVerdict(service, instances), concerns, readAgoMs, instances }
}

/** True when whoever may be tried is ejected. */
function isInPanic({ endpoints }: ServiceView): boolean {
  return endpoints.every(({ state }) => state !== 'healthy') && endpoints.some(({ state }) => state !== 'drained')
}

/** The standby datacenter that the endpoints are in; null: they are in the first one. */
function servingStandby(instances: readonly InstanceExplanation[]): string | null {
  return instances.find(({ endpoint, datacenter }) => endpoint !== null && datacenter !== null)?.datacenter ?? null
}

/** So many ids at one address are named. */
const namedAtOneAddress = 10

type Joined = Omit<InstanceRecord, 'suspect' | 'drained'>

/** One record for each instance that the table or the catalog's last answer knows: endpoints first. */
function joined(service: ServiceView, facts: readonly InstanceFacts[]): readonly Joined[] {
  const left = new Set(facts)
  const byAddress = new Map<string, InstanceFacts[]>()
  for (const each of facts) push(byAddress, each.address, each)
  const take = (address: string, instance: string, wellFirst: boolean): InstanceFacts | null => {
    const alike = (byAddress.get(address) ?? []).filter((each) => left.has(each) && each.instance === instance)
    const taken = (wellFirst ? alike.find(isWell) : undefined) ?? alike[0] ?? null
    if (taken !== null) left.delete(taken)
    return taken
  }
  const endpoints = service.endpoints.map((view) => {
    const { id, instance } = view.endpoint
    return { endpoint: view, absent: null, address: id, instance, facts: take(id, instance, true) }
  })
  const absent = service.absent
    .filter(({ unread }) => unread !== true)
    .map((each) => ({ endpoint: null, absent: each, ...each, facts: take(each.address, each.instance, false) }))
  // Such as the table lacks for a moment, or of a datacenter that is not asked now.
  const others = [...left].map((each) => ({ endpoint: null, absent: null, ...each, facts: each }))
  const all = [...endpoints, ...absent, ...others]
  const idsAt = new Map<string, string[]>()
  // What is nowhere is at no common place, and datacenters may number their machines alike.
  const placed = all.filter(({ address, facts: own }) => own?.datacenter === undefined && address !== '')
  for (const { address, instance } of placed) push(idsAt, address, instance)
  const sharing = new Set(placed)
  const inRotation = new Set(
    service.endpoints.filter(({ state }) => state === 'healthy').map((view) => view.endpoint.id),
  )
  return all.map((each) => {
    const ids = sharing.has(each) ? (idsAt.get(each.address) ?? []) : []
    const { endpoint, absent: out, facts: own } = each
    const sameAddress = ids.length > 1 ? withoutOne(ids, each.instance) : []
    return { endpoint, absent: out, facts: own, sameAddress, isPlaceInRotation: inRotation.has(each.address) }
  })
}

/** The ids of the others; no more of them than a person reads, for there may be thousands. */
function withoutOne(ids: readonly string[], own: string): readonly string[] {
  const some = ids.slice(0, namedAtOneAddress + 1)
  const at = some.indexOf(own)
  return some.filter((_, index) => index !== at).slice(0, namedAtOneAddress)
}

function push<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}

function isWell({ checks, lacksTag }: InstanceFacts): boolean {
  return lacksTag === null && checks.every(({ status }) => status === 'passing' || status === 'warning')
}

function instanceExplanation(record: InstanceRecord, given: CauseContext, recent: number): InstanceExplanation {
  const { endpoint, absent, facts, drained } = record
  const causes = [
    ...catalogCauses(record, given),
    ...(endpoint === null ? [] : healthCauses(endpoint, given)),
    ...(drained === null ? [] : [drainCause(drained, given.epochMs)]),
  ]
  const state = endpoint?.state ?? null
  const getsRequests = state === 'healthy' || (given.panic !== null && state !== null && state !== 'drained')
  const cause = decisive(record, causes, getsRequests)
  return {
    endpoint: endpoint?.endpoint.id ?? null,
    instance: endpoint?.endpoint.instance ?? absent?.instance ?? facts?.instance ?? '',
    address: endpoint?.endpoint.id ?? absent?.address ?? facts?.address ?? '',
    node: facts?.node ?? null,
    datacenter: facts?.datacenter ?? null,
    sources: endpoint?.endpoint.sources ?? absent?.sources ?? [],
    tags: facts?.tags ?? [],
    state,
    inRotation: state === 'healthy',
    getsRequests,
    verdict: instanceVerdict(record, causes, cause, getsRequests),
    decidedBy: getsRequests ? (cause?.kind ?? null) : whatDecides(record, cause),
    causes,
    checks: (facts?.checks ?? []).map((check) => checkDetail(check, given)),
    moreChecks: facts?.moreChecks ?? 0,
    picks: endpoint?.picks ?? 0,
    recentPicks: endpoint?.recentPicks ?? 0,
    share: recent === 0 || endpoint === null ? null : endpoint.recentPicks / recent,
    idealShare: endpoint?.idealShare ?? 0,
    inFlight: endpoint?.inFlight ?? 0,
    weight: endpoint?.endpoint.weight ?? null,
    warmth: endpoint?.warmth ?? 1,
  }
}
