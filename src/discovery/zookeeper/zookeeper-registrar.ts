/**
 * How does a service get into ZooKeeper that does not register itself, and out again? As Curator's service discovery does it:
 * its JSON in a node that goes with the session, so that whoever dies without a word is gone when the session expires.
 */

import type { Registered, Registrant, Registrar } from '../registrar.ts'
import { zookeeperClient } from './zookeeper-client.ts'
import type { Heard, ZookeeperConnection } from './zookeeper-connection.ts'
import { type ZookeeperMishap, zookeeperFailure } from './zookeeper-failure.ts'
import { codes, type ZookeeperRequest } from './zookeeper-messages.ts'
import { readAccess, type ZookeeperAccess, zookeeperTiming } from './zookeeper-source.ts'

export interface ZookeeperRegistrarDeps {
  /** From 0 to less than 1. */
  readonly random: () => number
  /** Milliseconds since 1970: Curator's record has the time of the registration. */
  readonly timestamp: () => number
}

/** How often a node may turn out to be another one than was seen a moment ago. */
const ATTEMPTS = 3

/** What is between a call and its end. */
interface Failed {
  readonly kind: 'failed'
  readonly mishap: ZookeeperMishap
}

/**
 * One instance, at `<path>/<service>/<id>`. Its tags are not told: Curator's record has no place for them. With `auth` others
 * may only read the node; the nodes above it are made where they are missing, and are open to all, as Curator leaves them.
 * `suspend` leaves the node in, switched off (`enabled: false`).
 * @throws TypeError when `connect` names no server
 */
export function createZookeeperRegistrar(
  access: ZookeeperAccess,
  registrant: Registrant,
  deps: ZookeeperRegistrarDeps,
): Registrar {
  const { servers, base } = readAccess(access)
  const client = zookeeperClient({ ...access, servers, connectMs: zookeeperTiming.connectMs }, deps.random)
  const name = nodeName(registrant.id)
  const parent = `${base}/${nodeName(registrant.service)}`
  const path = `${parent}/${name}`
  const registeredAt = deps.timestamp()
  let connection: ZookeeperConnection | null = null
  /** Is there nothing of ours in ZooKeeper, as far as is known? */
  let isOut = true

  async function join(signal: AbortSignal): Promise<ZookeeperConnection | Failed> {
    let last: ZookeeperMishap = { kind: 'ended' }
    for (let tries = 0; connection === null && tries < servers.length && !signal.aborted; tries += 1) {
      const joined = await client.join({ onEvent() {}, onZxid() {}, onBug() {} }, signal)
      if (joined.kind === 'failed') last = joined.mishap
      else {
        const opened = joined.connection
        connection = opened
        void opened.ended.then(() => {
          if (connection === opened) connection = null
        })
      }
    }
    return connection ?? { kind: 'failed', mishap: last }
  }

  /** Runs one call from its connection to its end. */
  async function call(
    signal: AbortSignal,
    work: (to: Asker, sessionId: bigint) => Promise<boolean>,
  ): Promise<Registered> {
    const joined = await join(signal)
    if ('mishap' in joined) return failed(joined.mishap)
    // What hangs is given up with the connection; the session, and the node, are there for the next one.
    const abort = () => void joined.close(false)
    signal.addEventListener('abort', abort, { once: true })
    try {
      if (signal.aborted) abort()
      const changed = await work(async (request, allowed) => {
        const heard = await joined.ask(request)
        if (heard.kind === 'lost') throw new Ended(await joined.ended)
        if (heard.kind === 'refused' && !allowed.includes(heard.code)) throw new Ended(heard)
        return heard
      }, joined.ticket.sessionId)
      return { kind: 'done', changed }
    } catch (error) {
      if (error instanceof Ended) return failed(error.mishap)
      throw error
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  function failed(mishap: ZookeeperMishap): Registered {
    return { kind: 'failed', where: `register ${path}`, failure: zookeeperFailure(mishap, client.where, path) }
  }

  /** @returns true when it was not so before */
  async function settle(ask: Asker, sessionId: bigint, enabled: boolean): Promise<boolean> {
    const data = record(registrant, name, registeredAt, enabled)
    for (let attempt = 1; ; attempt += 1) {
      // The last time nothing is let pass, so that it ends with what is wrong.
      const isLast = attempt === ATTEMPTS
      const seen = await ask({ kind: 'data', path }, [codes.noNode])
      if (seen.kind === 'data' && seen.owner === sessionId) {
        isOut = false
        if (seen.data.toString('utf8') === data) return false
        const set = await ask({ kind: 'set', path, data }, isLast ? [] : [codes.noNode])
        if (set.kind === 'done') return true
        continue
      }
      // Of a former life, whose session will take it along when it expires.
      if (seen.kind === 'data') await ask({ kind: 'delete', path }, [codes.noNode])
      // Nobody is sent to what is not there.
      else if (!enabled) return false
      const as = access.auth === null ? 'goes' : 'goes-guarded'
      const made = await ask({ kind: 'create', path, data, as }, isLast ? [] : [codes.noNode, codes.nodeExists])
      isOut = false
      if (made.kind === 'done') return true
      if (made.kind === 'refused' && made.code === codes.noNode) await makeParents(ask)
    }
  }

  async function makeParents(ask: Asker): Promise<void> {
    for (let end = parent.indexOf('/', 1); ; end = parent.indexOf('/', end + 1)) {
      const above = end < 0 ? parent : parent.slice(0, end)
      const request = { kind: 'create', path: above, data: '', as: 'stays' } as const
      // Who may make the last one only is not to be stopped by those above it, which are there.
      const seen = await ask({ kind: 'exists', path: above }, [codes.noNode])
      if (seen.kind === 'refused') await ask(request, [codes.nodeExists])
      if (end < 0) return
    }
  }

  return {
    where: access.connect,
    beatMs: access.sessionTimeoutMs / 3,
    keep: (signal) => call(signal, (ask, sessionId) => settle(ask, sessionId, true)),
    suspend: (signal) => call(signal, (ask, sessionId) => settle(ask, sessionId, false)),
    remove: (signal) =>
      call(signal, async (ask) => {
        const heard = await ask({ kind: 'delete', path }, [codes.noNode])
        isOut = true
        return heard.kind === 'done'
      }),
    async close() {
      await connection?.close(isOut)
    },
  }
}

/** @param allowed codes of refusals that are an answer; any other ends the call */
type Asker = (request: ZookeeperRequest, allowed: readonly number[]) => Promise<Exclude<Heard, { kind: 'lost' }>>

class Ended extends Error {
  readonly mishap: ZookeeperMishap
  constructor(mishap: ZookeeperMishap) {
    super(mishap.kind)
    this.mishap = mishap
  }
}

/**
 * What Curator's JsonInstanceSerializer writes, and reads. Like it, this leaves `enabled` out as long as it is true: clients
 * before Curator 3.2 take no record with a field that they do not know.
 */
function record({ service, address, port }: Registrant, id: string, registeredAt: number, enabled: boolean): string {
  const place = { name: service, id, address, port, sslPort: null, payload: null }
  const more = { registrationTimeUTC: registeredAt, serviceType: 'DYNAMIC', uriSpec: null }
  return JSON.stringify({ ...place, ...more, ...(enabled ? {} : { enabled }) })
}

/** The name of a node for this text: as it is, if it can be one. */
function nodeName(text: string): string {
  const canBe = !/[/\p{C}]/u.test(text) && !['', '.', '..', 'zookeeper'].includes(text)
  // Through a buffer: half a surrogate pair would make it throw.
  return canBe ? text : `_${encodeURIComponent(Buffer.from(text, 'utf8').toString('utf8'))}`
}
