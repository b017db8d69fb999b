/**
 * How are ten thousand requests kept without one object of each? Nearly all are alike: one attempt, one answer. Their
 * texts and numbers are copied into arrays that were set aside, and what outlives a request anyway (names, standings) is
 * kept by reference. Objects that live as long as ten thousand requests would cost more to collect than to make, and a
 * text that points into the head of a request would keep all of it.
 *
 * Each thing that is kept has a list of its own, written from one end to the other: what the last requests wrote is still
 * near, where an object for each request would be far away, ten thousand requests later. (Objects cost 15 % of a request.)
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

/** What is kept of a request that is not like most: all but its texts and times. */
type Special = Pick<Row, 'service' | 'outcome' | 'refusal' | 'tries' | 'standing'>

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
  /** Of requests like most: written over when the row's turn comes again. */
  readonly #services: (string | null)[]
  readonly #endpoints: EndpointId[]
  readonly #standings: (Standing | null)[]
  readonly #roles: PickRole[]
  /** Null: the request is like most, and its one attempt is in the numbers. */
  readonly #specials: (Special | null)[]

  constructor(size: number) {
    this.#texts = Buffer.alloc(size * textBytes)
    this.#numbers = new Float64Array(size * numbersEach)
    this.#services = new Array<string | null>(size).fill(null)
    this.#endpoints = new Array<EndpointId>(size).fill('')
    this.#standings = new Array<Standing | null>(size).fill(null)
    this.#roles = new Array<PickRole>(size).fill('regular')
    this.#specials = new Array<Special | null>(size).fill(null)
  }

  /** @param tries of the record, or what is to be kept of them */
  write(index: number, record: RequestRecord, tries: readonly Try[], endedMs: number): void {
    const values = this.#numbers
    const from = index * numbersEach
    values[from + place.ended] = endedMs
    values[from + place.duration] = record.durationMs
    values[from + place.status] = record.status
    values[from + place.lengths] = this.#writeTexts(index, record)
    const only = tries.length === 1 ? (tries[0] as Try) : null
    if (only === null || record.outcome !== 'responded' || !isPlain(only, record.status)) {
      const { service, outcome, refusal = null, standing } = record
      this.#specials[index] = { service, outcome, refusal, tries, standing }
      this.#standings[index] = null
      return
    }
    values[from + place.start] = only.startMs
    values[from + place.took] = only.durationMs
    values[from + place.connect] = only.connectMs ?? Number.NaN
    values[from + place.firstByte] = only.firstByteMs ?? Number.NaN
    this.#services[index] = record.service
    this.#endpoints[index] = only.endpoint
    this.#standings[index] = only.standing
    this.#roles[index] = only.role
    this.#specials[index] = null
  }

  /** Keeps these tries in place of what is there, and no other standing. */
  replaceTries(index: number, tries: readonly Try[]): void {
    const { service, outcome, refusal } = this.read(index)
    this.#specials[index] = { service, outcome, refusal, tries, standing: null }
    this.#standings[index] = null
  }

  /** The one standing that a request like most keeps alive; null: it is another, or there is none. */
  onlyStanding(index: number): Standing | null {
    return this.#standings[index] ?? null
  }

  /** Calls this with each standing that a request keeps alive. */
  eachStanding(index: number, visit: (standing: Standing) => void): void {
    const special = this.#specials[index] ?? null
    const standing = special === null ? this.onlyStanding(index) : special.standing
    if (standing !== null) visit(standing)
    if (special !== null) for (const each of special.tries) visit(each.standing)
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
    return {
      requestId: text(index * textBytes, idLength),
      endedMs: this.#number(index, place.ended),
      durationMs: this.#number(index, place.duration),
      request: requestText + (requestLength > longestRequest ? '…' : ''),
      status: this.#number(index, place.status),
      traceId: traceLength === 0 ? null : text(trace, traceLength),
      ...(this.#specials[index] ?? this.#plain(index)),
    }
  }

  #plain(index: number): Special {
    const service = this.#services[index] ?? null
    return { service, outcome: 'responded', refusal: null, tries: [this.#onlyTry(index)], standing: null }
  }

  #onlyTry(index: number): Try {
    const connectMs = this.#number(index, place.connect)
    const firstByteMs = this.#number(index, place.firstByte)
    return {
      endpoint: this.#endpoints[index] as EndpointId,
      role: this.#roles[index] as PickRole,
      standing: this.#standings[index] as Standing,
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
