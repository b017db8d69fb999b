/** Which endpoints do the services and tasks of a swarm come to? */

import { describe, expect, test } from 'vitest'
import { decodeNodes, decodeServices, decodeTasks } from '../../../src/discovery/swarm/engine-answers.ts'
import type { SwarmRules } from '../../../src/discovery/swarm/swarm-rules.ts'
import { type Decoded, decodeSwarm } from '../../../src/discovery/swarm/swarm-tasks.ts'
import { attachment, labelled, node, task } from './fake-engine.ts'

const rules: SwarmRules = { network: null, label: 'evenkeel.port', include: ['*'], exclude: [] }

interface Given {
  readonly services?: readonly object[]
  readonly tasks?: readonly object[]
  readonly nodes?: readonly object[]
  readonly unhealthy?: readonly string[]
  readonly failures?: readonly (readonly [string, string])[]
  readonly rules?: Partial<SwarmRules>
}

function decode(given: Given): Decoded {
  const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))
  const items = <T>(list: { readonly kind: string; readonly items?: readonly T[] }): readonly T[] => list.items ?? []
  return decodeSwarm(
    {
      services: items(decodeServices(bytes(given.services ?? [labelled('web')]))),
      tasks: items(decodeTasks(bytes(given.tasks ?? [task('web', 1, '10.77.1.3')]))),
      nodes: items(decodeNodes(bytes(given.nodes ?? [node('n1')]))),
      unhealthy: new Set(given.unhealthy),
      failures: new Map(given.failures),
    },
    { ...rules, ...given.rules },
  )
}

const endpoints = ({ services }: Decoded, name = 'web') => services.get(name)?.endpoints.map(({ id }) => id)
const reasons = ({ services }: Decoded, name = 'web') => services.get(name)?.absent.map(({ reason }) => reason)
const on = (...NetworksAttachments: object[]) => ({ NetworksAttachments })
const web = attachment('web', '10.77.1.3')
const back = attachment('back', '10.77.2.3')
const ingress = attachment('ingress', '10.0.0.5', { Ingress: true })
const macvlan = {
  Network: { ID: 'm', Spec: { Name: 'lan' }, DriverState: { Name: 'macvlan' } },
  Addresses: ['10.9.9.9/8'],
}

describe('a task that runs is at its own address', () => {
  test.each<[string, Given, string[]]>([
    ['on the overlay', {}, ['10.77.1.3:80']],
    [
      'whatever the virtual IP',
      { services: [{ ...labelled('web'), Endpoint: { VirtualIPs: [{ Addr: '10.77.1.2/24' }] } }] },
      ['10.77.1.3:80'],
    ],
    ['not on ingress', { tasks: [task('web', 1, '', on(ingress, web))] }, ['10.77.1.3:80']],
    [
      'not on an ingress with another name',
      { tasks: [task('web', 1, '', on(attachment('in', '10.0.0.5', { Ingress: true }), web))] },
      ['10.77.1.3:80'],
    ],
    [
      'on the network that is named',
      { tasks: [task('web', 1, '', on(web, back))], rules: { network: 'back' } },
      ['10.77.2.3:80'],
    ],
    [
      'on the network that is named by its id',
      { tasks: [task('web', 1, '', on(web, back))], rules: { network: 'id-back' } },
      ['10.77.2.3:80'],
    ],
    ['on the overlay rather than on others', { tasks: [task('web', 1, '', on(macvlan, web))] }, ['10.77.1.3:80']],
    [
      'on another kind of network, if it is the only one',
      { tasks: [task('web', 1, '', on(macvlan))] },
      ['10.9.9.9:80'],
    ],
    ['in IPv6', { tasks: [task('web', 1, '', on(attachment('web', 'fd00::1')))] }, ['[fd00::1]:80']],
    [
      'at the port of its container labels',
      {
        services: [
          {
            ID: 'id-web',
            Spec: { Name: 'web', TaskTemplate: { ContainerSpec: { Labels: { 'evenkeel.port': '81' } } } },
          },
        ],
      },
      ['10.77.1.3:81'],
    ],
    [
      'at the port of another label',
      { services: [labelled('web', { p: ' 82 ' })], rules: { label: 'p' } },
      ['10.77.1.3:82'],
    ],
    ['though its node is not heard of for now', { nodes: [node('n1', 'unknown')] }, ['10.77.1.3:80']],
    ['though its node takes no new ones', { nodes: [node('n1', 'ready', 'pause')] }, ['10.77.1.3:80']],
    [
      'one for each replica',
      { tasks: [task('web', 2, '10.77.1.4'), task('web', 1, '10.77.1.3')] },
      ['10.77.1.3:80', '10.77.1.4:80'],
    ],
  ])('%s', (_, given, expected) => {
    const decoded = decode(given)
    expect(endpoints(decoded)).toEqual(expected)
    expect(reasons(decoded)).toEqual([])
    expect(decoded.unsettled).toEqual([])
  })
})

describe('a task is absent', () => {
  const state = (State: string, more: object = {}) => ({ Status: { State, ...more } })
  test.each<[string, Given, string]>([
    [
      'while it starts, or its health check has not passed',
      { tasks: [task('web', 1, '10.77.1.3', state('starting'))] },
      'its task is starting',
    ],
    [
      'while it cannot be placed',
      { tasks: [task('web', 1, '', { NodeID: '', ...on(), ...state('pending', { Err: 'no suitable node' }) })] },
      'its task is pending: no suitable node',
    ],
    [
      'while it waits to take another’s place',
      {
        tasks: [task('web', 1, '10.77.1.3', { DesiredState: 'ready', ...state('ready') })],
        failures: [['id-web.1', 'task: non-zero exit (1)']],
      },
      'its task is ready (the one before it failed: task: non-zero exit (1))',
    ],
    ['while its container is unhealthy', { unhealthy: ['t1'] }, 'its container is unhealthy'],
    ['while its node is down', { nodes: [node('n1', 'down')] }, 'its node is down'],
    ['while its node is drained', { nodes: [node('n1', 'ready', 'drain')] }, 'its node is drained'],
    ['once its node has left', { nodes: [node('n2')] }, 'its node is no part of the swarm'],
    [
      'on ingress only',
      { tasks: [task('web', 1, '', on(ingress))] },
      'it is on no network but ingress: attach it to an overlay that this proxy is on',
    ],
    [
      'on several overlays',
      { tasks: [task('web', 1, '', on(web, ingress, back))] },
      'it is on several networks ("back", "web"): say which with discovery.swarm.network',
    ],
    [
      'on another network than the one named',
      { tasks: [task('web', 1, '', on(web, ingress, back))], rules: { network: 'x' } },
      'it is not on the network "x" (discovery.swarm.network), but on "back", "web"',
    ],
    [
      'on the ingress network, though it is the one named',
      { tasks: [task('web', 1, '', on(ingress))], rules: { network: 'ingress' } },
      'it is not on the network "ingress" (discovery.swarm.network), nor on any other but ingress',
    ],
    [
      'without an address',
      { tasks: [task('web', 1, '', on({ Network: web.Network }))] },
      'it has no address of its own on the network "web"',
    ],
    [
      'with a port that is none',
      { services: [labelled('web', { 'evenkeel.port': 'http\u202e' })] },
      'its label evenkeel.port is "http?", not 1 to 65535',
    ],
    [
      'with a port that is too large',
      { services: [labelled('web', { 'evenkeel.port': '65536' })] },
      'its label evenkeel.port is "65536", not 1 to 65535',
    ],
  ])('%s', (_, given, expected) => {
    const decoded = decode(given)
    expect(endpoints(decoded)).toEqual([])
    expect(reasons(decoded)).toEqual([expected])
  })

  test.each(['shutdown', 'remove'])('from the table altogether as soon as it is to end: %s', (DesiredState) => {
    const decoded = decode({ tasks: [task('web', 1, '10.77.1.3', { DesiredState })] })
    expect([endpoints(decoded), reasons(decoded)]).toEqual([[], []])
  })
})

describe('a service', () => {
  test('without tasks is known, and one without the label is not', () => {
    const decoded = decode({ services: [labelled('web'), labelled('other', {})], tasks: [] })
    expect([...decoded.services]).toEqual([['web', { endpoints: [], absent: [] }]])
  })

  test('may have another name by label, and share it with others', () => {
    const named = { 'evenkeel.port': '80', 'evenkeel.name': 'shop' }
    const tasks = [task('blue', 1, '10.77.1.3'), task('green', 1, '10.77.1.4', { ID: 't9' })]
    const decoded = decode({ services: [labelled('blue', named), labelled('green', named)], tasks })
    expect([...decoded.services.keys()]).toEqual(['shop'])
    expect(decoded.services.get('shop')?.endpoints).toEqual([
      { id: '10.77.1.3:80', instance: 'blue.1.t1', address: '10.77.1.3', port: 80, weight: 1 },
      { id: '10.77.1.4:80', instance: 'green.1.t9', address: '10.77.1.4', port: 80, weight: 1 },
    ])
  })

  test('whose tasks are one on each node names them by the node', () => {
    const decoded = decode({ tasks: [task('web', 0, '10.77.1.3', { Slot: undefined })] })
    expect(decoded.services.get('web')?.endpoints[0]?.instance).toBe('web.n1.t0')
  })

  test('with two tasks at one address counts one, and says so', () => {
    const decoded = decode({ tasks: [task('web', 1, '10.77.1.3'), task('web', 2, '10.77.1.3')] })
    expect(endpoints(decoded)).toEqual(['10.77.1.3:80'])
    expect(reasons(decoded)).toEqual(['same address and port as "web.1.t1"'])
    expect(decoded.oddities.get('web')).toMatchObject([{ kind: 'shared-address' }])
  })

  test('with a name that cannot be in a path is odd; what is excluded is not looked at', () => {
    const decoded = decode({
      services: [labelled('a/b'), labelled('x1'), labelled('web')],
      rules: { include: ['*'], exclude: ['x*'] },
    })
    expect([...decoded.services.keys()]).toEqual(['web'])
    expect([...decoded.oddities.keys()]).toEqual([''])
  })

  test.each([null, 1, 'x', [], { ID: 1, Spec: [] }, { Spec: { Name: {}, Labels: { 'evenkeel.port': {} } } }])(
    'and a task that are %j break nothing',
    (foreign) => {
      const decoded = decode({
        services: [foreign as object, labelled('web')],
        tasks: [foreign as object, task('web', 1, '10.77.1.3')],
      })
      expect(endpoints(decoded)).toEqual(['10.77.1.3:80'])
    },
  )
})
