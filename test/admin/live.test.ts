import { afterEach, describe, expect, it } from 'vitest'
import { mostStreams } from '../../src/admin/live-streams.ts'
import { waitFor } from '../support/wait.ts'
import { endpointView, plainCatalog, serviceView, suspect } from './fixtures.ts'
import { openReader, startLiveWorld } from './live-world.ts'
import { closeAll, open, raw } from './server-setup.ts'

afterEach(closeAll)

const quotes = serviceView('quotes', { endpoints: [endpointView(80), endpointView(81)] })
const accounts = serviceView('accounts', { endpoints: [endpointView(90)] })
const many = Array.from({ length: 13 }, (_, at) => serviceView(`s-${at}`, { endpoints: [endpointView(80)] }))

describe('what a page is told first', () => {
  it('is everything: the proxy, every service with its traffic, the endpoints of a small fleet, and past events', async () => {
    const world = await startLiveWorld([accounts, quotes])
    for (let number = 0; number < 30; number++) world.request('quotes', number < 3 ? 503 : 200)
    world.live.observer.onEjected('quotes', '10.0.0.1:81', 'fault-rate', 30_000)
    // Traffic is that until the last tick.
    const before = await openReader(world.port)
    await before.frame('a tick', ({ tick }) => tick)
    const { states, headers } = await openReader(world.port)
    expect(headers['content-type']).toBe('text/event-stream')
    const [state] = states
    expect(state).toMatchObject({ version: '1.2.3', engine: 'wire', header: { readiness: 'fresh', held: 0 } })
    expect(state?.rows.map(({ name, blocks }) => [name, blocks])).toEqual([
      ['accounts', 'h'],
      ['quotes', 'hh'],
    ])
    expect(state?.rows[1]).toMatchObject({ errorShare: 0.1, inFlight: 0 })
    expect(state?.rows[1]?.rate).toBeGreaterThan(0)
    expect(state?.details.map(({ name }) => name)).toEqual(['accounts', 'quotes'])
    expect(state?.feed).toMatchObject([{ kind: 'ejected', service: 'quotes', tone: 'bad' }])
  })

  it('does not hang on an event that the page had before', async () => {
    const world = await startLiveWorld([quotes])
    const { states } = await openReader(world.port, '', { 'last-event-id': '17' })
    expect(states).toHaveLength(1)
  })

  it('has the endpoints of those services that it names, and of no others', async () => {
    const world = await startLiveWorld(many)
    const none = await openReader(world.port)
    expect(none.states[0]?.details).toEqual([])
    const two = await openReader(world.port, '?open=s-3&open=s-5&open=nobody')
    expect(two.states[0]?.details.map(({ name }) => name)).toEqual(['s-3', 's-5'])
    const closed = await openReader((await startLiveWorld([quotes])).port, '?open=')
    expect(closed.states[0]?.details).toEqual([])
  })

  it('has them as soon as there is such a service, if there was none when it asked', async () => {
    const world = await startLiveWorld([])
    const reader = await openReader(world.port, '?open=s-3')
    expect(reader.states[0]?.details).toEqual([])
    world.table.services = many
    await reader.detail('the endpoints', ({ name }) => name === 's-3')
  })

  it('has the last tick of the past in it, which is not told once more', async () => {
    let samples = -1
    const now = () => {
      samples += 1
      return performance.now()
    }
    const world = await startLiveWorld([quotes], 0, { now })
    await openReader(world.port)
    const before = samples
    await waitFor('the counters are read', () => samples > before)
    const atConnect = samples
    const { frames } = await openReader(world.port)
    const samplesAtTick = await waitFor('a tick', () => (frames.some(({ tick }) => tick) ? samples : undefined))
    expect(samplesAtTick).toBeGreaterThan(atConnect)
  })

  it('names no more than twenty services’ endpoints', async () => {
    const world = await startLiveWorld(
      Array.from({ length: 30 }, (_, at) => serviceView(`s-${at}`, { endpoints: [endpointView(80)] })),
    )
    const query = Array.from({ length: 30 }, (_, at) => `open=s-${at}`).join('&')
    expect((await openReader(world.port, `?${query}`)).states[0]?.details).toHaveLength(20)
  })

  it('tells names apart that look the same once they are printable', async () => {
    const world = await startLiveWorld([serviceView('a\u202eb'), serviceView('a\u0007b')])
    const { states } = await openReader(world.port)
    expect(states[0]?.rows.map(({ name }) => name)).toEqual(['a?b', 'a?b (2)'])
  })
})

describe('what it is told then', () => {
  it('is only what is different', async () => {
    const world = await startLiveWorld([accounts, quotes])
    const reader = await openReader(world.port)
    world.table.services = [
      accounts,
      { ...quotes, endpoints: [endpointView(80), endpointView(81, { state: 'ejected' })] },
    ]
    const frame = await reader.frame('a frame with a row', ({ rows }) => rows.length > 0)
    expect(frame.rows.map(({ name, blocks }) => [name, blocks])).toEqual([['quotes', 'he']])
    world.table.services = [accounts]
    const after = await reader.frame('a frame without it', ({ gone }) => gone.length > 0)
    expect(after.gone).toEqual(['quotes'])
  })

  it('is an event with the row that it is about, before the next second', async () => {
    const world = await startLiveWorld([accounts, quotes])
    const reader = await openReader(world.port)
    world.table.services = [accounts, { ...quotes, endpoints: [endpointView(80, { state: 'drained' })] }]
    const framesBefore = world.table.viewsMade
    world.live.observer.onDrained('quotes', '10.0.0.1:80', 'pat')
    const frame = await reader.frame('the event', ({ feed }) => feed.length > 0)
    expect(frame.feed).toMatchObject([{ kind: 'drained', service: 'quotes', text: '10.0.0.1:80 by pat' }])
    expect(frame.rows).toMatchObject([{ name: 'quotes', blocks: 'd' }])
    // Not one of those that are made each second, with all rows.
    expect(world.table.viewsMade).toBe(framesBefore)
    expect(await reader.detail('its endpoints', ({ name }) => name === 'quotes')).toMatchObject({
      endpoints: [{ block: 'd' }],
    })
  })

  it('says which rule ejected, and which person', async () => {
    const lastEjection = { reason: 'by-hand', agoMs: 0, forMs: 30_000, by: 'pat', faults: [] } as const
    const world = await startLiveWorld([
      { ...quotes, endpoints: [endpointView(80, { state: 'ejected', lastEjection })] },
    ])
    const { onEjected } = world.live.observer
    onEjected('quotes', '10.0.0.1:80', 'consecutive-connect-faults', 30_000)
    onEjected('quotes', '10.0.0.1:80', 'by-hand', 30_000)
    onEjected('nobody', '10.0.0.1:80', 'by-hand', 30_000)
    const { states } = await openReader(world.port)
    expect(states[0]?.feed.map(({ text }) => text)).toEqual([
      '10.0.0.1:80 for 30 s: 2 connects in a row failed',
      '10.0.0.1:80 for 30 s: pat said so',
      '10.0.0.1:80 for 30 s: somebody said so',
    ])
  })

  it('is each event once, on every page', async () => {
    const world = await startLiveWorld([quotes])
    const first = await openReader(world.port)
    world.live.observer.onRestored('quotes', '10.0.0.1:80')
    const second = await openReader(world.port)
    world.live.observer.onRestored('quotes', '10.0.0.1:81')
    const has81 = ({ feed }: { feed: readonly { text: string }[] }) => feed.some(({ text }) => text.includes(':81'))
    await first.frame('the second event', has81)
    await second.frame('the second event', has81)
    const texts = ({ states, frames }: typeof first) =>
      [...states, ...frames].flatMap(({ feed }) => feed.map(({ text }) => text))
    const both = ['10.0.0.1:80 is back in rotation', '10.0.0.1:81 is back in rotation']
    expect(texts(first)).toEqual(both)
    expect(texts(second)).toEqual(both)
  })

  it('is that the catalog is stale, held or fresh again', async () => {
    const world = await startLiveWorld([quotes])
    world.live.onCatalog()
    const reader = await openReader(world.port)
    world.table.readiness = { state: 'stale', ageMs: 61_000 }
    world.live.onCatalog()
    const stale = await reader.frame('stale', ({ feed }) => feed.some(({ kind }) => kind === 'stale'))
    expect(stale.header).toMatchObject({ readiness: 'stale', ageMs: 61_000 })
    world.table.readiness = { state: 'fresh', ageMs: 0 }
    world.table.catalog = { ...plainCatalog, suspects: [suspect('quotes', 81)] }
    world.live.onDecisions([{ kind: 'held', suspect: suspect('quotes', 81) }])
    world.live.onCatalog()
    const held = await reader.frame('held', ({ feed }) => feed.some(({ kind }) => kind === 'recovered'))
    expect(held.header).toMatchObject({ held: 1 })
    expect(held.rows).toMatchObject([{ name: 'quotes', counts: { h: 1, u: 1 } }])
  })

  it('goes on after a frame that could not be made', async () => {
    const world = await startLiveWorld([quotes], 0)
    const reader = await openReader(world.port)
    const before = world.table.services
    world.table.services = null as unknown as typeof before
    await waitFor('the failure is told', () => world.errors.length > 0)
    world.table.services = [accounts]
    await reader.frame('the next one', ({ rows }) => rows.some(({ name }) => name === 'accounts'))
  })
})

describe('what moves', () => {
  it('is told in numbers alone where nothing else is different, of closed services when counters were read', async () => {
    const world = await startLiveWorld(many)
    const reader = await openReader(world.port)
    world.request('s-3')
    const { moved, rows, tick } = await reader.frame('the rate', (frame) => frame.moved.length > 0)
    expect([tick, rows, moved]).toEqual([
      true,
      [],
      [['s-3', expect.any(Number), 0, 3.75, 4.98, 0, expect.any(Number), 0]],
    ])
  })

  it('is what opened services have in flight, each second', async () => {
    const world = await startLiveWorld(many)
    const reader = await openReader(world.port, '?open=s-3')
    await reader.frame('a tick', ({ tick }) => tick)
    world.table.services = many.map((each) => ({ ...each, endpoints: [endpointView(80, { inFlight: 9 })] }))
    const { moved } = await reader.frame('the number', (frame) => frame.moved.length > 0)
    expect(moved).toEqual([['s-3', 0, null, null, null, 9, 0, 0]])
    await reader.detail('the endpoint', ({ endpoints }) => endpoints[0]?.inFlight === 9)
  })
})

describe('how much it may cost', () => {
  it('is nothing while nobody looks, and one frame for all who do', async () => {
    const world = await startLiveWorld([quotes])
    const readers = [await openReader(world.port), await openReader(world.port), await openReader(world.port)]
    const made = world.table.viewsMade
    await Promise.all(readers.map(({ frames }) => waitFor('two more frames', () => frames.length >= 4)))
    // The last of them may just be on its way to one reader.
    expect(world.table.viewsMade - made).toBeLessThanOrEqual(5)
    for (const reader of readers) reader.close()
    await Promise.all(readers.map(({ ended }) => ended))
    world.live.observer.onRestored('quotes', '10.0.0.1:80')
    const { states } = await openReader(world.port)
    expect(states[0]?.feed).toHaveLength(1)
  })

  it('is bounded: no more than 32 pages, and the next one is told when to ask again', async () => {
    const world = await startLiveWorld([quotes])
    const readers = await Promise.all(Array.from({ length: mostStreams }, () => openReader(world.port)))
    const refused = await openReader(world.port)
    expect(refused.status).toBe(503)
    expect(refused.headers['retry-after']).toBe('10')
    readers[0]?.close()
    await waitFor('room again', async () => (await openReader(world.port)).status === 200)
  })

  it('is bounded when very many ask in the same moment', async () => {
    const world = await startLiveWorld([quotes])
    const ask = 'GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n'
    const sockets = await Promise.all(Array.from({ length: mostStreams + 20 }, () => open(world.port, ask)))
    // Those that were let in stay, and whoever was not is told to ask again or let go.
    await waitFor('no room is left', async () => (await openReader(world.port)).status === 503)
    for (const socket of sockets) socket.destroy()
    await waitFor('room again', async () => (await openReader(world.port)).status === 200)
  })

  it('is bounded for a page that does not read: it is dropped', async () => {
    const big = Array.from({ length: 400 }, (_, at) =>
      serviceView(`service-${at}-${'x'.repeat(90)}`, { endpoints: [endpointView(80)] }),
    )
    const allJoined = big.map(({ name, endpoints }) => {
      const joined = endpoints.map(({ endpoint }) => endpoint)
      return { name, kind: 'changed', joined, left: [], reweighted: [] } as const
    })
    const world = await startLiveWorld(big)
    const reader = await openReader(world.port, '?open=')
    reader.pause()
    const other = await openReader(world.port, '?open=')
    // More than the kernel takes for it, and the MiB besides. The last thing that it reads is then the end.
    for (let round = 0; round < 120; round++) {
      world.table.services = big.map((each) => ({ ...each, inCatalog: round % 2 === 0 }))
      const before = other.frames.length
      world.live.onTableChange(allJoined)
      await waitFor('the other reads on', () => other.frames.length > before)
    }
    reader.resume()
    await reader.ended
    expect(reader.frames.length).toBeLessThan(other.frames.length)
  }, 40_000)
})

describe('where it ends', () => {
  it('with the listener, at once', async () => {
    const world = await startLiveWorld([quotes])
    const reader = await openReader(world.port)
    await world.close()
    await reader.ended
  })

  it('is not begun for a foreign host name, nor for a HEAD', async () => {
    const world = await startLiveWorld([quotes])
    const foreign = await raw(world.port, 'GET /api/live HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')
    expect(foreign).toMatch(/^HTTP\/1\.1 403 /)
    const head = await raw(world.port, 'HEAD /api/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    expect(head).toMatch(/^HTTP\/1\.1 200 /)
    expect(head).toContain('text/event-stream')
  })
})
