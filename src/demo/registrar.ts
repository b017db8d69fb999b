/**
 * How does an instance make itself known? It registers with the catalog over Consul's HTTP API, as any service would,
 * with two checks: a TTL that it winds up by beating, and an HTTP check of its /health that the catalog makes.
 */

import type { Agent } from 'node:http'
import { send } from './http-client.ts'

export interface Identity {
  readonly service: string
  readonly id: string
  readonly address: string
  readonly port: number
}

export interface Registrar {
  /** Registers and begins to beat. Rejects when the catalog refuses. */
  join(): Promise<void>
  /** Stops beating and deregisters. Rejects when the catalog refuses or is gone. */
  leave(): Promise<void>
  /** Stops beating and says nothing, as a process does that was killed. */
  vanish(): void
}

const beatEveryMs = 1000
const timeoutMs = 2000

/** @param catalogUrl where Consul's HTTP API is */
export function createRegistrar(catalogUrl: string, agent: Agent, self: Identity): Registrar {
  const beatId = `beat:${self.id}`
  let beating: NodeJS.Timeout | null = null

  async function put(path: string, body?: unknown): Promise<number> {
    const { status, text } = await send({ method: 'PUT', url: catalogUrl + path, body, timeoutMs, agent })
    if (status !== 200 && status !== 500) throw new Error(`the catalog answered ${status} to ${path}: ${text}`)
    return status
  }

  async function register(): Promise<void> {
    const status = await put('/v1/agent/service/register', {
      ID: self.id,
      Name: self.service,
      Tags: ['demo'],
      Address: self.address,
      Port: self.port,
      Checks: [
        // Ten beats long, so that a busy machine does not look like a dead instance: the other check is quicker anyway.
        { CheckID: beatId, Name: 'beat', TTL: '10s', Status: 'passing', DeregisterCriticalServiceAfter: '1m' },
        {
          CheckID: `health:${self.id}`,
          Name: 'health',
          HTTP: `http://${self.address}:${self.port}/health`,
          Interval: '2s',
          Timeout: '1s',
          Status: 'passing',
        },
      ],
    })
    if (status !== 200) throw new Error(`the catalog refused to register ${self.id}`)
  }

  async function beat(): Promise<void> {
    const status = await put(`/v1/agent/check/pass/${encodeURIComponent(beatId)}`)
    // The catalog no longer knows this instance, perhaps because it was deregistered by hand: here it still is.
    if (status === 500 && beating !== null) await register()
  }

  function vanish(): void {
    if (beating !== null) clearInterval(beating)
    beating = null
  }

  return {
    async join() {
      await register()
      // A beat that fails is made up for by the next one.
      beating = setInterval(() => void beat().catch(() => {}), beatEveryMs)
    },
    async leave() {
      vanish()
      await put(`/v1/agent/service/deregister/${encodeURIComponent(self.id)}`)
    },
    vanish,
  }
}
