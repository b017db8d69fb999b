/**
 * How are ten thousand requests kept without one object of each? Nearly all are alike: one attempt, one answer. Their
 * texts and numbers are copied into arrays that were set aside, and what outlives a request anyway (names, standings) is
 * kept by reference. Objects that live as long as ten thousand requests would cost more to collect than to make, and a
 * text that points into the head of a request would keep all of it.
 *
 * What belongs to one request stands together: where memory is large and old, each place that is touched costs most.
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
  /** Why it was refused; null: it was not. */
  readonly refusal: string | null
  readonly traceId: string | null
  readonly tries: readonly Try[]
  readonly standing: Standing | null
}

/** What is kept by reference; written over when the row's turn comes again. */
interface References {
  service: string | null
  outcome: RequestOutcome
  refusal: string | null
  /** Of the request that found nobody, or of its one attempt. */
  standing: Standing | null
  /** Of its one attempt. */
  endpoint: EndpointId
  role: PickRole
  /** Of a request that is not like most; null: its one attempt is in the numbers. */
  tries: readonly Try[] | null
}

/** Of each text, so many bytes; ids are no longer than that. */
const longestId = 128
const longestTrace = 32
const longestRequest = 200
const textBytes = longestId + longestTrace + longestRequest

/** Where which number of a request stands; those of its one attempt from `start` on. NaN: not known. */
const place = { ended: 0, duration: 1, status: 2, lengths: 3, start: 4, took: 5, connect: 6, firstByte: 7 } as const
const numbersEach = 8
/** How long the three texts are, as the digits of one number; the last one may have been cut. */
const lengthBase = 256

export class TrailRows {
  readonly #texts: Buffer
  readonly #numbers: Float64Array
  readonly #references: References[] = []

  constructor(size: number) {
    this.#texts = Buffer.alloc(size * textBytes)
    this.#numbers = new Float64Array(size * numbersEach)
  }

  /** @param tries of the record, or what is to be kept of them */
  write(index: number, record: RequestRecord, tries: readonly Try[], endedMs: number): void {
    const values = this.#numbers
    const from = index * numbersEach
    values[from + place.ended] = endedMs
    values[from + place.duration] = record.durationMs
    values[from + place.status] = record.status
    values[from + place.lengths] = this.#writeTexts(index, record)
    const references = this.#referencesOf(index)
    references.service = record.service
    references.outcome = record.outcome
    references.refusal = record.refusal ?? null
    const only = tries.length === 1 ? (tries[0] as Try) : null
    if (only === null || !isPlain(only, record.status)) {
      references.tries = tries
      references.standing = record.standing
      return
    }
    values[from + place.start] = only.startMs
    values[from + place.took] = only.durationMs
    values[from + place.connect] = only.connectMs ?? Number.NaN
    values[from + place.firstByte] = only.firstByteMs ?? Number.NaN
    references.endpoint = only.endpoint
    references.role = only.role
    references.standing = only.standing
    references.tries = null
  }

  /** Keeps these tries in place of what is there, and no other standing. */
  replaceTries(index: number, tries: readonly Try[]): void {
    const references = this.#referencesOf(index)
    references.tries = tries
    references.standing = null
  }

  /** Calls this with each standing that a request keeps alive. */
  eachStanding(index: number, visit: (standing: Standing) => void): void {
    const { standing, tries } = this.#referencesOf(index)
    if (standing !== null) visit(standing)
    if (tries !== null) for (const each of tries) visit(each.standing)
  }

  /** @param id latin1 */
  hasId(index: number, id: Buffer): boolean {
    if (this.#number(index, place.lengths) % lengthBase !== id.length) return false
    const start = index * textBytes
    // Ids that are alike mostly differ in their end; and all rows are looked at, while requests wait.
    for (let letter = id.length - 1; letter >= 0; letter--) {
      if (this.#texts[start + letter] !== id[letter]) return false
    }
    return true
  }

  endedMs(index: number): number {
    return this.#number(index, place.ended)
  }

  read(index: number): Row {
    const [idLength, traceLength, requestLength] = this.#lengths(index)
    const trace = index * textBytes + idLength
    const request = trace + traceLength
    const text = (start: number, length: number) => this.#texts.toString('latin1', start, start + length)
    const requestText = text(request, Math.min(requestLength, longestRequest))
      .trim()
      .replace(/[^ -~]/g, '?')
    const { service, outcome, refusal, standing, tries } = this.#referencesOf(index)
    return {
      requestId: text(index * textBytes, idLength),
      endedMs: this.#number(index, place.ended),
      durationMs: this.#number(index, place.duration),
      request: requestText + (requestLength > longestRequest ? '…' : ''),
      service,
      status: this.#number(index, place.status),
      outcome,
      refusal,
      traceId: traceLength === 0 ? null : text(trace, traceLength),
      tries: tries ?? [this.#onlyTry(index)],
      standing: tries === null ? null : standing,
    }
  }

  #onlyTry(index: number): Try {
    const { endpoint, role, standing } = this.#referencesOf(index)
    const connectMs = this.#number(index, place.connect)
    const firstByteMs = this.#number(index, place.firstByte)
    return {
      endpoint,
      role,
      standing: standing as Standing,
      startMs: this.#number(index, place.start),
      durationMs: this.#number(index, place.took),
      connectMs: Number.isNaN(connectMs) ? null : connectMs,
      firstByteMs: Number.isNaN(firstByteMs) ? null : firstByteMs,
      outcome: { kind: 'responded', status: this.#number(index, place.status), relayed: true },
      retried: null,
    }
  }

  /** One behind the other: id, trace id, `GET /path`. Answers how long they are, as one number. */
  #writeTexts(index: number, { requestId, traceId, method, path }: RequestRecord): number {
    const texts = this.#texts
    const start = index * textBytes
    const idLength = put(texts, requestId, start, longestId)
    const traceLength = traceId === null ? 0 : put(texts, traceId, start + idLength, longestTrace)
    const from = start + idLength + traceLength
    let at = from + put(texts, method, from, longestRequest)
    const end = from + longestRequest
    if (at < end) texts[at++] = space
    if (at < end) put(texts, path, at, end - at)
    const requestLength = Math.min(method.length + 1 + path.length, longestRequest + 1)
    return (requestLength * lengthBase + traceLength) * lengthBase + idLength
  }

  #lengths(index: number): readonly [id: number, trace: number, request: number] {
    const lengths = this.#number(index, place.lengths)
    const rest = Math.floor(lengths / lengthBase)
    return [lengths % lengthBase, rest % lengthBase, Math.floor(rest / lengthBase)]
  }

  #number(index: number, which: number): number {
    return this.#numbers[index * numbersEach + which] as number
  }

  #referencesOf(index: number): References {
    let references = this.#references[index]
    if (references === undefined) {
      references = {
        ...{ service: null, outcome: 'refused', refusal: null },
        ...{ standing: null, endpoint: '', role: 'regular', tries: null },
      }
      this.#references[index] = references
    }
    return references
  }
}

const space = 0x20
const shortText = 64

/** Writes what fits into `most` bytes of a text in latin1; answers how many those are. */
function put(texts: Buffer, text: string, start: number, most: number): number {
  if (text.length > shortText) return texts.write(text, start, most, 'latin1')
  const length = Math.min(text.length, most)
  // So short a text is there in less time than it takes to call upon somebody to write it.
  for (let letter = 0; letter < length; letter++) texts[start + letter] = text.charCodeAt(letter)
  return length
}

/** One attempt, whose answer the client got. */
function isPlain({ outcome, retried }: Try, status: number): boolean {
  return outcome.kind === 'responded' && outcome.relayed && outcome.status === status && retried === null
}
