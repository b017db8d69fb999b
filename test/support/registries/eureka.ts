/** A Eureka server, in which instances register and beat over its REST API, as Netflix's client does. */

import { inParallel } from '../consul-fixture.ts'
import { findEureka, startEureka } from '../eureka.ts'
import { waitFor } from '../wait.ts'
import { lacksUnlessCi, type RegisteredInstance, type RegistryKind } from './registry.ts'

const parallel = 8
const beatEveryMs = 5_000
/** Far more than its cache's half a second: a virtual machine on a busy machine. */
const toldWithinMs = 60_000
/** With very many instances beats take longer to go round; a lease lasts 90 s. */
const leastBetweenBeatsMs = 40

export const eurekaRegistry: RegistryKind = {
  name: 'eureka',
  floor:
    'polled every 5 s (discovery.eureka.interval, × 0.9 to 1.1), on top of the server’s cache of answers: renewed every 0.5 s here, every 30 s by default; ' +
    'one that was restarted knows who has beaten since: every 5 s here, every 30 s by default',
  pollMs: 5_500,
  lacks: () => lacksUnlessCi(findEureka),
  async start() {
    const eureka = await startEureka()
    const registered = new Map<string, RegisteredInstance>()
    const appOf = ({ service }: RegisteredInstance) => service.toUpperCase()
    const pathOf = (instance: RegisteredInstance) => `/apps/${appOf(instance)}/${idOf(instance)}`

    const write = (instance: RegisteredInstance) => {
      const { address } = instance
      return eureka.register(appOf(instance), idOf(instance), instance.port, { hostName: address, ipAddr: address })
    }
    const beating = startBeating(registered, async (instance) => {
      const isKnown = await eureka.send('PUT', pathOf(instance)).then(
        () => true,
        // Refused, the server is not there: the next beat will do.
        (error: Error) => !error.message.includes('404'),
      )
      // It may have left meanwhile.
      if (!isKnown && registered.has(idOf(instance))) await write(instance)
    })
    return {
      section: () => ({ urls: [eureka.url] }),
      register: (instances) =>
        inParallel(parallel, instances.length, async (at) => {
          const instance = instances[at] as RegisteredInstance
          await write(instance)
          registered.set(idOf(instance), instance)
        }),
      async deregister(instance) {
        registered.delete(idOf(instance))
        await eureka.send('DELETE', pathOf(instance))
      },
      async untilTold() {
        const told = async () => new Set((await eureka.send('GET', '/apps')).match(/(?<="instanceId":")[^"]+/g))
        await waitFor(
          'the cache has all of them',
          async () => {
            const ids = await told()
            return [...registered.keys()].every((id) => ids.has(id))
          },
          toldWithinMs,
        )
      },
      kill: eureka.stop,
      startAgain: eureka.start,
      async close() {
        await beating.stop()
        await eureka.stop()
      },
    }
  },
}

function idOf({ service, id }: RegisteredInstance): string {
  return `${service}-${id}`
}

/** Lets every instance beat in turn. */
function startBeating(
  instances: ReadonlyMap<string, RegisteredInstance>,
  beat: (instance: RegisteredInstance) => Promise<unknown>,
): { stop(): Promise<void> } {
  let isOver = false
  let wake = () => {}
  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
      if (isOver) wake()
    })
  const goRound = async () => {
    while (!isOver) {
      const waitMs = Math.max(leastBetweenBeatsMs, beatEveryMs / Math.max(1, instances.size))
      await pause(instances.size === 0 ? 100 : 0)
      for (const instance of [...instances.values()]) {
        if (isOver) return
        await beat(instance).catch(() => {})
        await pause(waitMs)
      }
    }
  }
  const round = goRound()
  return {
    stop: () => {
      isOver = true
      wake()
      return round
    },
  }
}
