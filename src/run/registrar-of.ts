/** How is the registry reached that a config names, to put a service into it? With the address and credentials that `serve` reads it with. */

import type { DiscoveryOptions } from '../config/discovery-options.ts'
import { createConsulRegistrar } from '../discovery/consul/consul-registrar.ts'
import { createEtcdRegistrar } from '../discovery/etcd/etcd-registrar.ts'
import { createEurekaRegistrar } from '../discovery/eureka/eureka-registrar.ts'
import type { Registrant, Registrar } from '../discovery/registrar.ts'
import { parseConnectString } from '../discovery/zookeeper/connect-string.ts'
import { createZookeeperRegistrar } from '../discovery/zookeeper/zookeeper-registrar.ts'
import type { Place } from './own-address.ts'
import type { RegistryName } from './registries.ts'

export function registrarOf(to: RegistryName, discovery: DiscoveryOptions): (of: Registrant) => Registrar {
  switch (to) {
    case 'consul':
      return (of) => createConsulRegistrar(of, discovery.consul)
    case 'eureka':
      return (of) => createEurekaRegistrar(of, discovery.eureka, { now: Date.now })
    case 'etcd':
      return (of) => createEtcdRegistrar(of, discovery.etcd)
    case 'zookeeper':
      return (of) => createZookeeperRegistrar(discovery.zookeeper, of, { random: Math.random, timestamp: Date.now })
    default:
      return to satisfies never
  }
}

/** Where its servers are, the first one first. */
export function registryPlaces(to: RegistryName, discovery: DiscoveryOptions): readonly Place[] {
  switch (to) {
    case 'consul':
      return [placeOf(discovery.consul.address)]
    case 'eureka':
      return discovery.eureka.urls.map(placeOf)
    case 'etcd':
      return discovery.etcd.endpoints.map(placeOf)
    case 'zookeeper': {
      const { servers } = parseConnectString(discovery.zookeeper.connect) ?? { servers: [] }
      return servers.map(({ address, port }) => ({ host: address, port }))
    }
    default:
      return to satisfies never
  }
}

function placeOf(text: string): Place {
  const { hostname, port, protocol } = new URL(text)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || (protocol === 'https:' ? 443 : 80) }
}
