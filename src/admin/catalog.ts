/** What does the catalog in use stand on? The source, answers that were doubted, and the snapshot, as plain JSON values. */

import type { EndpointId } from '../balancer/endpoint.ts'
import type { AdmissionOptions } from '../discovery/admission.ts'
import type { Doubt } from '../discovery/doubt.ts'
import type { SourceError, SourceView } from '../discovery/source.ts'
import type { Suspect } from '../discovery/suspect.ts'
import { doubtText } from './event-log.ts'
import type { Readiness } from './readiness.ts'
import { durationText } from './words.ts'

export interface CatalogStatus {
  /** Of the clock that the suspects' times are of. */
  readonly nowMs: number
  readonly admission: AdmissionOptions
  /** Endpoints that are in rotation although the source's last answer leaves them out. */
  readonly suspects: readonly Suspect[]
  /** Null: the source has nothing to tell. */
  readonly source: SourceView | null
  /** Null: none is kept. */
  readonly snapshot: SnapshotStatus | null
  /** The last failure to read the source since it last confirmed the catalog; null: there was none. */
  readonly failure: SourceFailure | null
  /** The last failure to read each standby datacenter, of those of the last minute: it goes on, as a rule. */
  readonly standbyFailures: ReadonlyMap<string, SourceFailure>
}

export interface SourceFailure extends Pick<SourceError, 'where' | 'message' | 'cure' | 'source'> {
  readonly agoMs: number
}

export interface SnapshotStatus {
  readonly path: string
  /** What became of the file that was there at the start. `refused`: it was left alone, and nothing is written. */
  readonly found: 'read' | 'absent' | 'refused'
  /** The catalog in use is the one of the file: the source has not answered yet. */
  readonly inUse: boolean
}

/** One endpoint that the catalog leaves out, for people and scripts. */
export interface SuspectDetail {
  readonly doubt: Doubt
  readonly state: 'held' | 'kept'
  readonly forMs: number
  /** Until it is decided at the latest; null: it has been. */
  readonly decidedInMs: number | null
  /** Later reads that left it out as well. */
  readonly confirmingReads: number
  readonly why: string
}

export function suspectDetail(suspect: Suspect, { nowMs, admission }: CatalogStatus): SuspectDetail {
  const { doubt, kept, sinceMs, reads } = suspect
  const decidedInMs = kept ? null : Math.max(0, sinceMs + admission.holdMs - nowMs)
  const until = `held: ${doubtText(doubt)}; decided in ${durationText(decidedInMs ?? 0)} at the latest`
  return {
    doubt,
    state: kept ? 'kept' : 'held',
    forMs: nowMs - sinceMs,
    decidedInMs,
    confirmingReads: reads,
    why: kept ? `kept, although ${doubtText(doubt)}: endpoints that it lost go on answering` : until,
  }
}

/** What failed and what to do, as a clause. */
export function failureText({ where, message, cure }: SourceFailure): string {
  return `${where}: ${message}; ${cure.replace(/\.$/, '')}`
}

/** How to find what there is to tell of an endpoint of a service; null: the catalog lists it. */
export function suspectFinder(status: CatalogStatus) {
  const byPlace = new Map(status.suspects.map((suspect) => [`${suspect.service} ${suspect.endpoint.id}`, suspect]))
  return (service: string, endpoint: EndpointId): SuspectDetail | null => {
    const suspect = byPlace.get(`${service} ${endpoint}`)
    return suspect === undefined ? null : suspectDetail(suspect, status)
  }
}

/** Everything that `/api/catalog` says. */
export function describeCatalog(status: CatalogStatus, { state, ageMs }: Readiness): object {
  const { admission, suspects, source, snapshot, failure, standbyFailures } = status
  return {
    state,
    ageMs,
    admission: { ...admission, ...suspectCounts(suspects) },
    suspects: suspects.map((suspect) => ({
      service: suspect.service,
      endpoint: suspect.endpoint.id,
      instance: suspect.endpoint.instance,
      ...suspectDetail(suspect, status),
    })),
    source,
    snapshot,
    failure,
    standbyFailures: Object.fromEntries(standbyFailures),
  }
}

export function suspectCounts(suspects: readonly Suspect[]): { readonly held: number; readonly kept: number } {
  const kept = suspects.filter((suspect) => suspect.kept).length
  return { held: suspects.length - kept, kept }
}
