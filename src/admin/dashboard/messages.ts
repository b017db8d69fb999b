/**
 * What does the admin listener tell an open page? Types only, for both sides. Everything that comes from a catalog or
 * from a person is cut to one printable line before it gets in here.
 *
 * A stream of `/api/live` begins with the event `state`; `frame` and `detail` follow, and change what is known by then.
 */

/**
 * One letter an endpoint: `h` healthy, `f` failing but in rotation, `u` in rotation although the catalog leaves it out,
 * `e` ejected, `p` probing, `d` drained, `a` known to the catalog and kept out by it.
 */
export type Block = 'h' | 'f' | 'u' | 'e' | 'p' | 'd' | 'a'

/** One service. Rates, shares and percentiles are of the last ten seconds or so, to three digits. */
export interface Row {
  readonly name: string
  /** False: it has left the catalog and is remembered for a while. */
  readonly inCatalog: boolean
  /** A `Block` each, in the order of the endpoints; cut when there are very many. */
  readonly blocks: string
  /** How many there are of each; what is zero is left out. */
  readonly counts: Readonly<Partial<Record<Block, number>>>
  /** What is wrong with the first one that is not as it should be, in a few words; empty: there is nothing to say. */
  readonly cause: string
  /** Requests went to ejected endpoints of late, because there were no others. */
  readonly panic: boolean
  /** Requests a second. */
  readonly rate: number
  /** Share (0–1) of answers that were 5xx; null: there were none. */
  readonly errorShare: number | null
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly inFlight: number
  /** Requests and 5xx a second at the last tick: what the sparkline goes on with. */
  readonly last: readonly [number, number]
}

/** The numbers of a row of which nothing else is different, in a row's order; the last two are its `last`. */
export type Moved = readonly [
  name: string,
  rate: number,
  errorShare: number | null,
  p50Ms: number | null,
  p99Ms: number | null,
  inFlight: number,
  requests: number,
  errors: number,
]

/** A row with the two minutes before it: requests and 5xx a second at each tick, oldest first; empty: nothing but 0. */
export interface RowWithPast extends Row {
  readonly past: readonly number[]
  readonly pastErrors: readonly number[]
}

export interface Header {
  readonly readiness: 'starting' | 'fresh' | 'stale' | 'draining'
  readonly ageMs: number | null
  /** Endpoints in rotation that the catalog leaves out. */
  readonly held: number
  readonly kept: number
  /** The catalog in use is the one of the snapshot. */
  readonly fromSnapshot: boolean
  /** Of all services, and of requests that name none. */
  readonly rate: number
  readonly errorShare: number | null
}

export type Tone = 'bad' | 'warn' | 'good' | 'plain'

export interface FeedEvent {
  /** Grows by one. */
  readonly id: number
  /** Since 1970. */
  readonly atMs: number
  /** One word. */
  readonly kind: string
  readonly tone: Tone
  readonly service: string | null
  readonly text: string
}

export interface EndpointDetail {
  readonly id: string
  readonly instance: string
  /** Its first few tags in the catalog; empty: none are known. */
  readonly tags: string
  readonly block: Exclude<Block, 'a'>
  /** Since when it is as its block says, since 1970; 0: always. */
  readonly sinceMs: number
  /** The verdict of `evenkeel explain`; null: all is well. */
  readonly why: string | null
  readonly weight: number
  readonly inFlight: number
  /** Share (0–1) of the picks since the last change of the rotation; null: there were none. */
  readonly share: number | null
  readonly idealShare: number
  /** Its last faults, newest first. */
  readonly faults: readonly { readonly atMs: number; readonly what: string }[]
}

/** What is shown of a service that is opened. */
export interface Detail {
  readonly name: string
  /** Where the proxy tells all of it; null: its name is too long to ask for. */
  readonly path: string | null
  readonly endpoints: readonly EndpointDetail[]
  readonly absent: readonly Pick<EndpointDetail, 'id' | 'instance' | 'tags' | 'why'>[]
  /** What concerns the service as a whole, a clause each. */
  readonly concerns: readonly string[]
  /** How many more there are than are told here. */
  readonly more: number
}

/** Everything. */
export interface State {
  readonly version: string
  readonly engine: string
  /** Of the page's own files: a page that came from others should be loaded anew. */
  readonly build: string
  /** The proxy's clock, since 1970. */
  readonly atMs: number
  readonly header: Header
  readonly rows: readonly RowWithPast[]
  readonly details: readonly Detail[]
  /** Newest last. */
  readonly feed: readonly FeedEvent[]
}

/** What is different. */
export interface Frame {
  readonly atMs: number
  readonly header: Header
  /** True: two seconds are over, and every sparkline goes on by `last` of its row. */
  readonly tick: boolean
  readonly rows: readonly Row[]
  readonly moved: readonly Moved[]
  /** Services that are gone. */
  readonly gone: readonly string[]
  readonly feed: readonly FeedEvent[]
}
