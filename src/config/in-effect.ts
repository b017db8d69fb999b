/** What does the config say for this service, this client? Worked out once, asked for every request. */

import { BlockList, isIPv6 } from 'node:net'
import type { OutlierOptions } from '../balancer/outlier-options.ts'
import type { BalancingOptions } from '../balancer/slow-start.ts'
import type { ServicePolicy } from '../proxy/policy.ts'
import type { Config } from './config.ts'

export interface Settings {
  readonly config: Config
  policy(service: string): ServicePolicy
  outlier(service: string): OutlierOptions
  balancing(service: string): BalancingOptions
  /** @param address an IP address */
  isTrustedProxy(address: string): boolean
}

/** Names that the config does not mention share one policy: what clients ask for fills no memory. */
export function settingsOf(config: Config): Settings {
  const common: ServicePolicy = {
    upstream: config.upstream,
    retry: config.retry,
    stripPrefix: config.routing.stripPrefix,
  }
  const policies = new Map<string, ServicePolicy>()
  const outliers = new Map<string, OutlierOptions>()
  const balancings = new Map<string, BalancingOptions>()
  for (const [name, own] of Object.entries(config.services)) {
    policies.set(name, {
      upstream: { ...config.upstream, ...own.upstream },
      retry: { ...config.retry, ...own.retry },
      stripPrefix: own.routing.stripPrefix ?? config.routing.stripPrefix,
    })
    outliers.set(name, { ...config.outlier, ...own.outlier })
    balancings.set(name, { ...config.balancing, ...own.balancing })
  }
  const trusted = trustedList(config.trustedProxies)
  return {
    config,
    policy: (service: string) => policies.get(service) ?? common,
    outlier: (service: string) => outliers.get(service) ?? config.outlier,
    balancing: (service: string) => balancings.get(service) ?? config.balancing,
    isTrustedProxy: (address: string) =>
      config.trustedProxies.length > 0 && trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4'),
  }
}

function trustedList(cidrs: readonly string[]): BlockList {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [address = '', length] = cidr.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (length === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(length), family)
  }
  return list
}
