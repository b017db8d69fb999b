/**
 * Which server is asked next, and how does a session outlive a connection? One server of the ensemble is asked at a time, the
 * next one when it fails; the session goes along, and when it has expired a new one begins.
 *
 * A server is told how much has been seen already, and turns away whoever has seen more than it knows. One that does so is
 * asked whether it would answer somebody who has seen nothing: then it is behind, else it answers nobody. When it is behind,
 * the others are asked; when all that answer are, and stay so, ZooKeeper has lost what it knew, and they are believed.
 */

import {
  type Hearer,
  type Opening,
  openConnection,
  type Place,
  type ZookeeperConnection,
} from './zookeeper-connection.ts'
import type { ZookeeperMishap } from './zookeeper-failure.ts'
import type { Ticket } from './zookeeper-messages.ts'

export interface ClientOptions {
  readonly servers: readonly [Place, ...Place[]]
  /** `user:password`; null: nobody logs in. */
  readonly auth: string | null
  readonly sessionTimeoutMs: number
  /** For a connect, and for the answer to the first message; up to four times as long when that was too short in a row. */
  readonly connectMs: number
}

export type Joined =
  | {
      readonly kind: 'joined'
      readonly connection: ZookeeperConnection
      /** ZooKeeper knows less than it did before, and stays so. */
      readonly isRewound: boolean
    }
  | { readonly kind: 'failed'; readonly mishap: ZookeeperMishap }

export interface ZookeeperClient {
  /** The server that was asked last, `host:port`. */
  readonly where: string
  /** Asks the next server. Never rejects. One at a time: the connection before it has to have ended. */
  join(hearer: Hearer, signal: AbortSignal): Promise<Joined>
}

/** How often in a row every server may be behind before it is believed; with a single server a little more often. */
const ROUNDS_BEHIND = 2
const LEAST_BEHIND = 3

/** @param random from 0 to less than 1: clients of one ensemble are to be spread over it */
export function zookeeperClient(options: ClientOptions, random: () => number): ZookeeperClient {
  const { servers, auth, sessionTimeoutMs: timeoutMs, connectMs } = options
  let at = Math.floor(random() * servers.length)
  let server = servers[at] ?? servers[0]
  let ticket: Ticket | null = null
  let lastZxid = 0n
  let behind = 0
  let tooLate = 0

  async function join(hearer: Hearer, signal: AbortSignal): Promise<Joined> {
    server = servers[at] ?? servers[0]
    at = (at + 1) % servers.length
    const noting: Hearer = {
      onEvent: hearer.onEvent,
      onBug: hearer.onBug,
      onZxid(zxid) {
        if (zxid > lastZxid) lastZxid = zxid
        hearer.onZxid(zxid)
      },
    }
    // A server that starts takes connections which it then forgets; one that is overloaded must not be hurried.
    const opening: Opening = { ticket, timeoutMs, lastZxid, auth, connectMs: connectMs * 2 ** Math.min(2, tooLate) }
    let opened = await openConnection(server, opening, noting, signal)
    if (opened.kind === 'expired') {
      ticket = null
      opened = await openConnection(server, { ...opening, ticket: null }, noting, signal)
    }
    tooLate = opened.kind === 'failed' && opened.mishap.kind === 'deadline' ? tooLate + 1 : 0
    if (opened.kind === 'open') {
      behind = 0
      ticket = opened.connection.ticket
      return { kind: 'joined', connection: opened.connection, isRewound: false }
    }
    const mishap: ZookeeperMishap = opened.kind === 'failed' ? opened.mishap : { kind: 'turned-away' }
    if (mishap.kind !== 'turned-away' || lastZxid === 0n || signal.aborted) return { kind: 'failed', mishap }
    return joinOneBehind(opening, mishap, noting, signal)
  }

  async function joinOneBehind(
    opening: Opening,
    mishap: ZookeeperMishap,
    hearer: Hearer,
    signal: AbortSignal,
  ): Promise<Joined> {
    const opened = await openConnection(server, { ...opening, ticket: null, lastZxid: 0n }, hearer, signal)
    if (opened.kind !== 'open') return { kind: 'failed', mishap }
    behind += 1
    if (behind < Math.max(LEAST_BEHIND, ROUNDS_BEHIND * servers.length)) {
      await opened.connection.close(true)
      return { kind: 'failed', mishap: { kind: 'behind' } }
    }
    behind = 0
    lastZxid = 0n
    ticket = opened.connection.ticket
    return { kind: 'joined', connection: opened.connection, isRewound: true }
  }

  return {
    get where() {
      return `${server.address.includes(':') ? `[${server.address}]` : server.address}:${server.port}`
    },
    join,
  }
}
