/**
 * Is this new catalog believable? Pure: answers, time and what traffic shows go in, the catalog to use comes out.
 *
 * Whatever an answer adds is believed at once, and so is the leaving of a few. An answer that takes away much at once may
 * be the catalog's own accident, so the endpoints that it leaves out become suspects, which stay in rotation for a while:
 *
 *                left out by an answer that is in doubt
 *     ┌────────┐ ───────────────────────────▶ ┌──────┐  hold is over, and traffic contradicts  ┌──────┐
 *     │ listed │                              │ held │ ───────── a loss of data ─────────────▶ │ kept │
 *     └────────┘ ◀─────── listed again ────── └──────┘                                         └──────┘
 *       │    ▲                                   │ read again, and failing or silent               │ failing
 *       │    └───────────── listed again ────────┼─────────────────────────────────────────────────┤
 *       │ left out without doubt,                │ hold is over                                    │
 *       ▼ or Consul says why                     ▼ Consul says why · accepted by a person          ▼ … likewise
 *     ┌────────────────────────────────────────────────────────────────────────────────────────────────────┐
 *     │                                        gone                                                        │
 *     └────────────────────────────────────────────────────────────────────────────────────────────────────┘
 *
 * A doubt about one service ends with the hold: the registry has the last word on its services. A doubt about the
 * registry itself (many services at once, an index that went backwards) ends with traffic's word: while endpoints that
 * it has lost go on answering, it is the registry that is wrong. docs/admission.md has the reasoning.
 */

import { type Catalog, compareEndpoints, type Endpoint, type EndpointId, sameService } from '../balancer/endpoint.ts'
import type { Vitals } from '../balancer/view.ts'
import { doubtAbout, explainedBy, isMass, isNamedBy, isOfRegistry, sourcesOf } from './doubt.ts'
import type { Reading } from './source.ts'
import { byService, evidenceOn, isConfirmed, newSuspect, type Suspect, type Suspects, suspectsOf } from './suspect.ts'
import { compareText } from './untrusted-text.ts'

export interface AdmissionOptions {
  /** False: every answer is applied as it comes. */
  readonly enabled: boolean
  /** How long endpoints that a doubtful answer leaves out stay in rotation; above 0. */
  readonly holdMs: number
}

export interface Admission {
  /** The source's last answer; null: there has been none. */
  readonly answer: Catalog | null
  /** What to route by: the answer, and the suspects. */
  readonly table: Catalog | null
  readonly suspects: Suspects
  /** The next answer is believed as it stands. */
  readonly believesNext: boolean
  /** Sources whose first answer is believed. */
  readonly believed: readonly string[]
  /** Suspects of a doubt about the registry that turned out to fail, since there was last no such doubt. */
  readonly failed: number
}

/** What became of one endpoint that an answer left out. */
export interface Decision {
  readonly kind:
    | 'held'
    /** Listed again. */
    | 'returned'
    /** Gone: a second read left it out too and requests to it fail, or a third did and there were none. */
    | 'confirmed'
    /** Gone: Consul says of the instance itself why. */
    | 'explained'
    /** Gone: the hold is over, and nothing contradicted. */
    | 'expired'
    /** Stays: the hold is over, and traffic shows that the registry is wrong. */
    | 'kept'
    /** Gone: a person said so, or admission was turned off. */
    | 'accepted'
  readonly suspect: Suspect
}

export interface Verdict {
  readonly admission: Admission
  readonly decisions: readonly Decision[]
}

export interface Circumstances {
  /** Of a clock that never goes back. */
  readonly nowMs: number
  readonly options: AdmissionOptions
  /**
   * The source has answered without a break for a while. After one its word on health is not taken at once either: checks
   * that need a heartbeat are critical when a server starts again.
   * @param sources those that it is about; undefined: any of them
   */
  readonly settled: (sources: readonly string[] | undefined) => boolean
  /** What requests have shown of an endpoint; null: it is not in the routing table. */
  readonly vitals: (service: string, endpoint: EndpointId) => Vitals | null
}

/** What is known before the first answer; `catalog` null: nothing. */
export interface Baseline {
  readonly catalog: Catalog | null
  /** True: the first answer is judged by it. False: that one is believed. */
  readonly isJudge: boolean
  /** Sources that it does not judge: what is asked of them is another catalog. Absent: it judges all of them, or none. */
  readonly believed?: readonly string[]
  /** Those in it that were held by then: they stay so. Absent: none. */
  readonly suspects?: readonly Suspect[]
}

export function newAdmission({ catalog, isJudge, believed = [], suspects = [] }: Baseline): Admission {
  const held = suspects.filter(
    ({ service, endpoint: { id, sources } }) =>
      catalog?.services.get(service)?.endpoints.some((endpoint) => endpoint.id === id) &&
      !sources?.every((source) => believed.includes(source)),
  )
  return { answer: catalog, table: catalog, suspects: byService(held), believesNext: !isJudge, believed, failed: 0 }
}

/** Takes an answer in. The first one is believed, unless there is a baseline to judge it by. */
export function judgeAnswer(before: Admission, answer: Catalog, reading: Reading, given: Circumstances): Verdict {
  if (before.table === null || before.believesNext || !given.options.enabled)
    return acceptAll({ ...before, answer, believesNext: false })
  // Not whoever spoke: its answer may be told along with the first one of another source.
  const speaker = reading.source === undefined ? undefined : [reading.source]
  const isSettled = ({ sources = speaker }: Endpoint) => given.settled(sources)
  const believed = before.believed.filter((source) => reading.first?.includes(source))
  const isBelieved = ({ sources }: Endpoint) => sources?.every((source) => believed.includes(source)) ?? false
  const { missing, decisions, isOfMany } = missingFrom(before, answer, isSettled, isBelieved)
  const ofRegistry = reading.rewound ? 'index-backwards' : isOfMany ? 'many-services' : null
  const suspects = new Map<string, ReadonlyMap<EndpointId, Suspect>>()
  for (const [service, endpoints] of missing) {
    const known = before.suspects.get(service)
    const said = answer.services.get(service)
    const ofService = doubtAbout(before.table.services.get(service), known, said, endpoints)
    // So much at once, from a registry that has just come back: it may have lost it.
    const ofAll = ofRegistry ?? (ofService !== null && !endpoints.every(isSettled) ? 'loss-after-outage' : ofService)
    // What is explained and missing all the same is so only because the source is not settled.
    const isExplained = explainedBy(ofAll === null ? said : undefined)
    const held = new Map<EndpointId, Suspect>()
    for (const endpoint of endpoints) {
      const suspect = known?.get(endpoint.id)
      const doubt = ofAll ?? (isExplained(endpoint) ? 'word-after-outage' : null)
      if (suspect !== undefined) {
        held.set(endpoint.id, doubt !== null && isOfRegistry(doubt) ? { ...suspect, doubt } : suspect)
      } else if (doubt !== null) {
        const fresh = newSuspect(service, endpoint, doubt, given)
        held.set(endpoint.id, fresh)
        decisions.push({ kind: 'held', suspect: fresh })
      }
    }
    if (held.size > 0) suspects.set(service, held)
  }
  return { admission: withSuspects({ ...before, answer }, suspects), decisions }
}

/**
 * A later read, whole and successful, left these services' suspects out as well.
 * @param askedAtMs when that read began: who became a suspect since is not confirmed by it
 */
export function confirmRead(before: Admission, services: Iterable<string>, askedAtMs: number): Admission {
  const suspects = new Map(before.suspects)
  for (const service of services) {
    const held = suspects.get(service)
    if (held === undefined) continue
    const confirmed = [...held].map(([id, suspect]): [EndpointId, Suspect] => [
      id,
      suspect.sinceMs <= askedAtMs ? { ...suspect, reads: suspect.reads + 1 } : suspect,
    ])
    suspects.set(service, new Map(confirmed))
  }
  return { ...before, suspects }
}

/** Decides what can be decided by now. To be asked again and again while there are suspects. */
export function settle(before: Admission, given: Circumstances): Verdict {
  if (!given.options.enabled) return acceptAll(before)
  let { failed } = before
  const decisions: Decision[] = []
  const staying: Suspect[] = []
  let answering = 0
  for (const suspect of suspectsOf(before)) {
    // Said when the source had just come back, and not taken back since.
    const isExplained = explainedBy(before.answer?.services.get(suspect.service))(suspect.endpoint)
    if (isExplained && given.settled(suspect.endpoint.sources)) {
      decisions.push({ kind: 'explained', suspect })
      continue
    }
    const evidence = evidenceOn(suspect, given)
    if (isConfirmed(suspect, evidence)) {
      if (isOfRegistry(suspect.doubt)) failed += 1
      decisions.push({ kind: 'confirmed', suspect })
      continue
    }
    if (evidence === 'answering' && isOfRegistry(suspect.doubt)) answering += 1
    staying.push(suspect)
  }
  const held: Suspect[] = []
  for (const suspect of staying) {
    if (suspect.kept || given.nowMs - suspect.sinceMs < given.options.holdMs) {
      held.push(suspect)
    } else if (isOfRegistry(suspect.doubt) && answering > failed) {
      const kept = { ...suspect, kept: true }
      decisions.push({ kind: 'kept', suspect: kept })
      held.push(kept)
    } else {
      decisions.push({ kind: 'expired', suspect })
    }
  }
  // Nothing was decided: the same object, so that nothing is published.
  return decisions.length === 0
    ? { admission: before, decisions }
    : { admission: withSuspects({ ...before, failed }, byService(held)), decisions }
}

/** Believes the last answer as it stands. */
export function acceptAll(before: Admission): Verdict {
  const decisions = [...suspectsOf(before)].map((suspect): Decision => ({ kind: 'accepted', suspect }))
  const { answer } = before
  return { admission: { ...before, table: answer, suspects: new Map(), failed: 0 }, decisions }
}

/** What the answer leaves out of the table without saying why, by service, and if a source loses many services so. */
function missingFrom(
  { table, suspects }: Admission,
  answer: Catalog,
  isSettled: (endpoint: Endpoint) => boolean,
  isBelieved: (endpoint: Endpoint) => boolean,
) {
  const missing = new Map<string, readonly Endpoint[]>()
  const decisions: Decision[] = []
  // What is kept has been judged: counted again, it would put every later leaving in doubt for as long as it is kept.
  const isJudged = (name: string, { id }: Endpoint): boolean => suspects.get(name)?.get(id)?.kept === true
  /** By source. */
  const emptied = new Map<string | null, number>()
  for (const [name, service] of table?.services ?? []) {
    const known = suspects.get(name)
    const said = answer.services.get(name)
    if (said === service) continue
    const listed = new Set(said?.endpoints.map(({ id }) => id))
    const isExplained = explainedBy(said)
    const lost: Endpoint[] = []
    for (const endpoint of service.endpoints) {
      const suspect = known?.get(endpoint.id)
      const isBack = listed.has(endpoint.id)
      const isTaken = isBack || isBelieved(endpoint) || (isSettled(endpoint) && isExplained(endpoint))
      if (!isTaken) lost.push(endpoint)
      else if (suspect !== undefined) decisions.push({ kind: isBack ? 'returned' : 'explained', suspect })
    }
    if (lost.length === 0) continue
    missing.set(name, lost)
    for (const source of sourcesOf(lost.filter((endpoint) => !isJudged(name, endpoint)))) {
      const isLeft = said?.endpoints.some((endpoint) => isNamedBy(source, endpoint)) === true
      if (!isLeft) emptied.set(source, (emptied.get(source) ?? 0) + 1)
    }
  }
  const routedBy = (source: string | null): number =>
    [...(table?.services ?? [])].filter(([name, { endpoints }]) =>
      endpoints.some((endpoint) => isNamedBy(source, endpoint) && !isJudged(name, endpoint)),
    ).length
  const isOfMany = [...emptied].some(([source, count]) => count >= 2 && isMass(count, routedBy(source)))
  return { missing, decisions, isOfMany }
}

function withSuspects(before: Admission, suspects: Suspects): Admission {
  const { answer, table } = before
  const hasRegistryDoubt = [...suspects.values()].some((held) =>
    [...held.values()].some(({ doubt }) => isOfRegistry(doubt)),
  )
  return {
    ...before,
    suspects,
    table: suspects.size === 0 || answer === null ? answer : merged(answer, suspects, table),
    failed: hasRegistryDoubt ? before.failed : 0,
  }
}

/** The answer with the suspects in it. What is as it was in `former` is the same object. */
function merged(answer: Catalog, suspects: Suspects, former: Catalog | null): Catalog {
  const services = new Map(answer.services)
  for (const [name, held] of suspects) {
    const said = answer.services.get(name)
    const doubted = [...held.values()].map(({ endpoint }): Endpoint => ({ ...endpoint, doubted: true }))
    const endpoints = [...(said?.endpoints ?? []), ...doubted]
    const absent = (said?.absent ?? []).filter(({ address }) => !held.has(address))
    const service = { endpoints: endpoints.sort(compareEndpoints), absent }
    const old = former?.services.get(name)
    services.set(name, old !== undefined && sameService(old, service) ? old : service)
  }
  return { services: new Map([...services].sort(([a], [b]) => compareText(a, b))) }
}
