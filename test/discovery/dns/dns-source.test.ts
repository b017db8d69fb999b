/** What does the source make of resolvers that fail, lie, are slow or say nothing? They are fake; the sockets are real. */

import { afterEach, describe, expect, test } from 'vitest'
import { parseResolver } from '../../../src/discovery/dns/dns-resolvers.ts'
import { createDnsSource, type DnsOptions } from '../../../src/discovery/dns/dns-source.ts'
import { waitFor } from '../../support/wait.ts'
import type { Followed } from '../follow.ts'
import { type FakeAnswer, type FakeDns, type FakeResponder, startFakeDns } from './fake-dns.ts'
import { followDns } from './follow-dns.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function fake(respond: FakeResponder, options?: { tcp: boolean }): Promise<FakeDns> {
  const started = await startFakeDns(respond, options)
  cleanups.push(started.stop)
  return started
}

function follow(...args: Parameters<typeof followDns>): Followed {
  const followed = followDns(...args)
  cleanups.push(followed.stop)
  return followed
}

const api: DnsOptions['services'] = { api: { kind: 'a', name: 'api.test', port: 80 } }
const web: DnsOptions['services'] = { web: { kind: 'srv', name: '_http._tcp.web.test' } }
const short = { timing: { deadlineMs: 200, resendMs: 60 } }

function addresses(...list: string[]): FakeAnswer {
  return { answers: list.map((address) => ({ name: 'api.test', ttlS: 0, is: `a ${address}` })) }
}

describe('leaves a service as it was, and says so, when its name', () => {
  test.each<[string, FakeResponder, RegExp]>([
    ['fails with SERVFAIL', () => ({ rcode: 2 }), /SERVFAIL/],
    ['is REFUSED', () => ({ rcode: 5 }), /REFUSED/],
    ['is answered by who neither knows it nor asks others', () => ({ recursive: false }), /does not ask others/],
    ['is answered in part, over TCP as well', () => ({ truncated: true }), /is cut off/],
    ['is not answered', () => null, /no answer within 0\.2 s/],
    [
      'is answered with nonsense',
      () => Buffer.from([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 0xc0]),
      /not to be understood/,
    ],
  ])('%s', async (_, respond, message) => {
    const dns = await fake(() => addresses('10.0.0.1'))
    const { until, errors, catalogs } = follow(api, [dns.resolver], {}, short)
    await until('api', ['10.0.0.1:80*1'])
    dns.respond = respond
    const error = await waitFor('it is told', () => errors[0])
    expect(error).toMatchObject({ where: 'DNS A api.test (api)', message: expect.stringMatching(message) })
    dns.respond = () => addresses('10.0.0.2')
    await until('api', ['10.0.0.2:80*1'])
    expect(catalogs).toHaveLength(2)
  })
})

test.each<[string, FakeAnswer]>([
  ['there is no such name', { rcode: 3, authority: [{ name: 'test', ttlS: 9, is: 'soa 0' }] }],
  ['there are no such records', {}],
])('a service is emptied when %s', async (_, said) => {
  const dns = await fake(() => addresses('10.0.0.1'))
  const { until, errors } = follow(api, [dns.resolver])
  await until('api', ['10.0.0.1:80*1'])
  dns.respond = () => said
  await until('api', [])
  expect(errors).toEqual([])
})

describe('the next resolver', () => {
  test('is asked when one is silent, and is the first from then on', async () => {
    const dead = await fake(() => null)
    const live = await fake(() => addresses('10.0.0.1'))
    const followed = follow(api, [dead.resolver, live.resolver], {}, short)
    await followed.until('api', ['10.0.0.1:80*1'])
    await waitFor('it is asked again', () => live.asked.length > 3)
    // One question, sent twice.
    expect(dead.asked.length).toBeLessThanOrEqual(2)
    expect(followed.errors).toEqual([])
  })

  test('is not asked when there is no such name: that is an answer', async () => {
    const first = await fake(() => ({ rcode: 3 }))
    const second = await fake(() => addresses('10.0.0.1'))
    await follow(api, [first.resolver, second.resolver]).until('api', [])
    expect(second.asked).toEqual([])
  })

  test('is asked when one only says that others know the name', async () => {
    const first = await fake(() => ({ recursive: false, answers: [{ name: 'api.test', is: 'cname elsewhere.test' }] }))
    const second = await fake(() => addresses('10.0.0.1'))
    await follow(api, [first.resolver, second.resolver]).until('api', ['10.0.0.1:80*1'])
  })

  test('fails as well: all of them are named', async () => {
    const first = await fake(() => ({ rcode: 5 }))
    const second = await fake(() => null)
    const { errors } = follow(api, [first.resolver, second.resolver], {}, short)
    const { message, away } = await waitFor('it is told', () => errors[0])
    expect(message).toBe(`${first.resolver} answered REFUSED; ${second.resolver} gave no answer within 0.2 s`)
    expect(away).toBeUndefined()
  })
})

test('a question that got lost is sent once more', async () => {
  let lost = true
  const dns = await fake(() => {
    if (!lost) return addresses('10.0.0.1')
    lost = false
    return null
  })
  const { until, errors } = follow(api, [dns.resolver], {}, { timing: { deadlineMs: 10_000, resendMs: 20 } })
  await until('api', ['10.0.0.1:80*1'])
  expect(errors).toEqual([])
})

describe('over UDP not all may be said', () => {
  const all = ['10.0.0.1', '10.0.0.2', '10.0.0.3']
  const whole = all.map((address) => `${address}:80*1`)

  test.each<[string, FakeAnswer]>([
    ['and it is marked', { truncated: true }],
    ['and it is not, as by Consul', addresses('10.0.0.1', '10.0.0.3')],
  ])('%s: it is asked over TCP, and at once there the next time', async (_, part) => {
    const dns = await fake(({ transport }) => (transport === 'udp' ? part : addresses(...all)))
    const { until, catalogs, errors } = follow(api, [dns.resolver])
    await until('api', whole)
    await waitFor('it is asked again', () => dns.asked.length > 4)
    expect(dns.asked.filter(({ transport }) => transport === 'udp')).toHaveLength(1)
    expect(catalogs).toHaveLength(1)
    expect(errors).toEqual([])
  })

  test('and nobody listens at TCP: what is not marked is all there is', async () => {
    const dns = await fake(() => addresses(...all), { tcp: false })
    await follow(api, [dns.resolver]).until('api', whole)
  })

  test('and nobody listens at TCP: what is marked is not taken', async () => {
    const dns = await fake(() => ({ truncated: true }), { tcp: false })
    const { errors, catalogs } = follow(api, [dns.resolver])
    expect((await waitFor('it is told', () => errors[0])).cure).toContain('let TCP')
    expect(catalogs).toEqual([])
  })

  test('and TCP is silent: it is not taken', async () => {
    const dns = await fake(({ transport }) => (transport === 'udp' ? addresses(...all) : null))
    const { errors, catalogs } = follow(api, [dns.resolver], {}, short)
    expect((await waitFor('it is told', () => errors[0])).message).toContain('cut off')
    expect(catalogs).toEqual([])
  })
})

describe('a connection', () => {
  const two = ['10.0.0.1:80*1', '10.0.0.2:80*1']

  test('serves one question after another, and is closed with the watch', async () => {
    const dns = await fake(() => addresses('10.0.0.1', '10.0.0.2'))
    const { until, stop } = follow(api, [dns.resolver])
    await until('api', two)
    await waitFor('it is asked again', () => dns.asked.length > 6)
    expect(dns.accepted).toBeLessThan(dns.asked.filter(({ transport }) => transport === 'tcp').length)
    await stop()
    await waitFor('it is closed', () => dns.connections === 0)
  })

  test('is given up after a while: what answers there may be a process that knows nothing new', async () => {
    const dns = await fake(() => addresses('10.0.0.1', '10.0.0.2'))
    const { errors } = follow(api, [dns.resolver])
    await waitFor('others are made', () => dns.accepted > 2)
    expect(errors).toEqual([])
  })

  test('that the resolver closes after each answer, or in the moment of the next question, is no error', async () => {
    const dns = await fake(() => addresses('10.0.0.1', '10.0.0.2'))
    const { until, errors } = follow(api, [dns.resolver])
    await until('api', two)
    dns.closesOnQuestion = true
    await waitFor('new ones are made', () => dns.accepted > 4)
    expect(errors).toEqual([])
  })
})

describe('SRV records', () => {
  const srv = (...list: string[]) => list.map((is) => ({ name: '_http._tcp.web.test', is: `srv ${is}` }))

  test('with their addresses in the same answer take no more questions', async () => {
    const dns = await fake(() => ({
      answers: srv('1 1 80 h1.test', '1 2 81 h2.test'),
      additional: [
        { name: 'h1.test', is: 'a 10.0.0.1' },
        { name: 'h2.test', is: 'aaaa fd00::2' },
        { name: 'h2.test', is: 'a 10.0.0.2' },
      ],
    }))
    await follow(web, [dns.resolver]).until('web', ['10.0.0.1:80*1', '10.0.0.2:81*2'])
    expect(new Set(dns.asked.map(({ type }) => type))).toEqual(new Set(['SRV']))
  })

  test('whose addresses may have been left out over UDP are asked for over TCP', async () => {
    const dns = await fake(({ transport }) => ({
      answers: srv('1 1 80 h1.test'),
      additional: ['10.0.0.1', '10.0.0.2', ...(transport === 'tcp' ? ['10.0.0.3'] : [])].map((address) => {
        return { name: 'h1.test', is: `a ${address}` }
      }),
    }))
    const { until, catalogs } = follow(web, [dns.resolver])
    await until('web', ['10.0.0.1:80*1', '10.0.0.2:80*1', '10.0.0.3:80*1'])
    expect(catalogs).toHaveLength(1)
  })

  test('without addresses have their targets asked for, IPv6 where there is no IPv4', async () => {
    const dns = await fake(({ name, type }) => {
      if (type === 'SRV') return { answers: srv('1 1 80 h1.test', '1 1 81 h2.test', '1 1 82 h3.test') }
      if (name === 'h1.test') return { answers: [{ name, is: type === 'A' ? 'a 10.0.0.1' : 'aaaa fd00::1' }] }
      if (name === 'h2.test' && type === 'AAAA') return { answers: [{ name, is: 'aaaa fd00::2' }] }
      return { rcode: 3 }
    })
    const { until, service } = follow(web, [dns.resolver])
    await until('web', ['10.0.0.1:80*1', '[fd00::2]:81*1'])
    expect(service('web')?.absent).toEqual([{ instance: 'h3.test', address: '', reason: 'its name has no address' }])
  })

  test('of which one target cannot be asked for change nothing', async () => {
    const dns = await fake(({ name, type }) => {
      if (type === 'SRV') return { answers: srv('1 1 80 h1.test') }
      return { answers: [{ name, is: 'a 10.0.0.1' }] }
    })
    const { until, errors, catalogs } = follow(web, [dns.resolver])
    await until('web', ['10.0.0.1:80*1'])
    dns.respond = ({ name, type }) => {
      if (type === 'SRV') return { answers: srv('1 1 80 h1.test', '1 1 80 h2.test') }
      return name === 'h2.test' ? { rcode: 2 } : { answers: [{ name, is: 'a 10.0.0.1' }] }
    }
    await waitFor('it is told', () => errors.length > 0)
    expect(catalogs).toHaveLength(1)
  })
})

test('a time to live is waited for, within the bounds', async () => {
  const dns = await fake(() => ({ answers: [{ name: 'api.test', ttlS: 3600, is: 'a 10.0.0.1' }] }))
  const held = follow(api, [dns.resolver], { maxIntervalMs: 3_600_000 })
  await held.until('api', ['10.0.0.1:80*1'])
  const other = await fake(() => ({ answers: [{ name: 'api.test', ttlS: 3600, is: 'a 10.0.0.1' }] }))
  const bounded = follow(api, [other.resolver], { maxIntervalMs: 20 })
  await bounded.until('api', ['10.0.0.1:80*1'])
  await waitFor('the bounded one is asked often', () => other.asked.length > 10)
  expect(dns.asked).toHaveLength(1)
})

test('the first catalog carries every service, also one that never answers, with the reason', async () => {
  const dns = await fake(({ name }) => (name === 'bad.test' ? { rcode: 5 } : addresses('10.0.0.1')))
  const { until, catalogs, service, fresh } = follow({ ...api, bad: { kind: 'a', name: 'bad.test', port: 1 } }, [
    dns.resolver,
  ])
  await until('api', ['10.0.0.1:80*1'])
  expect([...(catalogs[0]?.services.keys() ?? [])]).toEqual(['api', 'bad'])
  expect(service('bad')?.absent).toMatchObject([{ unread: true, reason: expect.stringContaining('REFUSED') }])
  // Part of it is not known: nothing confirms the whole.
  expect(fresh).toBe(0)
})

test('a name that is met with silence, while another is answered, makes nobody believe that the resolvers are away', async () => {
  const dns = await fake(({ name }) => (name === 'bad.test' ? null : addresses('10.0.0.1')))
  const services: DnsOptions['services'] = { ...api, bad: { kind: 'a', name: 'bad.test', port: 1 } }
  const { errors } = follow(services, [dns.resolver], {}, short)
  const error = await waitFor('it is told', () => errors[0])
  expect(error.message).toContain('no answer')
  expect(error.away).toBeUndefined()
  dns.respond = () => null
  await waitFor('all of them are silent: they are away', () => errors.some(({ away }) => away === true))
})

test('rereading asks now, takes in what it hears, and says whether all answered', async () => {
  const dns = await fake(() => addresses('10.0.0.1'))
  const followed = follow(api, [dns.resolver], { minIntervalMs: 3_600_000, maxIntervalMs: 3_600_000 })
  await followed.until('api', ['10.0.0.1:80*1'])
  dns.respond = () => addresses('10.0.0.2')
  const signal = new AbortController().signal
  expect(await followed.source.reread?.(['api', 'unknown'], signal)).toBe(true)
  expect(followed.endpoints('api')).toEqual(['10.0.0.2:80*1'])
  dns.respond = () => ({ rcode: 2 })
  expect(await followed.source.reread?.(['api'], signal)).toBe(false)
  expect(followed.source.describe?.()).toMatchObject({ watched: 1 })
  await followed.stop()
  expect(await followed.source.reread?.(['api'], signal)).toBe(false)
})

test('ends at once, in the middle of a question', async () => {
  const dns = await fake(() => null)
  const { stop, errors } = follow(api, [dns.resolver], {}, { timing: { deadlineMs: 3_600_000, resendMs: 3_600_000 } })
  await waitFor('it is asked', () => dns.asked.length > 0)
  await stop()
  expect(errors).toEqual([])
})

test('an answer to another question, or with another id, is not heard', async () => {
  const dns = await fake(() =>
    Buffer.concat([Buffer.from([0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]), Buffer.from([1, 0x78, 0, 0, 1, 0, 1])]),
  )
  const { errors, catalogs } = follow(api, [dns.resolver], {}, short)
  expect((await waitFor('it is told', () => errors[0])).message).toContain('no answer within')
  expect(catalogs).toEqual([])
})

test.each([
  ['10.0.0.2', { address: '10.0.0.2', port: 53 }],
  ['10.0.0.2:8600', { address: '10.0.0.2', port: 8600 }],
  ['fd00::1', { address: 'fd00::1', port: 53 }],
  ['[fd00::1]:8600', { address: 'fd00::1', port: 8600 }],
  ['dns.test:53', null],
  ['10.0.0.2:0', null],
  ['10.0.0.2:65536', null],
  ['[10.0.0.2]:53', null],
])('%s as a resolver', (text, expected) => {
  expect(parseResolver(text)).toEqual(expected)
})

test.each<[string, Partial<DnsOptions>, string]>([
  ['a resolver that is a name', { resolvers: ['dns.test'] }, '"dns.test" is no resolver'],
  ['a name that is none', { services: { api: { kind: 'a', name: 'a b', port: 1 } } }, '"a b" is no name in DNS'],
  ['a port that is none', { services: { api: { kind: 'a', name: 'a', port: 0 } } }, '1 to 65535'],
  ['a service that cannot be routed to', { services: { 'a/b': { kind: 'srv', name: 'a' } } }, 'cannot be routed'],
])('%s is refused', (_, options, message) => {
  const log = { error() {} } as never
  const all = { services: api, resolvers: [], minIntervalMs: 1, maxIntervalMs: 2, ...options }
  expect(() => createDnsSource(all, { log, random: Math.random })).toThrow(message)
})
