import { describe, expect, it } from 'vitest'
import { createFeed, eventsKept } from '../../src/admin/events.ts'
import type { ServiceChange } from '../../src/balancer/table.ts'
import { endpointView, suspect } from './fixtures.ts'

function setup() {
  const clock = { ms: 1_700_000_000_000 }
  const about: string[][] = []
  const feed = createFeed(
    () => clock.ms,
    (_, __, reason) => `the rule ${reason}`,
    (services) => about.push([...services]),
  )
  return { clock, about, feed, told: () => feed.events().map(({ kind, service, text }) => [kind, service, text]) }
}

function change(name: string, joined: readonly number[], left: readonly number[] = []): ServiceChange {
  const endpoints = (ports: readonly number[]) => ports.map((port) => endpointView(port).endpoint)
  return { name, kind: 'changed', joined: endpoints(joined), left: endpoints(left), reweighted: [] }
}

describe('what is told of', () => {
  it('health', () => {
    const { feed, told, about } = setup()
    feed.onEjected('quotes', '10.0.0.1:80', 'consecutive-faults', 30_000)
    feed.onRestored('quotes', '10.0.0.1:80')
    feed.onWithheld('quotes', '10.0.0.1:81', 'fault-rate', 'cap')
    expect(told()).toEqual([
      ['ejected', 'quotes', '10.0.0.1:80 for 30 s: the rule consecutive-faults'],
      ['restored', 'quotes', '10.0.0.1:80 is back in rotation'],
      [
        'withheld',
        'quotes',
        '10.0.0.1:81 stays although the rule fault-rate: too many of its siblings are out already',
      ],
    ])
    expect(feed.events().map(({ id, atMs, tone }) => [id, atMs, tone])).toEqual([
      [1, 1_700_000_000_000, 'bad'],
      [2, 1_700_000_000_000, 'good'],
      [3, 1_700_000_000_000, 'warn'],
    ])
    expect(about).toEqual([['quotes'], ['quotes'], ['quotes']])
  })

  it('persons', () => {
    const { feed, told } = setup()
    feed.onDrained('quotes', '10.0.0.1:80', 'pat on host-7')
    feed.onUndrained('quotes', '10.0.0.1:80', 'kim')
    expect(told()).toEqual([
      ['drained', 'quotes', '10.0.0.1:80 by pat on host-7'],
      ['undrained', 'quotes', '10.0.0.1:80 by kim'],
    ])
  })

  it('endpoints that join and leave, a few by name', () => {
    const { feed, told } = setup()
    feed.onTableChange([change('quotes', [80], [81]), change('accounts', [90, 91, 92, 93, 94, 95]), change('same', [])])
    expect(told()).toEqual([
      ['joined', 'quotes', '10.0.0.1:80 (i-80)'],
      ['left', 'quotes', '10.0.0.1:81 (i-81)'],
      [
        'joined',
        'accounts',
        '10.0.0.1:90 (i-90), 10.0.0.1:91 (i-91), 10.0.0.1:92 (i-92), 10.0.0.1:93 (i-93) and 2 more',
      ],
    ])
  })

  it('very many changes at once, in one line', () => {
    const { feed, told, about } = setup()
    feed.onTableChange(Array.from({ length: 500 }, (_, at) => change(`s-${at}`, [80, 81, 82])))
    expect(told()).toEqual([['catalog', null, '500 services: 1500 endpoints joined']])
    // Whoever makes rows of it hears all the names.
    expect(about[0]).toHaveLength(500)
  })

  it('what became of endpoints that the catalog leaves out, and why', () => {
    const { feed, told } = setup()
    const two = [suspect('quotes', 80), suspect('quotes', 81)]
    feed.onDecisions(two.map((each) => ({ kind: 'held', suspect: each })))
    feed.onDecisions(two.map((each) => ({ kind: 'kept', suspect: each })))
    expect(told()).toEqual([
      [
        'held',
        'quotes',
        '10.0.0.1:80, 10.0.0.1:81 stay in rotation until it is confirmed (an answer names no endpoint of this service any more)',
      ],
      ['kept', 'quotes', '10.0.0.1:80, 10.0.0.1:81 stay although the catalog has lost them: they answer'],
    ])
    feed.onDecisions(Array.from({ length: 40 }, (_, at) => ({ kind: 'held', suspect: suspect(`s-${at}`, 80) })))
    expect(told().at(-1)).toEqual(['held', null, '40 endpoints of 40 services stay in rotation until it is confirmed'])
  })

  it('the catalog’s standing, when it is another', () => {
    const { feed, told } = setup()
    for (const state of ['fresh', 'fresh', 'stale', 'stale', 'fresh', 'draining'] as const) feed.onReadiness(state)
    expect(told().map(([kind]) => kind)).toEqual(['fresh', 'stale', 'recovered', 'draining'])
  })
})

describe('it stays readable and small', () => {
  it('what goes on and on is told now and then', () => {
    const { feed, told, clock } = setup()
    for (let number = 0; number < 1_000; number++) {
      feed.onPanicPick('quotes')
      feed.onWithheld('quotes', '10.0.0.1:80', 'fault-rate', 'shadow')
    }
    feed.onPanicPick('accounts')
    expect(told().map(([kind, service]) => `${kind} ${service}`)).toEqual([
      'panic quotes',
      'withheld quotes',
      'panic accounts',
    ])
    clock.ms += 61_000
    feed.onPanicPick('quotes')
    expect(told()).toHaveLength(4)
  })

  it('keeps the last hundred', () => {
    const { feed } = setup()
    for (let port = 1; port <= 250; port++) feed.onRestored('quotes', `10.0.0.1:${port}`)
    expect(feed.events()).toHaveLength(eventsKept)
    expect(feed.events().at(0)?.id).toBe(151)
    expect(feed.events().at(-1)?.text).toContain(':250 ')
  })

  it('cuts names, and makes them printable', () => {
    const { feed } = setup()
    feed.onDrained(`evil\u202e${'x'.repeat(500)}`, '10.0.0.1:80', `line\nbreak ${'y'.repeat(500)}`)
    const [event] = feed.events()
    expect(event?.service).toMatch(/^evil\?x+…$/)
    expect(event?.service).toHaveLength(120)
    expect(event?.text).toContain('line?break')
    expect(event?.text).toHaveLength(300)
  })
})
