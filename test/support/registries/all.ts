/** Which registries are there to drill? A new one is one more line here. */

import { consulRegistry } from './consul.ts'
import { dnsRegistry } from './dns.ts'
import { etcdRegistry } from './etcd.ts'
import { eurekaRegistry } from './eureka.ts'
import { fileRegistry } from './file.ts'
import { pushRegistry } from './push.ts'
import type { RegistryKind } from './registry.ts'
import { swarmRegistry } from './swarm.ts'
import { zookeeperRegistry } from './zookeeper.ts'

export const registries: readonly RegistryKind[] = [
  consulRegistry,
  eurekaRegistry,
  etcdRegistry,
  zookeeperRegistry,
  swarmRegistry,
  dnsRegistry,
  fileRegistry,
  pushRegistry,
]
