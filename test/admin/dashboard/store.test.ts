import { describe, expect, it } from 'vitest'
import type { FeedEvent, Frame, Header, Row, State } from '../../../src/admin/dashboard/messages.ts'
import { applyFrame, applyState, createStore, isOpened } from '../../../src/admin/dashboard/store.ts'

const header: Header = {
  ...{ readiness: 'fresh', ageMs: 5, held: 0, kept: 0, fromSnapshot: false, rate: 0, errorShare: null },
}

function row(name: string, fields: Partial<Row> = {}): Row {
  return {
    ...{ name, inCatalog: true, blocks: 'h', counts: { h: 1 }, cause: '', panic: false, rate: 0, errorShare: null },
    ...{ p50Ms: null, p99Ms: null, inFlight: 0, last: [0, 0] },
    ...fields,
  }
}

function state(rows: readonly Row[], fields: Partial<State> = {}): State {
  const withPast = rows.map((each) => ({ ...each, past: [], pastErrors: [] }))
  return { version: '1', engine: 'wire', build: 'b', atMs: 9, header, rows: withPast, details: [], feed: [], ...fields }
}

function frame(fields: Partial<Frame>): Frame {
  return { atMs: 10, header, tick: false, rows: [], moved: [], gone: [], feed: [], ...fields }
}

const event = (id: number): FeedEvent => ({ id, atMs: id, kind: 'joined', tone: 'good', service: null, text: `${id}` })

describe('the store', () => {
  it('takes what is new and keeps the rest, the very same', () => {
    const store = createStore()
    applyState(store, state([row('a'), row('b')]))
    const before = store.entries.get('a')
    applyFrame(store, frame({ rows: [row('b', { rate: 3 }), row('c')] }))
    expect(store.entries.get('a')).toBe(before)
    expect(store.entries.get('b')?.row.rate).toBe(3)
    expect(store.order).toEqual(['a', 'b', 'c'])
    applyFrame(store, frame({ gone: ['a'] }))
    expect(store.order).toEqual(['b', 'c'])
  })

  it('takes numbers of a row of which nothing else is different', () => {
    const store = createStore()
    applyState(store, state([row('a', { cause: 'why' }), row('b')]))
    const before = store.entries.get('b')
    applyFrame(
      store,
      frame({
        moved: [
          ['a', 5, 0.5, 1, 2, 3, 6, 4],
          ['nobody', 1, null, null, null, 0, 1, 0],
        ],
      }),
    )
    const expected = { cause: 'why', rate: 5, errorShare: 0.5, p50Ms: 1, p99Ms: 2, inFlight: 3, last: [6, 4] }
    expect(store.entries.get('a')).toMatchObject({ level: 'failing', row: expected })
    expect([...store.entries.keys()]).toEqual(['a', 'b'])
    expect(store.entries.get('b')).toBe(before)
    expect(store.order).toEqual(['a', 'b'])
  })

  it('goes on with the sparkline at each tick, by what the row said last', () => {
    const store = createStore()
    applyState(store, state([row('a', { last: [4, 1] }), row('quiet')]))
    const quiet = store.entries.get('quiet')
    applyFrame(store, frame({ tick: true }))
    applyFrame(store, frame({}))
    applyFrame(store, frame({ tick: true, rows: [row('a', { last: [2, 0] })] }))
    expect(store.entries.get('a')?.past.slice(-3)).toEqual([0, 4, 2])
    expect(store.entries.get('a')?.pastErrors.slice(-3)).toEqual([0, 1, 0])
    expect(store.entries.get('a')?.past).toHaveLength(60)
    expect(store.entries.get('quiet')).toBe(quiet)
    expect(store.spark).not.toBeNull()
  })

  it('forgets a past of nothing but zeros', () => {
    const store = createStore()
    applyState(store, state([row('a', { last: [4, 0] })]))
    applyFrame(store, frame({ tick: true }))
    applyFrame(store, frame({ rows: [row('a')] }))
    for (let tick = 0; tick < 60; tick++) applyFrame(store, frame({ tick: true }))
    expect(store.entries.get('a')?.past).toEqual([])
    expect(store.entries.get('a')?.spark).toBeNull()
  })

  it('moves a row at once when its state changes, and at the next tick when only its numbers do', () => {
    const store = createStore()
    store.sort = { key: 'rate', isReversed: false }
    applyState(store, state([row('a', { rate: 2 }), row('b', { rate: 1 })]))
    applyFrame(store, frame({ rows: [row('b', { rate: 5 })] }))
    expect(store.order).toEqual(['a', 'b'])
    applyFrame(store, frame({ tick: true }))
    expect(store.order).toEqual(['b', 'a'])
    applyFrame(store, frame({ rows: [row('a', { rate: 9, counts: { e: 1 } })] }))
    expect(store.order).toEqual(['a', 'b'])
  })

  it('has the newest hundred events, newest first', () => {
    const store = createStore()
    applyState(store, state([], { feed: [event(1), event(2)] }))
    applyFrame(store, frame({ feed: [event(3), event(4)] }))
    expect(store.feed.map(({ id }) => id)).toEqual([4, 3, 2, 1])
    applyFrame(store, frame({ feed: Array.from({ length: 150 }, (_, at) => event(at + 5)) }))
    expect(store.feed).toHaveLength(100)
    expect(store.feed[0]?.id).toBe(154)
  })

  it('opens what the proxy chose, until the person chooses', () => {
    const store = createStore()
    const detail = { name: 'a', path: null, endpoints: [], absent: [], concerns: [], more: 0 }
    applyState(store, state([row('a'), row('b')], { details: [detail] }))
    expect([isOpened(store, 'a'), isOpened(store, 'b')]).toEqual([true, false])
    store.opened = new Set(['b'])
    expect([isOpened(store, 'a'), isOpened(store, 'b')]).toEqual([false, true])
  })

  it('begins anew with a state', () => {
    const store = createStore()
    applyState(store, state([row('a')], { feed: [event(1)] }))
    applyState(store, state([row('b')]))
    expect([...store.entries.keys(), ...store.feed]).toEqual(['b'])
  })
})
