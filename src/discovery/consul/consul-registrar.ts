/**
 * How is a service that does not know Consul kept in it? With a TTL check at the agent, which is told again and again that
 * all is well, or that it is not: nobody but us has to reach the service for that. An agent that has forgotten it says so
 * to the next beat.
 */

import type { Failure } from '../failure.ts'
import type { Registered, Registrant, Registrar } from '../registrar.ts'
import { type AgentAddress, type AgentReply, agentClient } from './agent-client.ts'
import { failureOf, type Mishap } from './consul-failure.ts'

export interface ConsulRegistrarTiming {
  /** More than 0. */
  readonly beatMs: number
  /** The check fails that has heard no beat for so long; more than `beatMs`. */
  readonly ttlMs: number
  /** Consul forgets who has failed for so long; it takes a minute at least. */
  readonly forgetMs: number
  /** How long a request may take. */
  readonly deadlineMs: number
}

export const consulRegistrarTiming: ConsulRegistrarTiming = {
  beatMs: 5000,
  ttlMs: 15_000,
  forgetMs: 60_000,
  deadlineMs: 5000,
}

/**
 * @param timing for tests; the defaults are `consulRegistrarTiming`
 * @throws TypeError when `consul.address` is no http or https URL
 */
export function createConsulRegistrar(
  registrant: Registrant,
  consul: AgentAddress,
  timing: Partial<ConsulRegistrarTiming> = {},
): Registrar {
  const { beatMs, ttlMs, forgetMs, deadlineMs } = { ...consulRegistrarTiming, ...timing }
  const client = agentClient(consul)
  const { service, id } = registrant
  // With the place in it: else who has taken our id elsewhere would be kept alive by our beats, and not seen by us.
  const checkId = `${id}@${registrant.address}:${registrant.port}`
  const record = {
    ID: id,
    Name: service,
    Tags: registrant.tags,
    Address: registrant.address,
    Port: registrant.port,
    Check: {
      CheckID: checkId,
      Name: 'the service is well',
      Notes: `evenkeel run says so every ${beatMs / 1000} s`,
      TTL: `${ttlMs}ms`,
      DeregisterCriticalServiceAfter: `${forgetMs}ms`,
      // Written down only once it has been found well.
      Status: 'passing',
    },
  }
  /** What the agent was told last, as far as it said that it heard; null: nothing, or it has forgotten. */
  let told: 'pass' | 'fail' | null = null

  const put = (path: string, signal: AbortSignal, body?: unknown) =>
    client.send({ method: 'PUT', path, deadlineMs, ...(body === undefined ? {} : { body }) }, signal)

  function failed(reply: AgentReply): Registered {
    const mishap = mishapOf(reply)
    const failure = failureOf(mishap, client.where)
    const cure = cureOf(mishap, service)
    return { kind: 'failed', where: client.where, failure: cure === null ? failure : { ...failure, cure } }
  }

  async function tell(what: 'pass' | 'fail', signal: AbortSignal): Promise<Registered> {
    const note = what === 'pass' ? 'evenkeel run finds it well' : 'evenkeel run does not find it well'
    const path = `/v1/agent/check/${what}/${encodeURIComponent(checkId)}?note=${encodeURIComponent(note)}`
    const reply = await put(path, signal)
    if (hasForgotten(reply)) {
      told = null
      return what === 'pass' ? register(signal) : { kind: 'done', changed: true }
    }
    if (!isGood(reply)) return failed(reply)
    const changed = told !== what
    told = what
    return { kind: 'done', changed }
  }

  async function register(signal: AbortSignal): Promise<Registered> {
    const reply = await put('/v1/agent/service/register?replace-existing-checks=true', signal, record)
    if (!isGood(reply)) return failed(reply)
    told = 'pass'
    return { kind: 'done', changed: true }
  }

  return {
    where: client.where,
    beatMs,
    keep: (signal) => (told === null ? register(signal) : tell('pass', signal)),
    async suspend(signal) {
      return told === null ? { kind: 'done', changed: false } : tell('fail', signal)
    },
    async remove(signal) {
      const reply = await put(`/v1/agent/service/deregister/${encodeURIComponent(id)}`, signal)
      const wasGone = reply.kind === 'answered' && (reply.status === 404 || /unknown service/i.test(reply.text))
      if (!isGood(reply) && !wasGone) return failed(reply)
      told = null
      return { kind: 'done', changed: !wasGone }
    },
    // Each request has a connection of its own.
    close: async () => {},
  }
}

function isGood(reply: AgentReply): boolean {
  return reply.kind === 'answered' && reply.status === 200
}

/** Later versions answer 404, earlier ones 500. */
function hasForgotten(reply: AgentReply): boolean {
  if (reply.kind !== 'answered' || reply.status === 200) return false
  return reply.status === 404 || /unknown check|does not have associated TTL/i.test(reply.text)
}

function mishapOf(reply: AgentReply): Mishap {
  return reply.kind === 'failed' ? reply.mishap : { kind: 'status', status: reply.status, body: reply.text }
}

/** Where writing needs another cure than reading a catalog does. */
function cureOf(mishap: Mishap, service: string): Failure['cure'] | null {
  if (mishap.kind !== 'status') return null
  if (mishap.status === 401 || mishap.status === 403) {
    return `check discovery.consul.token (CONSUL_HTTP_TOKEN): to register, its policy must allow service:write on ${JSON.stringify(service)}`
  }
  return mishap.status === 400 ? 'check the name, the id, the address and the tags' : null
}
