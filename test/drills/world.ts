/** What does every drill start from? A real Consul agent, instances in processes of their own, and the proxy. */

import { type ConsulAgent, type StartConsulOptions, startConsul } from '../support/consul.ts'
import type { CheckRegistration } from '../support/consul-api.ts'
import { type Origin, startOrigins } from './origins.ts'
import { type ProxyProcess, startProxy } from './proxy-process.ts'
import type { Scope } from './scope.ts'

/** The service that drills register their instances under. */
export const service = 'drill'

export interface World {
  readonly consul: ConsulAgent
  readonly origins: readonly Origin[]
  /** Registers an instance under its name, with a check that passes until told otherwise; null: without one. */
  register(origin: Origin, check?: CheckRegistration | null): Promise<void>
  /** Starts a proxy and waits until it knows `origins`, or those given. */
  startProxy(set?: readonly string[], expected?: readonly Origin[], configFile?: string): Promise<ProxyProcess>
}

/** The check of an instance that `register` made, by which it is failed or passed. */
export function checkIdOf(origin: Origin): string {
  return `${origin.name}-ttl`
}

export function byName(origins: readonly Origin[], name: string | null): Origin | undefined {
  return origins.find((origin) => origin.name === name)
}

/** Starts Consul and the instances; registers nothing. */
export async function startWorld(
  scope: Scope,
  names: readonly string[],
  options: StartConsulOptions = {},
): Promise<World> {
  const [consul, origins] = await Promise.all([
    startConsul(options).then((agent) => {
      scope.onEnd(() => agent.stop())
      return agent
    }),
    startOrigins(scope, names),
  ])
  return {
    consul,
    origins,
    register: (origin, check) => {
      const ttl = { CheckID: checkIdOf(origin), Name: 'beat', TTL: '60m', Status: 'passing' } as const
      return consul.register({
        Name: service,
        ID: origin.name,
        Address: origin.address,
        Port: origin.port,
        ...(check === null ? {} : { Check: check ?? ttl }),
      })
    },
    startProxy: async (set = [], expected = origins, configFile) => {
      const proxy = await startProxy(scope, {
        consul: consul.url,
        set,
        ...(configFile === undefined ? {} : { configFile }),
      })
      await proxy.untilEndpoints(
        service,
        expected.map(({ endpoint }) => endpoint),
      )
      return proxy
    },
  }
}

/** Like `startWorld`, with every instance registered. */
export async function startServingWorld(
  scope: Scope,
  names: readonly string[],
  options: StartConsulOptions = {},
): Promise<World> {
  const world = await startWorld(scope, names, options)
  for (const origin of world.origins) await world.register(origin)
  return world
}
