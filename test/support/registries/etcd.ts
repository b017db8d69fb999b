/** An etcd of one member, in which instances are keys without a lease. */

import { inParallel } from '../consul-fixture.ts'
import { startEtcd } from '../etcd.ts'
import { etcdLacks } from '../etcd-binary.ts'
import type { RegisteredInstance, RegistryKind } from './registry.ts'

const parallel = 16

export const etcdRegistry: RegistryKind = {
  name: 'etcd',
  floor: 'the watch is told with the write: a round trip; who dies without a word leaves when its lease is over',
  pollMs: 0,
  lacks: etcdLacks,
  async start() {
    const etcd = await startEtcd()
    const keyOf = ({ service, id }: RegisteredInstance) => `/services/${service}/${id}`
    return {
      section: () => ({ endpoints: [etcd.url] }),
      register: (instances) =>
        inParallel(parallel, instances.length, async (at) => {
          const instance = instances[at] as RegisteredInstance
          const { address, port } = instance
          await etcd.put(keyOf(instance), JSON.stringify({ address, port }))
        }),
      deregister: (instance) => etcd.delete(keyOf(instance)),
      kill: async () => {
        for (const member of etcd.members) await member.kill('SIGKILL')
      },
      startAgain: async () => {
        for (const member of etcd.members) member.start()
        await etcd.ready()
      },
      close: etcd.stop,
    }
  },
}
