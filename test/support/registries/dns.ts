/** A dnsmasq with an SRV record for each instance. It reads its records at its start only, so each change restarts it. */

import { startDnsmasq } from '../dnsmasq.ts'
import { dnsmasqLacks } from '../dnsmasq-binary.ts'
import type { RegisteredInstance, RegistryKind } from './registry.ts'

export const dnsRegistry: RegistryKind = {
  name: 'dns',
  floor: 'an answer holds for its time to live: 1 s here, which is also the least (discovery.dns.minInterval)',
  pollMs: 1_100,
  lacks: dnsmasqLacks,
  async start() {
    const server = await startDnsmasq([])
    const registered = new Map<string, RegisteredInstance>()
    const keyOf = ({ service, id }: RegisteredInstance) => `${service}/${id}`
    const write = () => server.configure(recordsOf([...registered.values()]))
    return {
      section: (services) => ({
        resolvers: [server.resolver],
        services: Object.fromEntries(services.map((service) => [service, { srv: srvName(service) }])),
      }),
      register: (instances) => {
        for (const instance of instances) registered.set(keyOf(instance), instance)
        return write()
      },
      deregister: (instance) => {
        registered.delete(keyOf(instance))
        return write()
      },
      kill: () => server.kill('SIGKILL'),
      startAgain: server.start,
      close: server.stop,
    }
  },
}

function srvName(service: string): string {
  return `_http._tcp.${service}.test`
}

function recordsOf(instances: readonly RegisteredInstance[]): readonly string[] {
  const hostOf = (address: string) => `h-${address.replaceAll('.', '-')}.test`
  const addresses = new Set(instances.map(({ address }) => address))
  return [
    ...[...addresses].map((address) => `host-record=${hostOf(address)},${address}`),
    ...instances.map(({ service, address, port }) => `srv-host=${srvName(service)},${hostOf(address)},${port},1,1`),
  ]
}
