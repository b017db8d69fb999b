/**
 * A Docker Swarm of one node, in namespaces of its own. An instance is a service with one task, which is registered by the
 * label that says its port. Of very many instances the tasks only wait to be placed: this machine could not run them all.
 */

import { fileURLToPath } from 'node:url'
import { service as drilled } from '../../drills/world.ts'
import { type Docker, startDocker } from '../docker.ts'
import { dockerLacks } from '../docker-binary.ts'
import { waitFor } from '../wait.ts'
import type { RegisteredInstance, RegistryKind, StartedInstance } from './registry.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const network = 'web'
const port = 7_001

export const swarmRegistry: RegistryKind = {
  name: 'swarm',
  floor:
    'a label that is set is told by an event, and read then; that a task runs or ends no event tells, and all is read about once a second; ' +
    'an Engine that comes back ends what ran in its swarm, and starts it anew',
  pollMs: 1_250,
  isContained: true,
  endsInstances: true,
  lacks: dockerLacks,
  async start() {
    const docker = await startDocker({ swarm: 'manager' })
    const started = new Map<string, string>()
    const label = async ({ id }: RegisteredInstance, labels: Readonly<Record<string, string>>) =>
      docker.updateService(started.get(id) ?? '', (spec) => {
        spec.Labels = labels
      })
    try {
      await docker.createNetwork(network)
      const runner = await docker.runContainer('runner', { HostConfig: { NetworkMode: network } })
      const inside = await docker.networkOf(runner)
      return {
        section: () => ({ host: `unix://${docker.path}`, network }),
        inside,
        startInstances: (names) =>
          Promise.all(
            names.map(async (name) => {
              started.set(name, await docker.createService(instanceOf(name)))
              return placeOf(docker, name, started.get(name) ?? '')
            }),
          ),
        async register(instances) {
          const running = instances.filter(({ id }) => started.has(id))
          for (const instance of running) {
            await label(instance, { 'evenkeel.name': instance.service, 'evenkeel.port': `${instance.port}` })
          }
          const waiting = instances.filter(({ id }) => !started.has(id))
          for (const [name, replicas] of countByService(waiting)) {
            await docker.api('POST', '/services/create', unplaceable(name, replicas))
          }
        },
        deregister: (instance) => label(instance, {}),
        kill: docker.kill,
        startAgain: docker.start,
        close: docker.stop,
      }
    } catch (error) {
      await docker.stop()
      throw error
    }
  },
}

/** Answers as the instances of the drills do, by this machine's Node and this repository. */
function instanceOf(name: string) {
  const given = JSON.stringify({ name, address: '0.0.0.0', port, ledger: '/dev/null' })
  const node = [process.execPath, '--import', 'tsx', 'test/drills/origin-process.ts', given]
  return {
    name: `${drilled}-${name}`,
    networks: [network],
    bind: '/:/host',
    // Without it a task counts as running before it listens.
    health: `wget -q -O /dev/null http://127.0.0.1:${port}/`,
    command: ['chroot', '/host', 'sh', '-c', 'cd "$0" && exec "$@"', root, ...node],
  }
}

interface Task {
  readonly Status: { readonly State: string }
  readonly NetworksAttachments?: readonly {
    readonly Network: { readonly Spec: { readonly Name: string } }
    readonly Addresses: readonly string[]
  }[]
}

async function placeOf(docker: Docker, name: string, id: string): Promise<StartedInstance> {
  const filters = encodeURIComponent(JSON.stringify({ service: [id], 'desired-state': ['running'] }))
  return waitFor(
    `the task of ${name} runs`,
    async () => {
      const [task] = (await docker.api('GET', `/tasks?filters=${filters}`)) as readonly Task[]
      if (task?.Status.State !== 'running') return undefined
      const on = task.NetworksAttachments?.find(({ Network }) => Network.Spec.Name === network)
      const address = on?.Addresses[0]?.replace(/\/.*/, '')
      return address === undefined ? undefined : { name, address, port }
    },
    60_000,
  )
}

function countByService(instances: readonly RegisteredInstance[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { service } of instances) counts.set(service, (counts.get(service) ?? 0) + 1)
  return counts
}

function unplaceable(name: string, replicas: number): object {
  return {
    Name: name,
    Labels: { 'evenkeel.port': `${port}` },
    Mode: { Replicated: { Replicas: replicas } },
    TaskTemplate: {
      ContainerSpec: { Image: 'box:1' },
      Placement: { Constraints: ['node.labels.place==nowhere'] },
      Networks: [{ Target: network }],
    },
  }
}
