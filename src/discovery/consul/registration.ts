/**
 * How do others find this proxy in Consul? It registers itself with the agent, with a check on `/readyz`, and looks every
 * few seconds whether it is still there as it was written: an agent that was restarted may have forgotten it, and
 * somebody may have removed it by hand.
 */

import type { Logger } from 'pino'
import type { Failure } from '../failure.ts'
import { pause } from '../loop.ts'
import { backoffMs } from '../pace.ts'
import { type AgentAddress, type AgentClient, type AgentReply, agentClient } from './agent-client.ts'
import { failureOf, type Mishap } from './consul-failure.ts'
import { type ListeningAt, readFound, type ServiceRecord, serviceRecord } from './registration-record.ts'

export interface RegistrationOptions {
  readonly enabled: boolean
  /** The service name to register under. */
  readonly name: string
  /** Unique on its agent; null: made of the name and the port. */
  readonly id: string | null
  readonly tags: readonly string[]
  /** Where clients reach this proxy; null: the address of the agent's node. */
  readonly address: string | null
  /** 1–65535; null: the port that it listens on. */
  readonly port: number | null
  /** Origin of the admin listener as the agent reaches it; null: worked out from where that listens. */
  readonly checkUrl: string | null
  readonly checkIntervalMs: number
  /** How long its check may fail before Consul forgets it. */
  readonly deregisterAfterMs: number
}

export interface Registration {
  /** Registers from now on, again and again if need be. To be called once the data port is open; later calls do nothing. */
  start(): void
  /**
   * Takes the proxy out of Consul and resolves when it is, or when that failed or took too long, which is logged. After
   * it nothing is registered any more, nor by a later `start`. Never rejects; idempotent.
   */
  close(): Promise<void>
}

export interface RegistrationTiming {
  /** How often it is looked for; × 0.75 to 1.25, for many proxies may have one agent. */
  readonly lookEveryMs: number
  /** How long a request may take. */
  readonly deadlineMs: number
  /** How long `close` may take. */
  readonly closeMs: number
}

export interface RegistrationDeps {
  readonly log: Logger
  /** From 0 to less than 1: jitter. */
  readonly random: () => number
  /** For tests; the defaults are `registrationTiming`. */
  readonly timing?: Partial<RegistrationTiming>
}

export const registrationTiming: RegistrationTiming = { lookEveryMs: 2000, deadlineMs: 5000, closeMs: 2000 }

/**
 * @param at where this process listens
 * @throws TypeError when `consul.address` is no http or https URL
 */
export function createRegistration(
  options: RegistrationOptions,
  consul: AgentAddress,
  at: ListeningAt,
  deps: RegistrationDeps,
): Registration {
  const timing = { ...registrationTiming, ...deps.timing }
  const record = serviceRecord(options, at)
  const client = agentClient(consul)
  const teller = createTeller(record, client.where, deps.log)
  const stop = new AbortController()
  const giveUp = new AbortController()
  let running: Promise<void> | null = null
  let closing: Promise<void> | null = null
  /** Consul may know us: a registration was sent, and it was not refused for certain. */
  let mayBeThere = false

  async function register(why: 'first' | 'gone' | 'changed'): Promise<Mishap | null> {
    // Not cut off by `stop`: what has left may arrive, and what is not known to have arrived cannot be taken back.
    const path = '/v1/agent/service/register?replace-existing-checks=true'
    const reply = await client.send({ method: 'PUT', path, body: record, deadlineMs: timing.deadlineMs }, giveUp.signal)
    const mishap = mishapOf(reply)
    if (!certainlyRefused(mishap)) mayBeThere = true
    if (mishap === null) teller.registered(why)
    return mishap
  }

  async function look(): Promise<Mishap | null> {
    const path = `/v1/agent/health/service/id/${encodeURIComponent(record.ID)}`
    const reply = await client.send({ method: 'GET', path, deadlineMs: timing.deadlineMs }, stop.signal)
    if (stop.signal.aborted) return null
    if (reply.kind === 'failed') return reply.mishap
    const found = readFound(record, reply.status, reply.text)
    switch (found.kind) {
      case 'kept':
        teller.checked(found.failing)
        return null
      case 'gone':
      case 'changed':
        return register(found.kind)
      case 'unreadable':
        return reply.status === 200
          ? { kind: 'not-json', contentType: '', body: reply.text }
          : { kind: 'status', status: reply.status, body: reply.text }
      default:
        return found satisfies never
    }
  }

  async function keep(): Promise<void> {
    let failures = 0
    let written = false
    while (!stop.signal.aborted) {
      const mishap = await (written ? look() : register('first'))
      if (stop.signal.aborted) return
      if (mishap === null) {
        written = true
        failures = 0
        teller.reached()
        await pause(timing.lookEveryMs * (0.75 + deps.random() / 2), stop.signal)
      } else {
        failures += 1
        const { speed } = teller.failed(mishap)
        await pause(backoffMs(failures, speed, deps.random()), stop.signal)
      }
    }
  }

  async function deregister(): Promise<void> {
    stop.abort()
    const untilMs = performance.now() + timing.closeMs
    // Half of the time for a registration that is under way, so that ours is the last word.
    const impatient = setTimeout(() => {
      mayBeThere = true
      giveUp.abort()
    }, timing.closeMs / 2)
    await running
    clearTimeout(impatient)
    if (!mayBeThere) return
    const path = `/v1/agent/service/deregister/${encodeURIComponent(record.ID)}`
    const deadlineMs = Math.max(1, untilMs - performance.now())
    const reply = await client.send({ method: 'PUT', path, deadlineMs }, new AbortController().signal)
    // Later versions of Consul say so of an id that they do not know (any more).
    const gone = reply.kind === 'answered' && reply.status === 404
    teller.deregistered(gone ? null : mishapOf(reply))
  }

  return {
    start() {
      if (closing !== null) return
      running ??= keep().catch((err: unknown) => deps.log.error({ err }, 'the registration in Consul failed for good'))
    },
    close() {
      closing ??= deregister().catch((err: unknown) => deps.log.error({ err }, 'deregistering from Consul failed'))
      return closing
    },
  }
}

function mishapOf(reply: AgentReply): Mishap | null {
  if (reply.kind === 'failed') return reply.mishap
  return reply.status === 200 ? null : { kind: 'status', status: reply.status, body: reply.text }
}

function certainlyRefused(mishap: Mishap | null): boolean {
  if (mishap?.kind === 'network') return mishap.code === 'ECONNREFUSED'
  return mishap?.kind === 'status' && mishap.status < 500
}

/** What the log hears of it: each kind of trouble once, until it is over. */
function createTeller(record: ServiceRecord, where: AgentClient['where'], log: Logger) {
  const about = { id: record.ID, name: record.Name, agent: where }
  const told = new Set<string>()
  let checkFails = false
  let changedTold = false

  function words(mishap: Mishap): Failure {
    const failure = failureOf(mishap, where)
    const cure = cureOf(mishap, record.Name)
    return cure === null ? failure : { ...failure, cure }
  }

  return {
    registered(why: 'first' | 'gone' | 'changed'): void {
      if (why === 'first') {
        log.info({ ...about, check: record.Check.HTTP }, 'registered in Consul')
      } else if (why === 'gone') {
        log.warn(about, 'registered in Consul again: the agent did not know this proxy any more')
      } else if (!changedTold) {
        changedTold = true
        log.warn(
          { ...about, cure: 'does another proxy use this register.id on the same agent?' },
          'registered in Consul again: somebody had changed it',
        )
      }
    },
    /** @param failing what the check says; null: it does not fail, or has not run yet */
    checked(failing: string | null): void {
      if (failing === null) {
        checkFails = false
        return
      }
      if (checkFails) return
      checkFails = true
      const cure = `can the agent reach ${record.Check.HTTP}? If not, set register.checkUrl`
      log.warn({ ...about, message: failing, cure }, 'Consul does not find this proxy ready, and sends nobody to it')
    },
    reached(): void {
      if (told.size > 0) log.info(about, 'the Consul agent takes the registration again')
      told.clear()
    },
    failed(mishap: Mishap): Failure {
      const failure = words(mishap)
      const kind = kindOf(mishap)
      if (!told.has(kind)) {
        told.add(kind)
        const { message, cure } = failure
        log.warn({ ...about, message, cure }, 'this proxy could not be registered in Consul; it is tried again')
      }
      return failure
    },
    deregistered(mishap: Mishap | null): void {
      if (mishap === null) {
        log.info(about, 'deregistered from Consul')
        return
      }
      const { message, cure } = words(mishap)
      const after = record.Check.DeregisterCriticalServiceAfter
      log.warn(
        { ...about, message, cure },
        `could not be deregistered; its check will fail, and Consul forget it after ${after}`,
      )
    },
  }
}

function kindOf(mishap: Mishap): string {
  if (mishap.kind === 'status') return `status ${mishap.status}`
  return mishap.kind === 'network' ? `network ${mishap.code}` : mishap.kind
}

/** Where writing needs another cure than reading a catalog does. */
function cureOf(mishap: Mishap, name: string): string | null {
  if (mishap.kind !== 'status') return null
  if (mishap.status === 401 || mishap.status === 403) {
    return `check discovery.consul.token (CONSUL_HTTP_TOKEN): to register, its policy must allow service:write on ${JSON.stringify(name)}`
  }
  return mishap.status === 400 ? 'check what is set under register' : null
}
