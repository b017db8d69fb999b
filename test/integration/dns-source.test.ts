/** Does our source follow a real Consul's DNS and a real dnsmasq, also through their death? */

import { afterEach, describe, expect, test } from 'vitest'
import type { DnsOptions } from '../../src/discovery/dns/dns-source.ts'
import { followDns } from '../discovery/dns/follow-dns.ts'
import type { Followed } from '../discovery/follow.ts'
import { type ConsulAgent, startConsul } from '../support/consul.ts'
import { type DnsmasqServer, startDnsmasq } from '../support/dnsmasq.ts'
import { dnsmasqLacks } from '../support/dnsmasq-binary.ts'
import { waitFor } from '../support/wait.ts'

const lacks = await dnsmasqLacks()

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function follow(...args: Parameters<typeof followDns>): Followed {
  const followed = followDns(...args)
  cleanups.push(followed.stop)
  return followed
}

describe('a real Consul', () => {
  const web: DnsOptions['services'] = { web: { kind: 'srv', name: 'web.service.consul' } }
  const resolverOf = ({ ports }: ConsulAgent) => `127.0.0.1:${ports.dns}`

  async function agent(): Promise<ConsulAgent> {
    const started = await startConsul({ dns: true, persistent: true })
    cleanups.push(started.stop)
    return started
  }

  function instance(at: number, weight = 1) {
    return {
      Name: 'web',
      ID: `web-${at}`,
      Address: `10.0.0.${at}`,
      Port: 8000 + at,
      Weights: { Passing: weight, Warning: 1 },
      Check: { CheckID: `beat-${at}`, Name: 'beat', TTL: '1h', Status: 'passing' as const },
    }
  }

  test('is followed by SRV: ports and weights, each registration, each check, each deregistration', async () => {
    const consul = await agent()
    await consul.register(instance(1, 3))
    await consul.register(instance(2))
    const { until, errors } = follow(web, [resolverOf(consul)])
    await until('web', ['10.0.0.1:8001*3', '10.0.0.2:8002*1'])
    await consul.register(instance(3))
    await until('web', ['10.0.0.1:8001*3', '10.0.0.2:8002*1', '10.0.0.3:8003*1'])
    await consul.setCheck('beat-1', 'fail')
    await until('web', ['10.0.0.2:8002*1', '10.0.0.3:8003*1'])
    for (const at of [1, 2, 3]) await consul.deregister(`web-${at}`)
    await until('web', [])
    expect(errors).toEqual([])
  })

  test('leaves out over UDP what it finds too many, without a word: all of them are seen, each time', async () => {
    const consul = await agent()
    const all = Array.from({ length: 60 }, (_, at) => at + 1)
    for (const at of all) await consul.register(instance(at))
    const followed = follow(web, [resolverOf(consul)])
    const expected = all.map((at) => `10.0.0.${at}:${8000 + at}*1`).sort()
    await followed.until('web', expected)
    const told = followed.catalogs.length
    await waitFor('it is asked again and again', () => followed.fresh > 5)
    expect(followed.catalogs).toHaveLength(told)
  })

  test('that dies and comes back: the table stays, and is followed again', async () => {
    const consul = await agent()
    await consul.register(instance(1))
    const { until, errors, catalogs } = follow(
      web,
      [resolverOf(consul)],
      {},
      { timing: { deadlineMs: 500, resendMs: 100 } },
    )
    await until('web', ['10.0.0.1:8001*1'])
    await consul.kill()
    await waitFor('it is missed', () => errors.some(({ away }) => away === true))
    expect(catalogs).toHaveLength(1)
    await consul.start()
    // A check that was passing by its time to live is critical in an agent that has been restarted.
    await consul.setCheck('beat-1', 'pass')
    await consul.register(instance(2))
    await until('web', ['10.0.0.1:8001*1', '10.0.0.2:8002*1'], 30_000)
  }, 60_000)
})

describe.skipIf(lacks !== null)(`a real dnsmasq${lacks === null ? '' : ` (skipped: ${lacks})`}`, () => {
  const services: DnsOptions['services'] = {
    web: { kind: 'srv', name: '_http._tcp.web.test' },
    api: { kind: 'a', name: 'api.test', port: 8080 },
    six: { kind: 'aaaa', name: 'six.test', port: 8080 },
  }
  const hosts = ['host-record=h1.test,10.0.0.1', 'host-record=h2.test,10.0.0.2', 'host-record=h3.test,fd00::3']
  const srv = (...list: string[]) => list.map((each) => `srv-host=_http._tcp.web.test,${each}`)

  async function dnsmasq(lines: readonly string[]): Promise<DnsmasqServer> {
    const started = await startDnsmasq(lines)
    cleanups.push(started.stop)
    return started
  }

  test('is followed: priorities, weights, targets with and without addresses, plain addresses, and names that go', async () => {
    const dns = await dnsmasq([
      ...hosts,
      ...srv('h1.test,80,10,5', 'h2.test,81,10,1', 'h3.test,82,20,1', 'h4.test,83,10,1'),
      ...['host-record=api.test,10.0.1.1', 'host-record=api.test,10.0.1.2', 'host-record=six.test,fd00::6'],
    ])
    const { until, service, errors, catalogs } = follow(services, [dns.resolver])
    await until('web', ['10.0.0.1:80*5', '10.0.0.2:81*1'])
    expect(service('web')?.absent).toEqual([
      { instance: 'h4.test', address: '', reason: 'its name has no address' },
      { instance: 'h3.test', address: '[fd00::3]:82', reason: 'its priority is 20, and there are addresses at 10' },
    ])
    await until('api', ['10.0.1.1:8080*1', '10.0.1.2:8080*1'])
    await until('six', ['[fd00::6]:8080*1'])
    expect(catalogs).toHaveLength(1)

    await dns.configure([...hosts, ...srv('h3.test,82,20,0', 'h2.test,81,20,2'), 'host-record=api.test,10.0.1.2'])
    await until('web', ['10.0.0.2:81*200', '[fd00::3]:82*1'])
    await until('api', ['10.0.1.2:8080*1'])
    await until('six', [])
    expect(errors.filter(({ away }) => away !== true)).toEqual([])
  })

  test('with 200 addresses of one name, more than a datagram holds', async () => {
    const all = Array.from({ length: 200 }, (_, at) => `10.0.2.${at + 1}`)
    const dns = await dnsmasq(all.map((address) => `host-record=api.test,${address}`))
    const expected = all.map((address) => `${address}:8080*1`).sort()
    await follow({ api: { kind: 'a', name: 'api.test', port: 8080 } }, [dns.resolver]).until('api', expected)
  })

  test('that refuses what it does not know, and then is gone: the table stays; another one takes over', async () => {
    const lines = ['host-record=api.test,10.0.1.1']
    const first = await dnsmasq(lines)
    const second = await dnsmasq(lines)
    const api: DnsOptions['services'] = { api: { kind: 'a', name: 'api.test', port: 8080 } }
    const { until, errors, catalogs } = follow({ ...api, far: { kind: 'a', name: 'far.example', port: 1 } }, [
      first.resolver,
      second.resolver,
    ])
    await until('api', ['10.0.1.1:8080*1'])
    await waitFor('the refusal is told', () => errors.some(({ message }) => message.includes('REFUSED')))
    await first.kill()
    await second.configure(['host-record=api.test,10.0.1.2'])
    await until('api', ['10.0.1.2:8080*1'])
    await second.kill()
    await waitFor('both are missed', () =>
      errors.some(({ where, away }) => where.includes('api.test') && away === true),
    )
    await first.start()
    await until('api', ['10.0.1.1:8080*1'])
    const seen = catalogs.map(({ services }) =>
      services
        .get('api')
        ?.endpoints.map(({ address }) => address)
        .join(),
    )
    expect(seen.filter((each, at) => each !== seen[at - 1])).toEqual(['10.0.1.1', '10.0.1.2', '10.0.1.1'])
  })
})
