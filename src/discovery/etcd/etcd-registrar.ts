/**
 * How is a service that does not know etcd kept in it? Its key lives by a lease that is renewed with each beat; each beat
 * also looks whether the key is still there. etcd has no word for an instance that is not well: it leaves meanwhile.
 */

import type { Failure } from '../failure.ts'
import type { Registered, Registrant, Registrar } from '../registrar.ts'
import { type EtcdAccess, type EtcdDeadlines, type EtcdPath, type EtcdReply, etcdClient } from './etcd-client.ts'
import { type EtcdMishap, etcdFailure } from './etcd-failure.ts'
import { decodeGrant, decodeKeepAlive, decodeTransaction, entryTransaction } from './etcd-lease.ts'
import { parseEndpoint } from './etcd-source.ts'

export interface EtcdRegistrarOptions extends EtcdAccess {
  /** Members of one cluster, `http://host:port` or `https://host:port`; one is asked, and the next when it fails. */
  readonly endpoints: readonly string[]
  /** Starts with a slash; the key is `<prefix>/<service>/<id>`. */
  readonly prefix: string
}

export interface EtcdRegistrarTiming extends EtcdDeadlines {
  /** More than 0. */
  readonly beatMs: number
  /** Who has not beaten for so long is gone; whole seconds, more than `beatMs`. */
  readonly ttlMs: number
}

export const etcdRegistrarTiming: EtcdRegistrarTiming = {
  connectMs: 2000,
  deadlineMs: 5000,
  beatMs: 5000,
  ttlMs: 15_000,
}

const MAX_ANSWER_BYTES = 64 * 1024
type Failed = EtcdReply & { readonly kind: 'failed' }

/**
 * @param timing for tests; the defaults are `etcdRegistrarTiming`
 * @throws TypeError when `options.endpoints` is empty or has one that is no http or https URL
 */
export function createEtcdRegistrar(
  registrant: Registrant,
  options: EtcdRegistrarOptions,
  timing: Partial<EtcdRegistrarTiming> = {},
): Registrar {
  const { beatMs, ttlMs, ...deadlines } = { ...etcdRegistrarTiming, ...timing }
  const members = options.endpoints.map(parseEndpoint)
  const [first] = members
  if (first === undefined) throw new TypeError('etcd needs at least one endpoint: http://host:port')
  const client = etcdClient(options, deadlines)
  const { service, id, address, port, tags } = registrant
  const entry = { prefix: options.prefix, service, id, value: JSON.stringify({ address, port, tags }) }
  let member = first
  /** null: none was granted, or it is no more. */
  let lease: string | null = null

  /** What `work` comes to at a member, or at the next one when that fails: each is asked once at most. */
  async function anywhere<T>(work: () => Promise<T | Failed>, signal: AbortSignal): Promise<T | Registered> {
    let worst: Registered | null = null
    for (let left = members.length; left > 0; left -= 1) {
      const came = await work()
      if (!isFailed(came)) return came
      worst ??= failed(came)
      if (signal.aborted) break
      member = members[(members.indexOf(member) + 1) % members.length] ?? member
    }
    // There is at least one member, so something has failed.
    return worst ?? { kind: 'done', changed: false }
  }

  function failed({ mishap, path }: Failed): Registered {
    const failure = etcdFailure(mishap, member.origin)
    const cure = cureOf(mishap)
    return {
      kind: 'failed',
      where: `${member.origin} POST ${path}`,
      failure: cure === null ? failure : { ...failure, cure },
    }
  }

  const ask = (path: EtcdPath, body: unknown, signal: AbortSignal) =>
    client.ask(member, { path, body, maxBytes: MAX_ANSWER_BYTES }, signal)

  /** Null: there is a lease that lives. */
  async function renew(signal: AbortSignal): Promise<Failed | null> {
    if (lease !== null) {
      const path = '/v3/lease/keepalive'
      const reply = await ask(path, { ID: lease }, signal)
      if (reply.kind === 'failed') return reply
      const seconds = decodeKeepAlive(reply.body)
      if (seconds === null) return unreadable(path)
      if (seconds > 0) return null
      lease = null
    }
    const path = '/v3/lease/grant'
    const reply = await ask(path, { TTL: `${Math.ceil(ttlMs / 1000)}` }, signal)
    if (reply.kind === 'failed') return reply
    lease = decodeGrant(reply.body)
    return lease === null ? unreadable(path) : null
  }

  async function write(signal: AbortSignal): Promise<Registered | Failed> {
    const refused = await renew(signal)
    if (refused !== null) return refused
    if (lease === null) return unreadable('/v3/lease/grant')
    const path = '/v3/kv/txn'
    const reply = await ask(path, entryTransaction(entry, lease), signal)
    if (reply.kind === 'failed') {
      // It ended between the two requests.
      if (isLeaseGone(reply.mishap)) lease = null
      return reply
    }
    const wasThere = decodeTransaction(reply.body)
    return wasThere === null ? unreadable(path) : { kind: 'done', changed: !wasThere }
  }

  async function revoke(signal: AbortSignal): Promise<Registered | Failed> {
    if (lease === null) return { kind: 'done', changed: false }
    const reply = await ask('/v3/lease/revoke', { ID: lease }, signal)
    const wasGone = reply.kind === 'failed' && isLeaseGone(reply.mishap)
    if (reply.kind === 'failed' && !wasGone) return reply
    lease = null
    return { kind: 'done', changed: !wasGone }
  }

  const leave = (signal: AbortSignal) => anywhere(() => revoke(signal), signal)
  return {
    get where() {
      return member.origin
    },
    beatMs,
    keep: (signal) => anywhere(() => write(signal), signal),
    suspend: leave,
    remove: leave,
    // Each request has a connection of its own.
    close: async () => {},
  }
}

function isFailed(came: unknown): came is Failed {
  return typeof came === 'object' && came !== null && 'mishap' in came
}

function unreadable(path: EtcdPath): Failed {
  return { kind: 'failed', path, mishap: { kind: 'shape', message: `the answer to ${path} cannot be read` } }
}

function isLeaseGone(mishap: EtcdMishap): boolean {
  return mishap.kind === 'status' && /requested lease not found/.test(mishap.body)
}

/** Where writing needs another cure than reading does. */
function cureOf(mishap: EtcdMishap): Failure['cure'] | null {
  if (mishap.kind !== 'status' || !/permission denied|PermissionDenied/.test(mishap.body)) return null
  return 'to register, a role of discovery.etcd.user must allow reading and writing the keys below the prefix'
}
