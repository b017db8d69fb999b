/** A Consul agent with its data on disk, in which instances register without checks. */

import { startConsul } from '../consul.ts'
import { inParallel } from '../consul-fixture.ts'
import type { RegisteredInstance, RegistryKind } from './registry.ts'

const parallel = 16

export const consulRegistry: RegistryKind = {
  name: 'consul',
  floor: 'a blocking query is answered when its service changes: what the agent takes to write it, and a round trip',
  pollMs: 0,
  // The other tests cannot do without it.
  lacks: async () => null,
  async start() {
    const consul = await startConsul({ persistent: true })
    const idOf = ({ service, id }: RegisteredInstance) => `${service}-${id}`
    return {
      section: () => ({ address: consul.url }),
      register: (instances) =>
        inParallel(parallel, instances.length, async (at) => {
          const instance = instances[at] as RegisteredInstance
          const { service: Name, address: Address, port: Port } = instance
          await consul.register({ Name, ID: idOf(instance), Address, Port })
        }),
      deregister: (instance) => consul.deregister(idOf(instance)),
      kill: () => consul.kill('SIGKILL'),
      startAgain: consul.start,
      close: consul.stop,
    }
  },
}
