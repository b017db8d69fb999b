/** What does the table look like to a person or a script? Plain JSON values, made from the balancer's view. */

import type { AbsentInstance } from '../balancer/endpoint.ts'
import type { EjectionReason, WithheldReason } from '../balancer/observer.ts'
import type { EndpointState, EndpointView, ServiceView } from '../balancer/view.ts'
import type { SuspectDetail } from './catalog.ts'
import { ejectedText } from './words.ts'

/** What there is to tell of an endpoint that the catalog leaves out; null: it is listed. */
type FindSuspect = (service: string, endpoint: string) => SuspectDetail | null

export interface ServiceSummary {
  readonly name: string
  /** False: gone from the catalog, remembered for a while. */
  readonly inCatalog: boolean
  readonly endpoints: Readonly<Record<EndpointState, number>> & { readonly total: number }
  /** Instances that the catalog knows and keeps out of rotation. */
  readonly absent: number
  /** Endpoints in rotation that the last answer of the catalog leaves out. */
  readonly suspects: number
  readonly inFlight: number
  readonly pickSpread: number
}

export interface EndpointDetail {
  readonly endpoint: string
  readonly instance: string
  readonly address: string
  readonly port: number
  readonly weight: number
  /** The sources of the catalog that name it. */
  readonly sources: readonly string[]
  readonly state: EndpointState
  readonly inRotation: boolean
  /** One sentence, or null when there is nothing to explain. */
  readonly why: string | null
  /** Null: the catalog lists it. */
  readonly suspect: SuspectDetail | null
  readonly reason: EjectionReason | null
  readonly withheld: WithheldReason | null
  readonly ejectedForMs: number | null
  readonly consecutiveFaults: number
  readonly consecutiveConnectFaults: number
  readonly ejections: number
  readonly inFlight: number
  readonly picks: number
  /** Share (0–1) of its full weight that it has now. */
  readonly warmth: number
}

export interface AbsentDetail {
  readonly instance: string
  readonly address: string
  readonly why: string
  /** The sources of the catalog that say so. */
  readonly sources: readonly string[]
}

export interface ServiceDetail {
  readonly name: string
  readonly inCatalog: boolean
  readonly pickSpread: number
  readonly endpoints: readonly EndpointDetail[]
  readonly absent: readonly AbsentDetail[]
  /** Drained endpoints that are not in the table now: should they return, they stay drained. */
  readonly drainedAway: ServiceView['drainedAway']
}

/** One line of the list of services. */
export function summarise(service: ServiceView, findSuspect: FindSuspect): ServiceSummary {
  const endpoints = { healthy: 0, ejected: 0, probing: 0, drained: 0, total: service.endpoints.length }
  let inFlight = 0
  let suspects = 0
  for (const each of service.endpoints) {
    endpoints[each.state] += 1
    inFlight += each.inFlight
    if (findSuspect(service.name, each.endpoint.id) !== null) suspects += 1
  }
  return {
    name: service.name,
    inCatalog: service.inCatalog,
    endpoints,
    absent: service.absent.length,
    suspects,
    inFlight,
    pickSpread: service.pickSpread,
  }
}

/** One service with every endpoint that is known of it, in rotation or not, and why. */
export function detail(service: ServiceView, findSuspect: FindSuspect): ServiceDetail {
  return {
    name: service.name,
    inCatalog: service.inCatalog,
    pickSpread: service.pickSpread,
    endpoints: service.endpoints.map((each) => endpointDetail(each, findSuspect(service.name, each.endpoint.id))),
    absent: service.absent.map(absentDetail),
    drainedAway: service.drainedAway,
  }
}

function absentDetail({ instance, address, reason, sources = [] }: AbsentInstance): AbsentDetail {
  return { instance, address, why: reason, sources }
}

function endpointDetail(view: EndpointView, suspect: SuspectDetail | null): EndpointDetail {
  const { endpoint, state, ...rest } = view
  const { id, instance, address, port, weight, sources = [] } = endpoint
  const place = { endpoint: id, instance, address, port, weight, sources }
  return { ...place, state, inRotation: state === 'healthy', why: why(view, suspect), suspect, ...rest }
}

/** Why an endpoint is out of rotation, or is still in it although it fails; null when it is simply healthy. */
export function why(view: EndpointView, suspect: SuspectDetail | null): string | null {
  const clauses = [healthClause(view), suspect?.why ?? null].filter((clause) => clause !== null)
  return clauses.length === 0 ? null : clauses.join('; ')
}

function healthClause(view: EndpointView): string | null {
  switch (view.state) {
    case 'ejected':
      return `${ejectedText(view.reason)}; ${nextProbe(view.ejectedForMs ?? 0)}`
    case 'probing':
      return `${ejectedText(view.reason)}; one probe request is on its way`
    case 'drained':
      return `drained by ${view.drained?.by ?? 'somebody'}`
    case 'healthy':
      return view.withheld === null
        ? null
        : `its ejection for ${view.reason ?? 'a reason unknown'} is due but withheld: ${view.withheld}`
    default:
      return view.state satisfies never
  }
}

function nextProbe(ms: number): string {
  return ms > 0 ? `the next probe may go in ${(ms / 1000).toFixed(1)} s` : 'the next request is a probe'
}
