/** A question to a resolver was not answered: in which words, with which cure, and how soon may it be asked again? Pure. */

import type { Failure } from '../failure.ts'
import { printable } from '../untrusted-text.ts'

/** What went wrong, as the one that asked saw it. That a name does not exist, or has no such records, is an answer. */
export type DnsMishap =
  | { readonly kind: 'rcode'; readonly rcode: number }
  | { readonly kind: 'deadline'; readonly afterMs: number }
  | { readonly kind: 'network'; readonly code: string; readonly message: string }
  | { readonly kind: 'malformed'; readonly why: string }
  /** The answer says that it is not whole, and there is none over TCP; `why` null: there it says so as well. */
  | { readonly kind: 'cut-off'; readonly why: string | null }
  /** It neither has the zone nor asks who has it: that it names no record says nothing (RFC 2308 section 2.2.1). */
  | { readonly kind: 'referral' }
  | { readonly kind: 'no-resolver' }

const RCODES: Readonly<Record<number, string>> = {
  1: 'FORMERR',
  2: 'SERVFAIL',
  4: 'NOTIMP',
  5: 'REFUSED',
  9: 'NOTAUTH',
}

/** @param resolver `address:port` */
export function dnsFailure(mishap: DnsMishap, resolver: string): Failure {
  switch (mishap.kind) {
    case 'rcode':
      return rcodeFailure(mishap.rcode, resolver)
    case 'deadline':
      return {
        speed: 'away',
        message: `${resolver} gave no answer within ${(mishap.afterMs / 1000).toFixed(1)} s`,
        cure: `does a resolver listen at ${resolver}, and does a firewall let UDP and TCP through? (discovery.dns.resolvers)`,
      }
    case 'network':
      return {
        speed: 'away',
        message: `${resolver}: ${printable(mishap.message, 200)}`,
        cure:
          mishap.code === 'EMFILE'
            ? 'this machine is short of files (ulimit -n)'
            : `start a resolver at ${resolver}, or set discovery.dns.resolvers`,
      }
    case 'malformed':
      return {
        speed: 'wrong',
        message: `the answer of ${resolver} is not to be understood: ${printable(mishap.why, 120)}`,
        cure: 'is that a resolver? check discovery.dns.resolvers',
      }
    case 'cut-off':
      if (mishap.why === null) {
        return {
          speed: 'wrong',
          message: `the answer of ${resolver} is cut off, over TCP as well`,
          cure: 'so many records do not fit into an answer (64 KiB): part of them is not taken for all of them',
        }
      }
      return {
        speed: 'wrong',
        message: `the answer of ${resolver} is cut off, and over TCP there is none: ${printable(mishap.why, 120)}`,
        cure: `let TCP to ${resolver} through: part of an answer is not taken for all of it`,
      }
    case 'referral':
      return {
        speed: 'wrong',
        message: `${resolver} does not know the name and does not ask others`,
        cure: 'set discovery.dns.resolvers to one that resolves names for its clients, or to one that has the zone',
      }
    case 'no-resolver':
      return {
        speed: 'wrong',
        message: 'no resolver is known',
        cure: 'set discovery.dns.resolvers, or name one in /etc/resolv.conf',
      }
    default:
      return mishap satisfies never
  }
}

function rcodeFailure(rcode: number, resolver: string): Failure {
  const message = `${resolver} answered ${RCODES[rcode] ?? `rcode ${rcode}`}`
  switch (rcode) {
    case 2:
      // About one name, as far as anybody can tell: it does not make the resolver one that is away.
      return {
        speed: 'busy',
        message,
        cure: `see the log of ${resolver}: it cannot reach, or not believe, who knows the name`,
      }
    case 5:
      return { speed: 'wrong', message, cure: `let this machine ask ${resolver}, or set discovery.dns.resolvers` }
    default:
      return { speed: 'wrong', message, cure: 'is that a resolver? check discovery.dns.resolvers' }
  }
}
