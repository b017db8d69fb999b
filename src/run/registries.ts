/** Which registries can a service be put into? */

export const registryNames = ['consul', 'eureka', 'etcd', 'zookeeper'] as const
export type RegistryName = (typeof registryNames)[number]
