/**
 * How is a service that does not know Eureka kept in it? As Eureka's own clients do it: the whole instance is sent once, and
 * each beat says that its lease goes on. A server that does not know it answers 404, and is sent the instance again, as it
 * is when its status changes. An operator's own word on the instance (a status override) stays above ours that way.
 */

import type { Failure } from '../failure.ts'
import type { Registered, Registrant, Registrar } from '../registrar.ts'
import {
  type EurekaAccess,
  type EurekaDeadlines,
  type EurekaOrder,
  type EurekaReply,
  type EurekaServer,
  eurekaServer,
} from './eureka-client.ts'
import { eurekaFailure } from './eureka-failure.ts'
import { type EurekaStatus, instanceRecord } from './eureka-record.ts'

export interface EurekaRegistrarOptions extends EurekaAccess {
  /** Servers of one registry, each with its path. The first is told, and the next one when it fails. */
  readonly urls: readonly string[]
}

export interface EurekaRegistrarTiming extends EurekaDeadlines {
  /** More than 0. */
  readonly beatMs: number
  /** The server may forget who has not beaten for so long; whole seconds, more than `beatMs`. */
  readonly leaseMs: number
}

export interface EurekaRegistrarDeps {
  /** The wall clock, in milliseconds since 1970. */
  readonly now: () => number
  /** For tests; the defaults are `eurekaRegistrarTiming`. */
  readonly timing?: Partial<EurekaRegistrarTiming>
}

/** The protocol's own 30 and 90 s: a server counts the beats of all by them, to know whether it is itself cut off. */
export const eurekaRegistrarTiming: EurekaRegistrarTiming = {
  deadlineMs: 5000,
  silenceMs: 3000,
  beatMs: 30_000,
  leaseMs: 90_000,
}

/** @throws TypeError when `options.urls` is empty, or one of them is no http or https URL */
export function createEurekaRegistrar(
  registrant: Registrant,
  options: EurekaRegistrarOptions,
  deps: EurekaRegistrarDeps,
): Registrar {
  const timing = { ...eurekaRegistrarTiming, ...deps.timing }
  const servers = options.urls.map((url) => eurekaServer(url, options, timing))
  const [first] = servers
  if (first === undefined) throw new TypeError('there must be the URL of at least one Eureka server')
  const app = registrant.service.toUpperCase()
  const appPath = `/apps/${encodeURIComponent(app)}`
  const path = `${appPath}/${encodeURIComponent(registrant.id)}`
  let server = first
  /** As it was sent last, and what it said; null: no server knows of it by us. */
  let sent: { readonly status: EurekaStatus; readonly dirtyMs: number } | null = null

  /** Orders one server after the other, until one obeys or says that it does not know the instance. */
  async function order(what: EurekaOrder, signal: AbortSignal): Promise<Ordered> {
    let worst: Ordered | null = null
    for (let left = servers.length; left > 0; left -= 1) {
      const reply = await server.send(what, signal)
      if (reply.kind === 'answered') return { kind: 'obeyed' }
      if (isUnknown(what, reply)) return { kind: 'unknown' }
      worst ??= { kind: 'failed', registered: failed(server, reply) }
      if (signal.aborted) break
      server = servers[(servers.indexOf(server) + 1) % servers.length] ?? server
    }
    return worst ?? { kind: 'unknown' }
  }

  async function send(status: EurekaStatus, signal: AbortSignal): Promise<Registered> {
    // A server keeps what it has if that is younger.
    const dirtyMs = Math.max(deps.now(), (sent?.dirtyMs ?? 0) + 1)
    const body = instanceRecord(registrant, app, status, timing, dirtyMs)
    const came = await order({ method: 'POST', path: appPath, body }, signal)
    if (came.kind === 'failed') return came.registered
    sent = { status, dirtyMs }
    return { kind: 'done', changed: true }
  }

  async function beat(status: EurekaStatus, signal: AbortSignal): Promise<Registered> {
    if (sent === null || sent.status !== status) return send(status, signal)
    const query = `?status=${status}&lastDirtyTimestamp=${sent.dirtyMs}`
    const came = await order({ method: 'PUT', path: `${path}${query}` }, signal)
    switch (came.kind) {
      case 'failed':
        return came.registered
      case 'unknown':
        return send(status, signal)
      case 'obeyed':
        return { kind: 'done', changed: false }
      default:
        return came satisfies never
    }
  }

  return {
    get where() {
      return server.where
    },
    beatMs: timing.beatMs,
    keep: (signal) => beat('UP', signal),
    suspend: (signal) => beat('DOWN', signal),
    async remove(signal) {
      const came = await order({ method: 'DELETE', path }, signal)
      if (came.kind === 'failed') return came.registered
      sent = null
      return { kind: 'done', changed: came.kind === 'obeyed' }
    },
    // Each request has a connection of its own.
    close: async () => {},
  }
}

type Ordered =
  | { readonly kind: 'obeyed' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'failed'; readonly registered: Registered }

/** A POST that is answered 404 has found no Eureka there. */
function isUnknown({ method }: EurekaOrder, reply: EurekaReply): boolean {
  return method !== 'POST' && reply.kind === 'failed' && reply.mishap.kind === 'status' && reply.mishap.status === 404
}

function failed({ where }: EurekaServer, reply: EurekaReply & { readonly kind: 'failed' }): Registered {
  const failure = eurekaFailure(reply.mishap, where)
  const cure = cureOf(reply)
  return { kind: 'failed', where, failure: cure === null ? failure : { ...failure, cure } }
}

/** Where writing needs another cure than reading does. */
function cureOf({ mishap }: EurekaReply & { readonly kind: 'failed' }): Failure['cure'] | null {
  if (mishap.kind !== 'status') return null
  if (mishap.status === 400) return 'check the name, the id and the address of the service'
  // Spring Security's protection of forms refuses every POST until it is told not to.
  return mishap.status === 403 ? 'may this user write? Spring Security has to ignore CSRF tokens for /eureka/**' : null
}
