/** What is written to Eureka about an instance? Pure; in the spelling of Netflix's own clients. */

import type { Registrant } from '../registrar.ts'

export type EurekaStatus = 'UP' | 'DOWN'

/**
 * The body of `POST /apps/<app>`.
 * @param app in upper case
 * @param dirtyMs when it last changed, in milliseconds since 1970: a server keeps the younger of two
 */
export function instanceRecord(
  { service, id, address, port, tags }: Registrant,
  app: string,
  status: EurekaStatus,
  { beatMs, leaseMs }: { readonly beatMs: number; readonly leaseMs: number },
  dirtyMs: number,
): object {
  const name = service.toLowerCase()
  const origin = `http://${address.includes(':') ? `[${address}]` : address}:${port}`
  return {
    instance: {
      instanceId: id,
      app,
      // Clients look at either; both are to lead to the same place.
      hostName: address,
      ipAddr: address,
      vipAddress: name,
      secureVipAddress: name,
      status,
      overriddenStatus: 'UNKNOWN',
      port: { $: port, '@enabled': 'true' },
      securePort: { $: 443, '@enabled': 'false' },
      homePageUrl: `${origin}/`,
      dataCenterInfo: { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' },
      leaseInfo: {
        renewalIntervalInSecs: Math.ceil(beatMs / 1000),
        durationInSecs: Math.ceil(leaseMs / 1000),
      },
      // Eureka has no tags. Spring's clients read this word of the metadata.
      metadata: tags.length === 0 ? {} : { tags: tags.join(',') },
      lastDirtyTimestamp: `${dirtyMs}`,
      lastUpdatedTimestamp: `${dirtyMs}`,
    },
  }
}
