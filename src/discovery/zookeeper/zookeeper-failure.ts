/** Something asked of ZooKeeper failed: in which words, with which cure, and how soon may it be tried again? Pure. */

import { type Failure, SHORT_OF_FILES } from '../failure.ts'
import { printable } from '../untrusted-text.ts'
import { codes, nameOfCode } from './zookeeper-messages.ts'

/** What went wrong, as the one that asked saw it. */
export type ZookeeperMishap =
  | { readonly kind: 'network'; readonly code: string; readonly message: string }
  | { readonly kind: 'deadline'; readonly afterMs: number }
  /** The connection was closed in place of an answer to its first message. */
  | { readonly kind: 'turned-away' }
  | { readonly kind: 'ended' }
  /** The server knows less than has been seen already. */
  | { readonly kind: 'behind' }
  | { readonly kind: 'read-only' }
  | { readonly kind: 'shape'; readonly message: string }
  /** A request was refused; see `codes`. */
  | { readonly kind: 'refused'; readonly code: number }
  /** There is no node at the path that all is below. */
  | { readonly kind: 'no-path' }
  | { readonly kind: 'full'; readonly most: number }

const CHECK_CONNECT = 'check discovery.zookeeper.connect: does a server of ZooKeeper answer clients there, without TLS?'

/**
 * @param where the server, `host:port`
 * @param path the node that it is about
 */
export function zookeeperFailure(mishap: ZookeeperMishap, where: string, path: string): Failure {
  const away = (message: string, cure: string): Failure => ({ speed: 'away', message, cure })
  const wrong = (message: string, cure: string): Failure => ({ speed: 'wrong', message, cure })
  switch (mishap.kind) {
    case 'network':
      return networkFailure(mishap.code, mishap.message, where)
    case 'deadline':
      return away(
        `no answer of ${where} within ${seconds(mishap.afterMs)} s`,
        'is this server of ZooKeeper overloaded, or does something on the way to it drop connections?',
      )
    case 'turned-away':
      return away(
        `${where} closed the connection without an answer`,
        'do most servers of this ZooKeeper run, so that they have a leader, and does maxClientCnxns allow one more client?',
      )
    case 'ended':
      return away(
        `${where} closed the connection`,
        'was this server of ZooKeeper restarted, or did it lose the others? Another one is asked',
      )
    case 'behind':
      return away(
        `${where} knows less than ZooKeeper did before`,
        'does it still catch up with the others, or was ZooKeeper restored or set up anew? In that case it is believed soon',
      )
    case 'read-only':
      return away(`${where} only reads: it has lost the others`, 'do most servers of this ZooKeeper run?')
    case 'shape':
      return wrong(`what ${where} says is not ZooKeeper's protocol: ${printable(mishap.message, 120)}`, CHECK_CONNECT)
    case 'refused':
      return refusal(mishap.code, where, path)
    case 'no-path':
      return wrong(
        `there is no node ${printable(path, 200)} in ZooKeeper`,
        'check discovery.zookeeper.path, and what stands behind the servers in discovery.zookeeper.connect; it is followed once it is there',
      )
    case 'full':
      return wrong(
        `there are more than ${mishap.most} nodes below ${printable(path, 200)}, or very long names`,
        'check discovery.zookeeper.path: nothing but instances is to be below it',
      )
    default:
      return mishap satisfies never
  }
}

function refusal(code: number, where: string, path: string): Failure {
  const message = `${where} refused it: ${nameOfCode(code)}`
  switch (code) {
    case codes.noAuth: {
      const cure = `let discovery.zookeeper.auth name a user that the ACLs of ${printable(path, 200)} allow what is asked`
      return { speed: 'wrong', message, cure }
    }
    case codes.authFailed:
      return { speed: 'wrong', message, cure: 'check discovery.zookeeper.auth; its scheme is digest' }
    case codes.saslWanted:
      return { speed: 'wrong', message, cure: 'this ZooKeeper lets nobody in without SASL, which is not spoken here' }
    case codes.throttled:
      return { speed: 'busy', message, cure: 'this server of ZooKeeper is overloaded; it is asked again' }
    case codes.noChildren: {
      const cure = `the node above ${printable(path, 200)} goes with a session, and such nodes have none below: make it anew, as one that stays`
      return { speed: 'wrong', message, cure }
    }
    default:
      return { speed: 'away', message, cure: 'see the log of this server of ZooKeeper; it is asked again' }
  }
}

function networkFailure(code: string, detail: string, where: string): Failure {
  const message = `${where}: ${printable(detail, 200)}`
  const away = (cure: string): Failure => ({ speed: 'away', message, cure })
  switch (code) {
    case 'ECONNREFUSED':
      return away(`start ZooKeeper at ${where}, or set discovery.zookeeper.connect`)
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return away(`the host name in ${where} cannot be resolved: ${CHECK_CONNECT}`)
    case 'ECONNRESET':
    case 'EPIPE':
      return away(`${where} closed the connection: was this server of ZooKeeper restarted?`)
    case 'EMFILE':
    case 'EADDRNOTAVAIL':
      return away(SHORT_OF_FILES)
    default:
      return away(CHECK_CONNECT)
  }
}

function seconds(ms: number): number {
  return Math.max(0.1, Math.round(ms / 100) / 10)
}
