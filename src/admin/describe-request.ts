/** What does one finished request look like to a person or a script? Plain JSON values, made from what the trail kept of it. */

import type { Standing } from '../balancer/balancer.ts'
import type { EndpointId } from '../balancer/endpoint.ts'
import type { Outcome } from '../balancer/outcome.ts'
import type { OutOfRotation } from '../balancer/view.ts'
import type { Try } from '../proxy/observer.ts'
import type { TrailEntry } from './request-trail.ts'
import { ejectedText, outcomeText } from './words.ts'

/** Of each list, and of all lists of one answer together: a pool may have thousands. */
const namedInList = 100
const namedInAll = 10_000

/** Who could have been picked, who could not, and why. */
export interface Candidates {
  /** The first hundred. */
  readonly candidates: readonly EndpointId[]
  readonly candidateCount: number
  /** The first hundred. */
  readonly skipped: readonly Skipped[]
  readonly skippedCount: number
}

export interface Skipped {
  readonly endpoint: string | null
  /** The catalog's own id of the instance. */
  readonly instance: string | null
  readonly why: string
}

export interface TryDetail extends Candidates {
  readonly endpoint: EndpointId
  readonly role: Try['role']
  /** Since the request's head was read. */
  readonly startMs: number
  readonly durationMs: number
  readonly connectMs: number | null
  readonly firstByteMs: number | null
  /** In words. */
  readonly outcome: string
  readonly kind: Outcome['kind']
  readonly status: number | null
  /** Why another endpoint was tried after it; null when none was. */
  readonly retried: Try['retried']
}

export interface RequestDetail {
  readonly requestId: string
  /** Since it ended. */
  readonly agoMs: number
  /** When it ended, ISO 8601. */
  readonly at: string
  readonly request: string
  readonly service: string | null
  readonly status: number
  readonly outcome: TrailEntry['outcome']
  /** Why it was refused; null: it was not. */
  readonly refusal: string | null
  readonly durationMs: number
  readonly traceId: string | null
  readonly trail: string | null
  /** How many there were; of more than twenty, `tries` has the first ten and the last ten. */
  readonly attempts: number
  readonly tries: readonly TryDetail[]
  /** Who there was when there was nobody to try. */
  readonly standing: Candidates | null
}

/** @param wallMs now, in milliseconds since 1970 */
export function describeRequests(entries: readonly TrailEntry[], wallMs: number) {
  const room = { left: namedInAll }
  return { requests: entries.map((entry): RequestDetail => describeRequest(entry, wallMs, room)) }
}

/** How many more may be named in this answer. */
interface Room {
  left: number
}

function describeRequest(entry: TrailEntry, wallMs: number, room: Room): RequestDetail {
  const tried = new Set<EndpointId>()
  const tries: TryDetail[] = []
  for (const each of entry.tries) {
    tries.push(describeTry(each, tried, entry.standingKept, room))
    tried.add(each.endpoint)
  }
  const { standing } = entry
  return {
    requestId: entry.requestId,
    agoMs: rounded(entry.agoMs),
    at: new Date(wallMs - entry.agoMs).toISOString(),
    request: entry.request,
    service: entry.service,
    status: entry.status,
    outcome: entry.outcome,
    refusal: entry.refusal,
    durationMs: rounded(entry.durationMs),
    traceId: entry.traceId,
    trail: entry.trail,
    attempts: entry.attempts,
    tries,
    standing: standing === null ? null : candidatesOf({ standing, tried, isPanic: false, picked: null }, room),
  }
}

function describeTry(each: Try, tried: ReadonlySet<EndpointId>, standingKept: boolean, room: Room): TryDetail {
  const { standing, endpoint: picked, role } = each
  return {
    endpoint: picked,
    role,
    startMs: rounded(each.startMs),
    durationMs: rounded(each.durationMs),
    connectMs: each.connectMs === null ? null : rounded(each.connectMs),
    firstByteMs: each.firstByteMs === null ? null : rounded(each.firstByteMs),
    outcome: outcomeWords(each.outcome),
    kind: each.outcome.kind,
    status: each.outcome.kind === 'responded' ? each.outcome.status : null,
    retried: each.retried,
    ...(standingKept ? candidatesOf({ standing, tried, isPanic: role === 'panic', picked }, room) : noLongerKept),
  }
}

const noLongerKept: Candidates = {
  candidates: [],
  candidateCount: 0,
  skipped: [
    {
      endpoint: null,
      instance: null,
      why: 'who could have been picked is no longer kept: the pool has changed too often',
    },
  ],
  skippedCount: 1,
}

interface Choice {
  readonly standing: Standing
  /** Endpoints that the request had tried before. */
  readonly tried: ReadonlySet<EndpointId>
  /** For want of others, health did not count. */
  readonly isPanic: boolean
  readonly picked: EndpointId | null
}

function candidatesOf({ standing, tried, isPanic, picked }: Choice, room: Room): Candidates {
  const out = new Map(standing.out.map((each) => [each.endpoint, each]))
  const candidates: EndpointId[] = []
  const skipped: Skipped[] = []
  for (const { id, instance } of standing.service.endpoints) {
    const why = whyNot(out.get(id), tried.has(id), isPanic)
    if (why === null || id === picked) candidates.push(id)
    else skipped.push({ endpoint: id, instance, why })
  }
  for (const { instance, address, reason, unread } of standing.service.absent) {
    skipped.push({
      endpoint: address === '' ? null : address,
      instance: unread === true ? null : instance,
      why: reason,
    })
  }
  return {
    candidates: first(candidates, room),
    candidateCount: candidates.length,
    skipped: first(skipped, room),
    skippedCount: skipped.length,
  }
}

/** Null: it could have been picked. */
function whyNot(out: OutOfRotation | undefined, isTried: boolean, isPanic: boolean): string | null {
  if (isTried) return 'tried already by this request'
  if (out === undefined) return null
  switch (out.state) {
    case 'drained':
      return 'drained by hand'
    case 'ejected':
      return isPanic ? null : ejectedText(out.reason)
    case 'probing':
      return isPanic ? null : `${ejectedText(out.reason)}; its one probe is under way`
    default:
      return out.state satisfies never
  }
}

/** How an attempt ended, in the words of `explain`, and what only a request's own story has. */
function outcomeWords(outcome: Outcome): string {
  const words = outcomeText(outcome)
  if (outcome.kind === 'responded' && !outcome.relayed) return `${words}, thrown away for a retry`
  if (outcome.kind === 'bad-response' && outcome.afterHeaders) return `${words}, after its head`
  return outcome.kind === 'broke-off' && outcome.stale === true ? `${words}, on a connection that was kept` : words
}

function first<T>(list: readonly T[], room: Room): readonly T[] {
  const named = list.slice(0, Math.min(namedInList, room.left))
  room.left -= named.length
  return named
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
