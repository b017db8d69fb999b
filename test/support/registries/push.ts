/** The proxy itself, in which instances put themselves over its admin listener. There is no other server to be killed. */

import { Agent, request } from 'node:http'
import { inParallel } from '../consul-fixture.ts'
import type { RegisteredInstance, RegistryKind } from './registry.ts'

const parallel = 16
/** Longer than any drill: what renewals cost would be the drill's own choice. */
const ttl = '30m'

export const pushRegistry: RegistryKind = {
  name: 'push',
  floor: `the answer to the PUT comes when requests are routed by it; who dies without a word leaves when its time to live is over (here ${ttl})`,
  pollMs: 0,
  cannotDie: 'the proxy itself is the registry',
  lacks: async () => null,
  async start() {
    const agent = new Agent({ keepAlive: true })
    let adminPort: number | null = null
    /** Registered before there was a proxy. */
    const early = new Map<string, RegisteredInstance>()
    const pathOf = ({ service, id }: RegisteredInstance) => `/api/catalog/${service}/${id}`

    async function register(instances: readonly RegisteredInstance[]): Promise<void> {
      const port = adminPort
      if (port === null) {
        for (const instance of instances) early.set(pathOf(instance), instance)
        return
      }
      await inParallel(parallel, instances.length, async (at) => {
        const instance = instances[at] as RegisteredInstance
        await say(agent, port, 'PUT', pathOf(instance), { address: instance.address, port: instance.port, ttl })
      })
    }

    return {
      section: () => ({}),
      register,
      async deregister(instance) {
        if (adminPort === null) early.delete(pathOf(instance))
        else await say(agent, adminPort, 'DELETE', pathOf(instance))
      },
      async onProxy(port) {
        adminPort = port
        await register([...early.values()])
      },
      kill: () => Promise.reject(new Error('there is nothing to be killed')),
      startAgain: () => Promise.reject(new Error('there is nothing to be started again')),
      close: async () => agent.destroy(),
    }
  },
}

/** @throws when the answer is not 2xx */
function say(agent: Agent, port: number, method: 'PUT' | 'DELETE', path: string, body?: object): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, agent, timeout: 10_000 }, async (answer) => {
      let text = ''
      for await (const piece of answer.setEncoding('utf8')) text += piece
      const { statusCode = 0 } = answer
      if (statusCode >= 200 && statusCode < 300) resolve()
      else reject(new Error(`${method} ${path}: ${statusCode} ${text.slice(0, 200)}`))
    })
    sent.on('timeout', () => sent.destroy(new Error(`no answer to ${method} ${path}`)))
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
