/** A DNS source that is being watched by a test: as follow.ts does it for Consul. */

import { pino } from 'pino'
import { createDnsSource, type DnsDeps, type DnsOptions } from '../../../src/discovery/dns/dns-source.ts'
import { type Followed, followSource } from '../follow.ts'

/** Asks again soon: nobody waits for a time to live in a test. */
export const dnsDefaults: Omit<DnsOptions, 'services' | 'resolvers'> = { minIntervalMs: 50, maxIntervalMs: 200 }

export function followDns(
  services: DnsOptions['services'],
  resolvers: readonly string[],
  options: Partial<DnsOptions> = {},
  deps: Partial<DnsDeps> = {},
): Followed {
  const log = pino({ level: 'silent' })
  const all = { ...dnsDefaults, services, resolvers, ...options }
  return followSource(createDnsSource(all, { log, random: Math.random, ...deps }))
}
