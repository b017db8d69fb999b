/** Which endpoints do the containers of an Engine come to that is in no swarm? */

import { describe, expect, test } from 'vitest'
import { decodeContainers } from '../../../src/discovery/swarm/engine-answers.ts'
import { decodePlain } from '../../../src/discovery/swarm/swarm-containers.ts'
import type { SwarmRules } from '../../../src/discovery/swarm/swarm-rules.ts'

const rules: SwarmRules = { network: null, label: 'evenkeel.port', include: ['*'], exclude: [] }

const container = (more: object = {}) => ({
  Id: '0123456789abcdef',
  Names: ['/p-web-1'],
  Labels: { 'evenkeel.port': '80' },
  State: 'running',
  Status: 'Up 2 minutes',
  NetworkSettings: { Networks: { web: { NetworkID: 'n', IPAddress: '172.20.0.2' } } },
  ...more,
})

const on = (Networks: object) => ({ NetworkSettings: { Networks } })
const two = on({ web: { NetworkID: 'n', IPAddress: '172.20.0.2' }, back: { NetworkID: 'm', IPAddress: '172.21.0.2' } })

function decode(containers: readonly object[], more: Partial<SwarmRules> = {}) {
  const list = decodeContainers(Buffer.from(JSON.stringify(containers)))
  const { services, oddities } = decodePlain(list.kind === 'list' ? list.items : [], { ...rules, ...more })
  return { services: Object.fromEntries(services), oddities }
}

describe('a container that runs is in rotation', () => {
  test.each<[string, object, Partial<SwarmRules>, string, string]>([
    ['by its own name', {}, {}, 'p-web-1', '172.20.0.2:80'],
    [
      'by the name of its Compose service',
      { Labels: { 'evenkeel.port': '80', 'com.docker.compose.service': 'web' } },
      {},
      'web',
      '172.20.0.2:80',
    ],
    [
      'by the name of its label',
      { Labels: { 'evenkeel.port': '80', 'com.docker.compose.service': 'web', 'evenkeel.name': 'shop' } },
      {},
      'shop',
      '172.20.0.2:80',
    ],
    ['when its health check has passed', { Status: 'Up 2 minutes (healthy)' }, {}, 'p-web-1', '172.20.0.2:80'],
    ['on the network that is named', two, { network: 'back' }, 'p-web-1', '172.21.0.2:80'],
    ['on IPv6', on({ web: { IPAddress: '', GlobalIPv6Address: 'fd00::2' } }), {}, 'p-web-1', '[fd00::2]:80'],
  ])('%s', (_, more, own, name, id) => {
    const { services } = decode([container(more)], own)
    expect(Object.keys(services)).toEqual([name])
    expect(services[name]?.endpoints).toMatchObject([{ id, instance: 'p-web-1', weight: 1 }])
    expect(services[name]?.absent).toEqual([])
  })
})

describe('a container is absent', () => {
  test.each<[string, object, string]>([
    ['when it was stopped', { State: 'exited', Status: 'Exited (1) 3 seconds ago' }, 'its container is exited'],
    ['while it is paused', { State: 'paused', Status: 'Up 2 minutes (Paused)' }, 'its container is paused'],
    ['in a state that nobody knows', { State: 'x\ny' }, 'its container is not running'],
    [
      'while its health check has not passed',
      { Status: 'Up 2 seconds (health: starting)' },
      'its health check has not passed yet',
    ],
    ['when its health check has failed', { Status: 'Up 2 minutes (unhealthy)' }, 'its container is unhealthy'],
    ['when a newer Engine says so', { Health: { Status: 'unhealthy' } }, 'its container is unhealthy'],
    ['on several networks', two, 'it is on several networks ("back", "web"): say which with discovery.swarm.network'],
    [
      'on the network of its host',
      on({ host: { IPAddress: '' } }),
      'it has no address of its own on the network "host"',
    ],
    [
      'with a port that is none',
      { Labels: { 'evenkeel.port': '-1' } },
      'its label evenkeel.port is "-1", not 1 to 65535',
    ],
  ])('%s', (_, more, reason) => {
    const { services } = decode([container(more)])
    expect(services['p-web-1']?.endpoints).toEqual([])
    expect(services['p-web-1']?.absent).toMatchObject([{ instance: 'p-web-1', reason }])
  })
})

test('replicas are one service; what has no label is none', () => {
  const labels = { 'evenkeel.port': '80', 'com.docker.compose.service': 'web' }
  const { services } = decode([
    container({ Labels: labels, Names: ['/p-web-2'], ...on({ web: { IPAddress: '172.20.0.3' } }) }),
    container({ Labels: labels }),
    container({ Labels: {}, Names: ['/other'] }),
    null as unknown as object,
  ])
  expect(Object.keys(services)).toEqual(['web'])
  expect(services.web?.endpoints.map(({ id }) => id)).toEqual(['172.20.0.2:80', '172.20.0.3:80'])
})
