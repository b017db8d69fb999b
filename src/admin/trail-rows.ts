/**
 * How are ten thousand requests kept without one object of each? Nearly all are alike: one attempt, one answer. Their
 * texts and numbers are copied into arrays that were set aside, and what outlives a request anyway (names, standings) is
 * kept by reference. Objects that live as long as ten thousand requests would cost more to collect than to make, and a
 * text that points into the head of a request would keep all of it.
 */

import type { PickRole, Standing } from '../balancer/balancer.ts'
import type { EndpointId } from '../balancer/endpoint.ts'
import type { RequestOutcome, RequestRecord, Try } from '../proxy/observer.ts'

/** One request, as it is read again. */
export interface Row {
  readonly requestId: string
  readonly endedMs: number
  readonly durationMs: number
  /** `GET /path`, without the query; printable, and cut if it was long. */
  readonly request: string
  readonly service: string | null
  readonly status: number
  readonly outcome: RequestOutcome
  readonly traceId: string | null
  readonly tries: readonly Try[]
  readonly standing: Standing | null
}

/** Of each text, so many bytes. Ids are no longer than that. */
const idBytes = 128
const traceBytes = 32
const requestBytes = 200
const textBytes = idBytes + traceBytes + requestBytes
/** What numbers there are of each request; those of its one attempt behind its own. */
const numbers = ['endedMs', 'durationMs', 'startMs', 'tookMs', 'connectMs', 'firstByteMs'] as const

export class TrailRows {
  readonly #texts: Buffer
  /** Three of each: how long the texts are, the last one before it was cut; 0 for the trace: none. */
  readonly #lengths: Uint16Array
  /** NaN: not known. */
  readonly #numbers: Float64Array
  readonly #statuses: Uint16Array
  readonly #services: (string | null)[] = []
  readonly #outcomes: RequestOutcome[] = []
  readonly #standings: (Standing | null)[] = []
  /** Of the one attempt; its standing stands above. */
  readonly #endpoints: (EndpointId | null)[] = []
  readonly #roles: PickRole[] = []
  /** Of a request that is not like most; null: the one attempt is in the numbers. */
  readonly #tries: (readonly Try[] | null)[] = []

  constructor(size: number) {
    this.#texts = Buffer.alloc(size * textBytes)
    this.#lengths = new Uint16Array(size * 3)
    this.#numbers = new Float64Array(size * numbers.length)
    this.#statuses = new Uint16Array(size)
  }

  /** @param tries of the record, or what is to be kept of them */
  write(index: number, record: RequestRecord, tries: readonly Try[], endedMs: number): void {
    this.#writeTexts(index, record)
    const values = this.#numbers
    let at = index * numbers.length
    values[at++] = endedMs
    values[at++] = record.durationMs
    this.#statuses[index] = record.status
    this.#services[index] = record.service
    this.#outcomes[index] = record.outcome
    const only = tries.length === 1 ? (tries[0] as Try) : null
    if (only === null || !isPlain(only, record.status)) {
      this.keep(index, tries, record.standing)
      return
    }
    values[at++] = only.startMs
    values[at++] = only.durationMs
    values[at++] = only.connectMs ?? Number.NaN
    values[at] = only.firstByteMs ?? Number.NaN
    this.#endpoints[index] = only.endpoint
    this.#roles[index] = only.role
    this.#standings[index] = only.standing
    this.#tries[index] = null
  }

  /** Keeps these in place of what is there. */
  keep(index: number, tries: readonly Try[], standing: Standing | null): void {
    this.#tries[index] = tries
    this.#standings[index] = standing
    this.#endpoints[index] = null
    this.#roles[index] = 'regular'
  }

  /** Calls this with each standing that a request keeps alive. */
  eachStanding(index: number, visit: (standing: Standing) => void): void {
    const standing = this.#standings[index] ?? null
    if (standing !== null) visit(standing)
    for (const each of this.#tries[index] ?? []) visit(each.standing)
  }

  /** @param id latin1 */
  hasId(index: number, id: Buffer): boolean {
    const start = index * textBytes
    return (
      this.#lengths[index * 3] === id.length && this.#texts.compare(id, 0, id.length, start, start + id.length) === 0
    )
  }

  endedMs(index: number): number {
    return this.#numbers[index * numbers.length] as number
  }

  read(index: number): Row {
    const text = (start: number, length: number) => this.#texts.toString('latin1', start, start + length)
    const start = index * textBytes
    const [idLength = 0, traceLength = 0, requestLength = 0] = this.#lengths.subarray(index * 3)
    const request = text(start + idBytes + traceBytes, Math.min(requestLength, requestBytes)).trim()
    const [endedMs = 0, durationMs = 0] = this.#numbers.subarray(index * numbers.length)
    const tries = this.#tries[index] ?? null
    return {
      requestId: text(start, idLength),
      endedMs,
      durationMs,
      request: request.replace(/[^ -~]/g, '?') + (requestLength > requestBytes ? '…' : ''),
      service: this.#services[index] ?? null,
      status: this.#statuses[index] ?? 0,
      outcome: this.#outcomes[index] ?? 'refused',
      traceId: traceLength === 0 ? null : text(start + idBytes, traceLength),
      tries: tries ?? [this.#onlyTry(index)],
      standing: tries === null ? null : (this.#standings[index] ?? null),
    }
  }

  #onlyTry(index: number): Try {
    const [, , startMs = 0, durationMs = 0, connectMs = 0, firstByteMs = 0] = this.#numbers.subarray(
      index * numbers.length,
    )
    return {
      endpoint: this.#endpoints[index] as EndpointId,
      role: this.#roles[index] as PickRole,
      standing: this.#standings[index] as Standing,
      startMs,
      durationMs,
      connectMs: Number.isNaN(connectMs) ? null : connectMs,
      firstByteMs: Number.isNaN(firstByteMs) ? null : firstByteMs,
      outcome: { kind: 'responded', status: this.#statuses[index] as number, relayed: true },
      retried: null,
    }
  }

  #writeTexts(index: number, { requestId, traceId, method, path }: RequestRecord): void {
    const texts = this.#texts
    const lengths = this.#lengths
    let at = index * textBytes
    lengths[index * 3] = texts.write(requestId, at, idBytes, 'latin1')
    at += idBytes
    lengths[index * 3 + 1] = traceId === null ? 0 : texts.write(traceId, at, traceBytes, 'latin1')
    at += traceBytes
    const end = at + requestBytes
    lengths[index * 3 + 2] = Math.min(method.length + 1 + path.length, requestBytes + 1)
    at += texts.write(method, at, requestBytes, 'latin1')
    if (at < end) texts[at++] = 0x20
    if (at < end) texts.write(path, at, end - at, 'latin1')
  }
}

/** One attempt, whose answer the client got. */
function isPlain({ outcome, retried }: Try, status: number): boolean {
  return outcome.kind === 'responded' && outcome.relayed && outcome.status === status && retried === null
}
