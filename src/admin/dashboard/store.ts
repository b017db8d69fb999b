/**
 * What does the page know? All that the stream has told, and what the person wants to see of it. Messages go in, and
 * whatever is drawn is read from here. An entry is another object exactly when something of it has changed.
 */

import { sparkPath } from './format.ts'
import { type Verdict, verdictOf } from './levels.ts'
import type { Detail, FeedEvent, Frame, Header, Row, State } from './messages.ts'
import { ordered, type Sort } from './order.ts'

const ticks = 60
const feedKept = 100

export interface Entry extends Verdict {
  readonly row: Row
  /** Requests and 5xx a second; empty: nothing but 0. */
  readonly past: readonly number[]
  readonly pastErrors: readonly number[]
  readonly spark: Spark | null
}

export interface Spark {
  readonly area: string
  readonly line: string
  /** Null: there were none. */
  readonly errors: string | null
}

export type Link =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  /** `isFull`: the proxy says that too many pages are open. */
  | { readonly kind: 'lost'; readonly isFull: boolean }

export interface Store {
  link: Link
  version: string
  engine: string
  header: Header | null
  /** The proxy's clock at the last message. */
  atMs: number
  /** The sum of all services. */
  spark: Spark | null
  readonly entries: Map<string, Entry>
  readonly details: Map<string, Detail>
  /** Newest first. */
  feed: readonly FeedEvent[]
  filter: string
  sort: Sort
  /** Null: the proxy chooses. */
  opened: ReadonlySet<string> | null
  /** The service that has the keyboard. */
  current: string | null
  /** How many rows may be drawn. */
  rowsAtMost: number
  /** Names of the services that are shown. */
  order: readonly string[]
}

export const rowsAtFirst = 500

export function createStore(): Store {
  return {
    link: { kind: 'connecting' },
    ...{ version: '', engine: '', header: null, atMs: 0, spark: null },
    ...{ entries: new Map(), details: new Map(), feed: [] },
    ...{ filter: '', sort: { key: 'state', isReversed: false }, opened: null, current: null },
    ...{ rowsAtMost: rowsAtFirst, order: [] },
  }
}

export function applyState(store: Store, state: State): void {
  store.version = state.version
  store.engine = state.engine
  store.header = state.header
  store.atMs = state.atMs
  store.entries.clear()
  for (const { past, pastErrors, ...row } of state.rows) store.entries.set(row.name, entryOf(row, past, pastErrors))
  store.details.clear()
  for (const detail of state.details) store.details.set(detail.name, detail)
  store.feed = [...state.feed].reverse()
  store.spark = sumOf(store)
  reorder(store)
}

export function applyFrame(store: Store, frame: Frame): void {
  store.header = frame.header
  store.atMs = frame.atMs
  const { entries } = store
  let isMoved = frame.tick || frame.gone.length > 0
  for (const row of frame.rows) {
    if (applyRow(store, row)) isMoved = true
  }
  for (const [name, rate, errorShare, p50Ms, p99Ms, inFlight, ...last] of frame.moved) {
    const before = entries.get(name)?.row
    if (before === undefined) continue
    if (applyRow(store, { ...before, rate, errorShare, p50Ms, p99Ms, inFlight, last })) isMoved = true
  }
  for (const name of frame.gone) {
    entries.delete(name)
    store.details.delete(name)
  }
  if (frame.tick) {
    for (const [name, entry] of entries) {
      const next = ticked(entry)
      if (next !== entry) entries.set(name, next)
    }
    store.spark = sumOf(store)
  }
  if (frame.feed.length > 0) store.feed = [...frame.feed].reverse().concat(store.feed).slice(0, feedKept)
  // Rows that jump each second cannot be read or clicked: what only has other numbers waits for the tick.
  if (isMoved) reorder(store)
}

/** True when its level is another than before. */
function applyRow({ entries }: Store, row: Row): boolean {
  const before = entries.get(row.name)
  const after: Entry = { past: [], pastErrors: [], spark: null, ...before, row, ...verdictOf(row) }
  entries.set(row.name, after)
  return before?.level !== after.level
}

export function applyDetails(store: Store, details: readonly Detail[]): void {
  for (const detail of details) store.details.set(detail.name, detail)
}

export function reorder(store: Store): void {
  const ranked = [...store.entries.values()]
  store.order = ordered(ranked, store.filter, store.sort)
}

export function isOpened(store: Store, name: string): boolean {
  return store.opened === null ? store.details.has(name) : store.opened.has(name)
}

function entryOf(row: Row, past: readonly number[], pastErrors: readonly number[]): Entry {
  return { row, past, pastErrors, spark: sparkOf(past, pastErrors), ...verdictOf(row) }
}

/** One step further in time. */
function ticked(entry: Entry): Entry {
  const [rate, errors] = entry.row.last
  if (rate === 0 && entry.past.length === 0) return entry
  const past = shifted(entry.past, rate)
  const pastErrors = errors === 0 && entry.pastErrors.length === 0 ? [] : shifted(entry.pastErrors, errors)
  return { ...entry, past, pastErrors, spark: sparkOf(past, pastErrors) }
}

function shifted(values: readonly number[], next: number): readonly number[] {
  const before = values.length === 0 ? new Array<number>(ticks).fill(0) : values
  const after = [...before.slice(1), next]
  return after.every((value) => value === 0) ? [] : after
}

function sparkOf(past: readonly number[], pastErrors: readonly number[]): Spark | null {
  if (past.length === 0) return null
  const most = Math.max(...past)
  const errors = pastErrors.length === 0 ? null : sparkPath(pastErrors, most, true)
  return { area: sparkPath(past, most, true), line: sparkPath(past, most, false), errors }
}

function sumOf({ entries }: Store): Spark | null {
  const past = new Array<number>(ticks).fill(0)
  const pastErrors = new Array<number>(ticks).fill(0)
  for (const entry of entries.values()) {
    entry.past.forEach((value, at) => {
      past[at] = (past[at] as number) + value
    })
    entry.pastErrors.forEach((value, at) => {
      pastErrors[at] = (pastErrors[at] as number) + value
    })
  }
  const orEmpty = (values: readonly number[]) => (values.every((value) => value === 0) ? [] : values)
  return sparkOf(orEmpty(past), orEmpty(pastErrors))
}
