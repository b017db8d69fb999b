/** Which registries are there to drill? A new one is one more line here. */

import { consulRegistry } from './consul.ts'
import { dnsRegistry } from './dns.ts'
import { etcdRegistry } from './etcd.ts'
import { eurekaRegistry } from './eureka.ts'
import { fileRegistry } from './file.ts'
import { pushRegistry } from './push.ts'
import type { RegistryKind } from './registry.ts'

export const registries: readonly RegistryKind[] = [
  consulRegistry,
  eurekaRegistry,
  etcdRegistry,
  dnsRegistry,
  fileRegistry,
  pushRegistry,
]
