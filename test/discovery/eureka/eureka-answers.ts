/** Answers of a Eureka server for tests, as Netflix's own code writes them. */

export type Fields = Readonly<Record<string, unknown>>

/** One instance as `/apps` has it, `web-1` at 10.0.0.1:80 unless said otherwise. */
export function instanceJson(fields: Fields = {}): Fields {
  return {
    instanceId: 'web-1',
    hostName: 'web-1.internal',
    app: 'WEB',
    ipAddr: '10.0.0.1',
    status: 'UP',
    overriddenStatus: 'UNKNOWN',
    port: { $: 80, '@enabled': 'true' },
    securePort: { $: 443, '@enabled': 'false' },
    countryId: 1,
    dataCenterInfo: { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' },
    leaseInfo: {
      renewalIntervalInSecs: 30,
      durationInSecs: 90,
      registrationTimestamp: 1_795_716_184_884,
      lastRenewalTimestamp: 1_795_716_187_911,
      evictionTimestamp: 0,
      serviceUpTimestamp: 1_795_716_183_774,
    },
    metadata: { '@class': 'java.util.Collections$EmptyMap' },
    homePageUrl: 'http://web-1.internal:80/',
    vipAddress: 'web.vip',
    secureVipAddress: 'web.vip',
    isCoordinatingDiscoveryServer: 'false',
    lastUpdatedTimestamp: '1000',
    lastDirtyTimestamp: '1000',
    actionType: 'ADDED',
    ...fields,
  }
}

/** An answer with these instances of one application. */
export function answerJson(instances: readonly unknown[], hash = 'UP_1_', name: unknown = 'WEB'): string {
  const application = instances.length === 0 ? [] : [{ name, instance: instances }]
  return JSON.stringify({ applications: { versions__delta: '1', apps__hashcode: hash, application } })
}
