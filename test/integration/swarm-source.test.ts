/** Does our source follow a real Docker Engine: a swarm's tasks as they come, fail and go, and containers without a swarm? */

import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Followed } from '../discovery/follow.ts'
import { followSwarm } from '../discovery/swarm/follow-swarm.ts'
import { type Docker, type Json, type SampleService, startDocker } from '../support/docker.ts'
import { dockerLacks } from '../support/docker-binary.ts'
import { makeEtcdTls } from '../support/etcd-tls.ts'
import { waitFor } from '../support/wait.ts'

const lacks = await dockerLacks()
const why = lacks === null ? '' : ` (skipped: ${lacks})`

describe.skipIf(lacks !== null)(`a real swarm${why}`, () => {
  let docker: Docker
  const cleanups: (() => Promise<void>)[] = []
  beforeAll(async () => {
    docker = await startDocker({ swarm: 'manager' })
    await docker.createNetwork('web')
    await docker.createNetwork('back')
  })
  afterAll(() => docker?.stop())
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })

  function follow(options: Parameters<typeof followSwarm>[1] = {}): Followed {
    const followed = followSwarm(`unix://${docker.path}`, options)
    cleanups.push(followed.stop)
    return followed
  }

  async function service(options: SampleService): Promise<string> {
    const id = await docker.createService({ labels: { 'evenkeel.port': '80' }, networks: ['web'], ...options })
    cleanups.push(async () => void (await docker.api('DELETE', `/services/${id}`).catch(() => {})))
    return id
  }

  /** What the Engine itself says: `address:port*1` of each task that is to run and does, on this network. */
  async function running(id: string, network: string, port = 80): Promise<string[]> {
    const filters = JSON.stringify({ service: [id], 'desired-state': ['running'] })
    const tasks = (await docker.api('GET', `/tasks?filters=${encodeURIComponent(filters)}`)) as Task[]
    const up = tasks.filter(({ Status }) => Status.State === 'running')
    const on = up.flatMap(({ NetworksAttachments = [] }) => NetworksAttachments)
    const addresses = on.filter(({ Network }) => Network.Spec.Name === network).flatMap(({ Addresses }) => Addresses)
    return addresses.map((address) => `${address.replace(/\/.*/, '')}:${port}*1`).sort()
  }

  async function settled(id: string, network: string, count: number): Promise<string[]> {
    return waitFor(
      `${count} tasks run`,
      async () => {
        const up = await running(id, network)
        return up.length === count && up
      },
      30_000,
    )
  }

  test('is followed: the addresses of its tasks, never the virtual IP, as replicas come and go', async () => {
    const id = await service({ name: 'web', replicas: 2 })
    await service({ name: 'unlabelled', labels: {} })
    const followed = follow()
    const two = await settled(id, 'web', 2)
    await followed.until('web', two)
    await docker.scale(id, 4)
    const four = await settled(id, 'web', 4)
    await followed.until('web', four)
    await docker.scale(id, 1)
    const one = await settled(id, 'web', 1)
    await followed.until('web', one)
    const { Endpoint } = (await docker.api('GET', `/services/${id}`)) as {
      Endpoint: { VirtualIPs: { Addr: string }[] }
    }
    const vip = Endpoint.VirtualIPs[0]?.Addr.replace(/\/.*/, '')
    expect(vip).toMatch(/^10\.77\./)
    expect(JSON.stringify(followed.catalogs.map(({ services }) => [...services]))).not.toContain(`${vip}:`)
    expect(followed.service('unlabelled')).toBeUndefined()

    await docker.scale(id, 0)
    await followed.until('web', [])
    await docker.api('DELETE', `/services/${id}`)
    await followed.until('web', undefined)
    expect(followed.errors).toEqual([])
    expect(followed.source.describe?.().wakeups.useful).toBeGreaterThan(0)
  })

  test('with labels that say more, or something wrong, and services on several networks', async () => {
    const container = { Labels: { 'evenkeel.port': '81', 'evenkeel.name': 'shop' } }
    const inside = await service({ name: 'stack_shop', labels: {}, container, published: 81 })
    const both = await service({ name: 'both', networks: ['web', 'back'] })
    await service({ name: 'elsewhere', networks: [] })
    await service({ name: 'wrong', labels: { 'evenkeel.port': 'http' } })
    await settled(inside, 'web', 1)
    const onBack = await settled(both, 'back', 1)
    const any = follow()
    expect(await running(inside, 'ingress', 81)).toEqual([expect.stringMatching(/^10\.77\./)])
    await any.until('shop', await running(inside, 'web', 81))
    expect(any.service('stack_shop')).toBeUndefined()
    const reason = (followed: Followed, name: string) => followed.service(name)?.absent.map(({ reason }) => reason)
    await waitFor('all tasks run', () => reason(any, 'elsewhere')?.[0]?.includes('network'))
    expect(any.endpoints('both')).toEqual([])
    expect(reason(any, 'both')).toEqual([
      'it is on several networks ("back", "web"): say which with discovery.swarm.network',
    ])
    expect(reason(any, 'wrong')).toEqual(['its label evenkeel.port is "http", not 1 to 65535'])
    expect(any.logged.join('')).toContain('no task of it can be used')
    const named = follow({ network: 'back' })
    await named.until('both', onBack)
    expect(reason(named, 'shop')).toEqual(['it is not on the network "back" (discovery.swarm.network), but on "web"'])
  })

  test('with a health check: in when it has passed, out as soon as it has not, and replaced by another', async () => {
    const followed = follow()
    const id = await service({ name: 'web', replicas: 1, health: 'test -e /tmp/well' })
    const starting = await waitFor('its task is starting', () => {
      const [absentee] = followed.service('web')?.absent ?? []
      return absentee?.reason === 'its task is starting' && absentee
    })
    const container = await containerOf(id)
    await docker.exec(container, ['touch', '/tmp/well'])
    await followed.until('web', await settled(id, 'web', 1))
    expect(followed.service('web')?.endpoints[0]?.instance).toBe(starting.instance)

    await docker.exec(container, ['rm', '/tmp/well'])
    const sick = () => followed.catalogs.flatMap(({ services }) => services.get('web')?.absent ?? [])
    await waitFor('it is out', () => sick().some(({ reason }) => reason === 'its container is unhealthy'))
    // What comes instead says why.
    const said = /its task is .*the one before it failed: .*unhealthy container/
    await waitFor('another comes', () => sick().some(({ reason }) => said.test(reason)))
  })

  test('whose task fails says why, and one that cannot be placed, too', async () => {
    const followed = follow()
    await service({ name: 'crash', command: ['false'] })
    const id = await service({ name: 'web' })
    const reasons = () => followed.catalogs.flatMap(({ services }) => services.get('crash')?.absent ?? [])
    const said = /\(the one before it failed: task: non-zero exit \(1\)\)/
    await waitFor('it says why', () => reasons().some(({ reason }) => said.test(reason)), 20_000)
    await followed.until('web', await settled(id, 'web', 1))
    await docker.updateService(id, (spec) => {
      Object.assign(spec.TaskTemplate as Json, { Placement: { Constraints: ['node.labels.none == there'] } })
    })
    await followed.until('web', [])
    const unplaced = /its task is pending: no suitable node/
    await waitFor('it says why', () => unplaced.test(followed.service('web')?.absent[0]?.reason ?? ''), 20_000)
  })

  test('that is updated: the old task is out before it ends, the new one in when it runs; and a drained node is empty', async () => {
    const id = await service({ name: 'web' })
    const followed = follow()
    const before = await settled(id, 'web', 1)
    await followed.until('web', before)
    await docker.updateService(id, (spec) => {
      Object.assign((spec.TaskTemplate as Json).ContainerSpec as Json, { Env: ['A=1'] })
    })
    await waitFor(
      'another one runs',
      async () => {
        const [now] = await running(id, 'web')
        return now !== undefined && now !== before[0]
      },
      30_000,
    )
    await followed.until('web', await running(id, 'web'))

    const [node] = (await docker.api('GET', '/nodes')) as { ID: string; Spec: object; Version: { Index: number } }[]
    const setTo = async (Availability: string) => {
      const [{ Version }] = (await docker.api('GET', '/nodes')) as [{ Version: { Index: number } }]
      await docker.api('POST', `/nodes/${node?.ID}/update?version=${Version.Index}`, { ...node?.Spec, Availability })
    }
    await setTo('drain')
    await followed.until('web', [])
    await setTo('active')
    await followed.until('web', await settled(id, 'web', 1))
    expect(followed.errors).toEqual([])
  })

  test('whose Engine dies and comes back: the table stays, and is followed again', { timeout: 60_000 }, async () => {
    const id = await service({ name: 'web', replicas: 2 })
    const followed = follow()
    const before = await settled(id, 'web', 2)
    await followed.until('web', before)
    const told = followed.catalogs.length
    await docker.kill()
    await waitFor('it cannot be read', () => followed.errors.length > 2)
    expect(followed.errors.at(-1)).toMatchObject({ away: true, cure: expect.stringContaining('start Docker') })
    expect(followed.catalogs).toHaveLength(told)
    expect(followed.endpoints('web')).toEqual(before)
    await docker.start()
    // It has lost its containers with its life, and starts others in their place.
    const after = await settled(id, 'web', 2)
    await followed.until('web', after)
    const { fresh } = followed
    await waitFor('it is confirmed', () => followed.fresh > fresh)
    expect(followed.rewound).not.toContain(true)
  })

  async function containerOf(service: string): Promise<string> {
    const filters = encodeURIComponent(JSON.stringify({ label: [`com.docker.swarm.service.id=${service}`] }))
    return waitFor('its container is there', async () => {
      const [first] = (await docker.api('GET', `/containers/json?filters=${filters}`)) as { Id: string }[]
      return first?.Id
    })
  }
})

describe.skipIf(lacks !== null)(`a real swarm of two nodes${why}`, () => {
  test('tells of the tasks on both, also what the events of the one asked do not; and of a node that dies', {
    timeout: 90_000,
  }, async () => {
    const cleanups: (() => Promise<void>)[] = []
    try {
      const manager = await startDocker({ swarm: 'manager' })
      cleanups.push(manager.stop)
      const worker = await startDocker({ swarm: { join: manager } })
      cleanups.push(worker.stop)
      await manager.createNetwork('web')
      const followed = followSwarm(`unix://${manager.path}`)
      cleanups.push(followed.stop)
      const asked = followSwarm(`unix://${worker.path}`)
      cleanups.push(asked.stop)
      const labels = { 'evenkeel.port': '80' }
      await manager.createService({ name: 'web', networks: ['web'], replicas: 4, labels })
      const count = () => followed.endpoints('web')?.length
      await waitFor('all run', () => count() === 4, 20_000)
      const [first] = (await worker.api('GET', '/containers/json')) as { Id: string }[]
      // Only the worker's own events tell that.
      await worker.api('POST', `/containers/${first?.Id}/kill`)
      await waitFor('one is missing', () => count() === 3)
      await waitFor('another runs', () => count() === 4, 20_000)
      expect(asked.catalogs).toEqual([])
      expect(asked.errors[0]).toMatchObject({
        where: 'GET /info',
        message: expect.stringContaining('is a worker of its swarm'),
        cure: expect.stringContaining('node.role == manager'),
      })

      await asked.stop()
      await worker.stop()
      const onWorker = new Set(followed.service('web')?.endpoints.map(({ id }) => id))
      await waitFor(
        'all run on the other',
        async () => {
          const now = followed.service('web')?.endpoints.map(({ id }) => id) ?? []
          return now.length === 4 && now.filter((id) => onWorker.has(id)).length === 2
        },
        40_000,
      )
      expect(followed.errors).toEqual([])
    } finally {
      for (const cleanup of cleanups.reverse()) await cleanup()
    }
  })
})

describe.skipIf(lacks !== null)(`a real Docker without a swarm${why}`, () => {
  let docker: Docker
  let followed: Followed | undefined
  beforeAll(async () => {
    docker = await startDocker({ swarm: 'none' })
    await docker.createNetwork('web')
  })
  afterAll(() => docker?.stop())
  afterEach(() => followed?.stop())

  test('is followed by the labels of its containers: their health, their networks, and that they stop', async () => {
    followed = followSwarm(`unix://${docker.path}`)
    const Labels = { 'evenkeel.port': '80', 'com.docker.compose.service': 'web' }
    const on = (network: string) => ({ Labels, HostConfig: { NetworkMode: network } })
    const one = await docker.runContainer('p-web-1', on('web'))
    const second = 1_000_000_000
    const Healthcheck = {
      Test: ['CMD-SHELL', 'test -e /tmp/well'],
      Interval: second / 2,
      StartPeriod: 60 * second,
      Retries: 1,
    }
    const two = await docker.runContainer('p-web-2', { ...on('web'), Healthcheck })
    await docker.runContainer('p-web-3', on('host'))
    await docker.runContainer('unlabelled', { HostConfig: { NetworkMode: 'web' } })
    const at = async (id: string) => {
      const { NetworkSettings } = (await docker.api('GET', `/containers/${id}/json`)) as Inspected
      return `${NetworkSettings.Networks.web?.IPAddress}:80*1`
    }
    const [first, other] = [await at(one), await at(two)]
    await followed.until('web', [first])
    await waitFor('all are known', () => followed?.service('web')?.absent.length === 2)
    expect(followed.service('web')?.absent.map(({ instance, reason }) => [instance, reason])).toEqual([
      ['p-web-3', 'it has no address of its own on the network "host"'],
      ['p-web-2', 'its health check has not passed yet'],
    ])
    expect(followed.service('unlabelled')).toBeUndefined()
    await docker.exec(two, ['touch', '/tmp/well'])
    await followed.until('web', [first, other].sort())
    await docker.exec(two, ['rm', '/tmp/well'])
    await followed.until('web', [first])
    expect(followed.service('web')?.absent).toContainEqual({
      instance: 'p-web-2',
      address: other.replace('*1', ''),
      reason: 'its container is unhealthy',
    })
    await docker.api('POST', `/containers/${one}/kill`)
    await followed.until('web', [])
    await docker.api('POST', `/containers/${one}/start`)
    await followed.until('web', [await at(one)])
    expect(followed.errors).toEqual([])
  })

  test('that becomes the manager of a swarm is followed as such', async () => {
    const options = { timing: { recheckMs: 200 } }
    const own = followSwarm(`unix://${docker.path}`, {}, options)
    followed = own
    await docker.runContainer('plain', { Labels: { 'evenkeel.port': '80' }, HostConfig: { NetworkMode: 'web' } })
    await waitFor('it is known', () => own.endpoints('plain')?.length === 1)
    await docker.api('POST', '/swarm/init', { AdvertiseAddr: '127.0.0.1', ListenAddr: '127.0.0.1:2377' })
    await own.until('plain', undefined)
    // Whatever was there is gone: that is to be told with care.
    expect(own.rewound.at(-1)).toBe(true)
    const told = own.catalogs.length
    await docker.api('POST', '/swarm/leave?force=true')
    await waitFor('it is an error', () => own.errors.some(({ message }) => message.includes('has left its swarm')))
    expect(own.catalogs).toHaveLength(told)
  })
})

describe.skipIf(lacks !== null)(`a real Docker behind TLS${why}`, () => {
  test('is asked with our certificate, and says what is missing without', async () => {
    const docker = await startDocker({ swarm: 'none' })
    const tls = await makeEtcdTls()
    const { ca, cert, key } = tls
    // The Engine's own port is in its namespaces: this end of it is here.
    const sockets = new Set<Socket>()
    const front = createTlsServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true }, (socket) => {
      const inner = connect(docker.path)
      for (const each of [socket, inner])
        each.on('error', () => {}).once('close', () => void [socket.destroy(), inner.destroy()])
      socket.pipe(inner).pipe(socket)
    })
    front.on('connection', (socket: Socket) => sockets.add(socket))
    const followed: Followed[] = []
    try {
      front.listen(0, '127.0.0.1')
      await once(front, 'listening')
      const host = `tcp://127.0.0.1:${(front.address() as AddressInfo).port}`
      await docker.createNetwork('web')
      await docker.runContainer('web', { Labels: { 'evenkeel.port': '80' }, HostConfig: { NetworkMode: 'web' } })
      const known = followSwarm(host, { tls: { ca, cert, key } })
      const bare = followSwarm(host, { tls: { ca, cert: null, key: null } })
      const plain = followSwarm(host)
      followed.push(known, bare, plain)
      await waitFor('it is known', () => known.endpoints('web')?.length === 1)
      await waitFor('it is refused', () => bare.errors.length > 0 && plain.errors.length > 0)
      expect(bare.errors[0]?.cure).toContain('discovery.swarm.tls')
      expect(plain.errors[0]?.cure).toContain('TLS')
      expect(known.errors).toEqual([])
    } finally {
      for (const each of followed) await each.stop()
      front.close()
      for (const socket of sockets) socket.destroy()
      await tls.remove()
      await docker.stop()
    }
  })
})

interface Inspected {
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> }
}

interface Task {
  readonly Status: { readonly State: string }
  readonly NetworksAttachments?: readonly {
    readonly Network: { readonly Spec: { readonly Name: string } }
    readonly Addresses: readonly string[]
  }[]
}
