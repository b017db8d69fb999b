/** A ZooKeeper of one server, in which instances are nodes as Curator's service discovery writes them. */

import { startZookeeper, type ZookeeperSession } from '../zookeeper.ts'
import { zookeeperLacks } from '../zookeeper-binary.ts'
import type { RegisteredInstance, RegistryKind } from './registry.ts'

export const zookeeperRegistry: RegistryKind = {
  name: 'zookeeper',
  floor:
    'a watch is told with the write, and what changed is read then: two round trips; who dies without a word leaves when its session is over',
  pollMs: 0,
  lacks: zookeeperLacks,
  async start() {
    const zookeeper = await startZookeeper()
    /** Its nodes stay when it ends: those who registered are as alive after an outage as before it. */
    let session: Promise<ZookeeperSession> | null = null
    const writer = () => {
      session ??= zookeeper.session()
      return session
    }
    return {
      section: () => ({ connect: zookeeper.connect }),
      async register(instances) {
        const own = await writer()
        for (const instance of instances) await own.put(pathOf(instance), curatorText(instance))
      },
      deregister: async (instance) => (await writer()).delete(pathOf(instance)),
      async kill() {
        session = null
        for (const server of zookeeper.servers) await server.kill('SIGKILL')
      },
      async startAgain() {
        for (const server of zookeeper.servers) server.start()
        await zookeeper.ready()
      },
      close: zookeeper.stop,
    }
  },
}

function pathOf({ service, id }: RegisteredInstance): string {
  return `/services/${service}/${id}`
}

function curatorText({ service, id, address, port }: RegisteredInstance): string {
  const instance = { name: service, id, address, port, sslPort: null, payload: null }
  return JSON.stringify({ ...instance, registrationTimeUTC: 0, serviceType: 'DYNAMIC', uriSpec: null })
}
