import { describe, expect, test } from 'vitest'
import { absent, answerOf, holdMs, newAdmissionWorld } from './admission-world.ts'

const services = (names: string, members = 'AB') => Object.fromEntries([...names].map((name) => [name, members]))

describe('one answer', () => {
  test.each([
    ['the first one is believed, whatever it says', null, { web: 'A' }, 'web: A', []],
    ['a joiner is believed at once', { web: 'A' }, { web: 'ABCDE' }, 'web: ABCDE', []],
    ['a new service is believed at once', { web: 'A' }, { api: 'B', web: 'A' }, 'api: B, web: A', []],
    ['a weight is believed at once', { web: { A: 1 } }, { web: { A: 9 } }, 'web: A', []],
    ['a single instance that leaves is gone at once', { web: 'ABC' }, { web: 'AB' }, 'web: AB', []],
    ['half of a service is gone at once', { web: 'ABCD' }, { web: 'AB' }, 'web: AB', []],
    [
      'more than half of a service is held',
      { web: 'ABC' },
      { web: 'A' },
      'web: AB*C*',
      ['web B held (most-of-service)', 'web C held (most-of-service)'],
    ],
    ['one of two is gone at once, though it is half', { web: 'AB' }, { web: 'A' }, 'web: A', []],
    [
      'a service that is emptied is held, even if it had one endpoint',
      { api: 'XYZ', web: 'A' },
      { api: 'XYZ', web: '' },
      'api: XYZ, web: A*',
      ['web A held (service-emptied)'],
    ],
    [
      'a service that is not listed any more is held',
      { api: 'X', web: 'A' },
      { api: 'X' },
      'api: X, web: A*',
      ['web A held (service-emptied)'],
    ],
    ['a service that had nothing is gone at once', { api: 'X', web: '' }, { api: 'X' }, 'api: X', []],
    [
      'a switch of all endpoints has the new ones at once, and holds the old ones',
      { web: 'ABC' },
      { web: 'DEF' },
      'web: A*B*C*DEF',
      ['web A held (most-of-service)', 'web B held (most-of-service)', 'web C held (most-of-service)'],
    ],
    [
      'more than a third of all services is a doubt about the registry',
      services('abcde'),
      services('abc'),
      'a: AB, b: AB, c: AB, d: A*B*, e: A*B*',
      ['d A', 'd B', 'e A', 'e B'].map((each) => `${each} held (many-services)`),
    ],
    [
      'and then a single instance that leaves elsewhere is held, too',
      services('abcde'),
      { ...services('bc'), a: 'A' },
      'a: AB*, b: AB, c: AB, d: A*B*, e: A*B*',
      ['a B', 'd A', 'd B', 'e A', 'e B'].map((each) => `${each} held (many-services)`),
    ],
    [
      'a third of all services is a doubt about each of them',
      services('abcdef', 'A'),
      services('abcd', 'A'),
      'a: A, b: A, c: A, d: A, e: A*, f: A*',
      ['e A', 'f A'].map((each) => `${each} held (service-emptied)`),
    ],
    [
      'the only service that there is is no registry',
      { web: 'AB' },
      {},
      'web: A*B*',
      ['web A held (service-emptied)', 'web B held (service-emptied)'],
    ],
  ])('%s', (_, before, after, table, told) => {
    const world = newAdmissionWorld()
    if (before !== null) world.answer(answerOf(before))
    world.answer(answerOf(after))
    expect(world.table()).toBe(table)
    expect(world.told).toEqual(told)
  })

  test('whose index went backwards: nothing that leaves is gone at once, not even a single instance', () => {
    const world = newAdmissionWorld()
    world.answer(answerOf({ web: 'ABC' }))
    world.answer(answerOf({ web: 'ABD' }), true)
    expect(world.table()).toBe('web: ABC*D')
    expect(world.told).toEqual(['web C held (index-backwards)'])
  })
})

describe('what Consul says of an instance itself', () => {
  test.each([
    ['a check that fails is obeyed at once, even if it empties the service', true, false, 'web: ', []],
    [
      'right after Consul was away it is doubted like any other leaving',
      false,
      false,
      'web: A*B*',
      ['web A held (loss-after-outage)', 'web B held (loss-after-outage)'],
    ],
    [
      'that only the agent of its node is silent is not about the instance',
      true,
      true,
      'web: A*B*',
      ['web A held (service-emptied)', 'web B held (service-emptied)'],
    ],
  ])('%s', (_, settled, agentLost, table, told) => {
    const world = newAdmissionWorld()
    world.answer(answerOf({ web: 'AB' }))
    world.settled = settled
    world.answer(answerOf({ web: '' }, { web: [absent('A', agentLost), absent('B', agentLost)] }))
    expect(world.table()).toBe(table)
    expect(world.told).toEqual(told)
  })

  test('right after Consul was away, instances that turn critical one after the other are held one after the other', () => {
    const world = newAdmissionWorld()
    world.answer(answerOf({ web: 'ABC' }))
    world.settled = false
    world.answer(answerOf({ web: 'BC' }, { web: [absent('A')] }))
    world.answer(answerOf({ web: 'C' }, { web: [absent('A'), absent('B')] }))
    world.answer(answerOf({ web: '' }, { web: [absent('A'), absent('B'), absent('C')] }))
    expect(world.table()).toBe('web: A*B*C*')
    expect(world.told).toEqual([
      'web A held (word-after-outage)',
      'web B held (word-after-outage)',
      'web C held (loss-after-outage)',
    ])
    world.answer(answerOf({ web: 'ABC' }))
    expect(world.table()).toBe('web: ABC')
  })

  test('right after Consul was away, a single instance that is gone without a word is gone at once', () => {
    const world = newAdmissionWorld()
    world.answer(answerOf({ web: 'ABC' }))
    world.settled = false
    world.answer(answerOf({ web: 'AB' }))
    expect(world.table()).toBe('web: AB')
  })

  test('if it holds that word for long enough after it was away, it is obeyed, without a further answer', () => {
    const world = newAdmissionWorld()
    world.answer(answerOf({ web: 'AB' }))
    world.settled = false
    world.answer(answerOf({ web: '' }, { web: [absent('A'), absent('B', true)] }))
    world.traffic('web', 'A', 'good')
    world.pass(5_000)
    expect(world.table()).toBe('web: A*B*')
    world.settled = true
    world.pass(5_000)
    expect(world.told.slice(-2)).toEqual(['web A explained', 'web B expired'])
  })

  test('ends a hold: one that is said to be critical is gone, the other stays held', () => {
    const world = newAdmissionWorld()
    world.answer(answerOf({ web: 'AB' }))
    world.answer(answerOf({ web: '' }))
    world.answer(answerOf({ web: '' }, { web: [absent('A')] }))
    expect(world.table()).toBe('web: B*')
    expect(world.told.at(-1)).toBe('web A explained')
  })

  test('a suspect is marked as such for the balancer, and is not once it is listed again', () => {
    const world = newAdmissionWorld()
    world.answer(answerOf({ web: 'AB' }))
    world.answer(answerOf({ web: '' }))
    world.answer(answerOf({ web: 'B' }))
    const endpoints = world.admission.table?.services.get('web')?.endpoints
    expect(endpoints?.map(({ id, doubted }) => [id, doubted])).toEqual([
      ['A:80', true],
      ['B:80', undefined],
    ])
  })

  test('a suspect is not told of as absent as well', () => {
    const world = newAdmissionWorld()
    world.answer(answerOf({ web: 'AB' }))
    world.answer(answerOf({ web: '' }, { web: [absent('A', true), absent('C', true)] }))
    expect(world.admission.table?.services.get('web')?.absent).toEqual([absent('C', true)])
  })
})

describe('a hold', () => {
  const emptied = () => {
    const world = newAdmissionWorld()
    world.answer(answerOf({ api: 'XYZ', web: 'AB' }))
    world.answer(answerOf({ api: 'XYZ' }))
    return world
  }

  test('ends when its time is up, and the catalog has its way', () => {
    const world = emptied()
    world.pass(holdMs - 1)
    expect(world.table()).toBe('api: XYZ, web: A*B*')
    world.pass(1)
    expect(world.table()).toBe('api: XYZ')
    expect(world.told.slice(-2)).toEqual(['web A expired', 'web B expired'])
  })

  test('of one service ends so even while its endpoints answer: the registry has the last word on a service', () => {
    const world = emptied()
    world.traffic('web', 'A', 'good')
    world.pass(holdMs)
    expect(world.table()).toBe('api: XYZ')
  })

  test('ends for an endpoint that is listed again, at once', () => {
    const world = emptied()
    world.answer(answerOf({ api: 'XYZ', web: 'B' }))
    expect(world.table()).toBe('api: XYZ, web: A*B')
    expect(world.told.at(-1)).toBe('web B returned')
    world.pass(holdMs)
    expect(world.table()).toBe('api: XYZ, web: B')
  })

  test('ends for an endpoint that fails twice in a row, once a second read has left it out as well', () => {
    const world = emptied()
    world.traffic('web', 'A', 2)
    world.pass(1_000)
    expect(world.table()).toBe('api: XYZ, web: A*B*')
    world.readAgain()
    expect(world.table()).toBe('api: XYZ, web: B*')
    expect(world.told.at(-1)).toBe('web A confirmed')
  })

  test('ends for an endpoint that nobody asks, once two further reads have left it out as well', () => {
    const world = emptied()
    world.traffic('web', 'B', 'good')
    world.pass(1_000)
    world.readAgain()
    expect(world.table()).toBe('api: XYZ, web: A*B*')
    world.readAgain()
    expect(world.table()).toBe('api: XYZ, web: B*')
    expect(world.told.at(-1)).toBe('web A confirmed')
  })

  test('about the registry does not end for one that nobody asks, however often it is read', () => {
    const world = newAdmissionWorld()
    world.answer(answerOf(services('abc')))
    world.answer(answerOf({}))
    for (const _ of Array(4)) world.readAgain()
    expect(world.table()).toBe('a: A*B*, b: A*B*, c: A*B*')
  })

  test('does not end for a single fault, nor for a read that began before it', () => {
    const world = emptied()
    world.traffic('web', 'A', 1)
    world.readAgain()
    expect(world.table()).toBe('api: XYZ, web: A*B*')
    const early = newAdmissionWorld()
    early.answer(answerOf({ web: 'AB' }))
    early.answer(answerOf({}))
    early.nowMs -= 1
    early.traffic('web', 'A', 2)
    early.readAgain()
    expect(early.table()).toBe('web: A*B*')
  })

  test('is not prolonged by further answers that say the same', () => {
    const world = emptied()
    for (const _ of Array(9)) {
      world.pass(1_000)
      world.answer(answerOf({ api: 'XYZ' }))
    }
    world.pass(1_000)
    expect(world.table()).toBe('api: XYZ')
  })

  test('does not make later leavings of the same service look like more than they are', () => {
    const world = newAdmissionWorld()
    world.answer(answerOf({ web: 'ABCDEFG' }))
    world.answer(answerOf({ web: 'ABC' }))
    world.answer(answerOf({ web: 'AB' }))
    expect(world.table()).toBe('web: ABD*E*F*G*')
  })

  test('ends at once when a person accepts the catalog, and when admission is turned off', () => {
    const world = emptied()
    world.accept()
    expect(world.table()).toBe('api: XYZ')
    const off = emptied()
    off.enabled = false
    off.pass(1)
    expect(off.table()).toBe('api: XYZ')
    off.answer(answerOf({}))
    expect(off.table()).toBe('')
  })
})

describe('a registry that has lost its data', () => {
  const lost = (rewound = true, settled = true, names = 'abc') => {
    const world = newAdmissionWorld()
    world.answer(answerOf(services(names)))
    world.settled = settled
    world.answer(answerOf({}), rewound)
    return world
  }

  test.each([
    ['whose index went backwards', true],
    ['whose index did not, but all services are gone', false],
  ])('%s: while endpoints answer, all that it lost are kept, also those that nobody asked', (_, rewound) => {
    const world = lost(rewound)
    world.traffic('a', 'A', 'good')
    world.pass(holdMs)
    expect(world.table()).toBe('a: A*B*, b: A*B*, c: A*B*')
    expect(world.told.filter((line) => line.endsWith('kept'))).toHaveLength(6)
    world.pass(24 * 3_600_000)
    expect(world.table()).toBe('a: A*B*, b: A*B*, c: A*B*')
  })

  test('of which nothing shows but that it was away a moment ago: its only service is kept while it answers', () => {
    const world = lost(false, false, 'a')
    expect(world.told[0]).toBe('a A held (loss-after-outage)')
    world.traffic('a', 'A', 'good')
    world.settled = true
    world.pass(holdMs)
    expect(world.table()).toBe('a: A*B*')
  })

  test('without any traffic nothing contradicts it: after the hold the catalog has its way', () => {
    const world = lost()
    world.pass(holdMs)
    expect(world.table()).toBe('')
  })

  test('when more of them fail than answer, it was right', () => {
    const world = lost()
    world.traffic('a', 'A', 'good')
    for (const letter of 'AB') world.traffic('b', letter, 2)
    world.readAgain()
    expect(world.table()).toBe('a: A*B*, c: A*B*')
    world.pass(holdMs)
    expect(world.table()).toBe('')
  })

  test('one that is kept and then fails is gone', () => {
    const world = lost()
    for (const service of 'abc') world.traffic(service, 'A', 'good')
    world.pass(holdMs)
    world.traffic('a', 'A', 2)
    world.pass(200)
    expect(world.table()).toBe('a: B*, b: A*B*, c: A*B*')
    expect(world.told.at(-1)).toBe('a A confirmed')
  })

  test('services that register again are listed as before, and the others stay kept', () => {
    const world = lost()
    world.traffic('a', 'A', 'good')
    world.pass(holdMs)
    world.answer(answerOf({ a: 'AB' }))
    world.answer(answerOf({ a: 'AB', b: 'A' }))
    expect(world.table()).toBe('a: AB, b: AB*, c: A*B*')
    world.pass(holdMs)
    expect(world.table()).toBe('a: AB, b: AB*, c: A*B*')
  })

  test('what was gone for its own reasons before stays gone', () => {
    const world = newAdmissionWorld()
    world.answer(answerOf(services('abc')))
    world.answer(answerOf({ ...services('bc'), a: 'A' }))
    world.answer(answerOf({}), true)
    world.traffic('a', 'A', 'good')
    world.pass(holdMs)
    expect(world.table()).toBe('a: A*, b: A*B*, c: A*B*')
  })

  test('what is kept of it does not put later leavings in doubt', () => {
    const world = newAdmissionWorld()
    world.answer(answerOf(services('abcd', 'ABC')))
    world.answer(answerOf(services('cd', 'ABC')))
    world.traffic('a', 'A', 'good')
    world.pass(holdMs)
    expect(world.table()).toBe('a: A*B*C*, b: A*B*C*, c: ABC, d: ABC')
    world.answer(answerOf({ c: 'AB', d: 'ABC' }))
    expect(world.table()).toBe('a: A*B*C*, b: A*B*C*, c: AB, d: ABC')
    world.answer(answerOf({ c: 'AB' }))
    expect(world.told.at(-1)).toBe('d C held (service-emptied)')
  })

  test('is accepted by a person', () => {
    const world = lost()
    world.traffic('a', 'A', 'good')
    world.pass(holdMs)
    world.accept()
    expect(world.table()).toBe('')
  })
})

test('thirty-one of a thousand services are a doubt about the registry, thirty are not', () => {
  const names = Array.from({ length: 1_000 }, (_, at) => `s${at}`)
  const all = Object.fromEntries(names.map((name) => [name, 'A']))
  for (const [count, doubt] of [
    [30, 'service-emptied'],
    [31, 'many-services'],
  ] as const) {
    const world = newAdmissionWorld()
    world.answer(answerOf(all))
    world.answer(answerOf(Object.fromEntries(Object.entries(all).slice(count))))
    expect(world.told).toEqual(names.slice(0, count).map((name) => `${name} A held (${doubt})`))
  }
})

test('the first answer of another source is believed, and only that one', () => {
  const world = newAdmissionWorld(answerOf(services('abc')), false)
  world.answer(answerOf({ b: 'AB', c: 'C' }))
  expect(world.table()).toBe('b: AB, c: C')
  expect(world.told).toEqual([])
  world.answer(answerOf({ c: 'C' }))
  expect(world.table()).toBe('b: A*B*, c: C')
})

test('a hold that is made shorter ends sooner for those in it', () => {
  const world = newAdmissionWorld()
  world.answer(answerOf({ web: 'AB' }))
  world.answer(answerOf({}))
  world.holdMs = 3_000
  world.pass(2_999)
  expect(world.table()).toBe('web: A*B*')
  world.pass(1)
  expect(world.table()).toBe('')
})

test('the first answer is judged by what was in use before, when there is something', () => {
  const world = newAdmissionWorld(answerOf(services('abc')))
  expect(world.table()).toBe('a: AB, b: AB, c: AB')
  world.answer(answerOf({}))
  expect(world.table()).toBe('a: A*B*, b: A*B*, c: A*B*')
})
